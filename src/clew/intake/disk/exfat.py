"""exFAT's own books (Microsoft, exFAT file system specification, 2019): which clusters are in use, and whether a file
lay in one run.

Deleting a file clears the in-use bit of its entries and its bits in the allocation bitmap. A file without a chain in
the table (NoFatChain, section 6.3.4.2) lay in one run for certain; of any other that was deleted nobody can tell.
"""

import struct
from collections.abc import Callable, Iterator
from functools import lru_cache

import numpy as np

from clew.intake.disk.bitmap import WINDOW, Used, bits

IN_USE = 0x80
_BITMAP, _FILE, _STREAM = 0x81, 0x05, 0x40  # types of directory entries, the last two without the in-use bit
_NO_CHAIN = 2
_END = 0xFFFFFFF8
_FIRST_ADDRESS = 3  # The Sleuth Kit numbers the 32-byte entries of the cluster heap from here
_MOST_ENTRIES = 1 << 16  # of the root directory that are looked at
Read = Callable[[int, int], bytes]


class Books:
    """The boot sector's numbers, and what follows from them. Raises ValueError, OSError, struct.error."""

    def __init__(self, read: Read) -> None:
        boot = read(0, 512)
        self._read = read
        fat, _, heap, self._clusters, root = struct.unpack_from("<5I", boot, 80)
        sector_bits, cluster_bits = boot[108], boot[109]
        if boot[3:11] != b"EXFAT   " or not 9 <= sector_bits <= 12 or cluster_bits > 25 - sector_bits:
            raise ValueError("no exFAT")
        self.cluster, self._cluster = 1 << cluster_bits, 1 << (cluster_bits + sector_bits)
        self._fat, self._heap_sector = fat << sector_bits, heap
        self._heap = heap << sector_bits
        first, self._size = self._find_bitmap(root)
        self._chain = list(self._follow(first, -(-self._size // self._cluster)))
        self._window = lru_cache(maxsize=64)(self._read_window)

    def count(self, address: int, blocks: int) -> int:
        """How many of `blocks` sectors from `address` are allocated; what cannot be read counts as allocated."""
        return int(self.used(address, blocks).sum())

    def used(self, address: int, blocks: int) -> Used:
        """The same, sector by sector."""
        found = np.ones(blocks, np.bool_)
        first = max(address, self._heap_sector)
        end = min(address + blocks, self._heap_sector + self._clusters * self.cluster)
        if first < end:
            cluster, inside = divmod(first - self._heap_sector, self.cluster)
            last = (end - 1 - self._heap_sector) // self.cluster
            each = np.repeat(bits(self._window, cluster, last + 1 - cluster), self.cluster)
            found[first - address : end - address] = each[inside : inside + end - first]
        return found

    def boundary(self, address: int) -> int:
        """The first sector of the cluster that this one lies in."""
        inside: int = (max(address, self._heap_sector) - self._heap_sector) % self.cluster
        return address - inside

    def one_run(self, address: int) -> bool:
        """Whether the file whose entry has that address is known to have lain in one run; False where nothing tells."""
        entry = self._read(self._heap + (address - _FIRST_ADDRESS) * 32, 64)
        if len(entry) < 64 or entry[0] & ~IN_USE != _FILE or entry[32] & ~IN_USE != _STREAM:
            return False
        return bool(entry[33] & _NO_CHAIN)

    def own(self, address: int) -> bool:
        """Whether the entry is one of the volume's own: its bitmap, its table of upper case letters, its label."""
        return self._read(self._heap + (address - _FIRST_ADDRESS) * 32, 1) in {b"\x81", b"\x82", b"\x83"}

    def _find_bitmap(self, root: int) -> tuple[int, int]:
        """First cluster and bytes of the allocation bitmap."""
        seen = 0
        for cluster in self._follow(root, -(-_MOST_ENTRIES * 32 // self._cluster)):
            data = self._read(self._heap + (cluster - 2) * self._cluster, self._cluster)
            for at in range(0, len(data), 32):
                seen += 1
                if data[at] == _BITMAP and not data[at + 1] & 1:
                    first, size = struct.unpack_from("<IQ", data, at + 20)
                    if size * 8 < self._clusters or size > 1 << 29:
                        raise ValueError("a bitmap that does not fit the volume")
                    return first, size
                if data[at] == 0:
                    break
        raise ValueError(f"no allocation bitmap among {seen} entries")

    def _follow(self, cluster: int, most: int) -> Iterator[int]:
        """The clusters of a chain, `most` of them at most."""
        for _ in range(most):
            if not 2 <= cluster < self._clusters + 2:
                return
            yield cluster
            (cluster,) = struct.unpack("<I", self._read(self._fat + cluster * 4, 4))
            if cluster >= _END:
                return

    def _read_window(self, number: int) -> bytes:
        """64 KiB of the bitmap, or less where its chain or the image ends."""
        at, end = number * WINDOW, min((number + 1) * WINDOW, self._size)
        found = bytearray()
        while at < end:
            index, inside = divmod(at, self._cluster)
            if index >= len(self._chain):
                break
            length = min(end - at, self._cluster - inside)
            found += self._read(self._heap + (self._chain[index] - 2) * self._cluster + inside, length)
            at += length
        return bytes(found)
