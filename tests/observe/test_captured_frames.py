"""Every kind of capture file, and what a line has around IP: read, or counted as what it is; what was cut is a gap."""

from typing import Any

import pytest
from capture_files import (
    ALL,
    INFOHASH,
    MS,
    OURS,
    START,
    THEIRS,
    A,
    B,
    Flow,
    UtpFlow,
    ethernet,
    hello,
    ip,
    leech_and_seed,
    pcap,
    pcapng,
    piece,
    pppoe,
    udp,
)
from capture_read import expected, read, summary

from clew.model import Claim

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
