"""Thousands of fake peers in one process: a wildcard listener a port, on `lo`; getsockname() tells who is called.

A connection to 127.x.y.z:port is answered by the party of the scenario that stays there at that second.
"""
# ruff: noqa: S311 — a scenario wants a generator that can be seeded; nothing secret comes from it

import asyncio
import random
import socket
import struct
import time
from collections import Counter
from contextlib import suppress

from clew.range import fake
from clew.range.audit import Audit
from clew.range.clients import CLIENTS
from clew.range.scenario import Carrier, Holding, Manner, Party, Saying, Scenario, Stay
from clew.range.torrents import Torrent

PATIENCE = 25.0
LARGEST_MESSAGE = 1 << 20
SO_BINDTODEVICE = 25
SPEAKING = frozenset({Manner.ANSWERS, Manner.SLOW, Manner.ECHOES, Manner.OTHER})


class Swarm:
    """The fakes of a scenario. `start_at` (seconds since 1970) is the second 0 of the operation."""

    def __init__(self, scenario: Scenario, canary: bytes) -> None:
        self.scenario, self.canary = scenario, canary
        self.audit = Audit(revisit=scenario.timing.revisit)
        self.start_at = time.time()
        self._rng = random.Random()
        self._torrents = {t.infohash: t for t in scenario.torrents}
        self._unwatched = {t.infohash for t in scenario.torrents if t.watched is None}
        self._listed = {(s.address, s.port) for p in scenario.parties if p.listed for s in p.stays}
        self._listed |= {(address, port) for _, address, port in scenario.spoofed}
        self._ids = {p.id: p.client.peer_id(random.Random(f"{scenario.seed} {p.id}")) for p in scenario.parties}
        self._at: dict[tuple[str, int], list[tuple[Stay, Party]]] = {}
        for party in scenario.parties:
            if party.manner not in (Manner.REAL, Manner.REFUSES):
                for stay in party.stays:
                    self._at.setdefault((stay.address, stay.port), []).append((stay, party))
        self._visits: Counter[str] = Counter()
        self._servers: list[asyncio.Server] = []
        self._open: set[asyncio.Task[None]] = set()

    async def listen(self) -> None:
        """Opens every port on every address of `lo`. Raises OSError where one is taken."""
        for port in self.scenario.ports:
            self._servers.append(
                await asyncio.start_server(self._accepted, sock=wildcard(port), limit=1 << 16, backlog=1024)
            )

    async def close(self) -> None:
        """Stops listening and drops every connection."""
        for server in self._servers:
            server.close()
        for task in list(self._open):
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    def who(self, address: str, port: int, second: float) -> Party | None:
        """The party that stays at an endpoint at a second of the operation."""
        found = self._at.get((address, port), ())
        return next((party for stay, party in found if stay.begin <= second < stay.end), None)

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._open.add(task)
            task.add_done_callback(self._open.discard)
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError, TimeoutError):
                async with asyncio.timeout(PATIENCE):
                    await self._serve(reader, writer)
        finally:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        address, port = writer.get_extra_info("sockname")[:2]
        sender = writer.get_extra_info("peername")[0]
        self.audit.connections += 1
        to = f"{address}:{port}"
        if (address, port) not in self._listed:
            self.audit.forbid("a connection to an endpoint that no tracker lists", sender, to)
        party = self.who(address, port, time.time() - self.start_at)
        if party is None or party.manner is Manner.CLOSES or Carrier.TCP not in party.accepts:
            return
        caller = fake.read_handshake(await reader.readexactly(fake.HANDSHAKE_BYTES))
        if caller is None:
            self.audit.forbid("something that is no handshake", sender, to)
            return
        self.audit.greeted(caller, sender, to, at=time.monotonic(), unwatched=caller.infohash in self._unwatched)
        if not await self._speak(party, caller, writer):
            return
        both_fast, both_extended = party.client.fast and caller.fast, party.client.extended and caller.extended
        while True:
            try:
                kind, payload = await _message(reader)
            except TooLarge:
                self.audit.forbid("a message larger than any that a peer needs", sender, to)
                return
            if kind is not None:
                self.audit.received(
                    kind, payload, fast=both_fast, extended=both_extended, sender=sender, to=f"{to} ({party.kind})"
                )
            if kind == 2:
                writer.write(fake.message(fake.UNCHOKE))

    async def _speak(self, party: Party, caller: fake.Caller, writer: asyncio.StreamWriter) -> bool:
        """Says what this party says; False where it hangs up instead of listening on."""
        if party.manner is Manner.SILENT:
            return True
        if party.manner not in SPEAKING:
            await self._annoy(party, caller, writer)
            return True
        found = self._holding(party, caller.infohash)
        if found is None:
            return False
        if party.manner is Manner.SLOW:
            await asyncio.sleep(self._rng.uniform(1.0, 3.0))
        self._visits[party.id] += 1
        holding, torrent = found[0].at_visit(self._visits[party.id]), found[1]
        echo = caller.infohash
        if party.manner is Manner.OTHER:
            echo = next(t.infohash for t in self.scenario.torrents[::-1] if t.infohash != caller.infohash)
        sockname, peername = writer.get_extra_info("sockname"), writer.get_extra_info("peername")
        writer.write(
            fake.answer(
                party,
                holding,
                torrent,
                caller,
                echo=echo,
                peer_id=self._peer_id(party),
                port=sockname[1],
                caller_address=peername[0],
            )
        )
        pushed = fake.pushed(self.canary, self._rng)
        self.audit.canary_bytes_pushed += pushed.count(self.canary) * len(self.canary)
        writer.write(pushed)
        await writer.drain()
        return True

    def _holding(self, party: Party, infohash: bytes) -> tuple[Holding, Torrent] | None:
        torrents = self.scenario.torrents
        for holding in party.holdings:
            if torrents[holding.torrent].infohash == infohash:
                return holding, torrents[holding.torrent]
        if party.manner in (Manner.ECHOES, Manner.OTHER):
            torrent = self._torrents.get(infohash, torrents[party.holdings[0].torrent])
            return Holding(torrent.index, Saying.WHOLE), torrent
        return None

    def _peer_id(self, party: Party) -> bytes:
        return party.client.peer_id(self._rng) if party.client.per_connection else self._ids[party.id]

    async def _annoy(self, party: Party, caller: fake.Caller, writer: asyncio.StreamWriter) -> None:
        """The hostile ones."""
        if party.manner is Manner.GARBAGE:
            writer.write(self._rng.randbytes(4096) + self.canary)
        elif party.manner is Manner.GIANT:
            said = fake.handshake(party.client.reserved, caller.infohash, self._peer_id(party))
            writer.write(said + struct.pack(">IB", 0x7FFFFFFF, fake.BITFIELD) + self.canary * 4096)
        else:
            said = fake.handshake(CLIENTS[0].reserved, caller.infohash, self._peer_id(party)) + self.canary
            for byte in said:
                writer.write(bytes((byte,)))
                await writer.drain()
                await asyncio.sleep(1.0)
        await writer.drain()


class TooLarge(Exception):
    """A message longer than LARGEST_MESSAGE."""


async def _message(reader: asyncio.StreamReader) -> tuple[int | None, bytes]:
    """One message as (kind, payload); a keep-alive is (None, b"")."""
    length = int.from_bytes(await reader.readexactly(4), "big")
    if length == 0:
        return None, b""
    if length > LARGEST_MESSAGE:
        raise TooLarge
    body = await reader.readexactly(length)
    return body[0], body[1:]


def wildcard(port: int) -> socket.socket:
    """A listening socket for one port of every address of `lo`, and of no other interface."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.setsockopt(socket.SOL_SOCKET, SO_BINDTODEVICE, b"lo\0")
    sock.bind(("0.0.0.0", port))  # noqa: S104 — bound to the device lo, one line above
    sock.listen(1024)
    sock.setblocking(False)
    return sock
