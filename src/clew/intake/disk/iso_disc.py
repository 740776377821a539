"""A disc as one row of sectors of 2,048 bytes, the descriptors on it, and what of it belongs to none of its files.

A disc that was written in several sessions has a tree in each. The first one's descriptors lie in sector 16; where the
others begin stands in the table of contents of the medium, which no image keeps. So they are looked for, in all sectors
that belong to nothing else. Blocks are counted from the beginning of the disc in all of them; an image of a disc that
lies behind another counts from its own. Many images of CDs leave out what lies between sessions (lead-out, lead-in),
which counts all the same: there each session lies before the place that its blocks say.
"""

import struct
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

from clew.core.absent import Absent
from clew.intake.api import ByteSource, Range
from clew.intake.disk import lvm
from clew.intake.disk.image import Image
from clew.intake.disk.iso_records import DIRECTORY, FIRST, MAGIC, PRIMARY, SECTOR, Descriptor, descriptor, record
from clew.intake.disk.iso_records import TERMINATOR as LAST

MOST_DESCRIPTORS = 64  # in a row
LOOK = 1 << 20  # bytes looked through at a time
MOST_SESSIONS = 100  # a CD has no more than 99
# Fewer sectors than an image leaves out that leaves out a session: 11,400 lie between the first two of a CD, and 6,900
# between later ones.
GAPS = 15_000, 10_000
MOST_PADDING = 600  # sectors between the end of a session, as it says it, and what follows it in the image
ROOT_BEHIND = 1_000  # sectors, from a session's first descriptor on, in which its root directory lies
MOST_LOOKED = 128 << 30  # bytes of a disc: the largest ones, BDXL, have as many
# Bytes of a sector in the image, and of them those before its data: plain; raw (2,352 bytes, ECMA-130, section 14) in
# mode 1 and in mode 2 form 1; the same with 96 bytes of subchannels; mode 2 without what keeps sectors apart.
SECTORS = ((SECTOR, 0), (2352, 16), (2352, 24), (2448, 16), (2448, 24), (2336, 8))


class _Raw:
    """The data of raw sectors, from byte `offset` of `source` on, as one."""

    def __init__(self, source: ByteSource, offset: int, each: int, before: int) -> None:
        self._source, self._offset, self._each, self._before = source, offset, each, before
        self.size = max(source.size - offset, 0) // each * SECTOR

    @property
    def bad(self) -> list[Range]:
        """In bytes of the image behind its container."""
        return self._source.bad

    def read(self, offset: int, length: int) -> bytes:
        """Raises what the source raises."""
        end = min(offset + length, self.size)
        if offset >= end:
            return b""
        first, last = offset // SECTOR, -(-end // SECTOR)
        raw = self._source.read(self._offset + first * self._each, (last - first) * self._each)
        data = b"".join(raw[at : at + SECTOR] for at in range(self._before, len(raw), self._each))
        return data[offset - first * SECTOR :][: end - offset]


