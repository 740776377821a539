"""Space that no file system holds, though it lies in a partition or a volume: it is carved, and accounted for."""

import random
import struct

import pytest
from cases import sha256
from hypothesis import given
from hypothesis import strategies as st
from lvm_volume import EXTENT, FIRST, physical
from recovery import photographs
from test_volumes import fat, take

from clew.intake.disk import apfs, lvm
from clew.intake.sources import _said
from container_files import tool

MIB = 1 << 20
BEHIND = "carving behind a file system"
MAKERS = [("fat", "mkfs.fat"), ("ext4", "mkfs.ext4", "-q"), ("ntfs", "mkfs.ntfs", "-q", "-F", "-Q")]


@pytest.fixture(scope="module")
def picture() -> bytes:
    return photographs()["q01.png"]


def behind(summary) -> list[tuple[int, int]]:
    """Where the account says that space behind a file system was searched."""
    return [(part["offset"], part["length"]) for part in summary.account.searched if part["kind"] == BEHIND]


def test_space_behind_a_file_system_is_carved_in_an_image_a_partition_and_a_logical_volume(tmp_path, picture):
    volume = fat(tmp_path, "ONE.TXT") + bytes(MIB) + picture.ljust(MIB, b"\0")
    whole, partition, logical = (tmp_path / name for name in ("whole.img", "gpt.img", "lvm.img"))
    whole.write_bytes(volume)
    partition.write_bytes(bytes(8 * MIB))
    tool("sgdisk", "-a", "1", "-n", "1:2048:8191", partition)
    data = bytearray(partition.read_bytes())
    data[MIB : 4 * MIB] = volume
    partition.write_bytes(data)
    data = physical(60, {"data": [(5, 3 * MIB // EXTENT, "pv0")]})
    data[FIRST + 5 * EXTENT : FIRST + 5 * EXTENT + 3 * MIB] = volume
    logical.write_bytes(data)
    for image, first in ((whole, MIB), (partition, 2 * MIB), (logical, MIB)):
        found, summary = take(tmp_path / image.stem, image)
        assert sha256(picture) in {item["sha256"] for item in found.values()}, image
        ((offset, length),) = behind(summary)
        assert first <= offset <= first + 4096, image
        assert offset + length == first + 2 * MIB, image
        assert f"{length:,} bytes searched" in summary.words()


def test_noise_behind_a_file_system_is_said_to_be(tmp_path):
    noise = random.Random(7).randbytes(3 * MIB)
    for name, *command in MAKERS:
        image = tmp_path / f"{name}.img"
        image.write_bytes(bytes(4 * MIB + 3 * 512))
        tool(*command, image)
        image.write_bytes(image.read_bytes() + noise)
        _, summary = take(tmp_path / name, image)
        assert "high entropy, unexplained: a hidden or encrypted volume" in summary.words(), name
        assert behind(summary) == [(4 * MIB + 3 * 512, 3 * MIB)], name
        assert not summary.account.complete


def test_what_rounding_leaves_is_no_gap_unless_something_stands_in_it(tmp_path):
    for name, *command in MAKERS:
        image = tmp_path / f"{name}.img"
        image.write_bytes(bytes(4 * MIB + 3 * 512))
        tool(*command, image)
        _, summary = take(tmp_path / name, image)
        assert not behind(summary), name
        assert summary.account.complete
    data = bytearray((tmp_path / "ext4.img").read_bytes())
    data[-1] = 1
    (tmp_path / "ext4.img").write_bytes(data)
    _, summary = take(tmp_path / "again", tmp_path / "ext4.img")
    assert behind(summary) == [(4 * MIB + 1024, 512)]


def test_a_table_that_tells_of_fewer_clusters_than_the_volume_has_room_for(tmp_path, picture):
    """The boot sector's size of the volume is no proof that its books tell of all of it."""
    image = tmp_path / "fat.img"
    image.write_bytes(bytes(8 * MIB))
    tool("mkfs.fat", "-F", "16", "-s", "1", "-f", "1", "-R", "1", image)
    data = bytearray(image.read_bytes())
    size = struct.unpack_from("<H", data, 22)[0]
    told = 20  # sectors of the table: 20 * 256 entries, the first two of them no clusters'
    struct.pack_into("<H", data, 14, 1 + size - told)
    struct.pack_into("<H", data, 22, told)
    data[512:1024], data[512 * (1 + size - told) : 512 * (2 + size - told)] = bytes(512), data[512:1024]
    end = 512 * (1 + size + 32 + told * 256 - 2)
    data[end : end + len(picture)] = picture
    image.write_bytes(data)
    found, summary = take(tmp_path, image)
    assert [item["sha256"] for item in found.values()] == [sha256(picture)]
    assert behind(summary) == [(end, len(data) - end)], summary.words()


def test_how_far_a_container_of_apfs_reaches_is_what_it_says():
    assert apfs.size(bytes(32) + b"NXSB" + struct.pack("<IQ", 4096, 1000)) == 4_096_000


# ---- LVM


def test_extents_of_no_logical_volume_that_is_read_are_carved(tmp_path, picture):
    volume = fat(tmp_path, "ONE.TXT")
    each = len(volume) // EXTENT
    data = physical(60, {"data": [(5, each, "pv0")], "away": [(40, 1, "pv0"), (0, 1, "pv1")]})
    data[FIRST + 5 * EXTENT : FIRST + (5 + each) * EXTENT] = volume
    free, unread = FIRST + 30 * EXTENT, FIRST + 40 * EXTENT
    data[free : free + len(picture)] = picture
    data[unread : unread + 8] = b"GIF89a  "
    image = tmp_path / "lvm.img"
    image.write_bytes(data)
    found, summary = take(tmp_path, image)
    assert {sha256(picture), sha256(b"ONE.TXT")} <= {item["sha256"] for item in found.values()}
    outside = [(part["offset"], part["length"]) for part in summary.account.searched if "logical" in part["kind"]]
    end = FIRST + (5 + each) * EXTENT
    assert outside == [(0, FIRST + 5 * EXTENT), (end, len(data) - end)]
    assert ["away lies in part" in part["missing"] for part in summary.account.parts_unreadable] == [True]


def test_a_physical_volume_that_is_all_read_leaves_nothing_unread(tmp_path):
    volume = fat(tmp_path, "ONE.TXT")
    data = physical(len(volume) // EXTENT, {"data": [(0, len(volume) // EXTENT, "pv0")]})
    data[FIRST:] = volume
    image = tmp_path / "lvm.img"
    image.write_bytes(data)
    _, summary = take(tmp_path, image)
    assert summary.account.complete, summary.words()
    assert [part["length"] for part in summary.account.searched if "logical" in part["kind"]] == [FIRST]


segments = st.lists(st.tuples(st.integers(0, 60), st.integers(1, 12)), max_size=8)


@given(segments, st.integers(0, 30), st.integers(1, 40))
def test_what_no_segment_holds(held, offset, length):
    left = lvm._left([lvm.Segment(size, at) for at, size in held], offset, length)
    slow = set(range(offset, offset + length)) - {place for at, size in held for place in range(at, at + size)}
    assert {place for at, size in left for place in range(at, at + size)} == slow
    assert sum(size for _, size in left) == len(slow)
    assert _said.left({"left": left}, offset, length) == left


def test_too_many_stretches_become_one_and_a_lie_costs_a_carving_of_all(monkeypatch):
    monkeypatch.setattr(lvm, "MOST_LEFT", 2)
    assert lvm._left([lvm.Segment(1, at) for at in (1, 3, 5, 7)], 0, 20) == [(0, 1), (2, 1), (4, 16)]
    for lie in ([[5, 20]], [[0, 5], [4, 2]], [[-1, 2]], [[0, 0]], "x", None):
        assert _said.left({"left": lie}, 0, 20) == [(0, 20)]


# ---- a worker that lies


def test_a_worker_that_says_nothing_of_how_far_a_file_system_reaches_costs_a_carving_of_all():
    for said in ({}, {"held_bytes": -1}, {"held_bytes": 101}, {"held_bytes": "1"}, None):
        assert _said.behind(said, 100) == 100
    assert _said.behind({"held_bytes": 90}, 100) == 10
