"""Bitmaps of a file system, read a window at a time: one bit a block, least significant first, set where it is used.
And what is known of clusters, or by runs of blocks, told block by block in the same way.

What cannot be read counts as used, so that nothing is ever taken for free, or a deleted file for whole, by mistake.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

WINDOW = 1 << 16
STEP = 1 << 18  # blocks looked at together while stretches of them are listed
Used = NDArray[np.bool_]


def ones(window: Callable[[int], bytes], start: int, count: int) -> int:
    """Set bits among `count` bits from `start`, least significant first; bits that are not there count as set."""
    total = 0
    while count > 0:
        number, low = divmod(start, WINDOW * 8)
        data = window(number)
        bits = min(count, len(data) * 8 - low)
        if bits <= 0:
            return total + count
        value = int.from_bytes(data[low // 8 : (low + bits + 7) // 8], "little") >> (low % 8)
        total += (value & ((1 << bits) - 1)).bit_count()
        start, count = start + bits, count - bits
    return total


def bits(window: Callable[[int], bytes], start: int, count: int) -> Used:
    """`count` bits from `start`, least significant first; bits that are not there are set."""
    found = np.ones(count, np.bool_)
    done = 0
    while done < count:
        number, low = divmod(start + done, WINDOW * 8)
        data = window(number)
        here = min(count - done, len(data) * 8 - low)
        if here <= 0:
            break
        raw = np.frombuffer(data, np.uint8)[low // 8 : (low + here + 7) // 8]
        found[done : done + here] = np.unpackbits(raw, bitorder="little")[low % 8 : low % 8 + here]
        done += here
    return found


def by_cluster(
    address: int, blocks: int, heap: tuple[int, int, int], look: Callable[[int, int], Used], *, otherwise: bool
) -> Used:
    """Block by block what `look` (the first one's number, how many) says of clusters, and `otherwise` of what lies in
    none. The `heap` is its first block, its clusters and the blocks of each.
    """
    start, clusters, each = heap
    found: Used = np.full(blocks, otherwise, np.bool_)
    first, end = max(address, start), min(address + blocks, start + clusters * each)
    if first < end:
        number, inside = divmod(first - start, each)
        here = look(number, (end - 1 - start) // each + 1 - number)
        if (here != otherwise).any():
            found[first - address : end - address] = np.repeat(here, each)[inside : inside + end - first]
    return found


def stretches(look: Callable[[int, int], Used], first: int, end: int) -> Iterator[tuple[int, int]]:
    """The stretches of blocks of which `look` (address, blocks) holds, from `first` to `end` (exclusive), as (address,
    blocks).
    """
    start: int | None = None
    for at in range(first, end, STEP):
        here = look(at, min(STEP, end - at))
        for edge in [0, *(np.flatnonzero(here[1:] != here[:-1]) + 1).tolist()]:
            place, holds = at + edge, bool(here[edge])
            if not holds and start is not None:
                yield start, place - start
                start = None
            elif holds and start is None:
                start = place
    if start is not None:
        yield start, end - start


class Marks:
    """A set of numbers from 0 up to `count`, one bit each."""

    def __init__(self, count: int) -> None:
        self.count = max(count, 0)
        self._bits = np.zeros(-(-self.count // 8), np.uint8)

    def add(self, first: int, count: int) -> None:
        """So many more from `first`, as far as they are such numbers."""
        first, end = max(first, 0), min(first + count, self.count)
        if first >= end:
            return
        byte, last = first // 8, end // 8
        head, tail = 0xFF << first % 8 & 0xFF, (1 << end % 8) - 1
        if byte == last:
            self._bits[byte] |= head & tail
            return
        self._bits[byte] |= head
        self._bits[byte + 1 : last] = 0xFF
        if tail:
            self._bits[last] |= tail

    def window(self, number: int) -> bytes:
        """Their bits, a window at a time."""
        return self._bits[number * WINDOW : (number + 1) * WINDOW].tobytes()


class Runs:
    """Blocks that lie in runs (address, blocks), in any order."""

    def __init__(self, runs: Iterable[tuple[int, int]]) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []
        for start, length in sorted(runs):
            if self._ends and start <= self._ends[-1]:
                self._ends[-1] = max(self._ends[-1], start + length)
            else:
                self._starts.append(start)
                self._ends.append(start + length)

    def among(self, address: int, blocks: int) -> Used:
        """Which of `blocks` blocks from `address` are among them."""
        found = np.zeros(blocks, np.bool_)
        for each in range(bisect_right(self._ends, address), bisect_left(self._starts, address + blocks)):
            found[max(self._starts[each] - address, 0) : self._ends[each] - address] = True
        return found
