"""Captures made to harm: nothing is believed, nothing grows, and what was not read is said."""

import io
import struct
import tracemalloc
from typing import Any
from urllib.parse import quote_from_bytes

import pytest
from capture_files import (
    ACK,
    ALL,
    INFOHASH,
    OURS,
    START,
    SYN,
    THEIRS,
    A,
    B,
    Flow,
    UtpFlow,
    block,
    hello,
    leech_and_seed,
    message,
    pcap,
    pcapng,
    tcp,
    udp,
    utp,
)
from capture_read import READERS, WATCHED, read
from hypothesis import given, settings
from hypothesis import strategies as st

from clew.model import Missing
from clew.observe.captures import _datagrams, _dissect, _flows, _streams, _utp
from clew.observe.captures._announce import NO_WATCH, NOT_READ
from clew.observe.captures._flows import TcpFlows
from clew.observe.captures._packets import Packet
from clew.observe.captures._utp import UtpFlows
from clew.observe.taken import Account, Watchlist


def flaw(data: bytes) -> str:
    found, account = read(data)
    assert not found
    return "; ".join(map(str, account.flaws))


def test_lengths_that_cannot_be() -> None:
    head = pcap([])
    assert "record of 4294967295 bytes" in flaw(head + struct.pack("<IIII", 1, 0, 2**32 - 1, 2**32 - 1))
    assert "cut short within a record" in flaw(head + struct.pack("<IIII", 1, 0, 2**18, 2**18) + b"x")
    assert "cut short within a record" in flaw(head + b"\0\0\0")
    begun = pcapng([])[:28]
    for total, words in (
        (0, "a block of 0 bytes"),
        (8, "a block of 8 bytes"),
        (13, "13 bytes"),
    ):
        assert words in flaw(begun + struct.pack("<II", 6, total) + bytes(40)), total
    assert "block of 67108864 bytes" in flaw(begun + struct.pack("<II", 6, 1 << 26) + bytes(64))
    assert "cut short" in flaw(begun + struct.pack("<II", 9, 2**32 - 4) + bytes(40))
    assert "two lengths" in flaw(begun + struct.pack("<II", 9, 16) + bytes(8))


def test_a_block_that_is_passed_over_is_never_held() -> None:
    """16 MB of a kind that nobody reads."""
    data = io.BytesIO(
        pcapng([])[:28] + struct.pack("<II", 77, 12 + (16 << 20)) + bytes(16 << 20) + struct.pack("<I", 12 + (16 << 20))
    )
    account = Account()
    tracemalloc.start()
    assert not list(READERS["pcapng"].read(data, Watchlist([WATCHED]), account))
    assert tracemalloc.get_traced_memory()[1] < 2 << 20
    tracemalloc.stop()
    assert not account.flaws


def test_interfaces_that_are_not_there_or_too_many() -> None:
    section = pcapng([])[:28]
    packet = block("<", 6, struct.pack("<IIIII", 3, 0, 1, 0, 0))
    assert "an interface that are not there" in flaw(section + packet)
    assert "one too many" in flaw(section + block("<", 1, bytes(8)) * 5_000)
    assert "described wrongly" in flaw(section + block("<", 1, bytes(4)))


def test_a_new_section_forgets_the_interfaces_of_the_one_before() -> None:
    little = pcapng(leech_and_seed(Flow(A, B)).packets)
    big = pcapng(leech_and_seed(Flow(A, B, at_ns=START + 10**12, isn=(7, 8))).packets, order=">", link=1)
    found, account = read(little + big)
    assert len(found) == 4
    assert not account.flaws


def test_frames_without_a_time_are_counted_and_not_used() -> None:
    packets = [(0, packet) for _, packet in leech_and_seed(Flow(A, B)).packets]
    for data in (pcap(packets), pcapng(packets)):
        found, account = read(data)
        assert not found
        assert account.counts["frames with a time that is none"] == len(packets)
    simple = pcapng([]) + b"".join(
        block("<", 3, struct.pack("<I", len(p)) + p + bytes(-len(p) % 4)) for _, p in leech_and_seed(Flow(A, B)).packets
    )
    found, account = read(simple)
    assert not found
    assert account.counts["frames without a time"] == len(packets)


