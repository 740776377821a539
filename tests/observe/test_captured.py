"""Captures of others: what is read of the flows of a Watch, and that nothing else is."""

import io
import itertools
import random
from typing import Any
from urllib.parse import quote_from_bytes

import pytest
from capture_files import (
    ACK,
    ALL,
    CANARY,
    FIN,
    INFOHASH,
    MS,
    OURS,
    START,
    SYN,
    THEIRS,
    A,
    B,
    C,
    Flow,
    UtpFlow,
    ethernet,
    hello,
    ip,
    leech_and_seed,
    message,
    pcap,
    pcapng,
    piece,
    pppoe,
    udp,
)

from clew.core import plugins
from clew.model import Claim, Reason
from clew.observe.captures._announce import NO_WATCH, NO_WATCH_SO_FAR, NOT_READ, TOGETHER
from clew.observe.networks.bittorrent import PLUGIN as BITTORRENT
from clew.observe.taken import Account, Finding, Watched, Watchlist
from clew.observe.transcript import decode

TWIN, OTHER = b"\x52" * 20, b"\x53" * 20
WATCHED = Watched("1" * 32, "W-1", (INFOHASH, TWIN), (TWIN + bytes(12),), 20, range(5, 15))
READERS = plugins.load_all("clew.observe.captures")


def read(data: bytes, *watched: Watched) -> tuple[list[Finding], Account]:
    plugin = next(each for each in READERS.values() if each.recognises(data[:4096]))
    account = Account()
    found = list(plugin.read(io.BytesIO(data), Watchlist(watched or (WATCHED,)), account))
    return found, account


def summary(found: list[Finding]) -> list[tuple[Any, ...]]:
    return [
        (f.address, f.port, f.transport, f.contact.claim, f.contact.pieces_claimed, f.contact.peer_id, f.returned)
        for f in found
        if f.contact is not None
    ]


def expected(carrier: str) -> list[tuple[Any, ...]]:
    return [
        (*A, carrier, Claim.WATCHED_FILE, 6, OURS, True),
        (*B, carrier, Claim.WATCHED_FILE, 20, THEIRS, True),
    ]


FILES = [
    pytest.param(lambda p: pcap(p, order="<"), id="pcap little-endian"),
    pytest.param(lambda p: pcap(p, order=">", nano=True), id="pcap big-endian, nanoseconds"),
    pytest.param(lambda p: pcapng(p, order="<"), id="pcapng little-endian"),
    pytest.param(lambda p: pcapng(p, order=">", resolution=9), id="pcapng big-endian, nanoseconds"),
    pytest.param(lambda p: pcapng(p, old=True), id="pcapng, obsolete packet blocks"),
    *(
        pytest.param(lambda p, link=link: pcap(p, link=link), id=f"link type {link}")
        for link in (0, 1, 9, 50, 51, 101, 108, 113, 276)
    ),
]


@pytest.mark.parametrize("make", FILES)
@pytest.mark.parametrize("kind", [Flow, UtpFlow, lambda a, b: UtpFlow(a, b, style=1)])
def test_both_sides_of_a_flow_are_heard_in_every_kind_of_file(make: Any, kind: Any) -> None:
    flow = leech_and_seed(kind(A, B))
    found, account = read(make(flow.packets))
    assert sorted(summary(found)) == sorted(expected("tcp" if kind is Flow else "utp"))
    assert not account.flaws
    assert min(f.started_ns for f in found) == START + 2 * MS


@pytest.mark.parametrize("kind", [Flow, UtpFlow])
def test_no_payload_is_kept_and_all_of_it_is_counted(kind: Any) -> None:
    found, account = read(pcap(leech_and_seed(kind(A, B)).packets))
    kept = b"".join(f.transcript for f in found)
    assert not any(CANARY[at : at + 8] in kept for at in range(0, len(CANARY), 8))
    assert account.counts["messages of watched flows left out: piece"] == 6 or account.counts["bytes left aside"] > 0
    said = next(f for f in found if f.address == A[0])
    lines = BITTORRENT.describe(said.transcript, {INFOHASH: "W-1"})
    assert sum("infohash W-1" in line for line in lines) == 2, "both handshakes stand in the transcript"
    assert any("extended message" in line and "left out" in line for line in lines)


