"""Pictures on their way through exiftool: each has a run of its own, and several go on side by side, in the caller's
thread.

What exiftool reads in a picture it adds to its own tables of tags: in a run of several, what one says would change what
is said of the next (docs/decisions/0038-one-picture-to-an-exiftool.md).
"""

import json
from collections import deque
from collections.abc import Callable, Iterator
from selectors import EVENT_READ, DefaultSelector
from types import TracebackType
from typing import Any, Self

from clew.core import external
from clew.model import Missing, Reason

INTERPRETER = "/usr/bin/perl"
# Its names; each becomes a Trait, "exiftool.SerialNumber"
TAGS = ("SerialNumber", "InternalSerialNumber", "CameraSerialNumber", "BodySerialNumber", "LensSerialNumber",
        "ShutterCount", "ShutterCount2", "ShutterCount3", "ImageCount", "ImageNumber", "FileNumber", "OwnerName",
        "ImageUniqueID", "ContentIdentifier", "MakerNoteVersion")  # fmt: skip
SECONDS = 60.0  # that one picture may take
LOOK = 5.0  # seconds that a turn waits at most
Tags = dict[str, str | int | float]
Answer = tuple[bytes, Tags | Missing]


class Runs:
    """A context manager: on exit no run goes on. `most` go on side by side; `isolation` is that of the last one."""

    def __init__(self, program: str, most: int, accept_weak: bool) -> None:
        self._command = [program, "-j", "-n", *(f"-{tag}" for tag in TAGS), "-"]
        self._most, self._accept_weak = max(1, most), accept_weak
        self.isolation: dict[str, Any] = {}
        self._waiting: deque[tuple[bytes, bytes]] = deque()
        self._going: dict[external.Running, bytes] = {}
        self._selector = DefaultSelector()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for running in self._going:
            running.end()
        self._selector.close()

    def give(self, content: bytes, data: bytes) -> None:
        """One more picture (SHA-256, bytes) to be asked about. Who gives asks for `answers` soon."""
        self._waiting.append((content, data))

    def answers(self, may: Callable[[], object], *, over: bool) -> Iterator[Answer]:
        """What came in by now; waits while one that was given has no run yet. Where that is `over`, all of it.

        `may` is called before each turn, every LOOK seconds at least: what it raises ends what goes on.
        """
        while True:
            may()
            self._start()
            busy = bool(self._waiting) or (over and bool(self._going))
            yield from self._turn(wait=busy)
            if not busy:
                return

    def _start(self) -> None:
        while self._waiting and len(self._going) < self._most:
            content, data = self._waiting.popleft()
            running = external.start(
                self._command, data, runnable=[INTERPRETER], seconds=SECONDS, accept_weak=self._accept_weak
            )
            self._going[running] = content
            self._selector.register(running, EVENT_READ, running)

    def _turn(self, *, wait: bool) -> Iterator[Answer]:
        patience = min((running.left for running in self._going), default=0.0)
        for key, _ in self._selector.select(min(patience, LOOK) if wait else 0):
            key.data.hear()
        for running in [running for running in self._going if running.over]:
            self._selector.unregister(running)
            said = answer(running.end())
            self.isolation = running.isolation or self.isolation
            yield self._going.pop(running), said


def answer(ran: external.Ran | Missing) -> Tags | Missing:
    """Those of TAGS that it has of its picture."""
    if isinstance(ran, Missing):
        return ran
    try:
        (about,) = json.loads(ran.output)
        return {tag: about[tag] for tag in TAGS if isinstance(about.get(tag), str | int | float)}
    except (ValueError, TypeError, AttributeError):
        return Missing(Reason.UNPARSABLE, f"exiftool gave no answer (exit status {ran.status})")
