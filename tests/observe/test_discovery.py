"""Who tells of endpoints: UDP trackers, nodes of the DHT, gossip; their parsers against everything that may come."""

import ipaddress
import socket
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from observe_case import watch_body
from observe_stage import EXTENSION, MODERN, PROTOCOL, message

from clew.core import bencode, watch
from clew.model import Claim, Missing, Reason
from clew.observe.announces import infohashes
from clew.observe.api import SECOND, Ask, Contact, Conversation, Event, Limits, Listing, Send, Sighted, Target
from clew.observe.networks._dht import MAX_DATAGRAM
from clew.observe.networks._pex import MOST
from clew.observe.networks._tracker import endpoints
from clew.observe.networks._udp_messages import DhtGetPeers, UdpAnnounce, UdpConnect
from clew.observe.networks.bittorrent import PLUGIN
from clew.observe.transcript import Kind, decode

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


@pytest.mark.parametrize(("event", "number"), [("stopped", 3), ("started", 2)])
def test_an_announce_is_laid_out_as_in_bep_15_and_41(event: str, number: int) -> None:
    _, announce = connected("udp://127.1.0.1:6969/a?" + "k" * 300, event)
    data = announce.encode()
    assert data[:8] == b"CONNECTI"
    assert (data[8:12], data[12:16]) == (b"\0\0\0\1", announce.transaction)
    assert (data[16:36], data[36:56]) == (INFOHASH, PEER_ID)
    assert [int.from_bytes(data[at : at + 8], "big") for at in (56, 64, 72)] == [0, 4096, 0]
    assert [int.from_bytes(data[at : at + 4], "big") for at in (80, 84, 92)] == [number, 0, 200]
    assert data[96:98] == b"\0\x09"
    assert data[98:100] == b"\x02\xff"
    assert data[100:355] + data[357:] == b"/a?" + b"k" * 300
    assert data[355:357] == bytes((2, 303 - 255))


def test_one_key_for_all_announces_and_other_transactions_for_other_entropy() -> None:
    _, first = connected()
    _, second = connected(event="started")
    ask = Ask(PLUGIN.tracker("udp://127.1.0.1:1"), "W-1", INFOHASH, "stopped", PEER_ID, 9, 1)
    (other,) = sent(PLUGIN.ask(ask, LIMITS, b"\x08" * 32).opened(0))
    (again,) = sent(PLUGIN.ask(ask, LIMITS, ENTROPY).opened(0))
    (same,) = sent(PLUGIN.ask(ask, LIMITS, ENTROPY).opened(0))
    assert first.key == second.key
    assert again == same
    assert len({other.transaction, again.transaction, first.transaction}) == 3


@FEW
@given(st.lists(PEER, max_size=30, unique_by=lambda p: p[0]), st.integers(0, 5))
def test_a_tracker_s_endpoints_are_read_as_written(peers: list[tuple[str, int]], cut: int) -> None:
    talk, announce = connected()
    found = listing(talk.receive(answer(announce, packed(peers) + b"x" * cut), 2))
    assert [(e.address, e.port) for e in found.listed] == usable(peers)
    assert found.unusable == sum(not port for _, port in peers) + bool(cut)
    assert (found.interval, found.swarm, found.missing) == (1800, 7, None)
    for one in found.listed[:3]:
        only_one_is_told(found.proof(one), (one.address, one.port), peers)


@FEW
@given(st.lists(PEER6, max_size=20))
def test_a_tracker_reached_over_ipv6_tells_of_ipv6(peers: list[tuple[str, int]]) -> None:
    talk, announce = connected("udp://[::1]:6969")
    found = listing(talk.receive(answer(announce, packed(peers)), 2))
    assert [(e.address, e.port) for e in found.listed] == usable(peers)


def test_another_s_transaction_ends_nothing_and_is_counted() -> None:
    talk, announce = connected()
    spoofed = answer(UdpAnnounce(b"", b"\0\0\0\0", b"", b"", 1, "", b"", 0, 0), packed([("127.66.6.6", 1)]))
    assert talk.receive(spoofed, 2) == []
    assert talk.receive(b"", 3) == talk.receive(b"\0" * 7, 3) == []
    refused = b"\0\0\0\3" + question("udp://127.1.0.1:1").opened(0)[0].message.transaction + b"go away"  # type: ignore[union-attr]
    assert talk.receive(refused, 3) == [], "an answer to the first step is none to the second"
    (end,) = talk.receive(answer(announce, packed([("127.10.0.1", 7)])), 4)
    assert isinstance(end, Sighted)
    assert [e.address for e in listing([end]).listed] == ["127.10.0.1"]
    assert end.traffic["received and dropped"] == len(spoofed) + 7 + len(refused)
    assert b"127.66" not in end.transcript
    assert packed([("127.66.6.6", 1)]) not in end.transcript