def test_a_flow_of_no_watch_leaves_no_address_behind() -> None:
    packets = leech_and_seed(Flow(A, B)).packets
    other = Flow(C, B).say(0, hello(OTHER, OURS)).say(1, hello(OTHER, THEIRS) + ALL).close().packets
    noise = Flow(C, A).say(0, random.Random(1).randbytes(600)).say(1, random.Random(2).randbytes(600)).close().packets
    web = Flow(C, ("127.10.0.9", 80)).say(0, b"GET /?info_hash=%53%53 HTTP/1.1\r\n\r\n").close().packets
    found, account = read(pcap(sorted(packets + other + noise + web)))
    assert {f.address for f in found} == {A[0], B[0]}
    assert C[0] not in repr(found)
    assert account.counts["BitTorrent flows of torrents that are on no Watch"] == 1
    assert account.counts["flows of no protocol that is read (as encrypted ones are, MSE)"] == 1
    assert account.counts["HTTP flows that ask for no Watch"] == 1


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("kind", [Flow, UtpFlow])
def test_order_and_repetition_change_nothing(kind: Any, seed: int) -> None:
    chance = random.Random(seed)
    packets = leech_and_seed(kind(A, B)).packets
    begin, rest = packets[:3], packets[3:]
    for at in range(0, len(rest) - 4, 4):
        part = rest[at : at + 4]
        chance.shuffle(part)
        rest[at : at + 4] = part
    rest += [rest[chance.randrange(len(rest))] for _ in range(5)]
    mixed = [(START + n * MS, data) for n, (_, data) in enumerate(begin + rest)]
    found, _ = read(pcap(mixed))
    assert sorted(summary(found)) == sorted(expected("tcp" if kind is Flow else "utp"))


def test_overlapping_segments_the_first_bytes_hold() -> None:
    flow = Flow(A, B).say(0, hello(INFOHASH, OURS))
    said = hello(INFOHASH, THEIRS) + ALL
    flow.add(1, flow.sequence[1], ACK, said[:60])
    flow.add(1, flow.sequence[1] + 40, ACK, bytes(20) + said[60:])
    found, _ = read(pcap(flow.packets))
    assert summary(found)[-1] == (*B, "tcp", Claim.WATCHED_FILE, 20, THEIRS, True)


def lose(flow: Any, number: int) -> list[tuple[int, bytes]]:
    return [packet for at, packet in enumerate(flow.packets) if at != number]


@pytest.mark.parametrize("kind", [Flow, UtpFlow])
def test_a_gap_ends_its_direction_and_is_said(kind: Any) -> None:
    flow = kind(A, B).say(0, hello(INFOHASH, OURS)).say(1, hello(INFOHASH, THEIRS))
    lost = len(flow.packets)
    flow.say(1, message(4, bytes(4))).say(1, ALL).close()
    found, account = read(pcap(lose(flow, lost)))
    theirs = next(f for f in found if f.address == B[0])
    assert theirs.contact is not None
    assert theirs.contact.claim is Claim.NOTHING_SAID, "nothing behind the gap is read"
    assert theirs.contact.missing is not None
    assert theirs.contact.missing.reason is Reason.UNREADABLE
    assert "missing in the capture" in theirs.contact.missing.detail
    assert account.counts["directions of a flow that break off at a gap"] == 1


def test_one_direction_alone_shows_no_answer() -> None:
    flow = leech_and_seed(Flow(A, B))
    one_way = [packet for packet in flow.packets if packet[1][12:16] == bytes((127, 10, 0, 2))]
    found, _ = read(pcap(one_way))
    assert [(f.address, f.returned) for f in found] == [(B[0], False)]


def test_the_twin_counts_and_another_answer_does_not() -> None:
    flow = Flow(A, B).say(0, hello(INFOHASH, OURS)).say(1, hello(TWIN, THEIRS) + ALL).close()
    assert [s[-1] for s in summary(read(pcap(flow.packets))[0])] == [True, True]
    flow = Flow(A, B).say(0, hello(INFOHASH, OURS)).say(1, hello(OTHER, THEIRS) + ALL).close()
    found, account = read(pcap(flow.packets))
    assert [(f.address, f.returned) for f in found] == [(A[0], False)]
    assert account.counts["answers for another torrent than was asked for"] == 1
    assert OTHER not in b"".join(f.transcript for f in found)


