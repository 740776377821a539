"""Seized files against the piece hashes of seized .torrent files, and the ed2k hashes of known.met and part.met.

A Content is read again only where its size is that of a file in a torrent, or of an entry. What came out becomes
Traits, whether it fits or not:

"pieces.verified", JSON: {torrent: SHA-256 of the .torrent, index: of the file in it, size, offset: where it begins in
the torrent (null in v2 alone), method: "v1" (the pieces wholly inside the file) or "v2" (the root over all of it),
checked, matching, failing: pieces or roots, first_wrong: number of the first piece that was wrong, of those checked}.
"ed2k" and "ed2k.red": the hash in bytes, both conventions where they differ. "ed2k.verified", JSON: {artefact: SHA-256
of the known.met or part.met, at: [offset, bytes] of the entry in it} for each entry that names this hash.
"""

import hashlib
import json
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from dataclasses import asdict, dataclass, field
from typing import Any

from clew.core import shards
from clew.core.absent import Absent
from clew.core.case import Case
from clew.core.engine import Outcome, Task
from clew.intake.again import Reopened, places, reopened
from clew.intake.api import Unavailable
from clew.intake.options import Options
from clew.intake.piece_check import CHECK
from clew.intake.said import WRONG
from clew.model import Missing, Reason

MODE = "pieces"
SPECS = ("clew.intake.piece_check:CHECK",)
PLAN, READ = "clew.intake.piece_check:plan", "clew.intake.piece_check:check"
MOST, MOST_WANTED, MOST_CHECKS = 1_000, 5_000, 200  # contents of a receipt, files of a torrent, checks of a content
SENSELESS = "a trait of this artefact does not say what it must"
MOST_LENGTH = 1 << 30  # bytes of a piece

FILES = """
SELECT DISTINCT content, text FROM traits WHERE name='p2p.entry.files' AND text IS NOT NULL AND content IN
(SELECT content FROM traits WHERE name='p2p.artefact' AND text='torrent metainfo')
"""
ED2K = "SELECT DISTINCT content, text FROM traits WHERE name='p2p.entry' AND text LIKE '%\"ed2k\":\"%'"
OF_SIZE = "SELECT DISTINCT sha256, size FROM contents WHERE size IN (SELECT unnest($sizes))"
TOLD = f"SELECT DISTINCT content, name, text FROM traits WHERE mode='{MODE}' AND missing IS NULL"  # noqa: S608 - ours


@dataclass(frozen=True, slots=True)
class Part:
    """One file of a torrent, ready to be held against contents of its size."""

    torrent: bytes
    index: int
    size: int
    offset: int | None
    method: str
    check: Mapping[str, Any]


@dataclass(slots=True)
class Held:
    """What was done. `whole`, `partly` and `not_at_all` count files whose checks all, partly or never fitted.
    `not_checkable`: files of torrents of a size that was seized, no piece of which lies wholly inside them.
    """

    torrents: int = 0
    contents: int = 0
    whole: int = 0
    partly: int = 0
    not_at_all: int = 0
    not_checkable: int = 0
    ed2k: int = 0
    ed2k_named: int = 0
    failed: dict[str, str] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return asdict(self)


def held_against(case: Case, *, options: Options | None = None) -> Held:
    """Holds every Content that may be one of them against the torrents and ed2k entries of the case. What was told
    before is not read again; what failed is.

    Raises Refused without a Mandate that covers the Exhibits, Held while another such look goes on.
    """
    chosen = options or Options(workers=os.cpu_count() or 1)
    done = Held()
    files, named, had = _files(case, done), _ed2k(case, done), _told(case)
    contents: dict[int, list[bytes]] = defaultdict(list)
    for row in shards.query(case, OF_SIZE, {"sizes": [*files, *named]}).to_pylist():
        contents[row["size"]].append(row["sha256"])
    wanted: dict[bytes, set[int]] = defaultdict(set)
    for size, about in files.items():
        for torrent, index in about:
            if any((content, torrent, index) not in had for content in contents.get(size, ())):
                wanted[torrent].add(index)
    checks = _due(contents, _plan(case, wanted, chosen, done), named.keys(), had, done)
    for exhibit, rows in places(case, checks).items():
        with reopened(case, exhibit, SPECS, chosen, "pieces") as again:
            for at in range(0, len(rows), MOST):
                traits = _read(again, rows[at : at + MOST], checks, named, done)
                _commit(case, again, exhibit, traits)
    return done


def _due(
    contents: Mapping[int, list[bytes]],
    parts: list[Part],
    named: Set[int],
    had: set[tuple[bytes, bytes, int]],
    done: Held,
) -> dict[bytes, list[Part | None]]:
    """What each content is still to be held against; None stands for its ed2k hash."""
    by_size: dict[int, list[Part]] = defaultdict(list)
    for part in parts:
        by_size[part.size].append(part)
    checks: dict[bytes, list[Part | None]] = {}
    for size, content in ((size, content) for size, several in contents.items() for content in several):
        due: list[Part | None] = [p for p in by_size.get(size, ()) if (content, p.torrent, p.index) not in had]
        due += [None] if size in named and (content, b"", 0) not in had else []
        if len(due) > MOST_CHECKS:
            done.failed[content.hex()] = f"{len(due)} files have its size; the first {MOST_CHECKS} were held against it"
        if due:
            checks[content] = due[:MOST_CHECKS]
    return checks


