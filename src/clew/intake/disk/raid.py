"""Whether a stretch of a disk is one of several over which a RAID deals its bytes out, by what stands at its end.

There what begins the array begins the first disk too, and opens: but only the first stripe of each row is on it, and
the books of the file system count bytes of the array. Linux md 0.90 and 1.0 (drivers/md: md_p.h), Intel's (mdadm:
super-intel.c) and the Disk Data Format of controllers (SNIA, DDF 2.0, section 4.2.1) stand behind the data; those that
stand before it (md 1.1 and 1.2) are known by their beginning (`signatures`).
"""

import struct
from collections.abc import Iterator

from clew.intake.api import ByteSource

_MD = 0xA92B4EFC
_MIRROR, _RAID5, _RAID10 = 1, (4, 5), 10  # levels of md, and of Intel
_STRIPED = {0, 4, 5, 6, 10}
_DEVICE = 3972  # byte of an md 0.90: the number of the device that it was on last
# Numbers that a disk has with its partitions, by the major: of SCSI and SATA, and of IDE (Documentation/admin-guide/
# devices.txt).
_NUMBERS = {**dict.fromkeys((8, *range(65, 72), *range(128, 136)), 16), **dict.fromkeys((3, 22, 33, 34), 64)}
_INTEL, _INTEL_AT = b"Intel Raid ISM Cfg Sig. ", 1024  # bytes before the disk's end
_INTEL_DISKS, _INTEL_DISK, _INTEL_LEVEL = (
    216,
    48,
    127,
)  # bytes: where disks begin; of one; level in a volume behind them
_DDF = b"\xde\x11\xde\x11"
_OLD_BLOCK = 64 << 10  # bytes that md 0.90 keeps for itself, and rounds to
_SECTORS = (512, 4096)


def striped(source: ByteSource, offset: int, length: int) -> str:
    """What the stretch at `offset`, or the whole disk, says that it is a part of; "" where neither says so, and where
    that is a mirror, each disk of which holds all.
    """
    stretches = [(offset, min(offset + length, source.size)), (0, source.size)]
    found = (said for each in stretches for said in _said(source, *each, own=each == stretches[0]))
    return next(filter(None, found), "")


def _said(source: ByteSource, begin: int, end: int, *, own: bool) -> Iterator[str]:
    """By each kind. `own`: of the stretch itself, and not of the disk on which it lies with others."""
    sectors = (end - begin) // 512
    if sectors < 2 * _OLD_BLOCK // 512:
        return
    at = begin + (sectors - 16 & ~7) * 512
    yield _md(source.read(at, 256), (at - begin) // 512)
    at = begin + (end - begin) // _OLD_BLOCK * _OLD_BLOCK - _OLD_BLOCK
    old = source.read(at, 4096)
    yield _old_md(old, at - begin) if own or not _of_partition(old) else ""
    for sector in _SECTORS:
        yield _intel(source.read(end - 2 * sector, 512))
        if source.read(end - sector, 4) == _DDF:
            yield "a RAID of a controller (DDF), which need not be a mirror"


def _md(raw: bytes, sector: int) -> str:
    """By a superblock of version 1, which says at which `sector` of its device it stands."""
    if len(raw) < 256 or struct.unpack_from("<II", raw) != (_MD, 1) or struct.unpack_from("<Q", raw, 144)[0] != sector:
        return ""
    level, layout = struct.unpack_from("<iI", raw, 72)
    return _words(level, layout, struct.unpack_from("<I", raw, 92)[0])


def _old_md(raw: bytes, room: int) -> str:
    """By a superblock of version 0.90, in the order of bytes of the machine; of a device with `room` bytes for data."""
    for order in "<>":
        if len(raw) == 4096 and struct.unpack_from(f"{order}III", raw) == (_MD, 0, 90):
            level, size, _, disks = struct.unpack_from(f"{order}iIII", raw, 28)
            if size * 1024 <= room:
                return _words(level, struct.unpack_from(f"{order}I", raw, 256)[0], disks)
    return ""


def _of_partition(raw: bytes) -> bool:
    """Whether a superblock of version 0.90 tells that it was on a partition: where that begins it does not say, and of
    the last partition it stands where that of the whole disk would.
    """
    order = "<" if raw.startswith(struct.pack("<I", _MD)) else ">"
    major, minor = struct.unpack_from(f"{order}II", raw, _DEVICE) if len(raw) == 4096 else (0, 0)
    return bool(minor % _NUMBERS.get(major, 1))


def _words(level: int, layout: int, disks: int) -> str:
    copies = 2 if level in _RAID5 else layout & 0xFF if level == _RAID10 else 1  # of one, parity is a copy
    if level not in _STRIPED or disks <= copies:
        return ""
    return f"a Linux RAID {level} of {disks} disks"


def _intel(raw: bytes) -> str:
    """By Intel's metadata, of firmware RAIDs of desktops and laptops. A spare names no volume."""
    if len(raw) < 512 or not raw.startswith(_INTEL):
        return ""
    disks, volumes = raw[56], raw[57]
    level = raw[_INTEL_DISKS + _INTEL_DISK * disks + _INTEL_LEVEL :][:2]  # and how many disks it has
    if not volumes or (volumes == 1 and level == bytes((_MIRROR, 2))):
        return ""
    return f"a RAID of Intel's firmware, of {disks} disks, that is no mirror"
