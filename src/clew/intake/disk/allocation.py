"""Which blocks of a file system belong to somebody now: whether a deleted file's clusters were given away.

Read from NTFS's $Bitmap, the file allocation table, and ext's block bitmaps (Carrier, File System Forensic Analysis,
2005, chapters 9, 11, 14; for ext4 https://docs.kernel.org/filesystems/ext4/), exFAT's allocation bitmap (Microsoft,
exFAT file system specification, sections 3.1 and 7.1) and HFS+'s allocation file (Apple, Technical Note TN1150).
Where clew cannot read it, nothing deleted is ever called complete, and no free space is carved.
"""

import struct
from array import array
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cached_property, lru_cache, partial
from typing import Protocol

import numpy as np
import pytsk3
from numpy.typing import NDArray

from clew.intake.disk import ext_layout
from clew.intake.disk.bitmap import WINDOW, Runs, Used, bits, by_cluster, ones, stretches
from clew.intake.disk.boot_sector import boot_sector

MOST_CLUSTER = 1 << 25  # bytes, of exFAT
MOST_CHAIN = 1 << 28  # bytes of exFAT's root directory (its own limit) or bitmap
_NO_BLOCKS = int(pytsk3.TSK_FS_ATTR_RUN_FLAG_SPARSE) | int(pytsk3.TSK_FS_ATTR_RUN_FLAG_FILLER)
_NTFS_BAD, _EXT_BAD, _HFS_BAD = 8, 1, 5  # the files that hold bad blocks: $BadClus, an inode, a catalog node
_FAT_BAD = {12: 0xFF7, 16: 0xFFF7, 32: 0x0FFFFFF7}  # an entry of the table, by its bits
_EXFAT_BAD = 0xFFFFFFF7  # exFAT file system specification, section 4.1
BITMAP = 0x81  # the type of exFAT's directory entry
MANY = 64  # clusters from which a FAT is counted a window at a time
Read = Callable[[int, int], bytes]
_MIRRORED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


class Taken(Protocol):
    """Counts allocated blocks. Addresses are The Sleuth Kit's blocks (on FAT: sectors)."""

    def count(self, address: int, blocks: int) -> int:
        """How many of `blocks` blocks from `address` are allocated; what cannot be read counts as allocated."""
        ...

    def used(self, address: int, blocks: int) -> Used:
        """The same, block by block."""
        ...

    @property
    def cluster(self) -> int:
        """Blocks that are given out together."""
        ...

    @property
    def begin(self) -> int:
        """The first block that is given out."""
        ...

    @property
    def end(self) -> int:
        """The first block behind those of which the books tell."""
        ...

    def boundary(self, address: int) -> int:
        """The first block of the cluster that this one lies in."""
        ...

    def marked(self, address: int, blocks: int) -> Used:
        """Which of them are marked as bad."""
        ...


def of(family: str, fs: pytsk3.FS_Info, image: pytsk3.Img_Info, offset: int) -> Taken | None:
    """The allocation of that file system, or None where clew cannot tell."""
    opener = _OPENERS.get(family)
    try:
        return opener(fs, _reader(image, offset)) if opener is not None else None
    except (OSError, struct.error, ValueError, ZeroDivisionError, IndexError):
        return None


def free(taken: Taken, first: int, end: int) -> Iterator[tuple[int, int]]:
    """The stretches of free blocks from `first` to `end` (exclusive), as (address, blocks)."""
    return stretches(lambda address, blocks: ~taken.used(address, blocks), first, end)


def bad(taken: Taken, first: int, end: int) -> Iterator[tuple[int, int]]:
    """The stretches of `in_use_as_bad` blocks from `first` to `end` (exclusive), as (address, blocks)."""
    return stretches(partial(in_use_as_bad, taken), first, end)


def in_use_as_bad(taken: Taken, address: int, blocks: int) -> Used:
    """Which blocks are in use since they are marked as bad: they are nobody's, and a hiding place."""
    marked = taken.marked(address, blocks)
    return marked & taken.used(address, blocks) if marked.any() else marked


def count_bad(taken: Taken, address: int, blocks: int) -> int:
    """How many of them are."""
    return int(in_use_as_bad(taken, address, blocks).sum())


