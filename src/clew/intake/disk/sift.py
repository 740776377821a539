"""Which free clusters of a FAT or exFAT volume may hold entries of a directory that is lost: noted while they are
carved, so that the search for such entries need not read free space a second time.

The Sleuth Kit looks at each sector of free space whose first 32 bytes pass for an entry, and takes every entry there
that passes. Asked for here is less than it asks for (a sector may be noted for nothing, and is none the less judged by
The Sleuth Kit), after Microsoft, FAT32 File System Specification, 2000, "FAT Directory Structure", and exFAT file
system specification, sections 6 and 7.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from clew.intake.api import ByteSource, Range
from clew.intake.carving.view import overlap
from clew.intake.containers._ranges import Ranges
from clew.intake.disk.allocation import Taken
from clew.intake.over import Over

ENTRY = 32  # bytes
MOST = 5_000  # ranges of one stretch of carving
_DIRECTORY = 0x10  # of an entry's attributes
_LONG, _VOLUME, _FOR_FILES, _ATTRIBUTES = 0x0F, 0x08, 0x31, 0x3F
_FIRST_PART, _DELETED = 0x4F, 0xE5  # of a long name: the highest number of a part, and the mark of a deleted one
_LOWER_CASE, _TENTHS = 0x18, 200
_TIMES = np.uint64(0xFFFF << 48)  # of bytes 8 to 15: the time of birth
_FILE, _STREAM, _NAME = 0x05, 0x40, 0x41  # exFAT, without the in-use bit
_LEAST_SECONDARY, _MOST_SECONDARY = 2, 18
_REACH = 2  # further sectors that the entries of one exFAT file may go on into: it has up to 19

Entries = NDArray[np.uint8]  # (sector, entry, byte)
Marks = NDArray[np.bool_]


class Volume(Protocol):
    """What is asked of a file system here."""

    family: str
    offset: int  # bytes
    block: int  # bytes of a sector
    taken: Taken | None


class Sieve(Over):
    """A ByteSource that gives the bytes of another one and notes what went through: `passed` are the ranges that were
    looked at, `found` those of clusters that may hold lost entries. What could not be read was not looked at.
    """

    def __init__(self, source: ByteSource, volume: Volume, taken: Taken) -> None:
        super().__init__(source)
        self._volume, self._taken = volume, taken
        self.passed, self.found = Ranges(most=MOST), Ranges(most=MOST)

    def read(self, offset: int, length: int) -> bytes:
        """Up to `length` bytes from `offset`."""
        data = self.source.read(offset, length)
        sector = self._volume.block
        lost = overlap([(offset, len(data))], self.source.bad)
        if not lost and (offset - self._volume.offset) % sector == 0:
            sectors = len(data) // sector
            self.passed.add(offset, sectors * sector)
            entries = np.frombuffer(data, np.uint8, sectors * sector).reshape(sectors, sector // ENTRY, ENTRY)
            marked, reach = _LOOKS[self._volume.family](entries)
            for each in np.flatnonzero(marked).tolist():
                self.found.add(*self._clusters(offset + each * sector, reach))
        return data

    def _clusters(self, offset: int, reach: int) -> Range:
        """The clusters that hold the sector at `offset` and so many after it."""
        base, sector = self._volume.offset, self._volume.block
        first, last = (self._taken.boundary((offset - base) // sector + more) for more in (0, reach))
        return base + first * sector, (last + self._taken.cluster - first) * sector


def _fat(entries: Entries) -> tuple[Marks, int]:
    """Which sectors The Sleuth Kit may find an entry in: the first one passes, and one that is no long name."""
    attributes = entries[:, :, 11]
    long = attributes & _LONG == _LONG
    first = entries[:, 0, 0]
    words = entries.view("<u8")
    short = (attributes & ~np.uint8(_ATTRIBUTES) == 0) & (entries[:, :, 12] & ~np.uint8(_LOWER_CASE) == 0) & ~long
    short &= (attributes & _VOLUME == 0) | (attributes & _FOR_FILES == 0)
    short &= entries[:, :, 13] <= _TENTHS
    short &= (words[:, :, 1] & _TIMES) | words[:, :, 2] | words[:, :, 3] != 0
    begins = np.where(long[:, 0], (first <= _FIRST_PART) | (first == _DELETED), short[:, 0])
    marked: Marks = begins & short.any(axis=1)
    return marked, 0


def _exfat(entries: Entries) -> tuple[Marks, int]:
    """The same for exFAT: the first entry is of a file's set, and one begins such a set."""
    kinds, secondary = entries[:, :, 0] & 0x7F, entries[:, :, 1]
    files = (kinds == _FILE) & (secondary >= _LEAST_SECONDARY) & (secondary <= _MOST_SECONDARY)
    begins = files[:, 0] | (kinds[:, 0] == _STREAM) | (kinds[:, 0] == _NAME)
    marked: Marks = begins & files.any(axis=1)
    return marked, _REACH


