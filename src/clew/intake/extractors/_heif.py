"""The picture of a HEIC file: its primary item, or the tiles it is a grid of, decoded by libavcodec's HEVC decoder.

HEIF is ISO/IEC 23008-12: 6.6.2.3 grids, 6.5.10 rotation, 6.5.12 mirroring, and clean aperture of ISO/IEC 14496-12,
12.1.4. libheif would do the same, but its decoder starts a thread for each picture, which a locked worker cannot.
"""

import struct
from typing import Any

import av
import numpy as np
import numpy.typing as npt

from clew.core.absent import Absent, absent
from clew.intake.extractors import _bmff
from clew.intake.extractors._zeros import PROOF
from clew.model import Reason

OF_ANOTHER = (b"thmb", b"auxl", b"cdsc")  # references of what is no picture of its own (6.4 there)
MOST_TILES = 1_024
AV1 = b"av01"
KINDS = (b"hvc1", b"grid", AV1)
POINT = 16 | 1 << 18  # SWS_POINT, SWS_ACCURATE_RND: colours as libheif makes them, to the last bit or two
LIMITED, FULL = 1, 2  # AVCOL_RANGE_MPEG, AVCOL_RANGE_JPEG
BT709, BT601 = 1, 5  # SWS_CS_ITU709, SWS_CS_ITU601
_MATRICES = {1: BT709, 5: BT601, 6: BT601}  # ITU-T H.273, table 4
Pixels = npt.NDArray[np.uint8]


class Heic:
    """The structure of a HEIC file, nothing decoded. Raises Absent where it has no picture that libavcodec can decode.

    `kind` is the item's type, `width` and `height` its size before it is turned or cropped: of the primary item, or of
    that `number`. An AV1 picture is for another decoder.
    """

    def __init__(self, data: memoryview, number: int | None = None) -> None:
        try:
            self._items = _bmff.Items(data)
        except ValueError as error:
            raise absent(Reason.UNPARSABLE, f"no still picture in this HEIF file: {error}") from error
        self._number = self._items.primary if number is None else number
        item = self._items.by_id.get(self._number)
        if item is None:
            raise absent(Reason.UNPARSABLE, "no primary picture in this HEIF file")
        self._item = item
        size = self._property(self._item, b"ispe")
        self.kind = self._item.kind
        if self.kind not in KINDS or size is None or len(size) < 12:
            raise absent(Reason.UNPARSABLE, f"a HEIF picture of a kind that clew does not decode: {self.kind!r}")
        self.width, self.height = struct.unpack_from(">II", size, 4)
        self.damaged = False

    def pixels(self, grey: bool) -> Pixels:
        """Luma (height, width), or RGB, turned, mirrored and cropped as the file says. Raises Absent."""
        made = self._grid(grey) if self._item.kind == b"grid" else self._tile(self._number, grey)
        made = made[: self.height, : self.width]
        for box in self._item.properties:
            made = _transformed(made, box)
        return np.ascontiguousarray(made)

    def _property(self, item: _bmff.Item, kind: bytes) -> memoryview | None:
        return next((box.body for box in item.properties if box.kind == kind), None)

    def _grid(self, grey: bool) -> Pixels:
        layout = self._items.content(self._number)
        if len(layout) < 8:
            raise absent(Reason.UNPARSABLE, "the grid of this HEIF file breaks off")
        rows, columns = layout[2] + 1, layout[3] + 1
        tiles = [target for kind, target in self._item.refers if kind == b"dimg"]
        if rows * columns > min(len(tiles), MOST_TILES):
            raise absent(Reason.UNPARSABLE, f"a grid of {rows} x {columns} with {len(tiles)} tiles")
        canvas = np.zeros((self.height, self.width) if grey else (self.height, self.width, 3), np.uint8)
        high = wide = 0
        for number, target in enumerate(tiles[: rows * columns]):
            try:
                tile = self._tile(target, grey)
            except Absent:
                if not high:
                    raise
                self.damaged = True
                continue
            high, wide = (high, wide) if high else tile.shape[:2]
            y, x = number // columns * high, number % columns * wide
            room = canvas[y : y + high, x : x + wide]
            room[:] = tile[: room.shape[0], : room.shape[1]] if tile.shape[:2] == (high, wide) else 0
        return canvas

    def _tile(self, number: int, grey: bool) -> Pixels:
        item = self._items.by_id.get(number)
        configuration = self._property(item, b"hvcC") if item else None
        if item is None or configuration is None:
            raise absent(Reason.UNPARSABLE, f"item {number} of this HEIF file has no decoder configuration")
        try:
            coded = self._items.content(number)
            frame = _decoded(bytes(configuration), coded)
        except (av.FFmpegError, ValueError) as error:
            raise absent(Reason.UNPARSABLE, f"the picture cannot be decoded: {error}"[:200]) from error
        self.damaged |= PROOF in coded  # which the decoder takes for pixels
        colours = self._property(item, b"colr") or self._property(self._item, b"colr")
        return _converted(frame, grey, colours)


