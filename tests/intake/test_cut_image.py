"""A raw image whose end is missing, its last segment cut or not copied: what it holds says so."""

import struct
from pathlib import Path

import pytest
from test_behind import MIB, partitions
from test_tables import entry
from test_volumes import fat, take

from clew.intake.sources._series import ENDS_IN_FULL
from container_files import tool


def split(folder: Path, disk: bytes, each: int) -> Path:
    """The image in segments of so many bytes; the first of them."""
    for number, at in enumerate(range(0, len(disk), each), 1):
        (folder / f"disk.{number:03}").write_bytes(disk[at : at + each])
    return folder / "disk.001"


def apple(folder: Path) -> bytes:
    """A map of Apple's with one FAT volume at 1 MiB, and what is free behind it up to 4 MiB."""
    disk = bytearray(4 * MIB)
    struct.pack_into(">2sHI", disk, 0, b"ER", 512, len(disk) // 512)
    named = (
        (b"map", b"Apple_partition_map", 1, 63),
        (b"one", b"DOS_FAT_12", 2048, 2048),
        (b"", b"Apple_Free", 4096, 4096),
    )
    for number, (name, kind, first, size) in enumerate(named, 1):
        struct.pack_into(">2sHIII32s32s", disk, 512 * number, b"PM", 0, 3, first, size, name, kind)
        struct.pack_into(">III", disk, 512 * number + 80, 0, size, 0x33)
    disk[MIB : 2 * MIB] = fat(folder, "ONE.TXT")
    return bytes(disk)


def guid(folder: Path) -> bytes:
    """A GPT with one volume; the last MiB is the table's second copy, and free."""
    partitions(folder / "disk.img", [fat(folder, "ONE.TXT")])
    return (folder / "disk.img").read_bytes()


def mbr(folder: Path) -> bytes:
    """An MBR with two volumes, of 1 MiB at 1 and 3 MiB: The Sleuth Kit refuses it where the second begins beyond."""
    disk = bytearray(4 * MIB)
    for number, name in enumerate(("ONE.TXT", "TWO.TXT")):
        at = (1 + 2 * number) * MIB
        disk[at : at + MIB] = fat(folder, name)
        entry(disk, number, at // 512, MIB // 512, 6)
    return bytes(disk)


def ntfs(folder: Path) -> bytes:
    """A volume without its second boot sector, which Windows gives nobody who reads the volume; its last cluster ends
    seven sectors before.
    """
    image = folder / "ntfs.img"
    image.write_bytes(bytes(4 * MIB))
    tool("mkfs.ntfs", "-q", "-F", "-Q", image)
    return image.read_bytes()[:-512]


@pytest.mark.parametrize(
    ("make", "left", "said"),
    [
        (
            apple,
            4 * MIB - 512,
            "Apple_Free at byte 2,097,152, 2,096,640 bytes: unreadable: the partition goes on beyond",
        ),
        (guid, 3 * MIB - 512, "(GPT) lies at byte 3,145,216, beyond the image's end: the image is cut"),
        (mbr, 5 * MIB // 2, "it names a partition that goes on to byte 4,194,304, beyond the image's end"),
        (ntfs, 4 * MIB - 1024, "it goes on for 512 bytes beyond the image's end: the image is cut"),
    ],
)
def test_an_image_whose_last_segment_is_cut_or_missing_is_not_complete(tmp_path, make, left, said):
    found, summary = take(tmp_path, split(tmp_path, make(tmp_path)[:left], MIB))
    assert said in summary.words()
    assert not summary.account.complete
    assert make is ntfs or b"ONE.TXT" in found


def test_a_volume_without_its_second_boot_sector_lacks_nothing(tmp_path):
    (tmp_path / "volume.img").write_bytes(ntfs(tmp_path))
    assert take(tmp_path, tmp_path / "volume.img")[1].account.complete


@pytest.mark.parametrize(("size", "noted"), [(MIB, 1), (3 * MIB, 1), (2 * MIB, None)])
def test_that_the_last_segment_is_as_long_as_the_others_is_noted(tmp_path, size, noted):
    """Nothing else is missing there, so that the image may still be whole."""
    _, summary = take(tmp_path, split(tmp_path, fat(tmp_path, "ONE.TXT", 3 * MIB), size))
    assert summary.account.notes.get(ENDS_IN_FULL) == noted
    assert summary.account.complete
