"""Files that ext4 encrypts itself, as of Android and ChromeOS: their bytes are no content, and names in a directory of
such ones are none that a user gave.
"""

from pathlib import Path

import pytest
from recovery import tool
from test_volumes import take

from clew.intake.disk import entries
from clew.intake.disk.claims import WITH_KEY
from clew.model import ItemState

REGULAR, DIRECTORY = 0x80800, 0x81800  # extents, encrypt; and an index of names


@pytest.fixture
def phone(tmp_path: Path) -> Path:
    """A directory with two files, and beside it a plain one; of the first, names and contents are encrypted."""
    content, image = tmp_path / "content", tmp_path / "phone.img"
    (content / "media").mkdir(parents=True)
    for name in ("media/IMG_1.jpg", "media/IMG_2.jpg", "plain.txt"):
        (content / name).write_bytes(name.encode() * 400)
    image.write_bytes(bytes(4 << 20))
    tool("mke2fs", "-q", "-t", "ext4", "-O", "encrypt", "-d", content, image)
    for name, flags in (("media", DIRECTORY), ("media/IMG_1.jpg", REGULAR), ("media/IMG_2.jpg", REGULAR)):
        tool("debugfs", "-w", "-R", f"sif /{name} flags {flags:#x}", image)
    return image


def test_a_file_that_ext4_encrypts_is_said_to_be_and_not_hashed(phone, tmp_path):
    found, summary = take(tmp_path, phone)
    paths = {b"media/encrypted-name-" + name.hex().encode() for name in (b"IMG_1.jpg", b"IMG_2.jpg")}
    assert set(found) == paths | {b"plain.txt"}
    for path in paths:
        item = found[path]
        assert (item["state"], item["reason"], item["content_state"]) == ("unreadable", "encrypted", "unreadable")
        assert item["detail"] == f"encrypted by the file system (fscrypt of ext4); {WITH_KEY}"
        assert item["sha256"] is None
    assert found[b"plain.txt"]["state"] == ItemState.DONE
    assert f"{entries.CIPHERED}: 2" in summary.words() or f"2 {entries.CIPHERED}" in summary.words()
    assert not summary.account.complete
