"""Clusters that are in use and hold no content of a file: lost chains, recordings that broke off, bits set by hand.
They are counted and carved; of a volume where each has its owner nothing is said.
"""

import struct
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import pytsk3
from cases import sha256
from exfat_image import File, make
from hypothesis import given
from hypothesis import strategies as st
from recovery import photographs, tool
from test_behind import hide
from test_volumes import take

from clew.core import held
from clew.core.absent import Absent
from clew.intake.api import Found, Note, Part
from clew.intake.disk import claims, ext_owned, owned
from clew.intake.disk.bitmap import Marks, bits
from clew.intake.sources import _carving
from clew.intake.sources._carving import BYTES, NAMELESS
from clew.intake.sources._sifted import Sifted
from clew.model import Missing, Reason

MIB = 1 << 20
KIND = "carving of clusters that are in use and hold no content of a file"


@pytest.fixture(scope="module")
def picture() -> bytes:
    return photographs()["q01.png"]


def on_fat(image: Path, picture: bytes, width: int) -> tuple[int, int]:
    """A recording that broke off: an entry of 0 bytes, a chain in the table that it begins."""
    file = image.with_name("EMPTY.PNG")
    file.write_bytes(b"")
    tool("mkfs.fat", "-F", str(width), "-s", "1", image)
    tool("mcopy", "-i", image, file, "::/")
    data = bytearray(image.read_bytes())
    reserved, slots = (struct.unpack_from("<H", data, at)[0] for at in (14, 17))
    size = struct.unpack_from("<H", data, 22)[0] or struct.unpack_from("<I", data, 36)[0]
    count = -(-len(picture) // 512)
    for table in (reserved, reserved + size):
        for cluster in range(1000, 1000 + count):
            after = cluster + 1 if cluster + 1 < 1000 + count else 0xFFFFFFF
            kind, each = ("<H", 2) if width == 16 else ("<I", 4)
            struct.pack_into(kind, data, table * 512 + each * cluster, after & (0xFFFF if each == 2 else 0xFFFFFFF))
    struct.pack_into("<H", data, data.index(b"EMPTY   PNG") + 26, 1000)
    first = (reserved + 2 * size) * 512 + slots * 32
    return hide(image, data, first + 998 * 512, picture), count * 512


def on_exfat(image: Path, picture: bytes, **other: bool) -> tuple[int, int]:
    """Space that was given to a film, of which only its first cluster was written."""
    clusters = list(range(300, 301 + -(-len(picture) // 4096)))
    make(image, [File("film", b"film".ljust(4096) + picture, clusters, written=4, **other)], 16 * MIB)
    data = bytearray(image.read_bytes())
    (heap,) = struct.unpack_from("<I", data, 88)
    return hide(image, data, heap * 512 + 299 * 4096, picture), (len(clusters) - 1) * 4096


def on_ntfs(image: Path, picture: bytes) -> tuple[int, int]:
    """Bits of $Bitmap that were set by hand."""
    tool("mkfs.ntfs", "-q", "-F", "-Q", image)
    (file := image.with_name("file")).write_bytes(b"a file" * 5000)
    tool("ntfscp", "-q", image, file, "file")
    books = pytsk3.FS_Info(pytsk3.Img_Info(str(image))).open_meta(inode=6)
    (run,) = next(list(each) for each in books if int(each.info.type) == 128)
    data, count = bytearray(image.read_bytes()), -(-len(picture) // 4096)
    for cluster in range(1500, 1500 + count):
        data[run.addr * 4096 + cluster // 8] |= 1 << cluster % 8
    return hide(image, data, 1500 * 4096, picture), count * 4096


def on_ext(image: Path, picture: bytes, kind: str) -> tuple[int, int]:
    """Bits of a group's bitmap that were set by hand, beside a file with all that an inode may have."""
    (file := image.with_name("file")).write_bytes(b"a file" * 100_000)
    tool("mke2fs", "-q", "-t", kind, "-b", "1024", image)
    count = -(-len(picture) // 1024)
    for request in (f"write {file} file", f"ea_set file user.x {'x' * 600}", "mkdir folder", f"setb 5000 {count}"):
        tool("debugfs", "-w", "-R", request, image)
    return hide(image, bytearray(image.read_bytes()), 5000 * 1024, picture), count * 1024


def on_ext_unwritten(image: Path, picture: bytes) -> tuple[int, int]:
    """Blocks that were given to a file and never written: it reads as zeros."""
    tool("mke2fs", "-q", "-t", "ext4", "-b", "1024", image)
    (file := image.with_name("file")).write_bytes(b"")
    last = -(-len(picture) // 1024) - 1
    for request in (f"write {file} file", f"fallocate file 0 {last}", f"sif file size {len(picture)}"):
        tool("debugfs", "-w", "-R", request, image)
    at = next(pytsk3.FS_Info(pytsk3.Img_Info(str(image))).open("file").__iter__())
    assert int(at.info.size) == len(picture)
    said = tool("debugfs", "-R", "bmap file 0", image)
    return hide(image, bytearray(image.read_bytes()), int(said.split()[0]) * 1024, picture), (last + 1) * 1024


MAKERS = {
    "ext2": lambda *where: on_ext(*where, "ext2"),
    "ext4": lambda *where: on_ext(*where, "ext4"),
    "ext4, never written": on_ext_unwritten,
    "FAT16": lambda *where: on_fat(*where, 16),
    "FAT32": lambda *where: on_fat(*where, 32),
    "exFAT": on_exfat,
    "exFAT, in a chain": lambda *where: on_exfat(*where, chained=True),
    "NTFS": on_ntfs,
}


@pytest.mark.parametrize("family", MAKERS)
def test_what_is_in_use_and_belongs_to_no_file_is_counted_and_carved(family, tmp_path, picture):
    image = tmp_path / "volume.img"
    image.write_bytes(bytes((40 if family == "FAT32" else 16) * MIB))
    at, size = MAKERS[family](image, picture)
    found, summary = take(tmp_path, image)
    item = found[b"$Carved/%x.png" % at]
    assert (item["sha256"], item["content_state"]) == (sha256(picture), "complete")
    what = NAMELESS if family.startswith(("FAT", "exFAT")) else BYTES
    assert summary.account.notes[what] == size
    assert f"noted: {size:,} {what}" in summary.words()
    assert KIND in {part["kind"] for part in summary.account.searched}
    if family.startswith("FAT"):
        assert (found[b"EMPTY.PNG"]["content_state"], found[b"EMPTY.PNG"]["as_read"]) == ("partial", "partial")
        assert summary.account.notes[claims.BROKEN_OFF] == 1


def test_an_entry_of_no_bytes_that_names_a_cluster_is_not_complete_on_exfat(tmp_path):
    listed = [File("broken.mov", b"", [300]), File("empty", b"", [])]
    found, summary = take(tmp_path, make(tmp_path / "card.img", listed))
    assert {path: item["as_read"] for path, item in found.items()} == {b"broken.mov": "partial", b"empty": "complete"}
    assert (summary.account.notes[claims.BROKEN_OFF], summary.account.notes[NAMELESS]) == (1, 4096)


def test_what_a_worker_says_of_how_much_there_is():
    """A lie, or a worker that died, is an Item that stands for all of it; where there is nothing, nothing is carved; a
    resumed run counts nothing twice.
    """
    part = Part("fs@0/nobodys/carve", {"kind": KIND, "file_system": "FAT", "offset": 0, "length": 1 << 20})
    carved = {"finds": [], "next": 1 << 20, "notes": {}, "sifted": None}

    def found(counted: Any, cursor: str = "") -> list[Found | Note]:
        answers = {"clew.intake.disk.owned:count": counted, "clew.intake.disk.carve:carve": carved}
        return list(_carving.items(part, cursor, {}, lambda entry, *_: answers.pop(entry), Sifted()))

    for lie in (-1, "x", None, Missing(Reason.LIMIT_REACHED, "memory")):
        (lost,) = found(lie)
        assert (lost.ref, lost.state, lost.size) == ("carved@0-1048576", "unreadable", 1 << 20), lie
    assert found(0) == []
    assert found(7) == [Note({NAMELESS: 7}, "0")]
    assert found(7, "0") == found(None, "512") == []


def test_files_that_name_all_clusters_again_and_again_are_not_all_looked_at(tmp_path, monkeypatch):
    image = make(tmp_path / "card.img", [File(f"{number}", bytes(2 * MIB), [100]) for number in range(3)])
    with image.open("rb") as opened:
        monkeypatch.setattr(held, "descriptors", (opened.fileno(),))
        where = {"container": "clew.intake.containers.raw:open_raw", "offset": 0}
        where["length"] = image.stat().st_size
        monkeypatch.setattr(owned, "MOST_TIMES", 1)
        with pytest.raises(Absent, match="times over"):
            owned.count(where, [])
        monkeypatch.setattr(owned, "MOST_TIMES", 4)
        assert owned.count(where, []).value == 0


class Parts:
    """A ByteSource that tells what is read by its length: the superblock, a descriptor, any other block."""

    def __init__(self, inode: bytes, block: bytes) -> None:
        sb = bytearray(1024)
        struct.pack_into("<6I", sb, 0, 64, 8192, 0, 0, 0, 1)
        struct.pack_into("<3I", sb, 32, 8192, 8192, 64)
        struct.pack_into("<I", sb, 76, 1)
        struct.pack_into("<H", sb, 88, 128)
        self.size, self.bad, self._sb, self._block, self._inode = 1 << 60, [], bytes(sb), block, inode

    def read(self, offset: int, length: int) -> bytes:
        if offset == 1024:
            return self._sb
        if length == 32:  # a descriptor: bitmaps in blocks 100 and 101, inodes from block 102 on
            return struct.pack("<3I20x", 100, 101, 102)
        return b"\xff" * 8 + bytes(1016) if offset == 101 * 1024 else (self._inode * 64 + self._block)[:length]


@given(
    st.binary(min_size=128, max_size=128), st.binary(min_size=1024, max_size=1024), st.sampled_from([0, 1, 2, 8, 10])
)
def test_inodes_that_make_no_sense_own_what_they_own(inode, block, flags):
    raw = bytearray(inode)
    raw[1], raw[34] = raw[1] & 0x0F | 0x80, flags  # a file, perhaps with extents
    raw[40:50] = b"\x0a\xf3\x02\0\x04\0\0\0\0\0" if flags & 8 else raw[40:50]
    runs = list(islice(ext_owned.owned(Parts(bytes(raw), block), 0), 10_000))
    assert runs[:4] == [(1, 2), (100, 1), (101, 1), (102, 8)]
    assert all(first >= 0 and blocks >= 0 for first, blocks in runs)


@given(st.integers(0, 300), st.lists(st.tuples(st.integers(-20, 320), st.integers(0, 80)), max_size=6))
def test_marks_are_a_set(count, runs):
    marks = Marks(count)
    for first, length in runs:
        marks.add(first, length)
    held = {number for first, length in runs for number in range(first, first + length)}
    assert bits(marks.window, 0, count).tolist() == [number in held for number in range(count)]
