"""MSE: against a responder of the tests' own, against libtorrent, and against whatever comes in."""

import random
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import libtorrent as lt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mse_responder import PLAIN, RC4, P, Responder
from test_libtorrent import NAMES, PIECE, SETTINGS, make_torrent

from clew.core.errors import Damaged
from clew.model import Claim, Missing, Reason
from clew.observe.api import SECOND, Contact, Conversation, Limits, Send, Sendable, Sighted, Tape, Target
from clew.observe.networks._describe import describe
from clew.observe.networks._messages import PROTOCOL, Announce, ExtensionHandshake, Handshake
from clew.observe.networks._mse import MseConversation
from clew.observe.networks._mse_messages import Encrypted, MseKey, MseProof
from clew.observe.networks._mse_transcript import plaintext
from clew.observe.networks._peer import PeerConversation
from clew.observe.networks.bittorrent import PLUGIN
from clew.observe.transcript import Kind, Segment, Transcript, decode

INFOHASH, OURS, THEIRS = b"\x31" * 20, b"-CW0100-exampleOURS0", b"-TR3000-exampleTHEM0"
TARGET = Target("W-1", INFOHASH, (INFOHASH,), OURS, pieces=12, inner=range(2, 9))
LIMITS = Limits()
ENTROPY = bytes(range(7, 39))
ANSWER = PROTOCOL + bytes((0, 0, 0, 0, 0, 0x10, 0, 4)) + INFOHASH + THEIRS
BITFIELD = bytes((0, 0, 0, 3, 5)) + b"\x3f\x80"
EXTENSION = b"d1:pi51413e1:q40:" + b"Z" * 40 + b"1:v6:Tester4:zzzz3:abce"
SAID = ANSWER + (len(EXTENSION) + 2).to_bytes(4, "big") + b"\x14\x00" + EXTENSION + BITFIELD
CANARY = b"CANARY-must-never-be-kept-"
HELD = 128 * 1024


@dataclass
class Play:
    """One conversation as the tests drive it."""

    entropy: bytes = ENTROPY
    target: Target = TARGET
    limits: Limits = LIMITS
    events: list[Any] = field(default_factory=list)
    now: int = 1_000_000

    def __post_init__(self) -> None:
        self.talk: Conversation = PLUGIN.contact(self.target, self.limits, "mse/tcp", self.entropy)
        self.events += self.talk.opened(self.now)

    def give(self, data: bytes, *cuts: int) -> None:
        places = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
        for start, stop in pairwise(places):
            self.now += 1_000
            self.events += self.talk.receive(data[start:stop], self.now)
            assert self.talk.held <= HELD

    @property
    def sent(self) -> bytes:
        return b"".join(e.message.encode() for e in self.events if isinstance(e, Send))

    @property
    def end(self) -> Sighted:
        [found] = [e for e in self.events if isinstance(e, Sighted)]
        assert isinstance(self.events[-1], Sighted)
        assert self.talk.held == 0
        assert all(type(e.message) in PLUGIN.sendable for e in self.events if isinstance(e, Send))
        return found

    @property
    def contact(self) -> Contact:
        assert isinstance(self.end.finding, Contact)
        return self.end.finding

    def wait(self) -> None:
        for _ in range(3):
            self.now = max(self.now + 1, self.talk.wake_ns)
            self.events += self.talk.tick(self.now)


def run(other: Responder, said: bytes = SAID, *cuts: int, **play: Any) -> Play:
    """The whole of it: keys, proofs, what the other side says, and then silence."""
    one = Play(**play)
    one.give(other.key(), *cuts)
    proven = len(one.sent)
    one.give(other.prove(one.sent) + other.says(said), *cuts)
    other.hears(one.sent[proven:])
    one.wait()
    return one


def plainly(said: bytes = SAID, target: Target = TARGET) -> tuple[Contact, list[Segment], bytes]:
    """What the same peer is found to be without MSE."""
    talk = PeerConversation(target, LIMITS, Transcript())
    events = talk.opened(0) + talk.receive(said, 1)
    for _ in range(3):
        events += talk.tick(talk.wake_ns)
    end = events[-1]
    assert isinstance(end, Sighted)
    assert isinstance(end.finding, Contact)
    sent = b"".join(e.message.encode() for e in events if isinstance(e, Send))
    return end.finding, decode(end.transcript), sent