def test_a_clock_of_any_resolution_and_offset_is_bounded() -> None:
    for option in (
        struct.pack("<HHBxxx", 9, 1, 0xFF),
        struct.pack("<HHq", 14, 8, -(2**63)),
        struct.pack("<HHB", 9, 1, 127) + bytes(3),
    ):
        section = pcapng([])[:28] + block("<", 1, struct.pack("<HHI", 101, 0, 0) + option)
        for ticks in (0, 1, 2**64 - 1):
            head = struct.pack("<IIIII", 0, ticks >> 32, ticks & 0xFFFFFFFF, 0, 0)
            assert not read(section + block("<", 6, head))[0]


def test_what_the_capturer_lost_is_told() -> None:
    drops = block("<", 5, struct.pack("<III", 0, 0, 0) + struct.pack("<HHQ", 5, 8, 77) + struct.pack("<HH", 0, 0))
    assert read(pcapng([]) + drops)[1].counts["frames that the capture's maker says it lost"] == 77


@pytest.mark.parametrize("carrier", ["tcp", "utp"])
def test_a_flood_of_flows_is_bounded_and_counted(monkeypatch: pytest.MonkeyPatch, carrier: str) -> None:
    """One watched flow goes on under it: it is heard, because it is not the one longest silent."""
    for module in (_flows, _utp):
        monkeypatch.setattr(module, "MAX_FLOWS", 50)
    watched = leech_and_seed((Flow if carrier == "tcp" else UtpFlow)(A, B))
    packets = []
    for number, packet in enumerate(watched.packets):
        packets.append(packet)
        for at in range(20):
            there = (f"10.0.{number % 250}.{at + 1}", 5_000)
            data = tcp(there, B, 1, SYN) if carrier == "tcp" else udp(there, B, utp(4, 9, 1, 0))
            packets.append((packet[0], data))
    found, account = read(pcap(packets))
    assert {f.address for f in found} == {A[0], B[0]}
    assert account.counts["TCP flows" if carrier == "tcp" else "uTP flows"] == 1 + 20 * len(watched.packets)


def test_who_is_put_out_by_a_flood_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_flows, "MAX_FLOWS", 3)
    flow = Flow(A, B).say(0, hello(INFOHASH, OURS)).say(1, hello(INFOHASH, THEIRS))
    flood = [(flow.at_ns, tcp((f"10.0.0.{n}", 1), B, 1, SYN)) for n in range(1, 9)]
    found, _ = read(pcap([*flow.packets, *flood]))
    assert [str(f.contact.missing) for f in found if f.contact] == [str(_streams.DROPPED)] * 2


def test_findings_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_dissect, "MOST_FINDINGS", 3)
    packets = [
        p for n in range(4) for p in leech_and_seed(Flow((A[0], 50_000 + n), B, at_ns=START + n * 10**9)).packets
    ]
    found, account = read(pcap(packets))
    assert len(found) == 3
    assert "more findings in one file" in str(account.flaws[0])


def test_questions_without_answers_are_forgotten_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_datagrams, "MAX_OPEN", 2)
    query = b"d1:ad2:id20:" + OURS + b"9:info_hash20:" + INFOHASH + b"e1:q9:get_peers1:t2:%b1:y1:qe"
    packets = [(START + n, udp(A, ("127.2.0.1", 7_000), query % b"%02d" % n)) for n in range(5)]
    assert read(pcap(packets))[1].counts["questions for Watches whose answer was waited for no longer"] == 3


def test_what_waits_for_missing_bytes_is_bounded() -> None:
    flow = Flow(A, B).say(0, hello(INFOHASH, OURS)).say(1, hello(INFOHASH, THEIRS))
    flow.sequence[1] += 1
    flow.say(1, bytes(2 * _streams.MAX_AHEAD))
    found, account = read(pcap(flow.packets))
    assert account.counts["directions of a flow that break off at a gap"] == 1
    assert account.counts["bytes left aside"] > 0
    assert len(found) == 2


