"""Files in use that no directory names, or none that could be read: nobody deleted them, and nobody else has a claim to
their clusters.
"""

import pytest
from cases import sha256
from ntfs_volume import blank, written
from recovery import tool
from test_volumes import take

from clew.intake.disk.claims import UNLINKED
from clew.intake.walk import OWN_FILES

OLD, NEW = b"old" * 30_000, b"new" * 10_000
NAMES = [f"a{number}.jpg" for number in range(30)]


@pytest.fixture
def torn(tmp_path):
    """The block of an index in which the directory `photos` holds its names does not fit its fix-ups. An older file
    that was deleted claims the clusters of one in it.
    """
    image = blank(tmp_path / "image")
    with written(image) as volume:
        volume.create("/photos", folder=True)
        for name in NAMES[1:]:
            volume.create(f"/photos/{name}", name.encode())
        volume.create("/first", b"first")
        volume.create("/old.bin", OLD)
    for name in ("first", "old.bin"):
        with written(image) as volume:
            volume.delete(f"/{name}")
    with written(image) as volume:
        volume.create(f"/photos/{NAMES[0]}", NEW)
    raw = bytearray(image.read_bytes())
    assert raw.find(OLD[len(NEW) + 4096 :]) > 0
    at = next(
        at for at in range(0, len(raw), 4096) if raw[at : at + 4] == b"INDX" and letters(NAMES[1]) in raw[at:][:4096]
    )
    raw[at + 510] ^= 0xFF
    image.write_bytes(raw)
    return image


def letters(name: str) -> bytes:
    return name.encode("utf-16-le")


def test_a_file_in_use_in_a_torn_directory_of_ntfs_was_not_deleted(torn, tmp_path):
    found, summary = take(tmp_path, torn)
    states = {name: found[f"photos/{name}".encode()] for name in NAMES}
    assert {item["name_state"] for item in states.values()} == {"unattached"}
    assert {item["as_read"] for item in states.values()} == {"complete"}
    assert states[NAMES[0]]["sha256"] == sha256(NEW)
    assert (found[b"old.bin"]["name_state"], found[b"old.bin"]["as_read"]) == ("deleted", "overwritten possible")
    assert not summary.account.complete
    assert "30 unattached" in summary.words()


def test_an_inode_in_use_without_a_name(tmp_path):
    image, file = tmp_path / "ext.img", tmp_path / "file"
    image.write_bytes(bytes(8 << 20))
    file.write_bytes(NEW)
    tool("mke2fs", "-q", "-F", "-t", "ext2", image)
    for request in (f"write {file} lost", f"write {file} gone", "unlink lost", "rm gone"):
        tool("debugfs", "-w", "-R", request, image)
    found, _ = take(tmp_path, image)
    states = {path: (item["name_state"], item["as_read"]) for path, item in found.items() if item["size"] == len(NEW)}
    assert states == {
        b"$OrphanFiles/inode-12": ("unattached", "complete"),
        b"gone": ("deleted", "overwritten possible"),
    }


def test_inodes_of_the_file_system_itself_are_no_files_without_a_name(tmp_path):
    """As newer mke2fs makes them by itself: the file of orphans; and the quota of projects."""
    image = tmp_path / "ext.img"
    image.write_bytes(bytes(8 << 20))
    tool("mke2fs", "-q", "-t", "ext4", "-O", "orphan_file,quota,project", image)
    found, summary = take(tmp_path / "whole", image)
    assert not found
    assert f"2 {OWN_FILES}" in summary.words()
    raw = image.read_bytes().replace((0x0B10CA04).to_bytes(4, "little"), bytes(4))  # no magic where it should be
    image.write_bytes(raw)
    tool("debugfs", "-w", "-R", "ssv prj_quota_inum 14", image)  # nor by the superblock
    found, _ = take(tmp_path / "other", image)
    assert set(found) == {b"$OrphanFiles/inode-12", b"$OrphanFiles/inode-13"}


def test_an_inode_that_was_unlinked_while_open_is_a_deleted_file(tmp_path):
    """As a pulled plug leaves it: in use, and its own count of names is 0. Its blocks are those of a file that was
    deleted before; of one of 0 bytes there is no telling whether it was emptied already.
    """
    image, files = tmp_path / "ext.img", {"old": OLD, "new": NEW, "empty": b""}
    image.write_bytes(bytes(8 << 20))
    tool("mke2fs", "-q", "-F", "-t", "ext4", image)
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    before = ["mkdir sub", *(f"write {tmp_path}/empty sub/{place}" for place in "abc"), f"write {tmp_path}/old sub/old"]
    freed = [f"rm sub/{name}" for name in ("a", "b", "c", "old")]
    after = ["write /dev/null kept", f"write {tmp_path}/new new", f"write {tmp_path}/empty empty"]
    gone = ["unlink new", "unlink empty", "sif <14> links_count 0", "sif <15> links_count 0"]
    for request in (*before, *freed, *after, *gone):
        tool("debugfs", "-w", "-R", request, image)
    found, summary = take(tmp_path, image)
    said = {path: (item["name_state"], item["as_read"]) for path, item in found.items()}
    assert said == {
        b"kept": ("live", "complete"),
        b"$OrphanFiles/inode-14": ("orphan", "complete"),
        b"$OrphanFiles/inode-15": ("orphan", None),
        b"sub/old": ("deleted", "overwritten possible"),
        b"sub/a": ("reallocated", None),
        **dict.fromkeys((b"new", b"sub/b", b"empty", b"sub/c"), ("deleted", None)),
    }
    assert found[b"$OrphanFiles/inode-14"]["sha256"] == sha256(NEW)
    assert found[b"new"]["detail"] == UNLINKED
    assert "unattached" not in summary.words()
