"""Counting allocated blocks, against counting them one by one."""

import os
import random
import subprocess
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clew.core import held
from clew.intake.disk import bitmap, volumes
from clew.intake.disk.allocation import Taken, bad, free
from clew.intake.disk.bitmap import WINDOW, Runs, bits, by_cluster, ones, stretches
from clew.intake.disk.image import file_system
from clew.intake.sources import _listed
from clew.intake.sources._disk import Disk, _named
from clew.intake.sources._doubts import overlapping

RAW = "clew.intake.containers.raw:open_raw"


@given(st.binary(max_size=40), st.integers(0, 400), st.integers(0, 400))
def test_ones_counts_bits_and_takes_what_is_not_there_as_set(data, start, count):
    def window(number: int) -> bytes:
        return data if number == 0 else b""

    slow = 0
    for bit in range(start, start + count):
        byte = bit // 8
        slow += 1 if byte >= len(data) else data[byte] >> (bit % 8) & 1
    assert ones(window, start, count) == slow


def test_ones_goes_on_over_the_edge_of_a_window():
    windows = [b"\xff" * WINDOW, b"\x01" + bytes(WINDOW - 1)]
    assert ones(lambda number: windows[number], WINDOW * 8 - 3, 10) == 4


@given(st.binary(max_size=40), st.integers(0, 400), st.integers(0, 400))
def test_bits_are_what_ones_counts(data, start, count):
    def window(number: int) -> bytes:
        return data if number == 0 else b""

    found = bits(window, start, count)
    assert found.tolist() == [bool(ones(window, bit, 1)) for bit in range(start, start + count)]


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(1, 20)), max_size=9), st.integers(0, 40), st.integers(1, 50))
def test_the_blocks_of_runs_are_told_one_by_one_and_joined_again(runs, first, count):
    held = Runs(runs)
    slow = {block for at, length in runs for block in range(at, at + length)}
    assert held.among(first, count).tolist() == [block in slow for block in range(first, first + count)]
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(bitmap, "STEP", 7)
        joined = list(stretches(held.among, first, first + count))
    assert all(start + length < after for (start, length), (after, _) in pairwise(joined))
    assert {block for at, length in joined for block in range(at, at + length)} == slow & set(
        range(first, first + count)
    )


@given(st.lists(st.booleans(), max_size=9), st.integers(0, 9), st.integers(1, 4), st.integers(0, 30), st.booleans())
def test_the_blocks_of_clusters_are_told_one_by_one(clusters, start, each, first, otherwise):
    flags = np.array(clusters, np.bool_)
    heap = start, len(clusters), each
    found = by_cluster(first, 20, heap, lambda at, count: flags[at : at + count], otherwise=otherwise)
    spread = [otherwise] * start + [flag for flag in clusters for _ in range(each)] + [otherwise] * 60
    assert found.tolist() == spread[first : first + 20]


def test_marks_on_every_other_cluster_are_counted_within_a_time_and_carved_from_a_place_on(tmp_path, monkeypatch):
    image = tmp_path / "fat.img"
    subprocess.run(["truncate", "-s", "40M", image], check=True)
    subprocess.run(["/usr/sbin/mkfs.fat", "-F", "32", "-s", "1", image], check=True, capture_output=True)
    data = bytearray(image.read_bytes())
    table = int.from_bytes(data[14:16], "little") * 512
    first = table // 512 + 2 * int.from_bytes(data[36:40], "little")
    marked = [cluster for cluster in range(1000, 70_000) if cluster % 2 or cluster < 1010]
    for cluster in marked:
        data[table + 4 * cluster : table + 4 * cluster + 4] = b"\xf7\xff\xff\x0f"
    image.write_bytes(data)
    with image.open("rb") as file:
        monkeypatch.setattr(held, "descriptors", (file.fileno(),))
        place = {"container": RAW, "offset": 0}
        opened = file_system(place)
        assert opened.taken is not None
        runs = list(bad(opened.taken, first + 1004 - 2, 80_000))
        assert runs[:2] == [(first + 1004 - 2, 6), (first + 1011 - 2, 1)]
        assert len(runs) == 1 + (70_000 - 1010) // 2
        place |= {"length": len(data)}
        assert volumes.describe(place, []).value["bad_bytes"] == 512 * len(marked)
        monkeypatch.setattr(volumes, "COUNTING_SECONDS", -1.0)
        assert "bad_bytes" not in volumes.describe(place, []).value


