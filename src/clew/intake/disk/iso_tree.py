"""The trees of a disc: which descriptors name one, what its directories hold, and all of it looked through once.

A disc often has two trees of the same files, one with short names and one with long ones, and they need not hold the
same: the better one is listed (Rock Ridge, else Joliet), and of every other one what the first does not hold. Nothing
says which directory another belongs to, and records may lead in circles: so each tree is looked through breadth first,
and whoever names a directory first has it.
"""

from collections import OrderedDict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from clew.core.absent import Absent
from clew.intake.api import Range
from clew.intake.carving.view import overlap
from clew.intake.disk.image import image
from clew.intake.disk.iso_disc import GAPS, Disc, base, descriptors, disc, earlier
from clew.intake.disk.iso_records import (
    ASSOCIATED,
    DIRECTORY,
    ENHANCED,
    FIRST,
    MORE,
    PRIMARY,
    SECTOR,
    Descriptor,
    Record,
    Rock,
    plain_name,
    record,
    records,
    rock,
    skipped,
    table,
)
from clew.intake.disk.ntfs import ORPHANS
from clew.intake.refs import volume
from clew.model import Missing, Reason

MOST_OPEN = 8
MOST_RECORDS = 1_000_000  # of one tree that are looked through; directories that are named behind them are not entered
MOST_DIRECTORY = 64 << 20  # bytes of one
MOST_ENTRIES = 500_000  # of one, which a worker holds all at once
MOST_BYTES = 1 << 30  # of all directories of a tree
MOST_PARTS = 1_000  # extents of one file: 4 TB
MOST_TABLE = 8 << 20  # bytes of a path table: 65,535 directories have no more
NOWHERE = -1  # of a directory that no other one names
STRANGE = "it does not begin as a directory does, with itself"
SIZE = 32  # bits of a directory's size, behind its block: both together tell it from any other


class Entry(NamedTuple):
    """One file or directory of a directory: its records, one for each extent, and what Rock Ridge says of it."""

    parts: list[Record]
    rock: Rock

    @property
    def first(self) -> Record:
        """The record by which it is known."""
        return self.parts[0]

    @property
    def size(self) -> int:
        """Bytes, of all its extents."""
        return sum(part.size for part in self.parts)


@dataclass(slots=True)
class Survey:
    """What a tree holds: by which record of which directory each is entered (some share their bytes, so that the record
    alone would lead in circles), what its files lie in, and bytes taken on the disc. `unnamed` directories stand in the
    path table alone, (name, byte, which). `cut`: there are more than MOST_RECORDS or MOST_BYTES; `lost`: not all of its
    directories could be read.
    """

    entered: dict[int, tuple[int, int]] = field(default_factory=dict)
    contents: set[tuple[Range, ...]] = field(default_factory=set)
    empty: int = 0
    spans: list[Range] = field(default_factory=list)
    unnamed: list[tuple[bytes, int, int]] = field(default_factory=list)
    records: int = 0
    bytes: int = 0
    cut: bool = False
    lost: bool = False


@dataclass(frozen=True, slots=True)
class Last:
    """The trees of the last session of a disc, beside one of an earlier session. It `follows` that one where it has
    taken over a content of it and was made no earlier: else it may be what is left of another disc.
    """

    surveys: list[Survey]
    follows: bool

    def left_out(self, lies: tuple[Range, ...]) -> bool:
        """Whether it has no such content, where all of it was read; of empty files that cannot be told."""
        held = any(survey.cut or survey.lost or lies in survey.contents for survey in self.surveys)
        return not held and any(size for _, size in lies)


