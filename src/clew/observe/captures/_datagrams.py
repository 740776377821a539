"""Captured questions and answers over UDP that are for a Watch: trackers (BEP 15) and the DHT (BEP 5, BEP 32).

An answer does not name its infohash, so a question for a Watch is remembered until its answer comes. Whoever only asks
is counted and not kept; who announces itself, and who is listed, is hearsay (E0).
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from struct import Struct

from clew.core import bencode
from clew.model import SightingKind
from clew.observe.captures._endpoint import PORT_BYTES, compact, place, text
from clew.observe.captures._packets import Packet
from clew.observe.taken import ANNOUNCES, UNUSABLE, Account, Finding, Watched, Watchlist
from clew.observe.transcript import Transcript

MAX_OPEN = 4_096
# BEP 15, "IPv4 announce request" and "IPv4 announce response" (an IPv6 one has endpoints of 18 bytes)
ANNOUNCE = Struct("!QII20s20sQQQIIIiH")
RESPONSE = Struct("!IIIII")
ACTION_ANNOUNCE = 1
STOPPED = 3
INFOHASH_BYTES = 20
UNSURE = ", from fragments without checksum"  # RFC 4963: may be a mixture of two datagrams

Sink = Callable[[Finding], None]


@dataclass(frozen=True, slots=True)
class Question:
    """A question for Watches that waits for its answer; `unsummed` as of a Packet."""

    watches: tuple[Watched, ...]
    infohash: bytes
    unsummed: bool


class _Open:
    """Questions by who asked whom under which transaction id; the oldest go first where there are too many."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._open: OrderedDict[tuple[bytes, int, bytes, int, bytes], Question] = OrderedDict()

    def ask(self, packet: Packet, transaction: bytes, question: Question) -> None:
        """Remembers a question."""
        if len(self._open) >= MAX_OPEN:
            self._open.popitem(last=False)
            self._account.counts["questions for Watches whose answer was waited for no longer"] += 1
        self._open[packet.source, packet.source_port, packet.target, packet.target_port, transaction] = question

    def answered(self, packet: Packet, transaction: bytes) -> Question | None:
        """The question that this packet answers, once."""
        key = (packet.target, packet.target_port, packet.source, packet.source_port, transaction)
        return self._open.pop(key, None)


class UdpTrackers:
    """Announces over UDP and their responses."""

    def __init__(self, watchlist: Watchlist, account: Account, sink: Sink) -> None:
        self._watchlist, self._account, self._sink = watchlist, account, sink
        self._open = _Open(account)

    def take(self, packet: Packet) -> bool:
        """Takes a datagram; says whether it was an announce for a Watch or the response to one."""
        data = packet.payload
        if len(data) >= ANNOUNCE.size and int.from_bytes(data[8:12], "big") == ACTION_ANNOUNCE:
            return self._announce(packet)
        if len(data) >= RESPONSE.size and int.from_bytes(data[:4], "big") == ACTION_ANNOUNCE:
            return self._response(packet)
        return False

    def _announce(self, packet: Packet) -> bool:
        _, _, transaction, infohash, peer_id, *_, event, _, _, _, port = ANNOUNCE.unpack_from(packet.payload)
        watches = self._watchlist.of(infohash)
        if not watches:
            return False
        self._account.counts[ANNOUNCES] += 1
        question = Question(watches, infohash, packet.unsummed)
        self._open.ask(packet, transaction.to_bytes(4, "big"), question)
        if port:
            kept = Transcript()
            kept.left_out("announce, its infohash and numbers", len(packet.payload) - 20 - PORT_BYTES, packet.at_ns)
            kept.received(peer_id + port.to_bytes(PORT_BYTES, "big"), packet.at_ns)
            what = "announced (stopped) to" if event == STOPPED else "announced to"
            source = f"{what} udp://{place(packet.target, packet.target_port)}"
            _tell(self._sink, packet, question, source, packet.source, port, kept.encode(), packet.target)
        return True

    def _response(self, packet: Packet) -> bool:
        data = packet.payload
        question = self._open.answered(packet, data[4:8])
        if question is None:
            return False
        width = len(packet.source) + PORT_BYTES
        source = f"listed by udp://{place(packet.source, packet.source_port)}"
        for at in range(RESPONSE.size, len(data), width):
            one = compact(data[at : at + width])
            if one is None:
                self._account.counts[UNUSABLE] += 1
                continue
            kept = Transcript()
            kept.received(data[: RESPONSE.size], packet.at_ns)
            _alone(kept, data, RESPONSE.size, at, at + width, packet.at_ns)
            _tell(self._sink, packet, question, source, *one, kept.encode(), packet.source)
        return True


