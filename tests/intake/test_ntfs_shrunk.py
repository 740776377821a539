"""Directories of NTFS that had many names once: what stands in blocks that their index gave up is live no more."""

from pathlib import Path

import pytest
from cases import sha256
from ntfs_volume import blank, written
from test_volumes import take

from clew.core import held
from clew.intake.disk import ntfs
from clew.intake.disk.image import FileSystem
from clew.intake.reading import find
from clew.intake.sources import _listed
from clew.intake.sources.rawdisk import PLUGIN

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


def test_an_index_that_cannot_be_read_gives_nothing_up():
    class Lost:
        def open_meta(self, inode: int) -> None:
            raise OSError("no record")

    opened = FileSystem.__new__(FileSystem)
    opened.fs = Lost()
    assert not ntfs.gave_up(opened, 5)
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
    assert list(disk.items(part, "", lambda _: iter(()), ask))
    disk.close()
    assert asked["walk"] == part.detail["length"] >= 8 << 20
    assert _listed.patience({"file_system": "NTFS", "length": 1 << 50}) == _listed.SLOW_DIRECTORY
    assert _listed.patience({"file_system": "ext", "length": 1 << 50}) == 0  # a reader that hangs is ended sooner
