"""A directory whose beginning was wiped is no empty one: that what it held may not be seen is said."""

import struct
from pathlib import Path

import pytest
from cases import items
from test_disk_intake import OPTIONS, put, take, tool

from case_made import new_case
from clew.intake.disk.unsound import WIPED
from clew.intake.run import intake
from clew.intake.sources._carving import NAMELESS
from clew.model import ContentState, ItemState

BLOCK = 1024


def lost(found: dict[bytes, dict], path: bytes) -> str:
    """What is said of a directory."""
    item = found[path + b"/"]
    assert (item["state"], item["content_state"]) == (ItemState.UNREADABLE, ContentState.UNREADABLE)
    return item["detail"]


@pytest.fixture
def card(tmp_path: Path) -> Path:
    """FAT with a file in the directory D, one in that of its own, E, and the empty directory F."""
    image = tmp_path / "card.img"
    image.write_bytes(bytes(4 << 20))
    tool("mkfs.fat", "-F", "12", "-s", "4", image)
    tool("mmd", "-i", image, "::/D", "::/D/E", "::/F")
    put(image, "ONE.TXT", b"one" * 1000, "::/D/")
    put(image, "TWO.TXT", b"two" * 1000, "::/D/E/")
    return image


def wiped(image: Path, name: bytes, length: int, by: bytes = b"\0") -> None:
    """Writes over the directory that a file of that name is in, from its beginning."""
    data = bytearray(image.read_bytes())
    at = data.rindex(b".          \x10", 0, data.index(name))
    data[at : at + length] = by * length
    image.write_bytes(data)


def test_on_fat_directories_that_are_whole_are_not_in_doubt(card, tmp_path):
    found, summary = take(tmp_path, card)
    assert found.keys() == {b"D/ONE.TXT", b"D/E/TWO.TXT"}
    assert summary.complete
    assert NAMELESS not in summary.account.notes


def test_on_fat_a_wiped_directory_is_no_empty_one(card, tmp_path):
    wiped(card, b"ONE     TXT", 2048)
    found, summary = take(tmp_path, card)
    assert lost(found, b"D") == WIPED
    assert not summary.complete
    assert summary.account.notes[NAMELESS] == 5 * 2048, "of both files, and the directory E"


@pytest.mark.parametrize("by", [b"\xe5", b"x"])
def test_on_fat_what_is_left_of_a_directory_is_listed(card, tmp_path, by):
    wiped(card, b"TWO     TXT", 64, by)
    found, summary = take(tmp_path, card)
    assert lost(found, b"D/E") == WIPED
    assert found[b"D/E/TWO.TXT"]["state"] == ItemState.DONE
    assert not summary.complete


def test_on_fat_a_deleted_directory_is_one_that_may_have_been_written_over(card, tmp_path):
    wiped(card, b"TWO     TXT", 64)
    tool("mdel", "-i", card, "::/D/ONE.TXT")
    data = bytearray(card.read_bytes())
    data[data.index(b"E          \x10")] = 0xE5
    card.write_bytes(data)
    found, _ = take(tmp_path, card)
    assert not any(path.endswith(b"/") for path in found)


# ---- ext


def linux(tmp_path: Path, *options: str, files: int = 3) -> Path:
    """A volume with the directory d of so many files."""
    folder, image = tmp_path / "folder", tmp_path / "linux.img"
    (folder / "d").mkdir(parents=True)
    for number in range(files):
        (folder / "d" / f"a-file-of-a-long-name-{number:06}").write_bytes(b"%d" % number)
    image.write_bytes(bytes(16 << 20))
    tool("mke2fs", "-q", "-t", "ext4", "-b", BLOCK, "-N", 2 * files + 100, *options, "-d", folder, image)
    return image


def entry_at(data: bytes, number: int) -> int:
    """The block that names that file."""
    return data.index(b"a-file-of-a-long-name-%06d" % number) // BLOCK * BLOCK


@pytest.mark.parametrize("options", [("-O", "^metadata_csum"), (), ("-O", "inline_data"), ("-O", "^extent,^64bit")])
def test_on_ext_directories_that_are_whole_are_not_in_doubt(tmp_path, options):
    image = linux(tmp_path, *options, files=300)
    tool("e2fsck", "-fpD", image)  # an index of their names
    found, summary = take(tmp_path, image)
    assert sum(item["state"] == ItemState.DONE for item in found.values()) == 300
    assert not any(path.endswith(b"/") for path in found)
    assert summary.complete


def test_on_ext_a_wiped_directory_is_no_empty_one(tmp_path):
    image = linux(tmp_path)
    data = bytearray(image.read_bytes())
    at = entry_at(data, 0)
    data[at : at + BLOCK] = bytes(BLOCK)
    image.write_bytes(data)
    found, summary = take(tmp_path, image)
    assert lost(found, b"d") == WIPED
    assert {item["name_state"] for path, item in found.items() if path != b"d/"} == {"unattached"}
    assert not summary.complete


@pytest.mark.parametrize("by", [b"\0", b"\xff", b"x"])
def test_on_ext_a_block_in_the_middle_is_counted(tmp_path, by):
    image = linux(tmp_path, files=300)
    data = bytearray(image.read_bytes())
    at = entry_at(data, 150)
    data[at : at + BLOCK] = by * BLOCK
    image.write_bytes(data)
    case = new_case(tmp_path / "case")
    intake(case, path=image, label="D", workers=1, options=OPTIONS)
    assert lost(items(case), b"d").startswith("1 of its ")


def test_on_ext_the_root_directory_too(tmp_path):
    image = linux(tmp_path)
    data = bytearray(image.read_bytes())
    at = data.index(struct.pack("<IHBB", 2, 12, 1, 2) + b".\0\0\0")
    data[at : at + BLOCK] = bytes(BLOCK)
    image.write_bytes(data)
    found, summary = take(tmp_path, image)
    assert lost(found, b"") == WIPED
    assert not summary.complete
