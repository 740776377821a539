"""One line to one peer: its socket and its Conversation, from the first packet to the last.

Over TCP bytes come as a stream; over UDP (uTP, DHT, trackers) each datagram is one message, and the socket is
connected, so that it hears its one peer alone. Pieces are read one by one, so that a flood of one peer leaves the
others their turn of the reactor.
"""

import errno
import os
import socket
from collections.abc import Callable, Set
from dataclasses import dataclass
from typing import Any

from clew.core import clock
from clew.core.clock import Instant
from clew.model import Missing, Reason
from clew.observe.api import NO_CONNECTION, REFUSED, SECOND, TOO_SLOW, Conversation, Event, Send, Sendable, Sighted
from clew.observe.reactor import BROKEN, CHANGES, READABLE, URGENT, WRITABLE, Reactor, Timer

# More than any list that is told in one: 200 endpoints of IPv6 (BEP 15) are 3,620 bytes, which come in several pieces,
# and a node's reply may be as long (`networks._dht`). Whoever sends more is not read.
MOST_DATAGRAM = 4 * 1024
MOST_PIECE = 32 * 1024  # of a stream, in one turn
LEAST_WAKE_NS = SECOND // 1_000

Spent = Callable[[int, int], None]  # is told of so many bytes sent or received, and when (monotonic nanoseconds)
Gone = Callable[[str, OSError], Missing | None]  # `Ways.gone`


@dataclass(frozen=True, slots=True)
class Ending:
    """How a line ended: with a result, or with why there is none.

    It `began` when it was connected, or, where nobody was reached and `local` is ("", 0), when it was dialled. `sent`
    is when the last bytes of ours went out.
    """

    sighted: Sighted | None
    missing: Missing | None
    began: Instant
    at: Instant
    local: tuple[str, int]
    sent: Instant | None