class Dht:
    """get_peers and its answers, and announce_peer."""

    def __init__(self, watchlist: Watchlist, account: Account, sink: Sink) -> None:
        self._watchlist, self._account, self._sink = watchlist, account, sink
        self._open = _Open(account)

    def take(self, packet: Packet) -> bool:
        """Takes a datagram; says whether it is a message of the DHT."""
        data = packet.payload
        if data[:1] != b"d" or data[-1:] != b"e":
            return False
        try:
            found = bencode.dictionary(data)
        except bencode.Malformed:
            return False
        kind, transaction = found.get(b"y", (None,))[0], found.get(b"t", (None,))[0]
        if not isinstance(transaction, bytes):
            return False
        self._account.counts["messages of the DHT"] += 1
        if kind == b"q":
            self._query(packet, transaction, found.get(b"q", (None,))[0], found.get(b"a", (None,))[0])
        elif kind == b"r" and isinstance(found.get(b"r", (None,))[0], dict):
            self._answer(packet, transaction, found[b"r"][1].start)
        return True

    def _query(self, packet: Packet, transaction: bytes, name: object, told: object) -> None:
        infohash = told.get(b"info_hash") if isinstance(told, dict) else None
        watches = self._watchlist.of(infohash) if isinstance(infohash, bytes) else ()
        if not watches or not isinstance(infohash, bytes) or not isinstance(told, dict):
            return
        question = Question(watches, infohash, packet.unsummed)
        if name == b"get_peers":
            self._account.counts["searches in the DHT for Watches"] += 1
            self._open.ask(packet, transaction, question)
        elif name == b"announce_peer":
            self._account.counts[ANNOUNCES] += 1
            implied, port = told.get(b"implied_port"), told.get(b"port")
            port = packet.source_port if implied == 1 else port
            if isinstance(port, int) and 0 < port < 65536:
                kept = Transcript()
                kept.left_out("announce_peer, its infohash and token", len(packet.payload), packet.at_ns)
                source = f"announced to dht://{place(packet.target, packet.target_port)}"
                _tell(self._sink, packet, question, source, packet.source, port, kept.encode(), packet.target)

    def _answer(self, packet: Packet, transaction: bytes, start: int) -> None:
        question = self._open.answered(packet, transaction)
        if question is None:
            return
        source = f"listed by dht://{place(packet.source, packet.source_port)}"
        for place_of, value in _values(packet.payload, start):
            one = compact(value)
            if one is None:
                self._account.counts[UNUSABLE] += 1
                continue
            kept = Transcript()
            _alone(kept, packet.payload, 0, place_of.start, place_of.stop, packet.at_ns)
            _tell(self._sink, packet, question, source, *one, kept.encode(), packet.source)


def _values(data: bytes, start: int) -> Iterator[tuple[slice, bytes]]:
    """BEP 5, "get_peers": the strings of the list `values` in the answer that begins at `start`, and where they are."""
    for key, value, where in bencode.members(data, start):
        if key != b"values" or not isinstance(value, list):
            continue
        at = where.start + 1
        for each in value:
            if not isinstance(each, bytes):
                yield slice(at, at), b""  # no list of endpoints: what follows cannot be placed
                return
            end = at + len(b"%d:" % len(each)) + len(each)
            yield slice(end - len(each), end), each
            at = end


def _alone(kept: Transcript, data: bytes, start: int, at: int, stop: int, at_ns: int) -> None:
    """One endpoint of a list, everything around it left out."""
    for length, part in ((at - start, data[at:stop]), (len(data) - stop, b"")):
        if length:
            kept.left_out("other parts of the answer", length, at_ns)
        if part:
            kept.received(part, at_ns)


def _tell(
    sink: Sink,
    packet: Packet,
    question: Question,
    source: str,
    address: bytes,
    port: int,
    transcript: bytes,
    vouching: bytes,
) -> None:
    """Hands out what was said of one endpoint, for each Watch of that torrent."""
    unsure = UNSURE * (packet.unsummed or question.unsummed)
    for watched in question.watches:
        sink(
            Finding(
                kind=SightingKind.CAPTURED,
                watch=watched.id,
                source=source + unsure,
                address=text(address),
                port=port,
                transport="udp",
                other_address=text(vouching),
                other_port=packet.source_port if vouching == packet.source else packet.target_port,
                started_ns=packet.at_ns,
                ended_ns=packet.at_ns,
                infohash=question.infohash,
                contact=None,
                returned=False,
                transcript=transcript,
            )
        )