def test_a_tracker_s_refusal_is_kept_and_its_words_hold_no_code() -> None:
    talk, announce = connected()
    found = listing(talk.receive(b"\0\0\0\3" + announce.transaction + b"unknown: " + b"5a" * 20, 2))
    assert found.missing == Missing(Reason.REFUSED, "tracker: unknown: (code left out)")


@pytest.mark.parametrize("data", [b"", b"\0\0\0\1", b"\0" * 11])
def test_a_reply_that_is_cut_short_is_said_to_be(data: bytes) -> None:
    talk, announce = connected()
    found = listing(talk.receive(b"\0\0\0\1" + announce.transaction + data, 2))
    assert found.missing is not None
    assert found.missing.reason is Reason.UNPARSABLE


def test_requests_are_sent_again_a_few_times_within_the_time_for_an_answer() -> None:
    talk = question("udp://127.1.0.1:6969")
    events, now = talk.opened(0), 0
    while not isinstance(events[-1], Sighted):
        now = talk.wake_ns
        assert talk.tick(now - 1) == []
        events += talk.tick(now)
    assert now == LIMITS.answer_ns
    assert [type(e.message) for e in events[:-1]] == [UdpConnect] * 3
    assert len({e.message.encode() for e in events[:-1] if isinstance(e, Send)}) == 1
    assert listing(events).missing == Missing(Reason.LIMIT_REACHED, "tracker: no answer in time")


def test_a_connection_id_is_not_used_beyond_its_minute() -> None:
    ask = Ask(PLUGIN.tracker("udp://127.1.0.1:1"), "W-1", INFOHASH, "stopped", PEER_ID, 9, 1)
    talk = PLUGIN.ask(ask, Limits(answer_ns=600 * SECOND), ENTROPY)
    (connect,) = sent(talk.opened(0))
    talk.receive(bytes(4) + connect.transaction + bytes(8), 5)
    times = []
    while talk.wake_ns not in times:
        times.append(talk.wake_ns)
        events = talk.tick(times[-1])
    assert isinstance(events[-1], Sighted)
    assert times[-1] <= 5 + 60 * SECOND


def test_a_flood_of_datagrams_costs_itself_alone() -> None:
    for url in ("udp://127.1.0.1:6969", "dht://127.2.0.1:6881"):
        talk, events, count = question(url), [], 0
        talk.opened(0)
        while not events:
            events, count = talk.receive(b"d1:q4:ping1:t1:x1:y1:qe" * 40, 1), count + 1
            assert talk.held == 0
        assert count < 1000
        missing = listing(events).missing
        assert missing is not None
        assert missing.reason is Reason.LIMIT_REACHED
        assert isinstance(events[0], Sighted)
        assert len(events[0].transcript) < 400


# the DHT --------------------------------------------------------------------------------------------------------------


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


def test_the_query_is_read_only_and_asks_for_both_families() -> None:
    _, query = get_peers()
    expected = {
        b"t": query.transaction, b"y": b"q", b"q": b"get_peers", b"ro": 1,
        b"a": {b"id": query.node_id, b"info_hash": INFOHASH, b"want": [b"n4", b"n6"]},
    }  # fmt: skip
    assert query.encode() == bencoded(expected)
    assert len(query.node_id) == 20


@given(
    st.lists(PEER | PEER6, max_size=20, unique_by=lambda p: p[0]),
    st.lists(st.binary(max_size=5) | st.integers(0, 9), max_size=3),
)
def test_values_of_either_family_are_read_as_written(peers: list[tuple[str, int]], junk: list[Any]) -> None:
    talk, query = get_peers()
    values = [packed([p]) for p in peers] + junk
    found = listing(talk.receive(reply(query, values=values, token=b"SECRET-TOKEN"), 1))
    assert [(e.address, e.port) for e in found.listed] == usable(peers)
    assert found.unusable == len(values) - len(found.listed)
    assert found.node == NODE
    for one in found.listed[:3]:
        only_one_is_told(found.proof(one), (one.address, one.port), peers)
        assert b"TOKEN" not in found.proof(one)


