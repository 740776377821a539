"""The wire: the one place that opens sockets, and none without the Governor's word.

Runs an asyncio loop in a thread of its own, so that commits of the case never delay the time of a received segment.
Never listens. Sends nothing but messages of the plug-in's closed set.
"""

import asyncio
import contextlib
import errno
import queue
import socket
import threading
from collections import defaultdict, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import TracebackType

from clew.core import clock
from clew.core.clock import Instant
from clew.core.errors import ClewError
from clew.model import Missing, Reason, carrier
from clew.observe.api import SECOND, TOO_SLOW, Contact, Conversation, Sendable, Sighted
from clew.observe.gaps import NO_NETWORK
from clew.observe.lines import DatagramLine, Ending, StreamLine, unconnected
from clew.observe.policy import Go, Governor, Wait, Wish, inside_loopback

IP_BIND_ADDRESS_NO_PORT = 24  # ip(7): no port is chosen before connect, else binding scans all ports in TIME_WAIT
RECEIVE_BUFFER = 32 * 1024  # what a peer can push at us unasked before we look at it
DATAGRAMS = ("utp", "udp")  # carriers (`model.carrier`) whose conversations get datagrams, all others a stream
GOODBYE_SECONDS = 0.4
STOPPED = Missing(Reason.INTERRUPTED, "the run was stopped")
GONE = (errno.ENETDOWN, errno.ENETUNREACH, errno.EADDRNOTAVAIL)  # connect(2), bind(2): it is us who have no network


@dataclass(frozen=True, slots=True)
class Call:
    """One connection to open. `then` follows at once when it is over, even while the wire is being stopped."""

    id: str
    wish: Wish
    conversation: Conversation
    then: "Call | None" = None


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

    @property
    def unheard(self) -> bool:
        """Whether no handshake of ours went out: there was no connection, or it ended before."""
        found = self.sighted.finding if self.sighted is not None else None
        return found.shut if isinstance(found, Contact) else not self.local[0]


