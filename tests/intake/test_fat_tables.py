"""Where the two tables of FAT differ that is said: files are read by the first, which may be the damaged one."""

import errno
import os
import struct
from pathlib import Path

import pytest
from test_disk_intake import put, take, tool

from clew.intake.containers.raw import Raw
from clew.intake.disk import fat_tables
from clew.intake.sources._listed import _TABLES

DIFFER, LEFT = _TABLES["tables_differ"], _TABLES["tables_left"]
KINDS = {"12": (4, "-s", "4"), "16": (16, "-s", "4"), "32": (40, "-s", "1")}


@pytest.fixture(params=KINDS)
def card(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, str]:
    size, *more = KINDS[request.param]
    image = tmp_path / "card.img"
    image.write_bytes(bytes(size << 20))
    tool("mkfs.fat", "-F", request.param, *more, image)
    put(image, "LONG.BIN", bytes(range(256)) * 200)
    return image, request.param


def table(image: Path, number: int) -> tuple[int, int]:
    """Where a table begins, and its bytes."""
    with image.open("rb") as opened:
        boot = opened.read(64)
    reserved, _, size = struct.unpack_from("<HB5xH", boot, 14)
    size = size or struct.unpack_from("<I", boot, 36)[0]
    return (reserved + number * size) * 512, size * 512


def spoil(image: Path, place: int, data: bytes) -> None:
    with image.open("r+b") as opened:
        opened.seek(place)
        opened.write(data)


def test_two_that_are_the_same(card, tmp_path):
    _, summary = take(tmp_path, card[0])
    assert not {DIFFER, LEFT} & summary.account.notes.keys()


def test_the_mark_of_a_volume_in_use_is_no_difference(card, tmp_path):
    image, kind = card
    spoil(image, table(image, 0)[0] + int(kind) // 8 + int(kind == "12"), b"\x77")
    _, summary = take(tmp_path, image)
    assert DIFFER not in summary.account.notes


def test_entries_of_one_that_is_damaged_are_counted(card, tmp_path):
    """Twelve bytes of zeros from the fourth entry on."""
    image, kind = card
    spoil(image, table(image, 0)[0] + 4 * int(kind) // 8, bytes(12))
    found, summary = take(tmp_path, image)
    assert summary.account.notes[DIFFER] == 12 * 8 // int(kind)
    assert found[b"LONG.BIN"]["as_read"] == "partial"
    assert f"noted: {12 * 8 // int(kind):,} {DIFFER}" in summary.words()


def test_what_takes_too_long_is_said(card, monkeypatch):
    monkeypatch.setattr(fat_tables, "SECONDS", -1.0)
    with card[0].open("rb") as opened:
        found = fat_tables.compared(Raw([opened.fileno()]), 0)
    assert found.keys() == {"tables_left"}


def test_a_second_table_that_cannot_be_read_is_said(card):
    image, _ = card
    first, size = table(image, 1)

    class Failing(Raw):
        def read(self, offset: int, length: int) -> bytes:
            if offset < first + size and offset + length > first:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            return super().read(offset, length)

    with image.open("rb") as opened:
        found = fat_tables.compared(Failing([opened.fileno()]), 0)
    assert found.keys() == {"tables_left"}
