"""The supervised pool: every parser of seized bytes runs in a worker, and the parent always knows the item in hand.

A worker answers its tasks in order, so its oldest unanswered task is the one in hand: a crash, a hang or a lack of
memory costs exactly that task, as a Missing; what was queued behind it goes to a fresh worker. No task is lost and
none is answered twice. No threads: one loop in the caller's thread, which runs while an Outcome is asked for; time
that the caller spends elsewhere is not counted against an item. Tasks must be pure and idempotent.

Whoever makes the tasks may ask the pool something meanwhile (`ask`): answers to other tasks that come in are kept for
the run.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from enum import Enum, auto
from selectors import EVENT_READ, EVENT_WRITE, DefaultSelector
from time import monotonic
from types import TracebackType
from typing import Any, Self

from clew.core.channel import Reply, read_only
from clew.core.errors import Refused
from clew.core.one_pass import NO_KERNEL, Kernel
from clew.core.sandbox import Policy, weaknesses
from clew.core.supervised import Answer, Limits, Task, Worker, close
from clew.model import Missing

LOOK = 5.0  # seconds that a turn waits at most

__all__ = ["Limits", "Outcome", "Policy", "Pool", "Reply", "Task"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """One answer to a task; `last` is False for all but the last of a stream. `seconds` is how long it was in hand
    so far.

    A stream without any Reply ends in Reply(None); one that broke off ends in a Missing, what came before it stays.
    """

    task: Task
    reply: Reply | Missing
    last: bool
    seconds: float


class _Fed(Enum):
    """How dealing out ended: the workers are full, the source has nothing just now, or it has ended."""

    FULL = auto()
    NOTHING_YET = auto()
    OVER = auto()


class Pool:
    """Workers that are started on entry and gone on exit. Entry raises Refused where isolation is weak and not
    accepted.

    `preload` are modules ("package.module", or "package.module:function" to call something once) that workers
    import before they lock themselves up; afterwards nothing can be imported or opened, so whatever an entry needs
    must stand here. `held` are descriptors of the exhibit and `lists` those of sorted lists of hashes that every worker
    is born with (`core.held`), read-only; they stay the caller's. `kernel` is the code by which they compute the three
    hashes (`core.one_pass`). `may` is called before each turn, every LOOK seconds at least: what it raises ends what
    goes on. Workers die with the thread that started them.
    """

    def __init__(
        self,
        workers: int,
        preload: tuple[str, ...],
        limits: Limits,
        sandbox: Policy,
        held: tuple[int, ...] = (),
        lists: tuple[int, ...] = (),
        kernel: Kernel = NO_KERNEL,
        may: Callable[[], object] = lambda: None,
    ) -> None:
        self._wanted = max(1, workers)
        self._preload = preload
        self._modules = {name.partition(":")[0] for name in preload}
        self._limits = limits
        self._sandbox = sandbox
        self._held = held
        self._lists = lists
        self._kernel = kernel
        self._may = may
        self._workers: list[Worker] = []
        self._selector = DefaultSelector()
        self._again: deque[Task] = deque()
        self._stash: deque[Answer] = deque()
        self._running = False
        self._turned = 0.0  # seconds spent listening so far
        self._isolation: dict[str, Any] = {}
        self._hashing = ""

    def __enter__(self) -> Self:
        try:
            self._staff()
            while not all(worker.ready for worker in self._workers):
                self._turn()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def isolation(self) -> dict[str, Any]:
        """Each layer of the sandbox as {"reached": bool, "detail": str}: to be stored with the run and shown."""
        return self._isolation

    @property
    def hashing(self) -> str:
        """How workers compute the three hashes, in words: to be stored with the run."""
        return self._hashing

    @property
    def oldest(self) -> tuple[str, float] | None:
        """The id of the item longest in hand, and for how many seconds: for a progress line."""
        held = [(worker.unanswered[0].id, worker.held_seconds) for worker in self._workers if worker.unanswered]
        return max(held, key=lambda pair: pair[1]) if held else None

    def close(self) -> None:
        """Ends every worker. What was unanswered stays unanswered."""
        for worker in list(self._workers):
            self._dismiss(worker)
            worker.kill()
        self._let_go()
        self._selector.close()

    def run(self, tasks: Iterable[Task | None]) -> Iterator[Outcome]:
        """Answers every task, as the answers come. Tasks are drawn one by one as workers have room; None says that
        there is none just now, and is asked again after a look at what came in.

        The pool owns a task's descriptors from the moment it is drawn. One run at a time. Leaving the loop early
        drops what is in flight. Raises ClewError where workers cannot be started, ValueError for an entry outside
        the preloaded modules.
        """
        if self._running:
            raise RuntimeError("this pool is running already")
        self._running = True
        source = iter(tasks)
        fed = _Fed.FULL
        try:
            while True:
                fed = self._feed(source) if fed is not _Fed.OVER or self._again else fed
                idle = not (self._again or self._stash or any(worker.unanswered for worker in self._workers))
                if idle and fed is _Fed.OVER:
                    return
                if idle and fed is _Fed.NOTHING_YET:
                    continue
                self._stash.extend(self._turn(wait=not self._stash and fed is not _Fed.NOTHING_YET))
                while self._stash:
                    answer, left, turned = self._stash.popleft(), monotonic(), self._turned
                    yield Outcome(answer.task, answer.reply, answer.last, answer.seconds)
                    self._pause_since(left, turned)
        finally:
            self._running = False
            self._let_go()
            self._stash.clear()
            for worker in [worker for worker in self._workers if worker.unanswered]:
                self._dismiss(worker)
                worker.kill()

    def ask(self, task: Task) -> Reply | Missing:
        """The answer to one task, the last one where it is a stream; also while a run draws its tasks.

        It goes to the first worker that has nothing in hand. Raises as `run` does.
        """
        mine, given, last = self._accept(task), False, None
        try:
            while last is None:
                if not given and (worker := next((each for each in self._workers if each.idle), None)):
                    worker.give([mine])
                    given = True
                for answer in self._turn():
                    if answer.task is not mine:
                        self._stash.append(answer)
                    elif answer.last:
                        last = answer.reply
        except BaseException:
            if not given:
                close(mine)
            raise
        return last

    # ---- tasks

    def _feed(self, source: Iterator[Task | None]) -> _Fed:
        """Deals tasks out while workers have room, the emptiest first. Drawing one may take turns of its own (`ask`),
        in which workers die: what was meant for one of those is dealt again.
        """
        hands: dict[Worker, list[Task]] = {}
        fed = _Fed.FULL
        while self._room(hands) > 0:
            try:
                task = self._next(source)
            except StopIteration:
                fed = _Fed.OVER
                break
            if task is None:
                fed = _Fed.NOTHING_YET
                break
            if not self._deal(task, hands):
                self._again.appendleft(task)
                break
        for worker, hand in hands.items():
            if worker in self._workers:
                worker.give(hand)
            else:
                self._again.extendleft(reversed(hand))
        return fed

    def _room(self, hands: dict[Worker, list[Task]]) -> int:
        return max((worker.room - len(hands.get(worker, ())) for worker in self._workers), default=0)

    def _deal(self, task: Task, hands: dict[Worker, list[Task]]) -> bool:
        """Puts a task into the hand of the emptiest worker. False where no worker takes it now."""
        worker = max(self._workers, key=lambda each: each.room - len(hands.get(each, ())), default=None)
        hand = hands.get(worker, []) if worker else []
        if worker is None or worker.room <= len(hand) or not worker.takes(task, hand):
            return False
        hands.setdefault(worker, []).append(task)
        return True

    def _next(self, source: Iterator[Task | None]) -> Task | None:
        """Raises StopIteration at the source's end."""
        if self._again:
            return self._again.popleft()
        began, turned = monotonic(), self._turned
        try:
            task = next(source)
        finally:
            self._pause_since(began, turned)
        return None if task is None else self._accept(task)

    def _accept(self, task: Task) -> Task:
        """The task with descriptors that only read. Raises ValueError for an entry outside the preloaded modules."""
        if task.entry.partition(":")[0] not in self._modules:
            close(task)
            raise ValueError(f"{task.entry} is in none of the preloaded modules: {sorted(self._modules)}")
        return replace(task, fds=tuple(map(read_only, task.fds))) if task.fds else task

    def _let_go(self) -> None:
        while self._again:
            close(self._again.popleft())

    # ---- workers

    def _turn(self, *, wait: bool = True) -> list[Answer]:
        """Waits until something happens, and returns the answers that it brought."""
        began = monotonic()
        self._may()
        self._staff()
        for worker in self._workers:
            events = EVENT_READ | EVENT_WRITE if worker.wants_to_write else EVENT_READ
            if self._selector.get_key(worker.connection).events != events:
                self._selector.modify(worker.connection, events, worker)
        patience = min(worker.left for worker in self._workers)
        answers: list[Answer] = []
        timeout = min(max(patience, 0), LOOK) if wait else 0
        for key, _ in self._selector.select(timeout):
            worker = key.data
            worker.flush()
            answers += self._hear(worker)
        for worker in list(self._workers):
            if worker.left <= 0:
                worker.too_slow()
                answers += self._bury(worker)
            elif worker.retiring and not worker.unanswered:
                self._dismiss(worker)
                worker.kill()
        self._turned += monotonic() - began
        return answers

    def _hear(self, worker: Worker) -> list[Answer]:
        was_ready = worker.ready
        answers = worker.hear()
        if worker.ready and not was_ready:
            self._isolation, self._hashing = worker.report, worker.hashing
            if (weak := weaknesses(worker.report)) and not self._sandbox.accept_weak:
                raise Refused(
                    f"the workers would not be isolated well enough ({'; '.join(weak)})",
                    "use a kernel with Landlock and seccomp, or accept it openly with --accept-weak-isolation",
                )
        return [*answers, *self._bury(worker)] if worker.over else answers

    def _staff(self) -> None:
        """Starts workers where some are missing. They become ready on their own time."""
        while len(self._workers) < self._wanted:
            worker = Worker(self._preload, self._limits, self._sandbox, self._held, self._lists, self._kernel)
            self._workers.append(worker)
            self._selector.register(worker.connection, EVENT_READ, worker)

    def _dismiss(self, worker: Worker) -> None:
        self._workers.remove(worker)
        self._selector.unregister(worker.connection)

    def _bury(self, worker: Worker) -> list[Answer]:
        """Takes a dead worker's last answers and puts what it never began in front of the queue, in order."""
        self._dismiss(worker)
        answers, rest = worker.bury()
        self._again.extendleft(reversed(rest))
        return answers

    def _pause_since(self, began: float, turned: float) -> None:
        """Takes the time since `began` off every item's, but for what was spent in turns, `turned` before it."""
        seconds = monotonic() - began - (self._turned - turned)
        for worker in self._workers:
            worker.pause(seconds)
