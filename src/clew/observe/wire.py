"""The wire: the one place that opens sockets, and none without the Governor's word.

Runs a reactor in a thread of its own, so that commits of the case never delay the time of a received segment.
Never listens. Sends nothing but messages of the plug-in's closed set.
"""

import contextlib
import queue
import socket
import threading
from collections import defaultdict, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from types import TracebackType

from clew.core import clock
from clew.core.clock import Instant
from clew.core.errors import ClewError
from clew.model import Missing, Reason, carrier
from clew.observe.api import SECOND, Contact, Conversation, Sendable, Sighted
from clew.observe.gaps import LACKING, NO_NETWORK
from clew.observe.lines import Ending, Line
from clew.observe.policy import Go, Governor, Wait, Wish, inside_loopback
from clew.observe.reactor import Reactor, Timer
from clew.observe.ways import GONE, Ways

IP_BIND_ADDRESS_NO_PORT = 24  # ip(7): no port is chosen before connect, else binding scans all ports in TIME_WAIT
RECEIVE_BUFFER = 32 * 1024  # what a peer can push at us unasked before we look at it
DATAGRAMS = ("utp", "udp")  # carriers (`model.carrier`) whose conversations get datagrams, all others a stream
DISCARD = 9  # RFC 863; nothing is sent there
GOODBYE_NS = 2 * SECOND // 5
STOPPED = Missing(Reason.INTERRUPTED, "the run was stopped")