def test_a_bitfield_that_cannot_be_is_no_claim() -> None:
    for wrong in (message(5, b"\xff\xff\xff"), message(5, b"\xff" * 4), message(4, (20).to_bytes(4, "big"))):
        flow = Flow(A, B).say(0, hello(INFOHASH, OURS)).say(1, hello(INFOHASH, THEIRS) + wrong).close()
        theirs = read(pcap(flow.packets))[0][-1].contact
        assert theirs is not None
        assert theirs.claim is Claim.NOTHING_SAID
        assert theirs.missing is not None


def test_reused_ports_are_two_flows() -> None:
    first = leech_and_seed(Flow(A, B))
    second = leech_and_seed(Flow(A, B, at_ns=first.at_ns, isn=(5_000, 9_000)))
    assert len(read(pcap(first.packets + second.packets))[0]) == 4


def test_a_flow_that_began_before_the_capture_is_still_heard_where_its_handshake_is_there() -> None:
    found, account = read(pcap(leech_and_seed(Flow(A, B)).packets[2:]))
    assert sorted(summary(found)) == sorted(expected("tcp"))
    assert account.counts["TCP flows whose beginning is not in the capture"] == 1
    assert {f.source for f in found} == {"in a flow"}


def test_ipv6_vlan_tags_fragments_and_cut_frames() -> None:
    a, b = ("fd00::1", 40_001), ("fd00::2", 6_881)
    found, _ = read(pcap(leech_and_seed(Flow(a, b)).packets))
    assert {f.address for f in found} == {"fd00::1", "fd00::2"}
    tagged = [(at, ethernet(packet, 0x88A8, 0x8100)) for at, packet in leech_and_seed(Flow(A, B)).packets]
    data = pcap([], link=1)
    for at, frame in tagged:
        data += pcap([(at, frame)], link=101)[24:]
    assert sorted(summary(read(data)[0])) == sorted(expected("tcp"))
    broken = [
        (START, ip("127.10.0.1", "127.10.0.2", 17, bytes(40), fragment=0x2000)),
        (START, ip("fd00::1", "fd00::2", 17, bytes(40), fragment=1)),
    ]
    assert read(pcap(broken))[1].counts["fragments of IP, not put together"] == 2


def framed(packets: list[tuple[int, bytes]], link: int, frame: Any) -> bytes:
    return pcap([], link=link) + b"".join(pcap([(at, frame(packet))])[24:] for at, packet in packets)


@pytest.mark.parametrize(
    ("link", "frame"),
    [
        pytest.param(
            1, lambda p: bytes(12) + b"\x81\x00\x00\x07\x88\x64" + pppoe(p), id="PPPoE in a VLAN, as DSL has it"
        ),
        pytest.param(276, lambda p: b"\x88\x64" + bytes(18) + pppoe(p), id="PPPoE, cooked"),
        pytest.param(113, lambda p: bytes(14) + b"\x81\x00" + ethernet(p, 5)[14:], id="VLAN, cooked"),
        pytest.param(276, lambda p: b"\x81\x00" + bytes(18) + ethernet(p, 5)[14:], id="VLAN, cooked, version 2"),
    ],
)
@pytest.mark.parametrize("ends", [(A, B), (("fd00::1", 40_001), ("fd00::2", 6_881))])
def test_what_a_line_or_gateway_has_around_ip_is_read(link: int, frame: Any, ends: Any) -> None:
    found, account = read(framed(leech_and_seed(Flow(*ends)).packets, link, frame))
    assert {(f.address, f.port) for f in found} == set(ends)
    assert not any("carry IP" in name for name in account.counts)


def test_what_is_around_ip_and_not_read_is_not_told_as_something_else() -> None:
    labels = bytes(12) + b"\x88\x47" + b"\x00\x01\x01\x40"
    _, account = read(framed(leech_and_seed(Flow(A, B)).packets, 1, lambda p: labels + p))
    assert account.counts["frames with MPLS labels, which are not read"] == account.counts["frames"] > 0
    others = [
        (START, b"\x88\x63" + bytes(20)),
        (START, b"\x88\x64" + bytes(6) + b"\xc0\x21" + bytes(8)),
        (START, b"\x88\x64"),
    ]
    _, account = read(framed(others, 1, lambda p: bytes(12) + p))
    assert account.counts["frames that do not carry IP"] == 3, "discovery and link control of PPPoE, and a cut one"