_LOOKS: dict[str, Callable[[Entries], tuple[Marks, int]]] = {"FAT": _fat, "exFAT": _exfat}


def looks(family: str) -> bool:
    """Whether lost entries are searched for in free space on such a file system."""
    return family in _LOOKS


class Sifted(Over):
    """A ByteSource that gives the bytes of another one, but for free clusters in `passed` outside `found`, which are
    not read again: they come as zeros. Both are in order and do not overlap. Entries whose attributes lie at the image
    offsets `plain`, in order, are no directories in it. What lies in `foreign` comes as zeros, too.
    """

    def __init__(
        self,
        source: ByteSource,
        volume: Volume,
        taken: Taken,
        passed: Sequence[Range],
        found: Sequence[Range],
        plain: Sequence[int] = (),
        foreign: Sequence[Range] = (),
    ) -> None:
        super().__init__(source)
        self._volume, self._taken = volume, taken
        self._passed, self._found, self._plain, self._foreign = passed, found, plain, foreign

    def read(self, offset: int, length: int) -> bytes:
        """Up to `length` bytes from `offset`."""
        end = min(offset + length, self.size)
        if end <= offset:
            return b""
        parts: list[bytes] = []
        for start, stop, blank in self._stretches(offset, end):
            part = bytes(stop - start) if blank else self.source.read(start, stop - start)
            parts.append(part)
            if len(part) < stop - start:
                break
        data = bytearray().join(parts)
        for place in self._plain[bisect_left(self._plain, offset) : bisect_left(self._plain, offset + len(data))]:
            data[place - offset] &= ~_DIRECTORY
        return bytes(data)

    def _stretches(self, offset: int, end: int) -> Iterator[tuple[int, int, bool]]:
        """(from, to, whether it need not be read) of all between `offset` and `end`."""
        base, sector = self._volume.offset, self._volume.block
        first, last = (offset - base) // sector, -((base - end) // sector)
        blank = np.zeros(last - first, np.bool_)
        _mark(blank, self._passed, base + first * sector, sector, True)
        _mark(blank, self._found, base + first * sector, sector, False)
        known = max(first, 0)
        blank[: known - first] = False
        if blank.any():
            blank[known - first :] &= ~self._taken.used(known, last - known)
        _mark(blank, self._foreign, base + first * sector, sector, True)
        edges = [0, *(np.flatnonzero(blank[1:] != blank[:-1]) + 1).tolist(), last - first]
        for here, after in pairwise(edges):
            start, stop = base + (first + here) * sector, base + (first + after) * sector
            yield max(start, offset), min(stop, end), bool(blank[here])


def _mark(blank: Marks, ranges: Sequence[Range], start: int, sector: int, value: bool) -> None:
    """Sets those sectors from image offset `start` on that lie wholly in one of `ranges`."""
    end = start + len(blank) * sector
    for at in range(max(bisect_right(ranges, (start, 1 << 63)) - 1, 0), len(ranges)):
        where, length = ranges[at]
        if where >= end:
            break
        first, last = -((start - where) // sector), (where + length - start) // sector
        blank[max(first, 0) : max(last, 0)] = value
