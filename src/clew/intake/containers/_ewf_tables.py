"""The chunk tables of an EWF image: which chunk lies where, and which chunks no table tells of.

Of each table only its place is held; its entries are read when asked for, since those of 29 TB would fill memory.
Format: "Expert Witness Compression Format specification" (J. Metz), sections "Table section", "Table2 section" and
"Table entries offset overflow".
"""

import struct
from array import array
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterator
from typing import NamedTuple

from isal.isal_zlib import adler32

from clew.core.absent import absent
from clew.intake.containers._ewf_segments import LOST, Problems, Section, Segment
from clew.model import Reason

HEADER = struct.Struct("<I4xQ4xI")
MOST_SECTIONS = 1 << 20  # of one image; 29 TB have about 170,000
MOST_TABLES = 1 << 18  # of one image; 29 TB have about 55,000
MOST_ENTRIES = 1 << 22  # of one table; EnCase 6 and later write up to 65,534
MOST_HELD = 1 << 22  # entries held at a time, of 4 bytes
_LOW, _COMPRESSED = 0x7FFFFFFF, 0x80000000
_DAMAGED = "a damaged table"


class Table(NamedTuple):
    """One table: its segment (by position), its chunks, the byte its entries count from, and where these begin, and
    those of its mirror.
    """

    segment: int
    chunks: int
    base: int
    copies: tuple[int, ...]


class Entries:
    """The entries of one table as they stand there; -1 for one that cannot be trusted.

    From `overflow` on, all 32 bits of an entry are an offset, and nothing is compressed.
    """

    def __init__(self, raw: "array[int]", base: int, overflow: int, segment: Segment, problems: Problems) -> None:
        self._raw = raw
        self._base = base
        self._overflow = overflow
        self._segment = segment
        self._problems = problems

    def __len__(self) -> int:
        return len(self._raw)

    def place(self, at: int) -> tuple[int, int, bool]:
        """Where chunk `at` of the table lies in its segment: first byte, a byte at or behind its end, and whether it
        is compressed. No bytes at all where that is not known.
        """
        start = self._start(at)
        if not 0 <= start < self._segment.size:
            if start >= 0:
                self._problems.add(f"segment {self._segment.number}: a table points beyond the end of the file")
            return 0, 0, False
        end = self._start(at + 1) if at + 1 < len(self._raw) else 0
        compressed = self._raw[at] > _LOW and at < self._overflow
        return start, end if end > start else self._segment.section_after(start), compressed

    def _start(self, at: int) -> int:
        entry = self._raw[at]
        if entry < 0:
            return -1
        return self._base + (entry & _LOW if at < self._overflow else entry)


class Stretch(NamedTuple):
    """Chunks that follow each other: those of one table, or (None) those that no table tells of."""

    first: int
    chunks: int
    table: Table | None


