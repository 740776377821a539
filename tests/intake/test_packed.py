"""Files of HFS+ that macOS packed: their content is what macOS shows, and no more of it is claimed than is there."""

import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
import pytsk3
from cases import sha256
from test_volumes import take

from clew.core.absent import Absent
from clew.intake.containers.raw import open_raw
from clew.intake.disk import packed
from clew.intake.disk.image import FileSystem, Image

pytestmark = pytest.mark.corpus

FORK, FILE = 4353, 25  # the resource fork's type; the record of a file that has nothing but one
NAME = b"a_directory/a_resourcefork"
TEXT = b"what a Mac packed\n" * 200
BLOCK = 4096


def volume(path: Path, kind: int, size: int, behind: bytes, fork: bytes = b"") -> Path:
    """The corpus's volume, with one file packed in that way: `behind` its attribute, or in its `fork`."""
    source = Path(os.environ["CLEW_CORPUS"]) / "dfvfs/test_data/hfsplus.raw"
    raw, fs = bytearray(source.read_bytes()), pytsk3.FS_Info(pytsk3.Img_Info(str(source)))

    def begins(record: int, which: int = 1) -> int:
        file = fs.open_meta(inode=record)
        return next(int(run.addr) * BLOCK for each in file for run in each if int(each.info.type) == which)

    name = "com.apple.decmpfs".encode("utf-16-be")
    value = struct.pack("<4sIQ", b"fpmc", kind, size) + behind
    key = struct.pack(">HHIIH", 12 + len(name), 0, FILE, 0, len(name) // 2) + name
    tree = begins(8)  # the attributes: one leaf, with one record
    leaf, length = tree + struct.unpack_from(">I", raw, tree + 24)[0] * 8192, 8192
    (end,) = struct.unpack_from(">H", raw, leaf + length - 4)
    new = key + struct.pack(">IQI", 0x10, 0, len(value)) + value + bytes(len(value) % 2)
    raw[leaf + end : leaf + end + len(new)] = new
    raw[leaf + 10 : leaf + 12] = struct.pack(">H", 2)
    struct.pack_into(">H", raw, leaf + length - 6, end + len(new))
    record = begins(4)  # the catalog: its record of the file begins with 2 and has the number at byte 8
    while raw[record : record + 2] + raw[record + 8 : record + 12] != struct.pack(">HI", 2, FILE):
        record += 1
    raw[record + 3] |= 4  # it has attributes
    raw[record + 41] |= 0x20  # UF_COMPRESSED
    if fork:
        raw[begins(FILE, FORK) : begins(FILE, FORK) + len(fork)] = fork
        struct.pack_into(">Q", raw, record + 168, len(fork))
    path.write_bytes(raw)
    return path


def in_fork(data: bytes) -> bytes:
    """A resource fork with one packed block (bsd/sys/decmpfs.h, and the Resource Manager's header)."""
    block = zlib.compress(data)
    table = struct.pack("<III", 1, 12, len(block))
    return struct.pack(">IIII", 256, 260 + len(table) + len(block), 4 + len(table) + len(block), 50) + (
        bytes(240) + struct.pack(">I", len(table) + len(block)) + table + block + bytes(50)
    )


@pytest.fixture
def opened(tmp_path) -> Iterator[FileSystem]:
    """The volume with the file packed in the one block of its fork."""
    path = volume(tmp_path / "disk.img", 4, len(TEXT), b"", in_fork(TEXT))
    descriptor = os.open(path, os.O_RDONLY)
    image = Image(open_raw([descriptor]))
    yield FileSystem(pytsk3.FS_Info(image), "HFS+", 0, None, image, "fs@0")
    os.close(descriptor)


@pytest.mark.parametrize(
    ("kind", "data", "behind", "fork"),
    [
        (3, TEXT, zlib.compress(TEXT), b""),
        (7, b"hello", b"\6hello", b""),  # LZVN has a way not to pack at all
        (4, TEXT, b"", in_fork(TEXT)),
    ],
)
def test_a_packed_file_is_given_as_macos_shows_it(tmp_path, kind, data, behind, fork):
    found, summary = take(tmp_path, volume(tmp_path / "disk.img", kind, len(data), behind, fork))
    item = found[NAME]
    assert (item["sha256"], item["size"]) == (sha256(data), len(data))
    assert (item["name_state"], item["content_state"]) == ("live", "complete")
    assert NAME + b":DECOMP" not in found
    assert (NAME + b":RSRC" in found) is (kind == 7)  # elsewhere it is the packed form, or The Sleuth Kit loses it
    assert kind == 3 or "they agree" in summary.words()


def test_what_is_packed_in_another_way_is_unreadable_and_not_zeros(tmp_path):
    found, _ = take(tmp_path, volume(tmp_path / "disk.img", 5, 1000, b""))
    assert (found[NAME]["size"], found[NAME]["sha256"], found[NAME]["state"]) == (1000, None, "unreadable")
    missing = packed.elsewhere(struct.pack("<4sIQ", b"fpmc", 5, 1000))
    assert missing is not None
    assert "decmpfs, type 5" in missing.detail


def test_what_was_unpacked_from_zeros_that_stand_for_a_bad_stretch_is_not_believed(opened):
    whole = packed.content(opened, FILE)
    assert whole is not None
    assert whole.read(5, 1 << 20) == TEXT[5:]
    assert whole.read(len(TEXT), 10) == b""
    assert packed.content(opened, 19) is None  # it is not packed
    assert packed.content(opened, 999) is None
    opened.image.source.bad.append((0, opened.image.size))
    again = packed.content(opened, FILE)
    assert again is not None
    with pytest.raises(Absent, match="could not all be read"):
        again.read(0, len(TEXT))