@pytest.mark.parametrize(("said", "free_bytes"), [({"bad_bytes": 9}, 9), ({}, None), ({"bad_bytes": 0}, 0)])
def test_clusters_marked_as_bad_are_carved_where_they_are_not_counted_too(said, free_bytes):
    known = {"file_system": "FAT", "free_known": 1, "free_bytes": 7, "last_inode": 0, "length": 9, **said}
    parts = {part.name: part for part in _listed.parts("fs@0", dict(known), alone=True, carved=True)}
    assert ("fs@0/bad/carve" in parts) is (free_bytes != 0)
    assert free_bytes == 0 or parts["fs@0/bad/carve"].detail.get("free_bytes") == free_bytes


def listed(taken: Taken, first: int, end: int) -> list[int]:
    """Every free block, from the stretches; those must be whole and in order."""
    stretches = list(free(taken, first, end))
    assert all(start + length < after for (start, length), (after, _) in pairwise(stretches))
    return [block for start, length in stretches for block in range(start, start + length)]


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(1, 12), st.sampled_from("abcdef")), max_size=12))
def test_overlaps_are_those_of_the_slow_way(parts):
    spans = [(start, start + length, owner) for start, length, owner in parts]
    slow = {
        owner
        for start, end, owner in spans
        for other_start, other_end, other in spans
        if owner != other and start < other_end and other_start < end
    }
    assert overlapping(spans) == slow


