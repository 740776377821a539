"""Two things at one place of a disk: a file system that opens is listed, and what else begins there is said."""

import random
import struct
from pathlib import Path

import pytest
from cases import sha256
from lvm_volume import EXTENT, FIRST, physical
from test_volumes import fat, take

from clew.model import NameState
from container_files import tool

MIB = 1 << 20


def roomy(folder: Path) -> bytearray:
    """A FAT volume whose first 2 MiB are reserved, with one file, whose content is its name."""
    image, file = folder / "roomy.fat", folder / "KEPT.TXT"
    image.write_bytes(bytes(6 * MIB))
    file.write_text("KEPT.TXT")
    tool("mkfs.fat", "-R", "4096", image)
    tool("mcopy", "-i", image, file, "::/")
    return bytearray(image.read_bytes())


def ext(folder: Path) -> bytearray:
    """An ext4 volume with the same file; its first 1,024 bytes, and the rest of its first block, are nobody's."""
    image, tree = folder / "ext.img", folder / "tree"
    tree.mkdir()
    (tree / "KEPT.TXT").write_text("KEPT.TXT")
    image.write_bytes(bytes(4 * MIB))
    tool("mkfs.ext4", "-q", "-b", "4096", "-d", tree, image)
    return bytearray(image.read_bytes())


PLANTED = [
    (roomy, 65600, b"_BHRfS_M", "unknown: btrfs"),
    (roomy, 4096, b"\xfc\x4e\x2b\xa9", "unknown: Linux RAID"),
    (roomy, 1024, b"LABELONE", "unparsable: LVM2: "),
    (roomy, 424, bytes.fromhex("3bd66749292ed84a"), "encrypted: BitLocker To Go; "),
    (roomy, 3, b"-FVE-FS-", "encrypted: BitLocker; "),
    (ext, 4086, b"SWAPSPACE2", "unknown: Linux swap space"),
    (ext, 0, b"LUKS\xba\xbe\0\1", "encrypted: LUKS1; "),
    (ext, 32, b"NXSB", "unreadable: APFS: "),
]


@pytest.mark.parametrize(("make", "at", "magic", "said"), PLANTED, ids=[each[3] for each in PLANTED])
def test_a_magic_beside_a_file_system_that_opens_hides_no_name_and_is_said(tmp_path, make, at, magic, said):
    data = make(tmp_path)
    data[at : at + len(magic)] = magic
    (tmp_path / "disk.img").write_bytes(data)
    found, summary = take(tmp_path, tmp_path / "disk.img")
    assert found[b"KEPT.TXT"]["sha256"] == sha256(b"KEPT.TXT")
    assert [part["missing"].startswith(said) for part in summary.account.parts_unreadable] == [True], summary.words()
    assert not summary.account.complete


def test_a_disc_that_may_be_left_from_before_is_listed_and_what_no_file_of_it_holds_is_carved(tmp_path):
    tree, image = tmp_path / "tree", tmp_path / "disc.iso"
    tree.mkdir()
    (tree / "KEPT.TXT").write_text("KEPT.TXT")
    tool("genisoimage", "-quiet", "-J", "-o", image, tree)
    image.write_bytes(b"XFSB" + image.read_bytes()[4:])
    found, summary = take(tmp_path, image)
    assert found[b"KEPT.TXT"]["sha256"] == sha256(b"KEPT.TXT")
    assert summary.account.parts_unreadable[0]["missing"].startswith("unknown: XFS, ")
    assert [(part["kind"], part["offset"]) for part in summary.account.searched] == [
        ("carving outside the files of a disc", 0)
    ]


