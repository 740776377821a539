"""A stage for the observer's tests: plain-socket peers and trackers on 127.x, in a thread of their own.

Shares no code with clew.range nor with the observer. Every byte that the observer sends is kept, to be judged.
"""

import asyncio
import socket
import struct
import threading
from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote_to_bytes

PROTOCOL = b"\x13BitTorrent protocol"
PLAIN, EXTENDED, MODERN = bytes(8), bytes((0, 0, 0, 0, 0, 0x10, 0, 0)), bytes((0, 0, 0, 0, 0, 0x10, 0, 4))
EXTENSION = b"\x00d1:md11:ut_metadatai2ee1:v11:Test 1.2.3412:complete_agoi3ee"
PIECES = 20
INNER = range(5, 15)

Talk = Callable[["Peer", asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def message(kind: int, body: bytes = b"") -> bytes:
    return struct.pack(">IB", len(body) + 1, kind) + body


def bitfield(*held: int) -> bytes:
    bits = bytearray(-(-PIECES // 8))
    for piece in held:
        bits[piece // 8] |= 128 >> piece % 8
    return message(5, bytes(bits))


@dataclass
class Peer:
    """One fake peer: its address, how it talks, and everything it was sent."""

    address: str
    talk: Talk
    port: int = 0
    heard: list[bytearray] = field(default_factory=list)
    open_now: int = 0
    most_open: int = 0


@dataclass
class Tracker:
    """`cap` is the most endpoints a reply; `tells_stopped` the manner; `listed` what it knows, by infohash."""

    address: str
    tells_stopped: bool
    cap: int = 200
    port: int = 0
    listed: dict[bytes, list[tuple[str, int]]] = field(default_factory=lambda: defaultdict(list))
    announced: set[tuple[bytes, str, int]] = field(default_factory=set)
    asked: list[dict[str, Any]] = field(default_factory=list)
    reply: bytes | None = None
    turn: int = 0

    @property
    def url(self) -> str:
        return f"http://{self.address}:{self.port}/announce"


class Stage:
    """A context manager around the thread."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._servers: list[asyncio.Server] = []
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> "Stage":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def peer(self, address: str, talk: Talk) -> Peer:
        made = Peer(address, talk)

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            made.open_now += 1
            made.most_open = max(made.most_open, made.open_now)
            made.heard.append(bytearray())
            try:
                await made.talk(made, reader, writer)
            except (ConnectionError, asyncio.IncompleteReadError, ValueError):
                pass
            finally:
                made.open_now -= 1
                writer.close()

        made.port = self._serve(serve, address)
        return made

    def tracker(self, address: str, *, tells_stopped: bool, cap: int = 200) -> Tracker:
        made = Tracker(address, tells_stopped, cap)

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            head = await reader.readuntil(b"\r\n\r\n")
            writer.write(
                made.reply if made.reply is not None else _reply(made, head, writer.get_extra_info("peername")[0])
            )
            await writer.drain()
            writer.close()

        made.port = self._serve(serve, address)
        return made

    def _serve(self, serve: Any, address: str) -> int:
        async def start() -> int:
            server = await asyncio.start_server(serve, address, 0)
            self._servers.append(server)
            return int(server.sockets[0].getsockname()[1])

        return asyncio.run_coroutine_threadsafe(start(), self._loop).result(10)

    async def _close(self) -> None:
        for server in self._servers:
            server.close()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
        await asyncio.sleep(0)


def _reply(tracker: Tracker, head: bytes, sender: str) -> bytes:
    query = head.split(b" ", 2)[1].partition(b"?")[2].decode("latin-1")
    asked: dict[str, Any] = dict(parse_qsl(query, encoding="latin-1"))
    asked["info_hash"] = unquote_to_bytes(query.partition("info_hash=")[2].partition("&")[0])
    tracker.asked.append(asked)
    infohash, key = asked["info_hash"], (asked["info_hash"], sender, int(asked["port"]))
    known = tracker.listed[infohash]
    told: list[tuple[str, int]] = []
    if asked["event"] == "stopped":
        tracker.announced.discard(key)
    else:
        tracker.announced.add(key)
    if tracker.tells_stopped or asked["event"] != "stopped":
        rolled = known[tracker.turn :] + known[: tracker.turn]
        told = rolled[: tracker.cap]
        tracker.turn = (tracker.turn + tracker.cap) % max(1, len(known))
    peers = b"".join(socket.inet_aton(a) + p.to_bytes(2, "big") for a, p in told)
    body = b"d8:completei%de10:incompletei0e8:intervali1800e5:peers%d:%se" % (len(known), len(peers), peers)
    cut = len(body) // 2
    chunks = b"%x\r\n%s\r\n%x\r\n%s\r\n0\r\n\r\n" % (cut, body[:cut], len(body) - cut, body[cut:])
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks


async def hear(peer: Peer, reader: asyncio.StreamReader, count: int) -> bytes:
    data = await reader.readexactly(count)
    peer.heard[-1] += data
    return data


def answers(
    said: bytes,
    *,
    torrents: set[bytes] | None,
    reserved: bytes = MODERN,
    client: bytes = b"-TE1234-",
    wait: float = 0.0,
) -> Talk:
    """Talks properly for its `torrents` (None: for anything): handshake, extension handshake, then `said`."""

    async def talk(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        hello = await hear(peer, reader, 68)
        await asyncio.sleep(wait)
        if torrents is not None and hello[28:48] not in torrents:
            return
        peer_id = client + b"0" * (20 - len(client))
        extension = message(20, EXTENSION) if reserved[5] & 0x10 else b""
        writer.write(PROTOCOL + reserved + hello[28:48] + peer_id + extension + said)
        await writer.drain()
        while data := await reader.read(65536):
            peer.heard[-1] += data

    return talk


def says(data: bytes, *, drip: float = 0.0) -> Talk:
    """Hears the handshake and says `data`, whatever was asked; with `drip`, a byte at a time."""

    async def talk(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        hello = await hear(peer, reader, 68)
        out = data.replace(b"{infohash}", hello[28:48])
        for part in [out[i : i + 1] for i in range(len(out))] if drip else [out]:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(drip)
        while more := await reader.read(65536):
            peer.heard[-1] += more

    return talk
