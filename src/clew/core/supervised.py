"""One worker process as its supervisor sees it: what it was given, what it answered, how long it may take, how it
died.
"""

import contextlib
import os
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from time import monotonic
from typing import Any

from clew.core import channel
from clew.core.channel import Reply
from clew.core.errors import ClewError, Damaged
from clew.core.one_pass import NO_KERNEL, Kernel
from clew.core.sandbox import Policy
from clew.model import Missing, Reason

START_SECONDS = 120.0
TOO_SLOW = "time: more than"  # stands in the detail of the Missing of an item that was ended for its time
_MOST_AHEAD = 64  # tasks that wait inside a worker behind the one in hand
_BYTES_AHEAD = 16 << 20  # bytes of content behind them
_DESCRIPTORS_AHEAD = 128
_SECONDS_AHEAD = 0.1  # work that is sent ahead, judged by how long the last items took
_FIRST_GUESS = 0.02
_SLACK = 65_536  # bytes of a frame beside what an entry may answer
_REAP_SECONDS = 2.0
_ENVIRONMENT = {
    "PATH": "/usr/bin:/bin",
    "LANG": "C.UTF-8",
    "HOME": "/dev/null",  # a library that would keep something there (onnxruntime does) cannot
    "XDG_CACHE_HOME": "/dev/null",
    "TZ": "UTC0",  # local times without a zone (FAT's, MS-DOS's) are read as the same digits on every machine
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "PYTHONPATH": str(Path(channel.__file__).parents[2]),  # the very code that runs here, however it was installed
}


@dataclass(frozen=True, slots=True)
class Task:
    """One item of work. `entry` is "module:function", called in a worker as `function(payload, fds)`.

    `payload` is anything JSON can say. `fds` are descriptors that the pool owns once it has drawn the task; the
    worker gets them read-only and at the same numbers' files, and closes its copies after the entry. `bytes` is the
    content behind the task, for the time limit and for how much is sent ahead.
    """

    id: str
    entry: str
    payload: dict[str, Any]
    fds: tuple[int, ...] = ()
    bytes: int = 0


