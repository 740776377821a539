"""A shard without a receipt is seen by nobody; what has its receipt survives kill -9 and a full disk."""

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import duckdb
import pytest

from clew.core import blobs, shards
from clew.core.case import Case
from clew.core.errors import Damaged
from clew.core.verify import verify_case

ROWS = [{"content": bytes([n]), "name": "pdq", "data": b"x"} for n in range(10)]
WRITER = """
import sys
from pathlib import Path
from clew.core import blobs, shards
from clew.core.case import Case
from clew.core.failpoints import failpoint
case = Case.open(Path(sys.argv[1]))
for batch in range(5):
    blobs.put(case.folder, b"thumbnail %d" % batch)
    pending = shards.write(case, "traits", [{"content": b"%d" % batch, "name": "pdq", "data": b"x"}])
    if not shards.done(case, stage="intake", batch=str(batch), versions="1", config=""):
        with case.write("intake") as tx:
            shards.commit(tx, stage="intake", batch=str(batch), versions="1", config="", pending=[pending])
            tx.record("batch.done", counts={"batch": batch})
        print(batch, flush=True)
"""


def count(case: Case) -> int:
    return shards.query(case, "SELECT count(*) AS n FROM traits").to_pylist()[0]["n"]


def commit(case: Case, batch: str, pending: shards.Pending) -> None:
    with case.write("intake") as tx:
        shards.commit(tx, stage="intake", batch=batch, versions="1", config="", pending=[pending])


def test_no_receipt_no_facts(case: Case) -> None:
    pending = shards.write(case, "traits", ROWS)
    assert count(case) == 0
    commit(case, "a", pending)
    assert count(case) == len(ROWS)


def test_a_receipt_is_given_once(case: Case) -> None:
    pending = shards.write(case, "traits", ROWS)
    commit(case, "a", pending)
    with pytest.raises(sqlite3.IntegrityError):
        commit(case, "a", pending)
    assert count(case) == len(ROWS)


def test_each_query_has_its_own_views(case: Case) -> None:
    commit(case, "a", shards.write(case, "traits", ROWS))
    assert count(case) == len(ROWS)
    commit(case, "b", shards.write(case, "traits", [ROWS[0] | {"name": "other"}]))
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(lambda _: count(case), range(16))) == [len(ROWS) + 1] * 16


