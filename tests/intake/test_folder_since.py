"""A folder that was not mounted, or has grown: nothing of it is lost for good, or called complete before."""

import os
import zipfile
from pathlib import Path

import pytest
from cases import items, sha256

from case_made import new_case
from clew.core.case import Case
from clew.core.errors import Refused
from clew.intake import mounts
from clew.intake.account import facts_digest
from clew.intake.listing import BatchSize, Lister
from clew.intake.options import Options
from clew.intake.run import intake
from clew.intake.story import story

ONCE = Options(workers=1, extractors=(), batch=BatchSize(items=3))
RETRY = Options(workers=1, extractors=(), batch=BatchSize(items=3), retry=True)
NAMES = [f"{number:02}.jpg" for number in range(8)]


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return new_case(tmp_path / "case")


@pytest.fixture
def evidence(tmp_path: Path) -> Path:
    """A folder with nine files, one of them in a directory."""
    root = tmp_path / "evidence"
    (root / "sub").mkdir(parents=True)
    for name in [*NAMES, "sub/z.jpg"]:
        (root / name).write_bytes(name.encode())
    return root


def unmounted(evidence: Path) -> Path:
    """Where its files are now; an empty directory lies in its place."""
    evidence.rename(away := evidence.with_name("away"))
    evidence.mkdir()
    return away


def mounted(evidence: Path, away: Path) -> None:
    evidence.rmdir()
    away.rename(evidence)


def test_a_folder_that_was_not_mounted_is_not_complete_and_is_listed_by_a_retry(case: Case, evidence: Path):
    away = unmounted(evidence)
    (evidence / "only" / "directories").mkdir(parents=True)
    ended = intake(case, path=evidence, label="F", options=ONCE)
    assert (ended.account.discovered, ended.complete) == (0, False)
    assert "in which no file was found" in ended.words()
    (evidence / "only" / "directories").rmdir()
    (evidence / "only").rmdir()
    mounted(evidence, away)
    again = intake(case, path=evidence, label="F", options=RETRY)
    assert (again.account.done, again.complete) == (9, True), again.words()


def test_a_folder_that_is_not_mounted_when_a_run_goes_on_is_refused(case: Case, evidence: Path, monkeypatch):
    real, commits = Lister._commit, []

    def killed(self, *about, **more):  # type: ignore[no-untyped-def]
        commits.append(about)
        if len(commits) == 2:
            raise KeyboardInterrupt
        return real(self, *about, **more)

    with monkeypatch.context() as patched:
        patched.setattr(Lister, "_commit", killed)
        with pytest.raises(KeyboardInterrupt):
            intake(case, path=evidence, label="F", options=ONCE)
    away = unmounted(evidence)
    with pytest.raises(Refused, match="none of the first 3 files") as refused:
        intake(case, path=evidence, label="F", options=ONCE)
    assert "mount" in refused.value.hint
    mounted(evidence, away)
    ended = intake(case, path=evidence, label="F", options=ONCE)
    assert (ended.account.done, ended.complete) == (9, True), ended.words()


def test_what_came_since_is_said_and_a_retry_lists_it(case: Case, evidence: Path):
    """As on a disk that was not mounted below the folder, or where a copy was not at its end."""
    assert intake(case, path=evidence, label="F", options=ONCE).complete
    before = facts_digest(case)
    (evidence / "sub" / "new.jpg").write_bytes(b"new")
    (evidence / "late").mkdir()
    (evidence / "late" / "later.jpg").write_bytes(b"later")
    for _ in range(2):  # it is said as often as it is asked
        ended = intake(case, path=evidence, label="F", options=ONCE)
        assert not ended.complete
        assert "could not be read: folder: unknown: 2 entries lie there that are not in the case" in ended.words()
        assert facts_digest(case) == before
    again = intake(case, path=evidence, label="F", options=RETRY)
    assert again.complete, again.words()
    assert items(case)[b"late/later.jpg"]["sha256"] == sha256(b"later")
    assert {item["attempts"] for item in items(case).values()} == {1}
    assert intake(case, path=evidence, label="F", options=ONCE).complete
    assert "2 entries that were not in the case" in " ".join(event.said for event in story(case, ended.exhibit))


def test_a_folder_whose_first_files_were_deleted_is_the_same(case: Case, evidence: Path, monkeypatch):
    """Those of its first batch are no more, nor is an archive: what else it held can still be read again. That it is
    the same directory is known by its file system.
    """
    monkeypatch.setattr(mounts, "lies_on", lambda _path: {"kind": "ext4", "uuid": "3f", "inode": 2})
    with zipfile.ZipFile(evidence / "00.zip", "w") as archive:
        archive.writestr("inside", b"in an archive")
    assert intake(case, path=evidence, label="F", options=ONCE).complete
    for name in ["00.zip", *NAMES]:
        (evidence / name).unlink()
    ended = intake(case, path=evidence, label="F", options=ONCE)
    assert "noted: 9 entries of the folder that lie there no more" in ended.words()
    (evidence / "sub" / "z.jpg").unlink()
    (evidence / "another.jpg").write_bytes(b"of another disk")
    with pytest.raises(Refused, match="none of the first 3 files of it, nor of 7 others from all over its listing"):
        intake(case, path=evidence, label="F", options=ONCE)


def test_what_is_not_as_it_was_listed_is_said(case: Case, evidence: Path):
    os.utime(evidence / NAMES[2], ns=(0, 10**18))
    assert intake(case, path=evidence, label="F", options=ONCE).complete
    os.utime(evidence / NAMES[2], ns=(0, 10**18 + 3600 * 10**9))  # FAT in another time zone
    (evidence / NAMES[0]).write_bytes(b"other bytes")
    (evidence / NAMES[1]).unlink()
    for options in (ONCE, RETRY):
        ended = intake(case, path=evidence, label="F", options=options)
        assert not ended.complete
        assert "folder: unknown: 1 files were written to since they were listed" in ended.words()
        assert "noted: 1 entries of the folder that lie there no more" in ended.words()


def test_times_of_a_folder_that_was_moved_are_those_of_a_copy(case: Case, evidence: Path):
    assert intake(case, path=evidence, label="F", options=ONCE).complete
    other = evidence.with_name("copy")
    (other / "sub").mkdir(parents=True)
    for name in [*NAMES, "sub/z.jpg"]:
        (other / name).write_bytes((evidence / name).read_bytes())
    moved = Options(workers=1, extractors=(), moved=True)
    for options in (moved, ONCE):
        assert intake(case, path=other, label="F", options=options).complete


def test_what_a_retry_read_is_not_called_changed(case: Case, evidence: Path, monkeypatch):
    from clew.intake.telling import Telling

    def vanish(_self: Telling, _items: int, _size: int) -> None:
        (evidence / NAMES[0]).unlink(missing_ok=True)

    with monkeypatch.context() as patched:
        patched.setattr(Telling, "listed", vanish)
        assert not intake(case, path=evidence, label="F", options=ONCE).complete
    (evidence / NAMES[0]).write_bytes(b"is back")
    assert intake(case, path=evidence, label="F", options=RETRY).complete
    assert intake(case, path=evidence, label="F", options=ONCE).complete
