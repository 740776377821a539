"""MSE: against a responder of the tests' own, and against whatever comes in."""

import random
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mse_play import (
    ANSWER,
    BEGUN,
    BITFIELD,
    CANARY,
    ENTROPY,
    INFOHASH,
    LIMITS,
    OURS,
    RECEIVED,
    SAID,
    SENT,
    TARGET,
    Play,
    joined,
    plainly,
    run,
)
from mse_responder import PLAIN, RC4, P, Responder, crypt, keystream, sha1

from clew.core.errors import Damaged
from clew.model import Claim, Missing, Reason
from clew.observe.api import SECOND, Contact, Send, Sighted, Tape, Target
from clew.observe.networks._describe import describe
from clew.observe.networks._messages import ExtensionHandshake, Handshake
from clew.observe.networks._mse import CipherTape, MseConversation
from clew.observe.networks._mse_messages import MseKey
from clew.observe.networks._mse_transcript import plaintext, reading
from clew.observe.networks._peer import PeerConversation
from clew.observe.transcript import Kind, Segment, Transcript, decode


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


@pytest.mark.parametrize(("choose", "said"), [(RC4, "handshake"), (PLAIN, "handshake"), (4, None)])
def test_our_peer_id_goes_to_nobody_who_has_not_proven_and_chosen(choose: int, said: str | None) -> None:
    other, one = Responder(INFOHASH, pad_b=b"12345", pad_d=b"123"), Play()
    other.choose = choose
    one.give(other.key())
    answer, before = other.prove(one.sent), len(one.sent)
    one.give(answer[:-1], *range(len(answer)))
    assert len(one.sent) == before, "it has not said all of its answer"
    assert [e.message.name for e in one.events if isinstance(e, Send)] == ["mse key", "mse proof"]
    one.give(answer[-1:])
    assert [e.message.name for e in one.events if isinstance(e, Send)][2:] == ([said] if said else [])
    other.hears(one.sent[before:])
    assert other.heard == (Handshake(INFOHASH, OURS).encode() if said else b"")
    one.wait()
    assert one.end.traffic.get("sent handshake", 0) == len(other.heard)
    assert (OURS in one.end.transcript) == (choose == PLAIN)


def test_who_gave_a_key_speaks_mse_and_who_gave_none_does_not() -> None:
    for key, shut in ((b"", True), (bytes(96), True), (Responder(INFOHASH).key(), False)):
        one = Play()
        one.give(key)
        if not any(isinstance(e, Sighted) for e in one.events):
            one.events += one.talk.closed(one.now)
        assert (one.contact.answered, one.contact.shut) == (False, shut)


@pytest.mark.parametrize("choose", [PLAIN, RC4])
def test_a_transcript_of_version_2_whose_proof_has_an_ia_is_still_read(choose: int) -> None:
    """Up to version 2 of the plug-in our handshake stood in the proof, encrypted whatever was chosen then."""
    other = Responder(INFOHASH, pad_b=b"B" * 9, pad_d=b"D" * 4)
    other.choose = choose
    one = run(other, ANSWER + BITFIELD)
    now = [s for s in decode(one.end.transcript) if s.kind is not Kind.END]
    _, proof, hello, _ = [s for s in now if s.kind is Kind.SENT]
    secret = pow(int.from_bytes(one.sent[:96], "big"), other.private, P).to_bytes(96, "big")
    key, said = sha1(b"keyA", secret, INFOHASH), Handshake(INFOHASH, OURS).encode()
    head = crypt(keystream(key), proof.data[40:])[:-2]
    sealed = proof.data[:40] + crypt(keystream(key), head + len(said).to_bytes(2, "big") + said)
    before = Transcript(ENTROPY)
    for each in now:
        if each.kind is Kind.SENT and each is not hello:
            before.sent(sealed if each is proof else each.data, each.at_ns)
        elif each.kind is Kind.RECEIVED:
            before.received(each.data, each.at_ns)
        elif each.label:
            before.left_out(each.label, each.length, each.at_ns)
    kept = decode(before.encode())
    assert joined(plaintext(kept, INFOHASH), *SENT) == joined(plaintext(now, INFOHASH), *SENT) == [other.heard]
    assert joined(plaintext(kept, INFOHASH), *RECEIVED) == joined(plaintext(now, INFOHASH), *RECEIVED)
    old, new = (
        sorted(line.split(" s ", 1)[1] for line in describe(each, {INFOHASH: "W-1"}))
        for each in (before.encode(), one.end.transcript)
    )
    assert [*old, "-- time was up"] == sorted(new, key=lambda words: words[0] == "-")


