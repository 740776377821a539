"""The two tables of a FAT volume held against each other: where they differ, one of them was damaged, or written to
last, and files are read by the first (Microsoft, FAT32 File System Specification, 2000, "FAT Data Structure").

Left out are the first two entries, which name no cluster: systems mark a volume that is in use in one table alone.
"""

import struct
from time import monotonic

import numpy as np
from numpy.typing import NDArray

from clew.intake.api import ByteSource
from clew.intake.disk.boot_sector import boot_sector

DIFFER, LEFT = "tables_differ", "tables_left"
SECONDS = 5.0  # after which the rest stays uncompared
_RESERVED, _FAT32_MASK = 2, 0x0FFFFFFF
_TOGETHER = 3 << 20  # bytes read together: of entries of 12, 16 and 32 bits a whole number


def compared(source: ByteSource, offset: int) -> dict[str, int]:
    """In how many entries the second table of the volume at byte `offset` is not the first, and how many bytes of them
    were not compared, as they take too long or cannot be read; nothing where it is the same, or there is none.
    """
    boot = boot_sector(lambda at, length: source.read(offset + at, length))
    sector, per_cluster, reserved, tables, root, small, _, size = struct.unpack_from("<HBHBHHBH", boot, 11)
    size = size or struct.unpack_from("<I", boot, 36)[0]
    sectors = small or struct.unpack_from("<I", boot, 32)[0]
    if tables < 2 or not sector or not per_cluster:
        return {}
    clusters = max(sectors - reserved - tables * size - -(-root * 32 // sector), 0) // per_cluster
    bits = 12 if clusters < 4085 else 16 if clusters < 65525 else 32
    first, second = (offset + (reserved + number * size) * sector for number in (0, 1))
    length = min(size * sector, -(-(clusters + _RESERVED) * bits // 8))
    differ, failed, at, end = 0, 0, 0, monotonic() + SECONDS
    while at < length and monotonic() < end:
        many = min(_TOGETHER, length - at)
        try:
            one, other = source.read(first + at, many), source.read(second + at, many)
        except OSError:  # of the second one, by which no file is read
            failed += many
            one = other = b""
        if one != other and len(one) == len(other):
            differ += _differ(one, other, bits, _RESERVED if at == 0 else 0)
        at += many
    found = {DIFFER: differ, LEFT: failed + length - min(at, length)}
    return {key: count for key, count in found.items() if count}


def _differ(one: bytes, other: bytes, bits: int, passed: int) -> int:
    """In how many entries two stretches differ, but for the first ones that are `passed` over."""
    return int((_entries(one, bits) != _entries(other, bits))[passed:].sum())


def _entries(raw: bytes, bits: int) -> NDArray[np.uint32]:
    if bits == 12:  # two in three bytes
        each = np.frombuffer(raw + bytes(-len(raw) % 3), np.uint8).reshape(-1, 3).astype(np.uint32)
        return np.stack([each[:, 0] | (each[:, 1] & 15) << 8, each[:, 1] >> 4 | each[:, 2] << 4], axis=1).reshape(-1)
    kind, mask = ("<u2", 0xFFFF) if bits == 16 else ("<u4", _FAT32_MASK)
    return np.frombuffer(raw, kind, len(raw) * 8 // bits).astype(np.uint32) & np.uint32(mask)
