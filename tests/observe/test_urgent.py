"""TCP's urgent data (RFC 9293 section 3.8.5): recv(2) stops before it, and no edge tells of what came after it."""

import socket
from dataclasses import dataclass, field

import pytest

from clew.core import clock
from clew.model import Missing
from clew.observe.api import SECOND, Event, Sighted
from clew.observe.lines import Ending, Line
from clew.observe.reactor import Reactor


@dataclass
class Talk:
    """Listens until it has heard the last word."""

    wake_ns: int = 1 << 62
    held: int = 0
    heard: bytearray = field(default_factory=bytearray)

    def opened(self, now_ns: int) -> list[Event]:
        return []

    def receive(self, data: bytes, now_ns: int) -> list[Event]:
        self.heard += data
        return [Sighted(object(), b"")] if self.heard.endswith(b"last") else []

    def tick(self, now_ns: int) -> list[Event]:
        return []

    def closed(self, now_ns: int, why: Missing | None = None) -> list[Event]:
        return [Sighted(why, b"")]


@pytest.mark.parametrize("marks", [1, 2])
def test_what_comes_after_an_urgent_byte_is_read_too(marks: int) -> None:
    reactor, talk, ends = Reactor(), Talk(), list[Ending]()
    line = Line(reactor, talk, frozenset(), lambda _count, _at: None, ends.append)

    def make() -> socket.socket:
        sock = socket.socket()
        sock.setblocking(False)
        return sock

    with socket.create_server(("127.24.0.41", 0)) as server:
        line.dial(make, server.getsockname(), clock.now(), 5 * SECOND, lambda *_: False, datagrams=False)
        peer, _ = server.accept()
        with peer:
            for _ in range(marks):
                peer.send(b"first")
                peer.send(b"!", socket.MSG_OOB)
            peer.send(b"last")
            late_ns = clock.mono_ns() + 2 * SECOND
            reactor.at(late_ns, lambda: None)
            reactor.run(lambda: bool(ends) or clock.mono_ns() >= late_ns)
            assert talk.heard.replace(b"!", b"") == b"first" * marks + b"last"
    reactor.close()
