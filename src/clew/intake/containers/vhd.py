"""VHD: fixed, dynamic, and differencing (Microsoft, Virtual Hard Disk Image Format Specification 1.0, 2006).

Header and footer carry a checksum, blocks do not: flipped bytes of a block cannot be noticed here. Numbers are
big-endian.
"""

import struct
from functools import lru_cache
from typing import NamedTuple

from clew.intake.containers._mapped import SECTOR, Mapped, Piece, damaged, length_of, numbers, pread, table, unsupported
from clew.intake.containers._unread import of_file
from clew.model import Missing, Reason

COOKIE = b"conectix"
FIXED, DYNAMIC, DIFFERENCING = 2, 3, 4
_FOOTER = struct.Struct(">8sIIQI4sI4sQQ4sII16sB")
_HEADER = struct.Struct(">8sQQIIII16sII512s")
_UNUSED = 0xFFFFFFFF
_KEPT = 256  # sector bitmaps held


class Footer(NamedTuple):
    """What the footer says: where the header lies, the size of the disk, its kind, its id. `whole`: its checksum
    holds.
    """

    header_at: int
    size: int
    kind: int
    identifier: bytes
    saved: int
    whole: bool


class Header(NamedTuple):
    """What the header of a dynamic disk says: its table of blocks, and the parent of a differencing one."""

    table_at: int
    entries: int
    block: int
    parent: bytes
    parent_name: str
    whole: bool


def open_vhd(descriptors: list[int]) -> Mapped:
    """The image in the first file; those behind it are its parent, the parent's parent and so on. Raises Absent."""
    above: tuple[Mapped, Footer] | None = None
    for file in reversed(descriptors):
        above = _open(file, above)
    if above is None:
        raise unsupported("no file at all")
    return above[0]


def footer(file: int) -> Footer:
    """From the footer, or its copy at the beginning where that is damaged. Raises Absent where there is neither."""
    end = length_of(file)
    found = []
    for at in (end - SECTOR, 0, end - SECTOR + 1):  # the last: Virtual PC before 2004 wrote 511 bytes
        raw = pread(file, SECTOR, max(at, 0)).ljust(SECTOR, b"\0")
        fields = _FOOTER.unpack_from(raw)
        if fields[0] == COOKIE:
            whole = fields[12] == _checksum(raw, 64)
            found.append(Footer(fields[3], fields[9], fields[11], fields[13], fields[14], whole))
    if not found:
        raise damaged("it has neither a footer nor the copy of it")
    return next((each for each in found if each.whole), found[0])


def parent_name(file: int) -> str | None:
    """The path of the file that a differencing disk is a difference to; None for any other. Raises Absent."""
    said = footer(file)
    return _header(file, said.header_at).parent_name if said.kind == DIFFERENCING else None


def _header(file: int, at: int) -> Header:
    raw = table(file, at, 1024, "its header")
    fields = _HEADER.unpack_from(raw)
    if fields[0] != b"cxsparse":
        raise damaged("it has no header where its footer says")
    name = fields[10].decode("utf-16-be", "replace").partition("\0")[0]
    return Header(fields[2], fields[4], fields[5], fields[7], name, fields[6] == _checksum(raw, 36))


def _checksum(raw: bytes, at: int) -> int:
    return ~(sum(raw) - sum(raw[at : at + 4])) & 0xFFFFFFFF


def _open(file: int, above: tuple[Mapped, Footer] | None) -> tuple[Mapped, Footer]:
    said = footer(file)
    if said.kind == FIXED:
        there = length_of(file) - SECTOR
        notes = _notes(said, None) + of_file(file, None, [(0, said.size)], there)
        return Mapped(said.size, lambda offset, most: _fixed(file, there, offset, most), notes), said
    if said.kind not in {DYNAMIC, DIFFERENCING}:
        raise unsupported(f"a VHD of type {said.kind}, which is not known here")
    header = _header(file, said.header_at)
    if said.kind == DYNAMIC:
        return Mapped(said.size, _Blocks(file, header, said.size, None).locate, _notes(said, header)), said
    if above is None:
        raise unsupported(f"it holds only what differs from {header.parent_name!r}, which is not beside it")
    parent, parent_said = above
    notes = [*parent.said, *_notes(said, header)]
    if header.parent != parent_said.identifier:
        notes.append(Missing(Reason.UNPARSABLE, "the parent beside it is not the one it was made for (another id)"))
    return Mapped(said.size, _Blocks(file, header, said.size, parent).locate, notes), said


def _notes(said: Footer, header: Header | None) -> list[Missing]:
    notes = []
    if not said.whole or (header is not None and not header.whole):
        notes.append(Missing(Reason.UNPARSABLE, "the checksum of its footer or header does not hold; read as it says"))
    if said.saved:
        notes.append(Missing(Reason.UNKNOWN, "the machine's memory was saved with it; only the disk is read"))
    return notes


def _fixed(file: int, there: int, offset: int, most: int) -> Piece:
    if offset >= there:
        return Piece(most, lost=True)
    return Piece(min(most, there - offset), file, offset)


class _Blocks:
    """Where each block lies. In a differencing disk a bitmap before each block says which sectors are its own."""

    def __init__(self, file: int, header: Header, size: int, above: Mapped | None) -> None:
        self._block = header.block
        if not self._block or self._block % SECTOR or header.entries * self._block < size:
            raise damaged("its table of blocks is too short for its size")
        self._file, self._above, self._end = file, above, length_of(file)
        self._bitmap_bytes = -(-self._block // SECTOR // 8 // SECTOR) * SECTOR
        raw = table(file, header.table_at, header.entries * 4, "its table of blocks")
        self._table = numbers(raw, "I", big=True)
        self._bitmap = lru_cache(maxsize=_KEPT)(self._read_bitmap)

    def locate(self, offset: int, most: int) -> Piece:
        """A block, or in a differencing disk the sectors of it that have one owner."""
        number, inside = divmod(offset, self._block)
        length = min(most, self._block - inside)
        if self._table[number] == _UNUSED:
            return self._from_above(offset, length)
        at = self._table[number] * SECTOR
        begin = at + self._bitmap_bytes + inside
        if begin >= self._end:
            return Piece(length, lost=True)
        if self._above is None:
            return Piece(length, self._file, begin)
        bitmap = self._bitmap(at)
        if len(bitmap) < self._bitmap_bytes:
            return Piece(length, lost=True)
        own, length = _stretch(bitmap, inside, length)
        return Piece(length, self._file, begin) if own else self._from_above(offset, length)

    def _from_above(self, offset: int, length: int) -> Piece:
        if self._above is None or offset >= self._above.size:
            return Piece(length)
        return self._above.locate(offset, min(length, self._above.size - offset))

    def _read_bitmap(self, at: int) -> bytes:
        try:
            return pread(self._file, self._bitmap_bytes, at)
        except OSError:
            return b""


def _stretch(bitmap: bytes, inside: int, length: int) -> tuple[bool, int]:
    """Whether the sector at `inside` is the block's own, and for how many bytes from there that stays so."""
    sector, end = inside // SECTOR, -(-(inside + length) // SECTOR)
    own, at = _bit(bitmap, sector), sector + 1
    while at < end and _bit(bitmap, at) == own:
        at += 1
    return own, min(length, at * SECTOR - inside)


def _bit(bitmap: bytes, number: int) -> bool:
    return bool(bitmap[number // 8] >> (7 - number % 8) & 1)
