"""Partition tables beside each other, and file systems that none of them names: what is there is listed."""

import os
import struct
import zlib
from pathlib import Path

import pytest
from cases import sha256
from hypothesis import given
from hypothesis import strategies as st
from test_behind import MIB, partitions
from test_volumes import fat, take

from clew.intake.carving.view import without
from clew.intake.containers.raw import Raw
from clew.intake.disk import extended as extended_partition
from clew.intake.disk import gpt, tables
from clew.intake.sources import _disk, _said
from clew.model import NameState
from container_files import tool


def entry(disk: bytearray, number: int, first: int, size: int, kind: int = 7) -> None:
    """An entry of the MBR; in sectors."""
    struct.pack_into("<8B2I", disk, 446 + 16 * number, 0, 0, 0, 0, kind, 0, 0, 0, first, size)
    disk[510:512] = b"\x55\xaa"


def memory(data: bytes) -> int:
    """A descriptor of a file that has these bytes."""
    descriptor = os.memfd_create("disk")
    os.write(descriptor, data)
    return descriptor


def listed(folder: Path, disk: bytes) -> tuple[set[bytes], str]:
    """The names of live files, each of which must have its name as its content; and the account's words."""
    (folder / "disk.img").write_bytes(disk)
    found, summary = take(folder, folder / "disk.img")
    live = {path: item["sha256"] for path, item in found.items() if item["name_state"] == NameState.LIVE}
    assert live == {path: sha256(path) for path in live}
    assert not [path for path in found if path.startswith(b"$Carved")]
    return set(live), summary.words()


def two(folder: Path) -> bytearray:
    """A GPT that names the first of two FAT volumes, at 1 MiB; the other lies at 4 MiB."""
    partitions(folder / "disk.img", [fat(folder, "ONE.TXT")])
    disk = bytearray(8 * MIB)
    disk[: 2 * MIB] = (folder / "disk.img").read_bytes()[: 2 * MIB]
    disk[4 * MIB : 5 * MIB] = fat(folder, "TWO.TXT")
    return disk


def test_entries_of_a_hybrid_mbr_that_the_gpt_does_not_have_are_listed(tmp_path):
    disk = two(tmp_path)
    entry(disk, 1, 8192, 2048)
    names, words = listed(tmp_path, disk)
    assert names == {b"ONE.TXT", b"TWO.TXT"}
    assert words.count("carving of free space: FAT at byte 4,194,304, 1,048,576 bytes") == 1


def test_a_gpt_without_a_guard_in_the_mbr_is_listed_beside_it(tmp_path):
    disk = two(tmp_path)
    entry(disk, 0, 8192, 2048)
    assert listed(tmp_path, disk)[0] == {b"ONE.TXT", b"TWO.TXT"}


def test_a_guard_without_a_gpt_names_nothing_and_says_nothing_of_where_the_image_ends(tmp_path):
    """Windows has it guard 2 TiB, whatever the disk has."""
    disk = two(tmp_path)
    disk[512:1024] = bytes(512)
    entry(disk, 0, 1, 0xFFFFFFFF, 0xEE)
    names, words = listed(tmp_path, disk)
    assert names == {b"ONE.TXT"}
    assert tables.GUARDED in words
    assert "the image is cut" not in words


def test_what_the_second_gpt_alone_names_is_listed(tmp_path):
    """As both say where the other lies, each is found; The Sleuth Kit reads the first."""
    image = tmp_path / "gpt.img"
    disk = two(tmp_path)
    image.write_bytes(disk)
    tool("sgdisk", "-e", image)  # the second copy to the new end
    disk = bytearray(image.read_bytes())
    head = len(disk) - 512
    table = struct.unpack_from("<Q", disk, head + 72)[0] * 512
    struct.pack_into("<QQ", disk, table + 32, 8192, 8192 + 2047)
    struct.pack_into("<I", disk, head + 88, zlib.crc32(disk[table : table + 128 * 128]))
    struct.pack_into("<I", disk, head + 16, 0)
    struct.pack_into("<I", disk, head + 16, zlib.crc32(disk[head : head + 92]))
    names, words = listed(tmp_path, disk)
    assert names == {b"ONE.TXT", b"TWO.TXT"}
    assert "the two partition tables (GPT) name different partitions" in words


