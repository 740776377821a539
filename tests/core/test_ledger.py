"""The Ledger under attack: each is refused, and the first place that does not hold is named."""

import hashlib
import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from clew.core import blobs, keys, ledger, shards
from clew.core.case import Case
from clew.core.checkpoint import checkpoint
from clew.core.errors import Damaged
from clew.core.verify import verify_case

ENTRIES = 12


@pytest.fixture
def filled(case: Case) -> Case:
    for number in range(ENTRIES - 2):
        with case.write("review") as tx:
            tx.record("grade.decided", subject={"content": f"{number:064x}"}, counts={"n": number})
    return case


def attack(case: Case, sql: str, *parameters: object) -> None:
    """What somebody does to the file with sqlite3, past all of clew."""
    with closing(sqlite3.connect(case.folder / "case.db")) as conn:
        conn.execute(sql, parameters)
        conn.commit()


def lines(case: Case) -> list[str]:
    return [row[0] for row in case.read().execute("SELECT line FROM ledger ORDER BY seq")]


def rechain(case: Case, change: Callable[[list[dict]], list[dict]]) -> None:
    """Rewrites history from the start, with every hash right again."""
    prev, made = ledger.GENESIS, []
    for seq, entry in enumerate(change([json.loads(line) for line in lines(case)])):
        line = ledger.canonical(entry | {"prev": prev.hex(), "seq": seq})
        prev = hashlib.sha256(line.encode()).digest()
        made.append((seq, line, prev))
    with closing(sqlite3.connect(case.folder / "case.db")) as conn:
        conn.execute("DELETE FROM ledger")
        conn.execute("DELETE FROM ledger_openings WHERE seq >= ?", (len(made),))
        conn.executemany("INSERT INTO ledger VALUES (?,?,?)", made)
        conn.commit()


def test_an_untouched_case_holds(filled: Case) -> None:
    assert dict(verify_case(filled).checks)["ledger entries"] == ENTRIES


def test_an_edited_entry(filled: Case) -> None:
    attack(filled, "UPDATE ledger SET line = replace(line, 'grade.decided', 'grade.undone') WHERE seq = 5")
    with pytest.raises(Damaged, match="breaks at entry 5"):
        verify_case(filled)


def test_a_deleted_entry(filled: Case) -> None:
    attack(filled, "DELETE FROM ledger WHERE seq = 7")
    with pytest.raises(Damaged, match="breaks at entry 7"):
        verify_case(filled)


def test_swapped_entries(filled: Case) -> None:
    attack(filled, "UPDATE ledger SET seq = CASE seq WHEN 4 THEN -5 ELSE -4 END WHERE seq IN (4, 5)")
    attack(filled, "UPDATE ledger SET seq = -seq WHERE seq < 0")
    with pytest.raises(Damaged, match="breaks at entry 4"):
        verify_case(filled)


def test_an_opening_that_says_something_else(filled: Case) -> None:
    attack(filled, "UPDATE ledger_openings SET opening = '{}' WHERE seq = 6")
    with pytest.raises(Damaged, match="entry 6 commits to something else"):
        verify_case(filled)


def test_openings_may_lawfully_be_erased(filled: Case) -> None:
    attack(filled, "DELETE FROM ledger_openings")
    verify_case(filled)


def test_a_cut_tail_shows_against_a_checkpoint_that_left(filled: Case) -> None:
    point = checkpoint(filled, keys.signing_key("authority"), "AT")
    attack(filled, "DELETE FROM ledger WHERE seq >= 8")
    attack(filled, "DELETE FROM checkpoints")
    verify_case(filled)  # a chain alone does not notice
    with pytest.raises(Damaged, match=f"tail is cut: it ends at entry 7 of {ENTRIES}"):
        verify_case(filled, outside=point.note)


def test_a_cut_tail_shows_against_the_cases_own_checkpoint(filled: Case) -> None:
    checkpoint(filled, keys.signing_key("authority"), "AT")
    attack(filled, "DELETE FROM ledger WHERE seq >= 8")
    with pytest.raises(Damaged, match="checkpoint"):
        verify_case(filled)


def test_a_rewritten_history_shows_against_a_checkpoint_that_left(filled: Case) -> None:
    point = checkpoint(filled, keys.signing_key("authority"), "AT")
    rechain(filled, lambda entries: [e | {"actor": "somebody else"} for e in entries])
    attack(filled, "DELETE FROM checkpoints")
    verify_case(filled)
    with pytest.raises(Damaged, match=f"first {ENTRIES} ledger entries are not those"):
        verify_case(filled, outside=point.note)


def test_a_checkpoint_of_another_key_or_case(filled: Case, tmp_path: Path) -> None:
    keys.new_signing_key("stranger")
    point = checkpoint(filled, keys.signing_key("stranger"), "AT")
    with pytest.raises(Damaged, match="no signature of this key"):
        verify_case(filled, outside=point.note, signer=keys.read_public("authority"))
    with pytest.raises(Damaged, match="another case"):
        verify_case(filled, outside=point.note.replace(filled.settings.id, "0" * 32))


def test_an_altered_shard_and_an_altered_blob(filled: Case) -> None:
    pending = shards.write(filled, "traits", [{"content": b"x", "name": "pdq", "data": b"1"}])
    with filled.write("intake") as tx:
        shards.commit(tx, stage="intake", batch="b", versions="1", config="c", pending=[pending])
    sha256 = blobs.put(filled.folder, b"a picture")
    verify_case(filled)
    for path, name in ((filled.folder / pending.path, "shard"), (blobs.path_of(filled.folder, sha256), "blob")):
        good = path.read_bytes()
        path.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
        with pytest.raises(Damaged, match=name):
            verify_case(filled)
        path.write_bytes(good)
    verify_case(filled)


def test_an_altered_mandate_row(filled: Case) -> None:
    attack(filled, "UPDATE mandates SET document = replace(document, '127.0.0.0/8', '0.0.0.0/0')")
    with pytest.raises(Damaged, match="signature of this mandate"):
        verify_case(filled)


def test_an_entry_gives_nothing_away(case: Case) -> None:
    secret = {"address": "127.9.8.7", "path": "/evidence/IMG_1.jpg", "sha256": "ab" * 32}
    with case.write("intake") as tx:
        tx.record("item.done", subject=secret)
        tx.record("item.done", subject=secret)
    first, second = lines(case)[-2:]
    assert not [value for value in secret.values() if value in first]
    assert json.loads(first)["subject"] != json.loads(second)["subject"]  # salted: equal subjects do not look equal