def joined(segments: list[Segment], *kinds: Kind) -> list[bytes | tuple[str, int]]:
    """One direction: bytes put together, and what was left out between them."""
    out: list[bytes | tuple[str, int]] = []
    for one in segments:
        if one.kind not in kinds:
            continue
        if one.label:
            out.append((one.label, one.length))
        elif out and isinstance(out[-1], bytes):
            out[-1] += one.data
        else:
            out.append(one.data)
    return out


SENT, RECEIVED = (Kind.SENT, Kind.SENT_LEFT_OUT), (Kind.RECEIVED, Kind.RECEIVED_LEFT_OUT)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 512), st.integers(0, 512), st.sampled_from([PLAIN, RC4, RC4 | 1 << 31]),
    st.binary(min_size=32, max_size=32), st.lists(st.integers(1, 900), max_size=20),
)  # fmt: skip
def test_what_is_found_over_mse_is_what_is_found_without(
    pad_b: int, pad_d: int, choose: int, entropy: bytes, cuts: list[int]
) -> None:
    other = Responder(b"\x07" * 20, INFOHASH, pad_b=random.Random(pad_b).randbytes(pad_b), pad_d=b"D" * pad_d)
    other.choose = choose
    one = run(other, SAID, *cuts, entropy=entropy)
    finding, segments, sent = plainly()
    transport = "mse-rc4/tcp" if choose & RC4 else "mse-plain/tcp"
    assert one.contact == replace(finding, transport=transport)
    assert one.contact.claim is Claim.WATCHED_FILE
    assert other.heard == sent
    assert (other.offered, 0 <= other.pad_a <= 512, 0 <= other.pad_c <= 31) == (PLAIN | RC4, True, True)
    kept = decode(one.end.transcript)
    assert b"".join(s.data for s in kept if s.kind is Kind.SENT) == one.sent
    inside = plaintext(kept, INFOHASH)
    assert joined(inside, *SENT) == joined(segments, *SENT)
    assert joined(inside, *RECEIVED) == joined(segments, *RECEIVED)
    assert sum(n for name, n in one.end.traffic.items() if name.startswith("sent ")) == len(one.sent)
    left = sum(s.length for s in kept if s.kind is Kind.RECEIVED_LEFT_OUT and s.label == "mse padding")
    assert left == pad_b + pad_d == one.end.traffic.get("received mse padding", 0)


def test_byte_by_byte_is_the_same_as_whole() -> None:
    other, again = Responder(INFOHASH, pad_b=b"b" * 33), Responder(INFOHASH, pad_b=b"b" * 33)
    whole, single = run(other), run(again, SAID, *range(1000))
    assert whole.contact == single.contact
    assert whole.end.traffic == single.end.traffic
    assert other.heard == again.heard


def test_the_same_entropy_is_the_same_conversation_and_another_is_another() -> None:
    assert run(Responder(INFOHASH)).end == run(Responder(INFOHASH)).end
    assert Play().sent != Play(entropy=bytes(32)).sent
    silent = Play()
    silent.wait()
    assert decode(silent.end.transcript)[0] == Segment(Kind.SECRET, 1_000_000, 32, ENTROPY, "entropy")


def test_a_longer_pad_than_allowed_is_no_proof() -> None:
    assert run(Responder(INFOHASH, pad_b=bytes(512))).contact.answered
    one = run(Responder(INFOHASH, pad_b=bytes(513)))
    assert not one.contact.answered
    assert one.contact.missing == Missing(Reason.LIMIT_REACHED, "no MSE: no proof within 520 bytes of its key")
    assert one.contact.transport == ""


NO_PROOF = Missing(Reason.LIMIT_REACHED, "no MSE: no proof within 520 bytes of its key")
SLOW_PROOF = Missing(Reason.LIMIT_REACHED, "no MSE: its proof that it knows the infohash did not come in time")


