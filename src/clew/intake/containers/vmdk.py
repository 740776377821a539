"""VMDK: sparse, flat and stream-optimised, in one file or in extents that a descriptor names (VMware, Virtual Disk
Format 5.0, 2011).

Packed grains carry the checksum of their zlib stream, others none: flipped bytes of an unpacked grain cannot be
noticed here. Numbers are little-endian.
"""

import re
import struct
import zlib
from array import array
from bisect import bisect_right
from functools import lru_cache
from itertools import accumulate
from typing import NamedTuple

from clew.intake.api import Range
from clew.intake.containers._mapped import (
    SECTOR,
    Locate,
    Mapped,
    Piece,
    damaged,
    length_of,
    numbers,
    pread,
    table,
    unpack,
    unsupported,
)
from clew.intake.containers._unread import of_disk, of_file
from clew.model import Missing, Reason

MAGIC, COWD, DESCRIPTOR = b"KDMV", b"COWD", b"# Disk DescriptorFile"
MOST_TEXT = 1 << 20  # bytes of a descriptor
_HEADER = struct.Struct("<4sIIQQQQIQQQB4sH")
_REDUNDANT, _ZERO_ENTRIES, _PACKED = 2, 4, 1 << 16
_AT_END = (1 << 64) - 1
_KEPT = 64  # tables and unpacked grains held
_MOST_GRAIN = 1 << 20  # bytes
_MOST_COMPARED = 1 << 19  # tables: of 16 TiB as they are made

_EXTENT = re.compile(
    r"^(?:RW|RDONLY|NOACCESS)[ \t]+(?P<sectors>\d{1,18})[ \t]+(?P<kind>\w{1,20})"
    r'(?:[ \t]+"(?P<name>[^"\n]*)"(?:[ \t]+(?P<at>\d{1,18}))?)?',
    re.MULTILINE,
)
_OWN = re.compile(r"^CID[ \t]*=[ \t]*([0-9a-fA-F]{1,8})", re.MULTILINE)
_PARENT = re.compile(r"^parentCID[ \t]*=[ \t]*([0-9a-fA-F]{1,8})", re.MULTILINE)
_PARENT_NAME = re.compile(r'^parentFileNameHint[ \t]*=[ \t]*"([^"\n]*)"', re.MULTILINE)
_NO_PARENT = 0xFFFFFFFF


class Extent(NamedTuple):
    """One stretch of the disk as the descriptor names it: sectors, kind, file, first sector in a flat file."""

    sectors: int
    kind: str
    name: str
    at: int


class Lineage(NamedTuple):
    """The content id of a disk, and id and path of what it is only a difference to; None where there is none."""

    own: int | None
    parent: int | None
    parent_name: str | None


class Header(NamedTuple):
    """What the header of a sparse file says; sizes and places are in sectors."""

    magic: bytes
    version: int
    flags: int
    capacity: int
    grain: int
    text_at: int
    text_length: int
    entries: int
    redundant: int
    directory: int
    overhead: int
    unclean: int
    newlines: bytes
    packing: int


def open_vmdk(descriptors: list[int]) -> Mapped:
    """The image: the first file is the descriptor or the one sparse file, behind it the files that it names, in the
    order of `file_names`. Raises Absent.
    """
    text = descriptor(descriptors[0])
    if text is None:
        return _alone(descriptors[0], "it names no disk that it belongs to")
    if lineage(text).parent is not None:
        way = "`qemu-img convert` beside the others makes one image of all"
        raise unsupported(f"it holds only what differs from another file (a snapshot), which is not read; {way}")
    extents = extents_of(text)
    if pread(descriptors[0], 4, 0) != MAGIC:
        return _joined(extents, dict(zip(file_names(text), descriptors[1:], strict=True)))
    if [each.kind for each in extents] != ["SPARSE"]:
        return _alone(descriptors[0], f"the descriptor in it names {len(extents)} extents that are not all this file")
    return _joined(extents, {extents[0].name: descriptors[0]})


def _alone(file: int, why: str) -> Mapped:
    """What one sparse file holds, whatever it is part of."""
    sparse = _Sparse(file)
    said = Missing(Reason.UNKNOWN, f"{why}: it may be one part of several; take in the file that names them")
    return Mapped(sparse.capacity, sparse.locate, [said, *sparse.said], sparse.differing)


