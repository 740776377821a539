"""A full disk, a disk that fails, an exhibit that is unplugged, a clock that jumps: an error at most, and the next run
comes to the facts of an undisturbed one.
"""

import random
import shutil
from collections import Counter
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
    """How often an undisturbed supervisor writes and syncs."""
    here = tmp_path_factory.mktemp("counted")
    shutil.copytree(empty, here / "case")
    command = words(here / "case", evidence)
    _, logs = traced.run(here / "logs", ["-e", f"trace={WRITES},{SYNCS}"], command)
    calls = [call.name for call in traced.calls(logs[0])]
    counts = Counter(calls)
    return Counter({WRITES: counts["write"] + counts["pwrite64"], SYNCS: counts["fsync"] + counts["fdatasync"]})


def injected(case: Path, exhibit: Path, *options: str, code: str = CLEW) -> "traced.subprocess.CompletedProcess[bytes]":
    """One run, its supervisor's calls disturbed by strace."""
    tracer = ["strace", "-qq", "-o", "/dev/null", *options]
    command = [*tracer, *words(case, exhibit, code=code)]
    return traced.subprocess.run(command, capture_output=True, check=False)


@pytest.mark.parametrize(
    ("which", "fault"), [(WRITES, "error=ENOSPC"), (WRITES, "error=EIO"), (SYNCS, "error=EIO"), (SYNCS, "error=ENOSPC")]
)
def test_a_disk_that_is_full_or_fails(which, fault, counted, empty, evidence, digest, tmp_path):
    """From one moment on, every write (or sync) of the case fails; then there is room again."""
    dice = random.Random(3)
    for number in range(TRIES):
        case = tmp_path / f"case-{number}"
        shutil.copytree(empty, case)
        moment = dice.randrange(1, counted[which])
        ended = injected(case, evidence, "-e", f"inject={which}:{fault}:when={moment}+", "-e", f"trace={which}")
        assert ended.returncode in {1, 0}, (moment, ended.stderr)
        assert ended.returncode == 0 or b"Traceback" not in ended.stderr, (moment, ended.stderr)
        assert go_on(case, evidence) == 0
        assert finished(case) == digest, moment
        shutil.rmtree(case)


def test_one_write_that_fails_once(counted, empty, evidence, digest, tmp_path):
    """A single EIO, not a lasting one: whatever the run makes of it, nothing is doubled and nothing lost."""
    dice = random.Random(4)
    for number in range(TRIES):
        case = tmp_path / f"case-{number}"
        shutil.copytree(empty, case)
        moment = dice.randrange(1, counted[WRITES])
        injected(case, evidence, "-e", f"inject={WRITES}:error=EIO:when={moment}", "-e", f"trace={WRITES}")
        assert go_on(case, evidence) == 0
        assert finished(case) == digest, moment
        shutil.rmtree(case)


def test_short_writes(empty, evidence, digest, tmp_path):
    """No file of the case may grow beyond a limit: the kernel writes what fits, and refuses the rest."""
    dice = random.Random(5)
    for number in range(TRIES):
        case = tmp_path / f"case-{number}"
        shutil.copytree(empty, case)
        most = dice.randrange(2_000, 400_000)
        limit = (
            "import resource, signal\n"
            "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
            f"resource.setrlimit(resource.RLIMIT_FSIZE, ({most}, resource.RLIM_INFINITY))\n"
        )
        ended = take_in(case, evidence, code=limit + CLEW)
        assert b"Traceback" not in ended.stderr, ended.stderr
        assert go_on(case, evidence) == 0
        assert finished(case) == digest, most
        shutil.rmtree(case)


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
    traced.subprocess.run(first, env={**traced.os.environ, "CLEW_FAILPOINT": "intake.receipt.after:5"}, check=False)
    assert take_in(case, evidence, code=step + CLEW).returncode == 0
    assert finished(case) == digest


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
        ended = injected(case, image, *inject, code=blind + CLEW)
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
