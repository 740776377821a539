"""uTP for every party of one port: which datagram belongs to which connection, and what the line does to datagrams."""

import asyncio
import random
from collections.abc import Callable

from clew.range import utp
from clew.range.line import Hearer
from clew.range.scenario import Disturbance
from clew.range.sockets import Datagrams, Endpoint

TICK = 0.1  # seconds between looks at what was not acknowledged
LATE = 0.02  # seconds by which a datagram that is overtaken comes later
MOST_CONNECTIONS = 5_000  # at once on one port; a SYN beyond them is not answered

Key = tuple[str, Endpoint, int]
Greeted = Callable[["UtpLine", Endpoint, Endpoint], Hearer | None]


class UtpLine:
    """One connection, as a fake holds it."""

    __slots__ = ("_hearer", "_now", "connection")

    def __init__(
        self, syn: utp.Packet, rng: random.Random, emit: Callable[[bytes], None], now: Callable[[], float]
    ) -> None:
        self.connection = utp.Connection(syn, rng, emit, self._deliver)
        self._hearer: Hearer | None = None
        self._now = now

    def write(self, data: bytes) -> None:
        """Says something."""
        self.connection.write(data, self._now())

    def close(self) -> None:
        """Ends it after all that was said."""
        self.connection.close(self._now())

    def abort(self) -> None:
        """Breaks it off at once."""
        self.connection.reset(self._now())

    def begin(self, hearer: Hearer) -> None:
        """From here on `hearer` hears what the caller says."""
        self._hearer = hearer
        self.connection.answer(self._now())

    def ended(self) -> None:
        """Tells that nothing more will come."""
        self._deliver(b"")

    def _deliver(self, data: bytes) -> None:
        if self._hearer is None:
            return
        if data:
            self._hearer.receive(data)
        else:
            self._hearer.ended()


class UtpPort:
    """One UDP port. `greeted(line, local, caller)` says who hears a new connection; None where nobody answers."""

    def __init__(self, port: int, disturbance: Disturbance, greeted: Greeted, foul: Callable[[str, str], None]) -> None:
        """`foul(caller, called)` is told of what is no uTP packet. Raises OSError where the port is taken."""
        self._port, self._disturbance, self._greeted, self._foul = port, disturbance, greeted, foul
        self._rng = random.Random()  # noqa: S311 — loss and sequence numbers, nothing secret
        self._loop = asyncio.get_running_loop()
        self._lines: dict[Key, UtpLine] = {}
        self._closed = False
        self._datagrams = Datagrams(port, self._arrived)
        self._ticks: asyncio.TimerHandle | None = None

    def close(self) -> None:
        """Drops every connection and stops listening."""
        self._closed = True
        if self._ticks is not None:
            self._ticks.cancel()
        for line in self._lines.values():
            line.abort()
            line.ended()
        self._lines.clear()
        self._datagrams.close()

    def _arrived(self, data: bytes, local: str, caller: Endpoint) -> None:
        self._disturbed(lambda: self._heard(data, local, caller))

    def _disturbed(self, act: Callable[[], None]) -> None:
        """Does it, twice, later or not at all, as the scenario's disturbance has it."""
        drawn = self._disturbance
        if not drawn.any:
            act()
            return
        if self._rng.random() < drawn.lost:
            return
        if self._rng.random() < drawn.doubled:
            act()
        if self._rng.random() < drawn.overtaken:
            self._loop.call_later(LATE, self._late, act)
        else:
            act()

    def _late(self, act: Callable[[], None]) -> None:
        if not self._closed:
            act()

    def _heard(self, data: bytes, local: str, caller: Endpoint) -> None:
        packet = utp.parse(data)
        if packet is None:
            self._foul(f"{caller[0]}:{caller[1]}", f"{local}:{self._port}")
        elif packet.kind == utp.SYN:
            self._begun(packet, local, caller)
        elif (line := self._lines.get((local, caller, packet.connection))) is not None:
            line.connection.receive(packet, self._loop.time())
        elif packet.kind in (utp.DATA, utp.FIN):
            self._emit(utp.refusal(packet), local, caller)

    def _begun(self, syn: utp.Packet, local: str, caller: Endpoint) -> None:
        key = (local, caller, (syn.connection + 1) & 0xFFFF)
        if key in self._lines:
            self._lines[key].connection.answer(self._loop.time())
            return
        if len(self._lines) >= MOST_CONNECTIONS:
            return
        line = UtpLine(syn, self._rng, lambda data: self._emit(data, local, caller), self._loop.time)
        hearer = self._greeted(line, (local, self._port), caller)
        if hearer is not None:
            self._lines[key] = line
            line.begin(hearer)
            if self._ticks is None:
                self._ticks = self._loop.call_later(TICK, self._tick)

    def _emit(self, data: bytes, local: str, caller: Endpoint) -> None:
        self._disturbed(lambda: self._datagrams.send(data, local, caller))

    def _tick(self) -> None:
        now = self._loop.time()
        for key, line in list(self._lines.items()):
            line.connection.tick(now)
            if line.connection.over:
                line.ended()
                del self._lines[key]
        self._ticks = self._loop.call_later(TICK, self._tick) if self._lines else None
