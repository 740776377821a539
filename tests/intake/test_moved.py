"""No Item stands under a digest that nothing ties its bytes to: an image that was moved, touched or written to."""

import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cases import items
from ewf_cases import acquire, fat

from case_made import new_case
from clew.core.case import Case
from clew.core.errors import Refused
from clew.intake import custody, identity, mounts
from clew.intake import run as runs
from clew.intake.options import Options
from clew.intake.report import report
from clew.intake.run import intake
from clew.intake.story import story

PLAIN = Options(workers=1, extractors=())
MOVED = Options(workers=1, extractors=(), moved=True)
FILES = {f"F{n:02}.BIN": random.Random(n).randbytes(50_000) for n in range(20)}
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
def made(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return fat(tmp_path_factory.mktemp("made"), FILES)


@pytest.fixture
def image(tmp_path: Path, made: bytes) -> Path:
    path = tmp_path / "disk.img"
    path.write_bytes(made)
    return path


@pytest.fixture
def other(tmp_path: Path, image: Path) -> Path:
    """A copy elsewhere."""
    (tmp_path / "other").mkdir()
    return shutil.copy(image, tmp_path / "other" / "disk.img")


def killed(tmp_path: Path, image: Path, point: str, *more: str) -> Case:
    """The case of a run that was killed there; none of the few samples happens to lie where a test changes bytes."""
    folder = tmp_path / "case"
    if not folder.exists():
        new_case(folder).close()
    words = ["intake", str(folder), str(image), "--label", "D", "--workers", "1", "--batch-items", "5", *more]
    command = [sys.executable, "-c", CHILD, *words]
    ended = subprocess.run(command, env=os.environ | {"CLEW_FAILPOINT": point}, capture_output=True, check=False)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    case = Case.open(folder, actor="wren")
    unsampled(case)
    return case


def unsampled(case: Case) -> None:
    known = [each | {"samples": []} for each in json.loads(row(case)["identity"])]
    with case.write("intake") as tx:
        tx.execute("UPDATE exhibits SET identity=?", (json.dumps(known),))


def row(case: Case) -> Any:
    return case.read().execute("SELECT * FROM exhibits").fetchone()


def change(path: Path, name: str = "F15.BIN", *, back: bool = True) -> None:
    """One byte in the middle of that file, and the time of writing set `back`."""
    status, data = path.stat(), path.read_bytes()
    at = data.index(FILES[name][25_000:25_100])
    assert identity.ENDS < at < len(data) - identity.ENDS
    with path.open("r+b") as file:
        file.seek(at)
        file.write(bytes([data[at] ^ 1]))
    if back:
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def entries(case: Case, action: str) -> list[dict[str, Any]]:
    sql = "SELECT l.line, o.opening FROM ledger l JOIN ledger_openings o USING (seq) ORDER BY l.seq"
    return [json.loads(each["opening"]) for each in case.read().execute(sql) if f'"{action}"' in each["line"]]


def read(case: Case) -> int:
    found: int = case.read().execute("SELECT count(*) FROM items WHERE attempts>0").fetchone()[0]
    return found


def test_a_copy_with_other_bytes_is_refused_and_none_of_it_taken_in(tmp_path: Path, image: Path, other: Path) -> None:
    case = killed(tmp_path, image, "intake.receipt.after:2")
    before, digest = read(case), row(case)["sha256"]
    assert before
    change(other)
    for _ in range(2):
        with pytest.raises(Refused, match="does not hold the bytes of 'D': its SHA-256 is"):
            intake(case, path=other, label="D", options=MOVED)
    assert (read(case), row(case)["location"], row(case)["sha256"]) == (before, str(image), digest)
    assert [each["agrees"] for each in entries(case, "exhibit.compared")] == [False, False]
    assert entries(case, "exhibit.moved") == []
    assert any(
        "which is NOT its own: nothing of that was taken in" in each.said for each in story(case, row(case)["id"])
    )
    ended = intake(case, path=image, label="D", options=PLAIN)  # the one that was taken in is still there, and goes on
    assert ended.complete
    assert ended.account.image_unread == []


def test_a_copy_of_the_same_bytes_goes_on_and_is_read_once_for_its_digest(
    tmp_path: Path, image: Path, other: Path
) -> None:
    case = killed(tmp_path, image, "intake.receipt.after:2")
    image.unlink()
    ended = intake(case, path=other, label="D", options=MOVED)
    assert ended.complete
    assert ended.account.image_unread == []
    assert row(case)["location"] == str(other)
    (moved,) = entries(case, "exhibit.moved")
    assert moved["sha256"] == ended.sha256
    assert {
        name.decode(): each["state"] for name, each in items(case).items() if name.startswith(b"F")
    } == dict.fromkeys(FILES, "done")
    assert any("known by the SHA-256 of its image" in each.said for each in story(case, ended.exhibit))
    intake(case, path=other, label="D", options=PLAIN)
    assert len(entries(case, "exhibit.compared")) == 1


def test_inodes_that_do_not_last_tell_nothing(
    tmp_path: Path, image: Path, other: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FAT and exFAT number files anew at each mount: an image on such a disk would be refused after each."""
    device = image.stat().st_dev
    line = f"1 1 {os.major(device)}:{os.minor(device)} / / rw - exfat /dev/sdz1 rw\n"
    (tmp_path / "mountinfo").write_text(line)
    monkeypatch.setattr(mounts, "MOUNTS", tmp_path / "mountinfo")
    case = new_case(tmp_path / "case")
    first = intake(case, path=image, label="D", options=PLAIN)
    status = image.stat()
    other.replace(image)
    os.utime(image, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert image.stat().st_ino != status.st_ino
    assert intake(case, path=image, label="D", options=PLAIN).sha256 == first.sha256


def test_what_was_begun_of_one_copy_is_not_gone_on_with_in_another(tmp_path: Path, image: Path, other: Path) -> None:
    """Its digest would be half of the one and half of the other."""
    case = killed(tmp_path, image, "acquisition.state.after:1")
    assert row(case)["sha256"] is None
    change(other, "F05.BIN")
    ended = intake(case, path=other, label="D", options=MOVED)
    assert ended.sha256 == hashlib.sha256(other.read_bytes()).hexdigest()
    assert "resume_of" not in ended.acquisition


def test_a_comparison_that_was_stopped_is_gone_on_with(tmp_path: Path, image: Path, other: Path) -> None:
    killed(tmp_path, image, "intake.receipt.after:2").close()
    case = killed(tmp_path, other, "acquisition.state.after:2", "--moved")
    held = custody.find(case, "D")
    assert held is not None
    assert held.location == str(image)
    assert held.acquisition["resume"]["offset"] >= 1 << 20
    assert held.acquisition["stored"] == {}
    ended = intake(case, path=other, label="D", options=MOVED)
    assert ended.complete
    assert "resume" not in row(case)["acquisition"]


def test_bytes_that_changed_in_its_place_are_refused_though_the_time_was_set_back(tmp_path: Path, image: Path) -> None:
    case = killed(tmp_path, image, "intake.receipt.after:2")
    before = read(case)
    change(image)
    with pytest.raises(Refused, match="does not hold the bytes of 'D'"):
        intake(case, path=image, label="D", options=PLAIN)
    ended = report(case, row(case)["id"])
    assert not ended.complete
    assert f"of the {before:,} items read of it, those read since may be of either" in ended.words()
    assert read(case) == before


def test_bytes_that_changed_at_a_sample_are_told_for_good(tmp_path: Path, image: Path) -> None:
    case = new_case(tmp_path / "case")
    intake(case, path=image, label="D", options=PLAIN)
    status, known = image.stat(), json.loads(row(case)["identity"])
    at = known[0]["samples"][2][0]
    with image.open("r+b") as file:
        file.seek(at)
        file.write(b"x" * identity.SAMPLE)
    os.utime(image, ns=(status.st_atime_ns, status.st_mtime_ns))
    with pytest.raises(Refused, match=f"its bytes at {at:,}"):
        intake(case, path=image, label="D", options=PLAIN)
    assert "its bytes became others" in report(case, row(case)["id"]).words()
    assert any("Somebody wrote to it" in each.said for each in story(case, row(case)["id"]))


def test_what_was_done_to_it_and_left_its_bytes_is_no_alarm(tmp_path: Path, image: Path) -> None:
    case = killed(tmp_path, image, "intake.receipt.after:2")
    image.chmod(0o400)
    for _ in range(2):
        ended = intake(case, path=image, label="D", options=PLAIN)
        assert ended.complete
        assert ended.account.image_unread == []
    assert [each["agrees"] for each in entries(case, "exhibit.compared")] == [True]


@pytest.mark.parametrize("back", [True, False])
def test_an_image_that_is_written_to_while_it_is_read_is_told(
    tmp_path: Path, image: Path, monkeypatch: pytest.MonkeyPatch, back: bool
) -> None:
    case, original = new_case(tmp_path / "case"), runs.Run._read

    def meanwhile(self, *given):  # type: ignore[no-untyped-def]
        original(self, *given)
        unsampled(case)
        change(image, back=back)

    monkeypatch.setattr(runs.Run, "_read", meanwhile)
    with pytest.raises(Refused):
        intake(case, path=image, label="D", options=PLAIN)
    ended = report(case, row(case)["id"])
    assert not ended.complete
    assert "its bytes became others" in ended.words()
    assert "NOT AT ITS END" in ended.words()


def test_an_image_that_is_touched_while_it_is_read_is_read_once_more(
    tmp_path: Path, image: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case, original = new_case(tmp_path / "case"), runs.Run._read

    def meanwhile(self, *given):  # type: ignore[no-untyped-def]
        original(self, *given)
        os.utime(image)

    monkeypatch.setattr(runs.Run, "_read", meanwhile)
    ended = intake(case, path=image, label="D", options=PLAIN)
    assert ended.complete
    assert [each["agrees"] for each in entries(case, "exhibit.compared")] == [True]
    monkeypatch.setattr(runs.Run, "_read", original)
    assert intake(case, path=image, label="D", options=PLAIN).complete


def test_items_that_were_read_before_there_was_a_digest_are_told(tmp_path: Path, image: Path, other: Path) -> None:
    """Of an image that could not be read whole at first, and then could be elsewhere."""
    case = new_case(tmp_path / "case")
    intake(case, path=image, label="D", options=PLAIN)
    with case.write("intake") as tx:
        tx.execute("UPDATE exhibits SET sha256=NULL, acquisition=?", (json.dumps({"unopened": "its memory"}),))
    ended = intake(case, path=other, label="D", options=MOVED)
    assert not ended.complete
    assert f"{read(case):,} items were read of it where it lay before" in ended.words()
    assert ended.sha256
    assert not intake(case, path=other, label="D", options=PLAIN).complete


def older(case: Case) -> None:
    """As an earlier version recorded it."""
    known = [
        {name: value for name, value in each.items() if name not in {"samples", "changed_ns"}}
        for each in json.loads(row(case)["identity"])
    ]
    with case.write("intake") as tx:
        tx.execute("UPDATE exhibits SET identity=?", (json.dumps(known),))


def test_an_older_case_goes_on_and_says_so_once(tmp_path: Path, image: Path) -> None:
    case = killed(tmp_path, image, "intake.receipt.after:2")
    older(case)
    for _ in range(2):
        assert intake(case, path=image, label="D", options=PLAIN).complete
    assert len(entries(case, "exhibit.sampled")) == 1
    assert entries(case, "exhibit.compared") == []
    assert any("until then by its size" in each.said for each in story(case, row(case)["id"]))


def test_of_an_older_case_that_let_a_copy_go_on_the_digest_is_read_again(
    tmp_path: Path, image: Path, other: Path
) -> None:
    case = killed(tmp_path, image, "intake.receipt.after:2")
    assert intake(case, path=other, label="D", options=MOVED).complete
    older(case)
    assert intake(case, path=other, label="D", options=PLAIN).complete
    older(case)
    change(other)
    with pytest.raises(Refused, match="does not hold the bytes"):
        intake(case, path=other, label="D", options=PLAIN)
    assert "may be of either" in report(case, row(case)["id"]).words()


def test_an_e01_that_was_moved_is_held_against_its_digest_too(tmp_path: Path, made: bytes) -> None:
    (first,) = acquire(tmp_path, made, c="none")
    case = new_case(tmp_path / "case")
    intake(case, path=first, label="D", options=PLAIN)
    unsampled(case)
    (tmp_path / "other").mkdir()
    copy = Path(shutil.copy(first, tmp_path / "other"))
    assert intake(case, path=copy, label="D", options=MOVED).complete
    unsampled(case)
    (tmp_path / "third").mkdir()
    spoilt = Path(shutil.copy(first, tmp_path / "third"))
    change(spoilt)
    with pytest.raises(Refused, match="does not hold the bytes"):
        intake(case, path=spoilt, label="D", options=MOVED)


def test_samples_tell_what_the_times_do_not(tmp_path: Path) -> None:
    """Of a device, and of a copy of which nothing else is asked."""
    paths = [tmp_path / "1", tmp_path / "2", tmp_path / "3"]
    sizes = [5 << 20, 100, 3 << 20]
    for path, size in zip(paths, sizes, strict=True):
        path.write_bytes(random.Random(size).randbytes(size))
    descriptors = [os.open(path, os.O_RDONLY) for path in paths]
    before = identity.of(descriptors)
    assert sum(len(each["samples"]) for each in before) == sum(sizes) // identity.APART
    assert identity.differences(before, identity.of(descriptors, before), moved=True) == []
    at = before[2]["samples"][1][0]
    with paths[2].open("r+b") as file:
        file.seek(at)
        file.write(bytes([file.read(1)[0] ^ 1]) if file.seek(at) == at else b"")
    now = identity.of(descriptors, before)
    assert identity.differences(before, now, moved=True) == [f"file 3: its bytes at {at:,}"]
    now[2]["samples"][1][1] = ""  # a sector that could not be read
    assert identity.differences(before, now, moved=True) == []
    for descriptor in descriptors:
        os.close(descriptor)
