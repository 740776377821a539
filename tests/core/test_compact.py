"""Compaction changes where rows lie and nothing else: not for a reader, not for the ledger, not where it is killed."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from clew.core import archive, compact, shards
from clew.core.case import Case
from clew.core.errors import Damaged
from clew.core.lease import lease
from clew.core.verify import verify_case

BATCHES = 40
POINTS = ("before", "written", "inside", "after", "removed")


def fill(case: Case, batches: range, kind: str = "traits") -> None:
    for batch in batches:
        if kind == "traits":
            rows = [{"content": b"%d" % batch, "name": f"n{n}", "integer": batch * n} for n in range(5)]
        else:
            common = {"exhibit": "e", "batch": f"{batch:032x}", "name_state": "live", "content_state": "complete"}
            rows = [
                common | {"item": f"{batch}-{n}", "ref": f"r{n}", "path": b"p", "size": n} for n in range(batch % 3 + 1)
            ]
        pending = shards.write(case, kind, rows)
        with case.write("intake") as tx:
            name = f"{batch:032x}"
            shards.commit(tx, stage="intake", batch=name, versions="1", config=kind, pending=[pending])


def rows(case: Case, kind: str = "traits") -> list[str]:
    return sorted(map(repr, shards.query(case, f"SELECT * FROM {kind}").to_pylist()))


def files(case: Case, kind: str = "traits") -> int:
    return len(list((case.folder / "shards" / kind).iterdir()))


@pytest.fixture
def full(case: Case) -> Case:
    fill(case, range(BATCHES))
    return case


def test_few_shards_hold_the_rows_of_many(full: Case) -> None:
    before = rows(full)
    assert compact.compact(full, enough=2) == compact.Compacted(BATCHES, 1)
    assert rows(full) == before
    assert files(full) == 1
    verify_case(full)
    opening = full.read().execute("SELECT opening FROM ledger_openings ORDER BY seq DESC LIMIT 1").fetchone()[0]
    about = json.loads(opening)
    known = {row["path"]: row["sha256"].hex() for row in full.read().execute("SELECT path, sha256 FROM shards")}
    assert len(about["merged"]) == BATCHES
    assert all(known[path] == sha256 for path, sha256 in about["merged"])
    assert about["shard"] in known


def test_nothing_is_done_for_a_few(full: Case) -> None:
    assert compact.compact(full) == compact.Compacted()
    assert files(full) == BATCHES


def test_what_was_merged_can_be_merged_again(full: Case) -> None:
    compact.compact(full, enough=2)
    fill(full, range(BATCHES, 2 * BATCHES))
    before = rows(full)
    assert compact.compact(full, enough=2) == compact.Compacted(BATCHES + 1, 1)
    assert rows(full) == before
    assert files(full) == 1
    verify_case(full)


def test_a_batch_is_found_where_it_lies_now(case: Case) -> None:
    def all_of() -> list[object]:
        names = [f"{batch:032x}" for batch in range(12)]
        return [shards.rows_of(case, "listings", stage="intake", batch=n, config="listings") for n in names]

    fill(case, range(12), "listings")
    before = all_of()
    assert [len(found) for found in before] == [n % 3 + 1 for n in range(12)]
    for more in (20, 30):
        compact.compact(case, enough=2)
        assert all_of() == before
        fill(case, range(more, more + 2), "listings")


def test_the_same_rows_written_again_do_not_stand_twice(full: Case) -> None:
    before = rows(full)
    compact.compact(full, enough=2)
    pending = shards.write(full, "traits", [{"content": b"7", "name": f"n{n}", "integer": 7 * n} for n in range(5)])
    with full.write("intake") as tx:
        shards.commit(tx, stage="intake", batch="again", versions="1", config="", pending=[pending])
    assert rows(full) == before


def test_large_shards_are_left_alone(full: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compact, "SMALL", 10)
    assert compact.compact(full, enough=2) == compact.Compacted()


def test_a_merged_shard_is_closed_when_it_is_large(full: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    before = rows(full)
    size = next(iter((full.folder / "shards" / "traits").iterdir())).stat().st_size
    monkeypatch.setattr(compact, "LARGE", size * 10)
    done = compact.compact(full, enough=2)
    assert 2 < done.after < BATCHES / 4
    assert rows(full) == before


def test_a_merged_shard_is_closed_when_it_has_many_rows(full: Case) -> None:
    before = rows(full)
    assert compact.compact(full, enough=2, rows=20) == compact.Compacted(BATCHES, BATCHES * 5 // 20)
    assert compact.compact(full, enough=2, rows=20) == compact.Compacted()
    assert rows(full) == before


def test_while_another_holds_the_shards_nothing_is_done(full: Case) -> None:
    with lease(full, *compact.LEASE):
        assert compact.compact(full, enough=2) == compact.Compacted()


def test_an_archive_of_a_compacted_case_is_whole(full: Case, tmp_path: Path) -> None:
    before = rows(full)
    compact.compact(full, enough=2)
    archive.archive(full, tmp_path / "archive")
    copy = Case.open(tmp_path / "archive")
    assert rows(copy) == before
    copy.close()


def test_a_damaged_shard_is_never_merged(full: Case) -> None:
    path = next(iter((full.folder / "shards" / "traits").iterdir()))
    path.write_bytes(path.read_bytes()[:-1] + b"X")
    with pytest.raises(Damaged, match="gone or altered"):
        compact.compact(full, enough=2)
    assert files(full) == BATCHES


def test_verify_counts_the_rows_that_were_merged(full: Case) -> None:
    compact.compact(full, enough=2)
    with full.write("core") as tx, tx.gate.core():
        tx.execute("UPDATE shards SET rows=rows+1 WHERE merged_into IS NULL")
    with pytest.raises(Damaged, match="does not hold the rows"):
        verify_case(full)


def test_readers_do_not_notice(full: Case) -> None:
    """Queries in another thread, all the while shards are merged and their files go."""
    before, wrong, stop = rows(full), [], threading.Event()

    def read() -> None:
        other = Case.open(full.folder)
        while not stop.is_set():
            found = rows(other)
            if not set(before) <= set(found):
                wrong.append(found)
        other.close()

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for round_ in range(1, 5):
            compact.compact(full, enough=2)
            fill(full, range(100 * round_, 100 * round_ + 10))
    finally:
        stop.set()
        reader.join()
    assert not wrong


@pytest.mark.parametrize("point", POINTS)
def test_killed_anywhere_the_facts_are_the_same(full: Case, point: str, tmp_path: Path) -> None:
    before = rows(full)
    folder = tmp_path / "copy"
    full.close()
    shutil.copytree(full.folder, folder)
    code = "import sys; from pathlib import Path; from clew.core import compact; from clew.core.case import Case;"
    code += "compact.compact(Case.open(Path(sys.argv[1])), enough=2)"
    command = [sys.executable, "-c", code, str(folder)]
    passage = f"compact.{point}:{2 if point == 'removed' else 1}"
    dead = subprocess.run(command, env=os.environ | {"CLEW_FAILPOINT": passage}, check=False)
    assert dead.returncode == -signal.SIGKILL
    case = Case.open(folder)
    assert rows(case) == before
    verify_case(case)
    subprocess.run(command, check=True)
    assert rows(case) == before
    verify_case(case)
    current = case.read().execute("SELECT count(*) FROM shards WHERE merged_into IS NULL").fetchone()[0]
    assert current == 1
    case.close()
