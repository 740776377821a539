"""What is called the volume's own, and what a deleted file's own: by what the disk holds, never by a name alone."""

from pathlib import Path

import pytest
from cases import sha256
from exfat_image import File, make
from test_disk_intake import put, take, tool

from clew.intake.disk import entries

LABEL = "x (Volume Label Entry)"


@pytest.fixture
def card(tmp_path: Path) -> Path:
    """A FAT volume with a label, in clusters of 2 KiB."""
    image = tmp_path / "card.img"
    image.write_bytes(bytes(4 << 20))
    tool("mkfs.fat", "-F", "12", "-s", "4", "-n", "HOLIDAY", image)
    return image


# ---- labels


def test_a_file_that_is_called_like_a_label_is_none_on_fat(card, tmp_path):
    put(card, LABEL, b"live")
    put(card, "gone" + LABEL, b"deleted")
    tool("mdel", "-i", card, f"::/gone{LABEL}")
    found, summary = take(tmp_path, card)
    assert {(path, item["sha256"]) for path, item in found.items()} == {
        (LABEL.encode(), sha256(b"live")),
        (b"gone" + LABEL.encode(), sha256(b"deleted")),
    }
    assert summary.account.notes[entries.LABELS] == 1
    assert summary.account.recounts[0].said == "they agree"


def test_a_content_behind_an_entry_that_is_marked_as_a_label_is_listed(card, tmp_path):
    put(card, "HIDDEN.TXT", b"hidden")
    data = bytearray(card.read_bytes())
    data[data.find(b"HIDDEN  TXT") + 11] |= 0x08
    card.write_bytes(data)
    found, _ = take(tmp_path, card)
    assert [item["sha256"] for item in found.values()] == [sha256(b"hidden")]


def test_a_file_that_is_called_like_a_label_is_none_on_exfat(tmp_path):
    files = [File(LABEL, b"live", [100]), File("gone" + LABEL, b"deleted", [101], deleted=True)]
    image = make(tmp_path / "card.img", files)
    tool("tune.exfat", "-L", "HOLIDAY", image)
    found, summary = take(tmp_path, image)
    assert {item["sha256"] for item in found.values()} == {sha256(b"live"), sha256(b"deleted")}
    assert summary.account.notes[entries.LABELS] == 1
