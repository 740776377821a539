"""The one read of a whole image: its digests are those of its bytes, wherever it was stopped and gone on with."""

import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from case_made import new_case
from clew.core import resumable
from clew.core.case import Case
from clew.core.errors import ClewError, Damaged
from clew.core.progress import Progress
from clew.intake import acquire, custody, said
from clew.intake.account import account
from clew.intake.api import Job
from clew.intake.basis import Basis
from clew.intake.containers import acquisition
from clew.intake.containers.raw import open_raw
from clew.intake.options import Options
from clew.intake.run import intake
from clew.intake.said import MOST_RANGES

PLAIN = Options(workers=1, extractors=())
NAMES = ("md5", "sha1", "sha256")


class Bytes:
    """An image in memory, of which `spoilt` cannot be read."""

    def __init__(self, data: bytes, spoilt: tuple[int, int] | None = None) -> None:
        self.data, self.size, self.spoilt = data, len(data), spoilt
        self.bad: list[tuple[int, int]] = []

    def read(self, offset: int, length: int) -> bytes:
        length = min(length, 1000)
        if self.spoilt and offset <= self.spoilt[0] < offset + length:
            self.bad.append(self.spoilt)
        return self.data[offset : offset + length]


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 9000), st.integers(1, 4000), st.integers(1, 9000))
def test_stints_make_the_digest_of_the_whole(size: int, save: int, stint: int) -> None:
    data = random.Random(size).randbytes(size)
    spoilt = (size // 2, 1) if size else None
    read, state = 0, None
    for _ in range(10_000):
        answers = [
            each.value
            for each in acquisition.digest(Bytes(data, spoilt), {"save": save, "stint": stint, "resume": state})
        ]
        read += sum(each.get("read", 0) for each in answers)
        last = answers[-1]
        if "sha256" in last:
            break
        state = last["state"]
    assert {name: last[name] for name in NAMES} == {name: hashlib.new(name, data).hexdigest() for name in NAMES}
    assert (last["size"], last["bad"]) == (size, [spoilt] if spoilt else [])
    assert 0 <= size - read < max(save, 1000), "what is told as read is what was read"


def test_without_libcrypto_it_is_done_in_one_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resumable, "library", lambda: None)
    monkeypatch.setattr(acquisition, "saves", lambda: False)
    data = bytes(5000)
    answers = [
        each.value for each in acquisition.digest(Bytes(data), {"save": 1000, "stint": 1000, "resume": {"x": 1}})
    ]
    assert answers[-1]["sha256"] == hashlib.sha256(data).hexdigest()
    assert not any("state" in each for each in answers)


def test_what_is_bad_in_several_stints_never_passes_what_may_be_said() -> None:
    """A disk that fails in thousands of places; of an E01 its acquisition may name as many from the start."""
    first, second = Bytes(bytes(2000)), Bytes(bytes(2000))
    first.bad += [(at * 4000, 512) for at in range(MOST_RANGES)]
    second.bad += [(at * 4000 + 2000, 512) for at in range(MOST_RANGES)]
    *_, last = acquisition.digest(first, {"save": 1000, "stint": 1000})
    *_, end = acquisition.digest(second, {"resume": last.value["state"]})
    learnt = said.acquisition(end.value)[2]
    covered = iter(learnt["bad"])
    at, length = next(covered)
    for start, size in sorted([*first.bad, *second.bad]):
        while start >= at + length:
            at, length = next(covered)
        assert at <= start <= start + size <= at + length


