"""JPEG: markers and segments (ITU-T T.81, Annex B), entropy-coded data up to the next marker, then a strict decode.

The decode tells most pictures from the head of one and the tail of another: both have valid markers, but the number of
blocks that libjpeg counts seldom fits by chance. It proves nothing: one in fourteen of such joins decodes to its end,
and what the APP segments hold (camera, time, place) is stepped over. So a whole one is never `proved`. Further images
of a multi-picture file (CIPA DC-007) belong to it too, and so does what telephones append to their pictures.
"""

import re
import struct
from dataclasses import dataclass, field, replace

import simplejpeg

from clew.intake.carving import trailers
from clew.intake.carving.view import Broken, Verdict, View

MOST_DECODED = 64 << 20  # bytes
MOST_PIXELS = 200_000_000
MOST_COEFFICIENTS = 256 << 20  # bytes, which a picture of several scans needs all at once, two a sample
MOST_SEGMENTS = 5_000
MOST_ENTROPY = 256 << 20  # bytes of all scans together
UNDECODED = "its markers are whole, but its picture data is of a kind or size that is not decoded here"
_SOI, _EOI, _SOS, _DRI, _APP2 = 0xD8, 0xD9, 0xDA, 0xDD, 0xE2
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_DECODABLE = {0xC0, 0xC1, 0xC2}  # baseline, extended and progressive Huffman
_ALONE = {_EOI, 0xDC}  # what may follow the only scan of a picture: its end, or its number of lines
_BETWEEN = _ALONE | {0xC4, 0xCC, 0xDB, _SOS, _DRI, 0xFE}  # and what may stand between two scans
_STOP = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]", re.DOTALL)
_RESTART = re.compile(rb"\xff[\xd0-\xd7]")


@dataclass(slots=True)
class _Image:
    """One image as its markers tell it. `why` is "" where it reached its end at byte `end`."""

    end: int
    why: str = ""
    frame: int = 0
    width: int = 0
    height: int = 0
    components: int = 0
    precision: int = 0
    interval: int = 0
    scans: int = 0
    single: bool = False
    entropy: int = 0
    further: list[int] = field(default_factory=list)


def check(view: View) -> Verdict | None:
    """None where there is not even a frame header."""
    image = _image(view, 0)
    if not image.frame:
        return None
    if image.why:
        return Verdict(image.end, "jpg", image.why)
    why = _decoder(view, image, 0)
    if why:
        return Verdict(image.end, "jpg", why)
    end = image.end
    for start in image.further:
        more = _image(view, start)
        if more.frame and not more.why and not _decoder(view, more, start):
            end = max(end, more.end)
        else:
            return Verdict(end, "jpg", "a further image of this multi-picture file is missing or broken")
    found = trailers.with_trailers(view, end)
    return found if found.unread else replace(found, holds=frozenset({"jpeg"}), stores=True)  # thumbnails


def end(view: View) -> int | None:
    """Where a picture ends with its further images, by their markers; None where they break off. Nothing is decoded."""
    image = _image(view, 0)
    if image.why or not image.frame:
        return None
    return max([image.end, *(more.end for start in image.further if not (more := _image(view, start)).why)])


def _image(view: View, start: int) -> _Image:
    image = _Image(start)
    try:
        if view.read(start, 2) != b"\xff\xd8":
            raise Broken("no image begins there")
        _walk(view, image, start)
    except Broken as broken:
        image.why = str(broken)
    return image


def _walk(view: View, image: _Image, start: int) -> None:
    """Up to the end of the image; `image.end` is how far it came where it raises Broken."""
    image.end = start + 2
    for _ in range(MOST_SEGMENTS):
        head = view.read(image.end, 4)
        if len(head) < 2:
            raise Broken("cut off")
        marker = head[1]
        if head[0] != 0xFF or marker == 0 or 0x01 <= marker <= 0xBF or 0xD0 <= marker <= _SOI:
            raise Broken("its markers break off")
        if image.scans and marker != 0xFF and marker not in (_ALONE if image.single else _BETWEEN):
            raise Broken("its picture data breaks off")
        if marker == 0xFF:  # a fill byte
            image.end += 1
            continue
        if marker == _EOI:
            image.end += 2
            if not image.scans:
                raise Broken("it holds no picture data")
            return
        length = int.from_bytes(head[2:4], "big")
        if length < 2 or image.end + 2 + length > view.size:
            raise Broken("cut off" if length >= 2 else "its markers break off")
        _segment(view, image, start, marker, image.end + 4, length - 2)
        image.end += 2 + length
        if marker == _SOS and image.frame:
            _entropy(view, image)
    raise Broken(f"more than {MOST_SEGMENTS} segments")


