"""MSE that fails: who lies, who breaks off, who drips, and what is said of each."""

from collections.abc import Iterator
from typing import Any

import pytest
from mse_play import (
    ANSWER,
    BEGUN,
    ENTROPY,
    INFOHASH,
    LIMITS,
    RECEIVED,
    SAID,
    Play,
    run,
)
from mse_responder import P, Responder

from clew.model import Missing, Reason
from clew.observe.api import SECOND, Sighted
from clew.observe.networks._describe import describe
from clew.observe.networks._mse_messages import MseKey
from clew.observe.transcript import decode


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