class Wire:
    """Opens what it is asked to, when it may. A context manager; `dial` and `collect` are for one other thread."""

    def __init__(self, governor: Governor, sendable: tuple[type[Sendable], ...]) -> None:
        self._governor, self._sendable = governor, sendable
        self._answers: queue.SimpleQueue[Answer | None] = queue.SimpleQueue()
        self._calls: deque[Call] = deque()
        self._aside: dict[tuple[str, int], deque[Call]] = defaultdict(deque)
        self._lines: dict[str, tuple[Call, StreamLine | DatagramLine]] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._stopping = False
        self._failure: BaseException | None = None
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="wire", daemon=True)

    def __enter__(self) -> "Wire":
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self._thread.join()

    def dial(self, calls: Iterable[Call]) -> None:
        """Takes calls; their Answers come by `collect`, one for each, whatever happens."""
        self._loop.call_soon_threadsafe(self._take, list(calls))

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
            with contextlib.suppress(RuntimeError):  # the loop may end by itself in between
                self._loop.call_soon_threadsafe(self._stop)
            self._thread.join()

    # the loop's thread ----------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            asyncio.run(self._main())
        except BaseException as error:
            self._failure = error
            raise
        finally:
            self._ready.set()
            self._answers.put(None)

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._loop.set_exception_handler(lambda _loop, _context: None)  # a broken line answers by connection_lost
        self._stopped = asyncio.Event()
        self._ready.set()
        await self._stopped.wait()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GOODBYE_SECONDS):
                while self._tasks or self._lines:
                    await asyncio.sleep(0.01)
        for task in list(self._tasks.values()):
            task.cancel()
        self._hang_up(lambda _: True)
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        while self._lines:  # each is closed; the loop tells so in its next turns
            await asyncio.sleep(0.001)

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
        for name, task in list(self._tasks.items()):
            if name not in self._lines and not task.get_name().startswith("goodbye"):
                task.cancel()
        self._stopped.set()

    def _hang_up(self, on: Callable[[Call], bool]) -> None:
        """Ends lines, each in a step of its own: a conversation that breaks must not keep the others open."""
        for call, line in self._lines.values():
            if on(call):
                self._loop.call_soon(line.end, STOPPED)

    def _pump(self) -> None:
        """Opens what may be opened now, in order; calls to an address and port that is busy step aside."""
        while self._calls:
            call = self._calls.popleft()
            at = clock.now()
            verdict = self._governor.decide(call.wish, at)
            if isinstance(verdict, Missing):
                self._never(call, verdict)
            elif isinstance(verdict, Go):
                self._open(call, verdict.mandate, at)
            elif not self._postpone(call, verdict, at):
                return

    def _postpone(self, call: Call, wait: Wait, at: Instant) -> bool:
        """Puts a call back; False where nothing else can be opened now either."""
        place = (call.wish.address, call.wish.port)
        if wait.until_ns is None and self._governor.busy(*place):
            self._aside[place].append(call)
            return True
        self._calls.appendleft(call)
        if wait.until_ns is not None:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = self._loop.call_later(max(0.0, (wait.until_ns - at.mono_ns) / SECOND), self._pump)
        return False

    def _open(self, call: Call, mandate: str, at: Instant) -> None:
        name = ("goodbye " if _takes_back(call) else "") + call.id
        self._tasks[call.id] = self._loop.create_task(self._connect(call, mandate, at), name=name)

    async def _connect(self, call: Call, mandate: str, at: Instant) -> None:
        wish, missing, sock = call.wish, None, None
        datagrams = carrier(wish.transport) in DATAGRAMS
        try:
            sock = _socket(wish.address, self._governor.policy.bind, datagrams=datagrams)
            async with asyncio.timeout(self._governor.policy.answer):
                await self._loop.sock_connect(sock, (wish.address, wish.port))
            over = self._ender(call, mandate, sock.getsockname()[:2])
            if datagrams:
                line = DatagramLine(call.conversation, self._sendable, over, self._governor.spent, sock)
                self._lines[call.id] = (call, line)
                line.begin()
            else:
                stream = StreamLine(call.conversation, self._sendable, over, self._governor.spent)
                self._lines[call.id] = (call, stream)
                await self._loop.create_connection(lambda: stream, sock=sock)
        except TimeoutError:
            missing = TOO_SLOW
        except OSError as error:
            # A machine may have IPv4 alone for good: without IPv6 it is not the network that is gone.
            missing = NO_NETWORK if error.errno in GONE and ":" not in wish.address else unconnected(error)
        except asyncio.CancelledError:
            missing = STOPPED
        finally:
            self._tasks.pop(call.id, None)
        if missing is not None:
            if sock is not None:
                sock.close()
            self._lines.pop(call.id, None)
            self.over(Answer(call, None, missing, at, clock.now(), mandate=mandate))

    def _ender(self, call: Call, mandate: str, local: tuple[str, int]) -> Callable[[Ending], None]:
        """What a line calls at its end; the connection began now."""
        began = clock.now()
        return lambda end: self.over(Answer(call, end.sighted, end.missing, began, end.at, local, mandate))

    def over(self, answer: Answer) -> None:
        """A connection is closed, or did not come about: hands on the Answer, opens the follow-up and what waited."""
        call, place = answer.call, (answer.call.wish.address, answer.call.wish.port)
        self._lines.pop(call.id, None)
        self._governor.release(*place)
        if answer.unheard:
            self._governor.unheard(call.wish)
        self._answers.put(answer)
        waiting = self._aside.get(place)
        if waiting:
            self._calls.appendleft(waiting.popleft())
            if not waiting:
                del self._aside[place]
        if call.then is not None:
            self._calls.appendleft(call.then)
        self._pump()

    def _never(self, call: Call, why: Missing) -> None:
        now = clock.now()
        self._answers.put(Answer(call, None, why, now, now))
        if call.then is not None:
            self._never(call.then, why)


def _takes_back(call: Call) -> bool:
    """Whether a call may still go through while the wire is being stopped: it takes us off a list."""
    return call.wish.event == "stopped"


def resolve(host: str) -> str:
    """The IPv4 address of a tracker's host; no other name is ever looked up. Raises ClewError without one."""
    try:
        found = socket.getaddrinfo(host, None, socket.AF_INET, socket.SOCK_STREAM)
    except OSError as error:
        raise ClewError(f"the tracker {host} has no address: {error.strerror}", "check its name") from error
    return str(found[0][4][0])


def _socket(address: str, bind: str, *, datagrams: bool) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    if datagrams:
        sock = socket.socket(family, socket.SOCK_DGRAM)
    else:
        # Named, since asyncio sets TCP_NODELAY on such a socket alone; each exchange of MSE would wait 40 ms more.
        sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    sock.setblocking(False)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
    same = bind and (":" in bind) == (":" in address)  # of two families neither can be bound for the other
    if same and inside_loopback(address) == inside_loopback(bind):
        sock.setsockopt(socket.SOL_IP, IP_BIND_ADDRESS_NO_PORT, 1)
        sock.bind((bind, 0))
    return sock
