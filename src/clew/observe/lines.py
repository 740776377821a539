"""Open connections, of a stream (TCP) or of datagrams (UDP): each feeds one Conversation and does what comes out."""

import asyncio
import socket
from collections.abc import Callable
from dataclasses import dataclass

from clew.core import clock
from clew.core.clock import Instant
from clew.model import Missing, Reason
from clew.observe.api import NO_CONNECTION, REFUSED, SECOND, Conversation, Send, Sendable, Sighted

MOST_DATAGRAM = 2 * 1024  # more than any Ethernet carries in one piece; whoever sends more is not read
LEAST_WAKE_SECONDS = 0.001

Spent = Callable[[int, int], None]  # is told of so many bytes sent or received, and when (monotonic nanoseconds)


@dataclass(frozen=True, slots=True)
class Ending:
    """How a connection ended: with a result, or with why there is none."""

    sighted: Sighted | None
    missing: Missing | None
    at: Instant


class _Exchange:
    """One Conversation in the loop's thread: its events, its timer, its end."""

    def __init__(
        self,
        talk: Conversation,
        sendable: tuple[type[Sendable], ...],
        write: Callable[[bytes], None],
        close: Callable[[], None],
        spent: Spent,
    ) -> None:
        self._talk, self._sendable, self._write, self._close = talk, sendable, write, close
        self._spent = spent
        self._timer: asyncio.TimerHandle | None = None
        self._wake_ns = 0
        self._sighted: Sighted | None = None
        self._missing: Missing | None = None
        self._ended: Instant | None = None

    def opened(self) -> None:
        """The connection is there."""
        self._do(lambda: self._talk.opened(clock.now().mono_ns))

    def receive(self, data: bytes) -> None:
        """Bytes came in."""
        now_ns = clock.now().mono_ns
        self._spent(len(data), now_ns)
        self._do(lambda: self._talk.receive(data, now_ns))

    def closed(self, why: Missing | None = None) -> None:
        """The other side closed, or, with `why`, we close."""
        if self._ended is None:
            self._do(lambda: self._talk.closed(clock.now().mono_ns, why))

    def ending(self) -> Ending:
        """How it ended; nothing happens in here any more."""
        if self._timer is not None:
            self._timer.cancel()
        return Ending(self._sighted, self._missing, self._ended or clock.now())

    def _tick(self) -> None:
        self._timer = None
        self._do(lambda: self._talk.tick(clock.now().mono_ns))

    def _do(self, step: Callable[[], list[Send | Sighted]]) -> None:
        try:
            for event in step():
                self._handle(event)
        except BaseException as error:
            self._missing = Missing(Reason.UNPARSABLE, f"clew could not read it: {type(error).__name__}")
            self._ended = self._ended or clock.now()
            self._close()
            raise
        self._watch_time()

    def _handle(self, event: Send | Sighted) -> None:
        if isinstance(event, Send):
            if type(event.message) not in self._sendable:
                raise TypeError(f"{type(event.message).__name__} is not in the closed set of what can be sent")
            data = event.message.encode()
            self._spent(len(data), clock.now().mono_ns)
            self._write(data)
        elif self._ended is None:
            self._sighted, self._ended = event, clock.now()
            self._close()

    def _watch_time(self) -> None:
        """Sets the timer to when the conversation wants to wake, if that has moved forward."""
        wake_ns = self._talk.wake_ns
        if self._ended is not None or (self._timer is not None and wake_ns >= self._wake_ns):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._wake_ns = wake_ns
        left = (wake_ns - clock.now().mono_ns) / SECOND
        self._timer = asyncio.get_running_loop().call_later(max(LEAST_WAKE_SECONDS, left), self._tick)


class StreamLine(asyncio.Protocol):
    """One open TCP connection. `over` is called once, when it is closed."""

    def __init__(
        self, talk: Conversation, sendable: tuple[type[Sendable], ...], over: Callable[[Ending], None], spent: Spent
    ) -> None:
        self._exchange, self._over = _Exchange(talk, sendable, self._write, self._close, spent), over
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Lets the conversation begin."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._exchange.opened()

    def data_received(self, data: bytes) -> None:
        """Bytes came in."""
        self._exchange.receive(data)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """The connection is closed, by whichever side."""
        try:
            self._exchange.closed()
        finally:
            self._over(self._exchange.ending())

    def end(self, why: Missing) -> None:
        """Ends the conversation from our side."""
        self._exchange.closed(why)

    def _write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)

    def _close(self) -> None:
        if self._transport is None:
            return
        if self._transport.get_write_buffer_size():
            self._transport.abort()  # a peer that does not read would hold the connection open
        else:
            self._transport.close()


class DatagramLine:
    """One connected UDP socket, which hears its one peer alone. `over` is called once, when it is closed.

    One datagram is read a turn of the loop, so that a flood of one peer leaves the others their turn.
    """

    def __init__(
        self,
        talk: Conversation,
        sendable: tuple[type[Sendable], ...],
        over: Callable[[Ending], None],
        spent: Spent,
        sock: socket.socket,
    ) -> None:
        self._exchange, self._over = _Exchange(talk, sendable, self._write, self._close, spent), over
        self._sock, self._loop = sock, asyncio.get_running_loop()
        self._loop.add_reader(sock, self._readable)
        self._open = True

    def begin(self) -> None:
        """Lets the conversation begin."""
        self._exchange.opened()

    def end(self, why: Missing) -> None:
        """Ends the conversation from our side."""
        self._exchange.closed(why)

    def _readable(self) -> None:
        try:
            data = self._sock.recv(MOST_DATAGRAM + 1)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._exchange.closed(unconnected(error))
            return
        if len(data) > MOST_DATAGRAM:
            self._exchange.closed(Missing(Reason.TOO_LARGE, f"a datagram of more than {MOST_DATAGRAM} bytes"))
        else:
            self._exchange.receive(data)

    def _write(self, data: bytes) -> None:
        try:
            self._sock.send(data)
        except (BlockingIOError, InterruptedError):
            return  # lost, as it may be lost on its way
        except OSError as error:  # what ICMP told of an earlier datagram; the conversation is in the middle of a step
            self._loop.call_soon(self._exchange.closed, unconnected(error))

    def _close(self) -> None:
        if self._open:
            self._open = False
            self._loop.remove_reader(self._sock)
            self._sock.close()
            self._loop.call_soon(lambda: self._over(self._exchange.ending()))


def unconnected(error: OSError) -> Missing:
    """Why there is no connection, of what the system says."""
    if isinstance(error, ConnectionRefusedError):
        return REFUSED
    return Missing(Reason.UNREADABLE, f"{NO_CONNECTION}{error.strerror or type(error).__name__}")
