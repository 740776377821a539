"""Pictures on their way through exiftool: several to a run, and several runs side by side, in the caller's thread.

What is said of a picture that gave trouble is said only of a run in which it was alone. Where a run among others ends
early, the first picture that it did not answer is asked alone, and the rest goes on in another run.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from math import ceil
from selectors import EVENT_READ, DefaultSelector
from types import TracebackType
from typing import Any, Self

from clew.intake.exiftool_run import Picture, Run, Tags
from clew.model import Missing, Reason

MOST, MOST_BYTES = 100, 64 << 20  # pictures of one run, and how much of them lies in memory
LOOK = 5.0  # seconds that a turn waits at most

Answer = tuple[bytes, Tags | Missing]


class Runs:
    """A context manager: on exit no run goes on. `most` go on side by side; `isolation` is that of the last one."""

    def __init__(self, program: str, most: int, accept_weak: bool) -> None:
        self._program, self._most, self._accept_weak = program, max(1, most), accept_weak
        self.isolation: dict[str, Any] = {}
        self._waiting: deque[Picture] = deque()
        self._alone: deque[Picture] = deque()
        self._going: list[Run] = []
        self._selector = DefaultSelector()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for run in self._going:
            run.end()
        self._selector.close()

    def give(self, content: bytes, data: bytes) -> None:
        """One more picture to be asked about. Who gives asks for `answers` soon."""
        self._waiting.append((content, data))

    def answers(self, may: Callable[[], object], *, over: bool) -> Iterator[Answer]:
        """What came in by now; waits while more is given than can be asked about. Where that is `over`, all of it.

        `may` is called before each turn, every LOOK seconds at least: what it raises ends what goes on.
        """
        while True:
            may()
            self._start(over=over)
            busy = bool(self._going) and (over or self._full or bool(self._alone))
            yield from self._turn(wait=busy)
            if not busy:
                return

    @property
    def _full(self) -> bool:
        return len(self._waiting) >= MOST or sum(len(data) for _, data in self._waiting) >= MOST_BYTES

    def _start(self, *, over: bool) -> None:
        while len(self._going) < self._most and (self._alone or self._full or (over and self._waiting)):
            pictures = [self._alone.popleft()] if self._alone else self._next()
            run = Run(self._program, pictures, self._accept_weak)
            self._going.append(run)
            self._selector.register(run.running, EVENT_READ, run)

    def _next(self) -> list[Picture]:
        """Of what is waiting, for one run: a fair part, where it is the last."""
        most = min(MOST, ceil(len(self._waiting) / (1 if self._full else self._most - len(self._going))))
        pictures = [self._waiting.popleft()]
        size = len(pictures[0][1])
        while self._waiting and len(pictures) < most and size + len(self._waiting[0][1]) <= MOST_BYTES:
            size += len(self._waiting[0][1])
            pictures.append(self._waiting.popleft())
        return pictures

    def _turn(self, *, wait: bool) -> Iterator[Answer]:
        patience = min((run.left for run in self._going), default=0.0)
        for key, _ in self._selector.select(min(max(patience, 0.0), LOOK) if wait else 0):
            yield from key.data.hear()
        for run in [run for run in self._going if run.over]:
            self._selector.unregister(run.running)
            why, rest = run.end()
            self._going.remove(run)
            yield from self._ended(run, why, rest)

    def _ended(self, run: Run, why: Missing, rest: Sequence[Picture]) -> Iterator[Answer]:
        self.isolation = run.isolation
        if run.alone or why.reason is Reason.REFUSED:  # which says nothing of a picture
            yield from ((content, why) for content, _ in (*run.unanswered, *rest))
            return
        self._alone.extend([*run.unanswered, *rest[:1]])
        self._waiting.extendleft(reversed(rest[1:]))