@dataclass(frozen=True, slots=True)
class Limits:
    """What one item may cost: seconds plus seconds per million bytes; bytes of memory for a worker; bytes of one
    answer.
    """

    seconds: float
    seconds_per_mb: float
    memory: int
    output: int

    def allowed(self, task: Task) -> float:
        """Seconds that this task may be in hand."""
        return self.seconds + self.seconds_per_mb * task.bytes / 1_000_000


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back for a task, and after how many seconds in hand."""

    task: Task
    reply: Reply | Missing
    last: bool
    seconds: float


class Worker:
    """A worker process and the tasks it holds, oldest first. Everything it says is checked."""

    def __init__(
        self,
        preload: Sequence[str],
        limits: Limits,
        policy: Policy,
        held: Sequence[int] = (),
        lists: Sequence[int] = (),
        kernel: Kernel = NO_KERNEL,
    ) -> None:
        self.unanswered: deque[Task] = deque()
        self.ready = False
        self.over = False
        self.report: dict[str, dict[str, Any]] = {}
        self.hashing = ""
        self._limits = limits
        self._number = 1  # of the oldest unanswered task
        self._since = monotonic()  # when it became the oldest; before that, when the process was started
        self._item_seconds = _FIRST_GUESS
        self._busy = 0.0
        self._retire_after = policy.cpu_seconds / 2
        self._held: Reply | None = None
        self._verdict: Missing | None = None
        self._frames = channel.Splitter(limits.output + _SLACK)
        self._outbox: deque[tuple[memoryview, list[int]]] = deque()
        self.connection, theirs = channel.pair()
        with theirs:
            self._process = _spawn(theirs.fileno(), [*held, *lists])
        setup = {
            "preload": list(preload),
            "path": [str(Path(path).absolute()) for path in sys.path],
            "policy": asdict(policy),
            "memory": limits.memory,
            "output": limits.output,
            "supervisor": os.getpid(),
            "held": list(held),
            "lists": list(lists),
            "kernel": [kernel.code.hex(), kernel.why],
        }
        self._post([setup], [])

    # ---- giving

    @property
    def room(self) -> int:
        """How many tasks it may be given now: as much as it does in a tenth of a second, and always one."""
        if not self.ready or self.over or self.retiring:
            return 0
        return max(1, min(_MOST_AHEAD, int(_SECONDS_AHEAD / self._item_seconds))) - len(self.unanswered)

    @property
    def idle(self) -> bool:
        """Whether it would begin at once with what it is given."""
        return self.ready and not (self.over or self.retiring or self.unanswered)

    @property
    def retiring(self) -> bool:
        """It has worked for half of the CPU time of its life: replaced once it holds nothing."""
        return self._busy > self._retire_after

    def takes(self, task: Task, held: Sequence[Task]) -> bool:
        """Whether this task still goes beside those that it holds and `held`."""
        beside = [*self.unanswered, *held]
        return not beside or (
            task.bytes + sum(each.bytes for each in beside) <= _BYTES_AHEAD
            and len(task.fds) + sum(len(each.fds) for each in beside) <= _DESCRIPTORS_AHEAD
        )

    def give(self, tasks: Sequence[Task]) -> None:
        """Sends tasks behind those that it holds."""
        if not self.unanswered:
            self._since = monotonic()
        first = self._number + len(self.unanswered)
        message = [[first + at, task.entry, task.payload, len(task.fds)] for at, task in enumerate(tasks)]
        self.unanswered.extend(tasks)
        self._post(message, [descriptor for task in tasks for descriptor in task.fds])

    def _post(self, message: list[Any], descriptors: list[int]) -> None:
        self._outbox.append((memoryview(channel.encode(message)), descriptors))
        self.flush()

    def flush(self) -> None:
        """Sends what fits of what waits. A pipe that is gone shows when it is read."""
        with contextlib.suppress(OSError):
            while self._outbox:
                data, descriptors = self._outbox[0]
                sent = channel.send_some(self.connection, data, descriptors)
                if not sent:
                    return
                if sent == len(data):
                    self._outbox.popleft()
                else:
                    self._outbox[0] = (data[sent:], [])  # the descriptors went with the first byte

    @property
    def wants_to_write(self) -> bool:
        """Something waits for room in the pipe."""
        return bool(self._outbox)

    # ---- hearing

    def hear(self) -> list[Answer]:
        """What it has said since. Sets `over` at the end of its pipe; whoever breaks the rules is ended and over."""
        data = channel.receive_some(self.connection)
        if data is None:
            return []
        if not data:
            self.over = True
            return []
        answers: list[Answer] = []
        try:
            for message, blobs in self._frames.feed(data):
                answers += self._take(message, blobs)
        except Damaged as error:
            self.condemn(
                Missing(Reason.UNREADABLE, f"the worker broke the rules of its pipe on this item: {error.message}")
            )
            self.over = True
        return answers

    def _take(self, message: list[Any], blobs: bytes) -> list[Answer]:
        if not self.ready:
            self._begin(message)
            return []
        if not self.unanswered or len(message) < 2 or message[0] != self._number:
            raise Damaged("an answer to another task than the one in hand")
        match message[1:]:
            case ["reply", bool(last), value, lengths]:
                reply = Reply(value, channel.cut(blobs, lengths))
                return [self._done(reply)] if last and not self._held else self._streamed(reply)
            case ["end"]:
                reply, self._held = self._held or Reply(None), None
                return [self._done(reply)]
            case ["missing", str(reason), str(detail)] if reason in set(Reason):
                before = self._release()
                return [*before, self._done(Missing(Reason(reason), detail))]
        raise Damaged("a message of no known kind")

    def _streamed(self, reply: Reply) -> list[Answer]:
        """Part of a stream: held until it is known whether it was the last."""
        before, self._held = self._release(), reply
        return before

    def _release(self) -> list[Answer]:
        held, self._held = self._held, None
        return [] if held is None else [Answer(self.unanswered[0], held, False, self.held_seconds)]

    def _done(self, reply: Reply | Missing) -> Answer:
        seconds = self.held_seconds
        answer = Answer(self.unanswered.popleft(), reply, True, seconds)
        close(answer.task)
        self._number += 1
        self._since += seconds
        self._busy += seconds
        self._item_seconds += (max(seconds, 1e-4) - self._item_seconds) / 8
        return answer

    def _begin(self, message: list[Any]) -> None:
        """Its first message: ready with a report of its isolation, or why it could not start."""
        match message:
            case [0, "ready", dict(report), str(hashing)]:
                self.ready, self.report, self.hashing = True, report, hashing
                self._since = monotonic()
            case [0, "failed", str(detail)]:
                raise ClewError(f"a worker could not import what it needs: {detail}", "check the installation")
            case _:
                raise Damaged("a worker began with something else than its report")

    # ---- time

    @property
    def held_seconds(self) -> float:
        """For how long the oldest task has been in hand."""
        return monotonic() - self._since

    @property
    def left(self) -> float:
        """Seconds until the item in hand, or the start, has taken too long; infinite with nothing in hand."""
        if not self.ready:
            return START_SECONDS - self.held_seconds
        if not self.unanswered:
            return float("inf")
        return self._limits.allowed(self.unanswered[0]) - self.held_seconds

    def pause(self, seconds: float) -> None:
        """Time in which nobody listened: it does not count."""
        self._since = min(self._since + seconds, monotonic())

    def too_slow(self) -> None:
        """Ends it because the item in hand took too long."""
        if not self.ready:
            raise ClewError(f"a worker did not start within {START_SECONDS:.0f} seconds", "is the machine overloaded?")
        allowed = self._limits.allowed(self.unanswered[0])
        self.condemn(Missing(Reason.LIMIT_REACHED, f"{TOO_SLOW} {allowed:g} seconds"))

    # ---- the end

    def condemn(self, verdict: Missing) -> None:
        """Ends it, and says why the item now in hand is Missing."""
        self._verdict = verdict
        self._process.kill()

    def bury(self) -> tuple[list[Answer], list[Task]]:
        """After its end: what is still answered (its item in hand as Missing), and the tasks that it never began."""
        status = self._reap()
        if not self.ready:
            raise ClewError(f"a worker ended before it was ready ({_how(status)})", "check the installation")
        if not self.unanswered:
            return [], []
        answers = [*self._release(), self._done(self._verdict or _verdict(status))]
        rest = list(self.unanswered)
        self.unanswered.clear()
        for task in rest:
            rewind(task)
        return answers, rest

    def kill(self) -> None:
        """Ends it without a word; the tasks it holds are let go."""
        self._process.kill()
        self._reap()
        while self.unanswered:
            close(self.unanswered.popleft())

    def _reap(self) -> int:
        self.connection.close()
        try:
            return self._process.wait(_REAP_SECONDS)
        except subprocess.TimeoutExpired:  # it closed its pipe and lives on
            self._process.kill()
            return self._process.wait()


def close(task: Task) -> None:
    """Lets a task's descriptors go."""
    for descriptor in task.fds:
        os.close(descriptor)


