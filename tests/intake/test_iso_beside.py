"""A disc beside something else: a partition table on it, another file system in it, behind it or in its place."""

import random
import struct
from pathlib import Path

from cases import items, sha256
from discs import OPTIONS, S, change, follow, make, record_of, take

from case_made import new_case
from clew.core import shards
from clew.intake.disk import iso, signatures
from clew.intake.refs import parse
from clew.intake.run import intake
from container_files import tool


def test_a_disc_that_shares_its_place_with_another_file_system_is_said():
    head = bytes(32769) + b"CD001"
    assert "ISO 9660" in signatures.beside("FAT", head)
    assert not signatures.beside("ISO 9660", head)


def test_a_disc_with_a_partition_table_on_it_is_one_to_the_image_s_end(tmp_path):
    """The first entry of a Mac's begins behind byte 0: the disc begins in a gap of one sector."""
    first = {f"f{each}.jpg": random.Random(each).randbytes(9000) for each in range(4)}
    image = make(tmp_path / "d.iso", first, "-R", "-J", "-hfs", "-part", "-input-charset", "iso8859-1")
    second = make(tmp_path / "2.iso", {"two.jpg": b"two"}, "-R", "-J", "-C", "0,1000", "-M", str(image))
    follow(image, second, 1000, 900)
    case = new_case(tmp_path / "case")
    summary = intake(case, path=image, label="D", workers=1, options=OPTIONS)
    sql = "SELECT l.ref, l.path, c.sha256, c.content_state FROM listings l JOIN contents c USING (item)"
    rows = shards.query(case, f"{sql} WHERE l.name_state='live'").to_pylist()
    found = {(parse(row["ref"])["iso"], row["path"]): (row["sha256"], row["content_state"]) for row in rows}
    held_by = {(16, name.encode()): (sha256(data), "complete") for name, data in first.items()}
    held_by |= {(1016, path): each for (_, path), each in held_by.items()}
    assert found == held_by | {(1016, b"two.jpg"): (sha256(b"two"), "complete")}
    searched = [(each["offset"], each["offset"] + each["length"]) for each in summary.account.searched]
    assert sum(at <= 900 * S < end for at, end in searched) == 1  # not a second time as a gap of the table


def partition(at: int, length: int, kind: int) -> bytes:
    """An entry of a partition table of MBR, for bytes of the disk."""
    return struct.pack("<8B2I", 0, 0, 0, 0, kind, 0, 0, 0, at // 512, length // 512)


def empty_fat(folder: Path) -> bytes:
    """A file system of FAT, of 1 MiB, without a file."""
    image = folder / "fat.img"
    image.write_bytes(bytes(1 << 20))
    tool("mkfs.fat", image)
    return image.read_bytes()


def test_what_lies_in_a_partition_of_something_else_is_never_whole(tmp_path):
    """But what is that partition, as the image that a disc boots is."""
    fat = empty_fat(tmp_path)
    files = {"BOOT.IMG": fat, "FILM.AVI": random.Random(1).randbytes(3 << 20), "A.TXT": b"a"}
    image = make(tmp_path / "d.iso", files)
    boot, film = (
        struct.unpack_from("<I", image.read_bytes(), record_of(image, name) + 2)[0] * S
        for name in (b"BOOT.IMG;1", b"FILM.AVI;1")
    )
    over = film + S
    change(image, over, fat)
    change(image, 446, partition(boot, 1 << 20, 0xEF) + partition(over, 1 << 20, 0x0C) + bytes(32) + b"\x55\xaa")
    found, summary = take(tmp_path, image)
    of_disc = {path: item for path, item in found.items() if item["ref"].startswith("iso@")}
    assert {path: item["as_read"] for path, item in of_disc.items()} == {
        b"BOOT.IMG": "complete", b"FILM.AVI": "partial", b"A.TXT": "complete",
    }  # fmt: skip
    assert summary.account.notes[iso.SHARED] == 1
    assert f"{1 << 20:,} bytes of a disc lie in partitions of something else" in summary.words()
    assert not summary.account.complete


def test_a_gap_in_which_something_else_begins_is_no_disc_s(tmp_path):
    """As on a stick that once held a disc."""
    fat = empty_fat(tmp_path)
    image = make(tmp_path / "d.iso", {"A.BIN": bytes(1000), "FILM.AVI": random.Random(1).randbytes(4 << 20)})
    at = 2 << 20
    change(image, at, fat * 2)  # the first in a partition, the second in the gap behind it
    change(image, 446, partition(at, 1 << 20, 0x0C) + bytes(48) + b"\x55\xaa")
    case = new_case(tmp_path / "case")
    intake(case, path=image, label="D", workers=1, options=OPTIONS)
    rows = {row["part"] for row in case.read().execute("SELECT part FROM exhibit_runs")}
    assert {f"fs@{at}/walk", f"fs@{at + (1 << 20)}/walk"} <= rows
    states = {path: item["content_state"] for path, item in items(case).items() if item["ref"].startswith("iso@")}
    assert states == {b"A.BIN": "complete", b"FILM.AVI": "partial"}
