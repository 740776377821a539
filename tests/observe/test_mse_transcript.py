"""What is kept of a conversation over MSE: readable with the infohash, and no content in any form."""

from typing import Any

import pytest
from mse_play import (
    ANSWER,
    BITFIELD,
    CANARY,
    ENTROPY,
    INFOHASH,
    OURS,
    RECEIVED,
    SAID,
    SENT,
    Play,
    joined,
    plainly,
    run,
)
from mse_responder import PLAIN, RC4, P, Responder, crypt, keystream, sha1

from clew.core.errors import Damaged
from clew.model import Missing, Reason
from clew.observe.networks._describe import describe
from clew.observe.networks._messages import Handshake
from clew.observe.networks._mse import CipherTape
from clew.observe.networks._mse_transcript import plaintext, reading
from clew.observe.transcript import Kind, Segment, Transcript, decode


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
        "<< bitfield of 2 bytes, 12 pieces claimed",
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
