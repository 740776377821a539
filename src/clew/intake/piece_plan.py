"""What seized .torrent files, known.met and part.met call for: hashes of parts of each file that has a size of theirs.

Whoever has such a file, in intake's own pass or in a later look (`clew.intake.pieces`), holds it against these.
"""

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any

from clew.core import shards
from clew.core.absent import Absent
from clew.core.case import Case
from clew.core.engine import Outcome, Task
from clew.core.errors import ClewError
from clew.core.unheld import SAID, number, sized
from clew.intake.again import PIECES, Looking, Reopened, at_hand, reopened
from clew.intake.api import Unavailable
from clew.intake.in_pass import InPass
from clew.intake.options import Options
from clew.intake.piece_traits import Held, Named, Part
from clew.intake.said import WRONG
from clew.model import Missing

SPECS = ("clew.intake.piece_check:CHECK",)
PLAN = "clew.intake.piece_check:plan"
TORRENTS = "torrents, for their piece hashes"  # what such a look is called
MOST_WANTED = 5_000  # files of a torrent
SENSELESS = "a trait of this artefact does not say what it must"
LEAST_LENGTH = 1 << 12  # bytes of a piece: of smaller ones each byte costs more than a hash; clients make 16 KiB
MOST_LENGTH = 1 << 30  # bytes of a piece
MOST_HELD = 64 << 20  # bytes of piece hashes that a run of intake holds
MOST_IN_PASS = 64 << 20  # zeros of a pad that are hashed behind each content, within the seconds that an Item has

_APART = "($apart IS NULL OR content IN (SELECT sha256 FROM contents WHERE exhibit <> $apart))"
ED2K = f"""
SELECT DISTINCT content, text FROM {SAID} WHERE name='p2p.entry' AND text LIKE '%"ed2k":"%' AND {_APART}
"""  # noqa: S608 - ours


