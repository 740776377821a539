"""What is kept of a list for one endpoint is read again by the decoder that read the whole: that endpoint, no other."""

import ipaddress
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clew.core.errors import Damaged
from clew.observe.api import Ask, Conversation, Limits, Listing, Send, Sighted, Target
from clew.observe.networks.bittorrent import PLUGIN
from clew.observe.transcript import Transcript, decode

INFOHASH, PEER_ID, ENTROPY = b"\x5a" * 20, b"-CW0100-abcdefghijkl", b"\x07" * 32
PEER = st.tuples(st.ip_addresses(v=4).map(str), st.integers(1, 65535))
PEER6 = st.tuples(st.ip_addresses(v=6).filter(lambda a: a.ipv4_mapped is None).map(str), st.integers(1, 65535))
PEERS = st.lists(PEER, min_size=1, max_size=12, unique=True)
PEERS6 = st.lists(PEER6, max_size=6, unique=True)
FEW = settings(max_examples=40, deadline=None)


def packed(peers: Iterable[tuple[str, int]]) -> bytes:
    return b"".join(ipaddress.ip_address(a).packed + p.to_bytes(2, "big") for a, p in peers)


def string(data: bytes) -> bytes:
    return b"%d:%b" % (len(data), data)


def ask(url: str) -> Conversation:
    return PLUGIN.ask(Ask(PLUGIN.tracker(url), "W-1", INFOHASH, "stopped", PEER_ID, 9, 4096), Limits(), ENTROPY)


def each_is_read_again(listing: Listing, source: str, expected: Iterable[tuple[str, int]]) -> None:
    assert {(one.address, one.port) for one in listing.listed} == set(expected)
    for one in listing.listed:
        assert PLUGIN.listed(decode(listing.proof(one)), source) == [(one.address, one.port)]
        place = f"[{one.address}]:{one.port}" if ":" in one.address else f"{one.address}:{one.port}"
        assert any(line.endswith(f" endpoint {place}") for line in PLUGIN.describe(listing.proof(one), {}))


def ended(events: object) -> Listing:
    [end] = [each for each in events if isinstance(each, Sighted)]  # type: ignore[attr-defined]
    assert isinstance(end.finding, Listing)
    return end.finding


@FEW
@given(PEERS, PEERS6, st.binary(max_size=30), st.booleans())
def test_of_an_http_tracker(
    peers: list[tuple[str, int]], peers6: list[tuple[str, int]], odd: bytes, chunked: bool
) -> None:
    body = b"d5:extra" + string(odd) + b"8:intervali60e5:peers" + string(packed(peers))
    body += b"6:peers6" + string(packed(peers6)) + b"3:zzzi7ee"
    head = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % len(body)
    sent = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body) if chunked else body
    talk = ask("http://127.1.0.1:6969/a")
    events = talk.opened(0) + talk.receive(b"HTTP/1.1 200 OK\r\n" + head + b"\r\n\r\n" + sent, 1)
    each_is_read_again(ended(events), "http://127.1.0.1:6969/a", [*peers, *peers6])


def test_of_an_http_tracker_in_words_the_address_alone_is_kept() -> None:
    body = b"d5:peersld2:ip9:127.0.1.24:porti7eed2:ip7:fe80::14:porti9eeee"
    talk = ask("http://127.1.0.1:6969/a")
    listing = ended(
        talk.opened(0) + talk.receive(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body, 1)
    )
    found = [PLUGIN.listed(decode(listing.proof(one)), "http://x/") for one in listing.listed]
    assert found == [[("127.0.1.2", 0)], [("fe80::1", 0)]]


@FEW
@given(st.booleans(), PEERS, PEERS6)
def test_of_a_udp_tracker(wide: bool, peers: list[tuple[str, int]], peers6: list[tuple[str, int]]) -> None:
    url = "udp://[::1]:6969" if wide else "udp://127.1.0.1:6969/a"
    talk = ask(url)
    first = talk.opened(0)[0]
    assert isinstance(first, Send)
    second = talk.receive(bytes(4) + first.message.encode()[12:16] + b"CONNECTI", 1)[0]
    assert isinstance(second, Send)
    head = bytes((0, 0, 0, 1)) + second.message.encode()[12:16] + bytes(12)
    events = talk.receive(head + packed(peers6 if wide else peers), 2)
    each_is_read_again(ended(events), url, peers6 if wide else peers)


