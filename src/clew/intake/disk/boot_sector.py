"""The boot sector by which The Sleuth Kit opens FAT and exFAT: the first one, or where that has no signature a copy of
it (Microsoft, FAT32 File System Specification, 2000, "BPB_BkBootSec"; exFAT File System Specification, section 3.2).

Who reads another one than it does takes other places for the tables and clusters.
"""

from collections.abc import Callable

_PLACES = (0, 6, 12)  # sectors: the first, the copy of FAT32, that of exFAT
_SECTOR, _SIGNED = 512, b"\x55\xaa"


def boot_sector(read: Callable[[int, int], bytes]) -> bytes:
    """The one with a signature that `read` (byte of the volume, bytes) finds; the first where none has. Raises what
    `read` does.
    """
    for place in _PLACES:
        found = read(place * _SECTOR, _SECTOR)
        if found[510:] == _SIGNED:
            return found
    return read(0, _SECTOR)
