"""Files of ext2 and ext3 in very many pieces: they are read, and cost no other file anything."""

import os
import random
import struct
from time import monotonic

import pytest
from cases import sha256
from test_volumes import take

from clew.intake.disk.image import file_system
from container_files import tool

BLOCK = 1024
LONG = 66_400 * BLOCK  # of which the last blocks are named by the third level of pointers


def made(folder, kind: str, size: int = LONG, *, deleted: bool = False):
    """A file system with a sparse file of `size` bytes among others, and what its files hold."""
    image, files = folder / "ext.img", folder / "files"
    files.mkdir()
    draw = random.Random(9)
    contents = {b"%d.txt" % number: b"the content of %d" % number for number in range(30)}
    for name, content in contents.items():
        (files / name.decode()).write_bytes(content)
    with (files / "sparse.bin").open("wb") as out:
        for at in (0, 5 * BLOCK, 300 * BLOCK, size - 3000):
            out.seek(at)
            out.write(draw.randbytes(3000))
    contents[b"sparse.bin"] = (files / "sparse.bin").read_bytes()
    tool("mke2fs", "-q", "-F", "-b", BLOCK, "-t", kind, "-d", files, image, "24M")
    if deleted:
        tool("debugfs", "-w", "-R", "rm sparse.bin", image)
    return image, contents


@pytest.mark.parametrize("kind", ["ext2", "ext3"])
def test_a_sparse_file_is_read_by_its_block_map_and_so_are_all_others(tmp_path, kind):
    image, contents = made(tmp_path, kind)
    begun = monotonic()
    found, summary = take(tmp_path, image)
    assert monotonic() - begun < 20
    assert {path: item["sha256"] for path, item in found.items()} == {
        path: sha256(content) for path, content in contents.items()
    }
    assert {item["content_state"] for item in found.values()} == {"complete"}
    assert found[b"sparse.bin"]["size"] == LONG
    assert summary.account.recounts[0].said == "they agree"


def test_a_file_of_fewer_pieces_is_left_to_the_sleuth_kit(tmp_path):
    image, contents = made(tmp_path, "ext2", 4000 * BLOCK)
    found, _ = take(tmp_path, image)
    assert found[b"sparse.bin"]["sha256"] == sha256(contents[b"sparse.bin"])


def test_a_deleted_one_costs_nothing_but_itself(tmp_path):
    image, contents = made(tmp_path, "ext2", deleted=True)
    begun = monotonic()
    found, _ = take(tmp_path, image)
    assert monotonic() - begun < 20
    lost = found.pop(b"sparse.bin")
    assert lost["name_state"] == "deleted"
    live = {path: item["sha256"] for path, item in found.items() if item["name_state"] == "live"}
    assert live == {path: sha256(content) for path, content in contents.items() if path != b"sparse.bin"}


@pytest.mark.parametrize("broken", ["beyond", "circle"])
def test_one_whose_map_makes_no_sense_is_unreadable_alone(tmp_path, broken):
    image, contents = made(tmp_path, "ext2")
    data = bytearray(image.read_bytes())
    inode = next(at for at in range(0, len(data), 128) if struct.unpack_from("<I", data, at + 4)[0] == LONG)
    third = struct.unpack_from("<I", data, inode + 40 + 14 * 4)[0]
    if broken == "beyond":
        struct.pack_into("<I", data, inode + 40 + 14 * 4, 1 << 30)
    else:
        struct.pack_into("<I", data, inode + 4, (1 << 32) - BLOCK)
        struct.pack_into("<256I", data, third * BLOCK, *[third] * 256)
    image.write_bytes(data)
    begun = monotonic()
    found, _ = take(tmp_path, image)
    assert monotonic() - begun < 30
    lost = found.pop(b"sparse.bin")
    assert (lost["state"], lost["content_state"]) == ("unreadable", "unreadable")
    assert "its block map" in lost["detail"]
    assert {path for path, item in found.items() if item["state"] == "done"} >= set(contents) - {b"sparse.bin"}


def test_inodes_are_thinned_however_they_are_read(tmp_path, monkeypatch):
    image, _ = made(tmp_path, "ext2")
    opened = file_system_of(image, monkeypatch)
    data, thin = image.read_bytes(), opened.thinned
    whole = thin.read(0, len(data))
    other = [at for at in range(len(data)) if data[at] != whole[at]]
    begin = other[0] - other[0] % 128
    assert 0 < len(other) <= 68
    assert set(other) <= set(range(begin, begin + 128))
    for at in range(begin - 2, begin + 130):
        assert thin.read(at, 3) == whole[at : at + 3]


def file_system_of(image, monkeypatch):
    descriptor = os.open(image, os.O_RDONLY)
    monkeypatch.setattr("clew.core.held.descriptors", (descriptor,))
    return file_system({"container": "clew.intake.containers.raw:open_raw", "offset": 0})
