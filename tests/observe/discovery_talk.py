"""Who tells of endpoints, as the tests of discovery speak for them: UDP trackers, nodes of the DHT, gossip."""

import ipaddress
from collections.abc import Iterable
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from observe_stage import MODERN, PROTOCOL, message

from clew.observe.api import SECOND, Ask, Contact, Conversation, Event, Limits, Listing, Send, Sighted, Target
from clew.observe.networks._udp_messages import DhtGetPeers, UdpAnnounce
from clew.observe.networks.bittorrent import PLUGIN
from clew.observe.transcript import decode

INFOHASH, PEER_ID = b"\x5a" * 20, b"-CW0100-abcdefghijkl"
ENTROPY = b"\x07" * 32
LIMITS = Limits()
FEW = settings(max_examples=40, deadline=None)
# Not of the first networks, whose zeros stand in other fields as well.
PEER = st.tuples(st.ip_addresses(v=4).filter(lambda a: all(a.packed)).map(str), st.integers(0, 65535))
PEER6 = st.tuples(st.ip_addresses(v=6).filter(lambda a: all(a.packed[:6])).map(str), st.integers(0, 65535))


def packed(peers: Iterable[tuple[str, int]]) -> bytes:
    return b"".join(ipaddress.ip_address(a).packed + p.to_bytes(2, "big") for a, p in peers)


def question(url: str, event: str = "stopped") -> Conversation:
    ask = Ask(PLUGIN.tracker(url), "W-1", INFOHASH, event, PEER_ID, 9, 4096)
    return PLUGIN.ask(ask, LIMITS, ENTROPY)


def sent(events: list[Event]) -> list[Any]:
    return [e.message for e in events if isinstance(e, Send)]


def listing(events: list[Event]) -> Listing:
    (end,) = [e for e in events if isinstance(e, Sighted)]
    assert isinstance(end.finding, Listing)
    return end.finding


def usable(peers: Iterable[tuple[str, int]]) -> list[tuple[str, int]]:
    return [(str(ipaddress.ip_address(a)), p) for a, p in peers if p]


def only_one_is_told(proof: bytes, one: tuple[str, int], all_of: list[tuple[str, int]]) -> None:
    """The transcript of one endpoint names it, no other, and not the infohash."""
    stored = [each.data for each in decode(proof)]
    assert sum(packed([one]) in data for data in stored) == 1
    whole = b"".join(stored)
    assert INFOHASH not in whole
    assert not any(packed([other]) in whole for other in all_of if packed([other])[:-2] != packed([one])[:-2])
    assert any(str(one[1]) in line for line in PLUGIN.describe(proof, {}))


# the UDP tracker ------------------------------------------------------------------------------------------------------


def connected(url: str = "udp://127.1.0.1:6969/announce", event: str = "stopped") -> tuple[Conversation, UdpAnnounce]:
    talk = question(url, event)
    (connect,) = sent(talk.opened(0))
    assert connect.encode() == bytes.fromhex("000004172710198000000000") + connect.transaction
    (announce,) = sent(talk.receive(bytes(4) + connect.transaction + b"CONNECTI", 1))
    return talk, announce


def answer(announce: UdpAnnounce, peers: bytes, action: int = 1) -> bytes:
    fields = (action, int.from_bytes(announce.transaction, "big"), 1800, 3, 4)
    return b"".join(each.to_bytes(4, "big") for each in fields) + peers


def bencoded(value: Any) -> bytes:
    if isinstance(value, bytes):
        return b"%d:%b" % (len(value), value)
    if isinstance(value, int):
        return b"i%de" % value
    if isinstance(value, list):
        return b"l" + b"".join(bencoded(each) for each in value) + b"e"
    return b"d" + b"".join(bencoded(k) + bencoded(value[k]) for k in sorted(value)) + b"e"


def get_peers(url: str = "dht://127.2.0.1:6881") -> tuple[Conversation, DhtGetPeers]:
    talk = question(url, "")
    (query,) = sent(talk.opened(0))
    return talk, query


NODE = b"N" * 20


def reply(query: DhtGetPeers, **fields: Any) -> bytes:
    body = {b"id": NODE} | {key.encode(): value for key, value in fields.items()}
    return bencoded({b"t": query.transaction, b"y": b"r", b"v": b"XX\0\1", b"r": body})


def contact(*, gossip: bool = True, hold: int = 120) -> Conversation:
    target = Target("W-1", INFOHASH, (INFOHASH,), PEER_ID, 12, range(2, 9), gossip=gossip)
    talk = PLUGIN.contact(target, Limits(hold_ns=hold * SECOND), "tcp", ENTROPY)
    talk.opened(0)
    return talk


HELLO = PROTOCOL + MODERN + INFOHASH + b"-TR3000-abcdefghijkl"
OFFER, FIELD = message(20, b"\0d1:md6:ut_pexi7eee"), message(5, b"\xff\xf0")


def told(**fields: Any) -> bytes:
    return message(20, b"\x01" + bencoded({k.replace("_", ".").encode(): v for k, v in fields.items()}))


def end(events: list[Event]) -> tuple[Contact, bytes]:
    assert isinstance(events[-1], Sighted)
    assert isinstance(events[-1].finding, Contact)
    return events[-1].finding, events[-1].transcript
