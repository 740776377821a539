"""ext4 of more than 2^32 blocks: what lies behind the first 2^32 is read from there, and nothing from elsewhere."""

import re
import struct
import subprocess
from contextlib import suppress

import pytest
from far_image import FAR, NEAR
from hypothesis import given
from hypothesis import strategies as st
from recovery import tool

from clew.core import held
from clew.intake.disk import content, entries, ext_far, sweep
from clew.intake.refs import parse

WHERE = {"container": "far_image:open_far", "offset": 0}
WALK = {"root": None, "most": 1000, "cursor": "", "directories": None}
NODE, WRONG = 700, b"not its own" * 400
LEAF, INDEX = struct.Struct("<IHHI"), struct.Struct("<IIH2x")


def node(depth: int, *entries: bytes) -> bytes:
    """A node of a tree of extents."""
    return struct.pack("<HHHHI", 0xF30A, len(entries), 4, depth, 0) + b"".join(entries)


def place(path, name: str) -> tuple[int, int]:
    """Where the inode of a file lies, and the first block of its content."""
    said = [
        subprocess.run(["debugfs", "-R", request, path], check=True, capture_output=True, text=True).stdout
        for request in (f"imap {name}", f"bmap {name} 0")
    ]
    block, inside = re.search(r"block (\d+), offset 0x([0-9a-f]+)", said[0]).groups()
    return int(block) * 1024 + int(inside, 16), int(said[1])


@pytest.fixture
def volume(tmp_path, monkeypatch):
    """Files and a directory behind block 2^32. Where The Sleuth Kit would look for them, something else lies."""
    path, small = tmp_path / "image", tmp_path / "small"
    with path.open("wb") as out:
        out.truncate(NEAR)
    tool("mkfs.ext4", "-q", "-b", "1024", "-N", "256", "-O", "64bit,^has_journal,^metadata_csum,^resize_inode", path)
    small.write_bytes(b"s" * 3000)
    names = ["near", "extent", "tree", "hole", "sub/inside"]
    for request in ("mkdir sub", *(f"write {small} {name}" for name in names), f"write {small} unlinked"):
        tool("debugfs", "-w", "-R", request, path)
    inodes = {name: place(path, name) for name in (*names, "sub", "unlinked")}
    tool("debugfs", "-w", "-R", "unlink unlinked", path)
    data = bytearray(path.read_bytes())
    struct.pack_into("<I", data, 1024 + 0x150, 1)  # the upper half of the number of blocks
    far = bytearray(1 << 20)
    trees = {
        "extent": node(0, LEAF.pack(0, 3, 1, 100)),
        "unlinked": node(0, LEAF.pack(0, 3, 1, 200)),
        "tree": node(1, INDEX.pack(0, NODE, 1)),
        "hole": node(0, LEAF.pack(1, 32768 + 1, 1, 300), LEAF.pack(2, 1, 1, 400)),
        "sub": node(0, LEAF.pack(0, 1, 1, 500)),
    }
    far[NODE * 1024 : NODE * 1024 + 36] = node(0, LEAF.pack(0, 2, 1, 600), LEAF.pack(2, 1, 0, inodes["tree"][1] + 2))
    for at, letter in ((100, b"e"), (200, b"u"), (300, b"h"), (400, b"i"), (600, b"t")):
        far[at * 1024 : at * 1024 + 3000] = letter * 3000
        decoy = (1 << 16 | at) * 1024
        data[decoy : decoy + len(WRONG)] = WRONG
    far[500 * 1024 : 501 * 1024] = data[inodes["sub"][1] * 1024 :][:1024]
    for name, tree in trees.items():
        at = inodes[name][0] + 40
        data[at : at + 60] = tree.ljust(60, b"\0")
    path.write_bytes(data + far)
    with path.open("rb") as opened:
        monkeypatch.setattr(held, "descriptors", (opened.fileno(),))
        yield opened


def read(items: list[dict]) -> dict[bytes, bytes]:
    found = {}
    for item in items:
        where = parse(item["ref"]) if item.get("state") == "open" else None
        if where is not None:
            stream = content.stream(WHERE | where, [])
            found[bytes.fromhex(item["path"])] = stream.read(0, 1 << 20)
    return found