def others(data: memoryview) -> list[int]:
    """The items of a HEIF file that are pictures beside the primary one: no tiles, no smaller versions of another and
    no maps beside one. None where the bytes have no items.
    """
    try:
        items = _bmff.Items(data)
    except ValueError:
        return []
    tiles = {target for item in items.by_id.values() for kind, target in item.refers if kind == b"dimg"}
    alone = (number for number, item in items.by_id.items() if item.kind in KINDS and not _is_of_another(item))
    return [number for number in alone if number != items.primary and number not in tiles]


def _is_of_another(item: _bmff.Item) -> bool:
    return any(kind in OF_ANOTHER for kind, _ in item.refers)


def _decoded(configuration: bytes, coded: bytes) -> Any:
    """The one frame. Raises what PyAV raises; a frame that libavcodec patched up counts as none."""
    decoder: Any = av.CodecContext.create("hevc", "r")
    decoder.thread_count = 1
    decoder.thread_type = "NONE"
    decoder.extradata = configuration
    decoder.options = {"max_pixels": str(1 << 28), "err_detect": "explode"}
    frames = [*decoder.decode(av.Packet(coded)), *decoder.decode(None)]
    if not frames:
        raise ValueError("no frame in it")
    return frames[0]


def _converted(frame: Any, grey: bool, colours: memoryview | None) -> Pixels:
    """Eight bits, full range."""
    full, matrix = frame.color_range == FULL, BT601
    if colours is not None and bytes(colours[:4]) == b"nclx" and len(colours) >= 11:
        matrix, full = _MATRICES.get(int.from_bytes(colours[8:10]), BT601), bool(colours[10] & 0x80)
    ranges: dict[str, Any] = {"src_color_range": FULL if full else LIMITED, "dst_color_range": FULL}
    ranges |= {"interpolation": POINT, "threads": 1}  # a locked worker starts none
    if grey:
        return np.asarray(frame.reformat(format="gray", **ranges).to_ndarray())
    return np.asarray(
        frame.reformat(format="rgb24", src_colorspace=matrix, dst_colorspace=matrix, **ranges).to_ndarray()
    )


def _transformed(pixels: Pixels, box: _bmff.Box) -> Pixels:
    """One transforming property applied; the file has them in the order in which they count."""
    match box.kind, len(box.body):
        case b"irot", 1:
            return np.rot90(pixels, box.body[0] & 3)  # anti-clockwise
        case b"imir", 1:
            return pixels[:, ::-1] if box.body[0] & 1 else pixels[::-1]
        case b"clap", 32:
            wide, high, x, y = (above / below for above, below in struct.iter_unpack(">iI", box.body) if below)
            top, left = (pixels.shape[0] - high) / 2 + y, (pixels.shape[1] - wide) / 2 + x
            if min(top, left) < 0 or min(wide, high) < 1:
                return pixels
            return pixels[round(top) : round(top + high), round(left) : round(left + wide)]
    return pixels
