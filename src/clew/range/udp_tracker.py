"""UDP trackers (BEP 15), each on its own 127.1.x address; their manners are those of `announces`."""

import hashlib
import struct
import time
from typing import Any

from clew.range.announces import INTERVAL, Announce, Desk
from clew.range.fake import compact
from clew.range.scenario import Scenario, Source
from clew.range.sockets import Endpoint

PROTOCOL_ID = 0x41727101980  # BEP 15, "connect request"
CONNECT, ANNOUNCE, SCRAPE, ERROR = range(4)
CONNECT_REQUEST = struct.Struct(">QII")
ANNOUNCE_REQUEST = struct.Struct(">QII20s20sQQQIIIiH")  # 98 bytes; what follows are options (BEP 41)
EVENTS = ("", "completed", "started", "stopped")
CONNECTION_LASTS = 120.0  # seconds that a tracker still takes a connection id (BEP 15, "connect response")


class UdpTracker:
    """One tracker: `index` 0 is the telling manner, 1 the opentracker manner. Bytes in, bytes out."""

    def __init__(self, scenario: Scenario, index: int) -> None:
        self.desk = Desk(scenario, index, Source.UDP)
        self._secret = str(time.time_ns()).encode()

    def report(self) -> dict[str, Any]:
        """As JSON."""
        return self.desk.report()

    def answer(self, data: bytes, sender: Endpoint, now: float) -> bytes | None:
        """The answer to one datagram at second `now` of any clock, None where it gets none."""
        if len(data) < CONNECT_REQUEST.size:
            self.desk.forbid("a datagram that is no request of BEP 15", sender[0])
            return None
        connection, action, transaction = CONNECT_REQUEST.unpack_from(data)
        if action == CONNECT and connection == PROTOCOL_ID:
            return struct.pack(">IIQ", CONNECT, transaction, self._connection(sender, now))
        if action != ANNOUNCE or len(data) < ANNOUNCE_REQUEST.size:
            self.desk.forbid("a request that is no announce", sender[0])
            return _error(transaction, "not here")
        lately = (self._connection(sender, now), self._connection(sender, now - CONNECTION_LASTS))
        if connection not in lately:
            return _error(transaction, "connection id expired")
        return self._announced(data, transaction, sender)

    def _announced(self, data: bytes, transaction: int, sender: Endpoint) -> bytes:
        _, _, _, infohash, _, downloaded, left, uploaded, event, _, _, wanted, port = ANNOUNCE_REQUEST.unpack_from(data)
        said = Announce(
            infohash=infohash,
            port=port,
            event=EVENTS[event] if event < len(EVENTS) else str(event),
            left=left,
            downloaded=downloaded,
            uploaded=uploaded,
            wanted=50 if wanted < 0 else wanted,  # -1 is "default"
        )
        found = self.desk.announce(said, sender[0])
        if isinstance(found, str):
            return _error(transaction, found)
        head = struct.pack(">IIIII", ANNOUNCE, transaction, INTERVAL, found.leechers, found.seeders)
        return head + compact(found.peers)

    def _connection(self, sender: Endpoint, now: float) -> int:
        """The connection id of a sender in the two minutes of `now`."""
        said = f"{sender} {int(now // CONNECTION_LASTS)}".encode()
        return int.from_bytes(hashlib.sha256(self._secret + said).digest()[:8], "big")


def _error(transaction: int, why: str) -> bytes:
    return struct.pack(">II", ERROR, transaction) + why.encode()
