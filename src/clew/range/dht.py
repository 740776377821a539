"""A closed DHT of a few dozen fake nodes (BEP 5), some of which lie; they answer queries and never ask one.

Each stands on an address of its own, in a network of its own, as nodes of different people do; the endless ones all
lie in one, as nodes of one person. The endpoints that the scenario lists here are told by the eight truthful nodes
that are nearest to the infohash. An observer asks get_peers, as a read-only node (BEP 43), and nothing else.
"""
# ruff: noqa: S311 — a scenario wants a generator that can be seeded; nothing secret comes from it

import hashlib
import random
import socket
import time
from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Any

from clew.range.bdecode import Malformed, Value, dictionary
from clew.range.fake import compact
from clew.range.hostile import nowhere
from clew.range.listings import Listings
from clew.range.scenario import Scenario, Source
from clew.range.sockets import Endpoint
from clew.range.torrents import Bencodable, bencode

ID_BYTES = 20
NEAREST = 8  # K of BEP 5
VALUES = 80  # endpoints a reply, so that it fits one Ethernet frame
ENDLESS_PREFIX = "127.1.9."  # every address of it is an endless node
METHOD_UNKNOWN, PROTOCOL_ERROR = 204, 203  # BEP 5, "Errors"
MOST_TARGETS = 4_096  # whose nearest nodes are remembered


class NodeManner(StrEnum):
    """How a node answers."""

    TRUTHFUL = "tells what it knows"
    SLOW = "tells what it knows, late"
    SPOOFS = "tells values that nobody announced"
    ENDLESS = "tells nodes without end, ever nearer to what is asked"
    GARBAGE = "answers nonsense"


# A few dozen, in this order: three of each four are truthful, and the first are those that one bootstraps from.
MANNERS = (*(NodeManner.TRUTHFUL,) * 36, *(m for m in NodeManner if m is not NodeManner.TRUTHFUL for _ in range(3)))


def place(number: int) -> str:
    """The address of the node of that number, from 1."""
    return f"127.1.{100 + number}.1"


BOOTSTRAP = tuple(place(number) for number in (1, 2, 3))


@dataclass(frozen=True, slots=True)
class Node:
    """One node of the fake DHT."""

    address: str
    id: bytes
    manner: NodeManner


Later = tuple[float, bytes]


