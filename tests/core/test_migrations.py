"""A case of an earlier version opens; a newer one is refused; a failing migration changes nothing."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from clew.core import db
from clew.core.case import Case
from clew.core.errors import ClewError
from clew.core.verify import verify_case

FIXTURE = Path(__file__).parent / "fixtures" / "case-v1.sql"
NEXT = db.migrations()[-1][0] + 1
SECOND = (NEXT, "CREATE TABLE later (id INTEGER PRIMARY KEY); INSERT INTO later SELECT seq FROM ledger;")


@pytest.fixture
def first_version(tmp_path: Path) -> Path:
    """A case folder that clew made at version 1, kept as SQL text."""
    folder = tmp_path / "old"
    folder.mkdir()
    with closing(sqlite3.connect(folder / "case.db")) as conn:
        conn.executescript(FIXTURE.read_text("utf-8"))
        conn.execute("PRAGMA journal_mode=WAL")
        conn.execute("PRAGMA user_version=1")
    settings = ["id", "operation", "force", "authority", "created"]
    (folder / "case.toml").write_text("".join(f'{name} = "{name}"\n' for name in settings), "utf-8")
    return folder


def later(*more: tuple[int, str]) -> list[tuple[int, str]]:
    return [*db.migrations(), *more]


def test_an_earlier_version_is_brought_forward_after_a_snapshot(
    first_version: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    versions = later(SECOND)
    monkeypatch.setattr(db, "migrations", lambda: versions)
    case = Case.open(first_version)
    assert db.version(case.read()) == NEXT
    assert [tuple(r) for r in case.read().execute("SELECT id FROM later")] == [(0,), (1,)]
    with closing(sqlite3.connect(first_version / "case.v1.db")) as snapshot:
        assert snapshot.execute("PRAGMA user_version").fetchone()[0] == 1
        assert snapshot.execute("SELECT count(*) FROM ledger").fetchone()[0] == 2


def test_this_version_opens_without_a_snapshot(first_version: Path) -> None:
    Case.open(first_version).close()
    (first_version / "case.v1.db").unlink()
    case = Case.open(first_version)
    assert case.read().execute("SELECT count(*) FROM ledger").fetchone()[0] == 2
    assert not list(first_version.glob("case.v*.db"))


def test_a_newer_version_is_refused(first_version: Path) -> None:
    with closing(sqlite3.connect(first_version / "case.db")) as conn:
        conn.execute("PRAGMA user_version=99")
    with pytest.raises(ClewError, match="version 99") as refused:
        Case.open(first_version)
    assert "newer clew" in refused.value.hint


def test_a_failing_migration_leaves_the_version_before(first_version: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    versions = later((NEXT, "CREATE TABLE half (id INTEGER); INSERT INTO nowhere VALUES (1);"))
    monkeypatch.setattr(db, "migrations", lambda: versions)
    with pytest.raises(sqlite3.OperationalError):
        Case.open(first_version)
    with closing(sqlite3.connect(first_version / "case.db")) as conn:
        assert conn.execute("PRAGMA user_version").fetchone()[0] == NEXT - 1
        assert not conn.execute("SELECT 1 FROM sqlite_master WHERE name='half'").fetchall()


def test_released_versions_keep_their_numbers_and_none_comes_between_them() -> None:
    numbers = [number for number, _ in db.migrations()]
    assert numbers[:7] == [1, 2, 3, 5, 6, 7, 8]
    assert len(set(numbers)) == len(numbers)


def test_a_version_left_out_is_passed_over(first_version: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    far = (NEXT + 5, SECOND[1])
    versions = later(far)
    monkeypatch.setattr(db, "migrations", lambda: versions)
    case = Case.open(first_version)
    assert db.version(case.read()) == NEXT + 5
    case.close()
    Case.open(first_version).close()  # nothing is done twice


@pytest.fixture
def made_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], Path]:
    """Makes a case as clew of that schema's version made it."""

    def make(number: int) -> Path:
        every = db.migrations()
        with monkeypatch.context() as earlier:
            earlier.setattr(db, "migrations", lambda: [each for each in every if each[0] <= number])
            made = Case.create(tmp_path / "earlier", operation="o", force="AT", authority="0" * 64, actor="tester")
            assert db.version(made.read()) == number
            made.close()
        return made.folder

    return make


def test_first_claims_of_before_version_9_are_about_whom_they_were_listed_for(made_at: Callable[[int], Path]) -> None:
    """Else a claim about the twin could repeat one about the v1 infohash, made before."""
    folder = made_at(8)
    insert = (
        "INSERT INTO endpoints (id, watch, address, port, first_listed_ns, last_listed_ns, source, tier, twin, "
        "first_claim) VALUES (?, 'w', '127.10.0.1', ?, 0, 0, 't', ?, ?, ?)"
    )
    rows = [(1, 1, "E1", 0, "s1"), (2, 2, "E2", 1, "s2"), (3, 3, "E0", 1, None), (4, 4, "E0", 0, None)]
    with closing(sqlite3.connect(folder / "case.db")) as conn, conn:
        conn.executemany(insert, rows)
    case = Case.open(folder)
    assert dict(map(tuple, case.read().execute("SELECT id, first_twin FROM endpoints"))) == {
        1: 0,
        2: 1,
        3: None,
        4: None,
    }
    case.close()