def _of_file(fs: pytsk3.FS_Info, number: int) -> Runs:
    """The blocks that a file of the file system's own holds; none where there is no such file."""
    runs: list[tuple[int, int]] = []
    with suppress(OSError):
        for attribute in fs.open_meta(inode=number):
            for run in attribute:
                if not int(run.flags) & _NO_BLOCKS:
                    runs.append((int(run.addr), int(run.len)))
    return Runs(runs)


def _reader(image: pytsk3.Img_Info, offset: int) -> Read:
    return lambda at, length: bytes(image.read(offset + at, length))


class _Ntfs:
    """$Bitmap is MFT entry 6: one bit a cluster."""

    _BAD = _NTFS_BAD

    def __init__(self, fs: pytsk3.FS_Info) -> None:
        file = fs.open_meta(inode=6)
        size = int(file.info.meta.size)

        @lru_cache(maxsize=64)
        def window(number: int) -> bytes:
            at = number * WINDOW
            return bytes(file.read_random(at, min(WINDOW, size - at))) if at < size else b""

        self._window, self._fs = window, fs
        self.begin, self.cluster, self.end = 0, 1, size * 8

    def count(self, address: int, blocks: int) -> int:
        return ones(self._window, address, blocks)

    def used(self, address: int, blocks: int) -> Used:
        return bits(self._window, address, blocks)

    def boundary(self, address: int) -> int:
        return address

    @cached_property
    def _bad(self) -> Runs:
        return _of_file(self._fs, self._BAD)

    def marked(self, address: int, blocks: int) -> Used:
        return self._bad.among(address, blocks)


class _Hfs(_Ntfs):
    """The allocation file is catalog node 6: one bit a block, the most significant first."""

    _BAD = _HFS_BAD

    def __init__(self, fs: pytsk3.FS_Info) -> None:
        super().__init__(fs)
        raw = self._window
        self._window = lru_cache(maxsize=64)(lambda number: raw(number).translate(_MIRRORED))