@pytest.mark.parametrize(
    ("lie", "missing"),
    [
        ({"vc": b"\x01" * 8, "pad_d": bytes(510)}, NO_PROOF),
        ({"vc": b"\x01" * 8}, SLOW_PROOF),
        ({"choose": 0}, Missing(Reason.UNPARSABLE, "no MSE: it chose what was not offered")),
        ({"choose": 3}, Missing(Reason.UNPARSABLE, "no MSE: it chose what was not offered")),
        ({"choose": 4}, Missing(Reason.UNPARSABLE, "no MSE: it chose what was not offered")),
        ({"length": 513}, Missing(Reason.TOO_LARGE, "no MSE: padding longer than 512 bytes")),
        ({"length": 65535}, Missing(Reason.TOO_LARGE, "no MSE: padding longer than 512 bytes")),
        ({"length": 512}, Missing(Reason.LIMIT_REACHED, "no MSE: the end of its padding did not come in time")),
    ],
)  # fmt: skip
def test_who_lies_about_mse_is_told_apart(lie: dict[str, Any], missing: Missing) -> None:
    other = Responder(INFOHASH)
    for name, value in lie.items():
        setattr(other, name, value)
    for cuts in ((), tuple(range(700))):
        one = run(other, b"", *cuts)
        assert (one.contact.answered, one.contact.transport, one.contact.missing) == (False, "", missing)
        assert one.contact.peer_id is None
        assert "<< MSE: " in describe(one.end.transcript, {INFOHASH: "W-1"})[-1]


@pytest.mark.parametrize("key", [0, 1, P - 1, P, (1 << 768) - 1])
def test_a_key_that_is_none_ends_it(key: int) -> None:
    one = Play()
    one.give(key.to_bytes(96, "big"))
    assert one.contact.missing == Missing(Reason.UNPARSABLE, "no MSE: its key is none")
    assert len(one.sent) == len(MseKey(ENTROPY).encode())


def stops() -> Iterator[tuple[int, str]]:
    """How many bytes of the answer came before the end, and what was awaited then."""
    yield from ((n, "its key") for n in (0, 1, 95))
    yield from ((n, "its proof that it knows the infohash") for n in (96, 100, 110))
    yield from ((n, "its choice of a method") for n in (111, 116))
    yield from ((n, "the end of its padding") for n in (117, 120))


@pytest.mark.parametrize(("length", "awaited"), list(stops()))
@pytest.mark.parametrize("closes", [True, False])
def test_where_it_broke_off_is_said(length: int, awaited: str, closes: bool) -> None:
    other, one = Responder(INFOHASH, pad_b=b"1234567", pad_d=b"12345"), Play()
    one.give(other.key()[:length])
    if length >= 96:
        one.give(other.prove(one.sent)[: length - 96])
    if closes:
        one.events += one.talk.closed(one.now)
        assert one.contact.missing == Missing(Reason.UNREADABLE, f"no MSE: the peer closed before {awaited}")
    else:
        one.wait()
        assert one.contact.missing == Missing(Reason.LIMIT_REACHED, f"no MSE: {awaited} did not come in time")
    kept = decode(one.end.transcript)
    assert sum(s.length for s in kept if s.kind in RECEIVED) == length, "all that came is accounted for"
    lines = describe(one.end.transcript, {INFOHASH: "W-1"})
    assert "MSE: our key" in lines[0]
    assert any("infohash W-1" in line for line in lines) == (length >= 96)


def test_a_drip_ends_with_the_time_of_one_contact() -> None:
    other, one = Responder(INFOHASH), Play()
    for byte in other.key():
        one.now += SECOND
        one.events += one.talk.receive(bytes([byte]), one.now) + one.talk.tick(one.now)
    assert one.contact.missing == Missing(Reason.LIMIT_REACHED, "no MSE: its key did not come in time")
    assert one.now - 1_000_000 >= LIMITS.answer_ns
    late = Play()
    late.give(other.key())
    late.give(other.prove(late.sent) + other.says(ANSWER))
    while not any(isinstance(e, Sighted) for e in late.events):
        late.now += SECOND
        late.events += late.talk.receive(other.says(bytes(4)), late.now) + late.talk.tick(late.now)
    assert late.contact.answered
    assert late.now - 1_000_000 <= LIMITS.hold_ns + SECOND


def test_a_control_probe_works_and_can_be_read_without_a_register() -> None:
    fresh = b"\x99" * 20
    control = Target("W-1", fresh, (fresh,), OURS, control=True)
    one = run(Responder(fresh), ANSWER.replace(INFOHASH, fresh), target=control)
    assert one.contact.answered
    assert one.contact.transport == "mse-rc4/tcp"
    lines = describe(one.end.transcript, {INFOHASH: "W-1"})
    assert sum("of a control probe" in line for line in lines) == 3
    quiet = Play(target=control)
    quiet.give(Responder(fresh).key())
    quiet.events += quiet.talk.closed(quiet.now)
    assert not quiet.contact.answered


