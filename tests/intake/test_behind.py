"""Space that no file system holds, though it lies in a partition or a volume: it is carved, and accounted for."""

import random
import re
import struct
from pathlib import Path

import pytest
import pytsk3
from cases import sha256
from exfat_image import File, make
from hypothesis import given
from hypothesis import strategies as st
from lvm_volume import EXTENT, FIRST, physical
from recovery import photographs
from test_volumes import Bytes, fat, take

from clew.intake.disk import apfs, lvm, signatures, volumes
from clew.intake.sources import _said
from container_files import tool

MIB = 1 << 20
BEHIND = "carving behind a file system"
MAKERS = [("fat", "mkfs.fat"), ("ext4", "mkfs.ext4", "-q"), ("ntfs", "mkfs.ntfs", "-q", "-F", "-Q")]


@pytest.fixture(scope="module")
def picture() -> bytes:
    return photographs()["q01.png"]


def partitions(image: Path, volumes: list[bytes]) -> list[int]:
    """Makes a disk with a partition for each volume, of its size, and tells where they begin."""
    data, starts, table = bytearray(MIB), [], []
    for volume in volumes:
        starts.append(len(data))
        table += ["-n", f"0:{len(data) // 512}:{(len(data) + len(volume)) // 512 - 1}"]
        data += volume + bytes(-len(volume) % MIB)
    image.write_bytes(data + bytes(MIB))
    tool("sgdisk", "-a", "1", *table, image)
    made = bytearray(image.read_bytes())
    made[MIB : len(data)] = data[MIB:]
    image.write_bytes(made)
    return starts


def behind(summary) -> list[tuple[int, int]]:
    """Where the account says that space behind a file system was searched."""
    return [(part["offset"], part["length"]) for part in summary.account.searched if part["kind"] == BEHIND]