def _files(case: Case, done: Held) -> dict[int, list[tuple[bytes, int]]]:
    """Size -> the files that have it: torrent, number of the file in it. Pads and empty files are none."""
    found: dict[int, list[tuple[bytes, int]]] = defaultdict(list)
    for row in shards.query(case, FILES).to_pylist():
        try:
            for each in json.loads(row["text"])["files"]:
                if each["size"] and not each.get("pad"):
                    found[_number(each["size"])].append((row["content"], _number(each["index"])))
        except WRONG:
            done.failed[row["content"].hex()] = SENSELESS
    return found


def _ed2k(case: Case, done: Held) -> dict[int, dict[str, list[tuple[str, list[int]]]]]:
    """Size -> ed2k hash -> the entries that name it."""
    found: dict[int, dict[str, list[tuple[str, list[int]]]]] = {}
    for row in shards.query(case, ED2K).to_pylist():
        try:
            said = json.loads(row["text"])
            if said.get("size") is None:
                continue  # an entry without a size: nothing to look for
            there = found.setdefault(_number(said["size"]), {}).setdefault(str(said["ed2k"]), [])
            there.append((row["content"].hex(), [int(each) for each in said["at"]]))
        except WRONG:
            done.failed[row["content"].hex()] = SENSELESS
    return found


def _told(case: Case) -> set[tuple[bytes, bytes, int]]:
    """(content, torrent, number of the file) of what is known already; ed2k stands as (content, b"", 0)."""
    had = set()
    for row in shards.query(case, TOLD).to_pylist():
        if row["name"] == "ed2k":
            had.add((row["content"], b"", 0))
        elif row["name"] == "pieces.verified":
            said = json.loads(row["text"])
            had.add((row["content"], bytes.fromhex(said["torrent"]), said["index"]))
    return had


def _plan(case: Case, wanted: Mapping[bytes, set[int]], options: Options, done: Held) -> list[Part]:
    """Reads the torrents again, for the piece hashes of the files that matter."""
    parts: list[Part] = []
    for exhibit, rows in places(case, wanted).items():
        with reopened(case, exhibit, SPECS, options, "pieces") as again:
            asked = {row["sha256"]: sorted(wanted[row["sha256"]]) for row in rows}

            def payload(row: Mapping[str, Any], asked: Mapping[bytes, list[int]] = asked) -> dict[str, Any]:
                return {"sha256": row["sha256"].hex(), "wanted": asked[row["sha256"]][:MOST_WANTED]}

            for torrent, outcome in _outcomes(again, PLAN, rows, payload, done):
                if isinstance(outcome.reply, Missing):
                    done.failed[torrent.hex()] = str(outcome.reply)
                elif outcome.reply.value is not None:
                    parts += _parts(torrent, outcome.reply.value, outcome.reply.blobs, done)
            for torrent, numbers in asked.items():
                if len(numbers) > MOST_WANTED:
                    done.failed[torrent.hex()] = (
                        f"only {MOST_WANTED} of {len(numbers)} of its files were held against any"
                    )
            done.torrents += len(rows)
    return parts


def _parts(torrent: bytes, said: Any, blobs: tuple[bytes, ...], done: Held) -> Iterator[Part]:
    """What a worker says of one file of a torrent, checked. One Part for each way in which it can be checked."""
    try:
        numbers = {name: _number(said[name]) for name in ("index", "size", "first", "length", "zeros")}
        offset = None if said["offset"] is None else _number(said["offset"])
        root, hashes = bytes.fromhex(said["root"]), blobs[0]
        if len(hashes) % 20 or len(root) not in (0, 32) or max(numbers["length"], numbers["zeros"]) > MOST_LENGTH:
            raise ValueError("no hashes")
    except WRONG as error:
        done.failed[torrent.hex()] = f"the worker's answer made no sense: {type(error).__name__}"
        return
    about = (torrent, numbers["index"], numbers["size"], offset)
    if hashes and numbers["length"]:
        rest = {name: numbers[name] for name in ("first", "length", "zeros")}
        yield Part(*about, "v1", {"pieces": hashes.hex(), **rest})
    if root:
        yield Part(*about, "v2", {"root": root.hex()})
    if not root and not hashes:
        done.not_checkable += 1


