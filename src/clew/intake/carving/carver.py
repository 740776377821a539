"""Free space in, files out: candidates by their first bytes, their structure checked, graded by what was seen.

COMPLETE is said only where the structure is whole to its end and checksums stand over all of it, or where it is no
larger than what is written at once: a picture that was decoded may still have another's bytes in its middle, and the
inside of a film is stepped over. Where it is whole and nothing tells whether its inside was overwritten, it is
OVERWRITTEN_POSSIBLE. All else is PARTIAL, with what is there and why. What lies inside a find is not listed again, but
a file that has no business there is: it shows that part of the outer one was overwritten. What a database or a
picture may hold is listed too, and shows nothing.
"""

from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from clew.intake.api import ByteSource, Range
from clew.intake.carving import bmff, fragments, gif, jpeg, matroska, png, riff, sevenzip, sqlite, ziparchive
from clew.intake.carving.scan import SECTOR, candidates
from clew.intake.carving.view import BLOCK, Exhausted, Kept, Verdict, View
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
STORED = "another file lies inside it: it is stored there, or part of it was overwritten"
UNSEEN = "whole by its structure, but nothing vouches for the data inside"
MOST_LOOSE = 4 << 30  # bytes of a broken find behind the place up to which its structure fits
MOST_ZEROS = 64 << 20  # bytes at the end of a broken find that are looked at for zeros


