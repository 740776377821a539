"""The wire's own event loop: sockets that are ready and moments that are due, in one thread (epoll(7), eventfd(2)).

asyncio does this too; but a contact lives for two exchanges, and there each costs several times what it costs here
(bench/bench_observe.py).
"""

import heapq
import itertools
import os
import select
from collections import deque
from collections.abc import Callable

from clew.core import clock
from clew.observe.api import SECOND

READABLE, WRITABLE = select.EPOLLIN, select.EPOLLOUT
URGENT = select.EPOLLPRI  # of a stream, that there are urgent bytes: recv(2) stops before them, and more may follow
# Of a stream, each change once (epoll(7)): nothing is set anew meanwhile, and who is told reads until nothing is left.
CHANGES = READABLE | WRITABLE | URGENT | select.EPOLLRDHUP | select.EPOLLET
BROKEN = select.EPOLLRDHUP | select.EPOLLHUP | select.EPOLLERR  # what ends a stream: after what is still to be read
MOST_EVENTS = 512  # taken in one turn
LONGEST_WAIT_NS = 60 * SECOND
FEW_TIMERS = 1_024

Step = Callable[[], None]


class Timer:
    """A step that is to come; `cancel` forgets it."""

    __slots__ = ("step",)

    def __init__(self, step: Step) -> None:
        self.step: Step | None = step

    def cancel(self) -> None:
        """It will not come."""
        self.step = None


class Reactor:
    """All but `hand` is for the thread that runs it. What a step raises ends the run."""

    def __init__(self) -> None:
        self._poll = select.epoll()
        self._bell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._poll.register(self._bell, READABLE)
        self._watched: dict[int, Callable[[int], None]] = {}
        self._soon: deque[Step] = deque()
        self._timers: list[tuple[int, int, Timer]] = []
        self._many = FEW_TIMERS  # timers from which on those that were cancelled are looked for
        self._number = itertools.count()

    def close(self) -> None:
        """Gives back the two descriptors; sockets are their owners'."""
        self._poll.close()
        os.close(self._bell)

    def hand(self, step: Step) -> None:
        """A step for the next turn, from any thread. Raises OSError where it is closed."""
        self._soon.append(step)
        os.eventfd_write(self._bell, 1)

    def soon(self, step: Step) -> None:
        """A step for the next turn."""
        self._soon.append(step)

    def at(self, when_ns: int, step: Step) -> Timer:
        """A step for when the monotonic clock says so."""
        if len(self._timers) >= self._many:
            self._drop_cancelled()
        timer = Timer(step)
        heapq.heappush(self._timers, (when_ns, next(self._number), timer))
        return timer

    def watch(self, descriptor: int, ready: Callable[[int], None], events: int) -> None:
        """`ready` is called each turn in which one of these events is there, or the connection is broken; with CHANGES,
        once for each change.

        Not for a `ready` to call: a descriptor closed in this turn may come again under its number, and its old event
        would be taken for the new one's.
        """
        self._watched[descriptor] = ready
        self._poll.register(descriptor, events)

    def forget(self, descriptor: int) -> None:
        """No more events of this descriptor. It is closed right after, and with that leaves the poll too (epoll(7))."""
        self._watched.pop(descriptor, None)

    def run(self, until: Callable[[], bool]) -> None:
        """Takes turns until that is so."""
        while not until():
            self._turn()

    def _turn(self) -> None:
        for descriptor, events in self._poll.poll(self._pause(), MOST_EVENTS):
            if descriptor == self._bell:
                os.eventfd_read(self._bell)
            elif (ready := self._watched.get(descriptor)) is not None:
                ready(events)
        now_ns = clock.mono_ns()
        while self._timers and self._timers[0][0] <= now_ns:
            if (step := heapq.heappop(self._timers)[2].step) is not None:
                step()
        for _ in range(len(self._soon)):
            self._soon.popleft()()

    def _drop_cancelled(self) -> None:
        """Nearly all are cancelled long before their time: thousands of connections a second would leave tens of
        thousands behind. As often as their number has doubled.
        """
        self._timers = [each for each in self._timers if each[2].step is not None]
        heapq.heapify(self._timers)
        self._many = max(FEW_TIMERS, 2 * len(self._timers))

    def _pause(self) -> float:
        """Seconds until a step is due."""
        if self._soon:
            return 0.0
        while self._timers and self._timers[0][2].step is None:
            heapq.heappop(self._timers)
        if not self._timers:
            return LONGEST_WAIT_NS / SECOND
        return max(0.0, (self._timers[0][0] - clock.mono_ns()) / SECOND)