@dataclass(slots=True)
class Room:
    """How many bytes of piece hashes may still be held: a seized disk may hold any number of large torrents."""

    left: int

    def taken(self, parts: list[Part], done: Held) -> list[Part]:
        """The ways to check one file where there is room for all of them, else none: what was told in one way is not
        asked for again.
        """
        size = sum(len(part.check.get("pieces", "")) // 2 for part in parts)
        if size > self.left:
            done.failed[parts[0].torrent.hex()] = "there are too many piece hashes to hold them all at once"
            return []
        self.left -= size
        return parts


def files(case: Case, done: Held, apart: str | None = None) -> dict[int, list[tuple[bytes, int]]]:
    """Size -> the files that have it: torrent, number of the file in it. Pads and empty files are none. Torrents of
    other exhibits than `apart`, where one is given.
    """
    found: dict[int, list[tuple[bytes, int]]] = defaultdict(list)
    for torrent, several in sized(case, apart):
        if several is None:
            done.never(torrent, SENSELESS)
        for index, size in several or ():
            found[size].append((torrent, index))
    return found


def ed2k(case: Case, done: Held, apart: str | None = None) -> Named:
    """Size -> ed2k hash -> the entries that name it; those of other exhibits than `apart`, where one is given."""
    found: Named = {}
    for row in shards.query(case, ED2K, {"apart": apart}).to_pylist():
        try:
            said = json.loads(row["text"])
            if said.get("size") is None:
                continue  # an entry without a size: nothing to look for
            there = found.setdefault(number(said["size"]), {}).setdefault(str(said["ed2k"]), [])
            there.append((row["content"].hex(), [int(each) for each in said["at"]]))
        except WRONG:
            done.failed[row["content"].hex()] = SENSELESS
    return found


def of_exhibit(
    again: Reopened, rows: list[dict[str, Any]], wanted: Mapping[bytes, set[int]], done: Held, room: Room
) -> list[Part]:
    """Reads the torrents (`rows`, of `places`) of one Exhibit again, for the piece hashes of the files `wanted` of
    each, as far as there is room.
    """
    parts: list[Part] = []
    asked = {row["sha256"]: sorted(wanted[row["sha256"]]) for row in rows}

    def payload(row: Mapping[str, Any]) -> dict[str, Any]:
        return {"sha256": row["sha256"].hex(), "wanted": asked[row["sha256"]][:MOST_WANTED]}

    for torrent, outcome in outcomes(again, PLAN, rows, payload, done):
        if isinstance(outcome.reply, Missing):
            done.unread(torrent, outcome.reply)
        elif outcome.reply.value is not None:
            found = list(_parts(torrent, outcome.reply.value, outcome.reply.blobs, done))
            parts += room.taken(found, done)
    for torrent, numbers in asked.items():
        if len(numbers) > MOST_WANTED:
            done.failed[torrent.hex()] = f"only {MOST_WANTED} of {len(numbers)} of its files were held against any"
    done.torrents += len(rows)
    return parts


def _parts(torrent: bytes, said: Any, blobs: tuple[bytes, ...], done: Held) -> Iterator[Part]:
    """What a worker says of one file of a torrent, checked. One Part for each way in which it can be checked."""
    try:
        numbers = {name: number(said[name]) for name in ("index", "size", "first", "length", "zeros")}
        offset = None if said["offset"] is None else number(said["offset"])
        root, hashes = bytes.fromhex(said["root"]), blobs[0]
        if len(hashes) % 20 or len(root) not in (0, 32) or max(numbers["length"], numbers["zeros"]) > MOST_LENGTH:
            raise ValueError("no hashes")
    except WRONG as error:
        done.failed[torrent.hex()] = f"the worker's answer made no sense: {type(error).__name__}"
        return
    about = (torrent, numbers["index"], numbers["size"], offset)
    if hashes and 0 < numbers["length"] < LEAST_LENGTH:
        small = f"pieces of {numbers['length']:,} bytes"
        done.never(torrent, f"{small}: only those of {LEAST_LENGTH:,} and more are held against files")
    elif hashes and numbers["length"]:
        rest = {name: numbers[name] for name in ("first", "length", "zeros")}
        yield Part(*about, "v1", {"pieces": hashes.hex(), **rest})
    if root:
        yield Part(*about, "v2", {"root": root.hex()})


def outcomes(
    again: Reopened,
    entry: str,
    rows: Iterable[dict[str, Any]],
    payload: Callable[[Mapping[str, Any]], dict[str, Any]],
    done: Held,
) -> Iterator[tuple[bytes, Outcome]]:
    """Content and outcome, for every row that can be opened."""
    by_content = {row["sha256"].hex(): row for row in rows}  # several may be of one Item: read in part, then whole

    def tasks() -> Iterator[Task]:
        for content, row in by_content.items():
            try:
                job = again.session.job(row["ref"])
            except Unavailable as gone:
                done.failed[content] = str(gone.missing)
                continue
            said = {**job.payload, "opener": job.opener, "size": row["size"], **payload(row)}
            yield Task(content, entry, said, job.fds, max(row["size"], job.bytes))

    for outcome in again.pool.run(tasks()):
        yield by_content[outcome.task.id]["sha256"], outcome


def called_for(case: Case, exhibit: str, options: Options) -> InPass:
    """What the other Exhibits call for. Each torrent is read again, for its piece hashes; where that cannot be done,
    as its Exhibit is not at hand, it is one of those left.
    """
    found = InPass(every=options.ed2k)
    if case.read().execute("SELECT 1 FROM exhibits WHERE id<>?", (exhibit,)).fetchone() is None:
        return found
    found.named.update(ed2k(case, found.done, exhibit))
    wanted: dict[bytes, set[int]] = defaultdict(set)
    for each in files(case, found.done, exhibit).values():
        for torrent, index in each:
            wanted[torrent].add(index)
    room, alone = Room(MOST_HELD), replace(options, workers=1)

    def opening(other: str) -> AbstractContextManager[Reopened]:
        return reopened(case, other, SPECS, alone, Looking(PIECES, TORRENTS, exhibit))

    def use(again: Reopened, _other: str, rows: list[dict[str, Any]]) -> None:
        try:
            parts = of_exhibit(again, rows, wanted, found.done, room)
        except (ClewError, OSError, Absent) as error:
            found.done.failed.update({row["sha256"].hex(): str(error) for row in rows})
            return
        for part in parts:
            if part.check.get("zeros", 0) > MOST_IN_PASS:
                found.done.failed[part.torrent.hex()] = "the pads behind its files are too long for intake's own pass"
            else:
                found.parts.setdefault(part.size, []).append(part)

    at_hand(case, wanted, opening, use, found.done.failed, apart=[exhibit])
    return found