def test_another_infohash_in_the_answer_is_refused_and_not_kept() -> None:
    one = run(Responder(INFOHASH), ANSWER.replace(INFOHASH, b"\x77" * 20) + BITFIELD)
    assert one.contact.missing == Missing(Reason.REFUSED, "answered for another infohash")
    assert one.contact.transport == "mse-rc4/tcp"
    inside = plaintext(decode(one.end.transcript), INFOHASH)
    assert joined(inside, *RECEIVED) == [ANSWER[:28], ("another infohash", 20)]


@pytest.mark.parametrize("choose", [PLAIN, RC4])
@pytest.mark.parametrize("cuts", [(), (1,), range(3000)])
def test_no_canary_is_kept_in_plaintext_or_ciphertext(choose: int, cuts: Any) -> None:
    piece = bytes((0, 0, 64, 9, 7)) + bytes(8) + CANARY * 630
    other = Responder(INFOHASH, pad_b=CANARY * 19, pad_d=CANARY * 10)
    other.choose = choose
    one = Play()
    one.give(other.key())
    step = other.prove(one.sent)
    talk = other.says(SAID[:68] + piece)
    one.give(step + talk + CANARY * 100, *cuts)
    one.wait()
    assert one.contact.missing == Missing(Reason.REFUSED, "piece: its content is never read")
    assert one.contact.answered
    kept = decode(one.end.transcript)
    stored = b"".join(s.data for s in kept)
    inside = plaintext(kept, INFOHASH)
    assert joined(inside, *RECEIVED) == [SAID[:68] + piece[:5], ("piece", 64 * 256 + 8)]
    for place in range(73, len(talk) - 8, 7):
        assert talk[place : place + 8] not in stored
    assert CANARY[:8] not in stored
    received = b"".join(s.data for s in kept if s.kind is Kind.RECEIVED)
    assert received == other.key() + step[len(CANARY) * 19 :][:14] + talk[:73]


class Bytes:
    name = "handshake"

    def encode(self) -> bytes:
        return CANARY


class Sub(Handshake):
    def encode(self) -> bytes:
        return CANARY


CONTENT = [CANARY, Bytes(), Sub(INFOHASH, OURS), Announce("h", "/", INFOHASH, OURS, 9, 1, "stopped", 1), None]


@pytest.mark.parametrize("content", CONTENT)
def test_nothing_but_the_closed_set_can_be_wrapped(content: Any) -> None:
    with pytest.raises(TypeError):
        Encrypted(content, bytes(20), 0)
    with pytest.raises(TypeError):
        MseProof(bytes(96), content, 3, 0)


def test_the_other_fields_hold_no_content() -> None:
    hello = Handshake(INFOHASH, OURS)
    with pytest.raises(TypeError):
        MseProof(bytes(96), ExtensionHandshake(), 3, 0)  # type: ignore[arg-type]
    for wrong in (
        (CANARY, hello, 3, 0),
        (bytes(96), hello, 4, 0),
        (bytes(96), hello, 0, 0),
        (bytes(96), hello, 3, 513),
    ):
        with pytest.raises(ValueError, match=r"proof|PadC"):
            MseProof(*wrong)
    for key, at in ((CANARY, 0), (bytes(20), -1)):
        with pytest.raises(ValueError, match="key of a stream"):
            Encrypted(hello, key, at)
    with pytest.raises(ValueError, match="32 bytes"):
        MseKey(CANARY)
    assert CANARY not in MseKey((CANARY * 2)[:32]).encode()
    assert Encrypted(hello, bytes(20), 5).name == hello.name
    assert [len(Encrypted(m, bytes(20), 5).encode()) for m in (hello, ExtensionHandshake())] == [68, 30]


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 5), st.lists(st.binary(max_size=80), max_size=12), st.sampled_from([PLAIN, RC4]), st.booleans())
def test_whatever_comes_in_it_ends_and_is_accounted_for(
    stage: int, parts: list[bytes], choose: int, closes: bool
) -> None:
    other, one = Responder(INFOHASH, pad_b=b"x" * 40), Play()
    other.choose = choose
    told = b""
    if stage:
        told = other.key()
        one.give(told)
    if stage > 1:
        step = other.prove(one.sent)
        told += step[: {2: 20, 3: 50, 4: 54}.get(stage, len(step))]
        one.give(told[96:])
    for part in parts:
        data = other.says(part) if stage == 5 else part
        told += data
        one.give(data)
    if closes:
        one.events += one.talk.closed(one.now)
    one.wait()
    assert sum(isinstance(e, Send) for e in one.events) <= 3
    kept = decode(one.end.transcript)
    stored = b"".join(s.data for s in kept if s.kind is Kind.RECEIVED)
    assert len(stored) <= len(told)
    assert stored[: min(96, len(stored))] == told[: min(96, len(stored))]
    describe(one.end.transcript, {INFOHASH: "W-1"})
    describe(one.end.transcript, {})
    assert one.talk.receive(b"more", one.now) == one.talk.tick(one.now + 100 * SECOND) == one.talk.closed(one.now) == []


