"""Live entries of FAT with a size and without a cluster, as a write leaves them that broke off: The Sleuth Kit passes
them over, and their names are told all the same.
"""

import pytest
from cases import sha256
from hypothesis import given
from hypothesis import strategies as st
from recovery import tool
from test_volumes import take

from clew.intake.disk.fat_entries import ENTRY, pointless

CONTENT = b"content" * 900
LONG = "holidays, at the sea.jpg"


@pytest.mark.parametrize("kind", ["16", "32"])
def test_a_live_entry_without_a_cluster_is_listed_by_its_name(kind, tmp_path):
    image, folder = tmp_path / "card.img", tmp_path / "sub"
    image.write_bytes(bytes(40 << 20 if kind == "32" else 8 << 20))
    folder.mkdir()
    for name in ("a.jpg", "C.JPG", "X.JPG", *(f"sub/file with a long name {number}.jpg" for number in range(9))):
        (tmp_path / name).write_bytes(CONTENT)
    (folder / LONG).write_bytes(CONTENT)
    tool("mkfs.fat", "-F", kind, "-s", "1", image)
    tool("mcopy", "-s", "-i", image, *(tmp_path / name for name in ("a.jpg", "C.JPG", "X.JPG")), folder, "::/")
    tool("mcopy", "-i", image, tmp_path / "C.JPG", "::/sub/D.JPG")  # behind the first cluster of the directory
    tool("mdel", "-i", image, "::/X.JPG")
    raw = bytearray(image.read_bytes())
    for short in (b"C       JPG", b"D       JPG", b"HOLIDA~1JPG", b"\xe5       JPG"):
        at = raw.find(short)
        assert at > 0
        raw[at + 20 : at + 22] = raw[at + 26 : at + 28] = bytes(2)
    image.write_bytes(raw)
    found, summary = take(tmp_path, image)
    for path in (b"C.JPG", b"sub/D.JPG", f"sub/{LONG}".encode()):
        item = found[path]
        assert (item["name_state"], item["content_state"]) == ("live", "unreadable"), path
        assert item["detail"] == "its directory entry says 6,300 bytes, and names no cluster"
    assert found[b"a.jpg"]["sha256"] == found[b"sub/file with a long name 8.jpg"]["sha256"] == sha256(CONTENT)
    assert [path for path, item in found.items() if item["name_state"] == "live" and b"X" in path] == []
    assert "they agree" in summary.words()


@given(st.binary(max_size=40 * ENTRY), st.booleans())
def test_no_bytes_break_it(data, fat32):
    for entry in pointless(data, fat32=fat32):
        assert entry.name
        assert entry.size
        assert not data[entry.number * ENTRY + 26 : entry.number * ENTRY + 28].strip(b"\0")