@given(
    st.lists(st.tuples(st.binary(min_size=20, max_size=20), PEER), max_size=8),
    st.lists(st.tuples(st.binary(min_size=20, max_size=20), PEER6), max_size=8),
)
def test_nodes_of_both_families_but_nobody_and_not_ourselves(four: list[Any], six: list[Any]) -> None:
    talk, query = get_peers()
    four = [*four, (query.node_id, ("127.3.3.3", 7)), (b"z" * 20, ("0.0.0.0", 7)), (b"p" * 20, ("127.3.3.4", 0))]
    nodes, nodes6 = (b"".join(i + packed([p]) for i, p in some) for some in (four, six))
    found = listing(talk.receive(reply(query, nodes=nodes + b"cut", nodes6=nodes6), 1))
    right = [(a, p, i) for i, (a, p) in [*four, *six] if p and a not in ("0.0.0.0", "::") and i != query.node_id]
    assert list(found.nodes) == right
    assert found.listed == ()


@pytest.mark.parametrize(
    "data",
    [
        b"", b"d", b"d1:t" * 900, b"l" * 3000, b"d1:rd2:id" + b"9" * 3000, b"i" + b"1" * 3000,
        bencoded({b"t": b"\0\0\0\0", b"y": b"r", b"r": {b"id": NODE, b"values": [b"\x7f\x42\x06\x06\0\1"]}}),
    ],
)  # fmt: skip
def test_what_is_no_answer_is_dropped_and_ends_nothing(data: bytes) -> None:
    talk, query = get_peers()
    assert talk.receive(data, 1) == []
    assert (
        talk.receive(
            reply(query, values=[b"\x7f\x42\x06\x06\0\1"])[:-1] + b"0:" + bencoded(b"x" * MAX_DATAGRAM) + b"e", 1
        )
        == []
    )
    found = listing(talk.receive(reply(query, values=[packed([("127.10.0.1", 7)])]), 2))
    assert [e.address for e in found.listed] == ["127.10.0.1"]


def test_queries_are_never_answered() -> None:
    talk, query = get_peers()
    for name in (b"ping", b"find_node", b"get_peers", b"announce_peer"):
        ask = {b"t": query.transaction, b"y": b"q", b"q": name, b"a": {b"id": NODE}}
        assert talk.receive(bencoded(ask), 1) == []
    events = talk.closed(2)
    assert listing(events).missing == Missing(
        Reason.UNREADABLE, "node: closed before it answered; datagrams that are no answer: 4"
    )


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({b"y": b"e", b"e": [203, b"Protocol Error"]}, Reason.REFUSED),
        ({b"y": b"e", b"e": 7}, Reason.REFUSED),
        ({b"y": b"e"}, Reason.REFUSED),
        ({b"y": b"r", b"r": [1]}, Reason.UNPARSABLE),
        ({b"y": b"r"}, Reason.UNPARSABLE),
        ({b"y": b"r", b"r": {b"id": b"short"}}, Reason.UNPARSABLE),
    ],
)
def test_errors_and_replies_that_are_none(fields: dict[bytes, Any], reason: Reason) -> None:
    talk, query = get_peers()
    missing = listing(talk.receive(bencoded({b"t": query.transaction, **fields}), 1)).missing
    assert missing is not None
    assert missing.reason is reason


def test_content_in_unknown_fields_is_not_kept() -> None:
    talk, query = get_peers()
    canary = b"CANARY-BYTES" * 20
    data = reply(query, values=[packed([("127.10.0.1", 7)])], token=canary, **{canary.decode(): canary, "x": canary})
    (end,) = talk.receive(data, 1)
    assert isinstance(end, Sighted)
    assert b"CANARY" not in end.transcript
    (one,) = listing([end]).listed
    assert b"CANARY" not in listing([end]).proof(one)


# gossip ---------------------------------------------------------------------------------------------------------------


def contact(*, gossip: bool = True, hold: int = 120) -> Conversation:
    target = Target("W-1", INFOHASH, (INFOHASH,), PEER_ID, 12, range(2, 9), gossip=gossip)
    talk = PLUGIN.contact(target, Limits(hold_ns=hold * SECOND), "tcp", ENTROPY)
    talk.opened(0)
    return talk


def test_one_address_has_one_form_and_no_zone() -> None:
    """Otherwise an endpoint listed in several would be called that many times, and an IPv4 one as if it were none."""
    mapped = ipaddress.ip_address("::ffff:127.10.0.1").packed + b"\x1a\xe1"
    words = [{b"ip": ip, b"port": 6881} for ip in (b"::ffff:127.10.0.1", b"::1%one", b"2001:DB8::1")]
    whole = bencoded({b"peers": words, b"peers6": mapped})
    found, unusable = endpoints(bencode.dictionary(whole), whole)
    assert [(e.address, e.port) for e in found] == [("127.10.0.1", 6881), ("2001:db8::1", 6881), ("127.10.0.1", 6881)]
    assert unusable == 1


