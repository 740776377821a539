"""UDP trackers: what they are asked (BEP 15, BEP 41), and what is read of their replies."""

import socket

import pytest
from discovery_talk import (
    ENTROPY,
    FEW,
    INFOHASH,
    LIMITS,
    PEER,
    PEER6,
    PEER_ID,
    answer,
    connected,
    listing,
    only_one_is_told,
    packed,
    question,
    sent,
    usable,
)
from hypothesis import given
from hypothesis import strategies as st

from clew.model import Missing, Reason
from clew.observe.api import SECOND, Ask, Limits, Send, Sighted
from clew.observe.networks._udp_messages import UdpAnnounce, UdpConnect
from clew.observe.networks.bittorrent import PLUGIN
from clew.observe.transcript import Kind, decode


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
