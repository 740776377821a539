"""Files of ext2 and ext3 in very many pieces, as large sparse ones are, whose block maps clew reads itself.

The Sleuth Kit (4.15) makes a run of each single block of a hole, and goes along all runs to add one: a file of 65,000
such blocks takes it 40 seconds, and it reads them as soon as it meets the file's name. So it is given the inode of such
a file as that of an empty one. For block maps: Carrier, File System Forensic Analysis, 2005, chapter 14;
https://docs.kernel.org/filesystems/ext4/, "Direct/Indirect Block Addressing".
"""

import struct
from collections.abc import Iterator
from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from clew.intake.api import ByteSource
from clew.intake.disk.ext_far import SPARSE, Attribute, Info, Inodes, Run
from clew.intake.over import Over

MOST_RUNS = 4096  # of The Sleuth Kit's for one file
MOST_GROUPS = 1 << 20
MOST_PIECES = 1 << 18  # of one file
MOST_NODES = 1 << 18  # blocks of pointers of one file: those of 1 TiB
_FIRST = 11  # inode that is no more one of the file system's own
_FILE, _KIND = 0x8000, 0xF000
_NO_MAP = 0x80000 | 0x10000000  # an inode's flags: a tree of extents, or the content, stands in its place
_MODE, _SIZE, _FLAGS, _MAP, _SIZE_HIGH = 0, 4, 32, 40, 108  # where they stand in an inode
_POINTERS = 15
_DIRECT = 12
_EMPTIED = ((_SIZE, 4), (_MAP, 4 * _POINTERS), (_SIZE_HIGH, 4))  # what is given as zeros
_KEPT = 4  # files whose runs are held

Numbers = NDArray[np.int64]


