"""Seized files against the piece hashes of seized .torrent files, and the ed2k hashes of known.met and part.met.

A Content is read again only where its size is that of a file in a torrent, or of an entry, and its own pass did not
tell already (`clew.intake.in_pass`). What came out becomes Traits (`clew.intake.piece_traits`).
"""

import os
from collections import defaultdict
from collections.abc import Callable, Mapping, Set
from contextlib import AbstractContextManager
from itertools import product
from typing import Any

from clew.core import descriptors, shards
from clew.core.absent import Absent
from clew.core.case import Case
from clew.intake.across import held_across, trait, untried
from clew.intake.across_plan import MOST_OPEN
from clew.intake.again import OTHERS, PIECES, Looking, Reopened, at_hand, reopened
from clew.intake.options import Options
from clew.intake.piece_layout import layouts, lots
from clew.intake.piece_plan import SPECS, TORRENTS, Room, ed2k, files, of_exhibit, outcomes
from clew.intake.piece_told import BY_ACROSS, Told, commit, told, unread
from clew.intake.piece_traits import BY, Check, Held, Named, Part, asked, naming, results
from clew.intake.said import WRONG
from clew.model import Missing, Reason

READ = "clew.intake.piece_check:check"
MOST, MOST_CHECKS = 1_000, 200  # contents of a receipt, checks of a content
TASKS = 2  # that a worker is sent at a time, at most: one in hand and one to come
MOST_UNTRIED = 100_000  # rows that say so, of a receipt
MOST_HASHES = 256 << 20  # bytes of piece hashes that one such look holds; what it told is not asked for by the next

OF_SIZE = "SELECT DISTINCT sha256, size FROM contents WHERE size IN (SELECT unnest($sizes)) ORDER BY sha256"


def held_against(case: Case, *, options: Options | None = None) -> Held:
    """Holds every Content that may be one of them against the torrents and ed2k entries of the case. What was told
    before is not read again; what failed is.

    Where an Exhibit is not at hand, or no Mandate covers it, what it holds is read from another one or left, with why;
    where that is so of all of them, raises what `again.reopened` does.
    """
    chosen = options or Options(workers=os.cpu_count() or 1)
    done = Held()
    sizes, named, had = files(case, done), ed2k(case, done), told(case)
    contents: dict[int, list[bytes]] = defaultdict(list)
    for row in shards.query(case, OF_SIZE, {"sizes": [*sizes, *named]}).to_pylist():
        contents[row["size"]].append(row["sha256"])
    several, apart = _apart(case, contents, done)
    if several:
        most = chosen.workers * TASKS * MOST_OPEN
        descriptors.room_for(most, f"pieces across files have {most:,} files open at once", "lower --workers")
    wanted: dict[bytes, set[int]] = defaultdict(set)
    for size, about in sizes.items():
        for torrent, index in (each for each in about if each not in apart):
            if any((content, torrent, index) not in had.pieces for content in contents.get(size, ())):
                wanted[torrent].add(index)
    _name(case, contents, named, had, done)
    parts, room = list[Part](), Room(MOST_HASHES)

    def opening(called: str, specs: tuple[str, ...] = SPECS) -> Callable[[str], AbstractContextManager[Reopened]]:
        return lambda exhibit: reopened(case, exhibit, specs, chosen, Looking(PIECES, called))

    def torrents(again: Reopened, _exhibit: str, rows: list[dict[str, Any]]) -> None:
        parts.extend(of_exhibit(again, rows, wanted, done, room))

    def hold(again: Reopened, exhibit: str, rows: list[dict[str, Any]]) -> None:
        for at in range(0, len(rows), MOST):
            traits = _read(again, rows[at : at + MOST], checks, named, done)
            commit(case, exhibit, traits, again.made_with, again.basis.require())

    none = at_hand(case, wanted, opening(TORRENTS), torrents, done.failed)
    checks = _due(contents, parts, named.keys(), had, done)
    none = at_hand(case, checks, opening("pieces"), hold, done.failed) if checks else none
    if none is None:
        had = told(case)
        closed = held_across(case, lots(case, contents, done) if several else (), contents, had, opening, done)
        none = None if done.torrents or done.contents else closed
    if none is not None:
        raise none
    _nothing(case, sizes, contents, had, done)
    return done


def _apart(case: Case, contents: Mapping[int, list[bytes]], done: Held) -> tuple[bool, set[tuple[bytes, int]]]:
    """Whether pieces of some torrent lie in several files, each of which some content may be; and the files (torrent,
    number) of which nothing can be checked alone.
    """
    several, apart = False, set[tuple[bytes, int]]()
    for each in layouts(case, contents, done):
        apart |= {(each.torrent, file.index) for file in each.files.values() if file.index not in each.alone}
        done.across_crowded += each.crowded
        several = several or bool(each.spans)
    return several, apart