def _segment(view: View, image: _Image, start: int, marker: int, at: int, length: int) -> None:
    if marker in _FRAMES:
        body = view.read(at, 6)
        if len(body) == 6 and body[0] in {8, 12, 16} and 1 <= body[5] <= 4 and length == 6 + 3 * body[5]:
            image.precision, image.height, image.width, image.components = struct.unpack(">BHHB", body)
            image.frame = marker
    elif marker == _DRI:
        image.interval = int.from_bytes(view.read(at, 2), "big")
    elif marker == _SOS:
        image.scans += 1
        sequential = image.frame in {0xC0, 0xC1, 0xC3, 0xC9, 0xCB}
        image.single = sequential and view.read(at, 1) == bytes([image.components])
    elif marker == _APP2 and view.read(at, 4) == b"MPF\0" and start == 0:
        image.further = _pictures(view.read(at + 4, length - 4), at + 4)


def _entropy(view: View, image: _Image) -> None:
    """Moves `image.end` to the next marker that is no restart. Raises Broken where the data does not lead to one."""
    blocks = (image.width + 15) * (image.height + 15) * max(image.components, 1) // 64
    most = min(MOST_ENTROPY, blocks * 256 + (1 << 16))  # four bytes a sample: no encoder comes near
    carry, expected = b"", 0
    for chunk in view.chunks(image.end, view.size - image.end):
        data = carry + chunk
        stop = _STOP.search(data)
        for restart in _RESTART.finditer(data, 0, stop.start() if stop else len(data)):
            if not image.interval or data[restart.start() + 1] != 0xD0 + expected:
                image.end += restart.start()
                raise Broken("its restart markers are out of order")
            expected = (expected + 1) % 8
        carry = b"" if stop or not data.endswith(b"\xff") else b"\xff"
        passed = stop.start() if stop else len(data) - len(carry)
        image.end, image.entropy = image.end + passed, image.entropy + passed
        if image.entropy > most:
            raise Broken("its picture data goes on beyond what its size can need")
        if stop:
            return
    raise Broken("cut off")


def _decoder(view: View, image: _Image, start: int) -> str:
    """What speaks against the data from `start` on: what the decoder objects to, or that none is for such a JPEG."""
    pixels = image.width * image.height
    known = image.frame in _DECODABLE and image.precision == 8 and image.components in {1, 3, 4}
    known = known and (image.scans == 1 or 2 * pixels * image.components <= MOST_COEFFICIENTS)
    if not known or image.end - start > MOST_DECODED or not 0 < pixels <= MOST_PIXELS:
        return UNDECODED
    space = "CMYK" if image.components == 4 else "GRAY"
    try:
        data = view.read(start, image.end - start)
        simplejpeg.decode_jpeg(data, space, min_height=1, min_width=1, min_factor=8, strict=True)
    except ValueError as error:
        return f"its picture data does not decode cleanly ({str(error)[:100]})"
    return ""


def _pictures(tiff: bytes, base: int) -> list[int]:
    """Where the further images of a multi-picture file begin: tag B002 of the MP index IFD, 16 bytes an image."""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(tiff[:4])
    found: list[int] = []
    try:
        if order is None:
            return found
        (directory,) = struct.unpack_from(f"{order}I", tiff, 4)
        (entries,) = struct.unpack_from(f"{order}H", tiff, directory)
        for number in range(entries):
            tag, _, count, value = struct.unpack_from(f"{order}HHII", tiff, directory + 2 + 12 * number)
            if tag == 0xB002:
                offsets = [struct.unpack_from(f"{order}I", tiff, value + 16 * n + 8)[0] for n in range(count // 16)]
                found += [base + offset for offset in offsets[:64] if offset]
    except struct.error:
        return []
    return found