def test_a_file_system_and_a_physical_volume_of_lvm_at_one_place_are_both_listed(tmp_path):
    """FAT's reserved sectors have room for a label and its text, and what they say is as true as the file system."""
    inner, data = fat(tmp_path, "IN-LVM.TXT"), roomy(tmp_path)
    books = physical(0, {"data": [(112, len(inner) // EXTENT, "pv0")]})
    data[512:1024], data[4096:8192] = books[512:1024], books[4096:8192]
    start = FIRST + 112 * EXTENT
    data += bytes(max(0, start + len(inner) - len(data)))
    data[start : start + len(inner)] = inner
    (tmp_path / "disk.img").write_bytes(data)
    found, summary = take(tmp_path, tmp_path / "disk.img")
    assert {path: item["sha256"] for path, item in found.items() if item["name_state"] == NameState.LIVE} == {
        name: sha256(name) for name in (b"KEPT.TXT", b"IN-LVM.TXT")
    }
    assert {part.get("file_system") for part in summary.account.searched} == {"FAT", None}


def test_a_physical_volume_without_a_volume_that_is_read_says_so(tmp_path):
    (tmp_path / "pv.img").write_bytes(physical(8, {}))
    _, summary = take(tmp_path, tmp_path / "pv.img")
    (part,) = summary.account.parts_unreadable
    assert part["missing"] == "unknown: LVM2: its text names no logical volume; what lies there was carved"
    assert [(part["offset"], part["length"]) for part in summary.account.searched] == [(0, FIRST + 8 * EXTENT)]


def test_a_physical_volume_in_a_logical_one_is_said_and_carved(tmp_path):
    inner = physical(4, {"in": [(0, 2, "pv0")]})
    data = physical(len(inner) // EXTENT, {"out": [(0, len(inner) // EXTENT, "pv0")]})
    data[FIRST:] = inner
    (tmp_path / "pv.img").write_bytes(data)
    _, summary = take(tmp_path, tmp_path / "pv.img")
    (part,) = summary.account.parts_unreadable
    assert part["missing"] == "unknown: LVM2 inside a logical volume, which this version does not read"
    assert len(inner) in [part["length"] for part in summary.account.searched]


def stick(tmp_path, folder: str = "tree") -> bytes:
    """A disc of one small file and one that lies far behind its beginning."""
    tree, image = tmp_path / folder, tmp_path / "disc.iso"
    tree.mkdir()
    (tree / "A.TXT").write_text("A.TXT")
    (tree / "B.BIN").write_bytes(random.Random(5).randbytes(3 * MIB))
    tool("genisoimage", "-quiet", "-J", "-o", image, tree)
    return image.read_bytes()


def test_files_of_a_disc_that_leave_the_gap_it_begins_in_are_not_called_complete(tmp_path):
    """A stick that held a disc has a partition table and a file system now: the disc's descriptors are still there."""
    image, disk = tmp_path / "disk.img", bytearray(stick(tmp_path).ljust(8 * MIB, b"\0"))
    disk[MIB : 2 * MIB] = fat(tmp_path, "ONE.TXT")
    struct.pack_into("<8B2I", disk, 446, 0, 0, 2, 0, 6, 0, 0, 0, MIB // 512, 7 * MIB // 512)
    disk[510:512] = b"\x55\xaa"
    image.write_bytes(disk)
    found, summary = take(tmp_path, image)
    assert found[b"ONE.TXT"]["content_state"] == "complete"
    assert found[b"A.TXT"]["content_state"] == "complete"
    assert found[b"B.BIN"]["content_state"] == "partial"
    assert any(
        "of a disc lie in partitions of something else" in part["missing"] for part in summary.account.parts_unreadable
    )


def test_a_file_system_made_over_a_disc_is_what_is_listed_and_the_disc_is_said(tmp_path):
    image = tmp_path / "disk.img"
    tool("mkfs.fat", "-F", "32", "-R", "128", "-s", "1", "-C", image, "40000")
    data = bytearray(image.read_bytes())
    data[16 * 2048 : 18 * 2048] = stick(tmp_path)[16 * 2048 : 18 * 2048]
    image.write_bytes(data)
    tool("mcopy", "-i", image, tmp_path / "tree" / "A.TXT", "::")
    found, summary = take(tmp_path, image)
    assert found[b"A.TXT"]["content_state"] == "complete"
    assert b"B.BIN" not in found
    assert any(part.get("file_system") == "FAT" for part in summary.account.searched)
    said = [part["missing"] for part in summary.account.parts_unreadable]
    assert any("a disc (ISO 9660), whose files are not listed beside it" in each for each in said), said


def test_a_disc_s_five_letters_hide_no_other_volume(tmp_path):
    data = physical(60, {"data": [(5, 3 * MIB // EXTENT, "pv0")]})
    data[FIRST + 5 * EXTENT : FIRST + 5 * EXTENT + MIB] = fat(tmp_path, "ONE.TXT")
    data[16 * 2048 + 1 : 16 * 2048 + 6] = b"CD001"
    image = tmp_path / "pv.img"
    image.write_bytes(data)
    found, _ = take(tmp_path, image)
    assert found[b"ONE.TXT"]["sha256"] == sha256(b"ONE.TXT")