class Dht:
    """All the nodes. `start_at` (seconds since 1970) is the second 0 of the operation."""

    def __init__(self, scenario: Scenario, port: int, manners: tuple[NodeManner, ...] = MANNERS) -> None:
        self.start_at = time.time()
        self._port = port
        self._rng = random.Random()
        self._secret = random.Random().randbytes(16)
        made = random.Random(f"{scenario.seed} dht")
        nodes = (Node(place(number), made.randbytes(ID_BYTES), manner) for number, manner in enumerate(manners, 1))
        self._nodes = {node.address: node for node in nodes}
        self._listings = Listings(scenario, Source.DHT)
        self._unwatched = {t.infohash for t in scenario.torrents if t.watched is None}
        self._announced: dict[bytes, set[Endpoint]] = {}
        self._near = lru_cache(MOST_TARGETS)(self._nearest)
        self._keepers = lru_cache(MOST_TARGETS)(self._responsible)
        self._queries: Counter[str] = Counter()
        self._forbidden: Counter[str] = Counter()

    def node(self, address: str) -> Node | None:
        """The node at an address."""
        if address.startswith(ENDLESS_PREFIX):
            return Node(address, hashlib.sha1(address.encode(), usedforsecurity=False).digest(), NodeManner.ENDLESS)
        return self._nodes.get(address)

    def listed_outsiders(self) -> list[str]:
        """Who announced itself here: nobody, if the observer behaves; the range's own clients speak no DHT."""
        return sorted({f"{address}:{port}" for found in self._announced.values() for address, port in found})

    def report(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "announces": {},
            "forbidden": [f"{what} ({count} times)" for what, count in sorted(self._forbidden.items())],
            "listed_outsiders": self.listed_outsiders(),
            "queries": dict(self._queries),
            "source": Source.DHT.value,
        }

    def answer(self, data: bytes, node: Node, sender: Endpoint) -> Later | None:
        """Seconds to wait and what `node` then answers, None where it answers nothing."""
        try:
            said = dictionary(data)
        except Malformed:
            self._forbid("a datagram that is no KRPC message", sender)
            return None
        transaction, arguments = said.get(b"t"), said.get(b"a")
        if said.get(b"y") != b"q" or not isinstance(transaction, bytes) or not isinstance(arguments, dict):
            self._forbid("a DHT message that is no query", sender)
            return None
        query = said.get(b"q")
        name = query.decode("ascii", "replace") if isinstance(query, bytes) else "?"
        self._audit(name, said, arguments, sender)
        if node.manner is NodeManner.GARBAGE:
            return 0.0, self._garbage(transaction)
        wait = self._rng.uniform(1.0, 3.0) if node.manner is NodeManner.SLOW else 0.0
        found = self._reply(node, name, arguments, sender)
        if isinstance(found, int):
            return wait, bencode({"e": [found, "no"], "t": transaction, "y": "e"})
        told: dict[str, Bencodable] = {
            "ip": compact([sender]),
            "r": {"id": node.id, **found},
            "t": transaction,
            "y": "r",
        }  # "ip": BEP 42
        return wait, bencode(told)

    def _audit(self, name: str, said: dict[bytes, Value], arguments: dict[bytes, Value], sender: Endpoint) -> None:
        self._queries[name] += 1
        if name != "get_peers":
            self._forbid(f"the DHT query {name[:20]}", sender)
        if said.get(b"ro") != 1:
            self._forbid("a DHT query without ro=1", sender)
        if arguments.get(b"info_hash") in self._unwatched:
            self._forbid("a DHT query for a torrent that is not watched", sender)

    def _forbid(self, what: str, sender: Endpoint) -> None:
        self._forbidden[f"{what} from {sender[0]}"] += 1

    def _reply(
        self, node: Node, name: str, arguments: dict[bytes, Value], sender: Endpoint
    ) -> dict[str, Bencodable] | int:
        """The return values of a query, or the number of an error."""
        target = arguments.get(b"target" if name == "find_node" else b"info_hash")
        if name == "ping":
            return {}
        if name not in ("find_node", "get_peers", "announce_peer"):
            return METHOD_UNKNOWN
        if not isinstance(target, bytes) or len(target) != ID_BYTES:
            return PROTOCOL_ERROR
        if name == "announce_peer":
            return self._store(target, arguments, sender)
        found: dict[str, Bencodable] = {
            "nodes": self._endless(target) if node.manner is NodeManner.ENDLESS else self._near(target)
        }
        if name == "get_peers":
            found["token"] = self._token(sender)
            values = self._values(node, target)
            if values:
                found["values"] = [compact([value]) for value in values]
        return found

    def _values(self, node: Node, infohash: bytes) -> list[Endpoint]:
        if node.manner is NodeManner.SPOOFS:
            lies = random.Random(node.id + infohash)  # the same whenever it is asked, as poisoned indices tell them
            return [nowhere((self._port,), lies) for _ in range(VALUES)]
        if node.manner is NodeManner.ENDLESS or node not in self._keepers(infohash):
            return []
        also = tuple(self._announced.get(infohash, ()))
        return self._listings.sample(infohash, time.time() - self.start_at, VALUES, also=also)

    def _responsible(self, infohash: bytes) -> tuple[Node, ...]:
        honest = (n for n in self._nodes.values() if n.manner in (NodeManner.TRUTHFUL, NodeManner.SLOW))
        return tuple(sorted(honest, key=lambda n: _distance(n.id, infohash))[:NEAREST])

    def _nearest(self, target: bytes) -> bytes:
        found = sorted(self._nodes.values(), key=lambda n: _distance(n.id, target))[:NEAREST]
        return b"".join(n.id + compact([(n.address, self._port)]) for n in found)

    def _endless(self, target: bytes) -> bytes:
        """Nodes that there are not: each id shares 10 to 19 bytes with what is asked."""
        ids = (target[:n] + self._rng.randbytes(ID_BYTES - n) for n in self._rng.sample(range(10, 20), NEAREST))
        return b"".join(i + compact([(ENDLESS_PREFIX + str(self._rng.randrange(1, 255)), self._port)]) for i in ids)

    def _store(self, infohash: bytes, arguments: dict[bytes, Value], sender: Endpoint) -> dict[str, Bencodable] | int:
        port = sender[1] if arguments.get(b"implied_port") == 1 else arguments.get(b"port")
        if arguments.get(b"token") != self._token(sender) or not isinstance(port, int) or not 0 <= port < 65536:
            return PROTOCOL_ERROR
        self._announced.setdefault(infohash, set()).add((sender[0], port))
        return {}

    def _token(self, sender: Endpoint) -> bytes:
        return hashlib.sha256(self._secret + socket.inet_aton(sender[0])).digest()[:8]

    def _garbage(self, transaction: bytes) -> bytes:
        rng = self._rng
        odd: Bencodable = {"id": b"short", "nodes": rng.randbytes(27), "values": [b"12345", b"", rng.randbytes(999)]}
        return rng.choice(
            (
                rng.randbytes(400),
                b"d1:rd" + b"d1:a" * 300,
                bencode({"r": odd, "t": transaction, "y": "r"}),
                bencode({"r": {"id": bytes(20), "values": b"no list"}, "t": transaction, "y": "r"}),
                bencode({"r": {"id": bytes(20), "nodes": b""}, "t": rng.randbytes(2), "y": "r"}),
            )
        )


def _distance(one: bytes, other: bytes) -> int:
    """XOR metric (BEP 5)."""
    return int.from_bytes(one, "big") ^ int.from_bytes(other, "big")