def test_space_behind_a_file_system_is_carved_in_an_image_a_partition_and_a_logical_volume(tmp_path, picture):
    volume, other = (fat(tmp_path, name) + bytes(MIB) + picture.ljust(MIB, b"\0") for name in ("ONE.TXT", "TWO.TXT"))
    data = physical(60, {"data": [(5, 3 * MIB // EXTENT, "pv0")]})
    data[FIRST + 5 * EXTENT : FIRST + 5 * EXTENT + 3 * MIB] = other
    whole, disk = tmp_path / "whole.img", tmp_path / "disk.img"
    whole.write_bytes(volume)
    partition, _ = partitions(disk, [volume, bytes(data)])
    for image, begins in ((whole, [0]), (disk, [partition, 0])):  # of a logical volume, from its own first byte on
        found, summary = take(tmp_path / image.stem, image)
        assert [item["sha256"] for item in found.values()].count(sha256(picture)) == len(begins), image
        assert len(behind(summary)) == len(begins), image
        for (offset, length), begin in zip(behind(summary), begins, strict=True):
            assert begin + MIB <= offset <= begin + MIB + 4096, image
            assert offset + length == begin + 3 * MIB, image
            assert f"{length:,} bytes searched" in summary.words()


def test_a_gap_of_the_table_that_begins_where_that_behind_a_file_system_does_is_searched_too(tmp_path, picture):
    """The Sleuth Kit takes what lies behind the last partition for a gap, though the first one goes on there."""
    image, disk = tmp_path / "disk.img", bytearray(8 * MIB)
    disk[MIB : 2 * MIB] = fat(tmp_path, "ONE.TXT")
    ends = MIB + 5 * 512  # of the file system, with what rounding leaves behind it
    for number, (first, size) in enumerate(((MIB, 3 * MIB), (MIB + 512, ends - 512))):
        struct.pack_into("<8B2I", disk, 446 + 16 * number, 0, 0, 2, 0, 6, 0, 0, 0, first // 512, size // 512)
    disk[510:512] = b"\x55\xaa"
    hide(image, disk, 6 * MIB, picture)
    found, summary = take(tmp_path, image)
    assert behind(summary) == [(MIB + ends, 2 * MIB - 5 * 512)]
    outside = [part["offset"] for part in summary.account.searched if part["kind"] == "carving outside partitions"]
    assert MIB + ends in outside
    assert sha256(picture) in {item["sha256"] for item in found.values()}


@pytest.mark.parametrize("sizes", [(2 * MIB, 5 * MIB), (5 * MIB, 2 * MIB)], ids=["longer last", "longer first"])
def test_two_entries_of_the_table_that_begin_at_one_byte_are_one_partition_as_long_as_the_longer(
    tmp_path, picture, sizes
):
    image, disk = tmp_path / "disk.img", bytearray(8 * MIB)
    disk[MIB : 2 * MIB] = fat(tmp_path, "ONE.TXT")
    for number, size in enumerate(sizes):
        struct.pack_into("<8B2I", disk, 446 + 16 * number, 0, 0, 2, 0, 6, 0, 0, 0, MIB // 512, size // 512)
    disk[510:512] = b"\x55\xaa"
    hide(image, disk, 5 * MIB, picture)
    found, summary = take(tmp_path, image)
    assert [item["path"] for item in found.values()].count(b"ONE.TXT") == 1
    assert sha256(picture) in {item["sha256"] for item in found.values()}
    (rest,) = (part for part in summary.account.searched if part["kind"] == BEHIND)
    assert rest["offset"] + rest["length"] == 6 * MIB
    assert rest["table"].endswith("; another entry begins there too, 2,097,152 bytes long")


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


@pytest.mark.parametrize("between", [0, 512, 1536, 4096, 12 * 512])
def test_a_file_system_that_begins_with_zeros_is_found_behind_another_one(tmp_path, between):
    """What rounding leaves of FAT's last cluster is zeros, and so is how ext begins."""
    first, second = tmp_path / "first.img", tmp_path / "second.img"
    first.write_bytes(bytes(8 * MIB))
    tool("mkfs.fat", "-F", "12", "-s", "16", first)
    second.write_bytes(bytes(4 * MIB))
    tool("mkfs.ext4", "-q", second)
    (tmp_path / "disk.img").write_bytes(first.read_bytes() + bytes(between) + second.read_bytes())
    _, summary = take(tmp_path, tmp_path / "disk.img")
    found = {(part["file_system"], part["offset"]) for part in summary.account.searched if "file_system" in part}
    assert found == {("FAT", 0), ("ext", 8 * MIB + between)}


@pytest.mark.parametrize(
    ("at", "magic"), [(1080, b"\x53\xef"), (1024, b"H+"), (32769, b"CD001"), (4096, b"\xfc\x4e\x2b\xa9")]
)
def test_what_begins_with_zeros_is_told_by_its_magic_where_it_may_begin(at, magic):
    for place, most, found in ((0, 0, 0), (1024, 8192, 1024), (1024, 512, None), (1025, 8192, None)):
        data = bytes(place + at) + magic + bytes(1 << 16)
        assert signatures.begins_late(data, most) == found, place


def test_the_second_header_of_hfs_plus_is_no_volume_behind_it():
    """Where its last block is not whole, it lies behind what the books tell of."""
    own, other = (b"H+" + bytes(14) + made + bytes(492) for made in (b"\1\2\3\4", b"\1\2\3\5"))
    for header, begun in ((own, None), (other, 0)):
        disk = Bytes(bytes(1024) + own + bytes(MIB - 1536) + bytes(1024) + header + bytes(512))
        assert volumes._begun(disk, 0, MIB, 2048, 1024) == begun


def test_what_rounding_leaves_is_no_gap_unless_something_stands_in_it(tmp_path):
    for name, *command in MAKERS:
        image = tmp_path / f"{name}.img"
        image.write_bytes(bytes(4 * MIB + 3 * 512))
        tool(*command, image)
    disk = tmp_path / "disk.img"
    partitions(disk, [(tmp_path / f"{name}.img").read_bytes() for name, *_ in MAKERS])
    _, summary = take(tmp_path / "all", disk)
    assert {part.get("file_system") for part in summary.account.searched} == {"FAT", "ext", "NTFS", None}
    assert not behind(summary)
    assert summary.account.complete
    data = bytearray((tmp_path / "ext4.img").read_bytes())
    data[-1] = 1
    (tmp_path / "ext4.img").write_bytes(data)
    _, summary = take(tmp_path / "again", tmp_path / "ext4.img")
    assert behind(summary) == [(4 * MIB + 1024, 512)]


@pytest.mark.parametrize("command", [each[1:] for each in MAKERS], ids=[each[0] for each in MAKERS])
def test_a_file_system_that_is_larger_than_its_image_is_said_and_only_what_is_there_counts(tmp_path, command):
    image = tmp_path / "whole.img"
    image.write_bytes(bytes(16 * MIB))
    tool(*command, image)
    image.write_bytes(image.read_bytes()[: 9 * MIB])
    _, summary = take(tmp_path, image)
    said = [part["missing"] for part in summary.account.parts_unreadable if "is cut" in part["missing"]]
    lost = re.findall(r"goes on for ([\d,]+) bytes beyond the image's end", " ".join(said))
    assert [7 * MIB - 4096 <= int(each.replace(",", "")) <= 7 * MIB for each in lost] == [True], summary.words()
    assert 0 < summary.account.searched[0]["bytes"] < 9 * MIB
    assert not summary.account.complete


def test_a_file_system_that_is_larger_than_its_partition_says_that_others_may_write_there(tmp_path):
    (start,) = partitions(tmp_path / "disk.img", [fat(tmp_path, "ONE.TXT", 2 * MIB)[:MIB]])
    found, summary = take(tmp_path, tmp_path / "disk.img")
    (part,) = summary.account.parts_unreadable
    assert part["offset"] == start
    assert part["missing"].startswith("unknown: it goes on for 1,048,576 bytes beyond its partition")
    assert found[b"ONE.TXT"]["sha256"] == sha256(b"ONE.TXT")
    (free,) = (each for each in summary.account.searched if {"bytes", "file_system"} <= each.keys())
    assert free["bytes"] < MIB


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


def test_a_physical_volume_of_which_the_end_is_missing_says_so(tmp_path):
    image = tmp_path / "lvm.img"
    image.write_bytes(physical(40, {"data": [(0, 40, "pv0")]})[: FIRST + 30 * EXTENT])
    _, summary = take(tmp_path, image)
    assert f"it goes on for {10 * EXTENT:,} bytes beyond the image's end: the image is cut" in summary.words()


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


# ---- clusters that are marked as bad


def bad_on_fat(image: Path, picture: bytes) -> int:
    tool("mkfs.fat", "-F", "16", "-s", "4", image)
    data = bytearray(image.read_bytes())
    table = struct.unpack_from("<H", data, 14)[0] * 512
    first = table + 2 * struct.unpack_from("<H", data, 22)[0] * 512 + 512 * 32
    for cluster in range(1000, 1000 + -(-len(picture) // 2048)):
        struct.pack_into("<H", data, table + 2 * cluster, 0xFFF7)
    return hide(image, data, first + 998 * 2048, picture)


def bad_on_exfat(image: Path, picture: bytes) -> int:
    clusters = list(range(300, 300 + -(-len(picture) // 4096)))
    data = bytearray(make(image, [File("x", picture, clusters)]).read_bytes())  # for its bits in the bitmap
    fat, heap = (struct.unpack_from("<I", data, at)[0] * 512 for at in (80, 88))
    for cluster in clusters:
        struct.pack_into("<I", data, fat + 4 * cluster, 0xFFFFFFF7)
    entry = data.index(b"\x85\x02")
    data[entry : entry + 96] = bytes(96)
    return hide(image, data, heap + 298 * 4096, picture)


def bad_on_ext(image: Path, picture: bytes) -> int:
    listed = image.with_name("bad.txt")
    listed.write_text("".join(f"{block}\n" for block in range(3000, 3000 + -(-len(picture) // 1024))))
    tool("mkfs.ext4", "-q", "-b", "1024", "-l", listed, image)
    return hide(image, bytearray(image.read_bytes()), 3000 * 1024, picture)


def bad_on_ntfs(image: Path, picture: bytes) -> int:
    """The stream $Bad of $BadClus is one hole as large as the volume; here a run of clusters stands in it."""
    tool("mkfs.ntfs", "-q", "-F", "-Q", image)
    data = bytearray(image.read_bytes())
    table = struct.unpack_from("<Q", data, 48)[0] * 4096
    record = table + 8 * 1024
    stream = record + data[record : record + 1024].rindex(b"$\0B\0a\0d\0") - 64
    volume = struct.unpack_from("<Q", data, stream + 24)[0] + 1
    count = -(-len(picture) // 4096)
    runs = struct.pack("<BHBHHBHB", 0x02, 1500, 0x22, count, 1500, 0x02, volume - 1500 - count, 0)
    at = stream + struct.unpack_from("<H", data, stream + 32)[0]
    struct.pack_into("<I", data, stream + 4, -(-(at + len(runs) - stream) // 8) * 8)
    end = stream + struct.unpack_from("<I", data, stream + 4)[0]
    data[at : end + 8] = runs.ljust(end - at, b"\0") + b"\xff\xff\xff\xff" + bytes(4)
    struct.pack_into("<I", data, record + 24, end + 8 - record)
    image.write_bytes(data)
    books = pytsk3.FS_Info(pytsk3.Img_Info(str(image))).open_meta(inode=6)
    (run,) = next(list(each) for each in books if int(each.info.type) == 128)
    for cluster in range(1500, 1500 + count):
        data[run.addr * 4096 + cluster // 8] |= 1 << cluster % 8
    return hide(image, data, 1500 * 4096, picture)


def hide(image: Path, data: bytearray, at: int, picture: bytes) -> int:
    data[at : at + len(picture)] = picture
    image.write_bytes(data)
    return at


BAD = [(bad_on_fat, 2048), (bad_on_exfat, 4096), (bad_on_ext, 1024), (bad_on_ntfs, 4096)]


def test_what_is_marked_as_bad_is_said_and_carved(tmp_path, picture):
    places, volumes = [], []
    for make_bad, _ in BAD:
        (image := tmp_path / "volume.img").write_bytes(bytes(16 * MIB))
        places.append(make_bad(image, picture))
        volumes.append(image.read_bytes())
    starts = partitions(tmp_path / "disk.img", volumes)
    found, summary = take(tmp_path, tmp_path / "disk.img")
    carved = [part for part in summary.account.searched if part["kind"] == "carving of clusters marked as bad"]
    for (_, cluster), start, at, part in zip(BAD, starts, places, carved, strict=True):
        item = found[b"$Carved/%x.png" % (start + at)]
        assert (item["sha256"], item["content_state"]) == (sha256(picture), "complete")
        assert part["bytes"] // cluster - -(-len(picture) // cluster) in (0, 1)  # ext lists them in a block of its own
        assert part["offset"] == start
    told = re.findall(r"clusters marked as bad.*?([\d,]+) bytes searched", summary.words())
    assert told == [f"{part['bytes']:,}" for part in carved]


# ---- a worker that lies


def test_a_worker_that_says_nothing_of_how_far_a_file_system_reaches_costs_a_carving_of_all():
    for said in ({}, {"held_bytes": -1}, {"held_bytes": 101}, {"held_bytes": "1"}, None):
        assert _said.behind(said, 100) == 100
    assert _said.behind({"held_bytes": 90}, 100) == 10
    assert "made no sense" in _said.beyond({"cut": -1}).detail
    assert _said.beyond({"beyond": 0}) is None
    assert "made no sense" in _said.magic({"magic": ["nothing", 1]}).detail
