"""Checks a whole case offline, from its own bytes: Ledger, checkpoints, signed documents, shards, blobs.

It names the first place that does not hold. What it cannot know from the case alone (that nothing was cut off, or
written anew from the start) a checkpoint from outside shows: each Bundle carries one.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from clew.core import checkpoint, ledger, mandate, watch
from clew.core.case import Case
from clew.core.errors import Damaged
from clew.core.merkle import Tree

CHUNK = 1 << 20
RESTORE = "restore the case from its archive, and find out who touched it"


@dataclass(frozen=True, slots=True)
class Report:
    """A case that holds: what was checked, as (name, number)."""

    checks: tuple[tuple[str, int], ...]
    root: bytes


def verify_case(case: Case, *, outside: str | None = None, signer: str | None = None) -> Report:
    """Checks everything, and `outside`, the text of a checkpoint that once left the case, where given.

    `signer` is the public key (hex) that the outside checkpoint must be signed with. Raises Damaged, naming the first
    place that does not hold.
    """
    notes = {row["size"]: row for row in case.read().execute("SELECT * FROM checkpoints ORDER BY size")}
    wanted = set(notes)
    note = checkpoint.parse(outside) if outside is not None else None
    if note is not None:
        wanted.add(note.size)
        if signer is not None:
            checkpoint.verify_note(note, signer)
    roots, size = _ledger(case, wanted)
    for at, row in notes.items():
        own = checkpoint.parse(row["note"])
        if at > size or own.size != at or bytes(row["root"]) != roots[at] or own.root != roots[at]:
            raise Damaged(f"the ledger is not the one that checkpoint {at} was signed over", RESTORE)
    if note is not None:
        _outside(case, note, size, roots)
    return Report(
        (
            ("ledger entries", size),
            ("checkpoints", len(notes) + (note is not None)),
            ("mandates", len(mandate.all_of(case))),
            ("watches", len(watch.all_of(case))),
            ("shards", _shards(case)),
            ("blobs", _blobs(case.folder)),
        ),
        roots[size],
    )


def _outside(case: Case, note: checkpoint.Note, size: int, roots: dict[int, bytes]) -> None:
    if note.origin != f"clew/{case.settings.id}":
        raise Damaged("this checkpoint is of another case", "give a checkpoint that left this one")
    if note.size > size:
        raise Damaged(
            f"the ledger's tail is cut: it ends at entry {size - 1} of {note.size} signed for", RESTORE
        )
    if note.root != roots[note.size]:
        raise Damaged(f"the first {note.size} ledger entries are not those that were signed for", RESTORE)


def _ledger(case: Case, sizes: set[int]) -> tuple[dict[int, bytes], int]:
    """The Merkle roots at `sizes` (where reached) and at the end, once every entry follows the one before it."""
    tree, prev, roots = Tree(), ledger.GENESIS, {}
    openings = "SELECT l.seq, l.line, l.hash, o.salt, o.opening FROM ledger l LEFT JOIN ledger_openings o USING (seq)"
    if 0 in sizes:
        roots[0] = tree.root()
    for row in case.read().execute(f"{openings} ORDER BY seq"):
        prev = _entry(tree.size, prev, row["seq"], row["line"], bytes(row["hash"]))
        if row["opening"] is not None:
            shown = json.loads(row["line"])["subject"]
            if ledger.commitment(bytes(row["salt"]), row["opening"]) != shown:
                raise Damaged(f"ledger entry {row['seq']} commits to something else than its opening says", RESTORE)
        tree.add(row["line"].encode())
        if tree.size in sizes:
            roots[tree.size] = tree.root()
    roots[tree.size] = tree.root()
    return roots, tree.size


def _entry(expected: int, prev: bytes, seq: int, line: str, stored: bytes) -> bytes:
    """The hash of one entry, once it is canonical, in sequence, chained, and what its row says."""
    hashed = hashlib.sha256(line.encode()).digest()
    try:
        entry = json.loads(line)
        sound = ledger.canonical(entry) == line and entry["seq"] == seq == expected and entry["prev"] == prev.hex()
    except (ValueError, KeyError, TypeError, RecursionError):
        sound = False
    if not sound or hashed != stored:
        raise Damaged(f"the ledger breaks at entry {expected}: it does not follow the one before it", RESTORE)
    return hashed


def _shards(case: Case) -> int:
    count = 0
    for row in case.read().execute("SELECT path, bytes, sha256 FROM shards ORDER BY id"):
        path = case.folder / row["path"]
        if not path.is_file() or path.stat().st_size != row["bytes"] or _sha256(path) != bytes(row["sha256"]):
            raise Damaged(f"the shard {row['path']} is gone, cut or altered", RESTORE)
        count += 1
    return count


def _blobs(folder: Path) -> int:
    count = 0
    for path in _files(folder / "blobs"):
        if path.name.startswith(".tmp-"):
            continue  # what a power cut left behind; nothing names it
        if _sha256(path).hex() != path.parent.name + path.name:
            raise Damaged(f"the blob {path.relative_to(folder)} was altered", RESTORE)
        count += 1
    return count


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file())


def _sha256(path: Path) -> bytes:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.digest()