def test_a_peer_that_never_stops_is_held_to_the_limits_of_a_contact() -> None:
    flow = Flow(A, B).say(0, hello(INFOHASH, OURS) + message(2) * 20_000).say(1, hello(INFOHASH, THEIRS) + ALL).close()
    found, _ = read(pcap(flow.packets))
    ours = next(f for f in found if f.address == A[0])
    assert ours.contact is not None
    assert "more messages than one contact may send" in str(ours.contact.missing)
    assert len(ours.transcript) < 300_000


def test_headers_of_ipv6_that_go_round_in_circles_end() -> None:
    chain = struct.pack("!BB6x", 0, 0) * 2_000
    packet = struct.pack("!IHBB", 6 << 28, len(chain), 0, 64) + bytes(32) + chain
    assert read(pcap([(START, packet)]))[1].counts["packets of other protocols"] == 1


def test_what_a_dictionary_of_the_dht_may_be() -> None:
    for data in (b"d" + b"l" * 30_000 + b"e", b"d1:rd6:valuesd1:a1:bee1:t2:xy1:y1:re", b"de", b"d1:t2:xy1:y1:re"):
        assert not read(pcap([(START, udp(A, B, data))]))[0]


class Heard:
    """A Talk that keeps what it is told."""

    def __init__(self) -> None:
        self.said = [bytearray(), bytearray()]
        self.gaps: list[int] = []
        self.over = False

    def data(self, side: int, data: bytes, at_ns: int) -> None:
        assert side not in self.gaps, "nothing comes after a gap"
        self.said[side] += data

    def gap(self, side: int, why: Missing, at_ns: int) -> None:
        self.gaps.append(side)

    def closed(self, at_ns: int, why: Missing | None) -> None:
        self.over = True


def segment(sequence: int, data: bytes, flags: int = ACK) -> Packet:
    return Packet(START, 6, b"\x7f\0\0\1", 1, b"\x7f\0\0\2", 2, data, 0, sequence % 2**32, flags)


@settings(max_examples=300)
@given(st.data())
def test_tcp_whatever_comes_when_a_stream_is_a_beginning_of_what_was_said(data: Any) -> None:
    """Segments of one stream in any order, cut and repeated in any way: never a byte that is not at its place."""
    isn = data.draw(st.sampled_from((0, 77, 2**32 - 20)))
    said = bytes(range(256))[: data.draw(st.integers(1, 200))]
    pieces = data.draw(st.lists(st.tuples(st.integers(0, len(said) - 1), st.integers(1, 60)), max_size=20))
    heard = Heard()
    flows = TcpFlows(lambda ends: heard, Account())
    flows.segment(segment(isn, b"", SYN))
    covered = 0
    for at, size in pieces:
        flows.segment(segment(isn + 1 + at, said[at : at + size]))
    flows.finish()
    assert said.startswith(bytes(heard.said[0]))
    while spans := [at + size for at, size in pieces if at <= covered < min(at + size, len(said))]:
        covered = min(max(spans), len(said))
    assert len(heard.said[0]) == covered, "all that is there without a gap is heard"
    assert not heard.said[1]


def test_tcp_an_early_segment_that_is_sent_again_with_more_behind_it_is_heard_whole() -> None:
    """A sender may put together into one segment what was not acknowledged in several."""
    heard = Heard()
    flows = TcpFlows(lambda ends: heard, Account())
    flows.segment(segment(10, b"", SYN))
    for sequence, data in ((12, b"b"), (12, b"bc"), (15, b"e"), (12, b"bcd"), (12, b""), (11, b"a")):
        flows.segment(segment(sequence, data))
    flows.finish()
    assert (bytes(heard.said[0]), heard.gaps) == (b"abcde", [])