def test_an_engine_that_ended_is_replaced(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    def ended(*_: object) -> None:
        raise duckdb.FatalException("database has been invalidated")

    before = shards._engine()
    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(shards, "_query", ended)
        with pytest.raises(duckdb.FatalException):
            count(case)
    assert count(case) == 0
    assert shards._engine() is not before


def test_rows_are_taken_from_the_first_again_where_a_file_went_away_meanwhile(case: Case) -> None:
    commit(case, "a", shards.write(case, "traits", ROWS))
    gone = iter((True, False))

    def make(rows: Iterator[tuple[Any, ...]]) -> list[bytes]:
        found = [next(rows)[0]]
        if next(gone):
            raise duckdb.IOException("no such file")
        return found + [content for (content,) in rows]

    assert shards.take(case, "SELECT content FROM traits", make) == [row["content"] for row in ROWS]
    assert shards.take(case, "SELECT content FROM traits WHERE content = ?", list, [b"\x03"]) == [(b"\x03",)]


def test_of_a_shard_that_is_gone_nothing_is_taken(case: Case) -> None:
    pending = shards.write(case, "traits", ROWS)
    commit(case, "a", pending)
    (case.folder / pending.path).unlink()
    with pytest.raises(Damaged):
        shards.take(case, "SELECT content FROM traits", list)


def test_the_same_rows_make_the_same_file(case: Case) -> None:
    assert shards.write(case, "traits", ROWS) == shards.write(case, "traits", ROWS)


def test_what_must_be_there_is_not_left_out(case: Case) -> None:
    with pytest.raises(ValueError, match="non-nullable"):
        shards.write(case, "traits", [{"content": None, "name": "pdq"}])


def test_a_shard_that_is_gone_is_said(case: Case) -> None:
    pending = shards.write(case, "traits", ROWS)
    commit(case, "a", pending)
    (case.folder / pending.path).unlink()
    with pytest.raises(Damaged, match="gone or cut"):
        count(case)


@pytest.mark.parametrize("kind", shards.SCHEMAS)
def test_every_kind_can_be_asked_while_empty(case: Case, kind: str) -> None:
    assert shards.query(case, f"SELECT * FROM {kind}").num_rows == 0


FAILPOINTS = [f"{w}.write.{p}" for w in ("shards", "blobs") for p in ("before", "synced", "renamed")]


@pytest.mark.parametrize("name", FAILPOINTS)
def test_killed_at_a_failpoint_nothing_acknowledged_is_lost_and_nothing_doubled(case: Case, name: str) -> None:
    command = [sys.executable, "-c", WRITER, str(case.folder)]
    dead = subprocess.run(
        command, env=os.environ | {"CLEW_FAILPOINT": f"{name}:3"}, capture_output=True, text=True, check=False
    )
    assert dead.returncode == -signal.SIGKILL
    acknowledged = len(dead.stdout.split())
    assert acknowledged == 2
    assert count(case) == acknowledged
    verify_case(case)
    subprocess.run(command, check=True, capture_output=True)
    assert count(case) == 5
    verify_case(case)


def test_a_full_disk_is_an_error_and_nothing_acknowledged_is_lost(case: Case) -> None:
    """RLIMIT_FSIZE makes write(2) short and then fail, as a full disk does."""
    code = (
        "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (300, 300))\n" + WRITER
    )
    full = subprocess.run([sys.executable, "-c", code, str(case.folder)], capture_output=True, text=True, check=False)
    assert full.returncode != 0
    assert "OSError" in full.stderr or "OperationalError" in full.stderr
    assert count(case) == len(full.stdout.split())
    verify_case(case)
    subprocess.run([sys.executable, "-c", WRITER, str(case.folder)], check=True, capture_output=True)
    assert count(case) == 5


def test_a_blob_is_what_its_name_says(case: Case) -> None:
    sha256 = blobs.put(case.folder, b"pixels")
    assert blobs.put(case.folder, b"pixels") == sha256
    assert blobs.get(case.folder, sha256) == b"pixels"
    blobs.path_of(case.folder, sha256).write_bytes(b"other")
    with pytest.raises(Damaged, match="altered"):
        blobs.get(case.folder, sha256)
    blobs.path_of(case.folder, sha256).unlink()
    with pytest.raises(Damaged, match="gone"):
        blobs.get(case.folder, sha256)


SAID = [
    ("exif", "fast", "9", "a", "old"), ("exif", "fast", "10", "a", "new"), ("exif", "fast", "10", "b", "beside it"),
    ("exif", "exact", "9", "a", "of another mode"), ("type.second", "fast", "1 (magika 1.0.2)", "a", "the only one"),
    ("type.second", "fast", None, "a", "of no version"), (None, None, None, "a", "of nobody"),
]  # fmt: skip


def test_the_newest_version_holds_of_what_one_extractor_said_in_one_mode(case: Case) -> None:
    names = ("extractor", "mode", "version", "name", "text")
    rows = [{"content": b"x", **dict(zip(names, each, strict=True))} for each in SAID]
    other = {"content": b"y", "extractor": "exif", "mode": "fast", "version": "9", "name": "a", "text": "another"}
    commit(case, "a", shards.write(case, "traits", [*rows, other]))

    def newest(*said: str) -> set[str]:
        sql = f"SELECT text FROM {shards.newest(*said)}"
        return {row["text"] for row in shards.query(case, sql).to_pylist()}

    kept = {"new", "beside it", "of another mode", "the only one", "of nobody"}
    assert newest("content = 'x'") == kept
    assert newest("true", "name") == kept | {"another"}
    assert newest("version <> '10'") == kept - {"new", "beside it", "of nobody"} | {"old", "another"}
