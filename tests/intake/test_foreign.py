"""An earlier file system that still opens, of whose bytes today's partitions have some: it is listed, nothing of it is
taken for complete there, and what is today's is not listed as its own.
"""

import random
import struct
from pathlib import Path

import pytest
from cases import sha256
from exfat_image import File, make
from recovery import photographs
from test_behind import MIB
from test_tables import entry
from test_volumes import take

from clew.intake import recount
from clew.intake.disk import foreign
from clew.intake.sources import _foreign, _said
from clew.model import Missing, Reason
from container_files import tool

XP = 63 * 512
SIZE = 5 * MIB
DOUBTED = "nothing is taken for complete there"


def noise(folder: Path, name: str, size: int) -> Path:
    """A file that is no kind that is carved."""
    path = folder / name
    path.write_bytes(random.Random(name).randbytes(size))
    return path


def volume(folder: Path, size: int, files: list[Path], *options: str) -> bytes:
    """A FAT volume with those files in its root."""
    image = folder / "volume.fat"
    image.unlink(missing_ok=True)
    with image.open("wb") as out:
        out.truncate(size)
    tool("mkfs.fat", *options, image)
    tool("mcopy", "-i", image, *files, "::/")
    return image.read_bytes()


def over(image: Path, earlier: bytes, today: bytes) -> None:
    """A disk that had `earlier` at sector 63, as Windows XP has it, and has `today` at sector 2048 by its table."""
    disk = bytearray(MIB + len(today))
    disk[XP : XP + len(earlier)] = earlier
    disk[MIB:] = today
    entry(disk, 0, 2048, len(today) // 512)
    image.write_bytes(disk)


def claims(found: dict[bytes, dict]) -> dict[bytes, tuple[str, str]]:
    """What is claimed of each name and content."""
    return {path: (item["name_state"], item["content_state"]) for path, item in found.items()}


def test_nothing_of_an_earlier_ntfs_that_lies_in_a_partition_of_today_is_complete(tmp_path):
    ntfs = tmp_path / "earlier.ntfs"
    ntfs.write_bytes(bytes(SIZE))
    tool("mkfs.ntfs", "-q", "-F", "-Q", "-p", "63", ntfs)
    for name, size in (("SMALL.TXT", 60), ("OLD1.BIN", 300_000), ("OLD2.BIN", 300_000)):
        tool("ntfscp", "-f", ntfs, noise(tmp_path, name, size), name)
    today = volume(tmp_path, SIZE, [noise(tmp_path, "NEW.BIN", 3_000_000)])
    over(tmp_path / "disk.img", ntfs.read_bytes(), today)
    found, summary = take(tmp_path, tmp_path / "disk.img")
    assert claims(found) == {
        b"SMALL.TXT": ("live", "complete"),  # in its record
        b"OLD1.BIN": ("live", "overwritten possible"),
        b"OLD2.BIN": ("live", "overwritten possible"),
        b"NEW.BIN": ("live", "complete"),
    }
    assert found[b"OLD1.BIN"]["sha256"] != sha256((tmp_path / "OLD1.BIN").read_bytes())
    assert found[b"OLD1.BIN"]["as_read"] == "overwritten possible"
    assert DOUBTED in summary.words()
    assert (
        "2 items, deleted, of an earlier file system, or with clusters of another, may hold bytes of another"
        in summary.words()
    )


def two_fats(tmp_path: Path) -> tuple[bytes, bytes]:
    """An earlier one and today's, for `over`. Each of their clusters is a sector; a directory of the earlier one lies
    where one of today's does then.
    """
    today = tmp_path / "today.fat"
    today.write_bytes(bytes(SIZE))
    tool("mkfs.fat", "-F", "16", "-s", "1", today)
    tool("mmd", "-i", today, "::/DCIM", "::/ELSE")
    tool("mcopy", "-i", today, noise(tmp_path, "NEW.JPG", 900), noise(tmp_path, "NEXT.JPG", 900), "::/DCIM")
    tool("mcopy", "-i", today, noise(tmp_path, "OTHER.JPG", 900), "::/ELSE")
    (tables,) = struct.unpack_from("<H", today.read_bytes(), 22)
    (reserved,) = struct.unpack_from("<H", today.read_bytes(), 14)
    heap = reserved + 2 * tables + 32  # sectors, of both; of today's, DCIM has the first one
    earlier = tmp_path / "earlier.fat"
    earlier.write_bytes(bytes(SIZE))
    tool("mkfs.fat", "-F", "16", "-s", "1", earlier)
    first = noise(tmp_path, "FIRST.BIN", 5000)
    rest = noise(tmp_path, "REST.BIN", (2048 - 63) * 512 - 10 * 512)
    tool("mcopy", "-i", earlier, first, rest, "::/")
    tool("mmd", "-i", earlier, "::/SUB")
    tool("mcopy", "-i", earlier, noise(tmp_path, "BELOW.BIN", 900), "::/SUB")
    raw = earlier.read_bytes()
    assert raw[(heap + 2048 - 63) * 512 :][:11] == b".".ljust(11)
    return raw, today.read_bytes()


def test_no_file_of_today_is_a_lost_or_a_live_one_of_an_earlier_fat(tmp_path):
    over(tmp_path / "disk.img", *two_fats(tmp_path))
    found, summary = take(tmp_path, tmp_path / "disk.img")
    ours = {path: each for path, each in claims(found).items() if not path.startswith(b"DCIM/")}
    assert ours == {
        b"FIRST.BIN": ("live", "complete"),
        b"REST.BIN": ("live", "overwritten possible"),
        b"SUB/": ("live", "unreadable"),
        b"ELSE/OTHER.JPG": ("live", "complete"),
    }
    assert found[b"SUB/"]["detail"] == "where it lies there is a directory of another file system now"
    assert {path for path in found if path.startswith(b"DCIM/")} == {b"DCIM/NEW.JPG", b"DCIM/NEXT.JPG"}
    assert DOUBTED in summary.words()


def test_what_a_second_reader_counts_of_today_s_in_an_earlier_one_is_not_called_unexplained(tmp_path):
    """The table still names the earlier one too, with all of its bytes: libfsfat goes into today's directory."""
    image = tmp_path / "disk.img"
    earlier, today = two_fats(tmp_path)
    over(image, earlier, today)
    disk = bytearray(image.read_bytes())
    entry(disk, 1, 63, len(earlier) // 512)
    image.write_bytes(disk)
    found, summary = take(tmp_path, image)
    assert found[b"SUB/"]["state"] == "unreadable"
    counted = {each.volume: each for each in summary.account.recounts}
    assert counted[f"fs@{MIB}"].said == "they agree"
    assert (counted[f"fs@{XP}"].theirs, counted[f"fs@{XP}"].ours) == (4, 2)
    assert recount.SHARED in counted[f"fs@{XP}"].said
    assert "UNEXPLAINED" not in summary.words()
    assert not summary.complete


def test_file_records_of_today_are_none_of_an_earlier_ext(tmp_path):
    """The fifth group of the earlier one begins where the first one of today's does."""
    starts, disk = {"OLD.TXT": MIB, "NEW.TXT": 5 * MIB}, bytearray(9 * MIB)
    for name, at in starts.items():
        image, content = tmp_path / f"{name}.ext", tmp_path / name
        content.mkdir()
        (content / name).write_text(name)
        image.write_bytes(bytes(len(disk) - at))
        layout = ("-b", "1024", "-g", "1024", "-N", "512", "-O", "^flex_bg,^sparse_super,^resize_inode,^has_journal")
        tool("mke2fs", "-q", "-t", "ext4", *layout, "-d", content, image)
        disk[at:] = image.read_bytes()
    entry(disk, 0, 5 * 2048, 4 * 2048, 0x83)
    (tmp_path / "disk.img").write_bytes(disk)
    found, summary = take(tmp_path, tmp_path / "disk.img")
    assert claims(found) == {b"OLD.TXT": ("live", "complete"), b"NEW.TXT": ("live", "complete")}
    assert foreign.RECORDS in summary.words()


@pytest.mark.parametrize("today", ["FAT", "LUKS"])
def test_a_partition_that_a_stale_table_names_inside_one_of_today_is_no_more_than_what_may_be_left(tmp_path, today):
    image, disk = tmp_path / "disk.img", bytearray(8 * MIB)
    disk[5 * MIB : 6 * MIB] = volume(tmp_path, MIB, [noise(tmp_path, "OLD.BIN", 300_000)])
    image.write_bytes(bytes(len(disk)))
    tool("sgdisk", "-a", "1", "-n", f"1:{5 * 2048}:{6 * 2048 - 1}", image)
    made = bytearray(image.read_bytes())
    made[: 5 * MIB], made[5 * MIB : 6 * MIB] = bytes(5 * MIB), disk[5 * MIB : 6 * MIB]
    if today == "FAT":
        written = volume(tmp_path, 6 * MIB, [noise(tmp_path, "NEW.BIN", 3 * MIB)])
        made[MIB : MIB + len(written)] = written
        made[5 * MIB : 5 * MIB + 100 * 512] = disk[5 * MIB : 5 * MIB + 100 * 512]  # which today's did not write over
    else:
        made[MIB : MIB + 8] = b"LUKS\xba\xbe\x00\x01"
    entry(made, 0, 2048, 6 * 2048)
    image.write_bytes(made)
    found, summary = take(tmp_path, image)
    assert claims(found)[b"OLD.BIN"] == ("live", "overwritten possible")
    assert "1,048,576 of its 1,048,576 bytes, from byte 5,242,880 on, are another partition's" in summary.words()
    assert ("and is searched with that" in summary.words()) is (today == "FAT")
    assert today == "LUKS" or claims(found)[b"NEW.BIN"] == ("live", "complete")


def test_which_partitions_hold_bytes_of_which():
    """Of a table that counts, those of it alone; of what another one names, both; and as far as what opens reaches."""
    rows = [(0, 50, False), (20, 30, False), (40, 30, True), (60, 5, True), (90, 10, False)]
    names = ("offset", "length", "beside")
    table = [dict(zip(names, row, strict=True)) | {"allocated": True} for row in rows]
    said = {0: {"held_bytes": 25}, 20: Missing(Reason.ENCRYPTED), 40: {"logical_volumes": []}, 60: {"disc": True}}
    others = [_foreign.others(each, table, lambda each: said[each["offset"]]) for each in table]
    assert [each.ranges for each in others] == [((20, 30),), ((20, 5),), ((40, 10),), ((60, 5),), ()]
    assert [each.searched for each in others] == [(), ((20, 5),), (), ((60, 5),), ()]
    assert [each.wholly for each in others] == [False, False, False, True, False]
    assert others[4].within(10, {}) is None
    assert "5 of its 5 bytes" in others[3].within(5, {"logical_volumes": []}).detail
    assert others[3].within(5, {"disc": True}) is None


def test_a_worker_that_lies_of_how_far_it_reaches_claims_nothing_of_others():
    for lie in ({"beyond": -1}, {"beyond": "1"}, {"beyond": 1, "cut": None}):
        assert _said.over(lie) == 0
    assert _said.over({"beyond": 9, "cut": 4}) == 5
    told = _foreign.told({"offset": 10, "length": 5}, {"beyond": 9, "cut": 4}, [(11, 2)])
    assert told == {"foreign": [(11, 2), (15, 5)]}
    assert "for 5 bytes beyond its partition" in _said.beyond({"beyond": 9, "cut": 4}).detail
    assert _said.holds({"held_bytes": "x"}, 7) == 0
    assert _said.holds(Missing(Reason.UNPARSABLE), 7) == 0


@pytest.mark.parametrize("family", ["FAT", "exFAT"])
def test_free_space_that_another_partition_has_is_carved_with_that(tmp_path, family):
    """The earlier one begins before today's, of which a picture in use lies in its free space."""
    image, disk = tmp_path / "disk.img", bytearray(7 * MIB)
    picture = tmp_path / "NEW.PNG"
    picture.write_bytes(photographs()["q01.png"])
    if family == "FAT":
        today = volume(tmp_path, 4 * MIB, [picture])
    else:
        whole = File(picture.name, picture.read_bytes(), list(range(20, 20 + -(-picture.stat().st_size // 4096))))
        today = make(tmp_path / "today.exfat", [whole]).read_bytes()
    disk[MIB : 2 * MIB] = volume(tmp_path, 4 * MIB, [noise(tmp_path, "OLD.BIN", 3000)])[:MIB]
    disk[2 * MIB : 6 * MIB] = today
    entry(disk, 0, 2 * 2048, 4 * 2048)
    entry(disk, 1, 2048, 4 * 2048)
    image.write_bytes(disk)
    found, summary = take(tmp_path, image)
    assert claims(found) == {b"OLD.BIN": ("live", "complete"), b"NEW.PNG": ("live", "overwritten possible")}
    assert found[b"NEW.PNG"]["sha256"] == sha256(picture.read_bytes())
    assert summary.words().count("are another partition's") == 2  # as no table says which of them is today's