@settings(max_examples=300)
@given(st.data())
def test_utp_whatever_comes_when_a_stream_is_a_beginning_of_what_was_said(data: Any) -> None:
    start = data.draw(st.sampled_from((1, 500, 65_530)))
    said = [bytes([n]) * 3 for n in range(data.draw(st.integers(1, 20)))]
    order = data.draw(st.lists(st.integers(0, len(said) - 1), max_size=40))
    heard = Heard()
    flows = UtpFlows(lambda ends: heard, Account())

    def send(kind: int, connection: int, number: int, payload: bytes = b"") -> None:
        raw = utp(kind, connection, number % 65_536, 0, payload)
        flows.take(Packet(START, 17, b"\x7f\0\0\1", 1, b"\x7f\0\0\2", 2, raw, 0))

    send(4, 9, start)
    for number in order:
        send(0, 10, start + 1 + number, said[number])
    flows.finish()
    whole = next(n for n in range(len(said) + 1) if n == len(said) or n not in order)
    assert bytes(heard.said[0]) == b"".join(said[:whole])


@settings(max_examples=200)
@given(st.lists(st.tuples(st.integers(0, 255), st.binary(max_size=60)), max_size=20))
def test_any_datagram_and_any_segment_ends_well(parts: list[tuple[int, bytes]]) -> None:
    """Packets that begin like one of each kind and go on as anything."""
    begin = [
        utp(0, 7, 1, 1),
        utp(4, 7, 1, 1),
        utp(3, 7, 1, 1),
        b"d1:rd6:values",
        bytes(8) + b"\0\0\0\1",
        b"\0\0\0\1TRAN",
        b"",
    ]
    packets = [(START + n, udp(A, B, begin[kind % len(begin)] + data)) for n, (kind, data) in enumerate(parts)]
    packets += [(START + n, tcp(A, B, kind, kind, data)) for n, (kind, data) in enumerate(parts)]
    read(pcap(packets))


def http_request(infohash: bytes, junk: bytes) -> bytes:
    head = b"GET /a?info_hash=" + quote_from_bytes(infohash).encode() + b"&port=7 HTTP/1.1\r\nX: "
    return head + junk.replace(b"\n", b"") + b"\r\n\r\n"


def http_reply(number: int) -> bytes:
    body = b"d5:peers6:" + bytes((127, 10, 0, number, 0, 9)) + b"e"
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body


@given(st.lists(st.tuples(st.sampled_from("wor"), st.binary(max_size=5)), max_size=12), st.integers(1, 300))
def test_of_any_order_of_requests_and_replies_only_what_is_sure_to_be_for_a_watch_is_read(
    turns: list[tuple[str, bytes]], size: int
) -> None:
    """w and o ask for a Watch and for another torrent, r replies: to the one request before it, or to none."""
    turns, flow = [("o", b""), *turns], Flow(A, B)
    expected: list[tuple[str, int]] = []
    asked, answered, sure = "", True, True
    for number, (turn, junk) in enumerate(turns):
        if turn == "r":
            flow.say(1, http_reply(number), size)
            if asked == "w" and sure and not answered:
                expected.append((f"127.10.0.{number}", 9))
            answered = True
            continue
        flow.say(0, http_request(INFOHASH if turn == "w" else bytes(20), junk), size)
        sure, asked, answered = sure and answered, turn, False
        if turn == "w":
            expected.append((A[0], 7))
    found, account = read(pcap(flow.close().packets))
    assert [(each.address, each.port) for each in found] == expected
    assert account.counts[NO_WATCH] == (not expected)


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 7), st.binary(max_size=30)), max_size=15))
def test_any_talk_that_begins_like_one_with_a_tracker_ends_well(parts: list[tuple[int, int, bytes]]) -> None:
    begin = [
        http_request(INFOHASH, b""),
        b"GET ",
        b"POST /",
        b"HTTP/1.1 200",
        http_reply(1),
        b"\r\n",
        b"a" * 5_000,
        b"",
    ]
    flow = Flow(A, B).say(0, http_request(bytes(20), b""))
    for side, kind, junk in parts:
        flow.say(side, begin[kind] + junk)
    read(pcap(flow.close().packets))


def test_a_head_without_an_end_is_not_held() -> None:
    flow = Flow(A, B).say(0, http_request(INFOHASH, b"")[:-2])
    for _ in range(80):
        flow.say(0, b"X: " + bytes(1_000) + b"\r\n")
    found, account = read(pcap(flow.say(0, b"\r\n" + http_request(INFOHASH, b"")).close().packets))
    assert len(found) == account.counts[NOT_READ] == 1
