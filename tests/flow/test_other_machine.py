"""An intake that was killed on one machine goes on on another, and the case is that of a run that nobody disturbed."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from clew.cli.main import cli
from clew.core.case import Case
from clew.core.verify import verify_case
from clew.intake.account import account, facts_digest
from clew.range.disk import SMALL, make_disk

HOST = "bench-3"  # of the machine that is gone


def words(folder: Path, image: Path, *more: str) -> list[str]:
    return ["intake", str(folder), str(image), "--label", "D", "--workers", "1", "--batch-items", "6", *more]


def killed_there(folder: Path, image: Path, point: str) -> int:
    """A run that is killed midway; its lease becomes that of a machine which is not this one. Returns its process."""
    command = [sys.executable, "-c", "from clew.cli.main import main; main()", *words(folder, image)]
    silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    run = subprocess.Popen(command, env={**os.environ, "CLEW_FAILPOINT": point}, **silent)
    assert run.wait() == -signal.SIGKILL
    case = Case.open(folder)
    assert case.read().execute("SELECT count(*) FROM items WHERE state='open'").fetchone()[0]
    if point.startswith("intake.listing"):
        assert case.read().execute("SELECT count(*) FROM exhibit_runs WHERE done_ns IS NULL").fetchone()[0]
    with case.write("core") as tx, tx.gate.core():
        tx.execute("UPDATE leases SET host=?, boot='of its own'", (HOST,))
    case.close()
    return run.pid


def end_of(folder: Path) -> tuple[str, str]:
    """The digests of all facts and of the image, once the account balances and the Ledger's chain holds."""
    case = Case.open(folder)
    try:
        row = case.read().execute("SELECT id, sha256 FROM exhibits").fetchone()
        assert account(case, row["id"]).complete
        verify_case(case)
        assert case.read().execute("SELECT count(*) FROM leases").fetchone()[0] == 0
        return facts_digest(case), row["sha256"]
    finally:
        case.close()


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_disk(3, tmp_path_factory.mktemp("disk"), SMALL).image


@pytest.fixture(scope="module")
def undisturbed(empty: Path, image: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    folder = tmp_path_factory.mktemp("undisturbed") / "case"
    shutil.copytree(empty, folder)
    assert cli.main(words(folder, image, "--json"), standalone_mode=False) == 0
    return end_of(folder)


# While one of its volumes is listed, and once all are listed and some of what was found is read.
@pytest.mark.parametrize("point", ["intake.listing.after:9", "intake.receipt.after:3"])
def test_a_run_killed_there_goes_on_here_with_a_copy_of_case_and_image(
    point: str, empty: Path, image: Path, undisturbed: tuple[str, str], tmp_path: Path, clew, printed
) -> None:
    there, here, copy = tmp_path / "there", tmp_path / "here" / "case", tmp_path / "here" / "disk.img"
    there.mkdir()
    shutil.copytree(empty, there / "case")
    shutil.copy(image, there / "disk.img")
    process = killed_there(there / "case", there / "disk.img", point)
    shutil.copytree(there / "case", here)
    shutil.copy(there / "disk.img", copy)
    shutil.rmtree(there)  # nothing of that machine is left

    status, _, refused = clew(*words(here, copy, "--moved", "--json"))
    assert status == 1
    assert f"held by process {process} on {HOST}" in refused
    assert "clew unlock" in refused
    assert f"process {process} on {HOST}" in printed("unlock", here, "--yes")
    status, _, refused = clew(*words(here, copy, "--json"))
    assert status == 2
    assert "--moved" in refused
    printed(*words(here, copy, "--moved", "--json"))

    assert end_of(here) == undisturbed
    lines = [line for (line,) in Case.open(here).read().execute("SELECT line FROM ledger")]
    for entry in ("lease.dropped", "exhibit.moved"):
        assert sum(f'"{entry}"' in line for line in lines) == 1, entry
