"""Thousands of fake peers in one process: one TCP and one UDP socket a port, on every address of `lo`.

A connection to 127.x.y.z:port is answered by the party of the scenario that stays there at that second, over whatever
it accepts. Where nobody stays, or nobody who speaks TCP, a TCP connection is broken off; over UDP there is silence.
"""

import asyncio

from clew.range.audit import Audit
from clew.range.doorway import Doorway
from clew.range.scenario import Carrier, Manner, Party, Scenario
from clew.range.script import Call, Script
from clew.range.sockets import Endpoint, wildcard
from clew.range.utp_port import UtpLine, UtpPort

TCP = frozenset({Carrier.TCP, Carrier.MSE_TCP})
UTP = frozenset({Carrier.UTP, Carrier.MSE_UTP})
LONGEST_BACKLOG = 1 << 20  # bytes that a TCP caller may leave unread before it is broken off


class Swarm:
    """The fakes of a scenario."""

    def __init__(self, scenario: Scenario, canary: bytes) -> None:
        self.scenario = scenario
        self.script = Script(scenario, canary)
        self._servers: list[asyncio.Server] = []
        self._utp_ports: list[UtpPort] = []
        self._lines: set[TcpLine] = set()

    @property
    def audit(self) -> Audit:
        """What was heard so far."""
        return self.script.audit

    async def listen(self) -> None:
        """Opens every port on every address of `lo`. Raises OSError where one is taken."""
        loop = asyncio.get_running_loop()
        any_utp = any(p.accepts & UTP for p in self.scenario.parties)
        for port in self.scenario.ports:
            self._servers.append(await loop.create_server(lambda: TcpLine(self), sock=wildcard(port), backlog=1024))
            if any_utp:
                self._utp_ports.append(UtpPort(port, self.scenario.disturbance, self._greeted, self._foul))

    async def close(self) -> None:
        """Stops listening and drops every connection."""
        for server in self._servers:
            server.close()
        for port in self._utp_ports:
            port.close()
        for line in list(self._lines):
            line.abort()
        await asyncio.sleep(0)

    def called(self, line: "TcpLine", local: Endpoint, caller: Endpoint) -> Doorway | None:
        """Who hears a new TCP connection; None where nobody does."""
        party = self._party(local, caller, "tcp")
        if party is None or not party.accepts & TCP or party.manner is Manner.ABSURD:
            return None
        self._lines.add(line)
        return Doorway(self.script, Call(party, local, caller, utp=False), line)

    def gone(self, line: "TcpLine") -> None:
        """A TCP connection has ended."""
        self._lines.discard(line)

    def _greeted(self, line: UtpLine, local: Endpoint, caller: Endpoint) -> Doorway | None:
        party = self._party(local, caller, "utp")
        if party is None or not party.accepts & UTP:
            return None
        line.connection.absurd = party.manner is Manner.ABSURD
        return Doorway(self.script, Call(party, local, caller, utp=True), line)

    def _party(self, local: Endpoint, caller: Endpoint, over: str) -> Party | None:
        self.audit.connections[over] += 1
        if not self.script.listed(local):
            self.audit.forbid(
                "a connection to an endpoint that no source lists", caller[0], f"{local[0]}:{local[1]} ({over})"
            )
        return self.script.who(local)

    def _foul(self, caller: str, called: str) -> None:
        self.audit.forbid("a datagram that is no uTP packet", caller, called)


class TcpLine(asyncio.Protocol):
    """One TCP connection, as a fake holds it. asyncio wants its protocols to inherit."""

    def __init__(self, swarm: Swarm) -> None:
        self._swarm = swarm
        self._transport: asyncio.Transport | None = None
        self._hearer: Doorway | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A caller has connected."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.set_write_buffer_limits(high=LONGEST_BACKLOG)
        self._hearer = self._swarm.called(
            self, transport.get_extra_info("sockname")[:2], transport.get_extra_info("peername")[:2]
        )
        if self._hearer is None:
            transport.abort()

    def data_received(self, data: bytes) -> None:
        """Bytes of the caller's."""
        if self._hearer is not None:
            self._hearer.receive(data)

    def connection_lost(self, _: Exception | None) -> None:
        """It has ended."""
        self._swarm.gone(self)
        if self._hearer is not None:
            self._hearer.ended()

    def pause_writing(self) -> None:
        """The caller reads nothing of what was said: enough."""
        self.abort()

    def write(self, data: bytes) -> None:
        """Says something."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def close(self) -> None:
        """Ends it after all that was said."""
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Breaks it off at once."""
        if self._transport is not None:
            self._transport.abort()
