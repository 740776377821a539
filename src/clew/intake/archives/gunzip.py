"""gzip (RFC 1952), so that what was unpacked before a wrong checksum is not lost with it, as zlib's own reader does."""

import struct
import zlib
from dataclasses import dataclass

from clew.intake.archives.members import SECOND

_MAGIC = b"\x1f\x8b\x08"
_FHCRC, _FEXTRA, _FNAME, _FCOMMENT = 2, 4, 8, 16
_MOST_HEADER = 1 << 20  # bytes
_TRAILER = 8


@dataclass(frozen=True, slots=True)
class GzipHeader:
    """What the header of a gzip stream states: a name (b"" for none), a time, and how long it is, in bytes."""

    name: bytes
    modified_ns: int | None
    length: int


def gzip_header(data: bytes) -> GzipHeader | None:
    """The header that `data` begins with (2.3), None where it is not whole. Raises zlib.error where it is none."""
    if data[:3] != _MAGIC[: len(data)]:
        raise zlib.error("no gzip header")
    if len(data) < 10:
        return None
    flags, at = data[3], 10
    if flags & _FEXTRA:
        at += 2 + int.from_bytes(data[at : at + 2], "little")
    name = b""
    for flag in (_FNAME, _FCOMMENT):
        if flags & flag:
            end = data.find(b"\0", at)
            if end < 0:
                at = len(data) + 1
                break
            name = data[at:end] if flag == _FNAME else name
            at = end + 1
    at += 2 if flags & _FHCRC else 0
    if at > len(data):
        return None
    return GzipHeader(name, int.from_bytes(data[4:8], "little") * SECOND or None, at)


class Gunzip:
    """One gzip stream, as a decompressor like those of the standard library."""

    def __init__(self) -> None:
        self.eof = False
        self.unused_data = self.unconsumed_tail = b""
        self._engine = zlib.decompressobj(-15)
        self._head, self._trailer = b"", b""
        self._begun = False
        self._crc = self._size = 0

    def decompress(self, data: bytes, most: int) -> bytes:
        """Up to `most` bytes. Raises zlib.error where the data are damaged, after all that could be unpacked."""
        if not self._begun:
            self._head += data
            found = gzip_header(self._head)
            if found is None:
                if len(self._head) > _MOST_HEADER:
                    raise zlib.error("a gzip header without an end")
                self.unconsumed_tail = b""
                return b""
            self._begun, data = True, self._head[found.length :]
        if not self._engine.eof:
            piece = self._engine.decompress(data, most)
            self._crc, self._size = zlib.crc32(piece, self._crc), self._size + len(piece)
            self.unconsumed_tail = self._engine.unused_data if self._engine.eof else self._engine.unconsumed_tail
            return piece
        self._trailer += data
        self.unconsumed_tail = b""
        if len(self._trailer) >= _TRAILER:
            self.eof, self.unused_data = True, self._trailer[_TRAILER:]
            if struct.unpack_from("<II", self._trailer) != (self._crc, self._size & 0xFFFFFFFF):
                raise zlib.error("the CRC-32 or the length at its end is another than that of its data")
        return b""
