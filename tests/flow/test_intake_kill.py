"""kill -9 of `clew intake` at every failpoint and at random moments, then resume: the facts of an undisturbed run."""

import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, suppress
from pathlib import Path

import pytest
from PIL import Image

from clew.cli.main import cli
from clew.core import failpoints
from clew.core.case import Case
from clew.core.verify import verify_case
from clew.intake.account import account, facts_digest
from clew.range.disk import SMALL, make_disk

SOAK = bool(os.environ.get("CLEW_SOAK"))
FILES, PICTURES, BATCH = (240, 24, 6) if SOAK else (48, 6, 6)
MOMENTS = 200 if SOAK else 2  # between the first receipt and the last; a quarter as many more lie anywhere
PASSAGES = (1, 2, 7, 20) if SOAK else (2,)
POINTS = [name for name in failpoints.NAMES if name.partition(".")[0] in {"intake", "shards", "blobs"}]


@pytest.fixture(scope="module")
def evidence(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Many small files, pictures among them, some equal, one that no decoder can read, one link."""
    root = tmp_path_factory.mktemp("evidence")
    draw = random.Random(5)
    for number in range(FILES - PICTURES):
        folder = root / f"d{number % 7}" / f"e{number % 3}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"f{number}.bin").write_bytes(draw.randbytes(draw.randrange(3000)) if number % 11 else b"equal")
    for number in range(PICTURES):
        noise = Image.frombytes("RGB", (16, 12), draw.randbytes(16 * 12 * 3)).resize((160, 120))
        noise.save(root / f"d{number % 7}" / f"p{number}.jpg", quality=85)
    cut = root / "d0" / "p0.jpg"
    cut.write_bytes(cut.read_bytes()[:300])
    (root / "link").symlink_to("/etc/hostname")
    return root


@pytest.fixture(scope="module")
def undisturbed(empty: Path, evidence: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, float, float]:
    """The digest of a run that nobody disturbed; its first and last receipt, in seconds from the start."""
    folder = tmp_path_factory.mktemp("undisturbed") / "case"
    shutil.copytree(empty, folder)
    began = time.time_ns()
    assert start(folder, evidence).wait() == 0
    digest = check(folder)
    moments = [at for (at,) in ask(folder, "SELECT at_ns FROM receipts WHERE config='fast' ORDER BY at_ns")]
    assert len(moments) >= FILES // BATCH
    return digest, (moments[0] - began) / 1e9, (moments[-1] - began) / 1e9


def words(folder: Path, evidence: Path) -> list[str]:
    options = ["--label", "F", "--workers", "1", "--batch-items", str(BATCH), "--json"]
    return ["intake", str(folder), str(evidence), *options]


def start(folder: Path, evidence: Path, **environment: str) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-c", "from clew.cli.main import main; main()", *words(folder, evidence)]
    return subprocess.Popen(command, env={**os.environ, **environment}, stdout=subprocess.DEVNULL)


def ask(folder: Path, sql: str) -> list[tuple[int]]:
    with closing(sqlite3.connect(f"file:{folder / 'case.db'}?mode=ro", uri=True)) as conn:
        return conn.execute(sql).fetchall()


def receipts(folder: Path) -> int:
    return ask(folder, "SELECT count(*) FROM receipts WHERE config='fast'")[0][0]


def check(folder: Path) -> str:
    """The digest, once the account balances, no Item stands twice and the Ledger's chain holds."""
    case = Case.open(folder)
    try:
        exhibit = case.read().execute("SELECT id FROM exhibits").fetchone()["id"]
        found = account(case, exhibit)
        assert found.balanced
        assert (found.discovered, found.skipped, found.parts_open) == (FILES + 1, 1, [])
        verify_case(case)
        return facts_digest(case)
    finally:
        case.close()


def go_on(folder: Path, evidence: Path) -> None:
    """The same command, in this process: an interpreter of its own costs more than what it would do."""
    assert cli.main(words(folder, evidence), standalone_mode=False) == 0


@pytest.mark.parametrize("passage", PASSAGES)
@pytest.mark.parametrize("name", POINTS)
def test_killed_at_a_failpoint(name, passage, empty, evidence, undisturbed, tmp_path):
    folder = tmp_path / "case"
    shutil.copytree(empty, folder)
    died = start(folder, evidence, CLEW_FAILPOINT=f"{name}:{passage}").wait()
    assert died == -signal.SIGKILL, "this failpoint was not passed so often"
    go_on(folder, evidence)
    assert check(folder) == undisturbed[0]


def test_killed_at_random_moments(empty, evidence, undisturbed, tmp_path):
    """Between the first and the last receipt, and some anywhere; every fourth (of a few, every second) is killed again
    while it recovers.
    """
    digest, first, last = undisturbed
    draw = random.Random(os.environ.get("CLEW_SEED", "17"))
    batches = -(-(FILES + 1) // BATCH)
    between = anywhere = tried = 0
    while between < MOMENTS or anywhere < max(1, MOMENTS // 4):
        folder = tmp_path / f"case-{tried}"
        shutil.copytree(empty, folder)
        tried += 1
        aimed = between < MOMENTS
        kill_after(folder, evidence, draw, (first, last) if aimed else (0.0, last * 1.1), receipts_first=aimed)
        done = receipts(folder) if (folder / "case.db").exists() else 0
        if aimed and not 0 < done < batches:
            continue  # the machine was faster or slower than before: aim again
        between, anywhere = between + aimed, anywhere + (not aimed)
        if tried % (4 if SOAK else 2) == 0:
            kill_after(folder, evidence, draw, (0.0, last), receipts_first=False)
        assert start(folder, evidence).wait() == 0
        assert check(folder) == digest, f"kill {tried}, {done} receipts"
        shutil.rmtree(folder)


def kill_after(
    folder: Path, evidence: Path, draw: random.Random, span: tuple[float, float], *, receipts_first: bool
) -> None:
    """Starts a run and kills it: at a random time, or a random while after a random number of receipts."""
    process = start(folder, evidence)
    try:
        if receipts_first:
            wanted, begun = draw.randrange(1, (FILES + 1) // BATCH), time.monotonic()
            while (done := receipts(folder)) < wanted and process.poll() is None:
                time.sleep(0.005)  # each look costs as much as a little of the run
                begun = begun if done else time.monotonic()
            time.sleep(draw.random() * (time.monotonic() - begun) / wanted)  # as this very run goes, however fast
        else:
            with suppress(subprocess.TimeoutExpired):
                process.wait(span[0] + draw.random() * (span[1] - span[0]))
    finally:
        process.kill()
        process.wait()


def test_the_digest_sees_every_kind_of_change(empty, evidence, undisturbed, tmp_path):
    """The test above would be worth nothing if the digest did not look."""
    folder = tmp_path / "case"
    shutil.copytree(empty, folder)
    go_on(folder, evidence)
    assert check(folder) == undisturbed[0]
    case = Case.open(folder)
    changes = [
        "UPDATE items SET state='unreadable' WHERE id=(SELECT min(id) FROM items)",
        "UPDATE items SET detail='other' WHERE id=(SELECT min(id) FROM items)",
    ]
    for sql in changes:
        before = facts_digest(case)
        with case.write("intake") as tx:
            tx.execute(sql)
        assert facts_digest(case) != before
    for kind in ("contents", "traits", "listings"):
        ((shard,),) = ask(folder, f"SELECT id FROM shards WHERE kind='{kind}' ORDER BY id LIMIT 1")
        before = facts_digest(case)
        with closing(sqlite3.connect(folder / "case.db")) as conn, conn:
            conn.execute(f"DELETE FROM shards WHERE id={shard}")
        assert facts_digest(case) != before, kind
    case.close()


def test_the_command_prints_the_digest(empty, evidence, undisturbed, tmp_path):
    folder = tmp_path / "case"
    shutil.copytree(empty, folder)
    assert start(folder, evidence).wait() == 0
    command = [sys.executable, "-c", "from clew.cli.main import main; main()", "intake", str(folder), "--digest"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert printed.strip() == undisturbed[0]


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A disk with FAT, NTFS and ext4, live and deleted files: its walks and sweeps are resumed too."""
    return make_disk(3, tmp_path_factory.mktemp("disk"), SMALL).image


@pytest.fixture(scope="module")
def undisturbed_disk(empty: Path, image: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("undisturbed-disk") / "case"
    shutil.copytree(empty, folder)
    assert start(folder, image).wait() == 0
    return digest_of(folder)


def digest_of(folder: Path) -> str:
    case = Case.open(folder)
    try:
        exhibit = case.read().execute("SELECT id FROM exhibits").fetchone()["id"]
        assert account(case, exhibit).complete
        return facts_digest(case)
    finally:
        case.close()


@pytest.mark.parametrize("passage", range(1, 8) if SOAK else (7,))
@pytest.mark.parametrize("name", ["intake.listing.before", "intake.listing.after", "intake.receipt.inside"])
def test_a_disk_killed_while_it_is_walked_swept_or_read(name, passage, empty, image, undisturbed_disk, tmp_path):
    folder = tmp_path / "case"
    shutil.copytree(empty, folder)
    died = start(folder, image, CLEW_FAILPOINT=f"{name}:{passage}").wait()
    assert died == -signal.SIGKILL, "this failpoint was not passed so often"
    go_on(folder, image)
    assert digest_of(folder) == undisturbed_disk
