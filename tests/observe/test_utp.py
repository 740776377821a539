"""uTP: over a link that loses, doubles and reorders, and against whatever may come in."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from observe_stage import EXTENSION, message
from utp_peer import DATA, FIN, HEADER, RESET, STATE, SYN, UtpPeer, packet
from utp_stage import HELLO, INFOHASH, OURS, SAID, TARGET, THEIRS, conversation, end, numbers, over_link, sent

from clew.model import Claim, Missing, Reason
from clew.observe.api import REFUSED, SECOND, TOO_SLOW, Contact, Event, Limits, Send, Sighted, Target
from clew.observe.networks import _utp as utp
from clew.observe.networks import _utp_packets as packets
from clew.observe.networks._messages import Announce, Handshake
from clew.observe.networks.bittorrent import PLUGIN
from clew.observe.transcript import Kind, Segment, decode

CANARY = b"CANARY-BYTES" * 8
# What goes out beside one answer to each datagram: the SYN and two messages, each TRIES times, and the RESET.
MOST_UNASKED = 3 * utp.TRIES + 1
MOST_UNASKED_BYTES = utp.TRIES * (3 * 20 + 68 + 30) + 20


@dataclass
class Begun:
    """A conversation that is connected: `id` and `seq` are what a peer's next packets carry."""

    talk: Any
    id: int
    ack: int
    first: int = 500

    def hand(self, data: bytes) -> list[Event]:
        return self.talk.receive(data, 5 * SECOND)

    def data(self, payload: bytes, ahead: int = 0, kind: int = DATA) -> list[Event]:
        return self.hand(packet(kind, self.id, self.first + ahead, self.ack, payload))


def begun(first: int = 500, target: Target = TARGET) -> Begun:
    talk = conversation(target)
    _, connection, seq, _ = numbers(sent(talk.opened(5 * SECOND))[0])
    (hello,) = sent(talk.receive(packet(STATE, connection, first, seq), 5 * SECOND))
    assert numbers(hello) == (DATA, (connection + 1) & 0xFFFF, (seq + 1) & 0xFFFF, (first - 1) & 0xFFFF)
    return Begun(talk, connection, seq + 1, first)


# the link -------------------------------------------------------------------------------------------------------------


def test_a_claim_over_a_perfect_link() -> None:
    peer = UtpPeer(SAID)
    found = over_link(conversation(), peer, lambda *_: [1])
    assert isinstance(found.finding, Contact)
    assert found.finding.claim is Claim.WATCHED_FILE
    assert (found.finding.pieces_claimed, found.finding.inner_claimed) == (20, 10)
    assert (found.finding.transport, found.finding.missing) == ("", None)
    assert found.finding.client == "Test 1.2.34"
    assert peer.reset, "the peer is told that it is over"
    assert peer.stream[:68] == Handshake(INFOHASH, OURS).encode()
    assert len(peer.stream) == 68 + 30


FATES = st.lists(st.sampled_from([[1], [1, 1], [2], [4], [1, 5], [3, 3, 3]]), min_size=12, max_size=12)
ENTROPIES = st.binary(min_size=32, max_size=32)
LOST = st.sets(st.integers(0, 11), max_size=2)