class Thinned(Over):
    """The bytes of an image as The Sleuth Kit is given them. Raises struct.error, OSError."""

    def __init__(self, source: ByteSource, inodes: Inodes, offset: int) -> None:
        super().__init__(source)
        self._inodes, self._offset = inodes, offset
        superblock = source.read(offset + 1024, 1024)
        (self._blocks,), (first,) = struct.unpack_from("<I", superblock, 4), struct.unpack_from("<I", superblock, 20)
        self._blocks |= struct.unpack_from("<I", superblock, 336)[0] << 32 if inodes.wide else 0
        (per_group,) = struct.unpack_from("<I", superblock, 32)
        groups = -(-(self._blocks - first) // max(per_group, 1))
        if not 0 < groups <= MOST_GROUPS:
            raise OSError(f"it has {groups:,} groups")
        self._bytes = inodes.per_group * inodes.length  # of one table of inodes
        places = ((inodes.place(1 + group * inodes.per_group), group) for group in range(groups))
        self._tables = sorted(each for each in places if each[0] < source.size)
        self._starts = np.array([at for at, _ in self._tables], np.int64)
        self._light: set[int] = set()
        self._thin: set[int] = set()
        self._runs = lru_cache(maxsize=_KEPT)(self._read_runs)

    def read(self, offset: int, length: int) -> bytes:
        """Raises OSError where the image does."""
        data = self.source.read(offset, length)
        end = offset + len(data)
        first = max(int(np.searchsorted(self._starts, offset, "right")) - 1, 0)
        for at, group in self._tables[first : int(np.searchsorted(self._starts, end))]:
            for number in self._among(group, max(offset, at) - at, min(end, at + self._bytes) - at):
                begin = at + (number - 1) % self._inodes.per_group * self._inodes.length
                for field, size in _EMPTIED:
                    low, high = max(begin + field, offset), min(begin + field + size, end)
                    if low < high:
                        data = data[: low - offset] + bytes(high - low) + data[high - offset :]
        return data

    def attribute(self, number: int) -> Attribute | None:
        """The content of that inode where The Sleuth Kit was not given it. Raises OSError."""
        if number not in self._thin:
            return None
        size, runs = self._runs(number)
        return Attribute(Info(size), runs)

    def _among(self, group: int, begin: int, end: int) -> Iterator[int]:
        """The numbers of those inodes between two bytes of a group's table."""
        if begin >= end:
            return
        length = self._inodes.length
        first, last = begin // length, -(-end // length)
        place = self._inodes.place(1 + group * self._inodes.per_group + first) - self._offset
        raw = self._inodes.read(place, (last - first) * length)  # past the image, which counts what it could not read
        table = np.frombuffer(raw, np.uint8, len(raw) // length * length).reshape(-1, length)
        blocks = (_field(table, _SIZE) | _field(table, _SIZE_HIGH) << 32) // self._inodes.block
        large = (blocks > MOST_RUNS) & (_field(table, _MODE) & _KIND == _FILE) & (_field(table, _FLAGS) & _NO_MAP == 0)
        for index in np.flatnonzero(large).tolist():
            number = 1 + group * self._inodes.per_group + first + index
            if number >= _FIRST and self._is_thin(number):
                yield number

    def _is_thin(self, number: int) -> bool:
        if number not in self._light and number not in self._thin:
            try:
                pieces = sum(run.len if run.flags else 1 for run in self._runs(number)[1])
            except OSError:
                pieces = MOST_RUNS + 1
            (self._thin if pieces > MOST_RUNS else self._light).add(number)
        return number in self._thin

    def _read_runs(self, number: int) -> tuple[int, tuple[Run, ...]]:
        """The size of a file and its runs, in order, holes among them."""
        raw = self._inodes.raw(number)
        size = struct.unpack_from("<I", raw, _SIZE)[0] | struct.unpack_from("<I", raw, _SIZE_HIGH)[0] << 32
        end, runs = -(-size // self._inodes.block), list[Run]()
        for first, place, count in self._map(raw, end):
            blocks = min(count, end - first)
            last = runs[-1] if runs else None
            if place + blocks > self._blocks:
                raise OSError("its block map names blocks that are not there")
            if last is not None and ((last.flags and not place) or (not last.flags and last.addr + last.len == place)):
                runs[-1] = last._replace(len=last.len + blocks)
            elif len(runs) == MOST_PIECES:
                raise OSError(f"its block map has more than {MOST_PIECES:,} pieces")
            else:
                runs.append(Run(first, place, blocks, 0 if place else SPARSE))
        covered = runs[-1].offset + runs[-1].len if runs else 0
        if covered < end:
            raise OSError("its block map ends before the file does")
        return size, tuple(runs)

    def _map(self, raw: bytes, end: int) -> Iterator[tuple[int, int, int]]:
        """(block of the file, where it lies or 0, blocks), in order."""
        pointers, each, nodes = _numbers(raw[_MAP : _MAP + 4 * _POINTERS]), self._inodes.block // 4, [0]
        yield from _pieces(pointers[:_DIRECT], 0)
        first = _DIRECT
        for depth, pointer in enumerate(pointers[_DIRECT:].tolist(), 1):
            if first >= end:
                return
            yield from self._below(pointer, depth, first, end, nodes)
            first += each**depth

    def _below(
        self, pointer: int, depth: int, first: int, end: int, nodes: list[int]
    ) -> Iterator[tuple[int, int, int]]:
        each = self._inodes.block // 4
        if not pointer:
            yield first, 0, each**depth
            return
        nodes[0] += 1
        if nodes[0] > MOST_NODES:
            raise OSError(f"its block map has more than {MOST_NODES:,} blocks")
        if pointer >= self._blocks:
            raise OSError("its block map names blocks that are not there")
        found = _numbers(self._inodes.blocks(pointer, 1))
        if len(found) < each:
            raise OSError("its block map cannot be read")
        if depth == 1:
            yield from _pieces(found[: end - first], first)
            return
        for index, below in enumerate(found.tolist()):
            at = first + index * each ** (depth - 1)
            if at >= end:
                return
            yield from self._below(below, depth - 1, at, end, nodes)


def _pieces(pointers: Numbers, first: int) -> Iterator[tuple[int, int, int]]:
    """Blocks that follow each other, or are all holes, together."""
    alike = np.where(pointers == 0, -(1 << 40), pointers - np.arange(len(pointers)))
    edges = [0, *(np.flatnonzero(np.diff(alike)) + 1).tolist(), len(pointers)]
    for start, end in pairwise(edges):
        if start < end:
            yield first + start, int(pointers[start]), end - start


def _numbers(raw: bytes) -> Numbers:
    return np.frombuffer(raw, "<u4", len(raw) // 4).astype(np.int64)


def _field(table: NDArray[np.uint8], at: int) -> Numbers:
    """The 32 bits that stand at that byte of each inode."""
    found: Numbers = np.ascontiguousarray(table[:, at : at + 4]).view("<u4")[:, 0].astype(np.int64)
    return found
