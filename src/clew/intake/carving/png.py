"""PNG: chunks, each with its CRC (W3C PNG specification, third edition, section 5), and the zlib stream that the data
chunks hold together: a CRC proves its own chunk, the stream that the chunks are of one picture.
"""

import struct
import zlib

from clew.intake.carving.view import BLOCK, Broken, Verdict, View

SIGNATURE = b"\x89PNG\r\n\x1a\n"
MOST_CHUNK = 256 << 20  # bytes
MOST_CHUNKS = 200_000
MOST_EXPANDED = 1 << 30  # bytes of pixels that are unpacked
UNFIT = "its picture data does not fit together"


class _Pixels:
    """The zlib stream of a picture, unpacked and thrown away."""

    def __init__(self) -> None:
        self._inflater = zlib.decompressobj()
        self._expanded = 0

    @property
    def given_up(self) -> bool:
        """Whether there was too much of it to unpack."""
        return self._expanded > MOST_EXPANDED

    @property
    def whole(self) -> bool:
        """Whether the stream came to its end, with the right checksum."""
        return self._inflater.eof

    def take(self, data: bytes) -> None:
        """Raises Broken where the data does not go on where the last ended."""
        try:
            while data and not self.given_up and not self._inflater.eof:
                self._expanded += len(self._inflater.decompress(data, BLOCK))
                data = self._inflater.unconsumed_tail
        except zlib.error as error:
            raise Broken(UNFIT) from error


def check(view: View) -> Verdict | None:
    """None where the header chunk is not right."""
    pixels = _Pixels()
    if not _right(view, 8, b"IHDR", 13, pixels):
        return None
    at, kind = 8, b""
    for _ in range(MOST_CHUNKS):
        try:
            at, kind = _step(view, at, pixels)
        except Broken as broken:
            return Verdict(at, "png", str(broken), proved=True, sure=at, broken=(at, at))
        if kind == b"IEND":
            break
        if not kind:
            end = min(at + 12 + (header(view, at)[0] or 0), view.size)
            why = "cut off" if end == view.size else "the checksum of a chunk is wrong"
            return Verdict(end, "png", why, proved=True, sure=at, broken=(at, end))
    why = "" if pixels.whole or pixels.given_up else UNFIT
    return Verdict(at, "png", why if kind == b"IEND" else f"more than {MOST_CHUNKS} chunks", pixels.whole, at)


def _step(view: View, at: int, pixels: _Pixels) -> tuple[int, bytes]:
    """(where the next chunk begins, the type of this one), or the same place and no type where its checksum is wrong.
    Raises Broken where no chunk of this picture begins.
    """
    length, kind = header(view, at)
    if length is None:
        raise Broken("cut off" if at + 8 > view.size else "its chunks break off")
    return (at + 12 + length, kind) if _right(view, at, kind, length, pixels) else (at, b"")


def header(view: View, at: int) -> tuple[int | None, bytes]:
    """(length, type) of the chunk at that place; a length of None where no chunk begins there."""
    head = view.read(at, 8)
    if len(head) < 8 or not head[4:].isalpha():
        return None, b""
    length = int.from_bytes(head[:4], "big")
    return (length, head[4:]) if length <= MOST_CHUNK else (None, b"")


def _right(view: View, at: int, kind: bytes, length: int, pixels: _Pixels) -> bool:
    """Whether a chunk's checksum is right. Raises Broken where it is, but the picture does not go on there."""
    if view.read(at, 8) != struct.pack(">I", length) + kind or at + 12 + length > view.size:
        return False
    crc = zlib.crc32(kind)
    unfit: Broken | None = None
    for chunk in view.chunks(at + 8, length):
        crc = zlib.crc32(chunk, crc)
        if kind == b"IDAT" and unfit is None:
            try:
                pixels.take(chunk)
            except Broken as broken:
                unfit = broken
    right = view.read(at + 8 + length, 4) == struct.pack(">I", crc)
    if right and unfit is not None:
        raise unfit
    return right
