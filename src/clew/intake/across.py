"""Pieces that lie in several files, against the contents of one Exhibit that may be these files.

What fits says of each of them that its bytes there are those of the torrent: SHA-1 of all of them, one behind the
other, is what the torrent states. What does not fit says of none of them anything: any one of the others may be another
file of its size. So it is told what was tried, and only what fitted counts.

"pieces.across", JSON: {torrent: SHA-256 of the .torrent, index: of the file in it, size, offset: where it begins in
the torrent, checked: pieces for all of whose files there was a content, matching: how many of them fitted, pieces:
[number, first byte in this file, bytes of it, how many files it lies in, 1 where it fitted] each, tried: [number,
which contents were, 1 where it fitted] each}. Where index is null, this is of all other files of that
size in the torrent: it was not tried, since not all files of such a piece were there, or other contents had the better
claim.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from itertools import product
from typing import Any

from clew.core.case import Case
from clew.core.engine import Task
from clew.core.unheld import number
from clew.intake.across_plan import MOST_CANDIDATES, Group, Try, groups
from clew.intake.again import Reopened, at_hand
from clew.intake.api import Job, Unavailable
from clew.intake.artefacts._metainfo import V1
from clew.intake.piece_layout import Layout
from clew.intake.piece_plan import outcomes
from clew.intake.piece_told import BY_ACROSS, Rows, Told, commit
from clew.intake.piece_traits import Held
from clew.intake.said import WRONG
from clew.model import Missing

SPECS = ("clew.intake.across_check:CHECK",)
HASHES, ACROSS = "clew.intake.across_check:hashes", "clew.intake.across_check:across"
TORRENTS, CALLED = "torrents, for the hashes of pieces across files", "pieces across files"
MOST_GROUPS = 50  # of a receipt
MOST_READS = 100  # of one content in one look: any number of torrents may name its size
Opening = Callable[[str, tuple[str, ...]], Callable[[str], AbstractContextManager[Reopened]]]


@dataclass(slots=True)
class _Across:
    """`hashes`: of pieces by torrent and number. `tried`, `fitted` and `files` are what is counted in the end."""

    had: Told
    done: Held
    hashes: dict[tuple[bytes, int], bytes] = field(default_factory=dict)
    tried: set[tuple[bytes, int]] = field(default_factory=set)
    fitted: set[tuple[bytes, int]] = field(default_factory=set)
    files: set[tuple[bytes, bytes, int]] = field(default_factory=set)
    reads: Counter[bytes] = field(default_factory=Counter)

    def due(self, several: Sequence[Group]) -> Iterator[Group]:
        """Those whose hashes are known, until one of their contents was read too often: the next look goes on there."""
        for group in several:
            contents = group.contents()
            if not all((group.layout.torrent, each.span.number) in self.hashes for each in group.tries):
                continue
            if often := sorted(content.hex() for content in contents if self.reads[content] >= MOST_READS):
                why = f"pieces across files of more torrents name its size than the {MOST_READS} times that it was read"
                self.done.failed.update(dict.fromkeys(often, why))
                continue
            self.reads.update(contents)
            yield group


def held_across(
    case: Case,
    lots: Iterable[Sequence[Layout]],
    contents: Mapping[int, list[bytes]],
    had: Told,
    opening: Opening,
    done: Held,
) -> Exception | None:
    """Tries every piece of these torrents that lies in several files, lot by lot and Exhibit by Exhibit: first with the
    contents that have the best claim, then, where these did not fit, with a few more. What `at_hand` returns, where
    nothing at all could be opened.
    """
    world, closed = _Across(had, done), list[Exception | None]()
    exhibits = [row["id"] for row in case.read().execute("SELECT id FROM exhibits ORDER BY label")]
    for found in lots:
        world.hashes.clear()
        for most, exhibit in product((1, MOST_CANDIDATES), exhibits):
            several = groups(case, exhibit, found, contents, had, most)
            closed += _ask(case, several, world, opening)
            closed += _hold(case, exhibit, several, world, opening)
    done.across, done.across_fitting, done.across_files = len(world.tried), len(world.fitted), len(world.files)
    return next(iter(closed), None) if all(closed) else None


def _ask(case: Case, several: Sequence[Group], world: _Across, opening: Opening) -> Iterator[Exception | None]:
    """Reads the torrents again, for the hashes that are not known yet."""
    asked: dict[bytes, list[int]] = defaultdict(list)
    for group in several:
        numbers = (each.span.number for each in group.tries)
        asked[group.layout.torrent] += [n for n in numbers if (group.layout.torrent, n) not in world.hashes]

    def payload(row: Mapping[str, Any]) -> dict[str, Any]:
        return {"sha256": row["sha256"].hex(), "numbers": asked[row["sha256"]]}

    def use(again: Reopened, _exhibit: str, rows: list[dict[str, Any]]) -> None:
        for torrent, outcome in outcomes(again, HASHES, rows, payload, world.done):
            if isinstance(outcome.reply, Missing):
                world.done.unread(torrent, outcome.reply)
                continue
            hashed = b"".join(outcome.reply.blobs)
            for at, piece in enumerate(asked[torrent]):
                if one := hashed[at * V1 : (at + 1) * V1]:
                    world.hashes[torrent, piece] = one

    wanted = [torrent for torrent, numbers in asked.items() if numbers]
    if wanted:
        yield at_hand(case, wanted, opening(TORRENTS, SPECS), use, world.done.failed)


def _hold(
    case: Case, exhibit: str, several: Sequence[Group], world: _Across, opening: Opening
) -> Iterator[Exception | None]:
    """Has the contents of one Exhibit read, and keeps what came out after some of them."""
    known = list(world.due(several))

    def use(again: Reopened, _exhibit: str, rows: list[dict[str, Any]]) -> None:
        refs = {row["sha256"]: row for row in rows}
        for at in range(0, len(known), MOST_GROUPS):
            traits: Rows = defaultdict(list)
            for group, unopened, said in _read(again, known[at : at + MOST_GROUPS], refs, world):
                for content, row in _rows(group, unopened, said, world):
                    traits[content].append(row)
                    world.had.add(content, row)
            commit(case, exhibit, traits, again.made_with, again.basis.require())

    if known:
        wanted = {content for group in known for content in group.contents()}
        opened = opening(CALLED, SPECS)
        yield at_hand(case, sorted(wanted), opened, use, world.done.failed, exhibit=exhibit)


def _read(
    again: Reopened, several: Sequence[Group], rows: Mapping[bytes, Mapping[str, Any]], world: _Across
) -> Iterator[tuple[Group, set[bytes], Any]]:
    """What a worker found out of each group, and which of its contents could not even be opened. Where a worker failed
    at a group, its pieces are tried one by one: one content that cannot be read costs no piece that it does not lie in.
    """
    named, closed = {str(n): group for n, group in enumerate(several)}, dict[str, set[bytes]]()
    singly = list[Group]()

    def tasks() -> Iterator[Task]:
        for name, group in named.items():
            jobs = _jobs(again, group, rows, world.done)
            closed[name] = group.contents() - jobs.keys()
            payload, fds = _payload(group, jobs, world)
            zeros = sum(each.zeros for each in group.tries)
            yield Task(name, ACROSS, payload, fds, zeros + sum(max(size, job.bytes) for job, size in jobs.values()))

    for outcome in again.pool.run(tasks()):
        group = named[outcome.task.id]
        if not isinstance(outcome.reply, Missing):
            yield group, closed[outcome.task.id], outcome.reply.value
        elif len(group.tries) > 1:
            singly += [Group(group.layout, [each]) for each in group.tries]
        else:
            lost = sorted(content.hex() for content in group.contents())
            world.done.failed.update(dict.fromkeys(lost, str(outcome.reply)))
    if singly:
        yield from _read(again, singly, rows, world)


def _jobs(
    again: Reopened, group: Group, rows: Mapping[bytes, Mapping[str, Any]], done: Held
) -> dict[bytes, tuple[Job, int]]:
    """How each content is read, and the size that it was listed with; without those that cannot be opened."""
    found: dict[bytes, tuple[Job, int]] = {}
    for content in sorted(group.contents()):
        try:
            found[content] = again.session.job(rows[content]["ref"]), rows[content]["size"]
        except Unavailable as gone:
            done.failed[content.hex()] = str(gone.missing)
    return found


def _payload(
    group: Group, jobs: Mapping[bytes, tuple[Job, int]], world: _Across
) -> tuple[dict[str, Any], tuple[int, ...]]:
    """See `across_check.across`."""
    contents = {
        content.hex(): {**job.payload, "opener": job.opener, "fds": len(job.fds), "size": size}
        for content, (job, size) in jobs.items()
    }
    files = [[index, [each.hex() for each in several if each in jobs]] for index, several in group.files().items()]
    pieces = [[world.hashes[group.layout.torrent, each.span.number].hex(), each.span.parts] for each in group.tries]
    told = {"contents": contents, "files": files, "pieces": pieces}
    return told, tuple(descriptor for job, _ in jobs.values() for descriptor in job.fds)


def _rows(group: Group, closed: set[bytes], said: Any, world: _Across) -> list[tuple[bytes, dict[str, Any]]]:
    """The Traits of each content, by what a worker said of the group; none where that makes no sense."""
    torrent, found = group.layout.torrent, dict[tuple[bytes, int], dict[str, Any]]()
    try:
        why = {bytes.fromhex(content): str(detail) for content, detail in said["lost"].items()}
        results = [
            (number(result["tried"]), _fitting(one, result["right"]))
            for one, result in zip(group.tries, said["pieces"], strict=True)
        ]
    except WRONG as error:
        world.done.failed[torrent.hex()] = f"the worker's answer made no sense: {type(error).__name__}"
        return []
    world.done.failed.update({content.hex(): detail for content, detail in why.items()})
    lost = {*why, *closed}
    for one, (tried, fitting) in zip(group.tries, results, strict=True):
        for index, several, right in zip(one.span.files, one.contents, fitting, strict=True) if tried else ():
            for content in (each for each in several if each not in lost):
                file = group.layout.files[index]
                told = found.setdefault((content, index), untried(torrent, file.size, index, file.offset))
                _add(told, one, index, fitted=content in right, whole=lost.isdisjoint(one.every()), any_did=any(right))
        if tried:
            world.tried.add((torrent, one.span.number))
            world.fitted |= {(torrent, one.span.number)} if any(fitting) else set()
    world.files |= {(content, torrent, index) for (content, index), told in found.items() if told["matching"]}
    return [(content, trait(told)) for (content, _), told in found.items()]


def _fitting(one: Try, right: Any) -> list[set[bytes]]:
    """For each file of a piece, which contents were in a combination that had its hash. Raises one of WRONG."""
    made = [[bytes.fromhex(content) for content in each] for each in right]
    columns = list(zip(*made, strict=True)) or [()] * len(one.contents)
    for column, contents in zip(columns, one.contents, strict=True):
        if not set(column) <= set(contents):
            raise ValueError("a content that was not to be tried")
    return [set(column) for column in columns]


def _add(told: dict[str, Any], one: Try, index: int, *, fitted: bool, whole: bool, any_did: bool) -> None:
    """What came of one piece. Where some contents could not be read, it is due again."""
    first, count = next((first, count) for file, first, count in one.span.parts if file == index)
    told["checked"] += 1
    told["matching"] += fitted
    told["pieces"].append([one.span.number, first, count, len(one.span.files), int(fitted)])
    told["tried"] += [[one.span.number, one.which, int(any_did)]] if whole else []


def untried(torrent: bytes, size: int, index: int | None = None, offset: int | None = None) -> dict[str, Any]:
    """What is told of a file of which nothing was tried yet; without a number, of all that have this size."""
    told = {"torrent": torrent.hex(), "index": index, "size": size, "offset": offset}
    return {**told, "checked": 0, "matching": 0, "pieces": [], "tried": []}


def trait(told: Mapping[str, Any]) -> dict[str, Any]:
    """As a row of "traits"."""
    return {"name": "pieces.across", "text": json.dumps(told, sort_keys=True), **BY_ACROSS}
