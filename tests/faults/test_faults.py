"""A full disk, a disk that fails, an exhibit that is unplugged, a clock that jumps: an error at most, and the next run
comes to the facts of an undisturbed one.
"""

import os
import random
import shutil
import signal
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest
import traced
from disturbed import CLEW, SOAK, finished, go_on, take_in, undisturbed, words

from case_made import empty_case
from clew.range.disk import SMALL, make_disk

TRIES = 40 if SOAK else 1
WRITES = "write,pwrite64"
SYNCS = "fsync,fdatasync"


@pytest.fixture(scope="module")
def counted(empty: Path, evidence: Path, tmp_path_factory: pytest.TempPathFactory) -> Counter[str]:
    """How often an undisturbed supervisor makes each call that writes or syncs: strace counts each for itself."""
    here = tmp_path_factory.mktemp("counted")
    shutil.copytree(empty, here / "case")
    command = words(here / "case", evidence)
    _, logs = traced.run(here / "logs", ["-e", f"trace={WRITES},{SYNCS}"], command)
    return Counter(call.name for call in traced.calls(logs[0]))


def calls_of(which: str, counted: Counter[str]) -> dict[str, int]:
    """The calls `which` that a run makes, and how many of each will come in any other: no two runs make as many."""
    return {name: counted[name] * 9 // 10 for name in which.split(",") if counted[name] >= 10}


def injected(
    case: Path, exhibit: Path, log: Path, *options: str, code: str = CLEW
) -> "traced.subprocess.CompletedProcess[bytes]":
    """One run, its supervisor's calls disturbed by strace, which writes them to `log`."""
    command = ["strace", "-qq", "-o", str(log), *options, *words(case, exhibit, code=code)]
    return traced.subprocess.run(command, capture_output=True, check=False)


def disturbed(log: Path) -> bool:
    """Whether a call was made to fail."""
    return "(INJECTED)" in log.read_text("utf-8", "replace")


@pytest.mark.parametrize(
    ("which", "fault"), [(WRITES, "error=ENOSPC"), (WRITES, "error=EIO"), (SYNCS, "error=EIO"), (SYNCS, "error=ENOSPC")]
)
def test_a_disk_that_is_full_or_fails(which, fault, counted, empty, evidence, digest, tmp_path):
    """From one moment on, every write (or sync) of the case fails; then there is room again."""
    dice = random.Random(f"{which} {fault}")
    for number in range(TRIES):
        case = tmp_path / f"case-{number}"
        shutil.copytree(empty, case)
        moment = dice.random()
        disturb = ["-e", f"trace={which}"]
        for name, count in calls_of(which, counted).items():
            disturb += ["-e", f"inject={name}:{fault}:when={1 + int(moment * count)}+"]
        ended = injected(case, evidence, tmp_path / "calls", *disturb)
        assert disturbed(tmp_path / "calls"), moment
        assert ended.returncode == 1, (moment, ended.stderr)
        assert b"Traceback" not in ended.stderr, (moment, ended.stderr)
        assert go_on(case, evidence) == 0
        assert finished(case) == digest, moment
        shutil.rmtree(case)


def test_one_write_that_fails_once(counted, empty, evidence, digest, tmp_path):
    """A single EIO, not a lasting one: whatever the run makes of it, nothing is doubled and nothing lost."""
    dice = random.Random(4)
    for number in range(TRIES):
        case = tmp_path / f"case-{number}"
        shutil.copytree(empty, case)
        calls = calls_of(WRITES, counted)
        (name,) = dice.choices(list(calls), list(calls.values()))
        moment = dice.randrange(1, calls[name])
        disturb = ["-e", f"inject={name}:error=EIO:when={moment}", "-e", f"trace={name}"]
        injected(case, evidence, tmp_path / "calls", *disturb)
        assert disturbed(tmp_path / "calls"), (name, moment)
        assert go_on(case, evidence) == 0
        assert finished(case) == digest, (name, moment)
        shutil.rmtree(case)


def test_short_writes(empty, evidence, digest, tmp_path):
    """No file of the case may grow beyond a limit: the kernel writes what fits, and refuses the rest."""
    dice = random.Random(5)
    ends: Counter[int] = Counter()
    for number in range(max(2, TRIES)):
        case = tmp_path / f"case-{number}"
        shutil.copytree(empty, case)
        most = dice.randrange(2_000, 400_000)
        limit = (
            "import resource, signal\n"
            "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
            f"resource.setrlimit(resource.RLIMIT_FSIZE, ({most}, resource.RLIM_INFINITY))\n"
        )
        ended = take_in(case, evidence, code=limit + CLEW)
        ends[ended.returncode] += 1
        assert b"Traceback" not in ended.stderr, ended.stderr
        assert go_on(case, evidence) == 0
        assert finished(case) == digest, most
        shutil.rmtree(case)
    assert ends[1], "no run was disturbed"


@pytest.mark.parametrize("hours", [1, -1])
def test_a_clock_that_is_stepped(hours, empty, evidence, digest, tmp_path):
    """In the middle of a run, and again while it is resumed: the order is that of sequence numbers."""
    step = (
        "import time\nreal, asked = time.time_ns, [0]\n"
        "def stepped():\n"
        "    asked[0] += 1\n"
        f"    return real() + (asked[0] > 20) * {hours} * 3_600_000_000_000\n"
        "time.time_ns = stepped\n"
    )
    case = tmp_path / "case"
    shutil.copytree(empty, case)
    first = words(case, evidence, code=step + CLEW)
    killed = traced.subprocess.run(first, env={**os.environ, "CLEW_FAILPOINT": "intake.receipt.after:5"}, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert take_in(case, evidence, code=step + CLEW).returncode == 0
    assert finished(case) == digest
    with closing(sqlite3.connect(case / "case.db")) as conn:
        first_ns, last_ns = conn.execute("SELECT min(at_ns), max(at_ns) FROM receipts").fetchone()
    assert last_ns - first_ns > 3_500 * 10**9, "no receipt was written by the stepped clock"


# ---- the exhibit goes away


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A disk with FAT, NTFS and ext4."""
    return make_disk(3, tmp_path_factory.mktemp("disk"), SMALL).image


@pytest.fixture(scope="module")
def image_digest(image: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    here = tmp_path_factory.mktemp("image")
    return undisturbed(empty_case(here / "empty"), image, here / "case")


def test_an_image_that_is_unplugged(image, image_digest, empty, tmp_path):
    """From one moment on every read of it fails, in all workers and in the supervisor; then it is plugged in again."""
    dice = random.Random(6)
    blind = "import clew.intake.plugged as plugged\nplugged._readable = lambda *_: False\n"  # strace counts by process
    ends: Counter[int] = Counter()
    for number in range(max(2, TRIES)):
        case = tmp_path / f"case-{number}"
        shutil.copytree(empty, case)
        inject = ["-f", "-P", str(image), "-e", "trace=pread64"]
        moment = dice.randrange(1, 1_500)
        inject += ["-e", f"inject=pread64:error=EIO:when={moment}+"]
        ended = injected(case, image, tmp_path / "calls", *inject, code=blind + CLEW)
        ends[ended.returncode] += 1
        assert b"Traceback" not in ended.stderr, ended.stderr
        assert go_on(case, image) in {0, 3}
        assert finished(case) == image_digest, moment
        shutil.rmtree(case)
    assert ends[1], "no run was disturbed"


def test_a_folder_that_goes_away_is_no_loss(empty, evidence, digest, tmp_path):
    """Unmounted or renamed in the middle of a run: it ends with a hint, and goes on once the folder is back."""
    case, root = tmp_path / "case", tmp_path / "evidence"
    shutil.copytree(empty, case)
    shutil.copytree(evidence, root, symlinks=True)
    gone = (
        "import errno, os, clew.intake.work as work\n"
        "from clew.intake.sources.folder import Tree\n"
        "read = work.Reader.run\n"
        "def dead(*_):\n"
        "    raise OSError(errno.EIO, os.strerror(errno.EIO))\n"
        "def run(*arguments):\n"
        f"    os.rename({str(root)!r}, {str(root) + '-'!r})\n"
        "    Tree._open = dead\n"
        "    read(*arguments)\n"
        "work.Reader.run = run\n"
    )
    ended = take_in(case, root, code=gone + CLEW)
    assert ended.returncode == 1
    assert b"not there any more" in ended.stderr
    assert b"clew: hint: connect it again" in ended.stderr
    (tmp_path / "evidence-").rename(root)
    assert go_on(case, root) == 0
    assert finished(case) == digest
