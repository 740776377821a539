"""File systems of ext that are laid out as The Sleuth Kit does not know them: read as they lie, or refused in words."""

import struct

import pytest
from cases import sha256
from test_volumes import take

from clew.intake.disk import ext_layout, signatures
from container_files import tool


def ext(folder, *options: str, size: str = "40M"):
    """A file system with a hundred files whose content is their name."""
    image, files = folder / "ext.img", folder / "files"
    files.mkdir()
    for number in range(100):
        (files / f"{number}.txt").write_text(f"{number}.txt")
    tool("mke2fs", "-q", "-F", "-d", files, *options, image, size)
    return image


@pytest.mark.parametrize("groups", [1, 40])
def test_meta_bg_is_read_where_one_block_describes_all_groups_and_else_refused(tmp_path, groups):
    options = ("-t", "ext4", "-b", "1024", "-O", "meta_bg,^resize_inode")
    image = ext(tmp_path, *options, *(("-g", "1024") if groups > 1 else ()))
    found, summary = take(tmp_path, image)
    if groups > 1:
        assert not any(item["name_state"] == "live" for item in found.values())
        assert "ext4 with meta_bg" in summary.words()
        assert "`debugfs -R 'rdump / FOLDER'`" in summary.words()
        assert "carving of a whole partition" in summary.words()
    else:
        assert {item["sha256"] for item in found.values()} == {sha256(b"%d.txt" % number) for number in range(100)}
        assert "carving of free space: " in summary.words()


def superblock(**said: int) -> bytes:
    places = {"blocks": 4, "per_group": 32, "features": 96, "size": 254, "together": 260}
    raw = bytearray(1024)
    for name, number in ({"blocks": 1 << 20, "per_group": 8192, "features": 0x10} | said).items():
        struct.pack_into("<H" if name == "size" else "<I", raw, places[name], number)
    return bytes(raw)


def test_when_descriptors_lie_elsewhere():
    assert ext_layout.scattered(superblock())  # 128 groups, 32 to a block of 1024 bytes
    assert not ext_layout.scattered(superblock(features=0))
    assert not ext_layout.scattered(superblock(blocks=32 * 8192))
    assert ext_layout.scattered(superblock(blocks=32 * 8192 + 1))
    assert ext_layout.scattered(superblock(blocks=32 * 8192, features=0x90, size=64))
    assert not ext_layout.scattered(superblock(together=4))
    assert ext_layout.scattered(superblock(together=3))
    assert not ext_layout.scattered(superblock(per_group=0))


def test_a_feature_that_is_not_known_is_said(tmp_path):
    assert ext_layout.unknown(superblock(features=0x3F7D6 & ~0x1000)) == ""
    assert "dirdata, unknown ones (0x40000)" in ext_layout.unknown(superblock(features=0x41000))
    image = ext(tmp_path, "-t", "ext2", size="8M")
    with image.open("r+b") as data:
        data.seek(1024 + 96)
        data.write(b"\x03")
    assert "(compression)" in signatures.beside("ext", image.read_bytes()[: signatures.LOOK])
    _, summary = take(tmp_path, image)
    assert "features of ext that this version does not read (compression)" in summary.words()
    assert not summary.account.complete