def test_the_same_entropy_is_the_same_conversation_and_another_is_another() -> None:
    assert run(Responder(INFOHASH)).end == run(Responder(INFOHASH)).end
    assert Play().sent != Play(entropy=bytes(32)).sent
    silent = Play()
    silent.wait()
    assert decode(silent.end.transcript)[0] == Segment(Kind.ENTROPY, BEGUN, 32, ENTROPY)


def test_a_longer_pad_than_allowed_is_no_proof() -> None:
    assert run(Responder(INFOHASH, pad_b=bytes(512))).contact.answered
    one = run(Responder(INFOHASH, pad_b=bytes(513)))
    assert not one.contact.answered
    assert one.contact.missing == Missing(Reason.LIMIT_REACHED, "no MSE: no proof within 520 bytes of its key")
    assert one.contact.transport == "mse/tcp"


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
        assert (one.contact.answered, one.contact.transport, one.contact.missing) == (False, "mse/tcp", missing)
        assert one.contact.peer_id is None
        assert any("<< MSE: " in line for line in describe(one.end.transcript, {INFOHASH: "W-1"}))


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
        assert one.now - BEGUN <= LIMITS.answer_ns + SECOND
    kept = decode(one.end.transcript)
    assert sum(s.length for s in kept if s.kind in RECEIVED) == length, "all that came is accounted for"
    lines = describe(one.end.transcript, {INFOHASH: "W-1"})
    assert "MSE: our key" in lines[0]
    assert any("infohash W-1" in line for line in lines) == (length >= 96)


def test_each_of_its_steps_has_the_time_of_an_answer() -> None:
    other, one = Responder(INFOHASH), Play()
    for step in (other.key, lambda: other.prove(one.sent) + other.says(SAID)):
        one.now += LIMITS.answer_ns - SECOND
        one.events += one.talk.tick(one.now)
        one.give(step())
    assert one.contact.answered
    assert one.contact.missing is None


@pytest.mark.parametrize("closes", [True, False])
def test_who_proves_and_chooses_and_then_says_nothing_has_the_time_of_an_answer(closes: bool) -> None:
    other, one = Responder(INFOHASH), Play()
    one.give(other.key())
    one.now += LIMITS.answer_ns - SECOND
    one.give(other.prove(one.sent))
    chosen = one.now
    assert one.talk.wake_ns == chosen + LIMITS.answer_ns
    if closes:
        one.events += one.talk.closed(one.now)
        assert one.contact.missing == Missing(Reason.UNREADABLE, "the peer closed before it answered")
    else:
        one.events += one.talk.tick(one.talk.wake_ns)
        assert one.contact.missing == Missing(Reason.LIMIT_REACHED, "no answer in time")
    assert (one.contact.answered, one.contact.transport, one.contact.shut) == (False, "mse-rc4/tcp", False)


class Talker:
    """An inner conversation that says three things, and never ends by itself."""

    held, wake_ns = 0, 1 << 62

    def __init__(self, tape: Tape) -> None:
        self._tape = tape

    def _says(self, *messages: Handshake | ExtensionHandshake) -> list[Any]:
        for message in messages:
            self._tape.sent(message.encode(), 5)
        return [Send(message) for message in messages]

    def opened(self, now_ns: int) -> list[Any]:
        return self._says(Handshake(INFOHASH, OURS))

    def receive(self, data: bytes, now_ns: int) -> list[Any]:
        return self._says(ExtensionHandshake(), ExtensionHandshake())

    def tick(self, now_ns: int) -> list[Any]:
        return []

    def closed(self, now_ns: int, why: Missing | None = None) -> list[Any]:
        return [Sighted(Contact(missing=why), self._tape.encode())]


def test_a_stream_goes_on_where_it_was_and_ends_with_the_time_of_one_contact() -> None:
    other = Responder(INFOHASH)
    talk = MseConversation(TARGET, LIMITS, Talker, Transcript(ENTROPY), ENTROPY, "utp")
    events = talk.opened(0) + talk.receive(other.key(), 1)
    sent = b"".join(e.message.encode() for e in events if isinstance(e, Send))
    more = talk.receive(other.prove(sent) + other.says(b"x"), 2)
    after = b"".join(e.message.encode() for e in more if isinstance(e, Send))
    other.hears(after)
    assert other.heard == Handshake(INFOHASH, OURS).encode() + ExtensionHandshake().encode() * 2
    assert talk.wake_ns == LIMITS.hold_ns
    [end] = talk.tick(LIMITS.hold_ns)
    assert isinstance(end, Sighted)
    slow = Missing(Reason.LIMIT_REACHED, "more time than one contact has")
    assert end.finding == Contact(missing=slow, transport="mse-rc4/utp")
    assert b"".join(s.data for s in decode(end.transcript) if s.kind is Kind.SENT) == sent + after


