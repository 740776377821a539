"""Which contents of one Exhibit may be the files of a torrent that a piece lies in: those of the right size, and of
these the ones that have the best claim to it.
"""

import hashlib
import json
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from math import prod

from clew.core import shards
from clew.core.case import Case
from clew.intake.again import places
from clew.intake.artefacts._metainfo import File
from clew.intake.piece_layout import Layout, Span
from clew.intake.piece_told import Told

MOST_CANDIDATES = 4  # contents that are tried for one file
MOST_COMBINATIONS = 16  # of them for one piece
MOST_PATHS = 200  # of one size and name that are looked at for one file
MOST_OPEN = 64  # contents that a worker is given at a time
MOST_BYTES = 4 << 30  # of those and of pads, unless one piece alone has more
PATHS = """
SELECT DISTINCT c.sha256, l.path FROM contents c JOIN listings l USING (item)
WHERE c.exhibit=$exhibit AND c.sha256 IN (SELECT unnest($wanted))
"""


@dataclass(frozen=True, slots=True)
class Try:
    """One piece, and for each of its files the contents that may be it. `which` stands for these in what is told."""

    span: Span
    contents: tuple[tuple[bytes, ...], ...]
    which: str

    @property
    def zeros(self) -> int:
        """Bytes of pads that are hashed, over all combinations."""
        return self.span.zeros * prod(len(each) for each in self.contents)

    def every(self) -> set[bytes]:
        """Every content."""
        return {content for each in self.contents for content in each}


@dataclass(frozen=True, slots=True)
class Group:
    """Pieces of one torrent in their order, for one worker in one go: files that two of them share are read once."""

    layout: Layout
    tries: list[Try]

    def files(self) -> dict[int, tuple[bytes, ...]]:
        """The contents that may be each file, in the order of the torrent."""
        found = {index: held for each in self.tries for index, held in zip(each.span.files, each.contents, strict=True)}
        return dict(sorted(found.items()))

    def contents(self) -> set[bytes]:
        """Every content that may be one of its files."""
        return {content for each in self.tries for content in each.every()}


class _Held:
    """Contents of an Exhibit, by size and by what they are called there."""

    def __init__(self, case: Case, exhibit: str, every: Mapping[bytes, int]) -> None:
        wanted = list(every)
        rows = places(case, wanted, exhibit).get(exhibit, [])
        self.sizes = {row["sha256"]: every[row["sha256"]] for row in rows}
        self.by_size = defaultdict[int, list[bytes]](list)
        for content in sorted(self.sizes):
            self.by_size[self.sizes[content]].append(content)
        self._paths = defaultdict[tuple[int, str], list[tuple[list[str], bytes]]](list)
        asked = {"exhibit": exhibit, "wanted": wanted}
        for row in shards.query(case, PATHS, asked).to_pylist() if self.sizes else ():
            steps = _steps((row["path"] or b"").decode("utf-8", "backslashreplace"))
            if row["sha256"] in self.sizes:
                self._paths[self.sizes[row["sha256"]], steps[0]].append((steps, row["sha256"]))
        for paths in self._paths.values():
            paths.sort()

    def named(self, file: File) -> list[bytes]:
        """Those of its size and name; first those whose path ends as the torrent's does, by how much of it. Of no more
        than MOST_PATHS that stand next to it in their order: who shares most of the end stands nearest.
        """
        wanted, best = _steps(file.path), dict[bytes, int]()
        paths = self._paths.get((file.size, wanted[0]), [])
        at = bisect_left(paths, (wanted, b""))
        for steps, content in paths[max(0, at - MOST_PATHS // 2) : at + MOST_PATHS // 2]:
            alike = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(steps, wanted, strict=False)))
            best[content] = max(alike, best.get(content, 0))
        return sorted(best, key=lambda content: (-best[content], content))


def groups(
    case: Case, exhibit: str, found: Sequence[Layout], contents: Mapping[int, list[bytes]], had: Told, most: int
) -> list[Group]:
    """What is still to be tried in that Exhibit, with `most` contents a file at most. With more than one, only what
    did not fit with the first of each.
    """
    sizes = {layout.files[index].size for layout in found for span in layout.spans for index in span.files}
    held = _Held(case, exhibit, {content: size for size in sorted(sizes) for content in contents.get(size, ())})
    return [group for layout in found for group in _grouped(layout, _tries(layout, held, had, most), held)]


def _tries(layout: Layout, held: _Held, had: Told, most: int) -> Iterator[Try]:
    chosen: dict[int, list[bytes]] = {}
    for span in layout.spans:
        for index in span.files:
            if index not in chosen:
                chosen[index] = _candidates(layout, layout.files[index], held, had)[:most]
        while prod(len(chosen[index]) for index in span.files) > MOST_COMBINATIONS:
            chosen[max(span.files, key=lambda index: len(chosen[index]))].pop()
    for span in layout.spans:
        first, every = _try(span, chosen, 1), _try(span, chosen, most)
        settled = had.tried.get((layout.torrent, span.number, first.which), False) or every.which == first.which
        done = (most > 1 and settled) or (layout.torrent, span.number, every.which) in had.tried
        if all(every.contents) and not done:
            yield every


def _try(span: Span, chosen: Mapping[int, list[bytes]], most: int) -> Try:
    contents = tuple(tuple(chosen[index][:most]) for index in span.files)
    said = json.dumps([span.files, [[content.hex() for content in each] for each in contents]])
    return Try(span, contents, hashlib.sha256(said.encode()).hexdigest()[:16])


def _candidates(layout: Layout, file: File, held: _Held, had: Told) -> list[bytes]:
    """Of a file, the best first: whose pieces inside it fitted; what is called so; any of its size."""
    fitting = sorted(content for content in had.fitting.get((layout.torrent, file.index), ()) if content in held.sizes)
    order = [*fitting, *held.named(file), *held.by_size.get(file.size, ())[:MOST_CANDIDATES]]
    return list(dict.fromkeys(order))[:MOST_CANDIDATES]


def _grouped(layout: Layout, tries: Iterator[Try], held: _Held) -> Iterator[Group]:
    group, open_now, zeros = list[Try](), set[tuple[int, bytes]](), 0
    for each in tries:
        pairs = zip(each.span.files, each.contents, strict=True)
        own = {(index, content) for index, several in pairs for content in several}
        open_now, zeros = open_now | own, zeros + each.zeros
        size = zeros + sum(held.sizes[content] for _, content in open_now)
        if group and (len(open_now) > MOST_OPEN or size > MOST_BYTES):
            yield Group(layout, group)
            group, open_now, zeros = [], own, each.zeros
        group.append(each)
    if group:
        yield Group(layout, group)


def _steps(path: str) -> list[str]:
    """From the name outwards."""
    return path.split("/")[::-1]