def test_a_label_of_bsd_hides_no_entry_of_the_mbr(tmp_path):
    disk = bytearray(8 * MIB)
    disk[2 * MIB : 3 * MIB], disk[4 * MIB : 5 * MIB] = fat(tmp_path, "ONE.TXT"), fat(tmp_path, "TWO.TXT")
    entry(disk, 0, 4096, 2048)
    for at in (0, 132):  # the label's magic, twice; then sizes and offsets of its partitions
        struct.pack_into("<I", disk, 512 + at, 0x82564557)
    struct.pack_into("<H", disk, 512 + 138, 8)
    struct.pack_into("<IIIBBH", disk, 512 + 148, 2048, 8192, 0, 7, 0, 0)
    assert listed(tmp_path, disk)[0] == {b"ONE.TXT", b"TWO.TXT"}


@pytest.mark.parametrize("oem", [b"mkfs.fat", b"MSDOS5.0"])
def test_a_file_system_in_whose_boot_sector_entries_stand_and_what_they_name_are_listed(tmp_path, oem):
    disk = bytearray(fat(tmp_path, "ONE.TXT", 8 * MIB))
    disk[3:11] = oem
    disk[5 * MIB : 6 * MIB] = fat(tmp_path, "TWO.TXT")
    entry(disk, 0, 5 * 2048, 2048)
    names, words = listed(tmp_path, disk)
    assert names == {b"ONE.TXT", b"TWO.TXT"}
    assert "it goes on for 3,145,728 bytes beyond its partition" in words


@pytest.mark.parametrize("first", [63, 2048])
def test_partitions_that_were_taken_out_of_the_table_are_listed(tmp_path, first):
    """The first one, with another behind it in the same gap; and one in the tail of a partition that is there."""
    disk = bytearray(12 * MIB)
    for at, name in ((first * 512, "ONE.TXT"), (6 * MIB, "TWO.TXT"), (9 * MIB, "TAIL.TXT")):
        disk[at : at + MIB] = fat(tmp_path, name)
    after = first * 512 + MIB
    disk[after : after + MIB] = fat(tmp_path, "NEXT.TXT")
    entry(disk, 0, 6 * 2048, 2 * 2048)
    entry(disk, 1, 8 * 2048, 512)
    disk[8 * MIB : 8 * MIB + 2048] = b"x" * 2048
    names, _ = listed(tmp_path, disk)
    assert names == {b"ONE.TXT", b"NEXT.TXT", b"TWO.TXT", b"TAIL.TXT"}


def test_a_disk_whose_table_names_nothing_is_asked_where_partitions_begin(tmp_path):
    disk = bytearray(4 * MIB)
    disk[MIB : 2 * MIB] = fat(tmp_path, "ONE.TXT")
    assert listed(tmp_path, disk)[0] == {b"ONE.TXT"}


def test_what_is_not_read_in_a_gap_is_named(tmp_path):
    """Windows keeps the head of a dynamic disk in its sector 6 (libldm; Linux, block/partitions/ldm.c)."""
    disk = bytearray(5 * MIB)
    disk[MIB : 2 * MIB] = fat(tmp_path, "ONE.TXT")
    entry(disk, 0, 2048, 2048, 0x42)
    disk[3072:3080] = b"PRIVHEAD"
    disk[2 * MIB : 2 * MIB + 4] = b"XFSB"
    names, words = listed(tmp_path, disk)
    assert names == {b"ONE.TXT"}
    assert words.count("a Windows dynamic disk") == 2
    assert "XFS, which this version does not read" in words


def test_a_gpt_of_a_dynamic_disk_says_so(tmp_path):
    image = tmp_path / "gpt.img"
    image.write_bytes(bytes(4 * MIB))
    tool("sgdisk", "-a", "1", "-n", "1:2048:4095", "-t", "1:af9b60a0-1431-4f62-bc68-3311714a69ad", image)
    _, words = listed(tmp_path, image.read_bytes())
    assert "a Windows dynamic disk" in words


def test_entries_that_count_sectors_of_4096_bytes_are_listed(tmp_path):
    disk = bytearray(8 * MIB)
    disk[4 * MIB : 5 * MIB] = fat(tmp_path, "ONE.TXT")
    entry(disk, 0, 1024, 256)
    names, words = listed(tmp_path, disk)
    assert names == {b"ONE.TXT"}
    assert "if they count sectors of 4,096 bytes" in words


def test_so_many_file_systems_one_behind_the_other_end_in_a_limit(tmp_path, monkeypatch):
    monkeypatch.setattr(_disk, "MOST_FOUND", 2)
    names, words = listed(tmp_path, b"".join(fat(tmp_path, f"{number}.TXT") for number in range(5)))
    assert names == {b"0.TXT", b"1.TXT", b"2.TXT"}
    assert "limit reached: not looked into, as 2 others held file systems" in words


