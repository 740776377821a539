"""A folder is known by its file system, else by half of its files: two disks at one path are never taken for one."""

import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from cases import items

from case_made import new_case
from clew.core.case import Case
from clew.core.errors import Refused
from clew.intake import custody, mounts
from clew.intake.options import Options
from clew.intake.run import intake

PLAIN = Options(workers=1, extractors=())
RETRY = Options(workers=1, extractors=(), retry=True)
MOVED = Options(workers=1, extractors=(), moved=True)
FIRST = {"kind": "fuseblk", "uuid": "01D9AAAAAAAAAAAA", "inode": 5}
SECOND = {"kind": "fuseblk", "uuid": "01D9BBBBBBBBBBBB", "inode": 5}
WINDOWS = [f"Windows/{number}.dll" for number in range(6)]


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return new_case(tmp_path / "case")


@pytest.fixture
def lies(monkeypatch: pytest.MonkeyPatch):
    """Sets what the file system is said to be known by."""

    def on(known: dict[str, Any]) -> None:
        monkeypatch.setattr(mounts, "lies_on", lambda _path: known)

    on({})
    return on


def disk(root: Path, user: str, others: int) -> Path:
    """What Windows brings, alike on each, and a user's own files."""
    for name in [*WINDOWS, *(f"Users/{user}/{number}.jpg" for number in range(others))]:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(name.encode())
    return root


def swapped(root: Path, *, others: int) -> Path:
    """Another disk lies there now; gives where the first one is."""
    root.rename(away := root.with_name("store"))
    disk(root, "b", others)
    return away


@pytest.mark.parametrize("options", [PLAIN, RETRY], ids=["again", "retry"])
@pytest.mark.parametrize("known", [True, False], ids=["known", "unknown"])
def test_another_disk_at_the_same_path_is_refused(case, tmp_path, lies, options, known):
    root = disk(tmp_path / "mnt", "a", 7)
    lies(FIRST if known else {})
    ended = intake(case, path=root, label="F", options=PLAIN)
    before = items(case)
    away = swapped(root, others=7)
    lies(SECOND if known else {})
    said = "another file system, fuseblk 01D9BBBBBBBBBBBB, and was taken in from fuseblk 01D9AAAAAAAAAAAA"
    with pytest.raises(Refused, match=said if known else "of 13 files from all over its listing, 6 lie there") as no:
        intake(case, path=root, label="F", options=options)
    assert all(word in no.value.hint for word in ("mount", "another --label", "--moved"))
    assert items(case) == before
    shutil.rmtree(root)
    away.rename(root)
    lies(FIRST if known else {})
    again = intake(case, path=root, label="F", options=options)
    assert (again.exhibit, again.complete) == (ended.exhibit, True)


def test_a_copy_on_another_file_system_goes_on_where_that_is_said(case, tmp_path, lies):
    root = disk(tmp_path / "mnt", "a", 2)
    lies(FIRST)
    intake(case, path=root, label="F", options=PLAIN)
    lies(SECOND)
    for name in WINDOWS:
        os.utime(root / name, (1, 1))  # as of a copy
    with pytest.raises(Refused):
        intake(case, path=root, label="F", options=PLAIN)
    for options in (MOVED, MOVED, PLAIN):
        assert intake(case, path=root, label="F", options=options).complete
    told = case.read().execute("SELECT count(*) FROM ledger WHERE line LIKE '%exhibit.moved%'").fetchone()[0]
    assert told == 1
    (root / WINDOWS[3]).unlink()
    lies(FIRST)
    with pytest.raises(Refused, match="another file system"):
        intake(case, path=root, label="F", options=PLAIN)
    with pytest.raises(Refused, match=r"file/Windows/3\.dll"):
        intake(case, path=root, label="F", options=MOVED)


def test_a_folder_that_lies_elsewhere_is_known_by_where_it_lies_now(case, tmp_path, lies):
    root = disk(tmp_path / "mnt", "a", 2)
    lies(FIRST)
    intake(case, path=root, label="F", options=PLAIN)
    root.rename(there := tmp_path / "there")
    lies({})  # of a network share, nothing is known
    assert intake(case, path=there, label="F", options=MOVED).complete
    lies(SECOND)
    assert intake(case, path=there, label="F", options=PLAIN).complete
    lies(FIRST)
    with pytest.raises(Refused, match="another file system"):
        intake(case, path=there, label="F", options=PLAIN)


def test_a_folder_of_an_older_case_is_known_from_its_next_run_on(case, tmp_path, lies):
    root = disk(tmp_path / "mnt", "a", 2)
    intake(case, path=root, label="F", options=PLAIN)
    lies(FIRST)
    intake(case, path=root, label="F", options=PLAIN)
    held = custody.find(case, "F")
    assert held is not None
    assert held.acquisition == {"lies_on": FIRST}
    lies(SECOND)
    with pytest.raises(Refused, match="another file system"):
        intake(case, path=root, label="F", options=PLAIN)


