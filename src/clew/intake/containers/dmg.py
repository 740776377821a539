"""Apple disk image (UDIF, .dmg). Apple publishes no specification; the layout is the one that libmodi documents
(https://github.com/libyal/libmodi, Mac OS disk image types).

A trailer names an XML property list, its "blkx" tables name for each stretch of the disk how and where it is packed.
zlib and bzip2 streams carry checksums of their own; those that Apple keeps of whole tables are not looked at, so that
flipped bytes of what is not packed cannot be noticed here. Numbers are big-endian.
"""

import bz2
import lzma
import plistlib
import struct
import zlib
from bisect import bisect_right
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple
from xml.parsers.expat import ExpatError

import pymodi

from clew.core.absent import Absent
from clew.intake.containers._mapped import SECTOR, Mapped, Piece, damaged, length_of, pread, table, unpack, unsupported
from clew.intake.containers.fileobject import FileObject
from clew.intake.containers.raw import Raw
from clew.model import Missing, Reason

TRAILER, ENCRYPTED = b"koly\0\0\0\4\0\0\2\0", b"encrcdsa"  # the trailer: version 4, of 512 bytes
_TRAILER = struct.Struct(">4sIIIQQQQQII16s")
_XML_AT, _SECTORS_AT = 216, 492
_CHUNK = struct.Struct(">IIQQQQ")
_FIRST_CHUNK = 204  # byte of a table
_ZERO, _RAW, _IGNORE, _COMMENT, _END = 0, 1, 2, 0x7FFFFFFE, 0xFFFFFFFF
_ADC, _ZLIB, _BZIP2, _LZFSE, _LZMA = range(0x80000004, 0x80000009)
_STREAMS: dict[int, Callable[[], Any]] = {
    _ZLIB: zlib.decompressobj, _BZIP2: bz2.BZ2Decompressor, _LZMA: lzma.LZMADecompressor,
}  # fmt: skip
_MOST_CHUNK = 16 << 20  # bytes that one chunk may unpack to
_MOST_CHUNKS = 4 << 20
_KEPT = 4  # unpacked chunks held
_BROKEN = (OSError, EOFError, ValueError, IndexError, struct.error, zlib.error, lzma.LZMAError)


class Chunk(NamedTuple):
    """One stretch of the disk: bytes from `start` on, packed in a manner into bytes of the file."""

    start: int
    length: int
    kind: int
    at: int
    packed: int


def open_dmg(descriptors: list[int]) -> Mapped:
    """The image. Raises Absent where it is damaged, encrypted or one part of several."""
    file = descriptors[0]
    if pread(file, 8, 0) == ENCRYPTED:
        way = "`hdiutil attach` on a Mac with the passphrase, then take in the opened disk"
        raise Absent(Missing(Reason.ENCRYPTED, f"an encrypted Apple disk image; {way}"))
    end = length_of(file)
    raw = table(file, max(end - SECTOR, 0), SECTOR, "its trailer")
    fields = _TRAILER.unpack_from(raw)
    if not raw.startswith(TRAILER):
        raise damaged("its trailer is not at the end: the file may be cut")
    if fields[10] > 1:
        raise unsupported(f"part {fields[9]} of {fields[10]} of an Apple disk image, which is not read in parts")
    xml_at, xml_length = struct.unpack_from(">QQ", raw, _XML_AT)
    if not xml_length:
        raise unsupported("an Apple disk image of the old kind, without a property list, which is not read")
    chunks = _chunks(table(file, xml_at, xml_length, "its property list"), fields[5])
    size = max(
        struct.unpack_from(">Q", raw, _SECTORS_AT)[0] * SECTOR, max((c.start + c.length for c in chunks), default=0)
    )
    return Mapped(size, _Chunks(file, chunks, size).locate)


