"""The wire's own reactor, and lines on it: what asyncio did before, by hand and with a peer that reads late."""

import gc
import os
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial

import pytest

from clew.core import clock
from clew.model import Missing
from clew.observe.api import SECOND, TOO_SLOW, Event, Send, Sighted
from clew.observe.lines import MOST_PIECE, Ending, Line
from clew.observe.reactor import FEW_TIMERS, READABLE, Reactor, Timer

MEGABYTE = 1 << 20


@pytest.fixture
def reactor() -> Iterator[Reactor]:
    made = Reactor()
    yield made
    made.close()


def run(reactor: Reactor, *steps: object, seconds: float = 5.0) -> None:
    """Turns until all the lists hold something; fails after so many seconds."""
    late_ns = clock.mono_ns() + int(seconds * SECOND)
    reactor.at(late_ns, lambda: None)
    reactor.run(lambda: all(steps) or clock.mono_ns() >= late_ns)
    assert all(steps)


def test_timers_come_in_the_order_of_their_moments_and_not_when_cancelled(reactor: Reactor) -> None:
    came: list[str] = []
    now_ns, last = clock.mono_ns(), []
    reactor.at(now_ns + 30_000_000, lambda: came.append("third"))
    reactor.at(now_ns + 10_000_000, lambda: came.append("first"))
    reactor.at(now_ns + 10_000_000, lambda: came.append("second"))
    reactor.at(now_ns + 20_000_000, lambda: came.append("never")).cancel()
    reactor.at(now_ns + 31_000_000, lambda: last.append(1))
    run(reactor, last)
    assert came == ["first", "second", "third"]


def test_cancelled_timers_are_not_kept_until_their_time(reactor: Reactor) -> None:
    """Each connection leaves some behind that were to come seconds later, and there may be thousands a second."""
    came: list[int] = []
    now_ns, before, live = clock.mono_ns(), timers(), 2 * FEW_TIMERS
    for number in range(0, 2 * live, 2):
        reactor.at(now_ns + number, partial(came.append, number))
    for _ in range(20 * FEW_TIMERS):
        reactor.at(now_ns + 60 * SECOND, partial(came.append, -1)).cancel()
    assert timers() - before <= 2 * live
    for number in range(1, 2 * live, 2):
        reactor.at(now_ns + number, partial(came.append, number))
    reactor.run(lambda: len(came) == 2 * live)
    assert came == [*range(2 * live)]


def timers() -> int:
    return sum(isinstance(each, Timer) for each in gc.get_objects())


def test_a_step_that_another_thread_hands_over_wakes_the_loop(reactor: Reactor) -> None:
    came: list[int] = []
    threading.Timer(0.05, lambda: reactor.hand(lambda: came.append(threading.get_ident()))).start()
    run(reactor, came)
    assert came == [threading.get_ident()]


def test_a_step_that_makes_a_step_leaves_sockets_their_turn(reactor: Reactor) -> None:
    one, other = socket.socketpair()
    heard: list[bytes] = []
    reactor.watch(one.fileno(), lambda _: heard.append(one.recv(1)), READABLE)

    def again() -> None:
        if not heard:
            reactor.soon(again)

    reactor.soon(again)
    other.send(b"x")
    run(reactor, heard)
    reactor.forget(one.fileno())
    other.send(b"y")
    reactor.soon(lambda: heard.append(b"turn"))
    reactor.run(lambda: len(heard) > 1)
    assert heard == [b"x", b"turn"], "who is forgotten is not read"
    one.close()
    other.close()


def test_what_a_step_raises_ends_the_run(reactor: Reactor) -> None:
    def broken() -> None:
        raise ValueError("broken")

    reactor.soon(broken)
    with pytest.raises(ValueError, match="broken"):
        reactor.run(lambda: False)


@dataclass(frozen=True, slots=True)
class Much:
    """A message of many bytes."""

    data: bytes
    name: str = "much"

    def encode(self) -> bytes:
        return self.data


@dataclass
class Talk:
    """Says much, and ends when the peer has said something or closed."""

    said: bytes
    wake_ns: int = 1 << 62
    held: int = 0
    heard: list[bytes] = field(default_factory=list)

    def opened(self, now_ns: int) -> list[Event]:
        half = len(self.said) // 2
        return [Send(Much(self.said[:half])), Send(Much(self.said[half:]))]

    def receive(self, data: bytes, now_ns: int) -> list[Event]:
        self.heard.append(data)
        return [Sighted(object(), b"")]

    def tick(self, now_ns: int) -> list[Event]:
        return []

    def closed(self, now_ns: int, why: Missing | None = None) -> list[Event]:
        return [Sighted(why, b"")]


