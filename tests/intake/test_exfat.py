"""A file of exFAT that was not written to its end reads as zeros there, as every system that mounts it reads it."""

import struct
from pathlib import Path

from cases import sha256
from exfat_image import File, make
from recovery import photographs
from test_volumes import take

from clew.intake.disk import claims

CLUSTER = 4096


def other(size: int) -> bytes:
    return bytes(range(1, 251)) * (size // 250 + 1)


def test_what_was_never_written_of_a_file_is_zeros_and_what_lies_there_is_not_its_own(tmp_path):
    """Live and deleted, in a run and in a chain, in its last cluster and in others, and where nothing was written."""
    data = other(5 * CLUSTER)[: 5 * CLUSTER - 100]
    listed = [
        File("run.bin", data, [100, 101, 102, 103, 104], written=CLUSTER + 1000),
        File("chain.bin", data, [110, 112, 111, 113, 114], chained=True, written=2 * CLUSTER),
        File("none.bin", data, [120, 121, 122, 123, 124], written=0),
        File("whole.bin", data, [130, 131, 132, 133, 134], written=len(data)),
        File("gone.bin", data, [140, 141, 142, 143, 144], deleted=True, written=3 * CLUSTER - 1),
        File("nothing.bin", data, [150, 151, 152, 153, 154], deleted=True, written=0),
        File("torn.bin", data, [160, 161, 163], chained=True, written=CLUSTER * 2 + 7),
    ]
    found, summary = take(tmp_path, make(tmp_path / "card.img", listed))
    for each in listed:
        item, written = found[each.name.encode()], each.written or 0
        assert item["sha256"] == sha256(data[:written] + bytes(len(data) - written)), each.name
        claim = "overwritten possible" if each.name == "gone.bin" else "complete"
        assert (item["content_state"], item["size"]) == (claim, len(data)), each.name
    assert summary.account.notes[claims.NOT_WRITTEN] == 4


def test_a_picture_that_was_deleted_is_held_against_what_was_written_of_it(tmp_path):
    """Its entry claims a megabyte, of which the picture alone was written: what vouches for that vouches for it."""
    picture = photographs()["q01.png"]
    clusters = list(range(100, 100 + -(-len(picture) // CLUSTER)))
    data = picture.ljust(1 << 20, b"\0")
    listed = [File("a.png", data, clusters, chained=True, deleted=True, written=len(picture))]
    found, _ = take(tmp_path, make(tmp_path / "card.img", listed))
    item = found[b"a.png"]
    assert (item["sha256"], item["as_read"]) == (sha256(data), "complete")


def test_an_entry_at_the_end_of_a_cluster_of_its_directory(tmp_path):
    """Its stream entry is the first of the directory's next cluster, which lies elsewhere."""
    data = other(2 * CLUSTER)[: 2 * CLUSTER]
    image = make(tmp_path / "card.img", [File("x.bin", data, [100, 101], written=700)])
    raw = bytearray(image.read_bytes())
    fat, _, heap, _, root = struct.unpack_from("<5I", raw, 80)
    first, after = (heap * 512 + (cluster - 2) * CLUSTER for cluster in (root, 300))
    at = raw.index(b"\x85\x02", first)
    moved = raw[at : at + 96]
    raw[at : first + CLUSTER] = (b"\x05" + bytes(31)) * ((first + CLUSTER - at) // 32)
    raw[first + CLUSTER - 32 : first + CLUSTER] = moved[:32]
    raw[after : after + 64], raw[after + 64 : after + CLUSTER] = moved[32:], bytes(CLUSTER - 64)
    struct.pack_into("<I", raw, fat * 512 + 4 * root, 300)
    struct.pack_into("<I", raw, fat * 512 + 4 * 300, 0xFFFFFFFF)
    books = heap * 512 + (struct.unpack_from("<I", raw, raw.index(b"\x81", first) + 20)[0] - 2) * CLUSTER
    raw[books + 298 // 8] |= 1 << 298 % 8
    Path(image).write_bytes(raw)
    found, _ = take(tmp_path, image)
    assert found[b"x.bin"]["sha256"] == sha256(data[:700] + bytes(len(data) - 700))
