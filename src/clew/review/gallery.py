"""The one way in which a picture leaves: rendered in a worker, written into the ledger, and only then handed out.

Requests that arrive while a batch is under way form the next batch: one run of the pool, one transaction, one ledger
entry. If the transaction fails, nobody gets a picture.
"""

import os
import queue
import sqlite3
import threading
from collections import OrderedDict
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

from clew.core import blobs, clock, mandate
from clew.core.case import Case
from clew.core.engine import Limits, Policy, Pool, Task
from clew.core.errors import ClewError
from clew.model import Missing, Reason
from clew.review import safeguards
from clew.review.api import Picture, Renderer
from clew.review.thumbnails import Thumbnails

BATCH = 64
KEPT = 4_000  # blurred pictures of 1 to 2 kB in memory; clear ones are never kept
LIMITS = Limits(seconds=10.0, seconds_per_mb=5.0, memory=512 << 20, output=2 << 20)
PRELOAD = ("clew.review.pictures:prepare",)
DISK = "a view that cannot be written into the ledger is not given: see that the case's disk is writable and has room"
ENTRY = "clew.review.pictures:render"


@dataclass(frozen=True, slots=True)
class _Request:
    content: bytes
    how: str
    answer: "Future[Picture | Missing]"


class PoolRenderer:
    """Renders in one sandboxed worker."""

    def __init__(self, case: Case, pool: Pool) -> None:
        self._case, self._pool = case, pool

    @property
    def isolation(self) -> dict[str, Any]:
        """The layers of the sandbox that were reached."""
        return self._pool.isolation

    def render(self, wanted: list[tuple[bytes, str]]) -> list[Picture | Missing]:
        """One answer for each (blob, how), in order; a picture that cannot be made costs itself alone."""
        answers: list[Picture | Missing] = [Missing(Reason.INTERRUPTED, "the worker gave no answer")] * len(wanted)
        for outcome in self._pool.run(self._tasks(wanted, answers)):
            reply = outcome.reply
            answers[int(outcome.task.id)] = (
                reply
                if isinstance(reply, Missing)
                else Picture(reply.blobs[0], int(reply.value["width"]), int(reply.value["height"]))
            )
        return answers

    def _tasks(self, wanted: list[tuple[bytes, str]], answers: list[Picture | Missing]) -> Iterator[Task]:
        for number, (blob, how) in enumerate(wanted):
            try:
                data = blobs.get(self._case.folder, blob)
            except ClewError as error:
                answers[number] = Missing(Reason.UNREADABLE, error.message)
                continue
            yield Task(str(number), ENTRY, {"how": how}, (_descriptor(data),), len(data))


@contextmanager
def pool_renderer(case: Case) -> Iterator[Renderer]:
    """The renderer over one worker, for the block. Enter and leave in the same thread: the worker dies with it."""
    with Pool(1, PRELOAD, LIMITS, Policy()) as pool:
        yield PoolRenderer(case, pool)


class Gallery:
    """Shows pictures to one reviewer. `show` may be called from any thread."""

    def __init__(
        self, case: Case, reviewer: str, thumbnails: Thumbnails, renderer: AbstractContextManager[Renderer]
    ) -> None:
        self._case, self._reviewer, self._thumbnails, self._opening = case, reviewer, thumbnails, renderer
        self._requests: queue.SimpleQueue[_Request | None] = queue.SimpleQueue()
        self._kept: OrderedDict[bytes, Picture] = OrderedDict()
        self._thread = threading.Thread(target=self._serve, name="clew-gallery", daemon=True)
        self._failed: BaseException | None = None

    def start(self) -> None:
        """Starts the worker; the first picture waits for it."""
        self._thread.start()

    def stop(self) -> None:
        """Ends the worker."""
        self._requests.put(None)
        self._thread.join()

    def show(self, content: bytes, how: str) -> "Future[Picture | Missing]":
        """A picture of this Content, "blurred" or "clear"; done only after the view is in the ledger."""
        request = _Request(content, how, Future())
        if self._failed is not None:
            request.answer.set_exception(self._failed)
        else:
            self._requests.put(request)
        return request.answer

    def _serve(self) -> None:
        try:
            with self._opening as renderer:
                safeguards.record_opening(self._case, self._reviewer, renderer.isolation)
                while batch := self._next():
                    self._answer(batch, renderer)
        except (ClewError, sqlite3.Error) as error:
            self._failed = error
        finally:
            self._failed = self._failed or ClewError("the picture worker has ended", "start clew review again")
            for request in self._waiting():
                request.answer.set_exception(self._failed)

    def _next(self) -> list[_Request]:
        first = self._requests.get()
        return [] if first is None else [first, *self._waiting(BATCH - 1)]

    def _waiting(self, most: int = 1_000_000) -> list[_Request]:
        found: list[_Request] = []
        while len(found) < most:
            try:
                request = self._requests.get_nowait()
            except queue.Empty:
                break
            if request is None:
                self._requests.put(None)
                break
            found.append(request)
        return found

    def _answer(self, batch: list[_Request], renderer: Renderer) -> None:
        try:
            legal = mandate.require(self._case, purpose="review", at_ns=clock.now().utc_ns).id
            made = self._make([(request.content, request.how) for request in batch], renderer)
            seen = [(r.content, r.how) for r, picture in zip(batch, made, strict=True) if isinstance(picture, Picture)]
            if seen:
                safeguards.record_views(self._case, self._reviewer, seen, legal)
        except Exception as error:  # noqa: BLE001  whatever it was: no ledger entry, no picture
            why = error if isinstance(error, ClewError) else ClewError(f"no picture was shown: {error}", DISK)
            for request in batch:
                request.answer.set_exception(why)
            return
        for request, picture in zip(batch, made, strict=True):
            request.answer.set_result(picture)

    def _make(self, wanted: list[tuple[bytes, str]], renderer: Renderer) -> list[Picture | Missing]:
        located = [(self._thumbnails.blob(content), how) for content, how in wanted]
        made: dict[tuple[bytes | None, str], Picture | Missing] = {}
        todo = []
        for blob, how in dict.fromkeys(located):
            if blob is None:
                made[blob, how] = Missing(Reason.NOT_APPLICABLE, "there is no stored picture of this content")
            elif how == "blurred" and blob in self._kept:
                made[blob, how] = self._kept[blob]
                self._kept.move_to_end(blob)
            else:
                todo.append((blob, how))
        for (blob, how), picture in zip(todo, renderer.render(todo) if todo else [], strict=True):
            made[blob, how] = picture
            if how == "blurred" and isinstance(picture, Picture):
                self._kept[blob] = picture
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return [made[each] for each in located]


def _descriptor(data: bytes) -> int:
    """The verified bytes in memory, as a descriptor that can be read only."""
    writable = os.memfd_create("clew-picture", os.MFD_CLOEXEC)
    try:
        os.write(writable, data)
        return os.open(f"/proc/self/fd/{writable}", os.O_RDONLY | os.O_CLOEXEC)
    finally:
        os.close(writable)