@dataclass(slots=True, eq=False)
class Volume:
    """One tree of a disc. `skip` is how Rock Ridge begins in each record, None without it."""

    disc: Disc
    said: Descriptor
    base: int
    skip: int | None
    session: int  # the sector of the first descriptor beside its own
    name: str  # how refs of it begin
    first: "Volume | None" = None  # the tree whose contents are not listed again
    last: Last | None = None  # the session that a system shows, where its own is an earlier one
    known: Survey | None = None
    end: int | None = None  # byte of the disc at which the stretch that it begins in ends, where that counts
    foreign: tuple[Range, ...] = ()  # partitions on it, in bytes of the disc, that hold something else
    since: int = 0  # the first block that is counted from `base`; those before it are of earlier sessions
    before: tuple[tuple[int, int], ...] = ()  # those, as far as they are known: first block, byte that counts as 0

    @property
    def kind(self) -> str:
        """In words."""
        if self.skip is not None:
            return "Rock Ridge"
        if self.said.joliet:
            return "Joliet"
        plain = self.said.kind == PRIMARY
        return "primary" if plain else "enhanced" if self.said.version == ENHANCED else "supplementary"

    @property
    def root(self) -> int:
        """The root directory, as `entered` knows directories."""
        return self.said.root.block << SIZE | self.said.root.size

    def place(self, block: int) -> int:
        """The byte of the disc at which a block begins; beyond its end where that is not known."""
        start = self.base
        if block < self.since:
            start = next((at for first, at in reversed(self.before) if block >= first), self.disc.size)
        return start + block * self.said.block

    def unplaced(self, block: int) -> bool:
        """Whether that block is of an earlier session, and nothing tells where that lies."""
        return block < self.since and not self.before

    def survey(self) -> Survey:
        """The whole tree, looked through once."""
        if self.known is None:
            self.known = _survey(self)
        return self.known

    def held(self, entry: Entry) -> bool:
        """Whether the first tree lists that content; of empty files, whether it has as many."""
        there = self.first.survey() if self.first is not None else None
        if there is None or there.cut:
            return False
        return extents(self, entry) in there.contents if entry.size else there.empty >= self.survey().empty


_opened: OrderedDict[tuple[int, str], Volume] = OrderedDict()


def open_volume(payload: dict[str, Any]) -> Volume:
    """The tree "iso" of the disc at "offset". Raises Absent where it is not there."""
    source = image(payload)
    key = (id(source), volume(payload))
    if key in _opened:
        _opened.move_to_end(key)
        return _opened[key]
    found = disc(source, payload["offset"])
    order = trees(found, payload, payload["iso"]) if found is not None else []
    _opened.update({(id(source), each.name): each for each in order})
    while len(_opened) > MOST_OPEN:
        _opened.popitem(last=False)
    for each in order:
        if each.name == key[1]:
            return each
    raise Absent(Missing(Reason.UNPARSABLE, "there is no such tree"))


def trees(found: Disc, place: dict[str, Any], sector: int) -> list[Volume]:
    """Those whose descriptors lie in a row with `sector`, each root directory once, the one that is listed whole first:
    with Rock Ridge, else Joliet, else the first.
    """
    volumes: dict[tuple[int, int], Volume] = {}
    rows = descriptors(found, sector)
    for each in rows:
        start = base(found, each, rows[0].sector)
        if start is None:
            continue
        here = record(found.read(start + each.root.block * each.block, SECTOR), 0)
        skip = skipped(here.use) if here is not None and not each.joliet else None
        name = volume({**place, "iso": each.sector})
        opened = Volume(found, each, start, skip, rows[0].sector, name)
        if start < 0:
            opened.since = rows[0].sector - FIRST - start // SECTOR
            near = -start < GAPS[0] * SECTOR  # it is the second one
            opened.before = tuple(earlier(found, rows[0].sector, start)) or (((0, 0),) if near else ())
        volumes.setdefault((start, opened.root), opened)
    order = sorted(volumes.values(), key=lambda each: (each.skip is None, not each.said.joliet))
    for other in order[1:]:
        other.first = order[0]
    return order


def last(opened: Volume, place: dict[str, Any]) -> Last:
    """What the session whose first descriptor lies in sector "last" is beside that tree."""
    order, own = trees(opened.disc, place, place["last"]), opened.survey()
    surveys, made = [each.survey() for each in order], [each.said.made_ns for each in order]
    both = (lies for each in surveys for lies in each.contents & own.contents)
    taken_over = any(size for lies in both for _, size in lies)
    then = opened.said.made_ns
    return Last(surveys, taken_over and then is not None and any(at is not None and at >= then for at in made))


def extents(opened: Volume, entry: Entry) -> tuple[Range, ...]:
    """Where it says that it lies, in bytes of the disc."""
    return tuple((opened.place(part.block), part.size) for part in entry.parts)


def rock_of(opened: Volume, each: Record) -> Rock:
    """What Rock Ridge says of a record; nothing where the tree has none."""
    if opened.skip is None:
        return Rock()
    return rock(each.use, opened.skip, lambda block, at, length: opened.disc.read(opened.place(block) + at, length))