def test_a_transcript_that_is_none_of_mse_is_said_to_be() -> None:
    _, segments, _ = plainly()
    with pytest.raises(Damaged):
        plaintext(segments, INFOHASH)
    with pytest.raises(Damaged):
        plaintext(decode(run(Responder(INFOHASH)).end.transcript), b"\x55" * 20)
    forged = decode(run(Responder(INFOHASH)).end.transcript)
    gap = Segment(Kind.RECEIVED_LEFT_OUT, forged[-1].at_ns, 1 << 40, label="forged")
    with pytest.raises(Damaged):
        plaintext([*forged, gap, Segment(Kind.RECEIVED, forged[-1].at_ns, 1, b"x")], INFOHASH)


def test_an_mse_transcript_reads_line_by_line() -> None:
    said = ANSWER + BITFIELD
    one = run(Responder(INFOHASH, pad_b=b"12"), said)
    lines = describe(one.end.transcript, {b"\x01" * 20: "W-9", INFOHASH: "W-1"})
    words = [line.split(" s ", 1)[1] for line in lines]
    assert words[1:3] == ["<< MSE: its key", ">> MSE: proof that we know the infohash W-1"]
    assert words[3].startswith(">> handshake, ")
    assert words[4] == "<< MSE: 2 bytes of padding, proof that it knew the infohash"
    assert words[5] == "<< MSE: it chose RC4, 0 bytes of padding"
    assert words[6].startswith("<< handshake, ")
    assert words[7:] == [">> extension handshake {m={}, upload_only=1}", "<< bitfield of 2 bytes, 7 pieces claimed"]
    unknown = describe(run(Responder(INFOHASH)).end.transcript, {b"\x01" * 20: "W-9"})
    assert "that is not known here" in unknown[2]
    assert "cannot be read" in unknown[3]
    assert not any(INFOHASH.hex() in line for line in (*lines, *unknown))


# libtorrent ---------------------------------------------------------------------------------------------------------

POLICY, LEVEL = lt.enc_policy, lt.enc_level


