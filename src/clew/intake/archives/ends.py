"""Where an archive or a compressed stream ends by its own headers, and whether anything lies behind that.

libarchive 3.6 says nothing of what follows a 7z, rar, cab, lha, zstd, lz4 or lzip, and takes a stream of which it could
not unpack one byte for an empty one. What is hidden or lost there has to be seen by other means.
"""

import struct
from dataclasses import dataclass

from clew.core.absent import Absent
from clew.intake.api import ByteSource
from clew.intake.archives.kinds import CAB, SEVEN_ZIP
from clew.intake.archives.members import CHUNK, exactly, lost

_SEVEN_ZIP_HEAD = 32  # bytes of its signature header (7zFormat.txt); of the end header it states place and size
_ZSTD, _LZ4 = 0xFD2FB528, 0x184D2204  # magics of a frame (RFC 8878, 3.1.1; LZ4 frame format 1.6)
_SKIPPABLE = 0x184D2A50  # of a skippable frame of both, but for its last four bits (RFC 8878, 3.1.2)
_RLE = 1  # type of a zstd block whose one byte is repeated (RFC 8878, 3.1.1.2.2)
_LZIP_TRAILER = struct.Struct(
    "<QQ"
)  # behind the CRC-32: sizes of the data and of the member (lzip manual, file format)
_MOST_BLOCKS = 1_000_000  # of a zstd or lz4 frame that are walked: of 64 KiB and more each, they hold 64 GB
_COMPRESS_HEAD = 3  # bytes of a .Z that holds nothing


@dataclass(frozen=True, slots=True)
class Extent:
    """How many bytes of the source a compressed stream takes, and whether nothing comes out of them."""

    end: int
    empty: bool


def anything_behind(source: ByteSource, end: int) -> bool:
    """Whether anything but zeros lies behind byte `end`. Raises Absent where it cannot be read."""
    while piece := source.read(end, CHUNK):
        if piece.strip(b"\0"):
            return True
        end += len(piece)
    return False


def of_archive(source: ByteSource, name: str) -> int | None:
    """Where a 7z or a cab (MS-CAB 2.1, cbCabinet) ends; None for others, and where the header is cut."""
    if name not in {SEVEN_ZIP, CAB}:
        return None
    head = source.read(0, _SEVEN_ZIP_HEAD)
    if len(head) < _SEVEN_ZIP_HEAD:
        return None
    if name == CAB:
        return int.from_bytes(head[8:12], "little")
    place, size = struct.unpack_from("<QQ", head, 12)
    end = _SEVEN_ZIP_HEAD + int(place) + int(size)
    return end if end <= source.size else None


def of_stream(source: ByteSource, compression: str) -> Extent | None:
    """The extent of all frames in a row; None where the headers make no sense, or are of a kind that states no end."""
    try:
        match compression:
            case "zstd" | "lz4":
                return _frames(source)
            case "lzip":
                data, member = _LZIP_TRAILER.unpack(exactly(source, source.size - _LZIP_TRAILER.size, 16))
                return Extent(source.size, data == 0) if member == source.size else None
            case "compress" if len(source.read(0, _COMPRESS_HEAD + 1)) == _COMPRESS_HEAD:
                return Extent(_COMPRESS_HEAD, empty=True)
    except Absent:
        pass
    return None


def _frames(source: ByteSource) -> Extent | None:
    at, empty = 0, True
    while len(head := source.read(at, 8)) >= 4:
        magic = int.from_bytes(head[:4], "little")
        if magic == _ZSTD:
            found = _zstd(source, at + 4)
        elif magic == _LZ4:
            found = _lz4(source, at + 4)
        elif magic & ~0xF == _SKIPPABLE and len(head) == 8:
            found = Extent(at + 8 + int.from_bytes(head[4:], "little"), empty=True)
        else:
            break
        if found.end > source.size:
            return None
        at, empty = found.end, empty and found.empty
    return Extent(at, empty) if at else None


def _zstd(source: ByteSource, at: int) -> Extent:
    """One frame from its descriptor on. Raises Absent where it is cut."""
    descriptor = exactly(source, at, 1)[0]
    single, dictionary = descriptor >> 5 & 1, (0, 1, 2, 4)[descriptor & 3]
    at += 1 + (1 - single) + dictionary + (single, 2, 4, 8)[descriptor >> 6]
    last, empty, blocks = False, True, 0
    while not last:
        blocks += 1
        if blocks > _MOST_BLOCKS:
            raise lost("more blocks than are walked")
        block = int.from_bytes(exactly(source, at, 3), "little")
        last, size = bool(block & 1), block >> 3
        at, empty = at + 3 + (1 if block >> 1 & 3 == _RLE else size), empty and not size
    return Extent(at + (4 if descriptor & 4 else 0), empty)


def _lz4(source: ByteSource, at: int) -> Extent:
    """One frame from its flags on. Raises Absent where it is cut."""
    flags = exactly(source, at, 1)[0]
    at, first = at + 3 + (8 if flags & 8 else 0) + (4 if flags & 1 else 0), True  # flags, block size, header checksum
    while size := int.from_bytes(exactly(source, at, 4), "little") & 0x7FFFFFFF:
        at, first = at + 4 + size + (4 if flags & 16 else 0), False
    return Extent(at + 4 + (4 if flags & 4 else 0), first)