def descriptor(file: int) -> str | None:
    """The text that describes the disk, from its own file or out of a sparse one; None where there is none."""
    head = pread(file, SECTOR, 0)
    if head.startswith(DESCRIPTOR):
        return pread(file, MOST_TEXT, 0).decode("utf-8", "replace")
    if head[:4] == COWD:
        raise unsupported("a sparse extent of an ESX server, which is not read; `vmkfstools -i` or `qemu-img convert`")
    if head[:4] != MAGIC or len(head) < SECTOR:
        raise unsupported("neither a descriptor nor a sparse file of VMware")
    header = Header._make(_HEADER.unpack_from(head))
    length = min(header.text_length * SECTOR, MOST_TEXT)
    if not header.text_at or not length:
        return None
    text = table(file, header.text_at * SECTOR, length, "its descriptor")
    return text.partition(b"\0")[0].decode("utf-8", "replace") or None


def lineage(text: str) -> Lineage:
    """Where the disk of that descriptor comes from."""
    own, parent, name = _OWN.search(text), _PARENT.search(text), _PARENT_NAME.search(text)
    return Lineage(_content_id(own), _content_id(parent), name[1] if name else None)


def _content_id(said: re.Match[str] | None) -> int | None:
    found = int(said[1], 16) if said else _NO_PARENT
    return found if found != _NO_PARENT else None


def extents_of(text: str) -> list[Extent]:
    """The stretches that the descriptor names, in order."""
    return [Extent(int(m["sectors"]), m["kind"].upper(), m["name"] or "", int(m["at"] or 0))
            for m in _EXTENT.finditer(text)]  # fmt: skip


def file_names(text: str) -> list[str]:
    """The files that the extents lie in, each once."""
    return list(dict.fromkeys(each.name for each in extents_of(text) if each.kind != "ZERO"))


def _joined(extents: list[Extent], files: dict[str, int]) -> Mapped:
    """The extents one behind the other."""
    places: list[Locate] = []
    sparse: list[_Sparse] = []
    unread: list[Missing] = []
    flat: dict[str, list[Range]] = {}
    for each in extents:
        match each.kind:
            case "ZERO":
                places.append(lambda _, most: Piece(most))
            case "FLAT" | "VMFS":
                places.append(_flat(files[each.name], each.at * SECTOR))
                flat.setdefault(each.name, []).append((each.at * SECTOR, each.sectors * SECTOR))
            case "SPARSE":
                sparse.append(_Sparse(files[each.name]))
                places.append(sparse[-1].locate)
                unread += of_disk(sparse[-1].disk(), repr(each.name), each.sectors * SECTOR)
            case _:
                raise unsupported(f"an extent of type {each.kind}, which is not read; `qemu-img convert` may help")
    ends = list(accumulate(each.sectors * SECTOR for each in extents))
    if not ends:
        raise damaged("its descriptor names no extents")

    def locate(offset: int, most: int) -> Piece:
        number = bisect_right(ends, offset)
        begin = ends[number - 1] if number else 0
        return places[number](offset - begin, min(most, ends[number] - offset))

    said = [missing for each in sparse for missing in each.said] + unread
    said += [missing for name, read in flat.items() for missing in of_file(files[name], name, read)]
    return Mapped(ends[-1], locate, said, lambda: [missing for each in sparse for missing in each.differing()])


def _flat(file: int, begin: int) -> Locate:
    end = length_of(file)

    def locate(offset: int, most: int) -> Piece:
        left = end - begin - offset
        return Piece(min(most, left), file, begin + offset) if left > 0 else Piece(most, lost=True)

    return locate