def dialled(
    reactor: Reactor, talk: Talk, place: tuple[str, int], answer_ns: int = 5 * SECOND
) -> tuple[Line, list[Ending]]:
    ends: list[Ending] = []

    def make() -> socket.socket:
        sock = socket.socket()
        sock.setblocking(False)
        return sock

    line = Line(reactor, talk, frozenset((Much,)), lambda _count, _at: None, ends.append)
    line.dial(make, place, clock.now(), answer_ns, lambda *_: False, datagrams=False)
    return line, ends


def test_what_the_system_does_not_take_at_once_is_sent_later_and_in_order(reactor: Reactor) -> None:
    said = os.urandom(8 * MEGABYTE)
    heard, began = bytearray(), list[int]()
    with socket.create_server(("127.24.0.40", 0)) as server:

        def read_late() -> None:
            server.settimeout(20)
            conn, _ = server.accept()
            with conn:
                conn.settimeout(20)
                time.sleep(0.1)
                began.append(clock.mono_ns())
                while len(heard) < len(said) and (data := conn.recv(MEGABYTE)):
                    heard.extend(data)
                conn.send(b"thanks")

        reader = threading.Thread(target=read_late)
        reader.start()
        talk = Talk(said)
        _, ends = dialled(reactor, talk, server.getsockname())
        run(reactor, ends, seconds=20)
        reader.join()
    assert bytes(heard) == said
    assert talk.heard == [b"thanks"]
    assert ends[0].missing is None
    assert ends[0].local[0] == "127.0.0.1"
    assert ends[0].sent is not None
    assert began[0] < ends[0].sent.mono_ns < ends[0].at.mono_ns


def test_who_does_not_read_does_not_hold_us(reactor: Reactor) -> None:
    with socket.create_server(("127.24.0.41", 0)) as server:
        line, ends = dialled(reactor, Talk(bytes(64 * MEGABYTE)), server.getsockname())
        begun = [1]
        reactor.at(clock.mono_ns() + SECOND // 10, lambda: line.end(TOO_SLOW))
        run(reactor, ends, begun)
    assert ends[0].sighted is not None
    assert ends[0].sighted.finding == TOO_SLOW


def test_who_does_not_take_the_connection_is_too_slow(reactor: Reactor) -> None:
    with socket.create_server(("127.24.0.42", 0), backlog=0) as server:
        crowd = [socket.socket() for _ in range(4)]  # connect(2): a full backlog drops what comes
        for each in crowd:
            each.setblocking(False)
            each.connect_ex(server.getsockname())
        _, ends = dialled(reactor, Talk(b"x"), server.getsockname(), answer_ns=SECOND // 5)
        run(reactor, ends)
        for each in crowd:
            each.close()
    assert (ends[0].sighted, ends[0].missing, ends[0].local) == (None, TOO_SLOW, ("", 0))
    assert not reactor._watched.keys() - {reactor._bell}


def test_a_line_ends_once(reactor: Reactor) -> None:
    with socket.create_server(("127.24.0.43", 0)) as server:
        line, ends = dialled(reactor, Talk(b"x"), server.getsockname())
        conn, _ = server.accept()
        conn.close()
        reactor.at(clock.mono_ns() + SECOND // 20, lambda: line.end(TOO_SLOW))
        run(reactor, ends)
        came: list[int] = []
        reactor.at(clock.mono_ns() + SECOND // 10, lambda: came.append(1))
        run(reactor, came)
    assert len(ends) == 1
    assert ends[0].sighted is not None
    assert ends[0].sighted.finding is None, "the peer was first"


@dataclass
class Listens(Talk):
    """Says nothing, and ends when the peer has closed."""

    def receive(self, data: bytes, now_ns: int) -> list[Event]:
        self.heard.append(data)
        return []


def test_who_says_all_at_once_and_closes_is_heard_to_the_end(reactor: Reactor) -> None:
    """A change is told once (epoll(7)): what came with the connection, beyond one piece, and the end, in one event."""
    for size in (1, MOST_PIECE, 2 * MOST_PIECE - 1):
        said = os.urandom(size)
        with socket.create_server(("127.24.0.44", 0)) as server:
            talk = Listens(b"")
            _, ends = dialled(reactor, talk, server.getsockname())
            conn, _ = server.accept()
            with conn:
                conn.sendall(said)
            run(reactor, ends)
        assert b"".join(talk.heard) == said
        assert max(map(len, talk.heard)) <= MOST_PIECE
        assert ends[0].sighted is not None
        assert ends[0].sighted.finding is None, "the peer was first"