@given(st.sets(st.integers(0, 100_000)), st.integers(0, 12_000), st.integers(0, 70_000))
def test_the_named_records_are_held_and_no_others(records, first, count):
    refs = [f"fs@0/{record}/128-2/x" for record in records] + ["fs@0/7777777777777777/1-0/far", "fs@0/7/name/only"]
    named, first = _named(iter(refs)), 8 * first
    bits = named.bits(first, first + count)
    assert {first + n for n in range(count) if bits[n // 8] >> (n % 8) & 1} == {
        record for record in records if first <= record < first + count
    }
    assert len(bits) == (first + count) // 8 - first // 8 + 1
    named.forget(7777777777777777)
    assert not any(named.bits(7777777777777776, 7777777777777800))


def test_a_file_system_that_claims_more_records_than_it_has_room_for_ends(tmp_path):
    image = tmp_path / "x"
    image.write_bytes(b"x")
    asked = []

    def ask(_entry, payload, _fds, _size):
        asked.append(payload)
        return {"items": [], "next": payload["end"]}

    known = {"offset": 0, "length": 1 << 20, "file_system": "NTFS", "first_inode": 0, "last_inode": 1 << 62}
    known |= {"block_bytes": 4096, "free_known": 0}
    parts = {
        part.name: part for part in _listed.parts("fs@0", {"kind": "file system", **known}, alone=True, carved=True)
    }
    assert "no room" in parts["fs@0/records"].missing.detail
    disk = Disk([image], RAW)
    assert list(disk.items(parts["fs@0/sweep"], "", lambda _, make: make(iter(())), ask)) == []
    assert asked[-1]["end"] == (1 << 20) // 128
    disk.close()


@pytest.mark.parametrize(("bits", "size"), [(12, "1M"), (16, "16M"), (32, "40M")])
def test_a_fat_counted_by_windows_is_the_fat_counted_one_by_one(bits, size, tmp_path, monkeypatch):
    image = tmp_path / "fat.img"
    subprocess.run(["truncate", "-s", size, image], check=True)
    subprocess.run(["/usr/sbin/mkfs.fat", "-F", str(bits), "-s", "1", image], check=True, capture_output=True)
    data = bytearray(image.read_bytes())
    reserved, draw = int.from_bytes(data[14:16], "little") * 512, random.Random(bits)
    for at in range(reserved + 8, reserved + 6000, 4):
        data[at : at + 4] = draw.choice([bytes(4), b"\x03\x00\x00\x00", b"\x00\x00\x07\x00", b"\x05\x00\x05\x00"])
    image.write_bytes(data)
    with image.open("rb") as file:
        monkeypatch.setattr(held, "descriptors", (file.fileno(),))
        opened = file_system({"container": RAW, "offset": 0})
        blocks = int(opened.fs.info.last_block) + 1
        assert opened.taken is not None
        whole = opened.taken.count(0, blocks)
        assert whole == sum(opened.taken.count(at, 1) for at in range(blocks))
        assert listed(opened.taken, 0, blocks) == [at for at in range(blocks) if not opened.taken.count(at, 1)]
        for at in (0, 5, 100, blocks - 1):
            start = opened.taken.boundary(at)
            assert at - opened.taken.cluster < start <= at
        for _ in range(20):
            first, count = draw.randrange(blocks), draw.randrange(9000)
            count = min(count, blocks - first)
            assert opened.taken.count(first, count) == sum(
                opened.taken.count(at, 1) for at in range(first, first + count)
            )


def test_ext_bitmaps_say_what_the_file_system_says(tmp_path, monkeypatch):
    image = tmp_path / "ext.img"
    subprocess.run(["truncate", "-s", "20M", image], check=True)
    subprocess.run(["/usr/sbin/mke2fs", "-q", "-F", "-t", "ext4", "-b", "1024", image], check=True, capture_output=True)
    command = ["/usr/sbin/dumpe2fs", "-h", image]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    free = int(next(line for line in said.splitlines() if line.startswith("Free blocks:")).split()[-1])
    with image.open("rb") as file:
        monkeypatch.setattr(held, "descriptors", (file.fileno(),))
        opened = file_system({"container": RAW, "offset": 0})
        blocks = int(opened.fs.info.last_block) + 1
        assert opened.taken is not None
        taken = opened.taken.count(0, blocks)
        assert listed(opened.taken, 0, blocks) == [at for at in range(blocks) if not opened.taken.count(at, 1)]
    assert blocks - taken == free


def test_exfat_bitmap(tmp_path, monkeypatch):
    """Against the bitmap as mkfs.exfat lays it out: the clusters of bitmap, upcase table and root, and no others."""
    image = tmp_path / "exfat.img"
    subprocess.run(["truncate", "-s", "64M", image], check=True)
    command = ["/usr/sbin/mkfs.exfat", "-c", "8K", image]
    subprocess.run(command, check=True, capture_output=True)
    data = bytearray(image.read_bytes())
    heap, clusters = (int.from_bytes(data[at : at + 4], "little") for at in (88, 92))
    entry = next(at for at in range(heap * 512, len(data), 32) if data[at] == 0x81 and data[at + 1] == 0)
    bitmap = heap * 512 + (int.from_bytes(data[entry + 20 : entry + 24], "little") - 2) * 8192
    for cluster in (100, 101, 500, clusters - 1):
        data[bitmap + cluster // 8] |= 1 << cluster % 8
    image.write_bytes(data)
    with image.open("rb") as file:
        monkeypatch.setattr(held, "descriptors", (file.fileno(),))
        opened = file_system({"container": RAW, "offset": 0})
        assert opened.family == "exFAT"
        assert opened.taken is not None
        assert opened.taken.cluster == 16
        blocks = int(opened.fs.info.last_block) + 1
        used = sum(data[bitmap : bitmap + -(-clusters // 8)][at // 8] >> at % 8 & 1 for at in range(clusters))
        assert opened.taken.count(0, blocks) == heap + used * 16 + blocks - heap - clusters * 16
        assert opened.taken.count(heap + 100 * 16, 32) == 32
        assert opened.taken.count(heap + 102 * 16 - 1, 2) == 1
        assert opened.taken.boundary(heap + 100 * 16 + 7) == heap + 100 * 16
        whole = opened.taken.used(0, blocks)
        assert listed(opened.taken, 0, blocks) == [at for at in range(blocks) if not whole[at]]


@pytest.mark.corpus
def test_an_hfs_allocation_file(monkeypatch):
    """The free blocks of the volume header, and those of the bitmap."""
    image = Path(os.environ["CLEW_CORPUS"]) / "dfvfs/test_data/hfsplus.raw"
    free_blocks = int.from_bytes(image.read_bytes()[1024 + 48 : 1024 + 52], "big")
    with image.open("rb") as file:
        monkeypatch.setattr(held, "descriptors", (file.fileno(),))
        opened = file_system({"container": RAW, "offset": 0})
        blocks = int(opened.fs.info.last_block) + 1
        assert opened.taken is not None
        assert blocks - opened.taken.count(0, blocks) == free_blocks