def test_calls_of_before_version_10_count_as_heard_for_as_long_as_they_may_have_lasted(
    made_at: Callable[[int], Path],
) -> None:
    folder, minute = made_at(9), 60 * 10**9
    insert = "INSERT INTO dials VALUES (?, ?, NULL, 'w', '127.10.0.1', 1, 'contact', 'utp', 5, ?, NULL)"
    run = "INSERT INTO observe_runs (id, started_ns, ended_ns, config, vantage, mandate) VALUES (?, 1, ?, '', '', '')"
    with closing(sqlite3.connect(folder / "case.db")) as conn, conn:
        states = ("done", "failed", "interrupted", "not made", "intent")
        conn.executemany(insert, [(state, "killed", state) for state in states])
        conn.execute(insert, ("waited", "ended", "done"))
        conn.executemany(run, [("killed", None), ("ended", 9 * minute)])
    case = Case.open(folder)
    assert dict(map(tuple, case.read().execute("SELECT id, heard_ns FROM dials"))) == {
        "done": 5 + minute, "failed": 5 + minute, "interrupted": 5 + minute, "not made": 0, "intent": None,
        "waited": 9 * minute,  # a call may wait for the rate or quiet hours, and a contact be told to last longer
    }  # fmt: skip
    case.close()


def with_rows(path: Path, table: str) -> None:
    """Two rows in `table`: one with all of its values, one without those that may be absent."""
    with closing(sqlite3.connect(path)) as conn, conn:
        columns = conn.execute(f"PRAGMA table_info({table})").fetchall()
        for row in (0, 1):
            of_kind = {"TEXT": f"text {row}", "INTEGER": 2**40 + row, "BLOB": b"bytes %d" % row, "REAL": 0.5 + row}
            values = [of_kind[kind] if key or needed or not row else None for _, _, kind, needed, _, key in columns]
            conn.execute(f"INSERT INTO {table} VALUES ({','.join('?' * len(values))})", values)


def tables(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as conn:
        found = [name for (name,) in conn.execute("SELECT name FROM sqlite_master WHERE type='table'")]
    assert len(found) > 30
    return found


@pytest.mark.parametrize("number", [1, 13, db.migrations()[-1][0]])
def test_sqlite_finds_no_fault_with_rows_of_any_table_and_version(made_at: Callable[[int], Path], number: int) -> None:
    """Each column that was added lacks in the rows of before; SQLite 3.40 also called one order of columns damage."""
    folder = made_at(number)
    every = tables(folder / "case.db")
    for table in every:
        with_rows(folder / "case.db", table)
    case = Case.open(folder)
    assert [tuple(row) for row in case.read().execute("PRAGMA integrity_check")] == [("ok",)]
    assert all(case.read().execute(f"SELECT count(*) FROM {table}").fetchone()[0] >= 2 for table in every)
    case.close()


def test_a_case_of_before_version_14_with_a_gap_verifies(made_at: Callable[[int], Path]) -> None:
    folder, gap = made_at(13), ("r", 1, 2, "this machine had no network")
    with closing(sqlite3.connect(folder / "case.db")) as conn, conn:
        conn.execute("INSERT INTO observe_gaps VALUES (?,?,?,?)", gap)
    case = Case.open(folder)
    verify_case(case)
    assert [tuple(row) for row in case.read().execute("SELECT * FROM observe_gaps")] == [gap]
    with case.write("observe") as tx:  # a gap that grows is one row still
        tx.execute("INSERT OR REPLACE INTO observe_gaps VALUES ('r', 1, 3, 'this machine had no network')")
    assert case.read().execute("SELECT to_ns FROM observe_gaps").fetchall()[0][0] == 3
    assert case.read().execute("SELECT count(*) FROM observe_gaps").fetchone()[0] == 1
    case.close()


def test_since_when_anybody_told_who_is_there_is_known_of_before_version_15(made_at: Callable[[int], Path]) -> None:
    folder = made_at(14)
    insert = "INSERT INTO dials VALUES (?, 'r', NULL, ?, '127.10.0.1', 1, ?, 'tcp', ?, ?, NULL, 0)"
    calls = [
        ("announce", 7, "failed"),
        ("announce stopped", 9, "done"),
        ("announce", 8, "done"),
        ("contact", 1, "done"),
    ]
    with closing(sqlite3.connect(folder / "case.db")) as conn, conn:
        conn.executemany(insert, [(f"{at}", "w", kind, at, state) for kind, at, state in calls])
    case = Case.open(folder)
    assert [tuple(row) for row in case.read().execute("SELECT * FROM first_lists")] == [("w", 8)]
    case.close()


def test_who_was_probed_over_mse_alone_before_version_18_is_asked_again(made_at: Callable[[int], Path]) -> None:
    folder = made_at(16)
    endpoint = (
        "INSERT INTO endpoints (id, watch, address, port, first_listed_ns, last_listed_ns, source, tier, control) "
        "VALUES (?, 'w', '192.0.2.1', ?, 0, 0, 't', 'E1', ?)"
    )
    dial = "INSERT INTO dials VALUES (?, 'r', NULL, 'w', '192.0.2.1', ?, 'control', ?, 5, ?, NULL, 0)"
    with closing(sqlite3.connect(folder / "case.db")) as conn, conn:
        conn.executemany(endpoint, [(1, 1, "clean"), (2, 2, "clean"), (3, 3, "promiscuous"), (4, 4, "clean")])
        dials = [("a", 1, "mse/tcp", "done"), ("b", 2, "mse/utp", "done"), ("c", 2, "utp", "done")]
        conn.executemany(dial, [*dials, ("d", 4, "tcp", "interrupted")])
    case = Case.open(folder)
    assert dict(map(tuple, case.read().execute("SELECT id, control FROM endpoints"))) == {
        1: None, 2: "clean", 3: "promiscuous", 4: None,
    }  # fmt: skip
    case.close()
