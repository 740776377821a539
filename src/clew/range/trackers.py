"""HTTP trackers (BEP 3, BEP 23), each on its own 127.1.x address; their manners are those of `announces`."""

import asyncio
import socket
from contextlib import suppress
from typing import Any
from urllib.parse import unquote_to_bytes

from clew.range.announces import INTERVAL, MIN_INTERVAL, Announce, Desk
from clew.range.fake import compact
from clew.range.scenario import Scenario, Source
from clew.range.torrents import Bencodable, bencode

LONGEST_REQUEST = 8192


class Tracker:
    """One tracker: `index` 0 is the telling manner, 1 the opentracker manner."""

    def __init__(self, scenario: Scenario, index: int) -> None:
        self.desk = Desk(scenario, index, Source.HTTP)
        self._server: asyncio.Server | None = None

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

    def report(self) -> dict[str, Any]:
        """As JSON."""
        return self.desk.report()

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
            self.desk.forbid("a request that is no announce", sender)
            return b"not found", b"404 Not Found"
        pairs = (part.partition(b"=") for part in query.split(b"&"))
        fields = {key.decode("ascii", "replace"): unquote_to_bytes(value) for key, _, value in pairs}
        found = self.desk.announce(_announce(fields), sender)
        if isinstance(found, str):
            return bencode({"failure reason": found}), b"200 OK"
        said: dict[str, Bencodable] = {
            "complete": found.seeders,
            "incomplete": found.leechers,
            "interval": INTERVAL,
            "min interval": MIN_INTERVAL,
            "peers": compact(found.peers),
        }
        return bencode(said), b"200 OK"


def _announce(fields: dict[str, bytes]) -> Announce:
    return Announce(
        infohash=fields.get("info_hash", b""),
        port=_number(fields, "port", 0),
        event=fields.get("event", b"").decode("ascii", "replace"),
        left=_number(fields, "left", 1),
        downloaded=_number(fields, "downloaded", 0),
        uploaded=_number(fields, "uploaded", 0),
        wanted=_number(fields, "numwant", 50),
    )


def _number(fields: dict[str, bytes], name: str, default: int) -> int:
    """A field as a number; -1 where it is none, `default` where it is not there."""
    value = fields.get(name)
    if value is None:
        return default
    return int(value) if value.isdigit() and len(value) < 20 else -1