def _chunks(xml: bytes, fork: int) -> list[Chunk]:
    """Every stretch that the tables name, in order. Raises Absent."""
    try:
        tables = [bytes(each["Data"]) for each in plistlib.loads(xml)["resource-fork"]["blkx"]]
        found = [chunk for each in tables for chunk in _table(each, fork)]
    except (*_BROKEN, ExpatError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise damaged(f"its tables make no sense ({type(error).__name__})") from error
    return sorted(found)


def _table(raw: bytes, fork: int) -> list[Chunk]:
    magic, _, first, _, data_at = struct.unpack_from(">4sIQQQ", raw)
    count = struct.unpack_from(">I", raw, 200)[0]
    if magic != b"mish" or count > _MOST_CHUNKS:
        raise ValueError("no table of chunks")
    found = []
    for number in range(count):
        kind, _, sector, sectors, at, packed = _CHUNK.unpack_from(raw, _FIRST_CHUNK + number * _CHUNK.size)
        if kind not in {_COMMENT, _END} and sectors:
            begin = (first + sector) * SECTOR
            found.append(Chunk(begin, sectors * SECTOR, kind, fork + data_at + at, packed))
    return found


class _Chunks:
    """Where each stretch lies."""

    def __init__(self, file: int, chunks: list[Chunk], size: int) -> None:
        self._file, self._all, self._size, self._end = file, chunks, size, length_of(file)
        self._starts = [each.start for each in chunks]
        self._unpacked = lru_cache(maxsize=_KEPT)(self._unpack)
        self._libmodi: Any = None

    def locate(self, offset: int, most: int) -> Piece:
        """One chunk, or what is asked of it; what no chunk names was never written to the file and is lost."""
        number = bisect_right(self._starts, offset) - 1
        after = self._starts[number + 1] if number + 1 < len(self._starts) else self._size
        if number < 0 or offset >= self._all[number].start + self._all[number].length:
            return Piece(min(most, after - offset), lost=True)
        chunk = self._all[number]
        inside = offset - chunk.start
        length = min(most, chunk.length - inside)
        if chunk.kind in {_ZERO, _IGNORE}:
            return Piece(length)
        if chunk.kind == _RAW:
            left = min(length, chunk.packed - inside, self._end - chunk.at - inside)
            return Piece(left, self._file, chunk.at + inside) if left > 0 else Piece(length, lost=True)
        data = self._unpacked(chunk)
        return Piece(length, lost=True) if data is None else Piece(length, data=data[inside : inside + length])

    def _unpack(self, chunk: Chunk) -> bytes | None:
        if max(chunk.length, chunk.packed) > _MOST_CHUNK:
            return None
        try:
            if chunk.kind == _LZFSE:
                data = self._by_libmodi(chunk)
            else:
                data = _unpacked(chunk, pread(self._file, chunk.packed, chunk.at))
        except _BROKEN:
            return None
        return data if data is not None and len(data) == chunk.length else None

    def _by_libmodi(self, chunk: Chunk) -> bytes | None:
        """LZFSE, which nothing else here unpacks. Raises OSError."""
        if self._libmodi is None:
            self._behind = FileObject(Raw([self._file]))
            self._libmodi = pymodi.handle()
            self._libmodi.open_file_object(self._behind)
        self._behind.failed = False
        data = bytes(self._libmodi.read_buffer_at_offset(chunk.length, chunk.start))
        return None if self._behind.failed else data


def _unpacked(chunk: Chunk, packed: bytes) -> bytes | None:
    """The bytes of a packed chunk; None for a manner that is not known. Raises one of `_BROKEN`."""
    if chunk.kind == _ADC:
        return _adc(packed, chunk.length)
    if chunk.kind not in _STREAMS:
        return None
    return unpack(_STREAMS[chunk.kind](), packed, chunk.length)


def _adc(packed: bytes, length: int) -> bytes:
    """Apple Data Compression: literals, and copies of what came before, one to three bytes of command each."""
    found, at = bytearray(), 0
    while at < len(packed) and len(found) < length:
        command = packed[at]
        if command & 0x80:
            count = (command & 0x7F) + 1
            found += packed[at + 1 : at + 1 + count]
            at += 1 + count
            continue
        if command & 0x40:
            count, back, at = (command & 0x3F) + 4, packed[at + 1] << 8 | packed[at + 2], at + 3
        else:
            count, back, at = (command >> 2 & 0x0F) + 3, (command & 3) << 8 | packed[at + 1], at + 2
        if back >= len(found):
            raise ValueError("a copy from before the beginning")
        for _ in range(count):
            found.append(found[-back - 1])
    return bytes(found[:length])