CONTENTS = {
    b"near": b"s" * 3000,
    b"extent": b"e" * 3000,
    b"tree": b"t" * 2048 + b"s" * 952,
    b"hole": bytes(2048) + b"i" * 952,
    b"sub/inside": b"s" * 3000,
}


@pytest.mark.usefixtures("volume")
def test_what_lies_behind_block_2_to_the_32_is_read_from_there():
    said = entries.walk(WHERE | WALK, []).value
    assert said["done"]
    assert read(said["items"]) == CONTENTS
    assert {entries.FAR: 1} in [item.get("notes") for item in said["items"]]
    runs = {bytes.fromhex(item["path"]): item["runs"] for item in said["items"] if "path" in item}
    assert runs[b"extent"] == [(FAR + 100 * 1024, 3 * 1024)]
    task = {"first": 11, "sub": -1, "end": 256, "seen": "AAAA" * 16, "seen_from": 8, "most": 1000}
    assert b"u" * 3000 in read(sweep.sweep(WHERE | task, []).value["items"]).values()


class Parts:
    """A ByteSource that tells what is read by its length: the superblock or a node, a descriptor, an inode."""

    def __init__(self, block: bytes, inode: bytes = b"") -> None:
        self.size, self.bad = 1 << 60, []
        self.parts = {1024: block, 64: bytes(64), 256: inode.ljust(256, b"\0")}

    def read(self, _offset: int, length: int) -> bytes:
        return self.parts[length]


def superblock(features: int = 0) -> bytes:
    data = bytearray(1024)
    struct.pack_into("<I", data, 4, 1 << 20)
    struct.pack_into("<II", data, 32, 8192, 0)
    struct.pack_into("<I", data, 40, 256)
    struct.pack_into("<I", data, 76, 1)
    struct.pack_into("<H6xI", data, 88, 256, 0x80 | features)
    struct.pack_into("<H", data, 254, 64)
    return bytes(data)


def test_a_layout_that_is_not_read_is_refused():
    ext_far.Inodes(Parts(superblock()), 0)
    for data in (superblock(0x10), bytes(1024)):
        with pytest.raises(OSError, match="not read"):
            ext_far.Inodes(Parts(data), 0)


leaves = st.lists(
    st.builds(LEAF.pack, *(st.integers(0, most) for most in (1 << 20, 65535, 65535, 1 << 31))), max_size=9
)
indexes = st.lists(st.builds(INDEX.pack, *(st.integers(0, most) for most in (1 << 20, 1 << 31, 65535))), max_size=3)
nodes = st.builds(lambda entries: node(0, *entries), leaves) | st.builds(
    lambda depth, entries: node(depth, *entries), st.integers(0, 7), indexes
)


@given(nodes | st.binary(max_size=60), nodes | st.binary(max_size=1024), st.integers(0, 1 << 40))
def test_a_tree_is_read_or_refused(root, below, size):
    source = Parts(superblock(), bytes(32) + struct.pack("<II", 0x80000, 0) + root[:60])
    inodes = ext_far.Inodes(source, 0)
    source.parts[1024] = below.ljust(1024, b"\0")
    with suppress(OSError):
        found = inodes.attribute(12, size)
        assert found is not None
        ends = [run.offset + run.len for run in found]
        assert [run.offset for run in found] == [0, *ends][: len(ends)]
        assert max(ends, default=0) * 1024 >= size
        inodes.far(12)


@pytest.mark.parametrize(
    ("root", "far"),
    [
        (node(0, LEAF.pack(0, 9, 0, 7)), False),
        (node(0, LEAF.pack(0, 9, 1, 7)), True),
        (node(1, INDEX.pack(0, 7, 0)), False),
        (node(1, INDEX.pack(0, 7, 1)), True),
    ],
)
def test_what_the_sleuth_kit_would_misread_is_told_from_the_rest(root, far):
    source = Parts(superblock(), bytes(32) + struct.pack("<II", 0x80000, 0) + root)
    inodes = ext_far.Inodes(source, 0)
    source.parts[1024] = node(0, LEAF.pack(0, 9, 0, 7)).ljust(1024, b"\0")
    assert inodes.far(12) is far