def _outcomes(
    again: Reopened,
    entry: str,
    rows: Iterable[dict[str, Any]],
    payload: Callable[[Mapping[str, Any]], dict[str, Any]],
    done: Held,
) -> Iterator[tuple[bytes, Outcome]]:
    """Content and outcome, for every row that can be opened."""
    by_item = {row["item"]: row for row in rows}

    def tasks() -> Iterator[Task]:
        for item, row in by_item.items():
            try:
                job = again.session.job(row["ref"])
            except Unavailable as gone:
                done.failed[row["sha256"].hex()] = str(gone.missing)
                continue
            yield Task(item, entry, {**job.payload, "opener": job.opener, **payload(row)}, job.fds, row["size"])

    for outcome in again.pool.run(tasks()):
        yield by_item[outcome.task.id]["sha256"], outcome


def _read(
    again: Reopened,
    rows: list[dict[str, Any]],
    checks: Mapping[bytes, list[Part | None]],
    named: Mapping[int, Mapping[str, list[tuple[str, list[int]]]]],
    done: Held,
) -> dict[bytes, list[dict[str, Any]]]:
    """Trait rows by content; where it could not be read, the one Missing that says why."""

    def payload(row: Mapping[str, Any]) -> dict[str, Any]:
        return {"checks": [{"ed2k": True} if part is None else dict(part.check) for part in checks[row["sha256"]]]}

    sizes = {row["sha256"]: row["size"] for row in rows}
    traits: dict[bytes, list[dict[str, Any]]] = {}
    for content, outcome in _outcomes(again, READ, rows, payload, done):
        missing: Missing | None = None
        if isinstance(outcome.reply, Missing):
            missing = outcome.reply
        else:
            try:
                if outcome.reply.value["sha256"] != content.hex():
                    raise Absent(Missing(Reason.UNREADABLE, "the exhibit's bytes have changed since intake"))
                traits[content] = _results(sizes[content], outcome.reply.value, checks[content], named, done)
                done.contents += 1
            except Absent as absent:
                missing = absent.missing
            except WRONG as error:
                missing = Missing(Reason.UNPARSABLE, f"the worker's answer made no sense: {type(error).__name__}")
        if missing is not None:
            done.failed[content.hex()] = str(missing)
            traits[content] = [{"name": "pieces.verified", "missing": str(missing.reason), "detail": missing.detail}]
    return traits


def _results(
    size: int,
    said: Any,
    wanted: list[Part | None],
    named: Mapping[int, Mapping[str, list[tuple[str, list[int]]]]],
    done: Held,
) -> list[dict[str, Any]]:
    """The traits of one content. Raises one of WRONG."""
    found: list[dict[str, Any]] = []
    for part, result in zip(wanted, said["results"], strict=True):
        if part is None:
            blue, red = (bytes.fromhex(result[name]) for name in ("blue", "red"))
            entries = [e for each in {blue.hex(), red.hex()} for e in named[size].get(each, ())]
            found.append({"name": "ed2k", "data": blue})
            found += [{"name": "ed2k.red", "data": red}] if red != blue else []
            texts = [json.dumps({"artefact": artefact, "at": at}) for artefact, at in entries[:MOST_CHECKS]]
            found += [{"name": "ed2k.verified", "text": text} for text in texts]
            done.ed2k, done.ed2k_named = done.ed2k + 1, done.ed2k_named + bool(entries)
        else:
            found.append({"name": "pieces.verified", "text": _verified(part, result, done)})
    return found


def _verified(part: Part, result: Mapping[str, Any], done: Held) -> str:
    checked, matching = _number(result["checked"]), _number(result["matching"])
    if matching > checked:
        raise ValueError("more fit than were checked")
    done.whole += 0 < checked == matching
    done.partly += 0 < matching < checked
    done.not_at_all += matching == 0
    numbers = {"checked": checked, "matching": matching, "failing": checked - matching}
    told = {"torrent": part.torrent.hex(), "index": part.index, "size": part.size, "offset": part.offset}
    return json.dumps(
        told | numbers | {"method": part.method, "first_wrong": int(result["first_wrong"])}, sort_keys=True
    )


def _commit(case: Case, again: Reopened, exhibit: str, traits: Mapping[bytes, list[dict[str, Any]]]) -> None:
    said = sorted((content.hex(), repr(found)) for content, found in traits.items())
    batch = hashlib.sha256(f"{MODE}\n{said}".encode()).hexdigest()[:32]
    if not traits or shards.done(case, stage="intake", batch=batch, versions=again.made_with, config=MODE):
        return
    by = {"extractor": CHECK.name, "version": CHECK.version, "mode": MODE}
    rows = [{"content": content, **by, **trait} for content, found in traits.items() for trait in found]
    pending = [shards.write(case, "traits", rows)]
    with case.write("intake") as tx:
        shards.commit(tx, stage="intake", batch=batch, versions=again.made_with, config=MODE, pending=pending)
        about = {"exhibit": exhibit, "batch": batch, "contents": [content.hex() for content in traits]}
        tx.record("contents.held against pieces", subject=about, counts={"contents": len(traits)}, mandate=again.basis)


def _number(value: Any) -> int:
    if type(value) is not int or not 0 <= value < 1 << 63:
        raise ValueError("no number")
    return value