@pytest.fixture(scope="module")
def torrent(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    folder = tmp_path_factory.mktemp("torrent")
    return make_torrent(folder), folder


def seeder(torrent: tuple[Any, Path], **other: Any) -> tuple[Any, Any]:
    session = lt.session({**SETTINGS, "listen_interfaces": "127.24.0.2:0", **other})
    wanted = lt.add_torrent_params()
    wanted.ti, wanted.save_path = torrent[0], str(torrent[1])
    handle = session.add_torrent(wanted)
    deadline = time.monotonic() + 20
    while not (handle.status().is_seeding and session.is_listening()) and time.monotonic() < deadline:
        time.sleep(0.02)
    return session, handle


def converse(talk: Conversation, port: int) -> Sighted:
    """A wire of one connection, blocking."""
    with socket.create_connection(("127.24.0.2", port), timeout=5) as line:
        events = talk.opened(time.monotonic_ns())
        while True:
            for event in events:
                if isinstance(event, Sighted):
                    return event
                line.sendall(event.message.encode())
            now = time.monotonic_ns()
            line.settimeout(max(0.001, (talk.wake_ns - now) / 1e9))
            try:
                data = line.recv(65536)
                now = time.monotonic_ns()
                events = talk.receive(data, now) if data else talk.closed(now)
            except TimeoutError:
                events = talk.tick(time.monotonic_ns())
            except ConnectionResetError:
                events = talk.closed(time.monotonic_ns())


@pytest.mark.parametrize(
    ("level", "provide", "transport"),
    [
        (LEVEL.pe_rc4, PLAIN | RC4, "mse-rc4/tcp"),
        (LEVEL.pe_plaintext, PLAIN | RC4, "mse-plain/tcp"),
        (LEVEL.pe_both, RC4, "mse-rc4/tcp"),
        (LEVEL.pe_both, PLAIN, "mse-plain/tcp"),
    ],
)
def test_libtorrent_that_speaks_nothing_else(
    torrent: tuple[Any, Path], level: Any, provide: int, transport: str
) -> None:
    info, _ = torrent
    session, handle = seeder(
        torrent, in_enc_policy=int(POLICY.pe_forced), out_enc_policy=int(POLICY.pe_forced),
        allowed_enc_level=int(level), prefer_rc4=level == LEVEL.pe_both,
    )  # fmt: skip
    infohash, pieces = bytes.fromhex(str(info.info_hash())), info.num_pieces()
    first = -(-NAMES["a.bin"] // PIECE)
    target = Target("W-1", infohash, (infohash,), OURS, pieces=pieces, inner=range(first, first + 10))

    def inner(tape: Tape) -> Conversation:
        return PeerConversation(target, LIMITS, tape)

    for number in range(3):
        entropy = random.Random(number).randbytes(32)
        talk = MseConversation(target, LIMITS, inner, Transcript(), entropy, "tcp", provide)
        end = converse(talk, session.listen_port())
        contact = end.finding
        assert isinstance(contact, Contact)
        assert (contact.missing, contact.answered, contact.transport) == (None, True, transport)
        assert (contact.claim, contact.inner_claimed, contact.pieces_claimed) == (Claim.WATCHED_FILE, 10, pieces)
        assert contact.client is not None
        assert contact.client.startswith("libtorrent")
        inside = plaintext(decode(end.transcript), infohash)
        received = b"".join(s.data for s in inside if s.kind is Kind.RECEIVED)
        assert received[:20] == PROTOCOL
        assert received[28:48] == infohash
        assert (infohash in end.transcript) == (transport == "mse-plain/tcp"), "RC4 hides it"
        again = MseConversation(target, LIMITS, inner, Transcript(), entropy, "tcp", provide)
        assert replayed(again, decode(end.transcript)) == contact
        plain = converse(PLUGIN.contact(target, LIMITS, "tcp", entropy), session.listen_port()).finding
        assert isinstance(plain, Contact)
        assert not plain.answered, "it speaks nothing else"
    assert handle.status().total_payload_upload == 0
    session.pause()


def replayed(talk: Conversation, segments: list[Segment]) -> Contact:
    """The finding again, from the transcript alone: zeros stand for padding."""
    events = talk.opened(segments[0].at_ns)
    for one in segments:
        if one.kind in RECEIVED:
            events += talk.receive(one.data or bytes(one.length), one.at_ns)
    events += talk.closed(segments[-1].at_ns)
    end = events[-1]
    assert isinstance(end, Sighted)
    assert isinstance(end.finding, Contact)
    return end.finding


def test_libtorrent_without_mse_is_a_peer_without_a_key(torrent: tuple[Any, Path]) -> None:
    session, _ = seeder(torrent, in_enc_policy=int(POLICY.pe_disabled))
    infohash = bytes.fromhex(str(torrent[0].info_hash()))
    target = replace(TARGET, infohash=infohash, accepted=(infohash,), pieces=torrent[0].num_pieces())
    contact = converse(PLUGIN.contact(target, LIMITS, "mse/tcp", ENTROPY), session.listen_port()).finding
    assert isinstance(contact, Contact)
    assert contact.missing == Missing(Reason.UNREADABLE, "no MSE: the peer closed before its key")
    session.pause()


def test_sendables_have_names_for_the_account() -> None:
    messages: list[Sendable] = [MseKey(ENTROPY), MseProof(bytes(96), Handshake(INFOHASH, OURS), 3, 0)]
    assert [m.name for m in messages] == ["mse key", "mse proof"]