@settings(max_examples=300, deadline=None)
@given(
    FATES,
    FATES,
    LOST,
    LOST,
    st.sampled_from([1, 40, 1_400]),
    st.integers(65_000, 66_000),
    st.binary(min_size=32, max_size=32),
)
def test_what_is_lost_doubled_or_late_changes_nothing(
    out: list[list[int]],
    back: list[list[int]],
    lost_out: set[int],
    lost_back: set[int],
    size: int,
    first: int,
    entropy: bytes,
) -> None:
    def fate(outwards: bool, n: int) -> list[int]:
        fates, lost = (out, lost_out) if outwards else (back, lost_back)
        return [] if n in lost else fates[n % len(fates)]

    assume(len(lost_out) + len(lost_back) < utp.TRIES)  # else each try of one packet may be lost, or its answer
    peer = UtpPeer(SAID, first=first, size=max(size, len(SAID) // 14))
    found = over_link(conversation(limits=Limits(answer_ns=10 * SECOND), entropy=entropy), peer, fate)
    assert found.finding.claim is Claim.WATCHED_FILE, found.finding.missing
    assert found.finding.inner_claimed == 10
    assert peer.stream.startswith(Handshake(INFOHASH, OURS).encode())
    stored = decode(found.transcript)
    said = SAID.replace(b"{infohash}", INFOHASH)
    assert b"".join(s.data for s in stored if s.kind is Kind.RECEIVED) == said, "each byte once, in its order"
    assert replayed(stored).finding == found.finding


def replayed(stored: list[Segment]) -> Sighted:
    """The conversation again from its transcript: each header that came in, with the bytes that stand behind it."""
    (entropy,) = [s.data for s in stored if s.kind is Kind.ENTROPY]
    talk = conversation(limits=Limits(answer_ns=10 * SECOND), entropy=entropy)
    came = [s for s in stored if s.kind in (Kind.RECEIVED_HEADER, Kind.RECEIVED)]
    events = talk.opened(stored[0].at_ns)
    while came:
        head = came.pop(0)
        assert head.kind is Kind.RECEIVED_HEADER
        behind = list(itertools.takewhile(lambda s: s.kind is Kind.RECEIVED, came))
        del came[: len(behind)]
        while talk.wake_ns < head.at_ns:
            events += talk.tick(talk.wake_ns)
        events += talk.receive(head.data + b"".join(s.data for s in behind), head.at_ns)
    return end(events)


def test_a_large_bitfield_in_many_packets_and_a_small_window() -> None:
    pieces = 200_000
    target = replace(TARGET, pieces=pieces, inner=range(100, 200))
    said = HELLO + message(20, EXTENSION) + message(5, b"\xff" * (pieces // 8))
    peer = UtpPeer(said)
    found = over_link(conversation(target), peer, lambda out, n: [1 + n % 2])
    assert (found.finding.claim, found.finding.pieces_claimed) == (Claim.WATCHED_FILE, pieces)


def test_a_link_that_takes_nothing_costs_a_few_packets() -> None:
    peer = UtpPeer(SAID)
    found = over_link(conversation(), peer, lambda *_: [])
    assert found.finding.missing == TOO_SLOW
    assert not found.finding.answered
    assert [s.data[0] >> 4 for s in decode(found.transcript) if s.kind is Kind.SENT_HEADER] == [SYN] * 3
    assert over_link(conversation(limits=Limits(answer_ns=60 * SECOND)), peer, lambda *_: []).traffic == {
        "sent utp syn": 20,
        "sent utp syn again": 60,
    }


def test_an_unconfirmed_message_is_repeated_a_few_times() -> None:
    limits = Limits(answer_ns=60 * SECOND, hold_ns=60 * SECOND)
    found = over_link(
        conversation(limits=limits), UtpPeer(SAID), lambda out, n: [1] if (not out and n == 0) or n == 0 else []
    )
    assert found.finding.missing == Missing(Reason.LIMIT_REACHED, "what we sent was never confirmed")
    headers = [s.data[0] >> 4 for s in decode(found.transcript) if s.kind is Kind.SENT_HEADER]
    assert headers == [SYN] + [DATA] * utp.TRIES + [RESET]


# packets --------------------------------------------------------------------------------------------------------------


def test_what_can_be_sent_carries_no_bytes() -> None:
    header = packets.Header(1, 2, 3, 4, 5, 6)
    for payload in (b"", CANARY, bytearray(3), None, Announce("h", "/", INFOHASH, OURS, 9, 1, "stopped", 1)):
        with pytest.raises(TypeError):
            packets.UtpData(header, payload)  # type: ignore[arg-type]
    assert len(packets.UtpSyn(header).encode()) == len(packets.UtpState(header).encode()) == 20
    assert packets.UtpData(header, Handshake(INFOHASH, OURS)).encode()[20:] == Handshake(INFOHASH, OURS).encode()
    assert {each for each in PLUGIN.sendable if each.__name__.startswith("Utp")} == set(packets.SENDABLE)


@given(st.binary(max_size=80))
def test_a_packet_is_read_as_by_hand_or_not_at_all(data: bytes) -> None:
    found = packets.read(data)
    if found is None:
        return
    _, _, connection, at, difference, window, seq, ack = HEADER.unpack(data[:20])
    assert found.header == (connection, at, difference, window, seq, ack)
    assert found.header.encode(found.kind)[2:] == data[2:20]
    assert 20 <= found.size <= len(data)
    assert len(found.head(data)) == found.size


def test_a_chain_of_extensions_is_followed_only_so_far() -> None:
    for number in range(6):
        chain = b"".join(bytes((9 if n + 1 < number else 0, 4)) + b"abcd" for n in range(number))
        found = packets.read(packet(STATE, 1, 2, 3, extensions=chain, first=9 if number else 0))
        assert (found is None) == (number > packets.MOST_EXTENSIONS)
    assert packets.read(packet(STATE, 1, 2, 3, extensions=b"\x00\xff", first=1)) is None


def test_the_entropy_alone_decides_the_numbers() -> None:
    first = [sent(conversation(entropy=bytes((n,)) * 32).opened(1))[0] for n in range(50)]
    assert first[7] == sent(conversation(entropy=b"\x07" * 32).opened(1))[0]
    assert len({numbers(each)[1:3] for each in first}) == 50
    assert not any(bytes((n, n)) == each[2:4] for n, each in enumerate(first))


# hostile peers --------------------------------------------------------------------------------------------------------


def test_a_reset_ends_it_before_and_after_the_connection() -> None:
    talk = conversation()
    _, connection, seq, _ = numbers(sent(talk.opened(1))[0])
    assert talk.receive(packet(RESET, connection, 0, seq + 5), 2) == [], "it confirms what we did not send"
    assert talk.receive(packet(RESET, connection + 9, 0, seq), 2) == []
    (over,) = talk.receive(packet(RESET, connection, 0, seq), 2)
    assert (over.finding.missing, over.finding.transport, over.finding.shut) == (REFUSED, "", True)
    one = begun()
    (over,) = one.hand(packet(RESET, one.id, 500, one.ack))
    assert over.finding.missing == Missing(Reason.UNREADABLE, "the peer closed before it answered")
    assert not over.finding.shut, "our handshake went out"


@pytest.mark.parametrize("transport", ["utp", "mse/utp"])
def test_a_failed_contact_keeps_the_name_by_which_it_was_dialled(transport: str) -> None:
    talk = PLUGIN.contact(TARGET, Limits(), transport, bytes(32))
    talk.opened(1)
    found = end(talk.closed(2, REFUSED)).finding
    assert found.missing == REFUSED
    assert (found.transport or transport) == transport, (
        "nothing was negotiated: it has the name by which it was dialled"
    )


def test_a_fin_ends_it_in_its_order() -> None:
    one = begun()
    assert [numbers(each)[0] for each in sent(one.data(b"", 1, FIN))] == [STATE]
    events = one.data(SAID[:28] + INFOHASH + THEIRS)
    assert end(events).finding.answered
    assert [numbers(each)[0] for each in sent(events)] == [DATA, RESET]


@pytest.mark.parametrize("ahead", [2, utp.MOST_AHEAD - 1, utp.MOST_AHEAD, 5_000, 40_000, 65_535])
def test_numbers_far_off_are_not_kept(ahead: int) -> None:
    one = begun()
    events = one.data(b"x" * 100, ahead)
    kept = ahead < utp.MOST_AHEAD
    assert one.talk.held == 100 * kept
    assert len(sent(events)) == (kept or ahead >= 1 << 15), "what is too far ahead is not confirmed, the past is"
    assert all(numbers(each)[3] == 499 for each in sent(events)), "nothing is confirmed that was not read"


def test_what_confirms_more_than_was_sent_is_ignored() -> None:
    one = begun()
    for ack in (one.ack + 1, one.ack + 30_000, one.ack - 2):
        assert one.hand(packet(DATA, one.id, 500, ack, HELLO)) == []
    assert one.hand(packet(DATA, one.id + 1, 500, one.ack, HELLO)) == []
    assert one.talk.held == 0


def test_a_drip_of_datagrams_has_an_end() -> None:
    one = begun()
    events: list[Event] = []
    for n in range(utp.MOST_DATAGRAMS + 5):
        events += one.data(b"", n)
    over = end(events)
    assert over.finding.missing == Missing(Reason.LIMIT_REACHED, "more datagrams than one contact may send")
    assert len(sent(events)) <= utp.MOST_DATAGRAMS + 1
    assert len(over.transcript) < 64 * utp.MOST_DATAGRAMS


def test_a_slow_drip_has_an_end() -> None:
    one, now, events = begun(), 5 * SECOND, []
    for n, byte in enumerate(SAID * 50):
        now += SECOND // 4
        events = one.talk.receive(packet(DATA, one.id, 500 + n, one.ack, bytes((byte,))), now)
        events += one.talk.tick(now)
        if any(isinstance(e, Sighted) for e in events):
            break
    assert end(events).finding.missing.reason is Reason.LIMIT_REACHED
    assert now <= 5 * SECOND + Limits().hold_ns + SECOND


@pytest.mark.parametrize(
    "hand",
    [
        lambda one: one.data(b"\x00\x00\x40\x09\x07" + CANARY),
        lambda one: one.data(b"\x00\x00\x40\x09\x07") + one.data(CANARY, 1),
        lambda one: one.data(CANARY, 1) + one.data(b"\x00\x00\x40\x09\x07"),
        lambda one: one.data(CANARY, 1) + one.data(CANARY, 2),
        lambda one: one.data(b"", -1) + one.data(CANARY, -1) + one.data(CANARY, 5_000),
        lambda one: one.hand(CANARY) + one.hand(packet(DATA, one.id + 3, 500, one.ack, CANARY)),
        lambda one: one.hand(packet(STATE, one.id, 500, one.ack, CANARY)),
        lambda one: one.hand(packet(SYN, one.id, 500, one.ack, CANARY)),
        lambda one: one.data(CANARY, 0, FIN),
        lambda one: one.hand(packet(STATE, one.id, 500, one.ack, extensions=b"\x00\x60" + CANARY, first=1)),
        lambda one: one.hand(packet(STATE, one.id, 500, one.ack, extensions=b"\x00\x60" + CANARY, first=77)),
    ],
)
def test_content_is_nowhere_in_the_transcript(hand: Callable[[Begun], list[Event]]) -> None:
    one = begun()
    one.data(SAID[:28] + INFOHASH + THEIRS)
    one.first, one.ack = one.first + 1, one.ack + 1
    events = hand(one) + one.talk.closed(6 * SECOND)
    over = end(events)
    assert b"CANARY" not in over.transcript
    assert one.talk.held == 0
    assert not any(b"CANARY" in each for each in sent(events))
    assert not any("CANARY" in line for line in PLUGIN.describe(over.transcript, {}))


def test_what_is_left_out_and_how_it_ended_stand_on_the_tape_in_their_order() -> None:
    one = begun()
    one.data(SAID[:28] + INFOHASH + THEIRS)
    one.first, one.ack = one.first + 1, one.ack + 1
    kept = decode(end(one.data(b"\x00\x00\x40\x09\x07")).transcript)
    assert [(s.kind, s.length, s.label) for s in kept[-2:]] == [
        (Kind.RECEIVED_LEFT_OUT, 0x4008, "piece"),
        (Kind.SENT_HEADER, 20, ""),
    ]
    kept = decode(end(begun().talk.closed(6 * SECOND)).transcript)
    assert [(s.kind, s.label) for s in kept[-2:]] == [(Kind.END, "closed"), (Kind.SENT_HEADER, "")]


@st.composite
def datagrams(draw: st.DrawFn) -> list[Callable[[Begun], bytes]]:
    """Anything, and packets of this connection with numbers around the right ones, and any payload."""

    def ours() -> st.SearchStrategy[Callable[[Begun], bytes]]:
        near = st.integers(-3, 20) | st.integers(0, 65_535)
        chain = st.sampled_from([(0, b""), (1, b"\x00\x04abcd"), (5, b"\x05\x01a" * 3 + b"\x00\x00"), (1, b"\x01\xff")])
        said = st.sampled_from([SAID.replace(b"{infohash}", INFOHASH), CANARY, b"", bytes(1_400)])
        return st.builds(
            lambda kind, seq, ack, payload, link: lambda one: packet(
                kind, one.id, one.first + seq, one.ack + ack, payload, first=link[0], extensions=link[1]
            ),
            st.integers(0, 5), near, st.integers(-2, 3), said | st.binary(max_size=60), chain,
        )  # fmt: skip

    anything = st.binary(max_size=100).map(lambda data: lambda _: data)
    return draw(st.lists(ours() | anything, max_size=60))


@settings(max_examples=300, deadline=None)
@given(datagrams(), st.integers(0, 65_535))
def test_whatever_comes_in_little_goes_out_and_it_ends(script: list[Callable[[Begun], bytes]], first: int) -> None:
    one, now, came = begun(first), 5 * SECOND, 0
    events: list[Event] = []
    for each in script:
        now += SECOND // 10
        data = each(one)
        came += len(data)
        events += one.talk.receive(data, now) + one.talk.tick(now)
        assert one.talk.held <= utp.WINDOW + 32 * 1024
    while not any(isinstance(e, Sighted) for e in events):
        before, now = now, max(now, one.talk.wake_ns)
        events += one.talk.tick(now)
        assert now > before or events, "it goes on"
    assert {type(e.message) for e in events if isinstance(e, Send)} <= set(packets.SENDABLE)
    assert len(sent(events)) <= len(script) + MOST_UNASKED
    assert sum(map(len, sent(events))) <= came + MOST_UNASKED_BYTES
    over = end(events)
    assert b"CANARY" not in over.transcript
    assert now <= 5 * SECOND + Limits().hold_ns + 7 * SECOND
    PLUGIN.describe(over.transcript, {})


def test_a_transcript_is_shown_line_by_line() -> None:
    found = over_link(conversation(), UtpPeer(SAID, size=60), lambda *_: [1])
    lines = [line.split(" s ")[1] for line in PLUGIN.describe(found.transcript, {INFOHASH: "W-1"})]
    drawn = numbers(next(s.data for s in decode(found.transcript) if s.kind is Kind.SENT_HEADER))
    assert lines[0] == f">> uTP SYN connection {drawn[1]}, seq {drawn[2]}, ack 0, window 16384"
    assert lines[1] == f"<< uTP STATE connection {drawn[1]}, seq 1000, ack {drawn[2]}, window 1048576"
    assert lines[2].startswith(">> handshake")
    assert "infohash W-1" in lines[2]
    assert [line[:12] for line in lines].count("<< handshake") == 1, "though it came in two datagrams"
    assert any(line.startswith("<< bitfield of 3 bytes, 20 pieces claimed") for line in lines)
    assert lines[-1].startswith(">> uTP RESET")