@pytest.mark.parametrize(("provide", "choose"), [(PLAIN, RC4), (RC4, PLAIN), (PLAIN, PLAIN), (RC4, RC4)])
def test_only_what_was_offered_can_be_chosen(provide: int, choose: int) -> None:
    other = Responder(INFOHASH)
    other.choose = choose
    talk = MseConversation(
        TARGET,
        LIMITS,
        lambda tape: PeerConversation(TARGET, LIMITS, tape),
        Transcript(ENTROPY),
        ENTROPY,
        "tcp",
        provide,
    )
    events = talk.opened(0) + talk.receive(other.key(), 1)
    sent = b"".join(e.message.encode() for e in events if isinstance(e, Send))
    events = talk.receive(other.prove(sent) + other.says(SAID), 2)
    assert other.offered == provide
    end = events[-1]
    assert isinstance(end, Sighted)
    assert isinstance(end.finding, Contact)
    assert end.finding.answered == (provide == choose)


def test_a_drip_ends_with_the_time_of_one_contact() -> None:
    other, one = Responder(INFOHASH), Play()
    for byte in other.key():
        one.now += SECOND
        one.events += one.talk.receive(bytes([byte]), one.now) + one.talk.tick(one.now)
    assert one.contact.missing == Missing(Reason.LIMIT_REACHED, "no MSE: its key did not come in time")
    assert one.now - BEGUN >= LIMITS.answer_ns
    late = Play()
    late.give(other.key())
    late.give(other.prove(late.sent) + other.says(ANSWER))
    while not any(isinstance(e, Sighted) for e in late.events):
        late.now += SECOND
        late.events += late.talk.receive(other.says(bytes(4)), late.now) + late.talk.tick(late.now)
    assert late.contact.answered
    assert late.now - BEGUN <= LIMITS.hold_ns + SECOND


def test_a_control_probe_works_and_can_be_read() -> None:
    fresh = b"\x99" * 20
    control = Target("W-1", fresh, (fresh,), OURS, control=True)
    one = run(Responder(fresh), ANSWER.replace(INFOHASH, fresh), target=control)
    assert one.contact.answered
    assert one.contact.transport == "mse-rc4/tcp"
    lines = describe(one.end.transcript, {INFOHASH: "W-1", fresh: "of a control probe"})
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
    assert sum(isinstance(e, Send) for e in one.events) <= 4
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
    other, one = Responder(INFOHASH, pad_b=bytes(513)), Play()
    one.give(other.key())
    step = other.prove(one.sent)
    one.give(step)
    padded = [s for s in decode(one.end.transcript) if s.kind is not Kind.RECEIVED_LEFT_OUT]
    found = reading([*padded, Segment(Kind.RECEIVED, one.now, len(step), step)], (INFOHASH,))
    assert found is not None
    assert (found.infohash, found.proof) == (INFOHASH, None), "a pad that the conversation refuses is refused here"
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
    assert words[3] == "<< MSE: 2 bytes of padding, proof that it knew the infohash"
    assert words[4] == "<< MSE: it chose RC4, 0 bytes of padding"
    assert words[5].startswith(">> handshake, ")
    assert words[6].startswith("<< handshake, ")
    assert words[7:] == [
        ">> extension handshake {m={}, upload_only=1}",
        "<< bitfield of 2 bytes, 7 pieces claimed",
        "-- time was up",
    ]
    unknown = describe(run(Responder(INFOHASH)).end.transcript, {b"\x01" * 20: "W-9"})
    assert "that is not known here" in unknown[2]
    assert "cannot be read" in unknown[3]
    assert not any(INFOHASH.hex() in line for line in (*lines, *unknown))


def test_ciphertext_that_is_left_out_before_it_came_is_left_out_when_it_comes() -> None:
    tape = Transcript()
    layer = CipherTape(tape)
    layer.came(b"0123")
    layer.received(b"ab", 1)
    layer.left_out("piece", 6, 1)
    layer.came(b"45")
    layer.came(b"6789")
    assert layer.pending == 2
    layer.received(b"yz", 1)
    assert [s.data or s.length for s in decode(tape.encode())] == [b"01", 6, b"89"]
