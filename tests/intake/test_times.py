"""The times of an Item are those that its file system keeps, and beside them stands what they are worth."""

import struct
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from exfat_image import File, make

from case_made import new_case
from clew.attribute.artefacts import ZONED
from clew.core import shards
from clew.intake.options import Options
from clew.intake.run import intake
from container_files import tool

NAMES = ("modified_ns", "accessed_ns", "changed_ns", "born_ns")
SECOND = 10**9
# Of days on which clocks stand otherwise than in winter: no local time of this machine may have a part in it
BORN, WRITTEN, READ = datetime(2026, 7, 1, 11, 12, 14), datetime(2026, 7, 5, 23, 8, 10), datetime(2026, 8, 9)


def taken(folder: Path, image: Path) -> tuple[list[int | None], str]:
    """The times of the one Item in an image, in the order of NAMES, and their source."""
    case = new_case(folder / "case")
    assert intake(case, path=image, label="D", workers=1, options=Options(extractors=())).account.balanced
    (row,) = shards.query(case, f"SELECT {', '.join(NAMES)}, times_source FROM listings").to_pylist()
    return [row[name] for name in NAMES], row["times_source"]


def ns(when: datetime, more: int = 0) -> int:
    return int(when.replace(tzinfo=UTC).timestamp()) * SECOND + more


def day(when: datetime) -> int:
    """As FAT has it (Microsoft, FAT: General Overview of On-Disk Format, "Date and Time Formats")."""
    return (when.year - 1980) << 9 | when.month << 5 | when.day


def clock(when: datetime) -> int:
    return when.hour << 11 | when.minute << 5 | when.second // 2


def test_times_of_fat_are_local_ones_and_said_to_be(tmp_path: Path) -> None:
    image, file = tmp_path / "disk.img", tmp_path / "KEPT.TXT"
    file.write_bytes(b"kept")
    with image.open("wb") as out:
        out.truncate(4 << 20)
    tool("mkfs.fat", image)
    tool("mcopy", "-i", image, file, "::/")
    data = bytearray(image.read_bytes())
    at = data.index(b"KEPT    TXT")
    struct.pack_into("<B3H", data, at + 13, 150, clock(BORN), day(BORN), day(READ))
    struct.pack_into("<2H", data, at + 22, clock(WRITTEN), day(WRITTEN))
    image.write_bytes(data)
    times, source = taken(tmp_path, image)
    assert times == [ns(WRITTEN), ns(READ), None, ns(BORN, 3 * SECOND // 2)]
    assert source == "directory entry, local time without a zone, taken as UTC"


ENTRY = tuple(day(when) << 16 | clock(when) for when in (BORN, WRITTEN, READ))


@pytest.mark.parametrize("zones", [b"\0\0\0", b"\x08\x08\x08", b"\x88\x88\0"], ids=["none", "not valid", "not of all"])
def test_times_of_exfat_without_a_zone_are_local_ones_and_said_to_be(tmp_path: Path, zones: bytes) -> None:
    image = make(tmp_path / "card.img", [File("kept.txt", b"kept", [100], times=ENTRY, zones=zones)])
    times, source = taken(tmp_path, image)
    assert times == [ns(WRITTEN), ns(READ), None, ns(BORN)]
    assert source == "directory entry, local time, of which no zone is stated, taken as UTC"
    assert not ZONED.search(source)


def test_times_of_exfat_are_utc_where_each_states_its_zone(tmp_path: Path) -> None:
    """In quarters of an hour, signed, of 7 bits: 2 hours east, 3.5 hours west, UTC itself."""
    image = make(tmp_path / "card.img", [File("kept.txt", b"kept", [100], times=ENTRY, zones=b"\x88\xf2\x80")])
    times, source = taken(tmp_path, image)
    hour = 3600 * SECOND
    assert times == [ns(WRITTEN) + 7 * hour // 2, ns(READ), None, ns(BORN) - 2 * hour]
    assert source == "directory entry, UTC by the zone that it states"
    assert ZONED.search(source)


def test_times_of_ext_are_utc_to_the_nanosecond(tmp_path: Path) -> None:
    image, tree = tmp_path / "disk.img", tmp_path / "tree"
    tree.mkdir()
    (tree / "kept.txt").write_bytes(b"kept")
    with image.open("wb") as out:
        out.truncate(8 << 20)
    tool("mkfs.ext4", "-q", "-I", "256", "-d", tree, image)
    wanted: dict[str, Any] = {"mtime": (WRITTEN, 123_456_789), "atime": (READ, 1), "ctime": (WRITTEN, 2)}
    wanted["crtime"] = BORN, 999_999_999
    for name, (when, more) in wanted.items():
        for what, value in ((name, f"@{ns(when) // SECOND}"), (f"{name}_extra", more << 2)):  # two bits are the epoch's
            tool("debugfs", "-w", "-R", f"set_inode_field kept.txt {what} {value}", image)
    times, source = taken(tmp_path, image)
    assert times == [ns(*each) for each in wanted.values()]
    assert source == "inode, UTC"
