"""Byte ranges that grow one by one: kept in order, merged where they touch, and never more than a fixed number."""

from bisect import bisect_right
from itertools import pairwise

MOST = 10_000


class Ranges:
    """`list` is what a reader sees, (byte offset, bytes) each, always the same list.

    Past `most` ranges those nearest to each other become one, the gaps between them included, until about half are
    left: too much is claimed rather than too little, and memory stays flat.
    """

    def __init__(self, most: int = MOST) -> None:
        self.list: list[tuple[int, int]] = []
        self._most = most

    def add(self, offset: int, length: int) -> None:
        """Adds a range; does nothing where it lies within one that is there."""
        if length <= 0:
            return
        end, held = offset + length, self.list
        first = bisect_right(held, (offset, 0))
        if first and sum(held[first - 1]) >= offset:
            first -= 1
        last = bisect_right(held, (end, 1 << 63))
        if first < last:
            offset, end = min(offset, held[first][0]), max(end, sum(held[last - 1]))
        held[first:last] = [(offset, end - offset)]
        if len(held) > self._most:
            self._join()

    def _join(self) -> None:
        held = self.list
        gaps = sorted(after[0] - sum(before) for before, after in pairwise(held))
        joined = held[:1]
        for offset, length in held[1:]:
            start = joined[-1][0]
            if offset - sum(joined[-1]) <= gaps[len(gaps) // 2]:
                joined[-1] = (start, offset + length - start)
            else:
                joined.append((offset, length))
        held[:] = joined
