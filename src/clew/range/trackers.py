"""HTTP trackers of both manners (BEP 3, BEP 23), each on its own 127.1.x address.

The telling manner answers `event=stopped` with peers and lists nobody for it (so does npm's bittorrent-tracker). The
opentracker manner tells nothing on `stopped`: one has to say `started`, is listed by it, and stays so until one says
`stopped`. Both tell at most 200 random peers a reply.
"""
# ruff: noqa: S311 — a scenario wants a generator that can be seeded; nothing secret comes from it

import asyncio
import random
import socket
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_to_bytes

from clew.range.scenario import Manner, Scenario
from clew.range.torrents import Bencodable, bencode

CAP = 200
INTERVAL, MIN_INTERVAL = 10, 5
LONGEST_REQUEST = 8192


@dataclass(frozen=True, slots=True)
class Listing:
    """One endpoint that a tracker tells from a second of the operation on."""

    since: float
    address: str
    port: int


class Tracker:
    """One tracker: `index` 0 is the telling manner, 1 the opentracker manner."""

    def __init__(self, scenario: Scenario, index: int) -> None:
        self.index = index
        self.start_at = time.time()
        self._rng = random.Random()
        self._known: dict[bytes, list[Listing]] = {}
        self._announced: dict[bytes, dict[tuple[str, int], bool]] = {}
        self._own = {s.address for p in scenario.parties for s in p.stays if p.manner is Manner.REAL}
        self.announces: dict[str, int] = {}
        self.forbidden: list[str] = []
        self._unwatched = {t.infohash for t in scenario.torrents if t.watched is None}
        self._said_stopped: set[tuple[str, bytes]] = set()
        self._server: asyncio.Server | None = None
        for torrent in scenario.torrents:
            if index in torrent.trackers:
                self._known[torrent.infohash] = []
        for party in scenario.parties:
            for holding in party.holdings if party.listed else ():
                known = self._known.get(scenario.torrents[holding.torrent].infohash)
                if known is not None:
                    known += [Listing(s.begin, s.address, s.port) for s in party.stays]
        for number, address, port in scenario.spoofed:
            known = self._known.get(scenario.torrents[number].infohash)
            if known is not None:
                known.append(Listing(-1.0, address, port))

    async def listen(self, address: str, port: int) -> None:
        """Opens the tracker's port."""
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((address, port))
        sock.listen(256)
        sock.setblocking(False)
        self._server = await asyncio.start_server(self._serve, sock=sock, limit=LONGEST_REQUEST, backlog=256)

    def close(self) -> None:
        """Stops listening."""
        if self._server is not None:
            self._server.close()

    def listed_outsiders(self) -> list[str]:
        """Who announced itself, is no client of the range, and is still listed: nobody, if the observer behaves."""
        found = (key for listed in self._announced.values() for key in listed)
        return sorted({f"{address}:{port}" for address, port in found if address not in self._own})

    def report(self) -> dict[str, Any]:
        """As JSON."""
        return {"announces": self.announces, "forbidden": self.forbidden, "listed_outsiders": self.listed_outsiders()}

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, TimeoutError):
            async with asyncio.timeout(10):
                head = await reader.readuntil(b"\r\n\r\n")
                body, status = self._reply(head, writer.get_extra_info("peername")[0])
                writer.write(
                    b"HTTP/1.1 %s\r\nContent-Type: text/plain\r\nContent-Length: %d\r\nConnection: close\r\n\r\n"
                    % (status, len(body))
                    + body
                )
                await writer.drain()
        writer.close()

    def _reply(self, head: bytes, sender: str) -> tuple[bytes, bytes]:
        target = head.split(b" ", 2)[1] if head.count(b" ") >= 2 else b""
        path, _, query = target.partition(b"?")
        if path != b"/announce" or not head.startswith(b"GET "):
            if sender not in self._own:
                self.forbidden.append(f"a request that is no announce from {sender}")
            return b"not found", b"404 Not Found"
        pairs = (part.partition(b"=") for part in query.split(b"&"))
        fields = {key.decode("ascii", "replace"): unquote_to_bytes(value) for key, _, value in pairs}
        return bencode(self.announce(fields, sender)), b"200 OK"

    def announce(self, fields: dict[str, bytes], sender: str) -> dict[str, Bencodable]:
        """What one announce gets; the announcer is listed or removed as this tracker's manner has it."""
        infohash = fields.get("info_hash", b"")
        event = fields.get("event", b"").decode("ascii", "replace")
        self._audit(sender, event, fields)
        if infohash not in self._known:
            return {"failure reason": "unregistered torrent"}
        port = _number(fields, "port", 0)
        if port == 0 and self.index == 0:
            return {"failure reason": "invalid port"}
        listed = self._announced.setdefault(infohash, {})
        seed = _number(fields, "left", 1) == 0
        if event == "stopped":
            listed.pop((sender, port), None)
        else:
            listed[sender, port] = seed
        told: list[tuple[str, int]] = []
        if not seed and (event != "stopped" or self.index == 0):
            told = self._tell(infohash, listed, (sender, port), _number(fields, "numwant", 50))
        return {
            "complete": sum(listed.values()),
            "incomplete": len(listed) - sum(listed.values()),
            "interval": INTERVAL,
            "min interval": MIN_INTERVAL,
            "peers": b"".join(socket.inet_aton(a) + p.to_bytes(2, "big") for a, p in told),
        }

    def _tell(
        self, infohash: bytes, listed: dict[tuple[str, int], bool], asker: tuple[str, int], wanted: int
    ) -> list[tuple[str, int]]:
        second = time.time() - self.start_at
        found = {(x.address, x.port) for x in self._known[infohash] if x.since <= second} | set(listed)
        found.discard(asker)
        return self._rng.sample(sorted(found), min(len(found), CAP, max(0, wanted)))

    def _audit(self, sender: str, event: str, fields: dict[str, bytes]) -> None:
        self.announces[event or "none"] = self.announces.get(event or "none", 0) + 1
        if sender in self._own:
            return
        if event not in ("started", "stopped"):
            self.forbidden.append(f"announce with event {event!r} from {sender}")
        infohash = fields.get("info_hash", b"")
        if infohash in self._unwatched:
            self.forbidden.append(f"announce for a torrent that is not watched from {sender}")
        if event == "stopped":
            self._said_stopped.add((sender, infohash))
        elif event == "started" and (sender, infohash) not in self._said_stopped:
            self.forbidden.append(f"announce with event 'started' before any 'stopped' from {sender}")
        for name, wrong in (("left", b"0"), ("downloaded", None), ("uploaded", None)):
            value = fields.get(name, b"1" if name == "left" else b"0")
            if value == wrong or (wrong is None and value != b"0"):
                self.forbidden.append(f"announce with {name}={value.decode('ascii', 'replace')} from {sender}")


def _number(fields: dict[str, bytes], name: str, default: int) -> int:
    value = fields.get(name, b"")
    return int(value) if value.isdigit() and len(value) < 8 else default
