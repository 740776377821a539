"""Captures of others: what is read of the flows of a Watch, and that nothing else is."""

import itertools
import random
from typing import Any

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
    hello,
    leech_and_seed,
    message,
    pcap,
    piece,
    udp,
)
from capture_read import OTHER, TWIN, WATCHED, expected, read, summary

from clew.model import Claim, Missing, Reason
from clew.observe.api import SECOND
from clew.observe.captures._streams import CUT_OFF, GAP
from clew.observe.networks.bittorrent import PLUGIN as BITTORRENT
from clew.observe.taken import Watched
from clew.observe.transcript import Kind, decode


def left_out(transcript: bytes) -> int:
    """How many bytes that came in are not kept."""
    return sum(each.length for each in decode(transcript) if each.kind is Kind.RECEIVED_LEFT_OUT)


@pytest.mark.parametrize("kind", [Flow, UtpFlow])
def test_no_payload_is_kept_and_all_of_it_is_counted(kind: Any) -> None:
    """The same over TCP and uTP: whatever cuts a stream into packets, its messages are counted as they are."""
    found, account = read(pcap(leech_and_seed(kind(A, B)).packets))
    kept = b"".join(f.transcript for f in found)
    assert not any(CANARY[at : at + 8] in kept for at in range(0, len(CANARY), 8))
    request, metadata = len(message(6, bytes(12))), len(message(20, b"\x01" + CANARY[:200]))
    said_of = "messages of watched flows left out: "
    counted = {what.removeprefix(said_of): n for what, n in account.counts.items() if what.startswith(said_of)}
    assert counted == {"piece": 6, "request": 6, "extended message": 6}
    assert {f.address: left_out(f.transcript) for f in found} == {
        A[0]: 6 * request + 6 * metadata,
        B[0]: 6 * len(piece(0)),
    }
    said = next(f for f in found if f.address == A[0])
    lines = BITTORRENT.describe(said.transcript, {INFOHASH: "W-1"})
    assert sum("infohash W-1" in line for line in lines) == 2, "both handshakes stand in the transcript"
    assert any("extended message" in line and "left out" in line for line in lines)


def claims(flow: Any, side: tuple[str, int]) -> tuple[int | None, int | None]:
    contact = next(f.contact for f in read(pcap(flow.packets))[0] if f.address == side[0])
    assert contact is not None
    assert contact.missing is None
    return contact.pieces_claimed, contact.inner_claimed


@pytest.mark.parametrize("kind", [Flow, UtpFlow])
def test_haves_that_fill_a_lazy_bitfield_are_heard_and_those_of_a_download_are_not(kind: Any) -> None:
    """By the time of the capture, as long as a contact of our own would have stayed; then the flow is read no more."""
    flow = kind(A, B).say(0, hello(INFOHASH, OURS)).say(1, hello(INFOHASH, THEIRS) + message(5, b"\xfb\xff\xc0"))
    flow.say(1, message(4, b"\0\0\0\x05"))
    flow.at_ns += SECOND
    flow.say(1, message(4, b"\0\0\0\x12")).say(1, message(1)).say(0, message(2))
    assert claims(flow, B) == (18, 10)
    assert read(pcap(flow.packets))[1].counts["bytes left aside"] == 9 + 5
    late = kind(A, B).say(0, hello(INFOHASH, OURS)).say(1, hello(INFOHASH, THEIRS) + message(5, b"\x80\0\0"))
    late.at_ns += 60 * SECOND
    late.say(1, message(4, b"\0\0\0\x03")).say(1, message(4, b"\0\0\0\x05")).say(1, message(4, b"\0\0\0\x06"))
    assert claims(late, B) == (3, 1), "a piece of the watched file that comes late is waited for"


@pytest.mark.parametrize("kind", [Flow, UtpFlow])
@pytest.mark.parametrize(("heard_s", "lost", "missing"), [(2, False, None), (0, False, CUT_OFF), (2, True, GAP)])
def test_of_who_claims_a_part_and_says_no_more_all_was_heard_unless_the_capture_broke_off_before(
    kind: Any, heard_s: int, lost: bool, missing: Missing | None
) -> None:
    flow = kind(A, B).say(0, hello(INFOHASH, OURS)).say(1, hello(INFOHASH, THEIRS) + message(5, b"\x04\0\0"))
    flow.at_ns += heard_s * SECOND
    if lost:
        flow.say(1, message(4, b"\0\0\0\x06"))
        flow.packets.pop()
        flow.say(1, message(4, b"\0\0\0\x07"))
    flow.say(0, message(2))
    contact = next(f.contact for f in read(pcap(flow.packets))[0] if f.address == B[0])
    assert contact is not None
    assert (contact.pieces_claimed, contact.inner_claimed, contact.missing) == (1, 1, missing)


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