class Line:
    """`over` is called once, in a turn after the socket was closed."""

    __slots__ = (
        *("_reactor", "_talk", "_sendable", "_spent", "_over", "_sock", "_number", "_datagrams", "_connected", "_shut"),
        *("_parted", "_reads_on", "_began", "_local", "_timer", "_wake_ns", "_unsent", "_sent", "_sighted", "_missing"),
        "_ended",
    )

    def __init__(
        self,
        reactor: Reactor,
        talk: Conversation,
        sendable: Set[type[Sendable]],
        spent: Spent,
        over: Callable[[Ending], None],
    ) -> None:
        self._reactor, self._talk, self._sendable, self._spent, self._over = reactor, talk, sendable, spent, over
        self._sock: socket.socket | None = None
        self._number = -1
        self._datagrams = self._connected = self._shut = self._parted = self._reads_on = False
        self._began: Instant | None = None
        self._local = ("", 0)
        self._timer: Timer | None = None
        self._wake_ns = 0
        self._unsent = b""
        self._sent: Instant | None = None
        self._sighted: Sighted | None = None
        self._missing: Missing | None = None
        self._ended: Instant | None = None

    def dial(
        self,
        make: Callable[[], socket.socket],
        place: tuple[str, int],
        at: Instant,
        answer_ns: int,
        gone: Gone,
        *,
        datagrams: bool,
    ) -> bool:
        """Connects a socket that is made now; who has not taken the connection after `answer_ns` is too slow.

        Returns whether there is a way out of this machine to there. Where not, `gone` says whether we lack it.
        """
        self._began, self._datagrams = at, datagrams
        try:
            self._sock = make()
            self._number = self._sock.fileno()
            answer = self._sock.connect_ex(place)
            if answer not in (0, errno.EINPROGRESS):
                raise OSError(answer, os.strerror(answer))
        except OSError as error:
            self._never(gone(place[0], error) or unconnected(error))
            return False
        self._reactor.watch(self._number, self._ready, READABLE if datagrams else CHANGES)
        if datagrams:
            self._reached()
        else:
            self._timer = self._reactor.at(at.mono_ns + answer_ns, lambda: self._never(TOO_SLOW))
        return True

    def end(self, why: Missing) -> None:
        """Hangs up, for this reason."""
        if self._connected:
            self._closed(why)
        else:
            self._never(why)

    # connecting -----------------------------------------------------------------------------------------------------

    def _ready(self, events: int) -> None:
        if not self._connected:
            self._arrive(events)
        elif self._unsent and events & WRITABLE:
            self._write(b"")
        self._parted = bool(events & (BROKEN | URGENT))  # recv(2) may stop before all that is there
        if events & ~WRITABLE and not self._reads_on:
            self._read()

    def _arrive(self, events: int) -> None:
        """The connection has come about, or has failed: connect(2), EINPROGRESS.

        Who failed has an error or is hung up, and both are always told (epoll_ctl(2)): only then is it asked for.
        """
        assert self._sock is not None
        if events & BROKEN and (failed := self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)):
            self._never(unconnected(OSError(failed, os.strerror(failed))))
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._reached()

    def _reached(self) -> None:
        assert self._sock is not None
        self._local, self._began, self._connected = self._sock.getsockname()[:2], clock.now(), True
        self._do(self._talk.opened, self._began.mono_ns)

    def _never(self, why: Missing) -> None:
        if not self._shut:
            self._missing = why
            self._close()

    # the conversation -----------------------------------------------------------------------------------------------

    def _read(self) -> None:
        assert self._sock is not None
        if self._shut or not self._connected:
            return
        try:
            data = self._sock.recv(MOST_DATAGRAM + 1 if self._datagrams else MOST_PIECE)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:  # of a stream, the other side broke off; of datagrams, what ICMP told
            if self._datagrams:
                self._gone(unconnected(error))
            else:
                self._closed(None)
            return
        self._took(data)
        if self._parted or len(data) == MOST_PIECE:  # there may be more, of which nobody tells again
            self._reads_on = True
            self._reactor.soon(self._read_on)

    def _read_on(self) -> None:
        self._reads_on = False
        self._read()

    def _gone(self, why: Missing) -> None:
        """ICMP told that nobody is there any more; recv(2) tells of that before it gives what had come earlier.

        So as many datagrams are read as the socket holds, and no more than a conversation takes.
        """
        assert self._sock is not None
        while not self._shut:
            try:
                data = self._sock.recv(MOST_DATAGRAM + 1)
            except (BlockingIOError, InterruptedError):
                self._closed(why)
            except OSError:  # of what was sent meanwhile
                continue
            else:
                self._took(data)

    def _took(self, data: bytes) -> None:
        if self._datagrams and len(data) > MOST_DATAGRAM:
            self._closed(Missing(Reason.TOO_LARGE, f"a datagram of more than {MOST_DATAGRAM} bytes"))
        elif data or self._datagrams:
            now_ns = clock.mono_ns()
            self._spent(len(data), now_ns)
            self._do(self._talk.receive, data, now_ns)
        else:
            self._closed(None)

    def _closed(self, why: Missing | None) -> None:
        """The other side closed, or, with `why`, we close."""
        if self._shut:
            return
        if self._ended is None:
            self._do(self._talk.closed, clock.mono_ns(), why)
        self._close()

    def _do(self, step: Callable[..., list[Event]], *given: Any) -> None:
        try:
            for event in step(*given):
                self._handle(event)
            self._watch_time()
        except Exception as error:  # noqa: BLE001  a mistake in a conversation costs this one contact, and is said
            self._missing = Missing(Reason.UNPARSABLE, f"clew could not read it: {type(error).__name__}")
            self._ended = self._ended or clock.now()
            self._close()

    def _handle(self, event: Event) -> None:
        if isinstance(event, Send):
            if type(event.message) not in self._sendable:
                raise TypeError(f"{type(event.message).__name__} is not in the closed set of what can be sent")
            data = event.message.encode()
            self._spent(len(data), clock.mono_ns())
            self._write(data)
        elif self._ended is None:
            self._sighted, self._ended = event, clock.now()
            self._close()

    def _write(self, data: bytes) -> None:
        """Sends, after what is not sent yet. Of a stream, what the system does not take waits until it does."""
        if self._sock is None or self._shut:
            return
        data = self._unsent + data
        try:
            count = self._sock.send(data)
            self._sent = clock.now()
        except (BlockingIOError, InterruptedError):
            count = 0
        except OSError as error:  # the conversation may be in the middle of a step
            why = unconnected(error)
            self._reactor.soon(lambda: self._gone(why) if self._datagrams else self._closed(None))
            return
        if self._datagrams:
            return  # one that was not taken is lost, as it may be lost on its way
        self._unsent = data[count:]

    def _watch_time(self) -> None:
        """Sets the timer to when the conversation wants to wake, if that has moved forward."""
        wake_ns = self._talk.wake_ns
        if self._ended is not None or (self._timer is not None and wake_ns >= self._wake_ns):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._wake_ns = wake_ns
        self._timer = self._reactor.at(max(wake_ns, clock.mono_ns() + LEAST_WAKE_NS), self._tick)

    def _tick(self) -> None:
        self._timer = None
        self._do(self._talk.tick, clock.mono_ns())

    # the end --------------------------------------------------------------------------------------------------------

    def _close(self) -> None:
        """Closes the socket. What a peer that does not read has not taken is dropped with it."""
        if self._shut:
            return
        self._shut = True
        if self._timer is not None:
            self._timer.cancel()
        if self._sock is not None:
            self._reactor.forget(self._number)
            self._sock.close()
        self._reactor.soon(self._finish)

    def _finish(self) -> None:
        assert self._began is not None
        ended = self._ended or clock.now()
        self._over(Ending(self._sighted, self._missing, self._began, ended, self._local, self._sent))


def unconnected(error: OSError) -> Missing:
    """Why there is no connection, of what the system says."""
    if isinstance(error, ConnectionRefusedError):
        return REFUSED
    return Missing(Reason.UNREADABLE, f"{NO_CONNECTION}{error.strerror or type(error).__name__}")