def test_another_directory_of_the_same_file_system_is_held_against_the_files(case, tmp_path, lies):
    root = disk(tmp_path / "mnt", "a", 7)
    lies(FIRST)
    intake(case, path=root, label="F", options=PLAIN)
    swapped(root, others=7)
    lies({**FIRST, "inode": 77})
    with pytest.raises(Refused, match="of 13 files from all over its listing, 6 lie there"):
        intake(case, path=root, label="F", options=PLAIN)


def test_a_disk_that_was_not_mounted_at_first_is_not_another_one(case, tmp_path, lies):
    """What was there is an empty directory of this machine's own disk."""
    (root := tmp_path / "mnt").mkdir()
    lies({"kind": "ext4", "uuid": "3f", "inode": 77})
    assert not intake(case, path=root, label="F", options=PLAIN).complete
    disk(root, "a", 2)
    lies(FIRST)
    assert intake(case, path=root, label="F", options=RETRY).account.done == 8
    lies(SECOND)
    with pytest.raises(Refused, match="and was taken in from fuseblk 01D9AAAAAAAAAAAA"):
        intake(case, path=root, label="F", options=RETRY)
    assert not case.read().execute("SELECT 1 FROM ledger WHERE line LIKE '%exhibit.moved%'").fetchone()


@pytest.mark.parametrize(("files", "change"), [(1, 1), (2, 1), (5, 2)])
def test_a_folder_that_is_written_to_is_let_in(case, tmp_path, lies, files, change):
    root = tmp_path / "live"
    root.mkdir()
    for number in range(files):
        (root / f"{number}.log").write_bytes(b"line\n")
    assert intake(case, path=root, label="F", options=PLAIN).complete
    for number in range(change):
        (root / f"{number}.log").write_bytes(b"line\nline\n")
    ended = intake(case, path=root, label="F", options=PLAIN)
    assert f"{change} files were written to since they were listed" in ended.words()


@pytest.fixture
def mount(tmp_path, monkeypatch):
    """Has the folder lie on a mount of a kind, whose device has a link by that UUID if one is given."""
    (tmp_path / "by-uuid").mkdir()
    (tmp_path / "a b").mkdir()
    device = tmp_path.stat().st_dev
    mine = device if os.major(device) else Path("/dev/null").stat().st_rdev

    def made(kind: str, uuid: str | None, source: str = "/dev/null") -> Path:
        number, there = f"{os.major(device)}:{os.minor(device)}", str(tmp_path / "a b").replace(" ", "\\040")
        lines = ["22 1 0:0 / / rw - ext4 /dev/other rw", f"36 22 {number} / {there} ro master:1 - {kind} {source} ro"]
        (tmp_path / "mountinfo").write_text("\n".join(lines))
        monkeypatch.setattr(mounts, "MOUNTS", tmp_path / "mountinfo")
        monkeypatch.setattr(mounts, "BY_UUID", tmp_path / "by-uuid")
        for name in ("1234-ABCD", *filter(None, [uuid])):
            (tmp_path / "by-uuid" / name).symlink_to("/dev/null" if name == uuid else "/dev/zero")
        real = mounts._number
        monkeypatch.setattr(mounts, "_number", lambda node: mine if "by-uuid" in node and uuid in node else real(node))
        return tmp_path / "a b"

    return made


def test_a_file_system_is_known_by_the_uuid_of_its_device(mount):
    there = mount("btrfs", "6d2c-uuid")
    assert mounts.lies_on(there) == {"kind": "btrfs", "inode": there.stat().st_ino, "uuid": "6d2c-uuid"}


def test_what_the_kernel_says_of_it_is_taken_where_it_is_its_own(mount, monkeypatch):
    there = mount("ntfs3", "none", source="tmpfs")
    (there.parent / "by-uuid" / "none").unlink()
    monkeypatch.setattr(os, "statvfs", lambda _path: os.statvfs_result([1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0x1D9AB]))
    assert mounts.lies_on(there)["fsid"] == "000000000001d9ab"
    (there.parent / "mountinfo").write_text((there.parent / "mountinfo").read_text().replace("ntfs3", "vfat"))
    assert mounts.lies_on(there) == {}


@pytest.mark.parametrize("text", [None, "", "a b c\n", "36 22 x:y / / ro - ext4 /dev/sda ro\n"])
def test_where_the_mounts_make_no_sense_nothing_is_known(tmp_path, monkeypatch, text):
    if text is not None:
        (tmp_path / "mountinfo").write_text(text)
    monkeypatch.setattr(mounts, "MOUNTS", tmp_path / "mountinfo")
    assert mounts.lies_on(tmp_path) == {}


def test_two_are_told_apart_by_what_is_known_of_both():
    fsid = {"kind": "ntfs3", "fsid": "1", "inode": 5}
    assert mounts.another(FIRST, fsid) is None
    assert mounts.another({}, FIRST) is None
    assert mounts.another({**FIRST, "fsid": "2"}, fsid) is True
    assert mounts.another({**FIRST, "fsid": "2"}, FIRST) is False