@dataclass(slots=True, eq=False)
class Disc:
    """The disc at byte `offset` of an image. Bytes are counted from its own beginning, in sectors of 2,048."""

    image: Image
    offset: int
    source: ByteSource  # its data, from byte `start` on
    start: int
    each: int  # bytes of a sector in the image
    size: int

    def read(self, at: int, length: int) -> bytes:
        """Fewer bytes where the image ends, none where they cannot be read. What its container cannot read comes as
        zeros.
        """
        try:
            return self.source.read(self.start + at, max(min(length, self.size - at), 0))
        except (OSError, Absent):
            return b""

    def where(self, at: int, length: int) -> list[Range]:
        """The ranges of the disk that hold these bytes; of raw sectors with all that is around the data."""
        first, last = at // SECTOR, -(-(at + length) // SECTOR)
        if self.each == SECTOR:
            return [(self.offset + at, length)]
        return [(self.offset + first * self.each, (last - first) * self.each)]

    def span(self, at: int, length: int) -> Range:
        """The bytes of data that so many bytes of the disk hold, from its byte `at` on."""
        first, end = max(at - self.offset, 0), max(at + length - self.offset, 0)
        if self.each == SECTOR:
            return first, end - first
        start = self.data(first)
        return start, -(-end // self.each) * SECTOR - start

    def data(self, length: int) -> int:
        """How many bytes of data lie in `length` bytes of the image."""
        return length if self.each == SECTOR else length // self.each * SECTOR

    @property
    def stated(self) -> int:
        """Bytes of the image that it has by its first descriptor, whose blocks are sectors (ECMA-119, 8.4.8); 0 where
        the image holds raw sectors.
        """
        if self.each != SECTOR:
            return 0
        return int.from_bytes(self.read(FIRST * SECTOR + 80, 4), "little") * SECTOR

    def on_image(self, ranges: list[Range]) -> list[Range]:
        """The same bytes as ranges of the exhibit's image."""
        source = self.image.source
        if not isinstance(source, lvm.Volume):
            return ranges
        return [each for at, length in ranges for each in source.where(at, length)]


def disc(image: Image, offset: int) -> Disc | None:
    """The disc that begins there, where one does."""
    for each, before in SECTORS:
        if image.source.read(offset + FIRST * each + before + 1, len(MAGIC)) == MAGIC:
            plain = each == SECTOR
            source = image.source if plain else _Raw(image.source, offset, each, before)
            start = offset if plain else 0
            return Disc(image, offset, source, start, each, max(source.size - start, 0))
    return None


def descriptors(disc: Disc, sector: int) -> list[Descriptor]:
    """Those in a row with the one in `sector`."""
    first = sector
    while sector - first < MOST_DESCRIPTORS and first > 0 and _kind(disc, first - 1) not in {None, LAST}:
        first -= 1
    found: list[Descriptor] = []
    for at in range(first, first + MOST_DESCRIPTORS):
        if _kind(disc, at) in {None, LAST}:
            break
        each = descriptor(disc.read(at * SECTOR, SECTOR), at)
        found += [each] if each is not None else []
    return found


def _kind(disc: Disc, sector: int) -> int | None:
    head = disc.read(sector * SECTOR, 6)
    return head[0] if head[1:] == MAGIC else None


def base(disc: Disc, each: Descriptor, session: int) -> int | None:
    """The byte from which its blocks are counted: where its session begins, whose first descriptor lies in that sector,
    or the disc; before the disc's where the image leaves out what lies between sessions. None where its root directory
    lies in none of these places; the first session has no other one. That of the session first: two discs may have
    their roots alike.
    """
    for start in (max(session - FIRST, 0) * SECTOR, 0):
        here = record(disc.read(start + each.root.block * each.block, SECTOR), 0)
        itself = here is not None and here.name == b"\0" and here.flags & DIRECTORY
        if here is not None and itself and here.block == each.root.block:
            return start
    if session < FIRST + MOST_DESCRIPTORS:
        return 0
    return _moved(disc, each.root.block, session) if each.block == SECTOR else None


def _moved(disc: Disc, root: int, session: int) -> int | None:
    """The same by where that root directory lies behind its descriptors: before the block that it says."""
    data = disc.read(session * SECTOR, ROOT_BEHIND * SECTOR)
    itself = struct.pack("<I", root) + struct.pack(">I", root)  # ECMA-119, 9.1.3: where a directory's first record lies
    at = data.find(itself) - 2
    while at >= 0:
        here = record(data[at : at + SECTOR], 0) if at % SECTOR == 0 else None
        if here is not None and here.name == b"\0" and here.flags & DIRECTORY:
            moved = root - session - at // SECTOR
            return -moved * SECTOR if moved > 0 else None
        at = data.find(itself, at + 3) - 2
    return None


def earlier(disc: Disc, session: int, counted: int) -> list[tuple[int, int]]:
    """The sessions before that whose first descriptor lies in sector `session`, and whose blocks are counted from byte
    `counted`: the block with which each begins, and the byte from which its blocks are. Each says how many sectors it
    has, with or without what lies before it, and the next one begins behind. Nothing where that leads nowhere, or over
    so much that a session may be missing.
    """
    found, start = list[tuple[int, int]](), 0
    while len(found) < MOST_SESSIONS:
        at = start + FIRST
        said = descriptor(disc.read(at * SECTOR, SECTOR), at)
        own = counted if at == session else base(disc, said, at) if said is not None else None
        if own is None or own > 0 or (found and found[-1][1] - own >= GAPS[len(found) > 1] * SECTOR):
            return []
        if at == session:
            return found
        found.append((start - own // SECTOR, own))
        space = int.from_bytes(disc.read(at * SECTOR + 80, 4), "little")  # ECMA-119, 8.4.8
        ends = (end for end in (start + space, space + own // SECTOR) if end > start)
        following = next((at for at in (_primary(disc, end + FIRST) for end in ends) if at is not None), None)
        if following is None or following > session:
            return []
        start = following - FIRST
    return []


def _primary(disc: Disc, sector: int) -> int | None:
    """The first sector from that one on, but not far, in which a primary descriptor lies."""
    for at in range(sector, sector + MOST_PADDING, 30):
        data = disc.read(at * SECTOR, 30 * SECTOR)
        for place in range(0, len(data), SECTOR):
            if data.startswith(bytes([PRIMARY]) + MAGIC, place):
                return at + place // SECTOR
    return None


def later(disc: Disc, taken: "Taken", limit: int) -> Iterator[int]:
    """Sectors behind the first descriptor, up to byte `limit`, in which a primary one lies, outside what is taken while
    they are looked for.
    """
    at, magic = FIRST + 1, bytes([PRIMARY]) + MAGIC
    while at * SECTOR < limit:
        start, end = taken.free_from(at * SECTOR)
        at = -(-start // SECTOR)
        end = -(-min(end, limit, start + LOOK) // SECTOR)
        data = disc.read(at * SECTOR, (end - at) * SECTOR)
        heads = (number for number in range(0, len(data), SECTOR) if data[number : number + 6] == magic)
        met = next(heads, None)
        if met is None:
            at = max(end, at + 1)
        else:
            at += met // SECTOR + 1
            yield at - 1


class Taken:
    """Which bytes of the disc belong to something: stretches in order, joined where they touch."""

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []

    def add(self, spans: list[Range]) -> None:
        """Of (byte, bytes); each is taken to the end of its sector."""
        ours = zip(self._starts, self._ends, strict=True)
        ended = ((at, -(-(at + length) // SECTOR) * SECTOR) for at, length in spans if length)
        starts, ends = list[int](), list[int]()
        for at, end in sorted([*ours, *ended]):
            if ends and at <= ends[-1]:
                ends[-1] = max(ends[-1], end)
            else:
                starts.append(at)
                ends.append(end)
        self._starts, self._ends = starts, ends

    def free_from(self, at: int) -> Range:
        """The next stretch, from byte `at` on, that belongs to nothing: (from, to)."""
        number = bisect_right(self._starts, at) - 1
        if number >= 0 and at < self._ends[number]:
            at = self._ends[number]
        return at, self._starts[number + 1] if number + 1 < len(self._starts) else 1 << 63

    def free(self, end: int) -> Iterator[Range]:
        """Every stretch up to `end` that belongs to nothing: (byte, bytes)."""
        at = 0
        for start, stop in zip(self._starts, self._ends, strict=True):
            if start >= end:
                break
            if start > at:
                yield at, start - at
            at = max(at, stop)
        if at < end:
            yield at, end - at
