"""Checks a whole case offline, from its own bytes: Ledger, checkpoints, signed documents, shards, blobs.

It names the first place that does not hold. What it cannot know from the case alone (that the tail was cut off, or all
of it written anew) a checkpoint from outside shows: each Bundle carries one.
"""

import hashlib
import json
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clew.core import blobs, checkpoint, keys, ledger, mandate, watch
from clew.core.case import Case
from clew.core.errors import Damaged
from clew.core.merkle import Tree

RESTORE = "restore the case from its archive, and find out who touched it"
COUNTED = ("mandates", "watches", "shards", "blobs")
NOT_COVERED = ("compiled hash sets", "stores of received bundles", "rows of case.db that no ledger entry commits to")
TEXTS = ("action", "actor", "at", "id", "mandate", "prev", "stage", "subject", "tool")
ENTRY: dict[str, type] = dict.fromkeys(TEXTS, str) | {"counts": dict, "seq": int}


@dataclass(frozen=True, slots=True)
class Report:
    """A case that holds: what was checked, as (name, number), the Ledger's Merkle root, and what was not checked."""

    checks: tuple[tuple[str, int], ...]
    root: bytes
    not_covered: tuple[str, ...] = NOT_COVERED


def verify_case(case: Case, *, outside: str | None = None, signer: str | None = None) -> Report:
    """Checks everything, and `outside`, the text of a checkpoint that once left the case, where given.

    `signer` is the public key (hex) that the outside checkpoint must be signed with. Raises Damaged, naming the first
    place that does not hold.
    """
    try:
        return _verify(case, outside, signer)
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
        raise Damaged(f"case.db cannot be read: {error}", RESTORE) from error


def _verify(case: Case, outside: str | None, signer: str | None) -> Report:
    read = case.read()
    told = read.execute("PRAGMA integrity_check(1)").fetchone()[0]
    if told != "ok":
        raise Damaged(f"case.db is no sound database: {told}", RESTORE)
    note = _note(case, outside, signer)
    notes = read.execute("SELECT * FROM checkpoints ORDER BY size").fetchall()
    roots, size, openings = _ledger(case, {row["size"] for row in notes} | ({note.size} if note else set()))
    for row in notes:
        _stored(row, roots)
    if note is not None:
        _outside(note, size, roots)
    _settings(case)
    numbers = (len(mandate.all_of(case)), len(watch.all_of(case)), _shards(case), _blobs(case.folder))
    counts = [("ledger entries", size), ("openings", openings), ("checkpoints", len(notes) + (note is not None))]
    return Report((*counts, *zip(COUNTED, numbers, strict=True)), roots[size])


def _note(case: Case, outside: str | None, signer: str | None) -> checkpoint.Note | None:
    if outside is None:
        return None
    note = checkpoint.parse(outside)
    if signer is not None:
        checkpoint.verify_note(note, signer)
    if note.origin != checkpoint.origin(case):
        raise Damaged("this checkpoint is of another case", "give a checkpoint that left this one")
    return note


def _outside(note: checkpoint.Note, size: int, roots: dict[int, bytes]) -> None:
    if note.size > size:
        raise Damaged(f"the ledger's tail is cut: it ends at entry {size - 1} of {note.size} signed for", RESTORE)
    if note.root != roots[note.size]:
        raise Damaged(f"the first {note.size} ledger entries are not those that were signed for", RESTORE)


def _stored(row: sqlite3.Row, roots: dict[int, bytes]) -> None:
    """One checkpoint of the case's own: note, root and raw signature say the same of the same entries."""
    size, place = row["size"], f"checkpoint {row['size']}"
    if size not in roots:
        raise Damaged(f"the ledger's tail is cut: it ends before {place}", RESTORE)
    note = checkpoint.parse(row["note"])
    if (note.size, note.root, row["root"]) != (size, roots[size], roots[size]):
        raise Damaged(f"the ledger is not the one that {place} was signed over", RESTORE)
    try:
        checkpoint.verify_note(note, row["key"])
        keys.verify(row["key"], note.body, row["signature"])
    except Damaged as error:
        raise Damaged(f"{place}: {error.message}", RESTORE) from error


def _ledger(case: Case, sizes: set[int]) -> tuple[dict[int, bytes], int, int]:
    """The Merkle roots at `sizes` (where reached) and at the end, once every entry follows the one before it.

    Also the number of entries, and of openings that are still there.
    """
    tree, prev, roots, openings = Tree(), ledger.GENESIS, {0: Tree().root()}, 0
    joined = "SELECT l.seq, l.line, l.hash, o.salt, o.opening FROM ledger l LEFT JOIN ledger_openings o USING (seq)"
    for row in case.read().execute(f"{joined} ORDER BY l.seq"):
        entry = _entry(tree.size, prev, row)
        if row["opening"] is not None:
            openings += 1
            if not _opens(row, entry["subject"]):
                raise Damaged(f"ledger entry {row['seq']} commits to something else than its opening says", RESTORE)
        prev = row["hash"]
        tree.add(row["line"].encode())
        if tree.size in sizes:
            roots[tree.size] = tree.root()
    roots[tree.size] = tree.root()
    return roots, tree.size, openings


def _entry(expected: int, prev: bytes, row: sqlite3.Row) -> dict[str, Any]:
    """One entry, once it is canonical, complete, in sequence, chained, and what its row says."""
    try:
        line = row["line"].encode()
        entry: dict[str, Any] = json.loads(line)
        sound = (
            {name: type(value) for name, value in entry.items()} == ENTRY
            and ledger.canonical(entry).encode() == line
            and (entry["seq"], row["seq"], entry["prev"]) == (expected, expected, prev.hex())
            and row["hash"] == hashlib.sha256(line).digest()
        )
    except (ValueError, AttributeError, TypeError, RecursionError):
        sound = False
    if not sound:
        raise Damaged(f"the ledger breaks at entry {expected}: it does not follow the one before it", RESTORE)
    return entry


def _opens(row: sqlite3.Row, shown: str) -> bool:
    salt, opening = row["salt"], row["opening"]
    return isinstance(salt, bytes) and isinstance(opening, str) and ledger.commitment(salt, opening) == shown


def _settings(case: Case) -> None:
    """case.toml still names the case, and the authority, that the Ledger's first entry commits to."""
    held = case.read().execute("SELECT value FROM meta WHERE key='case'").fetchone()
    if held is None or held[0] != case.settings.id:
        raise Damaged("case.toml names another case than case.db", RESTORE)
    first = case.read().execute("SELECT opening FROM ledger_openings WHERE seq=0").fetchone()
    if first is None:
        return  # lawfully erased; the signatures of the documents are still held to case.toml's authority
    begun = json.loads(first[0])
    for name in ("operation", "force", "authority"):
        if begun.get(name) != getattr(case.settings, name):
            raise Damaged(f"case.toml names another {name} than the ledger's first entry", RESTORE)


def _shards(case: Case) -> int:
    rows = case.read().execute("SELECT path, bytes, sha256 FROM shards ORDER BY id").fetchall()
    for row in rows:
        path = case.folder / row["path"]
        if not path.is_file() or path.stat().st_size != row["bytes"] or _sha256(path) != row["sha256"]:
            raise Damaged(f"the shard {row['path']} is gone, cut or altered", RESTORE)
    return len(rows)


def _blobs(folder: Path) -> int:
    count = 0
    for sha256 in blobs.all_of(folder):
        blobs.get(folder, sha256)
        count += 1
    return count


def _sha256(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()
