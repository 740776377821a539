"""Sightings are merged as all else is, and what is to be forgotten in time still is, whole and once."""

import itertools
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from clew.core import clock, compact, shards
from clew.core.case import Case
from clew.core.clock import Instant
from clew.core.errors import Damaged
from clew.core.lease import lease
from clew.core.shards import BRIEF
from clew.core.verify import verify_case
from clew.observe import keeping
from clew.observe.retention import KEEP_NS, purge

HOUR, MINUTE = compact.HOUR_NS, 60_000_000_000
BEGAN = 1_700_000_000_000_000_000 // HOUR * HOUR
EACH = 10 * MINUTE
MANY = 12  # flushes, over two hours
POINTS = ("before", "written", "inside", "after", "removed")
KEPT = {f"contacts {n}" for n in range(MANY)}


def seen(name: str) -> dict[str, Any]:
    needed = [field for field in shards.SCHEMAS["sightings"] if not field.nullable]
    return {field.name: name if str(field.type) == "string" else 1 for field in needed}


def flush(case: Case, name: str, at_ns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """One shard with one Sighting, kept at that time."""
    with monkeypatch.context() as patched:
        patched.setattr(clock, "now", lambda: Instant(at_ns, at_ns))
        pending = shards.write(case, "sightings", [seen(name)])
        with case.write("observe") as tx:
            shards.commit(tx, stage="observe", batch=name, versions="1", config="", pending=[pending])


@pytest.fixture
def full(case: Case, monkeypatch: pytest.MonkeyPatch) -> Case:
    """Twelve flushes, ten minutes apart, each with one shard that is kept for good and one that is not."""
    for n in range(MANY):
        for name in (f"contacts {n}", f"{BRIEF}{n}"):
            flush(case, name, BEGAN + n * EACH, monkeypatch)
    return case


def merge(case: Case) -> compact.Compacted:
    return compact.compact(case, kinds=compact.SIGHTINGS, enough=2)


def ids(case: Case) -> list[str]:
    return sorted(row["id"] for row in shards.query(case, "SELECT id FROM sightings").to_pylist())


def files(case: Case) -> set[str]:
    return {path.name for path in (case.folder / "shards" / "sightings").iterdir()}


def brief(case: Case) -> set[int]:
    """The numbers of those that are to be forgotten in time and are there."""
    return {int(name.removeprefix(BRIEF)) for name in ids(case) if name.startswith(BRIEF)}


def sound(case: Case) -> None:
    """Every file that is there is in the list, and the other way round."""
    verify_case(case)
    listed = case.read().execute("SELECT path FROM shards WHERE merged_into IS NULL")
    assert files(case) == {Path(row["path"]).name for row in listed}


def before_call(monkeypatch: pytest.MonkeyPatch, passage: int, name: str, do: Callable[[], Any]) -> None:
    """Has something done just before this function of compact's is called for the so-manieth time."""
    real, calls = getattr(compact, name), itertools.count(1)

    def called(*arguments: Any) -> Any:
        if next(calls) == passage:
            do()
        return real(*arguments)

    monkeypatch.setattr(compact, name, called)


def test_what_is_kept_becomes_one_and_what_is_not_one_an_hour(full: Case) -> None:
    before = ids(full)
    assert merge(full) == compact.Compacted(2 * MANY, 3)
    assert ids(full) == before
    sound(full)
    sql = "SELECT batch, at_ns FROM receipts r JOIN shards ON receipt = r.id WHERE merged_into IS NULL"
    dates = {(row["batch"].startswith(BRIEF), row["at_ns"]) for row in full.read().execute(sql)}
    last = BEGAN + (MANY - 1) * EACH
    assert dates == {(False, last), (True, BEGAN + 5 * EACH), (True, last)}
    assert merge(full) == compact.Compacted()


def test_each_is_forgotten_within_the_hour_and_none_early(full: Case) -> None:
    merge(full)
    left = set(range(MANY))
    for minutes in range(0, 3 * 60, 5):
        now_ns = BEGAN + KEEP_NS + minutes * MINUTE + 1
        forgotten = purge(full, now_ns)
        now_left = brief(full)
        assert forgotten == len(left - now_left)
        left = now_left
        ages = {n: now_ns - (BEGAN + n * EACH) for n in range(MANY)}
        assert {n for n, age in ages.items() if age <= KEEP_NS} <= left
        assert left <= {n for n, age in ages.items() if age < KEEP_NS + HOUR}
        sound(full)
    assert not left
    assert set(ids(full)) == KEPT
    sql = "SELECT batch FROM shards JOIN receipts r ON r.id = receipt WHERE versions <> 'compacted'"
    assert {row["batch"] for row in full.read().execute(sql)} == KEPT, "what was merged into what is gone went with it"


def test_more_of_an_hour_that_was_merged_goes_with_it(full: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    merge(full)
    flush(full, f"{BRIEF}99", BEGAN + HOUR - 1, monkeypatch)
    assert merge(full) == compact.Compacted(2, 1)
    assert purge(full, BEGAN + HOUR - 1 + KEEP_NS) == 0
    assert purge(full, BEGAN + HOUR + KEEP_NS) == 7
    sound(full)


@pytest.mark.parametrize(("passage", "moment"), [(1, "_rewritten"), (2, "_rewritten"), (2, "write_durably")])
def test_what_is_forgotten_while_it_is_merged_is_gone_and_nothing_else(
    full: Case, passage: int, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forget() -> None:
        other = Case.open(full.folder)
        purge(other, BEGAN + KEEP_NS + 3 * EACH - 1)
        other.close()

    before_call(monkeypatch, passage, moment, forget)
    merge(full)
    sound(full)
    assert set(ids(full)) >= KEPT
    merge(full)
    purge(full, BEGAN + KEEP_NS + 1)
    sound(full)
    assert set(ids(full)) >= KEPT | {f"{BRIEF}{n}" for n in range(3, MANY)}
    assert len(ids(full)) == len(set(ids(full)))
    purge(full, BEGAN + KEEP_NS + 2 * HOUR)
    assert set(ids(full)) == KEPT
    sound(full)


def test_one_that_is_gone_and_was_not_forgotten_is_damage(full: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    name = min(files(full))
    (full.folder / "shards" / "sightings" / name).unlink()
    with pytest.raises(Damaged, match=f"{name} is gone or altered"):
        merge(full)
    monkeypatch.setattr(keeping, "ENOUGH", 2)
    keeping.merge(full)  # an observer goes on
    with pytest.raises(Damaged, match=f"{name} is gone"):
        ids(full)


def test_what_others_merge_just_now_is_not_taken_for_what_a_killed_run_left(full: Case) -> None:
    folder = full.folder / "shards" / "sightings"
    (folder / "written.parquet").write_bytes(b"not in the list yet")
    with lease(full, *compact.LEASE):
        assert purge(full, BEGAN + KEEP_NS + 1) == 1
        assert "written.parquet" in files(full)
        assert len(files(full)) == 2 * MANY, "what was forgotten is gone at once all the same"
    purge(full, BEGAN + KEEP_NS + 1)
    sound(full)


@pytest.mark.parametrize("passage", [f"compact.{point}:{n}" for point in POINTS for n in (1, 2)])
def test_killed_anywhere_nothing_is_lost_doubled_or_kept_too_long(full: Case, passage: str, tmp_path: Path) -> None:
    before, folder = ids(full), tmp_path / "copy"
    full.close()
    shutil.copytree(full.folder, folder)
    code = "import sys; from pathlib import Path; from clew.core import compact; from clew.core.case import Case;"
    code += "compact.compact(Case.open(Path(sys.argv[1])), enough=2)"
    dead = subprocess.run(
        [sys.executable, "-c", code, str(folder)], env=os.environ | {"CLEW_FAILPOINT": passage}, check=False
    )
    assert dead.returncode == -signal.SIGKILL
    case = Case.open(folder)
    assert ids(case) == before
    verify_case(case)
    purge(case, BEGAN + KEEP_NS)  # as the next run does; nothing is too old yet
    assert ids(case) == before
    sound(case)
    merge(case)
    assert ids(case) == before
    sound(case)
    assert len(files(case)) == 3
    assert purge(case, BEGAN + KEEP_NS + 3 * HOUR) == MANY
    assert set(ids(case)) == KEPT
    sound(case)
    case.close()


def test_many_rows_are_one_row_group(full: Case) -> None:
    merge(full)
    found = [pq.ParquetFile(path).metadata for path in (full.folder / "shards" / "sightings").iterdir()]
    assert sorted((each.num_rows, each.num_row_groups) for each in found) == [(6, 1), (6, 1), (MANY, 1)]


def test_a_shard_of_an_earlier_version_lacks_columns(full: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        earlier = shards.SCHEMAS["sightings"].remove(shards.SCHEMAS["sightings"].get_field_index("sequence"))
        patched.setitem(shards.SCHEMAS, "sightings", earlier)
        flush(full, "contacts earlier", BEGAN, monkeypatch)
    rows = "SELECT * FROM sightings ORDER BY id"
    before = shards.query(full, rows).to_pylist()
    merge(full)
    assert shards.query(full, rows).to_pylist() == before
    sound(full)