@FEW
@given(PEERS, PEERS6, st.binary(max_size=60), st.lists(st.integers(0, 99), max_size=3))
def test_of_a_node(peers: list[tuple[str, int]], peers6: list[tuple[str, int]], token: bytes, odd: list[int]) -> None:
    talk = ask("dht://127.2.0.1:6881")
    sent = talk.opened(0)[0]
    assert isinstance(sent, Send)
    transaction = sent.message.encode()[-11:-7]
    values = b"l" + b"".join(string(packed([each])) for each in [*peers, *peers6]) + b"i9e" * len(odd) + b"e"
    extra = b"20:" + b"k" * 20 + b"l" + b"".join(b"i%de" % n for n in odd) + b"e"
    reply = b"d" + extra + b"1:rd2:id20:" + b"n" * 20 + b"5:nodes" + string(b"x" * 26)
    reply += b"5:token" + string(token) + b"6:values" + values + b"e1:t4:" + transaction + b"1:y1:re"
    each_is_read_again(ended(talk.receive(reply, 1)), "dht://127.2.0.1:6881", [*peers, *peers6])


@FEW
@given(PEERS, PEERS6, st.binary(max_size=30))
def test_of_gossip(peers: list[tuple[str, int]], peers6: list[tuple[str, int]], odd: bytes) -> None:
    target = Target("W-1", INFOHASH, (INFOHASH,), PEER_ID, pieces=8, gossip=True)
    talk = PLUGIN.contact(target, Limits(), "tcp", ENTROPY)
    talk.opened(0)
    body = b"\x14\1d5:added" + string(packed(peers)) + b"7:added.f" + string(bytes(len(peers)))
    body += b"6:added6" + string(packed(peers6)) + b"1:x" + string(odd) + b"e"
    offer = b"\x14\0d1:md6:ut_pexi1eee"
    said = b"\x13BitTorrent protocol" + bytes((0, 0, 0, 0, 0, 0x10, 0, 0)) + INFOHASH + PEER_ID
    said += b"".join(len(each).to_bytes(4, "big") + each for each in (offer, body))
    events = talk.receive(said, 1)
    events += talk.closed(2)
    [end] = [each for each in events if isinstance(each, Sighted)]
    gossip = end.finding.gossip  # type: ignore[union-attr]
    assert gossip is not None
    each_is_read_again(gossip, "pex://127.10.0.1:6881", [*peers, *peers6])


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(st.booleans(), st.binary(max_size=30), st.integers(0, 1 << 40)), max_size=6),
    st.sampled_from(["http://127.1.0.1/a", "udp://127.1.0.1:1", "dht://127.1.0.1:1", "pex://127.1.0.1:1"]),
    st.sampled_from(["other endpoints listed", "endpoints or fields not kept", "anything"]),
)
def test_an_altered_list_is_refused_or_read_and_never_more(
    parts: list[tuple[bool, bytes, int]], source: str, label: str
) -> None:
    tape = Transcript()
    tape.received(b"HTTP/1.1 200 OK\r\n\r\n" if source.startswith("http") else b"\0\0\0\1", 0)
    for kept, data, length in parts:
        tape.received(data, 0) if kept else tape.left_out(label, length, 0)
    try:
        found = PLUGIN.listed(decode(tape.encode()), source)
    except Damaged:
        return
    assert found is None or all(0 <= port < 65536 for _, port in found)


def test_too_much_around_it_is_said() -> None:
    tape = Transcript()
    tape.received(b"HTTP/1.1 200 OK\r\n\r\nd", 0)
    tape.left_out("other fields of the reply", 5_000, 0)
    assert PLUGIN.listed(decode(tape.encode()), "http://127.1.0.1/a") is None
    with pytest.raises(Damaged):
        PLUGIN.listed([], "http://127.1.0.1/a")
