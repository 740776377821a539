"""Checks a whole case offline, from its own bytes: Ledger, checkpoints, signed documents, shards, blobs.

It names the first place that does not hold. Others may go on writing meanwhile: what they take away is no damage. What
it cannot know from the case alone (that the tail was cut off, or all of it written anew) a checkpoint from outside
shows: each Bundle carries one.
"""

import hashlib
import json
import sqlite3
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from clew.core import blobs, checkpoint, keys, ledger, mandate, watch
from clew.core.case import Case
from clew.core.errors import Damaged
from clew.core.files import sha256_of
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


@dataclass(slots=True)
class _Chain:
    """What a replay of the Ledger found; `signers` are the keys whose checkpoint of a size it records."""

    size: int = 0
    openings: int = 0
    roots: dict[int, bytes] = field(default_factory=lambda: {0: Tree().root()})
    signers: dict[int, set[str]] = field(default_factory=dict)

    def opened(self, entry: dict[str, Any], opening: str) -> None:
        """Counts an opening that fits its entry, and keeps whose checkpoint it tells of."""
        self.openings += 1
        if entry["action"] == checkpoint.SIGNED:
            size, key = entry["counts"].get("size"), _object(opening).get("key")
            self.signers.setdefault(size, set()).add(str(key))


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
    chain = _ledger(case, {row["size"] for row in notes} | ({note.size} if note else set()))
    for row in notes:
        _stored(row, chain)
    if note is not None:
        _outside(note, chain)
    _settings(case)
    numbers = (len(mandate.all_of(case)), len(watch.all_of(case)), _shards(case), _blobs(case.folder))
    counts = [
        ("ledger entries", chain.size),
        ("openings", chain.openings),
        ("checkpoints", len(notes) + (note is not None)),
    ]
    return Report((*counts, *zip(COUNTED, numbers, strict=True)), chain.roots[chain.size])


def _note(case: Case, outside: str | None, signer: str | None) -> checkpoint.Note | None:
    if outside is None:
        return None
    note = checkpoint.parse(outside)
    if signer is not None:
        checkpoint.verify_note(note, signer)
    if note.origin != checkpoint.origin(case):
        raise Damaged("this checkpoint is of another case", "give a checkpoint that left this one")
    return note


def _outside(note: checkpoint.Note, chain: _Chain) -> None:
    if note.size > chain.size:
        raise Damaged(f"the ledger's tail is cut: it ends at entry {chain.size - 1} of {note.size} signed for", RESTORE)
    if note.root != chain.roots[note.size]:
        raise Damaged(f"the first {note.size} ledger entries are not those that were signed for", RESTORE)


def _stored(row: sqlite3.Row, chain: _Chain) -> None:
    """One checkpoint of the case's own: note, root and raw signature say the same of the same entries."""
    size, place = row["size"], f"checkpoint {row['size']}"
    if size not in chain.roots:
        raise Damaged(f"the ledger's tail is cut: it ends before {place}", RESTORE)
    if not (isinstance(row["note"], str) and isinstance(row["signature"], bytes) and isinstance(row["key"], str)):
        raise Damaged(f"{place} was altered", RESTORE)
    try:
        note = checkpoint.parse(row["note"])
        checkpoint.verify_note(note, row["key"])
        keys.verify(row["key"], note.body, row["signature"])
    except Damaged as error:
        raise Damaged(f"{place}: {error.message}", RESTORE) from error
    if (note.size, note.root, row["root"]) != (size, chain.roots[size], chain.roots[size]):
        raise Damaged(f"the ledger is not the one that {place} was signed over", RESTORE)
    if row["key"] not in chain.signers.get(size, {row["key"]}):
        raise Damaged(f"{place} is signed by another key than its ledger entry says", RESTORE)


