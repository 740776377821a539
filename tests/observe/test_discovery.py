"""Who tells of endpoints: UDP trackers, nodes of the DHT, gossip; all of them against whatever may come."""

import ipaddress
from typing import Any

import pytest
from discovery_talk import (
    ENTROPY,
    HELLO,
    INFOHASH,
    LIMITS,
    NODE,
    OFFER,
    PEER_ID,
    answer,
    bencoded,
    connected,
    contact,
    get_peers,
    listing,
    question,
    sent,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from observe_case import watch_body
from observe_stage import message

from clew.core import bencode, watch
from clew.model import Missing, Reason
from clew.observe.announces import infohashes
from clew.observe.api import Ask, Contact, Conversation, Sighted
from clew.observe.networks._tracker import endpoints
from clew.observe.networks.bittorrent import PLUGIN


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
def test_one_address_has_one_form_and_no_zone() -> None:
    """Otherwise an endpoint listed in several would be called that many times, and an IPv4 one as if it were none."""
    mapped = ipaddress.ip_address("::ffff:127.10.0.1").packed + b"\x1a\xe1"
    words = [{b"ip": ip, b"port": 6881} for ip in (b"::ffff:127.10.0.1", b"::1%one", b"2001:DB8::1")]
    whole = bencoded({b"peers": words, b"peers6": mapped})
    found, unusable = endpoints(bencode.dictionary(whole), whole)
    assert [(e.address, e.port) for e in found] == [("127.10.0.1", 6881), ("2001:db8::1", 6881), ("127.10.0.1", 6881)]
    assert unusable == 1


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


@pytest.mark.parametrize(
    ("told", "seconds"),
    [
        (b"5:never", 86_400), (b"i180e", 10_800), (b"3:180", 10_800), (b"i999999999e", 86_400),
        (b"i0e", None), (b"i-5e", None), (b"4:soon", None), (b"le", None), (b"3:\xb2\xb2\xb2", None),
    ],
)  # fmt: skip
def test_who_refuses_tells_when_to_ask_again(told: bytes, seconds: int | None) -> None:
    """BEP 31: a web server at the address of a tracker that is gone says "never"."""
    six = PLUGIN.tracker("http://127.1.0.1:80/a")
    talk = PLUGIN.ask(Ask(six, "W-1", INFOHASH, "stopped", PEER_ID, 9, 1), LIMITS, ENTROPY)
    talk.opened(0)
    body = b"d14:failure reason13:not a tracker8:retry in" + told + b"e"
    found = listing(talk.receive(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body), 1))
    assert found.missing == Missing(Reason.REFUSED, "tracker: not a tracker")
    assert found.interval == seconds


def test_a_v2_infohash_is_cut_for_the_wire_and_is_its_v1_s_twin() -> None:
    hybrid = watch.from_body(watch_body(infohash_v2="cd" * 32))
    alone = watch.from_body(watch_body(infohash_v1=None, infohash_v2="cd" * 32))
    assert infohashes(hybrid) == [(hybrid.infohash_v1, False), (b"\xcd" * 20, True)]
    assert infohashes(alone) == [(b"\xcd" * 20, True)]
