"""One disk of a RAID: a file system that begins on it opens, and is listed; nothing of it is taken for complete."""

import random
import struct
from pathlib import Path

import pytest
from cases import sha256
from hypothesis import given
from hypothesis import strategies as st
from lvm_volume import EXTENT, FIRST, physical
from test_volumes import take

from clew.intake.disk import raid
from clew.intake.sources import _said
from clew.model import Reason
from container_files import tool

MIB = 1 << 20
CHUNK = 64 << 10
DATA = random.Random("a file over several stripes").randbytes(300_000)


class Bytes:
    """A ByteSource in memory."""

    def __init__(self, data: bytes) -> None:
        self.data, self.size = data, len(data)
        self.bad: list[tuple[int, int]] = []

    def read(self, offset: int, length: int) -> bytes:
        return self.data[max(offset, 0) : max(offset + length, 0)]


def md(disk: bytearray, level: int, disks: int, layout: int = 0, at: int = 0) -> None:
    """The superblock of md 1.0 of a device that begins at byte `at` and ends with the disk."""
    sector = (len(disk) - at) // 512 - 16 & ~7
    struct.pack_into("<II", disk, at + sector * 512, 0xA92B4EFC, 1)
    struct.pack_into("<iIQII", disk, at + sector * 512 + 72, level, layout, sector, CHUNK // 512, disks)
    struct.pack_into("<Q", disk, at + sector * 512 + 144, sector)


def old_md(disk: bytearray, level: int, disks: int, order: str = "<", device: tuple[int, int] = (8, 16)) -> None:
    """That of md 0.90, of a device with that number (/dev/sdb)."""
    at = len(disk) // CHUNK * CHUNK - CHUNK
    struct.pack_into(f"{order}III", disk, at, 0xA92B4EFC, 0, 90)
    struct.pack_into(f"{order}iIII", disk, at + 28, level, at // 1024, disks, disks)
    struct.pack_into(f"{order}II", disk, at + 3972, *device)


def intel(disk: bytearray, level: int, disks: int, volumes: int = 1) -> None:
    """What Intel's firmware leaves in the last sector but one."""
    at = len(disk) - 1024
    disk[at : at + 32] = b"Intel Raid ISM Cfg Sig. 1.0.00\0\0"
    disk[at + 56], disk[at + 57] = disks, volumes
    disk[at + 216 + 48 * disks + 127 : at + 216 + 48 * disks + 129] = bytes((level, disks))


def first_disk(folder: Path) -> bytearray:
    """The first of two disks, of a RAID 0 on which there is a FAT volume."""
    (folder / "FILE.BIN").write_bytes(DATA)
    whole = folder / "whole.fat"
    whole.write_bytes(bytes(4 * MIB))
    tool("mkfs.fat", "-s", "4", whole)
    tool("mcopy", "-i", whole, folder / "FILE.BIN", "::/")
    data = whole.read_bytes()
    disk = bytearray(b"".join(data[at : at + CHUNK] for at in range(0, len(data), 2 * CHUNK)))
    return disk + bytes(2 * CHUNK)


@pytest.mark.parametrize("left", [lambda disk: md(disk, 0, 2), lambda disk: intel(disk, 0, 2)])
def test_nothing_that_one_disk_of_a_raid_shows_is_complete(tmp_path, left):
    disk = first_disk(tmp_path)
    left(disk)
    (tmp_path / "disk.img").write_bytes(disk)
    found, summary = take(tmp_path, tmp_path / "disk.img")
    item = found[b"FILE.BIN"]
    assert item["sha256"] != sha256(DATA)  # every other stripe of it is on the other disk
    assert (item["name_state"], item["content_state"]) == ("live", "overwritten possible")
    assert "nothing of it is taken for complete; assemble the array" in summary.words()
    assert not summary.complete


def test_a_logical_volume_on_one_disk_of_a_raid_is_not_complete_either(tmp_path):
    inside = bytes(first_disk(tmp_path))
    disk = physical(len(inside) // EXTENT, {"home": [(0, len(inside) // EXTENT, "pv0")]})
    disk[FIRST : FIRST + len(inside)] = inside
    disk += bytes(2 * CHUNK)
    md(disk, 5, 3)
    (tmp_path / "disk.img").write_bytes(disk)
    found, summary = take(tmp_path, tmp_path / "disk.img")
    item = found[b"FILE.BIN"]
    assert item["ref"].startswith("lv@0.0/")
    assert (item["name_state"], item["content_state"]) == ("live", "overwritten possible")
    assert summary.words().count("this is one disk of a Linux RAID 5 of 3 disks") == 2  # of the disk and of the volume


def test_a_mirror_is_whole(tmp_path):
    (tmp_path / "FILE.BIN").write_bytes(DATA)
    image = tmp_path / "disk.img"
    image.write_bytes(bytes(4 * MIB))
    tool("mkfs.fat", "-s", "4", image)
    tool("mcopy", "-i", image, tmp_path / "FILE.BIN", "::/")
    disk = bytearray(image.read_bytes() + bytes(2 * CHUNK))
    md(disk, 1, 2)
    image.write_bytes(disk)
    found, summary = take(tmp_path, image)
    assert (found[b"FILE.BIN"]["sha256"], found[b"FILE.BIN"]["content_state"]) == (sha256(DATA), "complete")
    assert "RAID" not in summary.words()


@pytest.mark.parametrize(
    ("level", "disks", "layout", "several"),
    [
        (0, 2, 0, True),
        (0, 1, 0, False),
        (1, 4, 0, False),
        (-1, 3, 0, False),  # one disk behind the other
        (5, 3, 2, True),
        (5, 2, 2, False),  # the parity of one stripe is that stripe
        (6, 4, 2, True),
        (10, 4, 0x102, True),
        (10, 2, 0x102, False),
    ],
)
def test_what_is_dealt_out_over_several_disks(level, disks, layout, several):
    for old in (False, True):
        disk = bytearray(MIB + 5 * 512)
        if old:
            old_md(disk, level, disks)
            struct.pack_into("<I", disk, len(disk) // CHUNK * CHUNK - CHUNK + 256, layout)
        else:
            md(disk, level, disks, layout)
        assert bool(raid.striped(Bytes(bytes(disk)), 0, len(disk))) is several


def test_the_old_one_of_a_big_endian_machine_and_of_controllers():
    disk = bytearray(MIB)
    old_md(disk, 5, 4, ">")
    assert raid.striped(Bytes(bytes(disk)), 0, MIB) == "a Linux RAID 5 of 4 disks"
    disk = bytearray(MIB)
    disk[-512:-508] = b"\xde\x11\xde\x11"
    assert "DDF" in raid.striped(Bytes(bytes(disk)), 0, MIB)


def test_what_stands_at_the_end_of_the_last_partition_says_nothing_of_the_first():
    disk = bytearray(3 * MIB)
    md(disk, 5, 3, at=2 * MIB)
    assert raid.striped(Bytes(bytes(disk)), 2 * MIB, MIB)
    assert not raid.striped(Bytes(bytes(disk)), MIB, MIB)
    md(disk := bytearray(3 * MIB), 5, 3)  # of the whole disk: whatever lies on it
    assert raid.striped(Bytes(bytes(disk)), MIB, MIB)


@pytest.mark.parametrize(
    ("device", "order", "of_all"),
    [((8, 19), "<", False), ((8, 3), ">", False), ((22, 67), "<", False), ((8, 16), "<", True), ((259, 3), "<", True)],
)
def test_the_old_one_does_not_say_where_its_device_begins_but_which_it_was(device, order, of_all):
    """The system of a NAS lies on a mirror before the stripes, and each of its disks has all of it."""
    disk = bytearray(3 * MIB)
    old_md(disk, 5, 4, order, device)
    struct.pack_into(f"{order}I", disk, 3 * MIB - CHUNK + 32, 960)  # KiB of the device, of 1 MiB
    assert raid.striped(Bytes(bytes(disk)), 2 * MIB, MIB) == raid.striped(Bytes(bytes(disk)), 0, 3 * MIB) != ""
    assert bool(raid.striped(Bytes(bytes(disk)), MIB, MIB)) is of_all


def test_intels_mirror_beside_stripes():
    for level, disks, volumes, several in (
        (0, 2, 1, True),
        (1, 2, 1, False),
        (1, 2, 2, True),
        (1, 4, 1, True),
        (0, 2, 0, False),
    ):
        disk = bytearray(MIB)
        intel(disk, level, disks, volumes)
        assert bool(raid.striped(Bytes(bytes(disk)), 0, MIB)) is several


@given(st.binary(min_size=512, max_size=4096), st.integers(0, MIB), st.integers(0, 2 * MIB))
def test_any_end_is_looked_at(end, offset, length):
    assert isinstance(raid.striped(Bytes(bytes(MIB - len(end)) + end), offset, length), str)


def test_a_worker_that_says_nonsense_is_told():
    assert _said.striped({}) is None
    broken = _said.striped({"striped": 7})
    assert broken is not None
    assert broken.reason is Reason.UNPARSABLE
