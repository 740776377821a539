"""A volume of FAT32 whose first boot sector is lost: The Sleuth Kit opens it by the copy, and so does all else here."""

import random
from pathlib import Path

import pytest
from test_disk_intake import put, take, tool

from clew.intake.containers.raw import Raw
from clew.intake.disk import fat_tables
from clew.intake.disk.boot_sector import boot_sector


@pytest.fixture
def card(tmp_path: Path) -> Path:
    """With a deleted file, and others before and behind it."""
    image = tmp_path / "card.img"
    image.write_bytes(bytes(40 << 20))
    tool("mkfs.fat", "-F", "32", "-s", "1", image)
    for name in ("A.BIN", "GONE.BIN", "B.BIN"):
        put(image, name, name.encode() * 1000)
    tool("mdel", "-i", image, "::/GONE.BIN")
    return image


def spoil(image: Path, head: bytes) -> None:
    with image.open("r+b") as opened:
        opened.write(head)


@pytest.mark.parametrize("head", [bytes(512), random.Random(5).randbytes(510) + bytes(2)], ids=["zeros", "noise"])
def test_what_is_claimed_is_the_same_by_the_copy(card, tmp_path, head):
    (tmp_path / "healthy").mkdir()
    (tmp_path / "spoilt").mkdir()
    before, first = take(tmp_path / "healthy", card)
    spoil(card, head)
    after, second = take(tmp_path / "spoilt", card)
    for name in (b"A.BIN", b"B.BIN", b"_ONE.BIN"):
        for key in ("sha256", "as_read"):
            assert after[name][key] == before[name][key]
    assert after.keys() == before.keys()
    assert not {part["part"] for part in second.account.parts_unreadable} - {"fs@0/recount"}
    assert first.account.parts_unreadable == []


def test_tables_are_compared_where_the_copy_says_that_they_lie(card):
    spoil(card, bytes(512))
    with card.open("rb") as opened:
        source = Raw([opened.fileno()])
        assert boot_sector(source.read)[3:11] == b"mkfs.fat"
        assert fat_tables.compared(source, 0) == {}


@pytest.mark.parametrize("number", [0, 6, 12])
def test_the_first_that_has_a_signature_counts(number):
    disk = bytearray(16 * 512)
    disk[number * 512 + 510 : number * 512 + 512] = b"\x55\xaa"
    disk[number * 512] = 0xEB
    assert boot_sector(lambda at, length: bytes(disk[at : at + length]))[0] == 0xEB


def test_without_any_the_first_counts():
    assert boot_sector(lambda at, length: bytes([at // 512]) * length) == bytes(512)
