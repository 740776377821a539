"""What the times are that the system gives of a file, by the file system that it lies on.

Some keep the local time of whoever wrote, and no zone. To give UTC, Linux adds the zone that was told to the kernel or
to the mount (mount(8): `tz=UTC`, `time_offset`, `sys_tz`): that of the machine that reads, which is nobody's who wrote.
"""

from clew.intake.mounts import mounted

UTC = "stat, UTC"
_MOVED = "stat on {}: local time without a zone, moved by the zone of its mount"
TIMES = {
    **{name: _MOVED.format(name) for name in ("vfat", "msdos", "hfs", "hpfs", "affs")},
    # Of each time a bit says whether its distance from UTC stands beside it (exFAT specification, 7.4.10.2).
    "exfat": "stat on exfat: UTC where the entry says its zone, else local time, moved by the zone of its mount",
    # A time may say its distance from UTC, or that it has none (ECMA-167, 1/7.3.1); it is taken as UTC then.
    "udf": "stat on udf: UTC where the file says its zone, else local time",
}
# Drivers of exFAT and of phones (MTP) move local times. Where a mount does not name its driver, as "fuseblk" does not,
# one is not told from another (ntfs-3g, which gives UTC).
FUSE = "stat on FUSE: UTC, or local time, moved by the zone of its mount"
PASSED_ON = {f"fuse.{name}" for name in ("bindfs", "fuse-overlayfs", "mergerfs", "ntfs-3g", "sshfs")}  # UTC, as it is
UNKNOWN = "stat: UTC or local time, what the file system is could not be told, moved by the zone of its mount"


def times(device: int) -> str:
    """The `times_source` of what lies on the device with that number (st_dev), as it is mounted now."""
    try:
        kind = next((each.kind for each in mounted() if each.device == device), None)
    except (OSError, ValueError):
        return UNKNOWN
    if kind is None:
        return UTC  # of btrfs and overlays, whose devices no mount has; both keep UTC
    return FUSE if kind.startswith("fuse") and kind not in PASSED_ON else TIMES.get(kind, UTC)
