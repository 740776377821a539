"""Directories of NTFS that had many names once: what stands in blocks that their index gave up is live no more."""

import os
from pathlib import Path

import pytest
from cases import sha256
from ntfs_volume import blank, written
from test_volumes import take

from clew.core import held
from clew.intake.disk import claims, ntfs
from clew.intake.disk.image import FileSystem, file_system
from clew.intake.reading import find
from clew.intake.sources import _listed
from clew.intake.sources.rawdisk import CONTAINER, PLUGIN

MANY = 120  # names of a directory, for several blocks of its index
NAMES = [f"IMG {number:03d} of a holiday at the sea.jpg" for number in range(MANY)]


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    """A folder whose files but the last were moved, and one whose files but the last were deleted."""
    path = blank(tmp_path / "disk.img")
    with written(path) as new:
        for folder in ("/from", "/to", "/gone"):
            new.create(folder, folder=True)
        for name in NAMES:
            new.create(f"/from/{name}", name.encode())
            new.create(f"/gone/{name}", b"gone " + name.encode())
        for name in NAMES[:-1]:
            new.link(f"/from/{name}", "/to", name)
            new.delete(f"/from/{name}")
            new.delete(f"/gone/{name}")
        for number in range(40):  # so many that they do not fit the file's record
            new.link(f"/gone/{NAMES[-1]}", "/gone", f"link {number:02d} with a name that is long enough")
    return path


def test_names_of_files_that_were_moved_or_deleted_are_not_live(volume, tmp_path):
    found, summary = take(tmp_path, volume)
    live = {path.decode() for path, item in found.items() if item["name_state"] == "live"}
    links = {f"gone/link {number:02d} with a name that is long enough" for number in range(40)}
    assert live == {f"to/{name}" for name in NAMES[:-1]} | {f"from/{NAMES[-1]}", f"gone/{NAMES[-1]}"} | links
    for name in NAMES[:-1]:
        assert found[b"to/" + name.encode()]["sha256"] == sha256(name.encode())
        assert found[b"gone/" + name.encode()]["name_state"] == "deleted"
    assert "they agree" in summary.words()


def test_an_earlier_name_of_a_file_is_not_said_to_be_anothers(tmp_path):
    """Of files that were renamed, some of which were deleted then, and whose record some others have by now."""
    path, renamed = blank(tmp_path / "disk.img"), NAMES[:60]
    with written(path) as new:
        for folder in ("/from", "/few", "/kept"):
            new.create(folder, folder=True)
        for name in renamed:
            new.create(f"/from/{name}", name.encode())
        for number, name in enumerate(renamed):
            new.link(f"/from/{name}", "/few" if number % 4 == 0 else "/kept", f"{number:02d}")
            new.delete(f"/from/{name}")
        for number in range(0, 60, 4):
            new.delete(f"/few/{number:02d}")
        for number in range(7):
            new.create(f"/another {number}")
    found, summary = take(tmp_path, path)
    said = set()
    for number, name in enumerate(renamed):
        new_name = f"few/{number:02d}" if number % 4 == 0 else f"kept/{number:02d}"
        now = found.get(new_name.encode(), {"name_state": "given away"})["name_state"]
        if (old := found.get(b"from/" + name.encode())) is not None:
            said.add((now, old["name_state"], old["state"], old["detail"]))
    assert said == {
        ("live", "deleted", "skipped", claims.EARLIER),
        ("deleted", "deleted", "skipped", claims.EARLIER),
        ("given away", "reallocated", "unreadable", claims.GIVEN_AWAY),
    }
    assert "they agree" in summary.words()


def test_a_name_of_more_than_256_bytes_is_listed_once(tmp_path):
    """The Sleuth Kit tells it twice, the second time cut; a deleted one it tells cut alone, and its record whole."""
    path, gone = blank(tmp_path / "disk.img"), "\u0436" * 130
    with written(path) as new:
        new.create("/folder", folder=True)
        for name in (LONG := ("\u4e2d" * 255, "\u0436" * 128 + "x", "\u0436" * 127 + "yz")):
            new.create(f"/folder/{name}", b"content")
        new.create(f"/folder/{gone}", b"deleted")
        new.delete(f"/folder/{gone}")
    found, summary = take(tmp_path, path)
    said = {name.decode().removeprefix("folder/"): item["name_state"] for name, item in found.items()}
    assert said == {**dict.fromkeys(LONG, "live"), gone: "deleted"}
    assert "they agree" in summary.words()


def test_only_what_such_blocks_may_name_is_held_against_its_record(volume, monkeypatch):
    """A file more in a directory that shrank once costs no more than in any other."""
    monkeypatch.setattr(held, "descriptors", (descriptor := os.open(volume, os.O_RDONLY),))
    size = volume.stat().st_size
    opened = file_system({"container": CONTAINER, "offset": 0, "length": size, "lv": None})
    at = {name: int(opened.fs.open_dir(path=name).info.fs_file.meta.addr) for name in ("/from", "/to", "/gone")}
    moved = {int(file.info.name.meta_addr) for file in opened.fs.open_dir(path="/to")} - {at["/to"], ntfs.ROOT}
    given_up = ntfs.given_up(opened, at["/from"])
    assert len([record for record in moved if record in given_up]) > MANY // 4
    assert not any(record in ntfs.given_up(opened, at["/to"]) for record in moved)
    assert 1_000_000 not in given_up
    monkeypatch.setattr(ntfs, "MOST_GIVEN_UP", 0)
    assert 1_000_000 in ntfs.given_up(opened, at["/from"])  # too many to look into: all may be named there
    os.close(descriptor)


def test_an_index_that_cannot_be_read_gives_nothing_up():
    class Lost:
        def open_meta(self, inode: int) -> None:
            raise OSError("no record")

    opened = FileSystem.__new__(FileSystem)
    opened.fs = Lost()
    assert 64 not in ntfs.given_up(opened, 5)
    assert not ntfs.left_behind(opened, 5, (64, 1, b"name"))


def test_a_directory_of_very_many_names_gets_its_time(tmp_path, monkeypatch):
    """The Sleuth Kit's goes with the square of the stale names: 150,000 files in one directory were lost to the limit
    of 30 seconds.
    """
    image, asked = blank(tmp_path / "disk.img"), {}

    def ask(entry, payload, fds, size):
        asked[entry.rpartition(":")[2]] = size
        return find(entry)(payload, list(fds)).value

    disk = PLUGIN.open(image)
    monkeypatch.setattr(held, "descriptors", tuple(disk.held))
    part = next(each for each in disk.parts(ask) if each.name.endswith("/walk"))
    assert list(disk.items(part, "", lambda _, make: make(iter(())), ask))
    disk.close()
    assert asked["walk"] == part.detail["length"] >= 8 << 20
    assert _listed.patience({"file_system": "NTFS", "length": 1 << 50}) == _listed.SLOW_DIRECTORY
    assert _listed.patience({"file_system": "ext", "length": 1 << 50}) == 0  # a reader that hangs is ended sooner
