"""Carving the space of a disk image that belongs to nobody: clusters that are free, bad, or in use by no file; areas
outside partitions, and partitions whose file system cannot be read.
"""

from collections.abc import Callable, Iterator
from itertools import chain
from time import monotonic
from typing import Any

from clew.core.absent import absent
from clew.core.channel import Reply
from clew.intake.api import ByteSource, Range
from clew.intake.carving.carver import Carved, Carver
from clew.intake.carving.scan import SECTOR
from clew.intake.carving.view import MOST_UNIT, View, overlap, without
from clew.intake.disk import allocation, owned, sift
from clew.intake.disk.image import FileSystem, file_system, image
from clew.intake.disk.stretch import SECONDS
from clew.model import Reason

Which = Callable[[FileSystem, allocation.Taken, int, int], Iterator[tuple[int, int]]]
ALL, FREE, BAD, NOBODYS = "all", "free", "bad", "nobodys"  # see `carve`
GUESSED_CLUSTER = 4096  # where there is no file system to tell
UNREADABLE = "bytes of free space that could not be read, and were not searched"


def carve(payload: dict[str, Any], _descriptors: list[int]) -> Reply:
    """Worker entry: files that begin from image offset "after" up to "end" in the space that belongs to nobody between
    "offset" and "offset" + "length": "which" is ALL of it, what is FREE, marked as BAD, or in use and NOBODYS.

    What others have of it ("held") is left out: it is searched with what is theirs. Ends early after "most" finds;
    "next" is where to go on. "sifted" are what was read of a volume where lost entries are searched for, and where in
    it they may be (ranges of the image).
    """
    disk, began, after, end = image(payload), monotonic(), payload["after"], payload["end"]
    source: ByteSource = disk.source
    sieve: sift.Sieve | None = None
    which, held = payload["which"], payload.get("held")
    unit = SECTOR  # where no file system says that no two files share more
    if which == ALL:
        cluster, stretches = GUESSED_CLUSTER, iter([(payload["offset"], payload["length"])])
    else:
        opened = file_system(payload)
        if opened.taken is None:
            raise absent(Reason.UNKNOWN, f"clew does not read which blocks of {opened.family} are free")
        cluster = opened.taken.cluster * int(opened.fs.info.block_size)
        unit = unit if held else min(cluster, MOST_UNIT)
        stretches = _found(opened, opened.taken, _WHICH[which], after, payload["offset"] + payload["length"])
        if sift.looks(opened.family) and which == FREE:
            source = sieve = sift.Sieve(source, opened, opened.taken)
    if held:
        stretches = chain.from_iterable(without(each, held) for each in stretches)
    passed: list[Range] = []
    carver = Carver(source, _remembered(stretches, passed), cluster, after, end, unit)
    finds: list[dict[str, Any]] = []
    at, done = after, True
    for step in carver.steps():
        at = step.next
        if step.found is not None:
            finds.append(_said(step.found) | {"next": at})
        if len(finds) >= payload["most"] or monotonic() - began > SECONDS:
            done = False
            break
    following = max(end, at) if done else at
    bad = overlap(overlap([(after, following - after)], passed), disk.source.bad)
    notes = dict(carver.notes) | ({UNREADABLE: sum(length for _, length in bad)} if bad else {})
    sifted = {"passed": sieve.passed.list, "found": sieve.found.list} if sieve is not None else None
    return Reply({"finds": finds, "next": following, "notes": notes, "sifted": sifted})


def reopen(payload: dict[str, Any], _descriptors: list[int]) -> View:
    """Opener: a carved find by "container" and its "runs" ([image offset, bytes] each)."""
    return View(image(payload).source, [(offset, length) for offset, length in payload["runs"]], most=1 << 62)


_WHICH: dict[str, Which] = {
    FREE: lambda _, *where: allocation.free(*where),
    BAD: lambda _, *where: allocation.bad(*where),
    NOBODYS: owned.nobodys,
}


def _found(opened: FileSystem, taken: allocation.Taken, which: Which, after: int, end: int) -> Iterator[Range]:
    """The stretches of a file system from image offset `after` on, up to `end`, as bytes of the image."""
    info = opened.fs.info
    size = int(info.block_size)
    first = max(int(info.first_block), taken.boundary((after - opened.offset) // size))
    last = min(int(info.last_block) + 1, (end - opened.offset) // size)
    for address, blocks in which(opened, taken, first, last):
        yield opened.offset + address * size, blocks * size


def _remembered(stretches: Iterator[Range], passed: list[Range]) -> Iterator[Range]:
    for stretch in stretches:
        passed.append(stretch)
        yield stretch


def _said(found: Carved) -> dict[str, Any]:
    return {
        "runs": found.runs,
        "state": str(found.state),
        "why": found.why,
        "extension": found.extension,
    }