class _ExFat:
    """The allocation bitmap is a file that the root directory names by an entry of type 0x81: one bit a cluster."""

    def __init__(self, read: Read) -> None:
        boot = boot_sector(read)
        self._read = read
        self._fat, _, self._heap, self._clusters, root = struct.unpack_from("<IIIII", boot, 80)
        self._sector, self.begin, self.cluster = 1 << boot[108], self._heap, 1 << min(boot[109], 16)
        self._size = self._sector * self.cluster
        self.end = self._heap + self._clusters * self.cluster
        if not 9 <= boot[108] <= 12 or self._size > MOST_CLUSTER:
            raise ValueError("no exFAT that makes sense")
        directory = b"".join(read(place, self._size) for place in self._chain(read, root))
        entries = (directory[at : at + 32] for at in range(0, len(directory), 32))
        entry = next((each for each in entries if each[0] == BITMAP), None)
        if entry is None:
            raise ValueError("no allocation bitmap")
        first, length = struct.unpack_from("<IQ", entry, 20)
        places = list(self._chain(read, first))
        self._window = lru_cache(maxsize=64)(partial(_chained, read, places, self._size, length))

    def _chain(self, read: Read, first: int) -> Iterator[int]:
        """Where the clusters of a chain lie, in bytes from the volume's beginning."""
        for _ in range(MOST_CHAIN // self._size):
            if not 2 <= first < self._clusters + 2:
                return
            yield self._heap * self._sector + (first - 2) * self._size
            first = struct.unpack("<I", read(self._fat * self._sector + 4 * first, 4))[0]

    def count(self, address: int, blocks: int) -> int:
        return int(self.used(address, blocks).sum())

    def used(self, address: int, blocks: int) -> Used:
        heap = self._heap, self._clusters, self.cluster
        return by_cluster(address, blocks, heap, partial(bits, self._window), otherwise=True)

    def boundary(self, address: int) -> int:
        inside: int = (max(address, self._heap) - self._heap) % self.cluster
        return address - inside

    def marked(self, address: int, blocks: int) -> Used:
        heap = self._heap, self._clusters, self.cluster
        return by_cluster(address, blocks, heap, self._marks, otherwise=False)

    def _marks(self, number: int, count: int) -> Used:
        table = self._read(self._fat * self._sector + 4 * (number + 2), 4 * count)
        marks: Used = np.frombuffer(table.ljust(4 * count, b"\0"), "<u4") == _EXFAT_BAD
        return marks


def _chained(read: Read, places: list[int], size: int, length: int, number: int) -> bytes:
    """Window `number` of a file whose clusters of `size` bytes lie at `places`."""
    parts, at, end = [], number * WINDOW, min((number + 1) * WINDOW, length, len(places) * size)
    while at < end:
        which, inside = divmod(at, size)
        here = min(size - inside, end - at)
        parts.append(read(places[which] + inside, here))
        at += here
    return b"".join(parts)


class _Fat:
    """An entry of the table is 0 where its cluster is free."""

    def __init__(self, read: Read) -> None:
        boot = boot_sector(read)
        sector, per_cluster, reserved, tables, root, small, _, size = struct.unpack_from("<HBHBHHBH", boot, 11)
        size = size or struct.unpack_from("<I", boot, 36)[0]
        sectors = small or struct.unpack_from("<I", boot, 32)[0]
        self._first = reserved + tables * size + -(-root * 32 // sector)
        self.begin, self._per_cluster, self.cluster = self._first, per_cluster, per_cluster
        self._clusters = (sectors - self._first) // per_cluster
        self._bits = 12 if self._clusters < 4085 else 16 if self._clusters < 65525 else 32
        self.end = self._first + min(self._clusters, size * sector * 8 // self._bits - 2) * per_cluster

        @lru_cache(maxsize=64)
        def window(number: int) -> bytes:
            at = number * WINDOW
            length = min(WINDOW, size * sector - at)
            return read(reserved * sector + at, length) if length > 0 else b""

        self._window = window

    def count(self, address: int, blocks: int) -> int:
        taken = 0
        while blocks > 0:
            cluster, inside = divmod(address - self._first, self._per_cluster)
            whole = min(blocks // self._per_cluster, self._clusters - cluster)
            if inside == 0 and cluster >= 0 and whole > MANY:
                taken += self._many(cluster + 2, whole) * self._per_cluster
                address, blocks = address + whole * self._per_cluster, blocks - whole * self._per_cluster
                continue
            here = min(blocks, self._per_cluster - inside)
            if cluster < 0 or cluster >= self._clusters or self._entry(cluster + 2) != 0:
                taken += here
            address, blocks = address + here, blocks - here
        return taken

    def used(self, address: int, blocks: int) -> Used:
        heap = self._first, self._clusters, self._per_cluster
        return by_cluster(
            address, blocks, heap, lambda first, count: self._entries(first + 2, count) != 0, otherwise=True
        )

    def boundary(self, address: int) -> int:
        inside: int = (max(address, self._first) - self._first) % self._per_cluster
        return address - inside

    def marked(self, address: int, blocks: int) -> Used:
        heap, bad = (self._first, self._clusters, self._per_cluster), _FAT_BAD[self._bits]
        return by_cluster(
            address, blocks, heap, lambda first, count: self._entries(first + 2, count) == bad, otherwise=False
        )

    def _entries(self, cluster: int, count: int) -> NDArray[np.uint32]:
        """Entries of the table; what lies beyond it is not 0."""
        if self._bits == 12:
            return np.array([self._entry(each) for each in range(cluster, cluster + count)], np.uint32)
        kind, width = ("<u2", 2) if self._bits == 16 else ("<u4", 4)
        found, done = np.ones(count, np.uint32), 0
        while done < count:
            number, inside = divmod((cluster + done) * width, WINDOW)
            data = self._window(number)[inside : inside + (count - done) * width]
            entries = np.frombuffer(data, kind, len(data) // width)
            if not len(entries):
                break
            found[done : done + len(entries)] = entries & (0xFFFF if width == 2 else 0x0FFFFFFF)
            done += len(entries)
        return found

    def _many(self, cluster: int, count: int) -> int:
        """Clusters in use among many, a window of the table at a time; FAT12 is small enough to go one by one."""
        if self._bits == 12:
            return sum(self._entry(each) != 0 for each in range(cluster, cluster + count))
        kind, width, free, end = ("H", 2, 0, cluster + count) if self._bits == 16 else ("I", 4, 0, cluster + count)
        at = cluster
        while at < end:
            number, inside = divmod(at * width, WINDOW)
            data = self._window(number)[inside : inside + (end - at) * width]
            entries = array(kind, data[: len(data) // width * width])
            if not entries:
                break
            free += entries.count(0)
            at += len(entries)
        return count - free

    def _entry(self, cluster: int) -> int:
        if self._bits == 12:
            pair: int = self._bytes(cluster + cluster // 2, 2)
            return pair >> 4 if cluster % 2 else pair & 0xFFF
        return self._bytes(cluster * self._bits // 8, self._bits // 8) & 0x0FFFFFFF

    def _bytes(self, at: int, length: int) -> int:
        """Little-endian; what lies beyond the table counts as allocated."""
        value = 0
        for index in range(length):
            number, inside = divmod(at + index, WINDOW)
            data = self._window(number)
            value |= (data[inside] if inside < len(data) else 0xFF) << (8 * index)
        return value


class _Ext:
    """One bitmap a block group. Bigalloc and scattered layouts are not read."""

    def __init__(self, fs: pytsk3.FS_Info, read: Read) -> None:
        self._fs = fs
        sb = read(1024, 1024)
        numbers: tuple[int, ...] = struct.unpack_from("<IIII", sb, 20)
        self._first, log_size, _, self._per_group = numbers
        incompat, read_only = struct.unpack_from("<II", sb, 96)
        if ext_layout.scattered(sb) or read_only & 0x200 or log_size > 6 or not self._per_group:
            raise ValueError("a layout that is not read")
        self._block = 1024 << log_size
        self._blocks: int = struct.unpack_from("<I", sb, 4)[0]
        wide = bool(incompat & 0x80)
        self._blocks |= struct.unpack_from("<I", sb, 0x150)[0] << 32 if wide else 0
        size = max(32, struct.unpack_from("<H", sb, 254)[0]) if wide else 32
        table = (self._first + 1) * self._block

        @lru_cache(maxsize=64)
        def bitmap(group: int) -> bytes:
            descriptor = read(table + group * size, size)
            block = struct.unpack_from("<I", descriptor, 0)[0]
            if size >= 64:
                block |= struct.unpack_from("<I", descriptor, 32)[0] << 32
            if struct.unpack_from("<H", descriptor, 18)[0] & 2:  # BLOCK_UNINIT: never written, nothing in use
                return bytes(self._block)
            return read(block * self._block, self._block)

        self._bitmap = bitmap
        self.begin, self.cluster, self.end = self._first, 1, self._blocks

    def count(self, address: int, blocks: int) -> int:
        before = min(max(self._first - address, 0), blocks)  # the boot block, which no group describes
        taken, address, blocks = before, address + before, blocks - before
        while blocks > 0:
            group, inside = divmod(address - self._first, self._per_group)
            here = min(blocks, self._per_group - inside)
            if address >= self._blocks:
                return taken + blocks
            data = self._bitmap(group)
            taken += ones(lambda number, data=data: data if number == 0 else b"", inside, here)  # type: ignore[misc]
            address, blocks = address + here, blocks - here
        return taken

    def used(self, address: int, blocks: int) -> Used:
        found, done = np.ones(blocks, np.bool_), min(max(self._first - address, 0), blocks)
        while done < blocks and address + done < self._blocks:
            group, inside = divmod(address + done - self._first, self._per_group)
            here = min(blocks - done, self._per_group - inside, self._blocks - address - done)
            data = self._bitmap(group)
            found[done : done + here] = bits(lambda number, data=data: data if number == 0 else b"", inside, here)  # type: ignore[misc]
            done += here
        return found

    def boundary(self, address: int) -> int:
        return address

    @cached_property
    def _bad(self) -> Runs:
        return _of_file(self._fs, _EXT_BAD)

    def marked(self, address: int, blocks: int) -> Used:
        return self._bad.among(address, blocks)


_OPENERS: dict[str, Callable[[pytsk3.FS_Info, Read], Taken]] = {
    "NTFS": lambda fs, _: _Ntfs(fs),
    "FAT": lambda _, read: _Fat(read),
    "exFAT": lambda _, read: _ExFat(read),
    "ext": _Ext,
    "HFS+": lambda fs, _: _Hfs(fs),
}