HELLO = PROTOCOL + MODERN + INFOHASH + b"-TR3000-abcdefghijkl"
OFFER, FIELD = message(20, b"\0d1:md6:ut_pexi7eee"), message(5, b"\xff\xf0")


def told(**fields: Any) -> bytes:
    return message(20, b"\x01" + bencoded({k.replace("_", ".").encode(): v for k, v in fields.items()}))


def end(events: list[Event]) -> tuple[Contact, bytes]:
    assert isinstance(events[-1], Sighted)
    assert isinstance(events[-1].finding, Contact)
    return events[-1].finding, events[-1].transcript


@FEW
@given(st.lists(PEER, max_size=20, unique_by=lambda p: p[0]), st.lists(PEER6, max_size=20, unique_by=lambda p: p[0]))
def test_gossip_is_read_as_written(four: list[tuple[str, int]], six: list[tuple[str, int]]) -> None:
    talk = contact()
    assert sent(talk.receive(HELLO, 1))[0].encode() == bytes.fromhex("000000141400") + b"d1:md6:ut_pexi1eee"
    assert talk.receive(OFFER + FIELD, 2) == []
    assert talk.tick(100 * SECOND) == [], "it stays"
    data = told(added=packed(four), added_f=bytes(len(four)), added6=packed(six), dropped=packed([("127.66.6.6", 6)]))
    found, transcript = end(talk.receive(data, 101 * SECOND))
    assert (found.claim, found.missing) == (Claim.WATCHED_FILE, None)
    assert found.gossip is not None
    assert [(e.address, e.port) for e in found.gossip.listed] == usable(four) + usable(six)
    assert found.gossip.unusable == sum(not port for _, port in four + six)
    assert packed([("127.66.6.6", 6)]) not in transcript
    for one in found.gossip.listed[:2]:
        only_one_is_told(found.gossip.proof(one), (one.address, one.port), [*four, *six, ("127.66.6.6", 6)])
        assert packed([(one.address, one.port)]) not in transcript
    assert PLUGIN.describe(transcript, {})


def test_without_gossip_a_peer_that_sends_it_is_left() -> None:
    talk = contact(gossip=False)
    talk.receive(HELLO + OFFER, 1)
    found, _ = end(talk.receive(told(added=b""), 2))
    assert found.missing is not None
    assert found.missing.reason is Reason.REFUSED
    assert found.gossip is None


@pytest.mark.parametrize("kind", [2, 3, 7, 255])
def test_what_was_not_offered_is_never_held(kind: int) -> None:
    talk = contact()
    talk.receive(HELLO + OFFER + FIELD, 1)
    found, transcript = end(talk.receive(message(20, bytes([kind]) + b"CANARY" * 100)[:11], 2))
    assert found.missing is not None
    assert found.missing.reason is Reason.REFUSED
    assert b"CANARY" not in transcript
    assert talk.held == 0


def test_gossip_that_never_comes_or_was_never_offered_is_missing() -> None:
    talk = contact()
    talk.receive(HELLO + OFFER + FIELD, 1)
    late, _ = end(talk.tick(120 * SECOND))
    assert (late.missing, late.claim) == (None, Claim.WATCHED_FILE)
    assert late.gossip == Listing(missing=Missing(Reason.LIMIT_REACHED, "the peer told of nobody while we were there"))
    talk = contact()
    talk.receive(HELLO, 1)
    never, _ = end(talk.receive(message(20, EXTENSION) + FIELD, 2))
    assert never.gossip is not None
    assert never.gossip.missing is not None
    assert never.gossip.missing.reason is Reason.NOT_APPLICABLE


def test_much_gossip_is_bounded_and_counted() -> None:
    peers = [(f"127.{n % 200}.{n // 200}.9", 1 + n) for n in range(MOST + 50)]
    talk = contact()
    talk.receive(HELLO + OFFER + FIELD, 1)
    found, _ = end(talk.receive(told(added=packed(peers), added6=7), 2))
    assert found.gossip is not None
    assert len(found.gossip.listed) == MOST
    assert found.gossip.unusable == 50 + 1
    talk = contact()
    talk.receive(HELLO + OFFER + FIELD, 1)
    large, _ = end(talk.receive(told(added=packed(peers * 6)), 2))
    assert large.missing is not None
    assert large.missing.reason is Reason.TOO_LARGE


def test_gossip_before_the_bitfield_does_not_keep_us() -> None:
    talk = contact()
    talk.receive(HELLO + OFFER + told(added=b""), 1)
    assert talk.wake_ns <= 2 * SECOND
    talk = contact()
    talk.receive(HELLO + OFFER + told(added=b"") + told(added=packed([("127.4.4.4", 4)])), 1)
    found, _ = end(talk.receive(FIELD, 2))
    assert found.gossip == Listing()
    assert found.claim is Claim.WATCHED_FILE