def _nothing(
    case: Case,
    sizes: Mapping[int, list[tuple[bytes, int]]],
    contents: Mapping[int, list[bytes]],
    had: Told,
    done: Held,
) -> None:
    """Tells of what has the size of files in a torrent, and was not held against each of them, that this was so: some
    at a time, since any number of torrents may name the size of any number of contents.
    """
    left, rows, count = set[tuple[bytes, int]](), defaultdict[bytes, list[dict[str, Any]]](list), 0

    def keep() -> None:
        for _ in unread(case, rows, BY_ACROSS, done):
            pass
        rows.clear()

    for size, several in sorted(sizes.items()):
        told_new = set[bytes]()
        files_of: dict[bytes, list[int]] = defaultdict(list)
        for torrent, index in several:
            files_of[torrent].append(index)
        for content, torrent in product(sorted(contents.get(size, ())), sorted(files_of)):
            if content.hex() not in done.failed and _untold(content, torrent, files_of[torrent], had, done):
                told_new.add(torrent)
                rows[content].append(trait(untried(torrent, size)))
                count += 1
                if count % MOST_UNTRIED == 0:
                    keep()
        left |= {(torrent, index) for torrent in told_new for index in files_of[torrent]}
    keep()
    done.not_checkable = len(left - {(torrent, index) for _, torrent, index in had.pieces | had.across})


def _untold(content: bytes, torrent: bytes, numbers: list[int], had: Told, done: Held) -> bool:
    """Whether it was told of some of these files of a torrent neither that it was held against them nor that not."""
    failed = torrent.hex() in done.failed and torrent.hex() not in done.hopeless
    if failed or (content, torrent, None) in had.across:
        return False
    return any((content, torrent, n) not in had.pieces and (content, torrent, n) not in had.across for n in numbers)


def _name(case: Case, contents: Mapping[int, list[bytes]], named: Named, had: Told, done: Held) -> None:
    """Entries that came into the case later than the ed2k hash of the content they name: nothing is read for them."""
    late: dict[bytes, list[dict[str, Any]]] = {}
    for size, content in ((each, content) for each in named for content in contents.get(each, ())):
        texts = naming(size, had.hashes.get(content, set()), named)
        if found := [{"name": "ed2k.verified", "text": text} for text in texts if (content, text) not in had.entries]:
            late[content] = found
    done.ed2k_named += sum(1 for _ in unread(case, late, BY, done))


def _due(
    contents: Mapping[int, list[bytes]],
    parts: list[Part],
    named: Set[int],
    had: Told,
    done: Held,
) -> dict[bytes, list[Check]]:
    """What each content is still to be held against."""
    by_size: dict[int, list[Part]] = defaultdict(list)
    for part in parts:
        by_size[part.size].append(part)
    checks: dict[bytes, list[Check]] = {}
    for size, content in ((size, content) for size, several in contents.items() for content in several):
        due: list[Check] = [p for p in by_size.get(size, ()) if (content, p.torrent, p.index) not in had.pieces]
        due += [None] if size in named and content not in had.hashes else []
        if len(due) > MOST_CHECKS:
            done.failed[content.hex()] = f"{len(due)} files have its size; the first {MOST_CHECKS} were held against it"
        if due:
            checks[content] = due[: _whole_files(due)]
    return checks


def _whole_files(due: list[Check]) -> int:
    """How many checks can be made, both ways of checking a file or none: what was told in one way is not due again."""
    most, last = MOST_CHECKS, due[MOST_CHECKS] if len(due) > MOST_CHECKS else None
    while most > 1 and last is not None and _of_one_file(due[most - 1], last):
        most -= 1
    return most


def _of_one_file(one: Check, other: Check) -> bool:
    return one is not None and other is not None and (one.torrent, one.index) == (other.torrent, other.index)


def _read(
    again: Reopened,
    rows: list[dict[str, Any]],
    checks: Mapping[bytes, list[Check]],
    named: Named,
    done: Held,
) -> dict[bytes, list[dict[str, Any]]]:
    """Trait rows by content; where it could not be read, the one Missing that says why."""

    def payload(row: Mapping[str, Any]) -> dict[str, Any]:
        return {"checks": asked(checks[row["sha256"]])}

    sizes = {row["sha256"]: row["size"] for row in rows}
    traits: dict[bytes, list[dict[str, Any]]] = {}
    for content, outcome in outcomes(again, READ, rows, payload, done):
        missing: Missing | None = None
        if isinstance(outcome.reply, Missing):
            missing = outcome.reply
        else:
            try:
                if outcome.reply.value["sha256"] != content.hex():
                    raise Absent(Missing(Reason.UNREADABLE, OTHERS))
                said = outcome.reply.value["results"]
                traits[content] = results(sizes[content], said, checks[content], named, done)
                done.contents += 1
            except Absent as absent:
                missing = absent.missing
            except WRONG as error:
                missing = Missing(Reason.UNPARSABLE, f"the worker's answer made no sense: {type(error).__name__}")
        if missing is not None:
            done.failed[content.hex()] = str(missing)
            traits[content] = [{"name": "pieces.verified", "missing": str(missing.reason), "detail": missing.detail}]
    return traits
