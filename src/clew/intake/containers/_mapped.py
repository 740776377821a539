"""An image whose container says block by block where its bytes lie: what the readers of such containers share.

A reader names the next stretch of the image as a `Piece`; here it is read. What cannot be had is given as zeros and
named in `bad`: a pointer to a place outside the file, a block that does not unpack, a read error, a file cut short.
"""

import errno
import os
import sys
from array import array
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from clew.core.absent import Absent
from clew.intake.api import Range
from clew.intake.containers._ranges import Ranges
from clew.model import Missing, Reason

SECTOR = 512
MOST_TABLE = 64 << 20  # bytes of one table of pointers that is held in memory

_MOST_OFFSET = (1 << 63) - 1


@dataclass(frozen=True, slots=True)
class Piece:
    """The next `length` bytes of the image: zeros, or what lies at byte `at` of `descriptor`, or `data`, or `lost`."""

    length: int
    descriptor: int | None = None
    at: int = 0
    data: bytes | None = None
    lost: bool = False


# The piece at an offset of the image: at most so many bytes of it, and at least one.
Locate = Callable[[int, int], Piece]


@dataclass(slots=True)
class Mapped:
    """A ByteSource over `locate`. `said` is what a reader of the image must know of its container; `looked`, what else
    shows once all its tables are read.
    """

    size: int
    locate: Locate
    said: list[Missing] = field(default_factory=list)
    looked: Callable[[], list[Missing]] = list
    lost: Ranges = field(default_factory=Ranges)

    @property
    def bad(self) -> list[Range]:
        """What was given as zeros so far."""
        return self.lost.list

    def read(self, offset: int, length: int) -> bytes:
        """Never raises: what cannot be read is named in `bad`."""
        found, end = bytearray(), min(offset + length, self.size)
        while offset < end:
            piece = self.locate(offset, end - offset)
            data = self._bytes(piece, offset)
            found += data
            offset += piece.length
        return bytes(found)

    def _bytes(self, piece: Piece, offset: int) -> bytes:
        if piece.data is not None:
            return piece.data
        if piece.descriptor is not None:
            return self._stored(piece.descriptor, piece.at, piece.length, offset)
        if piece.lost:
            self.lost.add(offset, piece.length)
        return bytes(piece.length)

    def _stored(self, descriptor: int, at: int, length: int, offset: int) -> bytes:
        """Where a read fails, sector by sector: the medium may have lost one of them alone."""
        try:
            data = pread(descriptor, length, at)
        except OSError as error:
            if error.errno != errno.EIO or length <= SECTOR:
                data = b""
            else:
                parts = range(0, length, SECTOR)
                return b"".join(self._stored(descriptor, at + n, min(SECTOR, length - n), offset + n) for n in parts)
        if len(data) < length:
            self.lost.add(offset + len(data), length - len(data))
        return data + bytes(length - len(data))


def pread(descriptor: int, length: int, at: int) -> bytes:
    """Up to `length` bytes, fewer only where the file ends; none beyond what a file can hold. Raises OSError."""
    if at + length > _MOST_OFFSET:
        return b""
    data = os.pread(descriptor, length, at)
    while data and len(data) < length:
        more = os.pread(descriptor, length - len(data), at + len(data))
        if not more:
            break
        data += more
    return data


def length_of(descriptor: int) -> int:
    """Bytes of a held file or device."""
    return os.lseek(descriptor, 0, os.SEEK_END)


def table(descriptor: int, at: int, length: int, what: str) -> bytes:
    """A table of the container, whole. Raises Absent where it is cut, unreadable or beyond what is held in memory."""
    if length > MOST_TABLE:
        raise Absent(Missing(Reason.LIMIT_REACHED, f"{what} of {length:,} bytes, where {MOST_TABLE:,} are held"))
    try:
        data = pread(descriptor, length, at)
    except OSError as error:
        raise damaged(f"{what} cannot be read ({error})") from error
    if len(data) < length:
        raise damaged(f"{what} lies outside the file")
    return data


def numbers(raw: bytes, kind: str, *, big: bool = False) -> "array[int]":
    """A table of "I" (32 bits) or "Q" (64 bits), little-endian or big, held as compactly as it lies in the file."""
    found = array(kind, raw)
    if big != (sys.byteorder == "big"):
        found.byteswap()
    return found


def unpack(stream: Any, packed: bytes, most: int) -> bytes | None:
    """What a decompressor of zlib, bz2 or lzma makes of a whole stream of up to `most` bytes; None where it is longer,
    cut, or its checksum does not hold. Raises the decompressor's own errors.
    """
    data: bytes = stream.decompress(packed, most)
    more = b"" if stream.eof else stream.decompress(getattr(stream, "unconsumed_tail", b""), 1)  # reads the checksum
    return data if stream.eof and not more else None


def damaged(why: str) -> Absent:
    """The container cannot be opened because its own structure is damaged."""
    return Absent(Missing(Reason.UNPARSABLE, f"the container is damaged: {why}"))


def unsupported(why: str) -> Absent:
    """The container is of a kind that is not read."""
    return Absent(Missing(Reason.UNKNOWN, why))