@dataclass(frozen=True, slots=True)
class Call:
    """One connection to open. `then` follows at once when it is over, even while the wire is being stopped.

    `goes_on`: it asks for more of a list that is half told, and comes before others that wait for its address and port.
    """

    id: str
    wish: Wish
    conversation: Conversation
    then: "Call | None" = None
    goes_on: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a Call. `sighted` is None where no connection came about, and `missing` says why."""

    call: Call
    sighted: Sighted | None
    missing: Missing | None
    started: Instant
    ended: Instant
    local: tuple[str, int] = ("", 0)
    mandate: str = ""
    sent: Instant | None = None

    @property
    def unheard(self) -> bool:
        """Whether no handshake of ours went out: there was no connection, or it ended before."""
        found = self.sighted.finding if self.sighted is not None else None
        return found.shut if isinstance(found, Contact) else not self.local[0]

    @property
    def heard(self) -> Instant | None:
        """Until when a handshake of ours may have been heard; None where none went out.

        Who answered heard what we sent until then. Who did not may be reached until the end: TCP repeats what was lost.
        """
        if self.unheard:
            return None
        found = self.sighted.finding if self.sighted is not None else None
        return self.sent if self.sent is not None and isinstance(found, Contact) and found.answered else self.ended


class Wire:
    """Opens what it is asked to, when it may. A context manager; `dial` and `collect` are for one other thread."""

    def __init__(self, governor: Governor, sendable: tuple[type[Sendable], ...]) -> None:
        self._governor, self._sendable = governor, frozenset(sendable)
        self._reactor = Reactor()
        self._answers: queue.SimpleQueue[Answer | None] = queue.SimpleQueue()
        self._calls: deque[Call] = deque()
        self._aside: dict[tuple[str, int], deque[Call]] = defaultdict(deque)
        self._lines: dict[str, tuple[Call, Line]] = {}
        self._answer_ns = int(governor.policy.answer * SECOND)
        self._timer: Timer | None = None
        self._stopping = False
        self._failure: BaseException | None = None
        self.has_way = partial(_has_way, bind=governor.policy.bind)
        self._ways = Ways(self.has_way)
        self.left: Instant | None = None  # when a call last had a way out of this machine, whatever became of it
        self._thread = threading.Thread(target=self._run, name="wire", daemon=True)

    def __enter__(self) -> "Wire":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self._reactor.close()

    def dial(self, calls: Iterable[Call]) -> None:
        """Takes calls; their Answers come by `collect`, one for each, whatever happens."""
        taken = list(calls)
        self._reactor.hand(lambda: self._take(taken))

    def collect(self, timeout: float) -> list[Answer]:
        """The Answers that are there; waits `timeout` seconds for the first. Raises ClewError if the wire broke."""
        found: list[Answer] = []
        with contextlib.suppress(queue.Empty):
            first = self._answers.get(timeout=timeout)
            while True:
                if first is not None:
                    found.append(first)
                first = self._answers.get_nowait()
        if self._failure is not None and not found:
            raise ClewError(
                f"the wire broke: {self._failure}", "run the same command again to go on"
            ) from self._failure
        return found

    def stop(self) -> None:
        """Opens nothing more but goodbyes, ends what is open but them; returns when every Answer is there."""
        if self._thread.is_alive():
            self._reactor.hand(self._stop)
            self._thread.join()

    # the reactor's thread ----------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            self._reactor.run(lambda: self._stopping)
            while self._lines:
                late_ns = clock.mono_ns() + GOODBYE_NS
                self._reactor.at(late_ns, lambda: None)
                self._reactor.run(lambda: not self._lines or clock.mono_ns() >= late_ns)  # noqa: B023 - run at once
                self._hang_up(lambda _: True)
        except BaseException as error:
            self._failure = error
            raise
        finally:
            self._answers.put(None)

    def _take(self, calls: list[Call]) -> None:
        """Takes calls. What asks a list goes first: whoever waits to be called, others wait to be heard of."""
        self._calls.extendleft(call for call in reversed(calls) if call.wish.kind == "announce")
        self._calls.extend(call for call in calls if call.wish.kind != "announce")
        self._pump()

    def _stop(self) -> None:
        self._stopping = True
        waiting = [*self._calls, *(call for some in self._aside.values() for call in some)]
        self._calls.clear()
        self._aside.clear()
        for call in waiting:
            self._never(call, STOPPED)
        # A `started` that waits for its reply too: its goodbye follows at once, and needs the time that is left.
        self._hang_up(lambda call: not _takes_back(call))

    def _hang_up(self, on: Callable[[Call], bool]) -> None:
        for call, line in self._lines.values():
            if on(call):
                line.end(STOPPED)

    def _pump(self) -> None:
        """Opens what may be opened now, in order; calls to an address and port that is busy step aside."""
        while self._calls:
            call = self._calls.popleft()
            if self._timer is not None and not call.wish.goodbye:
                self._calls.appendleft(call)
                return
            at = clock.now()
            verdict = self._governor.decide(call.wish, at)
            if isinstance(verdict, Missing):
                self._never(call, verdict)
                self._next_of(call)
            elif isinstance(verdict, Go):
                self._open(call, verdict.mandate, at)
            elif not self._postpone(call, verdict):
                return

    def _postpone(self, call: Call, wait: Wait) -> bool:
        """Puts a call back; False where nothing else can be opened now either."""
        place = (call.wish.address, call.wish.port)
        if wait.until_ns is None and self._governor.busy(*place):
            aside = self._aside[place]
            (aside.appendleft if call.goes_on else aside.append)(call)
            return True
        self._calls.appendleft(call)
        if wait.until_ns is not None:
            self._timer = self._reactor.at(wait.until_ns, self._go_on)
        return False

    def _go_on(self) -> None:
        self._timer = None
        self._pump()

    def _open(self, call: Call, mandate: str, at: Instant) -> None:
        wish, bind = call.wish, self._governor.policy.bind
        datagrams = carrier(wish.transport) in DATAGRAMS
        line = Line(
            self._reactor, call.conversation, self._sendable, self._governor.spent, partial(self._over, call, mandate)
        )
        self._lines[call.id] = (call, line)
        make = partial(_socket, wish.address, bind, datagrams=datagrams)
        place = (wish.address, wish.port)
        if line.dial(make, place, at, self._answer_ns, self._ways.gone, datagrams=datagrams):
            self.left = at
            if wish.kind != "announce":  # a tracker may be near, and tells nothing of the way to others
                self._ways.left(wish.address)

    def _over(self, call: Call, mandate: str, end: Ending) -> None:
        """A connection is closed, or did not come about: hands on the Answer, opens the follow-up and what waited."""
        del self._lines[call.id]
        self._governor.release(call.wish.address, call.wish.port)
        answer = Answer(call, end.sighted, end.missing, end.began, end.at, end.local, mandate, end.sent)
        if answer.heard is None:
            self._governor.unheard(call.wish, left=answer.missing not in (NO_NETWORK, *LACKING))
        else:
            self._governor.heard(call.wish, answer.heard.mono_ns)
        self._answers.put(answer)
        self._next_of(call)
        if call.then is not None:
            self._calls.appendleft(call.then)
        self._pump()

    def _next_of(self, call: Call) -> None:
        """This call is over, or was never made: the next one that waits for its address and port has its turn."""
        place = (call.wish.address, call.wish.port)
        waiting = self._aside.get(place)
        if waiting:
            self._calls.appendleft(waiting.popleft())
            if not waiting:
                del self._aside[place]

    def _never(self, call: Call, why: Missing) -> None:
        now = clock.now()
        self._answers.put(Answer(call, None, why, now, now))
        if call.then is not None:
            self._never(call.then, why)


def _takes_back(call: Call) -> bool:
    """Whether a call may still go through while the wire is being stopped: it takes us off a list."""
    return call.wish.event == "stopped"


class Names:
    """Looks names up in threads of their own, for the system's resolver may take as long as it likes."""

    def __init__(self) -> None:
        self._found: queue.SimpleQueue[tuple[str, tuple[str, ...]]] = queue.SimpleQueue()

    def ask(self, host: str) -> None:
        """Looks up a host."""
        threading.Thread(target=self._look_up, args=(host,), name="names", daemon=True).start()

    def take(self) -> dict[str, tuple[str, ...]]:
        """The addresses found since the last time, by host."""
        found: dict[str, tuple[str, ...]] = {}
        with contextlib.suppress(queue.Empty):
            while True:
                host, addresses = self._found.get_nowait()
                found[host] = addresses
        return found

    def _look_up(self, host: str) -> None:
        with contextlib.suppress(ClewError):
            self._found.put((host, resolve(host)))


def resolve(host: str) -> tuple[str, ...]:
    """The IPv4 addresses of a tracker's host; no other name is ever looked up. Raises ClewError without one."""
    try:
        found = socket.getaddrinfo(host, None, socket.AF_INET, socket.SOCK_STREAM)
    except OSError as error:
        raise ClewError(f"the tracker {host} has no address: {error.strerror}", "check its name") from error
    return tuple(dict.fromkeys(str(each[4][0]) for each in found))


def _socket(address: str, bind: str, *, datagrams: bool) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    kind = socket.SOCK_DGRAM if datagrams else socket.SOCK_STREAM
    sock = socket.socket(family, kind | socket.SOCK_NONBLOCK)
    if not datagrams:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # else each exchange of MSE waits 40 ms more
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
    same = bind and (":" in bind) == (":" in address)  # of two families neither can be bound for the other
    if same and inside_loopback(address) == inside_loopback(bind):
        sock.setsockopt(socket.SOL_IP, IP_BIND_ADDRESS_NO_PORT, 1)
        sock.bind((bind, 0))
    return sock


def _has_way(address: str, bind: str) -> bool:
    """Whether there is a route to this address now; False too where that cannot be asked. Nothing is sent (udp(7))."""
    try:
        with _socket(address, bind, datagrams=True) as sock:
            return sock.connect_ex((address, DISCARD)) not in GONE
    except OSError:
        return False