@given(st.tuples(st.integers(0, 30), st.integers(0, 40)), st.lists(st.tuples(st.integers(0, 60), st.integers(1, 9))))
def test_what_is_left_of_a_range(within, holes):
    slow = set(range(within[0], sum(within))) - {place for at, size in holes for place in range(at, at + size)}
    left = without(within, holes)
    assert sorted(slow) == [place for at, size in left for place in range(at, at + size)]


def test_a_worker_that_lies_about_a_gap_costs_its_carving(monkeypatch):
    for lie in (None, "x", {"at": 7}, {"at": -1}, {"at": "0"}):
        assert _said.gap(lie, [0])[0] is None
        assert "made no sense" in str(_said.gap(lie, [0])[2])
    assert _said.gap({"at": 0}, [0]) == (0, False, None)


@given(st.binary(min_size=92, max_size=600))
def test_a_gpt_of_any_bytes_names_what_it_can_or_nothing(data):
    class Source:
        size, bad = 1024 + len(data), ()

        def read(self, offset, length):
            return (bytes(512) + b"EFI PART" + data)[offset : offset + length]

    assert gpt.partitions(Source()) is not None
    assert all(last > 0 for _, _, last in gpt._named(data, 128, 512))


# ---- the extended partition of an MBR


SECTORS = 2 * MIB // 512  # of each logical volume with its boot record, where that has a MiB


def extended(folder: Path, gap: int = 2048) -> bytearray:
    """A volume at 1 MiB, and three logical ones, each so many sectors behind its boot record; from 4 MiB on."""
    disk, first, each = bytearray(16 * MIB), 4 * MIB // 512, gap + MIB // 512
    disk[MIB : 2 * MIB] = fat(folder, "ONE.TXT")
    entry(disk, 0, 2048, 2048)
    entry(disk, 1, first, 3 * each, 5)
    for number, name in enumerate(("TWO.TXT", "THREE.TXT", "FOUR.TXT")):
        at = (first + number * each) * 512
        record = bytearray(512)
        entry(record, 0, gap, 2048)
        if number < 2:
            entry(record, 1, (number + 1) * each, each, 5)
        disk[at : at + 512] = record
        disk[at + gap * 512 : at + gap * 512 + MIB] = fat(folder, name)
    return disk


ALL = {b"ONE.TXT", b"TWO.TXT", b"THREE.TXT", b"FOUR.TXT"}
SECOND = 4 * MIB + SECTORS * 512  # byte of the second boot record


@pytest.mark.parametrize("gap", [63, 2048])
def test_a_chain_of_boot_records_that_ends_is_listed_and_nothing_is_said_of_it(tmp_path, gap):
    names, words = listed(tmp_path, extended(tmp_path, gap))
    assert names == ALL
    assert "extended partition" not in words
    assert "the image is cut" not in words


@pytest.mark.parametrize("gap", [63, 2048])
def test_volumes_behind_a_lost_boot_record_are_found_and_that_it_is_lost_is_said(tmp_path, gap):
    disk, second = extended(tmp_path, gap), 4 * MIB + gap * 512 + MIB
    disk[second : second + 512] = bytes(512)
    names, words = listed(tmp_path, disk)
    assert names == ALL
    assert f"breaks off at sector {second // 512:,}, where no boot record stands" in words


def test_a_chain_that_leads_away_or_back_is_said(tmp_path):
    disk, last = extended(tmp_path), SECOND + SECTORS * 512
    for number, (to, said) in enumerate(((10**8, "beyond the image's end"), (SECTORS, "back to sector 12,288"))):
        folder = tmp_path / str(number)
        folder.mkdir()
        record = bytearray(disk[last : last + 512])
        entry(record, 1, to, SECTORS, 5)
        disk[last : last + 512] = record
        names, words = listed(folder, disk)
        assert names == ALL
        assert "the chain of boot records in the extended partition leads" in words
        assert said in words


@pytest.mark.parametrize("end", [SECOND, SECOND + SECTORS * 512, SECOND + 512 + SECTORS * 512])
def test_an_image_that_is_cut_inside_the_extended_partition_is_not_complete(tmp_path, end):
    _, words = listed(tmp_path, extended(tmp_path)[:end])
    assert f"the extended partition goes on to byte {10 * MIB:,}, beyond the image's end: the image is cut" in words


def test_a_chain_without_end_is_followed_so_far(tmp_path):
    disk = bytearray(512 * (extended_partition.MOST_RECORDS + 10))
    entry(disk, 0, 1, len(disk) // 512 - 1, 5)
    for number in range(1, len(disk) // 512):
        record = bytearray(512)
        entry(record, 1, number, 1, 15)
        disk[number * 512 : number * 512 + 512] = record
    (said,) = extended_partition.remarks(Raw([memory(disk)]))
    assert "has more than 1,024 records" in said
