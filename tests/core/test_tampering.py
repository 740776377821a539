"""Whoever can write the files can write anything: it is refused by name, never a crash, never passed."""

import hashlib
import json
import random
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from clew.core import checkpoint, keys, ledger
from clew.core.case import Case
from clew.core.errors import ClewError, Damaged
from clew.core.verify import verify_case


@pytest.fixture
def signed(case: Case) -> Case:
    for number in range(6):
        with case.write("review") as tx:
            tx.record("grade.decided", subject={"content": f"{number:064x}"})
    checkpoint.checkpoint(case, keys.signing_key("authority"), "AT")
    return case


def alter(case: Case, sql: str, *parameters: object) -> None:
    with closing(sqlite3.connect(case.folder / "case.db")) as conn:
        assert conn.execute(sql, parameters).rowcount > 0, "the attack must change something"
        conn.commit()


ENTRIES = {
    "a blob for text": "UPDATE ledger SET line = CAST(line AS BLOB) WHERE seq = 3",
    "text for a blob": "UPDATE ledger SET hash = hex(hash) WHERE seq = 3",
    "no JSON": "UPDATE ledger SET line = 'x' WHERE seq = 3",
    "a JSON list": "UPDATE ledger SET line = '[]' WHERE seq = 3",
    "a field more": 'UPDATE ledger SET line = replace(line, \'{"action"\', \'{"aa":"","action"\') WHERE seq = 3',
    "a number for text": "UPDATE ledger SET line = replace(line, '\"tester\"', '1') WHERE seq = 3",
    "a blank": "UPDATE ledger SET line = line || ' ' WHERE seq = 3",
    "deep": "UPDATE ledger SET line = printf('%.*c', 100000, '[') WHERE seq = 3",
    "a hash alone": "UPDATE ledger SET hash = zeroblob(32) WHERE seq = 3",
}


@pytest.mark.parametrize("sql", ENTRIES.values(), ids=ENTRIES)
def test_an_entry_of_another_shape(signed: Case, sql: str) -> None:
    alter(signed, sql)
    with pytest.raises(Damaged, match="breaks at entry 3"):
        verify_case(signed)


def test_a_well_chained_last_entry_without_its_fields(signed: Case) -> None:
    last, line = signed.read().execute("SELECT seq, line FROM ledger ORDER BY seq DESC LIMIT 1").fetchone()
    prev = line.partition('"prev":"')[2][:64]
    short = ledger.canonical({"prev": prev, "seq": last})
    alter(signed, "UPDATE ledger SET line=?, hash=? WHERE seq=?", short, hashlib.sha256(short.encode()).digest(), last)
    with pytest.raises(Damaged, match=f"breaks at entry {last}"):
        verify_case(signed)


OPENINGS = {
    "a number for the salt": "UPDATE ledger_openings SET salt = 1 WHERE seq = 2",
    "a blob for the opening": "UPDATE ledger_openings SET opening = CAST(opening AS BLOB) WHERE seq = 2",
    "another salt": "UPDATE ledger_openings SET salt = zeroblob(32) WHERE seq = 2",
}


@pytest.mark.parametrize("sql", OPENINGS.values(), ids=OPENINGS)
def test_an_opening_of_another_shape(signed: Case, sql: str) -> None:
    alter(signed, sql)
    with pytest.raises(Damaged, match="entry 2 commits to something else"):
        verify_case(signed)


def test_text_that_is_not_utf8(signed: Case) -> None:
    alter(signed, "UPDATE ledger SET line = CAST(x'ff' AS TEXT) WHERE seq = 3")
    with pytest.raises(Damaged, match=r"case\.db cannot be read"):
        verify_case(signed)


CHECKPOINTS = {
    "signature": "UPDATE checkpoints SET signature = zeroblob(64)",
    "text for the signature": "UPDATE checkpoints SET signature = 'x'",
    "root": "UPDATE checkpoints SET root = zeroblob(32)",
    "size": "UPDATE checkpoints SET size = 3",
    "note": "UPDATE checkpoints SET note = 'x'",
    "a blob for the note": "UPDATE checkpoints SET note = x'00'",
    "key": "UPDATE checkpoints SET key = printf('%.*c', 64, '0')",
    "a number for the key": "UPDATE checkpoints SET key = 7",
}


@pytest.mark.parametrize("sql", CHECKPOINTS.values(), ids=CHECKPOINTS)
def test_a_stored_checkpoint_that_was_altered(signed: Case, sql: str) -> None:
    alter(signed, sql)
    with pytest.raises(Damaged, match="checkpoint"):
        verify_case(signed)


