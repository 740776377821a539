"""UDP trackers and the DHT behind one UDP port of `lo`: the address that is called tells which of them answers."""

import asyncio
from typing import Any

from clew.range.dht import MANNERS, Dht, NodeManner
from clew.range.places import TRACKER_ADDRESSES
from clew.range.scenario import Scenario
from clew.range.sockets import Datagrams, Endpoint
from clew.range.udp_tracker import UdpTracker


class UdpServices:
    """Both UDP trackers, on the addresses of the HTTP ones, and the nodes of the DHT."""

    def __init__(self, scenario: Scenario, port: int, manners: tuple[NodeManner, ...] = MANNERS) -> None:
        """`manners`: how each node of the DHT answers."""
        self._port = port
        self._trackers = {a: UdpTracker(scenario, index) for index, a in enumerate(TRACKER_ADDRESSES)}
        self._dht = Dht(scenario, port, manners)
        self._datagrams: Datagrams | None = None

    def listen(self) -> None:
        """Opens the port. Raises OSError where it is taken."""
        self._datagrams = Datagrams(self._port, self._heard)

    def start_at(self, second: float) -> None:
        """Sets the second 0 of the operation, in seconds since 1970."""
        self._dht.start_at = second
        for tracker in self._trackers.values():
            tracker.desk.start_at = second

    def close(self) -> None:
        """Stops listening."""
        if self._datagrams is not None:
            self._datagrams.close()

    def reports(self) -> list[dict[str, Any]]:
        """As JSON: of the trackers, then of the DHT."""
        return [*(t.report() for t in self._trackers.values()), self._dht.report()]

    def _heard(self, data: bytes, local: str, sender: Endpoint) -> None:
        loop = asyncio.get_running_loop()
        if (tracker := self._trackers.get(local)) is not None:
            answer = tracker.answer(data, sender, loop.time())
            if answer is not None:
                self._say(answer, local, sender)
        elif (node := self._dht.node(local)) is not None:
            told = self._dht.answer(data, node, sender)
            if told is not None:
                loop.call_later(told[0], self._say, told[1], local, sender)

    def _say(self, data: bytes, local: str, to: Endpoint) -> None:
        if self._datagrams is not None:
            self._datagrams.send(data, local, to)