def cut_frames(packets: list[tuple[int, bytes]], size: int) -> bytes:
    """As a capture with a snapshot length has them."""
    data = pcap([])
    for at_ns, packet in packets:
        record = bytearray(pcap([(at_ns, packet)])[24:])
        record[8:12] = min(size, len(packet)).to_bytes(4, "little")
        data += bytes(record[: 16 + size])
    return data


def test_frames_that_were_cut_are_a_gap() -> None:
    flow = Flow(A, B).say(0, hello(INFOHASH, OURS)).say(1, hello(INFOHASH, THEIRS) + ALL + piece(0)).say(1, ALL).close()
    found, account = read(cut_frames(flow.packets, 40 + 68 + 8))
    assert summary(found)[-1] == (*B, "tcp", Claim.WATCHED_FILE, 20, THEIRS, True)
    assert account.counts["directions of a flow that break off at a gap"] == 1


def test_datagrams_that_were_cut_are_not_called_of_no_watch() -> None:
    query = b"d1:ad2:id20:" + bytes(20) + b"9:info_hash20:" + INFOHASH + b"e1:q9:get_peers1:t2:aa1:y1:qe"
    found, account = read(cut_frames([(START, udp(A, B, query))], 60))
    assert not found
    assert account.counts["datagrams that are cut off and may have been of a Watch"] == 1
    assert not account.counts["datagrams of other protocols, or of no Watch"]


def test_http_announces_and_replies() -> None:
    tracker = ("127.1.0.1", 6969)
    ask = (
        b"GET /announce?info_hash="
        + b"%51" * 20
        + b"&peer_id=%2dTR3000-aaaaaaaaaaaa&port=51413&left=0 HTTP/1.1\r\nHost: x\r\n\r\n"
    )
    listed = bytes((127, 10, 0, 7, 0x1A, 0xE1, 127, 10, 0, 8, 0x1A, 0xE2))
    body = b"d8:intervali60e5:peers12:" + listed + b"e"
    reply = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    found, account = read(pcap(Flow(A, tracker).say(0, ask, 30).say(1, reply, 30).close().packets))
    assert [(f.address, f.port, f.contact, f.source) for f in found] == [
        ("127.10.0.1", 51_413, None, "announced to http://127.1.0.1:6969"),
        ("127.10.0.7", 6_881, None, "listed by http://127.1.0.1:6969"),
        ("127.10.0.8", 6_882, None, "listed by http://127.1.0.1:6969"),
    ]
    assert account.counts["announces for Watches"] == 1
    kept = [f.transcript for f in found]
    assert not any(b"%51" in each or INFOHASH in each for each in kept), "an infohash stands in no listing's transcript"
    assert listed[:6] in kept[1]
    assert listed[6:] not in kept[1]


def test_udp_trackers() -> None:
    tracker = ("127.1.0.1", 6969)
    ask = (
        bytes(8)
        + (1).to_bytes(4, "big")
        + b"TRAN"
        + INFOHASH
        + OURS
        + bytes(24)
        + bytes(4)
        + bytes(4)
        + bytes(4)
        + b"\xff" * 4
        + (51_413).to_bytes(2, "big")
    )
    answer = (1).to_bytes(4, "big") + b"TRAN" + bytes(12) + bytes((127, 10, 0, 7, 0x1A, 0xE1)) + bytes(6)
    stray = (1).to_bytes(4, "big") + b"TRAX" + bytes(12) + bytes((127, 10, 0, 9, 0x1A, 0xE1))
    other = ask.replace(INFOHASH, OTHER).replace(b"TRAN", b"TROT")
    packets = [
        (START + n, udp(*pair))
        for n, pair in enumerate(
            [
                (A, tracker, ask),
                (tracker, A, stray),
                (tracker, A, answer),
                (tracker, A, answer),
                (A, tracker, other),
                (tracker, A, answer.replace(b"TRAN", b"TROT")),
            ]
        )
    ]
    found, account = read(pcap(packets))
    assert [(f.address, f.port, f.source) for f in found] == [
        ("127.10.0.1", 51_413, "announced to udp://127.1.0.1:6969"),
        ("127.10.0.7", 6_881, "listed by udp://127.1.0.1:6969"),
    ]
    assert account.counts["listed endpoints that are none, or have port 0"] == 1


