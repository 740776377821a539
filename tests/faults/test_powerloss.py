"""The power fails at any moment of an intake, and what was not synced is gone: nothing acknowledged is, and the next
run comes to the facts of an undisturbed one.
"""

import random
import shutil
import sqlite3
from contextlib import suppress
from pathlib import Path

import pytest
import traced
from disturbed import CLEW, SOAK, finished, go_on, receipts, words
from powerloss import TRACED, Disk

POINTS = 150 if SOAK else 5
MARK = b"acknowledged\n"
SAYS = (
    "import os, clew.intake.work as work\n"
    "work.failpoint = lambda name: name == 'intake.receipt.after' and os.write(2, b'acknowledged\\n')\n"
)


@pytest.fixture(scope="module")
def recorded(empty: Path, evidence: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[traced.Call]]:
    """The folder that a run began with, at the place where it ran, and all that its supervisor asked of the kernel."""
    here = tmp_path_factory.mktemp("recorded")
    case = here / "case"
    shutil.copytree(empty, case)
    command = words(case, evidence, code=SAYS + CLEW)
    ended, logs = traced.run(here / "logs", ["-e", f"trace={TRACED}"], command)
    assert ended.returncode == 0, ended.stderr
    log = list(traced.calls(logs[0]))
    shutil.rmtree(case)
    shutil.copytree(empty, case)
    return case, log


def marks(log: list[traced.Call]) -> int:
    return sum(call.name == "write" and call.data(1) == MARK for call in log)


def test_the_trace_holds_the_run(recorded: tuple[Path, list[traced.Call]], digest: str, tmp_path: Path) -> None:
    """Played to its end without a loss, it is the case of an undisturbed run."""
    case, log = recorded
    disk = Disk(case)
    for call in log:
        disk.play(call)
    disk.crash(tmp_path / "case", random.Random(0), 0.0)
    assert marks(log) == receipts(tmp_path / "case") > 6
    assert finished(tmp_path / "case") == digest


def test_the_power_fails(recorded, digest, evidence, tmp_path):
    case, log = recorded
    dice = random.Random(7)
    first = next(at for at, call in enumerate(log) if call.name == "pwrite64" and "case.db" in call.path(0))
    moments = set(dice.sample(range(first, len(log)), POINTS))
    disk, acknowledged = Disk(case), 0
    for at, call in enumerate(log):
        disk.play(call)
        acknowledged += call.name == "write" and call.data(1) == MARK
        if at not in moments:
            continue
        left = tmp_path / f"at-{at}"
        disk.crash(left, dice, dice.choice((1.0, 0.5, 0.2)))
        assert receipts(left) >= acknowledged, f"call {at}"
        assert go_on(left, evidence) == 0, f"call {at}"
        assert finished(left) == digest, f"call {at}"
        shutil.rmtree(left)


def test_without_syncing_this_test_would_see_the_loss(recorded, tmp_path):
    """The model is worth nothing if it forgives a program that syncs nothing."""
    case, log = recorded
    disk = Disk(case)
    for call in log:
        if call.name not in {"fsync", "fdatasync"}:
            disk.play(call)
    disk.crash(tmp_path / "case", random.Random(1), 1.0)
    with suppress(sqlite3.DatabaseError):  # perhaps not even a database is left
        assert receipts(tmp_path / "case") < marks(log)


def test_without_syncing_where_a_new_folder_lies_this_test_would_see_the_loss(recorded, tmp_path):
    """A blob that is synced in a folder that is not is no more there than one that was never written."""
    case, log = recorded
    kept = {}
    for name, left_out in (("synced", None), ("not", str(case / "blobs"))):
        disk = Disk(case)
        for call in log:
            if call.name != "fsync" or call.path(0) != left_out:
                disk.play(call)
        disk.crash(tmp_path / name, random.Random(1), 1.0)
        kept[name] = {path.name for path in (tmp_path / name / "blobs").glob("??/*")}
    assert kept["not"] < kept["synced"]
