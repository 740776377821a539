"""QCOW2, versions 2 and 3 (https://qemu.org/docs/master/interop/qcow2.html).

A table of two levels names the cluster of the file that holds each cluster of the image. Nothing in it is a checksum:
flipped bytes of an uncompressed cluster cannot be noticed here. Numbers are big-endian.
"""

import struct
import zlib
from array import array
from functools import lru_cache

from clew.core.absent import Absent
from clew.intake.containers._mapped import Mapped, Piece, damaged, length_of, numbers, pread, table, unsupported
from clew.model import Missing, Reason

MAGIC = b"QFI\xfb"
_HEADER = struct.Struct(">4sIQIIQIIQQIIQ")
_COMPRESSED, _OFFSET, _ZERO = 1 << 62, 0x00FFFFFFFFFFFE00, 1
_DIRTY, _CORRUPT, _DATA_FILE, _COMPRESSION, _EXTENDED = 1, 2, 4, 8, 16
_KEPT = 16  # tables and unpacked clusters held


def open_qcow(descriptors: list[int]) -> Mapped:
    """The image as it stands now. Raises Absent where it is damaged, encrypted, or only a difference to another
    file.
    """
    file = descriptors[0]
    head = table(file, 0, _HEADER.size, "its header")
    magic, version, _, _, bits, size, crypt, entries, at, _, _, snapshots, _ = _HEADER.unpack(head)
    if magic != MAGIC or version not in {2, 3} or not 9 <= bits <= 21:
        raise unsupported(f"a QCOW file of version {version} with clusters of 2^{bits} bytes, which is not read")
    said = _refuse(file, crypt, version)
    if snapshots:
        kept = (
            f"{snapshots} earlier states of the disk are kept inside (internal snapshots); only the present one is read"
        )
        said.append(
            Missing(Reason.UNKNOWN, f"{kept}: `qemu-img convert -l NAME` writes one out as an image of its own")
        )
    if size > (entries << (2 * bits - 3)):
        raise damaged("its first table is too short for its size")
    clusters = _Clusters(file, bits, table(file, at, entries * 8, "its first table"))
    return Mapped(size, clusters.locate, said)


def backing_name(file: int) -> str | None:
    """The path of the file that an image is only a difference to; None for any other. Raises Absent."""
    _, _, at, length = struct.unpack(">4sIQI", table(file, 0, 20, "its header"))
    return pread(file, min(length, 1023), at).decode("utf-8", "replace") if at else None


def _refuse(file: int, crypt: int, version: int) -> list[Missing]:
    """What stands in the way of reading it, raised; what does not, said."""
    if crypt:
        way = "`qemu-img convert` with the passphrase makes a raw image of it"
        raise Absent(Missing(Reason.ENCRYPTED, f"QCOW2 with {'AES' if crypt == 1 else 'LUKS'} encryption; {way}"))
    if (name := backing_name(file)) is not None:
        way = "`qemu-img convert` beside it makes one image of both"
        raise unsupported(f"it holds only what differs from another file, {name!r}, which is not read; {way}")
    if version == 2:
        return []
    features, _, _, _, _, compression = struct.unpack(">QQQIIB", table(file, 72, 33, "its header"))
    if features & _DATA_FILE:
        raise unsupported("its data lie in another file (external data file), which is not read")
    if features & _EXTENDED:
        raise unsupported("it has subclusters (extended L2 entries), which are not read; `qemu-img convert` helps")
    if features & _COMPRESSION and compression:
        raise unsupported("its clusters are packed with zstd, which is not read; `qemu-img convert` helps")
    if features & ~(_DIRTY | _CORRUPT | _COMPRESSION):
        raise unsupported(f"it uses features that are not known here ({features:#x})")
    if features & _CORRUPT:
        return [Missing(Reason.UNPARSABLE, "it is marked as corrupt by the program that wrote it last")]
    return []


class _Clusters:
    """Where each cluster lies."""

    def __init__(self, file: int, bits: int, first: bytes) -> None:
        self._file, self._bits, self._size = file, bits, 1 << bits
        self._first = numbers(first, "Q", big=True)
        self._end = length_of(file)
        self._second = lru_cache(maxsize=_KEPT)(self._read_second)
        self._unpacked = lru_cache(maxsize=_KEPT)(self._unpack)

    def locate(self, offset: int, most: int) -> Piece:
        """Neighbouring clusters that follow each other in the file become one piece."""
        number, inside = divmod(offset, self._size)
        length = min(most, self._size - inside)
        entry = self._entry(number)
        if entry is None:
            return Piece(length, lost=True)
        if entry & _COMPRESSED:
            data = self._unpacked(entry)
            return Piece(length, lost=True) if data is None else Piece(length, data=data[inside : inside + length])
        at = entry & _OFFSET
        if not at or entry & _ZERO:
            return Piece(length)
        if at % self._size or at + inside >= self._end:
            return Piece(length, lost=True)
        while length < most and self._entry((offset + length) >> self._bits) == entry + inside + length:
            length += min(self._size, most - length)
        return Piece(length, self._file, at + inside)

    def _entry(self, number: int) -> int | None:
        """The second table's entry for a cluster; 0 where there is none, None where its table cannot be read."""
        first, second = divmod(number, self._size // 8)
        at = self._first[first] & _OFFSET
        if not at:
            return 0
        entries = self._second(at)
        return None if entries is None else entries[second]

    def _read_second(self, at: int) -> "array[int] | None":
        try:
            data = pread(self._file, self._size, at)
        except OSError:
            return None
        if len(data) < self._size or at % self._size:
            return None
        return numbers(data, "Q", big=True)

    def _unpack(self, entry: int) -> bytes | None:
        """A packed cluster: a raw deflate stream that begins anywhere and is told in sectors of the file."""
        width = 62 - (self._bits - 8)
        at, sectors = entry & ((1 << width) - 1), (entry & (_COMPRESSED - 1)) >> width
        try:
            packed = pread(self._file, (sectors + 1) * 512 - at % 512, at)
            data = zlib.decompressobj(-15).decompress(packed, self._size)
        except (OSError, zlib.error):
            return None
        return data if len(data) == self._size else None