def test_a_checkpoint_of_the_attackers_own_key_shows_in_the_ledger(signed: Case) -> None:
    """Root and note may be signed anew by anybody; who signed stands in the entry that was written with it."""
    key = Ed25519PrivateKey.generate()
    (note,) = signed.read().execute("SELECT note FROM checkpoints").fetchone()
    body = checkpoint.parse(note).body
    note = checkpoint.countersign(note, key, "AT")
    note = note.partition("\n\n")[0] + "\n\n" + note.splitlines(keepends=True)[-1]
    row = (note, keys.sign(key, body), keys.public_hex(key))
    alter(signed, "UPDATE checkpoints SET note=?, signature=?, key=?", *row)
    with pytest.raises(Damaged, match=r"checkpoint \d+ .*another key"):
        verify_case(signed)


@pytest.mark.parametrize("name", ["operation", "force", "authority", "id"])
def test_settings_that_are_not_those_the_case_began_with(signed: Case, name: str) -> None:
    text = (signed.folder / "case.toml").read_text("utf-8")
    was = getattr(signed.settings, name)
    (signed.folder / "case.toml").write_text(text.replace(f'{name} = "{was}"', f'{name} = "{"0" * 64}"'), "utf-8")
    with closing(Case.open(signed.folder)) as reopened, pytest.raises(ClewError):
        verify_case(reopened)


@pytest.mark.parametrize("text", ["", "id = ", "id = 1\nmore = 2\n", "\xff"])
def test_settings_that_cannot_be_read(signed: Case, text: str) -> None:
    (signed.folder / "case.toml").write_bytes(text.encode("latin-1"))
    with pytest.raises(Damaged, match=r"case\.toml cannot be read"):
        Case.open(signed.folder)


def test_a_file_that_is_no_database(signed: Case) -> None:
    signed.close()
    for name in ("case.db-wal", "case.db-shm"):
        (signed.folder / name).unlink(missing_ok=True)
    (signed.folder / "case.db").write_bytes(b"x" * 8192)
    with pytest.raises(Damaged, match="is no database"):
        Case.open(signed.folder)


def test_a_file_in_the_blobs_that_is_none(signed: Case) -> None:
    (signed.folder / "blobs" / "ab").mkdir()
    (signed.folder / "blobs" / "ab" / "notes.txt").write_text("x", "utf-8")
    with pytest.raises(Damaged, match=r"blobs/ab/notes\.txt is no blob"):
        verify_case(signed)


def test_any_flipped_bit_of_the_database_is_found_or_changes_nothing(signed: Case) -> None:
    """Bits of case.db at random: either the case does not verify, or each ledger line reads as before."""
    with closing(sqlite3.connect(signed.folder / "case.db")) as conn:
        conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    lines = _lines(signed)
    signed.close()
    path = signed.folder / "case.db"
    good, dice, refused = path.read_bytes(), random.Random(7), 0
    for _ in range(60):
        at = dice.randrange(len(good))
        path.write_bytes(good[:at] + bytes([good[at] ^ (1 << dice.randrange(8))]) + good[at + 1 :])
        refused += not _holds(signed.folder, lambda case: _lines(case) == lines)
    path.write_bytes(good)
    assert _holds(signed.folder, lambda _: True)
    assert refused > 0


def _lines(case: Case) -> list[tuple[object, ...]]:
    return [tuple(row) for row in case.read().execute("SELECT * FROM ledger")]


def _holds(folder: Path, unchanged: Callable[[Case], bool]) -> bool:
    try:
        with closing(Case.open(folder)) as case:
            verify_case(case)
            assert unchanged(case), "a changed ledger passed"
            return True
    except (ClewError, sqlite3.DatabaseError):
        return False


def test_openings_of_a_rewritten_ledger_that_are_no_objects(signed: Case) -> None:
    """With every hash right again, what the openings say is still held to what it should be."""
    salt, opening = bytes(32), "[]"
    told = ledger.commitment(salt, opening)
    lines = [json.loads(row[1]) | {"subject": told, "counts": {}} for row in _lines(signed)]
    prev = ledger.GENESIS
    with closing(sqlite3.connect(signed.folder / "case.db")) as conn:
        for seq, entry in enumerate(lines):
            line = ledger.canonical(entry | {"prev": prev.hex()})
            prev = hashlib.sha256(line.encode()).digest()
            conn.execute("UPDATE ledger SET line=?, hash=? WHERE seq=?", (line, prev, seq))
        conn.execute("UPDATE ledger_openings SET salt=?, opening=?", (salt, opening))
        conn.execute("DELETE FROM checkpoints")
        conn.commit()
    with pytest.raises(Damaged, match=r"case\.toml names another operation"):
        verify_case(signed)
