"""Transcripts with other bytes of the same length and form where some were left out, so that they can be played again.

Nothing is ever concluded from what was left out, so the finding stays the same: within an extension handshake bencoded
values stand in, everywhere else zeros. Inside MSE they are encrypted as the stream around them is.
"""

from collections.abc import Iterator
from dataclasses import replace

from clew.core.errors import Damaged
from clew.observe.networks import _mse_transcript as mse
from clew.observe.networks._peer import LEFT_OUT_KEY, LEFT_OUT_VALUE
from clew.observe.transcript import Kind, Segment

MOST = 1 << 16  # a peer says of what length it is; after so much that is left out nothing is read any more
STAND_IN_KEY = b"8:%08d"  # unlike any key that a peer uses, and a new one each time


def filled(segments: list[Segment], infohash: bytes) -> list[Segment]:
    """The segments, all of them with their bytes."""
    found = mse.reading(segments, (infohash,))
    inside = found is not None and found.infohash is not None
    cover = mse.cover(segments, found) if found is not None and inside else _uncovered(segments)
    out = []
    for number, (segment, encrypt) in enumerate(cover):
        if segment.kind is Kind.RECEIVED_LEFT_OUT:
            data = encrypt(stand_in(segment.label, segment.length, number))
            out.append(replace(segment, kind=Kind.RECEIVED, data=data, label=""))
        else:
            out.append(segment)
    return out


def stand_in(label: str, length: int, number: int) -> bytes:
    """Bytes in place of `length` that were left out as `label`; `number` is one that no other place has."""
    if label == LEFT_OUT_VALUE:
        return value(length)
    if label == LEFT_OUT_KEY:
        key = STAND_IN_KEY % number
        return key + value(length - len(key))
    return bytes(min(length, MOST))


def _uncovered(segments: list[Segment]) -> Iterator[tuple[Segment, mse.Cipher]]:
    return ((segment, bytes) for segment in segments)


def value(length: int) -> bytes:
    """One bencoded value of exactly this length: a string, or one in a list where no string has it.

    Raises Damaged where no value is that short.
    """
    if length < 2:
        raise Damaged("what was left out is too short for what it is said to be", "look at the sighting's other fields")
    for digits in range(1, len(str(length)) + 1):
        rest = length - digits - 1
        if rest >= 0 and len(str(rest)) == digits:
            return b"%d:%s" % (rest, bytes(rest))
    return b"l" + value(length - 2) + b"e"
