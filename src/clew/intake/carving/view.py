"""Free space as one row of bytes: what a structure check reads, and what reopens a carved find later."""

from bisect import bisect_left, bisect_right
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

from clew.intake.api import ByteSource, Range
from clew.intake.over import Over

BLOCK = 1 << 20  # bytes read from the image at a time
MOST_UNIT = 4096  # bytes from a cluster's beginning that no two files share; an earlier file system's may be smaller
KEPT = 24  # blocks kept: what was scanned is still there when its structure is checked
MOST_READS = 2_000_000  # of one structure check: some seconds


class Exhausted(Exception):
    """A structure check has read as often as it may: a find of that many parts is not worth more time."""


class Broken(Exception):
    """A structure goes no further; the text says what is wrong."""


def overlap(ours: Sequence[Range], others: Sequence[Range]) -> list[Range]:
    """The parts of `others` that lie in `ours`."""
    found = []
    for start, length in others:
        for at, size in ours:
            first, end = max(start, at), min(start + length, at + size)
            if first < end:
                found.append((first, end - first))
    return found


def without(within: Range, holes: Sequence[Range]) -> list[Range]:
    """What is left of a range."""
    at, end = within[0], sum(within)
    found = list[Range]()
    for start, length in sorted(holes):
        if at < min(start, end):
            found.append((at, min(start, end) - at))
        at = max(at, start + length)
    return [*found, (at, end - at)] if at < end else found


class Kept(Over):
    """A ByteSource that keeps the last blocks it read, so that the image itself is read once."""

    def __init__(self, source: ByteSource) -> None:
        super().__init__(source)
        self._blocks: OrderedDict[int, bytes] = OrderedDict()

    def read(self, offset: int, length: int) -> bytes:
        """Up to `length` bytes from `offset`; fewer only where the source ends."""
        number, inside = divmod(offset, BLOCK)
        first = self._block(number)
        if inside + length <= len(first):
            return first[inside : inside + length]
        parts = [first[inside:]]
        left = length - len(parts[0])
        while left > 0:
            number += 1
            block = self._block(number)
            parts.append(block[:left])
            left -= len(parts[-1])
            if len(block) < BLOCK:
                break
        return b"".join(parts)

    def _block(self, number: int) -> bytes:
        block = self._blocks.get(number)
        if block is not None:
            self._blocks.move_to_end(number)
            return block
        block = self.source.read(number * BLOCK, BLOCK) if number * BLOCK < self.source.size else b""
        self._blocks[number] = block
        if len(self._blocks) > KEPT:
            self._blocks.popitem(last=False)
        return block


class View:
    """A ByteSource over runs of another one, one after the other.

    `gap` says that free space was left out between its runs. Counts its reads and raises Exhausted after `most` of
    them, so that no structure holds up its check for ever.
    """

    def __init__(self, source: ByteSource, runs: Sequence[Range], most: int = MOST_READS, gap: bool = False) -> None:
        self.source = source
        self.runs = tuple(runs)
        self._starts = [0, *accumulate(length for _, length in self.runs)]
        self.gap = gap
        self._left = most

    @property
    def size(self) -> int:
        """Bytes of all runs."""
        return self._starts[-1]

    @property
    def bad(self) -> list[Range]:
        """The stretches of the image that hold part of it, could not be read, and were given as zeros."""
        return overlap(self.runs, self.source.bad)

    @property
    def first(self) -> int:
        """Bytes of the first run: up to there nothing was joined."""
        return self._starts[1]

    def reach(self, offset: int) -> int:
        """The end of the run that the byte before `offset` lies in: what was seen up to there vouches for its run."""
        return self._starts[max(bisect_left(self._starts, offset), 1)] if offset < self.size else self.size

    def read(self, offset: int, length: int) -> bytes:
        """Up to `length` bytes from `offset`; fewer only where the runs (or the image) end. Raises Exhausted."""
        self._left -= 1
        if self._left < 0:
            raise Exhausted
        parts = [self.source.read(at, count) for at, count in self.within(offset, length)]
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def chunks(self, offset: int, length: int, step: int = BLOCK) -> Iterator[bytes]:
        """The bytes from `offset`, up to `length` of them, `step` at a time; ends early where the runs do."""
        end = min(offset + length, self.size)
        while offset < end:
            chunk = self.read(offset, min(step, end - offset))
            if not chunk:
                return
            offset += len(chunk)
            yield chunk

    def within(self, offset: int, length: int) -> list[Range]:
        """Where those bytes lie in the image."""
        end = min(offset + length, self.size)
        found: list[Range] = []
        number = bisect_right(self._starts, offset) - 1
        while offset < end:
            inside = offset - self._starts[number]
            here = min(self.runs[number][1] - inside, end - offset)
            found.append((self.runs[number][0] + inside, here))
            offset, number = offset + here, number + 1
        return found


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a structure check says of the bytes from a candidate on.

    `length` is how many of them belong to it. `why` is "" where the structure is whole to its end, else what is wrong
    after `length` bytes. `sure` is the place up to which the structure was seen to fit: a join before it has something
    that speaks for it. `proved` says that checksums cover every byte up to there; without it, what was decoded may be
    another's. `unread` are spans (from, to) that were stepped over because a length field said so, `holds` the kinds of
    file that are at home in them, or in all of a file without any; `stores` says that any kind may be, so that one
    which begins there settles nothing. `broken` is the span in which the fault
    must lie where it is a checksum that failed.
    """

    length: int
    extension: str
    why: str = ""
    proved: bool = False
    sure: int = 0
    unread: tuple[tuple[int, int], ...] = ()
    holds: frozenset[str] = frozenset()
    stores: bool = False
    broken: tuple[int, int] | None = None