def test_the_dht() -> None:
    node, six = ("127.2.0.1", 7_000), bytes((127, 10, 0, 7, 0x1A, 0xE1))
    query = b"d1:ad2:id20:" + OURS + b"9:info_hash20:" + INFOHASH + b"e1:q9:get_peers1:t2:xy1:y1:qe"
    answer = (
        b"d1:rd2:id20:"
        + THEIRS
        + b"5:nodes26:"
        + bytes(range(26))
        + b"5:token2:tk6:valuesl6:"
        + six
        + b"6:"
        + bytes((127, 10, 0, 8, 0x1A, 0xE2))
        + b"ee1:t2:xy1:y1:re"
    )
    announce = (
        b"d1:ad2:id20:"
        + OURS
        + b"12:implied_porti1e9:info_hash20:"
        + INFOHASH
        + b"4:porti9e5:token2:tke1:q13:announce_peer1:t2:xz1:y1:qe"
    )
    packets = [
        (START, udp(A, node, query)),
        (START + 1, udp(node, A, answer)),
        (START + 2, udp(A, node, announce)),
        (START + 3, udp(node, A, answer)),
    ]
    found, account = read(pcap(packets))
    assert [(f.address, f.port, f.source) for f in found] == [
        ("127.10.0.7", 6_881, "listed by dht://127.2.0.1:7000"),
        ("127.10.0.8", 6_882, "listed by dht://127.2.0.1:7000"),
        ("127.10.0.1", 40_001, "announced to dht://127.2.0.1:7000"),
    ]
    assert account.counts["searches in the DHT for Watches"] == 1
    assert six in found[0].transcript
    assert six not in found[1].transcript
    assert bytes(range(26)) not in b"".join(f.transcript for f in found), "other nodes are left out"


def test_every_transcript_can_be_read() -> None:
    flow = leech_and_seed(Flow(A, B))
    for found in read(pcap(flow.packets))[0]:
        assert decode(found.transcript)
        assert all(a.at_ns <= b.at_ns for a, b in itertools.pairwise(decode(found.transcript)))


def test_syn_and_fin_alone_are_no_contact() -> None:
    flow = Flow(A, B)
    flow.add(0, 101, FIN | ACK)
    flow.add(0, 500, SYN)
    found, account = read(pcap(flow.packets))
    assert not found
    assert account.counts["TCP flows"] == 2


def test_two_watches_of_one_torrent_are_both_told() -> None:
    """Two known files in one torrent: each has its own piece map, so each flow and listing counts for both."""
    other = Watched("2" * 32, "W-2", (INFOHASH,), (), 20, range(18, 20))
    flow = (
        Flow(A, B)
        .say(0, hello(INFOHASH, OURS))
        .say(1, hello(INFOHASH, THEIRS) + message(5, b"\xff\xf0\x00") + piece(1))
    )
    query = b"d1:ad2:id20:" + OURS + b"9:info_hash20:" + INFOHASH + b"e1:q9:get_peers1:t2:xy1:y1:qe"
    answer = b"d1:rd2:id20:" + THEIRS + b"6:valuesl6:" + bytes((127, 10, 0, 7, 0x1A, 0xE1)) + b"ee1:t2:xy1:y1:re"
    node = ("127.2.0.1", 7_000)
    packets = [*flow.close().packets, (START, udp(A, node, query)), (START, udp(node, A, answer))]
    found, account = read(pcap(packets), WATCHED, other)
    claims = {(f.watch[0], f.address): f.contact.claim for f in found if f.contact is not None}
    assert claims == {
        ("1", A[0]): Claim.NOTHING_SAID, ("2", A[0]): Claim.NOTHING_SAID,
        ("1", B[0]): Claim.WATCHED_FILE, ("2", B[0]): Claim.TORRENT_ONLY,
    }  # fmt: skip
    assert [f.watch[0] for f in found if f.contact is None] == ["1", "2"]
    assert account.counts["BitTorrent flows of Watches"] == 1


TRACKER = ("127.1.0.1", 6969)


def asks(infohash: bytes, port: int = 51_413) -> bytes:
    ask = b"GET /announce?info_hash=" + quote_from_bytes(infohash).encode() + b"&port=%d HTTP/1.1\r\n" % port
    return ask + b"Host: 127.1.0.1\r\nAccept-Encoding: deflate, gzip\r\n\r\n"


def replies(last: int) -> bytes:
    body = b"d8:intervali60e5:peers6:" + bytes((127, 10, 0, last, 0x1A, 0xE1)) + b"e"
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body