def _ledger(case: Case, sizes: set[int]) -> _Chain:
    """The chain with its roots at `sizes` (where reached) and at the end, once every entry follows the one before."""
    tree, prev, chain = Tree(), ledger.GENESIS, _Chain()
    joined = "SELECT l.seq, l.line, l.hash, o.salt, o.opening FROM ledger l LEFT JOIN ledger_openings o USING (seq)"
    for row in case.read().execute(f"{joined} ORDER BY l.seq"):
        entry = _entry(tree.size, prev, row)
        if row["opening"] is not None:
            if not _opens(row, entry["subject"]):
                raise Damaged(f"ledger entry {row['seq']} commits to something else than its opening says", RESTORE)
            chain.opened(entry, row["opening"])
        prev = row["hash"]
        tree.add(row["line"].encode())
        if tree.size in sizes:
            chain.roots[tree.size] = tree.root()
    chain.size, chain.roots[tree.size] = tree.size, tree.root()
    return chain


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


def _object(opening: str) -> dict[str, Any]:
    """What an opening says, or nothing where it is no JSON object."""
    try:
        told = json.loads(opening)
    except (ValueError, RecursionError):
        return {}
    return told if isinstance(told, dict) else {}


def _settings(case: Case) -> None:
    """case.toml still names the case, and the authority, that the Ledger's first entry commits to."""
    held = case.read().execute("SELECT value FROM meta WHERE key='case'").fetchone()
    if held is None or held[0] != case.settings.id:
        raise Damaged("case.toml names another case than case.db", RESTORE)
    first = case.read().execute("SELECT opening FROM ledger_openings WHERE seq=0").fetchone()
    if first is None:
        return  # lawfully erased; the signatures of the documents are still held to case.toml's authority
    begun = _object(first[0])
    for name in ("operation", "force", "authority"):
        if begun.get(name) != getattr(case.settings, name):
            raise Damaged(f"case.toml names another {name} than the ledger's first entry", RESTORE)


def _shards(case: Case) -> int:
    """Checks every shard; returns how many. Where a run took one away meanwhile, what is listed then is checked too."""
    sound: set[str] = set()
    changed = True
    while changed:
        changed = False
        _merged(case)
        sql = "SELECT path, bytes, sha256 FROM shards WHERE merged_into IS NULL ORDER BY id"
        for row in case.read().execute(sql).fetchall():
            if row["path"] in sound:
                continue
            if _as_written(case.folder / row["path"], row["bytes"], row["sha256"]):
                sound.add(row["path"])
            elif listed(case, row["path"]):
                raise Damaged(f"the shard {row['path']} is gone, cut or altered", RESTORE)
            else:
                changed = True
    return len(sound)


def _as_written(path: Path, size: int, sha256: bytes) -> bool:
    try:
        return path.is_file() and path.stat().st_size == size and sha256_of(path) == sha256
    except FileNotFoundError:  # it went away just now
        return False


def listed(case: Case, path: str) -> bool:
    """Whether the case has that shard now: who forgets or merges one takes it from the list before its file goes."""
    sql = "SELECT 1 FROM shards WHERE path=? AND merged_into IS NULL"
    return case.read().execute(sql, (path,)).fetchone() is not None


def _merged(case: Case) -> None:
    """Every shard that holds others' rows holds as many as they did, counted where they were first written."""
    sql = """SELECT m.path FROM shards s LEFT JOIN shards m ON m.id = s.merged_into AND m.kind = s.kind
             WHERE s.merged_into IS NOT NULL AND s.id NOT IN (SELECT id FROM shards s2 WHERE s2.receipt IN
               (SELECT id FROM receipts WHERE versions = 'compacted'))
             GROUP BY s.merged_into HAVING m.path IS NULL OR m.merged_into IS NOT NULL OR sum(s.rows) <> m.rows"""
    row = case.read().execute(sql).fetchone()
    if row is not None:
        raise Damaged(f"the shard {row['path']} does not hold the rows of those that were merged into it", RESTORE)


def _blobs(folder: Path) -> int:
    count = 0
    for sha256 in blobs.all_of(folder):
        blobs.get(folder, sha256)
        count += 1
    return count