@dataclass(frozen=True, slots=True)
class Carved:
    """One find: the runs of image bytes that hold it, what may be claimed of them, and why no more."""

    kind: str
    runs: tuple[Range, ...]
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
    """Carves free stretches of one image, given in ascending order; `block` is the file system's cluster in bytes, and
    `unit` how much of one, from its beginning on, no two files can share.

    Only files that begin from image offset `after` up to `end` are looked for.
    """

    def __init__(
        self,
        source: ByteSource,
        stretches: Iterator[Range],
        block: int,
        after: int = 0,
        end: int = 1 << 63,
        unit: int = SECTOR,
    ):
        self._source = Kept(source)
        self._stretches = stretches
        self._block, self._unit = block, unit
        self._after, self._end = after, end
        self.notes: Counter[str] = Counter()

    def steps(self) -> Iterator[Step]:
        """One step a find, and one a megabyte."""
        ahead: deque[Range] = deque(islice(self._stretches, MOST_RUNS))
        at = self._after
        while ahead and at < self._end:
            start, length = ahead[0]
            at = max(at, start)
            while at < min(start + length, self._end):
                for step in self._window(at, min(at - at % BLOCK + BLOCK, start + length, self._end), ahead):
                    at = step.next
                    yield step
            ahead.popleft()
            ahead.extend(islice(self._stretches, 1))

    def _window(self, at: int, end: int, runs: Sequence[Range]) -> Iterator[Step]:
        """What begins between `at` and `end`, both in the first of `runs`."""
        (start, length), *others = runs
        beyond = at
        for place, kind in _begin(self._source, at, end):
            if place < beyond:
                continue
            # clusters count from the free stretch on; what does not begin at one is older than the file system
            aligned = (place - start) % self._block == 0
            step, unit = (self._block, self._unit) if aligned else (SECTOR, SECTOR)
            found, beyond = self._find(kind, [(place, start + length - place), *others], step, unit)
            if found is not None:
                yield Step(beyond, found)
        yield Step(max(end, beyond), None)

    def _find(self, kind: str, runs: Sequence[Range], step: int, unit: int) -> tuple[Carved | None, int]:
        """(the file that begins with those runs, where to look for the next one)."""
        view = View(self._source, runs)
        try:
            verdict = CHECKS[kind](view)
            if verdict is None:
                self.notes[NO_STRUCTURE] += 1
                return None, runs[0][0] + SECTOR
            if verdict.why:
                view, verdict = fragments.join(kind, CHECKS[kind], view, verdict, step)
            return self._graded(kind, view, verdict, unit)
        except Exhausted:
            self.notes[STOPPED] += 1
            return None, runs[0][0] + SECTOR

    def _graded(self, kind: str, view: View, verdict: Verdict, unit: int) -> tuple[Carved, int]:
        length = min(verdict.length, view.reach(verdict.sure))
        if verdict.why or length < verdict.length:
            return self._broken(kind, view, verdict, min(length, verdict.sure + MOST_LOOSE))
        runs = tuple(view.within(0, length))
        unproved = not verdict.proved and length > unit
        intruder = self._intruder(view, verdict.unread or ([(0, length)] if unproved else []), verdict.holds)
        state, why = ContentState.COMPLETE, ""
        if verdict.unread or unproved:
            state, why = ContentState.OVERWRITTEN_POSSIBLE, UNSEEN
        if len(runs) > 1 and not verdict.proved:
            state, why = ContentState.PARTIAL, CROSSED
        if intruder is not None and not verdict.stores:
            state, why = ContentState.PARTIAL, INTRUDED
        elif intruder is not None and state != ContentState.PARTIAL:
            why = STORED
        beyond = _beyond(view, length) if intruder is None else view.within(intruder, 1)[0][0]
        return Carved(kind, runs, state, why, verdict.extension), beyond

    def _broken(self, kind: str, view: View, verdict: Verdict, length: int) -> tuple[Carved, int]:
        """What is there of a file that is not whole: up to the next one that begins in it, without a tail of zeros."""
        loose = [(start, min(end, length)) for start, end in verdict.unread] + [(min(verdict.sure, length), length)]
        intruder = self._intruder(view, sorted(loose), verdict.holds)
        length = max(self._without_zeros(view, length if intruder is None else intruder), SECTOR)
        runs = tuple(view.within(0, length))
        carved = Carved(kind, runs, ContentState.PARTIAL, verdict.why or CUT, verdict.extension)
        if intruder is not None:
            return carved, view.within(intruder, 1)[0][0]
        start, found = runs[0] if view.gap else runs[-1]
        return carved, max((start + found) // SECTOR * SECTOR, view.runs[0][0] + SECTOR)

    def _intruder(self, view: View, spans: Sequence[tuple[int, int]], holds: frozenset[str]) -> int | None:
        """Where in those spans another file begins that is not at home there."""
        for start, end in spans:
            at = start
            for run_start, run_length in view.within(start, end - start):
                first = max(-(-run_start // SECTOR) * SECTOR, view.runs[0][0] + SECTOR)
                for place, kind in _begin(self._source, first, -(-(run_start + run_length) // SECTOR) * SECTOR):
                    inside = View(self._source, [(place, max(run_start + run_length - place, BLOCK))])
                    if kind not in holds and _is_file(kind, inside):
                        return at + place - run_start
                at += run_length
        return None

    def _without_zeros(self, view: View, length: int) -> int:
        """The length up to the last sector that is not all zeros."""
        end, least = length, max(length - MOST_ZEROS, 0)
        while end > least:
            start = max(end - BLOCK, least)
            kept = len(view.read(start, end - start).rstrip(b"\0"))
            if kept:
                return min(-(-(start + kept) // SECTOR) * SECTOR, length)
            end = start
        return end


def _is_file(kind: str, view: View) -> bool:
    """Whether there is a structure behind a beginning, whole or not."""
    try:
        return CHECKS[kind](view) is not None
    except Exhausted:  # so many parts do not come about by chance
        return True


def _begin(source: ByteSource, at: int, end: int) -> Iterator[tuple[int, str]]:
    """(image offset, kind) of every sector from `at` to `end` that begins like a file."""
    while at < end:
        data = source.read(at, min(BLOCK - at % BLOCK, end - at))
        for offset, kind in candidates(data):
            yield at + offset, kind
        if not data:
            return
        at += len(data)


def _beyond(view: View, length: int) -> int:
    """The sector of the image behind so many bytes of a view; of a gap that was jumped over, nothing is left out."""
    runs = view.within(0, length)
    start, found = runs[0] if view.gap else runs[-1]
    return -(-(start + found) // SECTOR) * SECTOR
