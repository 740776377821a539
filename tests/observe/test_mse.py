"""MSE against a responder of the tests' own: what is found over it is what is found without."""

import random
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mse_play import (
    ANSWER,
    BEGUN,
    BITFIELD,
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
from mse_responder import PLAIN, RC4, Responder

from clew.model import Claim, Missing, Reason
from clew.observe.api import SECOND, Contact, Send, Sighted, Tape, Target
from clew.observe.networks._describe import describe
from clew.observe.networks._messages import ExtensionHandshake, Handshake
from clew.observe.networks._mse import MseConversation
from clew.observe.networks._mse_transcript import plaintext
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


def test_the_same_entropy_is_the_same_conversation_and_another_is_another() -> None:
    assert run(Responder(INFOHASH)).end == run(Responder(INFOHASH)).end
    assert Play().sent != Play(entropy=bytes(32)).sent
    silent = Play()
    silent.wait()
    assert decode(silent.end.transcript)[0] == Segment(Kind.ENTROPY, BEGUN, 32, ENTROPY)


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