def test_holes_are_hashed_as_zeros_without_being_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "sparse"
    with path.open("wb") as file:
        file.truncate(40 << 20)
        file.seek(9 << 20)
        file.write(b"x" * 5000)
        file.seek(30 << 20)
        file.write(b"y")
    descriptor = os.open(path, os.O_RDONLY)
    source, read = open_raw([descriptor]), []
    original = source.read
    monkeypatch.setattr(source, "read", lambda offset, length: (read.append(length), original(offset, length))[1])
    end = list(acquisition.digest(source, {}))[-1].value
    os.close(descriptor)
    assert end["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    if path.stat().st_blocks * 512 < 20 << 20:  # this file system keeps holes
        assert sum(read) < 32 << 20


# ---- the parent's side


class Said:
    """A pool whose worker gives these answers, one stint after the other."""

    def __init__(self, *stints: list[object]) -> None:
        self.stints, self.payloads = list(stints), []

    def run(self, tasks):  # type: ignore[no-untyped-def]
        from clew.core.channel import Reply
        from clew.core.engine import Outcome
        from clew.model import Missing

        (task,) = tasks
        self.payloads.append(task.payload)
        for each in self.stints.pop(0):
            yield Outcome(task, each if isinstance(each, Missing) else Reply(each), True, 0.0)


END = {"md5": "00" * 16, "sha1": "00" * 20, "sha256": "00" * 32, "size": 5, "bad": []}


def acquired(tmp_path: Path, *stints: list[object]) -> tuple[Case, Said]:
    case = new_case(tmp_path / "case")
    with case.write("intake") as tx:
        tx.execute(
            "INSERT INTO exhibits (id, label, kind, location, seized_by, seized_where, mandate, added_ns)"
            " VALUES ('e','D','rawdisk','/x','','','M-1',1)"
        )
    held, pool = custody.find(case, "D"), Said(*stints)
    assert held is not None
    acquire.acquire(case, held, Job("x:y", {"size": 5}), pool, Progress("x", quiet=True), Basis(case, "D"))  # type: ignore[arg-type]
    return case, pool


def test_a_stint_that_ends_in_a_state_is_gone_on_with(tmp_path: Path) -> None:
    states = [{"offset": at, "hashes": {}, "bad": []} for at in (1, 2, 3)]
    case, pool = acquired(
        tmp_path, [{"state": states[0]}, {"state": states[1]}], [{"read": 1}, {"state": states[2]}], [END]
    )
    assert [each.get("resume") for each in pool.payloads] == [None, states[1], states[2]]
    row = case.read().execute("SELECT * FROM exhibits").fetchone()
    assert (row["size"], bytes(row["sha256"])) == (5, bytes(32))
    assert "resume" not in row["acquisition"]


def test_a_state_may_name_as_many_bad_stretches_as_an_answer(tmp_path: Path) -> None:
    bad = [[(1 << 60) + at * 1024, (1 << 62) + at] for at in range(MOST_RANGES)]
    state = {"offset": 1 << 60, "hashes": dict.fromkeys(NAMES, "00" * 200), "bad": bad}
    _, pool = acquired(tmp_path, [{"state": state}], [END | {"bad": bad}])
    assert pool.payloads[1]["resume"] == state


def test_a_reader_that_dies_is_gone_on_with_as_long_as_it_gets_further(tmp_path: Path) -> None:
    from clew.model import Missing, Reason

    dead, state = Missing(Reason.LIMIT_REACHED, "time"), {"offset": 1, "hashes": {}, "bad": []}
    _, pool = acquired(tmp_path, [{"state": state}, dead], [END])
    assert len(pool.payloads) == 2
    with pytest.raises(ClewError, match="cannot be read whole: limit reached"):
        acquired(tmp_path / "2", [{"state": state}, dead], [dead])
    with pytest.raises(ClewError, match="ended without a digest"):
        acquired(tmp_path / "3", [None])


def test_an_image_without_a_digest_is_not_complete_and_goes_on_from_where_it_was(tmp_path: Path) -> None:
    state = {"offset": 1, "hashes": {}, "bad": []}
    case, _ = acquired(tmp_path, [{"state": state}], [{"unopened": "limit reached: memory"}])
    found = account(case, "e")
    assert not found.complete
    assert "has no digest: limit reached: memory" in found.words()
    held, pool = custody.find(case, "D"), Said([END])
    acquire.acquire(case, held, Job("x:y", {"size": 5}), pool, Progress("x", quiet=True), Basis(case, "D"))  # type: ignore[arg-type]
    assert pool.payloads[0]["resume"] == state
    assert account(case, "e").complete


@pytest.mark.parametrize(
    "answer",
    [
        {"read": -1}, {"read": "x"}, {"state": 5}, {"state": {"offset": True}},
        {"state": {"offset": 1, "x": "y" * 700_000}},
        END | {"sha256": "00"}, END | {"size": 1 << 63}, END | {"bad": [[1]]}, END | {"bad": [[-1, 2]]},
        END | {"stored": {"crc": "00"}}, END | {"facts": 5}, END | {"facts": {"x": float("nan")}},
        END | {"facts": {"x": "y" * (2 << 20)}}, {"md5": "00" * 16},
    ],
    ids=range(14),
)  # fmt: skip
def test_an_answer_that_makes_no_sense_is_refused(tmp_path: Path, answer: object) -> None:
    with pytest.raises(Damaged):
        acquired(tmp_path, [answer])


# ---- whole runs


CHILD = """
import sys
from clew.intake.containers import acquisition
from clew.intake.sources import _disk
payload = _disk.Disk._payload
_disk.Disk._payload = lambda self, **more: payload(self, **more) | ({"save": 1 << 20} if "size" in more else {})
from clew.cli.main import main
main(sys.argv[1:])
"""


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """No file system, 12 MiB of noise."""
    path = tmp_path_factory.mktemp("image") / "disk.img"
    path.write_bytes(random.Random(1).randbytes(12 << 20))
    return path


def run(case: Path, image: Path, **environment: str) -> int:
    words = ["intake", str(case), str(image), "--label", "D", "--workers", "1", "--json"]
    command = [sys.executable, "-c", CHILD, *words]
    return subprocess.run(command, env=os.environ | environment, stdout=subprocess.DEVNULL, check=False).returncode


@pytest.mark.parametrize("point", ["state.before:2", "state.after:2", "end.before:1"])
def test_killed_while_it_is_acquired_it_goes_on_there(tmp_path: Path, image: Path, point: str) -> None:
    case = new_case(tmp_path / "case")
    folder = case.folder
    case.close()
    assert run(folder, image, CLEW_FAILPOINT=f"acquisition.{point}") == -signal.SIGKILL
    case = Case.open(folder)
    held = custody.find(case, "D")
    assert held is not None
    assert held.sha256 is None
    assert held.acquisition["resume"]["offset"] >= 4 << 20
    assert run(folder, image) == 3  # there is no file system in it
    row = case.read().execute("SELECT * FROM exhibits").fetchone()
    data = image.read_bytes()
    assert {name: bytes(row[name]) for name in NAMES} == {name: hashlib.new(name, data).digest() for name in NAMES}
    case.close()


def test_a_stored_digest_that_differs_is_said_and_told_by_the_exit_status(tmp_path: Path, monkeypatch) -> None:
    """A raw image has none; its reader is made to claim one."""
    path = tmp_path / "disk.img"
    path.write_bytes(bytes(4096))
    original = acquire._acquired

    def claim(case, exhibit, answer, *others):  # type: ignore[no-untyped-def]
        answer |= {"stored": {"md5": "11" * 16, "sha1": answer["sha1"]}, "bad": [[512, 512]]}
        original(case, exhibit, answer, *others)

    monkeypatch.setattr(acquire, "_acquired", claim)
    report = intake(new_case(tmp_path / "case"), path=path, label="D", options=PLAIN)
    assert not report.complete
    assert "its MD5 is not the one that was stored when it was acquired" in report.words()
    assert "512 bytes could not be read, in 1 stretches, the first at byte 512" in report.words()
    assert "own sha1 agree" in report.words()
    shutil.rmtree(tmp_path / "case")