class Tables:
    """Collects the tables in the order of the sections, and then gives each chunk its table."""

    def __init__(self, segments: list[Segment], problems: Problems) -> None:
        self._segments = segments
        self._problems = problems
        self._found: list[Table | None] = []  # None: here something was lost, perhaps a table
        self._before = ""
        self._sections = 0
        self._held: OrderedDict[Table, Entries] = OrderedDict()
        self._firsts = array("Q")
        self._stretches: list[Stretch] = []

    def lost(self) -> None:
        """Says that tables may be missing between what was added and what will be."""
        if not self._found or self._found[-1] is not None:
            self._found.append(None)
        self._before = LOST

    def add(self, number: int, section: Section) -> None:
        """Takes the next section of segment `number`. Raises Absent where there are too many sections or tables."""
        before, self._before = self._before, section.kind
        self._sections += 1
        if self._sections > MOST_SECTIONS:
            raise absent(Reason.LIMIT_REACHED, f"more than {MOST_SECTIONS:,} sections")
        if section.kind == LOST:
            self.lost()
        elif section.kind in {"table", "table2"}:
            self._take(number, section, before)

    def _take(self, number: int, section: Section, before: str) -> None:
        name = f"segment {self._segments[number].number}: the {section.kind} at byte {section.at:,}"
        table = _header(number, self._segments[number], section)
        if section.kind == "table2" and before == "table" and (first := self._found[-1]) is not None:
            if table is None:
                self._problems.add(f"{name} is damaged: the table before it is used")
            elif (first.chunks, first.base) == (table.chunks, table.base):
                self._found[-1] = first._replace(copies=first.copies + table.copies)
            else:
                self._problems.add(f"{name} is no mirror of the table before it, which is used")
        elif table is None:
            self._problems.add(f"{name} is damaged")
            self._found.append(None)
            self._before = _DAMAGED
        elif table.chunks:
            if before == _DAMAGED:
                self._problems.add(f"{name} stands in for the damaged one before it")
                self._found.pop()
            self._found.append(table)
        else:
            self._before = ""
        if len(self._found) > MOST_TABLES:
            raise absent(Reason.LIMIT_REACHED, f"more than {MOST_TABLES:,} chunk tables")

    @property
    def count(self) -> int:
        """Chunks of all tables found."""
        return sum(table.chunks for table in self._found if table is not None)

    @property
    def whole(self) -> bool:
        """Whether the chain of sections held everywhere."""
        return None not in self._found

    def place(self, chunks: int) -> None:
        """Numbers the tables' chunks from 0 to `chunks`, once all are added.

        Where something was lost and chunks are missing, those behind it are counted from the image's end, and
        tables between two such places belong nowhere: a chunk is never given another one's number.
        """
        found, missing = self._found, chunks - self.count
        if missing:
            self._problems.add(f"the tables list {self.count:,} chunks, where the image has {chunks:,}")
        if missing == 0 or self.whole:
            head, tail = [table for table in found if table is not None], []
        else:
            at, last = found.index(None), len(found) - found[::-1].index(None)
            head, tail = [t for t in found[:at] if t is not None], [t for t in found[last:] if t is not None]
            if missing < 0:  # then the volume's number is as doubtful as the tables
                tail = []
        gap = chunks - sum(table.chunks for table in (*head, *tail))
        first = 0
        for listed, table in [*((t.chunks, t) for t in head), (gap, None), *((t.chunks, t) for t in tail)]:
            count = min(listed, chunks - first)  # what lies beyond the image's end is no part of it
            if count > 0:
                self._firsts.append(first)
                self._stretches.append(Stretch(first, count, table))
                first += count

    def stretches(self) -> Iterator[Stretch]:
        """All chunks of the image, in order."""
        return iter(self._stretches)

    def at(self, chunk: int) -> Stretch:
        """The stretch that a chunk of the image belongs to."""
        return self._stretches[bisect_right(self._firsts, chunk) - 1]

    def entries(self, table: Table) -> Entries:
        """The entries of a table, read when asked for; only so many are held at a time."""
        if table in self._held:
            self._held.move_to_end(table)
            return self._held[table]
        segment, problems = self._segments[table.segment], self._problems
        raw = _trusted(segment, table, problems)
        overflow = _overflow(raw, table, segment)
        if overflow < len(raw):
            problems.add(f"segment {segment.number}: a table beyond 2 GiB, read as EnCase 6.7.1 writes it")
        entries = self._held[table] = Entries(raw, table.base, overflow, segment, problems)
        while len(self._held) > 1 and sum(map(len, self._held.values())) > MOST_HELD:
            self._held.popitem(last=False)
        return entries

    def compared(self, table: Table) -> Entries:
        """The same, once the table and its mirror were held against each other; where they differ, a problem is."""
        segment = self._segments[table.segment]
        if len({segment.read(at, 4 * table.chunks + 4) for at in table.copies}) > 1:
            self._problems.add(
                f"segment {segment.number}: the table at byte {table.copies[0]:,} differs from its mirror"
            )
        return self.entries(table)


def _header(number: int, segment: Segment, section: Section) -> Table | None:
    """What a table's header says; None where it does not hold."""
    head = segment.read(section.data, HEADER.size)
    if len(head) < HEADER.size:
        return None
    count, base, checksum = HEADER.unpack(head)
    at = section.data + HEADER.size
    if adler32(head[: HEADER.size - 4]) != checksum or count > MOST_ENTRIES or at + 4 * count > section.end:
        return None
    return Table(number, count, base, (at,))


def _trusted(segment: Segment, table: Table, problems: Problems) -> "array[int]":
    """The entries of the first copy that holds. Of two that do not, those on which both agree; of one, none: else -1.

    An entry that might be another chunk's is never followed, since no chunk's own checksum tells whose it is.
    """
    copies = []
    for number, at in enumerate(table.copies):
        raw = segment.read(at, 4 * table.chunks + 4)
        entries = array("I", raw[: len(raw) // 4 * 4])
        if _holds(entries, table, at):
            if number:
                problems.add(f"segment {segment.number}: the mirror at byte {at:,} stands in for a damaged table")
            return entries[: table.chunks]
        copies.append(entries[: table.chunks].tolist() + [-1] * (table.chunks - len(entries)))
    problems.add(f"segment {segment.number}: the table at byte {table.copies[0]:,} is damaged, and has no sound mirror")
    if len(copies) == 1:
        return array("q", [-1]) * table.chunks
    return array("q", [one if one == other else -1 for one, other in zip(copies[0], copies[1], strict=True)])


def _holds(entries: "array[int]", table: Table, at: int) -> bool:
    """Whether the Adler-32 behind the entries is theirs. SMART writes none: chunks begin there at once."""
    if len(entries) <= table.chunks:
        return False
    if adler32(entries[: table.chunks]) == entries[table.chunks]:
        return True
    return table.base + (entries[0] & _LOW) == at + 4 * table.chunks


def _overflow(entries: "array[int]", table: Table, segment: Segment) -> int:
    """From which entry on all 32 bits are an offset and nothing is compressed, as EnCase 6.7.1 writes beyond 2 GiB."""
    if segment.section_after(table.copies[0]) - table.base > _LOW:
        last = -1
        for number, entry in enumerate(entries):
            if entry & _COMPRESSED and (entry & _LOW) < last:
                return number
            last = entry & _LOW if entry >= 0 else last
    return len(entries)
