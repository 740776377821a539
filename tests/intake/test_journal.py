"""A volume that was not unmounted: its last changes stand in its journal alone, and that is said."""

import struct
from pathlib import Path

import pytest
from test_volumes import take

from clew.intake.disk import signatures
from container_files import tool

AHEAD = "what its journal alone has: it was not unmounted"


def ext(folder: Path, *requests: str) -> Path:
    """An ext4 with one file, changed by debugfs."""
    content, image = folder / "content", folder / "disk.img"
    content.mkdir()
    (content / "FILE.TXT").write_text("FILE.TXT")
    image.write_bytes(bytes(4 << 20))
    tool("mke2fs", "-q", "-t", "ext4", "-d", content, image)
    for request in requests:
        tool("debugfs", "-w", "-R", request, image)
    return image


@pytest.mark.parametrize("pulled", [True, False])
def test_an_ext4_whose_plug_was_pulled_may_not_show_its_last_changes(tmp_path, pulled):
    found, summary = take(tmp_path, ext(tmp_path, *["feature needs_recovery"] * pulled))
    assert set(found) == {b"FILE.TXT"}
    assert (AHEAD in summary.words()) is pulled
    assert summary.account.complete is not pulled


@pytest.mark.parametrize(
    ("attributes", "said"),
    [(0x2000, True), (0x2100, False), (0x100, False), (0, False)],  # without a journal there is nothing in it
)
def test_an_hfs_plus_says_whether_it_was_unmounted(attributes, said):
    head = bytes(1024) + b"H+\0\4" + struct.pack(">I", attributes) + bytes(4096)
    assert (AHEAD in signatures.beside("HFS+", head)) is said


def test_what_else_is_beside_is_said_too():
    head = bytearray(8192)
    struct.pack_into("<I", head, 1024 + 96, 0x10000 | 0x10 | 4)
    assert AHEAD in signatures.beside("ext", bytes(head))
    assert "fscrypt" in signatures.beside("ext", bytes(head))
    assert len(signatures.beside("ext", bytes(head))) < 400