def rewind(task: Task) -> None:
    """Back to the first byte: the worker that died may have read ahead on the same open files."""
    for descriptor in task.fds:
        with contextlib.suppress(OSError):  # a pipe
            os.lseek(descriptor, 0, os.SEEK_SET)


def _spawn(descriptor: int, held: Sequence[int]) -> subprocess.Popen[bytes]:
    """Nothing of our environment, no terminal, a session of its own: what interrupts us is ours to hand on."""
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "clew.core.worker", str(descriptor)],
        pass_fds=(descriptor, *held),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=_ENVIRONMENT,
        cwd="/",
        start_new_session=True,
    )


def _how(status: int) -> str:
    if status >= 0:
        return f"exit status {status}"
    try:
        return f"signal {-status} ({signal.Signals(-status).name})"
    except ValueError:
        return f"signal {-status}"


def _verdict(status: int) -> Missing:
    """Why the item in hand is Missing, from how its worker died."""
    if status >= 0:
        return Missing(Reason.UNREADABLE, f"the worker ended ({_how(status)}) while on this item")
    said = f"the worker was killed by {_how(status)} while on this item"
    if -status == signal.SIGXCPU:
        return Missing(Reason.LIMIT_REACHED, f"{said}: CPU time")
    if -status == signal.SIGKILL:
        return Missing(Reason.LIMIT_REACHED, f"{said}, as the kernel does where memory runs out")
    return Missing(Reason.UNREADABLE, said)