class _Sparse:
    """One sparse file: a directory of tables, each with the place of every grain."""

    def __init__(self, file: int) -> None:
        self._file, self._end = file, length_of(file)
        header = Header._make(_HEADER.unpack_from(table(file, 0, SECTOR, "its header")))
        if header.magic == MAGIC and header.directory == _AT_END:  # stream-optimised: the place stands in the footer
            footer = table(file, max(self._end - 2 * SECTOR, 0), SECTOR, "its footer")
            header = Header._make(_HEADER.unpack_from(footer))
        if header.magic != MAGIC or header.directory == _AT_END:
            raise damaged("its header or, at its end, the footer is not whole: the file may be cut")
        self._grain, self._entries = header.grain * SECTOR, header.entries
        if (
            not SECTOR <= self._grain <= _MOST_GRAIN
            or self._grain & (self._grain - 1)
            or not 1 <= self._entries <= 1 << 16
        ):
            raise damaged(f"grains of {self._grain} bytes, {self._entries} to a table")
        self._packed, self._zeros = bool(header.flags & _PACKED), bool(header.flags & _ZERO_ENTRIES)
        if self._packed and header.packing != 1:
            raise unsupported(f"grains packed by method {header.packing}, which is not known here")
        self.capacity = header.capacity * SECTOR
        self._empty = array("I", bytes(4 * self._entries))
        count = -(-self.capacity // (self._grain * self._entries))
        self._directories = [self._directory(header.directory, count)]
        if header.flags & _REDUNDANT and header.redundant not in {0, _AT_END}:
            self._directories.append(self._directory(header.redundant, count))
        self.said: list[Missing] = []
        if header.unclean:
            self.said.append(Missing(Reason.UNKNOWN, "it was not closed properly by the program that wrote it last"))
        self._table = lru_cache(maxsize=_KEPT)(self._read_table)
        self._unpacked = lru_cache(maxsize=_KEPT)(self._unpack)

    def disk(self) -> Mapped:
        """All that the file says that it holds of a disk."""
        return Mapped(self.capacity, self.locate)

    def locate(self, offset: int, most: int) -> Piece:
        """Neighbouring grains that follow each other in the file become one piece."""
        if offset >= self.capacity:  # the descriptor says more than the file does
            return Piece(most, lost=True)
        most = min(most, self.capacity - offset)
        number, inside = divmod(offset, self._grain)
        length = min(most, self._grain - inside)
        entry = self._entry(number)
        if entry is None:
            return Piece(length, lost=True)
        if entry == 0 or (entry == 1 and self._zeros):
            return Piece(length)
        if self._packed:
            data = self._unpacked(number, entry)
            return Piece(length, lost=True) if data is None else Piece(length, data=data[inside : inside + length])
        at = entry * SECTOR
        if at + inside >= self._end:
            return Piece(length, lost=True)
        while length < most and self._entry((offset + length) // self._grain) == entry + (inside + length) // SECTOR:
            length += min(self._grain, most - length)
        return Piece(length, self._file, at + inside)

    def _directory(self, at: int, count: int) -> "array[int]":
        return numbers(table(self._file, at * SECTOR, count * 4, "its grain directory"), "I")

    def _entry(self, number: int) -> int | None:
        """The grain's place in sectors; 0 where it was never written, None where no table can be read that says it.

        The second directory is asked where the first names no place in the file: zeros in a table may be a sector
        that is lost.
        """
        first, second = divmod(number, self._entries)
        never = False
        for directory in self._directories:
            entries = self._table(directory[first]) if directory[first] else self._empty
            entry = None if entries is None else entries[second]
            if entry and entry * SECTOR < self._end:
                return entry
            never |= entry == 0
        return 0 if never else None

    def differing(self) -> list[Missing]:
        """That the two directories do not say the same, as they should in all."""
        if len(self._directories) < 2:
            return []
        pairs = list(zip(*self._directories, strict=True))
        found = [number for number, pair in enumerate(pairs[:_MOST_COMPARED]) if any(pair) and self._differ(*pair)]
        said: list[Missing] = []
        if found:
            place = found[0] * self._entries * self._grain
            why = (
                f"its two directories differ in {len(found):,} of {len(pairs):,} grain tables, first of the bytes from "
                f"{place:,} on: one is damaged; where the first names no place of a grain, the second is believed"
            )
            said.append(Missing(Reason.UNPARSABLE, why))
        if len(pairs) > _MOST_COMPARED:
            why = f"the first {_MOST_COMPARED:,} of {len(pairs):,} grain tables were held against their second copy"
            said.append(Missing(Reason.LIMIT_REACHED, why))
        return said

    def _differ(self, one: int, other: int) -> bool:
        """Whether two tables do, of which either may be none."""
        first, second = (self._read_table(at) if at else self._empty for at in (one, other))
        return first != second

    def _read_table(self, at: int) -> "array[int] | None":
        try:
            data = pread(self._file, self._entries * 4, at * SECTOR)
        except OSError:
            return None
        return numbers(data, "I") if len(data) == self._entries * 4 else None

    def _unpack(self, number: int, entry: int) -> bytes | None:
        """A packed grain: its first sector on the disk, the bytes of its zlib stream, the stream."""
        try:
            marker = pread(self._file, 12, entry * SECTOR)
            sector, length = struct.unpack("<QI", marker)
            if sector * SECTOR != number * self._grain or length > 2 * self._grain + SECTOR:
                return None
            data = unpack(zlib.decompressobj(), pread(self._file, length, entry * SECTOR + 12), self._grain)
        except (OSError, struct.error, zlib.error):
            return None
        wanted = min(self._grain, self.capacity - number * self._grain)
        return data if data is not None and len(data) >= wanted else None