def entries(opened: Volume, which: int) -> Iterator[Entry | str]:
    """What a directory holds, extents of one file joined; and, as a text, what of it cannot be read."""
    start, size = opened.place(which >> SIZE), which & (1 << SIZE) - 1
    parts, number = list[Record](), -1
    for each in _records(opened.disc, start, min(size, MOST_DIRECTORY)):
        if isinstance(each, str):
            yield each
            continue
        number += 1
        if number == MOST_ENTRIES:
            yield f"no more than {MOST_ENTRIES:,} entries of a directory are read"
            break
        if number == 0 and each.name != b"\0":
            yield STRANGE
        if number < 2 and each.flags & DIRECTORY and each.name in {b"\0", b"\1"}:
            continue  # itself and the one above
        alike = parts and (parts[0].name, parts[0].flags & ASSOCIATED) == (each.name, each.flags & ASSOCIATED)
        if parts and (not alike or len(parts) == MOST_PARTS):
            yield Entry(parts, rock_of(opened, parts[0]))
            parts = []
        parts.append(each)
        if not each.flags & MORE:
            yield Entry(parts, rock_of(opened, parts[0]))
            parts = []
    if parts:
        yield Entry(parts, rock_of(opened, parts[0]))
    if number < 0:
        yield STRANGE
    if size > MOST_DIRECTORY:
        yield f"no more than {MOST_DIRECTORY:,} bytes of a directory are read"


def _records(disc: Disc, start: int, size: int) -> Iterator[Record | str]:
    at, end = start, start + size
    while at < end:
        upto = min((at // SECTOR + 1) * SECTOR, end)
        data = disc.read(at, upto - at)
        if len(data) < upto - at:
            yield "a sector of it could not be read, or lies beyond the image's end"
            if upto > disc.size:
                return
        if disc.image.source.bad and overlap(disc.where(at, len(data)), disc.image.source.bad):
            yield "a sector of it could not be read"
        yield from records(data, at)
        at = upto


def directory(opened: Volume, entry: Entry) -> int | None:
    """Which directory that is; None for a file. One that was moved elsewhere is where its record says (RRIP, 4.1.5),
    which has no bytes of its own: one that has is a file.
    """
    if entry.rock.child is not None and not entry.size:
        here = record(opened.disc.read(opened.place(entry.rock.child), SECTOR), 0)
        if here is not None and here.flags & DIRECTORY:
            return entry.rock.child << SIZE | here.size
    return entry.first.block << SIZE | entry.first.size if entry.first.flags & DIRECTORY else None


def _survey(opened: Volume) -> Survey:
    found = Survey(entered={opened.root: (NOWHERE, opened.said.root.at)})
    _look_through(opened, [opened.root], found)
    size, little, big = opened.said.tables
    found.spans += [(opened.place(block), min(size, MOST_TABLE)) for block in (little, big) if block]
    blocks = {which >> SIZE for which in found.entered}
    for block, name in table(opened.disc.read(opened.place(little), min(size, MOST_TABLE))):
        if found.cut:
            break
        here = record(opened.disc.read(opened.place(block), SECTOR), 0) if block not in blocks else None
        if here is None or here.name != b"\0" or not here.flags & DIRECTORY or here.block != block:
            continue
        blocks.add(block)
        which, at = block << SIZE | here.size, opened.place(block)
        found.unnamed.append((ORPHANS + b"/" + plain_name(name, joliet=opened.said.joliet), at, which))
        found.entered[which] = NOWHERE, at
        _look_through(opened, [which], found)
        blocks |= {which >> SIZE for which in found.entered}
    return found


def _look_through(opened: Volume, pending: list[int], found: Survey) -> None:
    """These directories and all below them. One that was moved is entered where it was, if its place is still known."""
    queue, moved = deque(pending), deque[tuple[int, tuple[int, int]]]()
    while queue or moved:
        if not queue:
            which, owner = moved.popleft()
            if which in found.entered:
                continue
            found.entered[which] = owner
            queue.append(which)
        which = queue.popleft()
        found.spans.append((opened.place(which >> SIZE), which & (1 << SIZE) - 1))
        found.bytes += min(which & (1 << SIZE) - 1, MOST_DIRECTORY)
        for entry in entries(opened, which) if found.bytes <= MOST_BYTES else [""]:
            if found.records == MOST_RECORDS or found.bytes > MOST_BYTES:
                found.cut = True
                for left in (which, *queue):
                    found.entered.pop(left, None)
                return
            if isinstance(entry, str):
                found.lost = True
                continue
            found.records += 1
            child = directory(opened, entry)
            if child is None:
                lies = extents(opened, entry)
                found.spans += lies
                found.contents.add(lies)
                found.empty += not entry.size
            elif entry.rock.moved:
                moved.append((child, (which, entry.first.at)))
            elif child not in found.entered:
                found.entered[child] = which, entry.first.at
                queue.append(child)