def told(found: list[Finding]) -> list[tuple[str, int, str]]:
    return [(f.address, f.port, f.source.partition(" ")[0]) for f in found]


@pytest.mark.parametrize("size", [1, 7, 60, 1400])
@pytest.mark.parametrize(
    "unwatched",
    [replies(99), b"HTTP/1.1 404 Not Found\r\nContent-Encoding: gzip\r\nContent-Length: 5\r\n\r\n\x1f\x8b45"],
)
def test_every_announce_of_a_connection_is_read_and_has_its_own_reply(size: int, unwatched: bytes) -> None:
    """Clients ask for all their torrents over one connection, and at their end say `stopped` of all of them so."""
    flow = Flow(A, TRACKER)
    for number, infohash in enumerate((OTHER, INFOHASH, OTHER, TWIN, OTHER)):
        flow.say(0, asks(infohash, 50_000 + number), size)
        flow.say(1, unwatched if infohash == OTHER else replies(number), size)
    found, account = read(pcap(flow.close().packets))
    assert told(found) == [
        (A[0], 50_001, "announced"), ("127.10.0.1", 6_881, "listed"),
        (A[0], 50_003, "announced"), ("127.10.0.3", 6_881, "listed"),
    ]  # fmt: skip
    assert account.counts["announces for Watches"] == 2
    assert not [name for name in account.counts if "HTTP" in name or "not read" in name]


def test_whose_reply_it_is_is_not_guessed_where_requests_did_not_wait() -> None:
    flow = Flow(A, TRACKER).say(0, asks(OTHER) + asks(INFOHASH)).say(1, replies(1) + replies(2)).close()
    found, account = read(pcap(flow.packets))
    assert told(found) == [(A[0], 51_413, "announced")]
    assert account.counts["announces for Watches"] == account.counts[TOGETHER] == 1


def test_a_reply_that_the_next_request_cuts_short_lists_nobody() -> None:
    flow = Flow(A, TRACKER).say(0, asks(INFOHASH)).say(1, replies(1)[:-4])
    found, account = read(pcap(flow.say(0, asks(TWIN)).say(1, replies(2)).close().packets))
    assert told(found) == [(A[0], 51_413, "announced")] * 2 + [("127.10.0.2", 6_881, "listed")]
    assert account.counts["answers of trackers not read: unreadable"] == 1


@pytest.mark.parametrize(
    ("last", "why"),
    [(b"POST /a HTTP/1.1\r\n\r\n", NOT_READ), (b"GET /" + b"a" * 5_000, NOT_READ), (asks(OTHER), NO_WATCH)],
)
def test_of_a_connection_that_asks_for_no_watch_nothing_is_kept(last: bytes, why: str) -> None:
    flow = Flow(A, TRACKER).say(0, asks(OTHER)).say(1, replies(1)).say(0, b"GET /favicon.ico HTTP/1.1\r\n\r\n")
    found, account = read(pcap(flow.say(1, replies(2)).say(0, last).close().packets))
    assert not found
    assert account.counts[why] == 1
    assert account.counts[NO_WATCH] == (why == NO_WATCH)


def test_a_connection_that_the_capture_does_not_hold_to_its_end_is_not_said_to_ask_for_no_watch() -> None:
    found, account = read(pcap(Flow(A, TRACKER).say(0, asks(OTHER)).say(1, replies(1)).packets))
    assert not found
    assert account.counts[NO_WATCH_SO_FAR] == 1
    assert not account.counts[NO_WATCH]


def test_an_answer_of_a_tracker_that_cannot_be_read_is_counted() -> None:
    ask = b"GET /a?info_hash=" + b"%51" * 20 + b"&port=0 HTTP/1.1\r\n\r\n"
    answers = {
        b"HTTP/1.1 302 Found\r\n\r\n": "unparsable",
        b"HTTP/1.1 200 OK\r\nContent-Length: 400\r\n\r\nd8:": "unreadable",
        b"HTTP/1.1 200 OK\r\nContent-Length: 37\r\n\r\nd14:failure reason15:unknown torrente": "refused",
    }
    for answer, why in answers.items():
        found, account = read(pcap(Flow(A, ("127.1.0.1", 80)).say(0, ask).say(1, answer).close().packets))
        assert not found
        assert account.counts[f"answers of trackers not read: {why}"] == 1, dict(account.counts)
