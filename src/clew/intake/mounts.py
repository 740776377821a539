"""What is mounted on this machine, and by what the file system that a folder lies on is known again.

No root is needed for either.
"""

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

MOUNTS = Path("/proc/self/mountinfo")  # proc_pid_mountinfo(5)
BY_UUID = Path("/dev/disk/by-uuid")  # udev's links: UUIDs, and of FAT, exFAT and NTFS the volume's serial number
# Whose f_fsid is made of what stands in the file system: ext by its UUID, NTFS by its serial number (statfs of the
# kernel's drivers). XFS, F2FS, FAT, exFAT, ISO 9660, HFS+ and UDF give their device's number, tmpfs a random one, and
# that of btrfs depends on the subvolume.
OWN = {"ext2", "ext3", "ext4", "ntfs", "ntfs3"}
# What may give a file another number once it is mounted anew: by the kernel's iunique, or as a FUSE server likes
PASSING = {"vfat", "msdos", "exfat", "cifs", "smb3", "fuse", "fuseblk"}
UUID, FSID, INODE = "uuid", "fsid", "inode"
_ESCAPED = re.compile(rb"\\([0-7]{3})")


class Mount(NamedTuple):
    """One mount: its device number (st_dev), where, which kind of file system, and from what."""

    device: int
    point: bytes
    kind: str
    source: bytes


def mounted() -> Iterator[Mount]:
    """All of them, in the order in which they were made. Raises OSError where the kernel does not tell."""
    for line in MOUNTS.read_bytes().splitlines():
        before, _, behind = line.partition(b" - ")
        own, other = before.split(b" "), behind.split(b" ")
        if len(own) < 5 or len(other) < 2:
            continue
        major, _, minor = own[2].partition(b":")
        device = os.makedev(int(major), int(minor))
        yield Mount(device, _plain(own[4]), other[0].decode("ascii", "replace"), _plain(other[1]))


def lies_on(path: Path) -> dict[str, Any]:
    """By what the file system is known that the folder at `path` lies on: its `kind`, its UUID or serial number as
    `uuid`, and `fsid` where that is its own; and the folder's `inode` there. Empty where neither can be had.
    """
    try:
        status = path.stat()
        mount = _mount(os.fsencode(path.resolve()))
        if mount is None or (mount.device != status.st_dev and os.major(status.st_dev) != 0):
            return {}
        # The number of a btrfs is none of a device: the device is what it was mounted from.
        device = status.st_dev if os.major(status.st_dev) != 0 else _number(os.fsdecode(mount.source))
        found = {UUID: _uuid(device)} if device else {}
        own = os.statvfs(path).f_fsid if mount.kind in OWN else 0
    except (OSError, ValueError):
        return {}
    found |= {FSID: f"{own:016x}"} if own else {}
    known = {name: value for name, value in found.items() if value}
    return {"kind": mount.kind, INODE: status.st_ino, **known} if known else {}


def numbers_last(device: int) -> bool:
    """Whether files on the file system of that number (st_dev) are known again by their inodes."""
    try:
        kinds = {mount.kind.partition(".")[0] for mount in mounted() if mount.device == device}
    except (OSError, ValueError):
        return True
    return not kinds & PASSING


def another(recorded: Mapping[str, Any], found: Mapping[str, Any]) -> bool | None:
    """Whether these are two file systems; None where that is not known."""
    both = [name for name in (UUID, FSID) if name in recorded and name in found]
    return recorded[both[0]] != found[both[0]] if both else None


def words(known: Mapping[str, Any]) -> str:
    """Which file system that is, for a person."""
    return f"{known['kind']} {known.get(UUID) or known[FSID]}"


def _mount(path: bytes) -> Mount | None:
    """Where it lies: the longest mount point above it, of several at one place the last."""
    at: Mount | None = None
    for each in mounted():
        above = each.point.rstrip(b"/") + b"/"
        if (path + b"/").startswith(above) and (at is None or len(each.point) >= len(at.point)):
            at = each
    return at


def _uuid(device: int) -> str | None:
    if not BY_UUID.is_dir():
        return None
    with os.scandir(BY_UUID) as links:
        return next((link.name for link in links if _number(link.path) == device), None)


def _number(node: str) -> int | None:
    """Of which device that is the node, or a link to it; 0 where it is something else."""
    if not node.startswith("/"):
        return None
    try:
        return Path(node).stat().st_rdev
    except OSError:  # it was unplugged, or lies on another machine
        return None


def _plain(field: bytes) -> bytes:
    return _ESCAPED.sub(lambda found: bytes([int(found[1], 8) & 0xFF]), field)
