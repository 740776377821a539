"""Free space in, files out: candidates by their first bytes, their structure checked, graded by what was seen.

COMPLETE is said only where the structure is whole to its end and lies in one run of free space, or where checksums
prove every byte. All else is PARTIAL, with what is there and why. A find that is whole hides what lies inside it; one
that is not hides nothing beyond what its own structure accounts for.
"""

from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from clew.intake.api import ByteSource
from clew.intake.carving import bmff, fragments, gif, jpeg, matroska, png, riff, sevenzip, sqlite, ziparchive
from clew.intake.carving.scan import SECTOR, candidates
from clew.intake.carving.view import BLOCK, Exhausted, Kept, Run, Verdict, View
from clew.model import ContentState

CHECKS: dict[str, Callable[[View], Verdict | None]] = {
    "jpeg": jpeg.check,
    "png": png.check,
    "gif": gif.check,
    "webp": riff.webp,
    "avi": riff.avi,
    "bmff": bmff.check,
    "mkv": matroska.check,
    "zip": ziparchive.check,
    "7z": sevenzip.check,
    "sqlite": sqlite.check,
}
NO_STRUCTURE = "beginnings of files with no structure behind them"
STOPPED = "candidates whose structure has too many parts to be checked"
MOST_RUNS = 64  # free stretches that one file is followed through
CROSSED = "joined over space that belongs to other files"
CUT = "cut off: what follows belongs to other files"
INTRUDED = "another file lies inside it: part of it was overwritten"


@dataclass(frozen=True, slots=True)
class Carved:
    """One find: the runs of image bytes that hold it, what may be claimed of them, and why no more."""

    kind: str
    runs: tuple[Run, ...]
    state: ContentState
    why: str
    extension: str

    @property
    def size(self) -> int:
        """Bytes."""
        return sum(length for _, length in self.runs)


@dataclass(frozen=True, slots=True)
class Step:
    """How far carving has come: the image offset to go on from, and the find that it came upon, if any."""

    next: int
    found: Carved | None


class Carver:
    """Carves free stretches of one image, given in ascending order; `block` is the file system's cluster in bytes."""

    def __init__(self, source: ByteSource, stretches: Iterator[Run], block: int) -> None:
        self._source = Kept(source)
        self._stretches = stretches
        self._block = block
        self.notes: Counter[str] = Counter()

    def steps(self) -> Iterator[Step]:
        """One step a find, and one a megabyte."""
        ahead: deque[Run] = deque(islice(self._stretches, MOST_RUNS))
        at = 0
        while ahead:
            start, length = ahead[0]
            at = max(at, start)
            while at < start + length:
                for step in self._window(at, min(at - at % BLOCK + BLOCK, start + length), ahead):
                    at = step.next
                    yield step
            ahead.popleft()
            ahead.extend(islice(self._stretches, 1))

    def _window(self, at: int, end: int, runs: Sequence[Run]) -> Iterator[Step]:
        """What begins between `at` and `end`, both in the first of `runs`."""
        beyond = at
        for place, kind in _begin(self._source, at, end):
            if place < beyond:
                continue
            (start, length), *others = runs
            found, beyond = self._find(kind, [(place, start + length - place), *others])
            if found is not None:
                yield Step(beyond, found)
        yield Step(max(end, beyond), None)

    def _find(self, kind: str, runs: Sequence[Run]) -> tuple[Carved | None, int]:
        """(the file that begins with those runs, where to look for the next one)."""
        view = View(self._source, runs)
        try:
            verdict = CHECKS[kind](view)
            if verdict is None:
                self.notes[NO_STRUCTURE] += 1
                return None, runs[0][0] + SECTOR
            if verdict.why:
                view, verdict = fragments.join(kind, CHECKS[kind], view, verdict, self._block)
            return self._graded(kind, view, verdict)
        except Exhausted:
            self.notes[STOPPED] += 1
            return None, runs[0][0] + SECTOR

    def _graded(self, kind: str, view: View, verdict: Verdict) -> tuple[Carved, int]:
        length = min(verdict.length, view.reach(verdict.sure))
        crossed = length > view.first
        why = verdict.why or (CUT if length < verdict.length else CROSSED if crossed and not verdict.proved else "")
        intruder = None if verdict.why else self._intruder(view, verdict, length)
        if intruder is not None:
            why = INTRUDED
        state = ContentState.PARTIAL if why else ContentState.COMPLETE
        carved = Carved(kind, tuple(view.within(0, length)), state, why, verdict.extension)
        if intruder is not None:
            return carved, intruder
        accounted = length if not why or why == CROSSED else min(verdict.sure, length, *(s for s, _ in verdict.unread))
        return carved, _beyond(view, accounted)

    def _intruder(self, view: View, verdict: Verdict, length: int) -> int | None:
        """Where, in a span that was stepped over, another file begins that is not at home there."""
        for start, end in verdict.unread:
            for run_start, run_length in view.within(start, min(end, length) - start):
                first = -(-run_start // SECTOR) * SECTOR
                for place, kind in _begin(self._source, first, run_start + run_length):
                    inside = View(self._source, [(place, run_start + run_length - place)])
                    if kind not in verdict.holds and CHECKS[kind](inside) is not None:
                        return place
        return None


def _begin(source: ByteSource, at: int, end: int) -> Iterator[tuple[int, str]]:
    """(image offset, kind) of every sector from `at` to `end` that begins like a file."""
    while at < end:
        data = source.read(at, min(BLOCK - at % BLOCK, end - at))
        for offset, kind in candidates(data):
            yield at + offset, kind
        if not data:
            return
        at += len(data)


def _beyond(view: View, accounted: int) -> int:
    """The sector of the image behind so many bytes of a view; of a gap that was jumped over, nothing is left out."""
    runs = view.within(0, max(accounted, 1))
    start, length = runs[0] if view.gap else runs[-1]
    return max(-(-(start + length) // SECTOR) * SECTOR, view.runs[0][0] + SECTOR)
