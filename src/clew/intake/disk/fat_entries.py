"""Live entries of a FAT directory that have a size and name no cluster: The Sleuth Kit passes them over.

Microsoft, FAT32 File System Specification, 2000, "FAT Directory Structure" and "FAT Long Directory Entries".
"""

import struct
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from clew.intake.disk.fat_names import DELETED, ENTRY, FORBIDDEN, named

_OTHER = 0xD8  # attributes: volume, directory, and the two that no entry has


class Pointless(NamedTuple):
    """One such entry: which it is in its directory, its name, and the size that it says, in bytes."""

    number: int
    name: bytes
    size: int


def pointless(data: bytes, *, fat32: bool) -> Iterator[Pointless]:
    """Those of a directory's bytes, in order, up to its end."""
    table = np.frombuffer(data, np.uint8, len(data) // ENTRY * ENTRY).reshape(-1, ENTRY)
    table = table[: int(np.argmin(table[:, 0] != 0)) if not table[:, 0].all() else None]
    zero = (table[:, 26:28] == 0).all(1) & (table[:, 28:32] != 0).any(1)
    zero &= (table[:, 0] != DELETED) & (table[:, 11] & _OTHER == 0)
    if fat32:
        zero &= (table[:, 20:22] == 0).all(1)
    for number in np.flatnonzero(zero).tolist():
        raw = table[number].tobytes()
        if not any(letter < 0x20 or letter in FORBIDDEN for letter in raw[1:11]):
            yield Pointless(number, named(data, number).name, struct.unpack_from("<I", raw, 28)[0])
