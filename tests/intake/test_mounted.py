"""Times of a folder: UTC alone where its file system keeps that."""

import os
import re
from pathlib import Path

import pytest
from cases import items

from case_made import new_case
from clew.attribute.artefacts import MOVED, ZONED
from clew.core import shards
from clew.intake import mounts
from clew.intake.options import Options
from clew.intake.run import intake
from clew.intake.sources import _mounted

OTHER = b"22 1 0:21 / /sys rw,nosuid shared:7 - sysfs sysfs rw\n"


@pytest.fixture
def mounted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Has the tests' own device be a mount of the kind that is named."""
    device = tmp_path.stat().st_dev

    def mount(kind: str) -> str:
        line = f"36 35 {os.major(device)}:{os.minor(device)} / /mnt/a\\040b ro,noatime master:1 - {kind} /dev/sdb1 ro\n"
        (tmp_path / "mountinfo").write_bytes(OTHER + line.encode())
        monkeypatch.setattr(mounts, "MOUNTS", tmp_path / "mountinfo")
        return _mounted.times(device)

    return mount


@pytest.mark.parametrize("kind", ["ext4", "tmpfs", "ntfs3", "hfsplus", "iso9660", "nfs4", "fuse.sshfs"])
def test_a_file_system_that_keeps_utc_gives_utc(mounted, kind):
    assert mounted(kind) == "stat, UTC"


@pytest.mark.parametrize("kind", ["vfat", "msdos", "exfat", "hfs", "hpfs", "affs", "fuseblk", "fuse.jmtpfs", "fuse"])
def test_what_keeps_local_time_is_no_utc_and_was_moved_besides(mounted, kind):
    said = mounted(kind)
    assert (ZONED.search(said), bool(MOVED.search(said))) == (None, True)


def test_udf_may_keep_local_time_and_linux_leaves_it(mounted):
    assert not re.search(f"{ZONED.pattern}|{MOVED.pattern}", mounted("udf"))


def test_a_device_that_no_mount_has_is_of_btrfs_or_an_overlay(mounted):
    mounted("vfat")
    assert _mounted.times(os.makedev(0, 99)) == "stat, UTC"


def test_where_nobody_tells_what_is_mounted_nothing_is_taken_for_utc(monkeypatch, tmp_path):
    monkeypatch.setattr(mounts, "MOUNTS", tmp_path / "gone")
    assert not ZONED.search(_mounted.times(tmp_path.stat().st_dev))


def test_a_folder_on_a_card_says_so_of_each_of_its_files(mounted, tmp_path):
    said = mounted("vfat")
    (tmp_path / "card").mkdir()
    (tmp_path / "card" / "a.txt").write_text("a")
    case = new_case(tmp_path / "case")
    intake(case, path=tmp_path / "card", label="C", options=Options(extractors=(), workers=1))
    assert set(items(case)) == {b"a.txt"}
    (row,) = shards.query(case, "SELECT times_source FROM listings").to_pylist()
    assert row["times_source"] == said == "stat on vfat: local time without a zone, moved by the zone of its mount"