def test_broken_gossip_costs_the_gossip_alone() -> None:
    talk = contact()
    talk.receive(HELLO + OFFER + FIELD, 1)
    found, _ = end(talk.receive(message(20, b"\x01d5:added" + b"9" * 50), 2))
    assert found.gossip is not None
    assert found.gossip.missing is not None
    assert found.gossip.missing.reason is Reason.UNPARSABLE
    assert (found.claim, found.missing) == (Claim.WATCHED_FILE, None)


# all of them ----------------------------------------------------------------------------------------------------------

ANYTHING = st.recursive(
    st.binary(max_size=30) | st.integers(-9, 99),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.binary(max_size=6), inner, max_size=4),
    max_leaves=12,
)
KEYS = st.sampled_from([b"id", b"values", b"nodes", b"nodes6", b"token", b"added", b"added6", b"added.f", b"dropped"])


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(["udp", "dht", "gossip"]),
    st.lists(st.binary(max_size=90) | st.dictionaries(KEYS, ANYTHING), max_size=5),
    st.booleans(),
)
def test_whatever_is_told_only_the_closed_set_goes_out_and_it_ends(kind: str, parts: list[Any], whole: bool) -> None:
    if kind == "gossip":
        talk: Conversation = contact()
        events = talk.receive(HELLO + OFFER, 1)
    elif kind == "dht":
        talk, query = get_peers()
        events = []
    else:
        talk, announce = connected()
        events = []
    for number, part in enumerate(parts, 2):
        if kind == "dht":
            body = {b"id": NODE} | part if whole and isinstance(part, dict) else part
            data = bencoded({b"t": query.transaction, b"y": b"r", b"r": body})
        elif kind == "gossip":
            data = message(20, b"\x01" + (part if isinstance(part, bytes) else bencoded(part)))
        else:
            data = answer(announce, part if isinstance(part, bytes) else bencoded(part))
        events += talk.receive(data, number)
        assert talk.held <= 9000
    for _ in range(4):
        events += talk.tick(max(talk.wake_ns, 10))
    assert [type(e) for e in events].count(Sighted) == 1
    assert {type(m) for m in sent(events)} <= set(PLUGIN.sendable)
    last = events[-1]
    assert isinstance(last, Sighted)
    PLUGIN.describe(last.transcript, {})
    found = last.finding.gossip if isinstance(last.finding, Contact) else last.finding
    for one in found.listed if found else ():
        assert one.port
        PLUGIN.describe(found.proof(one), {})


def test_trackers_of_all_kinds_by_their_addresses() -> None:
    six = PLUGIN.tracker("http://[::1]:80/a")
    assert (six.host, six.port, six.transport) == ("::1", 80, "tcp")
    talk = PLUGIN.ask(Ask(six, "W-1", INFOHASH, "stopped", PEER_ID, 9, 1), LIMITS, ENTROPY)
    assert b"\r\nHost: [::1]\r\n" in sent(talk.opened(0))[0].encode()
    udp = PLUGIN.tracker("udp://tracker.example:80/announce")
    assert (udp.host, udp.port, udp.path, udp.transport) == ("tracker.example", 80, "/announce", "udp")


def test_a_v2_infohash_is_cut_for_the_wire_and_is_its_v1_s_twin() -> None:
    hybrid = watch.from_body(watch_body(infohash_v2="cd" * 32))
    alone = watch.from_body(watch_body(infohash_v1=None, infohash_v2="cd" * 32))
    assert infohashes(hybrid) == [(hybrid.infohash_v1, False), (b"\xcd" * 20, True)]
    assert infohashes(alone) == [(b"\xcd" * 20, True)]


def test_the_transcript_of_a_question_names_nobody_and_reads_well() -> None:
    talk, announce = connected()
    (done,) = talk.receive(answer(announce, packed([("127.10.0.1", 7), ("127.10.0.2", 8)])), 2)
    assert isinstance(done, Sighted)
    kinds = [each.kind for each in decode(done.transcript)]
    assert kinds[:3] == [Kind.ENTROPY, Kind.SENT, Kind.RECEIVED]
    assert INFOHASH not in done.transcript
    assert socket.inet_aton("127.10.0.1") not in done.transcript
    lines = "\n".join(PLUGIN.describe(done.transcript, {}))
    assert "event stopped" in lines
    assert "path /announce" in lines
    assert "left 4096, port 9, at most 200 endpoints" in lines
    assert "3 leechers, 4 seeders" in lines
