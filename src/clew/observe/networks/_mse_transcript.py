"""MSE read from a transcript: which steps were taken, and the stream inside, decrypted by the entropy that it holds.

Pure: from the segments and the infohashes that could have been meant, nothing else. Where bytes were left out, zeros
stand for them, which can be no verification constant.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from clew.core.errors import Damaged
from clew.observe.api import ENTROPY_BYTES
from clew.observe.networks import _mse_keys as keys
from clew.observe.networks._mse_messages import IA_LENGTH_BYTES, PLAINTEXT, RC4, MseKey
from clew.observe.transcript import Kind, Segment

SENT = (Kind.SENT, Kind.SENT_LEFT_OUT)
RECEIVED = (Kind.RECEIVED, Kind.RECEIVED_LEFT_OUT)
STREAM = SENT + RECEIVED
KEY_BYTES = keys.KEY_BYTES
HASHES, VC, CHOICE = 20 + 20, len(keys.VC), 4 + 2
HEAD = keys.KEY_BYTES + keys.MAX_PAD + VC + CHOICE
Cipher = Callable[[bytes], bytes]
MAX_GAP = 1 << 24  # more than any conversation leaves out before it reads on


@dataclass(slots=True)
class Reading:
    """What a transcript says of MSE. Offsets count bytes of one direction; None where it did not come to that.

    `infohash` is the one that was asked for, where it is among those tried.
    """

    ours: int  # where our proof begins
    theirs: int | None = None  # where what follows their key begins
    infohash: bytes | None = None
    proof: int | None = None  # where their VC begins
    chosen: int | None = None
    pad_d: int = 0
    key_a: bytes = b""
    key_b: bytes = b""
    used_a: int = 0  # bytes of our RC4 stream that our proof used up, without its IA
    first: int = 0  # len(IA): what of the stream went out with our proof, as up to version 2 of the plug-in

    @property
    def agreed(self) -> bool:
        """Whether the other side chose a method that exists."""
        return self.chosen in (PLAINTEXT, RC4) and self.pad_d <= keys.MAX_PAD


def reading(segments: list[Segment], infohashes: Iterable[bytes]) -> Reading | None:
    """The steps of MSE that these segments hold; None where they do not begin with MSE."""
    entropy = next((s.data for s in segments if s.kind is Kind.ENTROPY), b"")
    sent, received = _head(segments, SENT, 2 * HEAD), _head(segments, RECEIVED, HEAD)
    if len(entropy) != ENTROPY_BYTES or not sent:
        return None
    key = MseKey(entropy).encode()
    if not sent.startswith(key):
        return None
    found = Reading(len(key))
    if len(received) < keys.KEY_BYTES:
        return found
    found.theirs, drawn = keys.KEY_BYTES, keys.drawn(entropy)
    try:
        secret = keys.agreed(drawn.private, received[: keys.KEY_BYTES])
    except ValueError:
        return found
    told = sent[len(key) + 20 : len(key) + HASHES]
    found.infohash = next((h for h in infohashes if keys.stream_hash(secret, h) == told), None)
    if found.infohash is not None:
        found.key_a, found.key_b = keys.key_a(secret, found.infohash), keys.key_b(secret, found.infohash)
        found.used_a = VC + 4 + 2 + drawn.pad_c + IA_LENGTH_BYTES
        begun = found.ours + HASHES
        proof = keys.rc4(found.key_a)(sent[begun : begun + found.used_a])
        found.first = int.from_bytes(proof[-IA_LENGTH_BYTES:], "big")
        _answer(found, received)
    return found


def plaintext(segments: list[Segment], infohash: bytes) -> list[Segment]:
    """The stream inside MSE: kinds, times and what was left out as they are.

    Raises Damaged where the segments do not begin with MSE for this infohash.
    """
    found = reading(segments, (infohash,))
    if found is None or found.infohash is None:
        raise Damaged("no MSE for this infohash in the transcript", "look at the sighting's other fields")
    return list(stream(segments, found))


def stream(segments: list[Segment], found: Reading) -> Iterator[Segment]:
    """The stream inside, of a transcript whose infohash is known."""
    plain, begun = found.chosen == PLAINTEXT, found.ours + HASHES + found.used_a
    sent = _Side(begun, keys.rc4(found.key_a, found.used_a), found.first if plain else None)
    received = None
    if found.proof is not None and found.agreed:
        used = VC + CHOICE + found.pad_d
        received = _Side(found.proof + used, keys.rc4(found.key_b, used), 0 if plain else None)
    for segment in segments:
        side = sent if segment.kind in SENT else received if segment.kind in RECEIVED else None
        inside = side.take(segment) if side is not None else None
        if inside is not None:
            yield inside


def cover(segments: list[Segment], found: Reading) -> Iterator[tuple[Segment, Cipher]]:
    """Each segment, with what encrypts other bytes in its place; those before the stream are not encrypted.

    Whoever takes a segment that was left out has to encrypt exactly as many bytes before taking the next one.
    """
    skip = 0
    cipher: Cipher = _clear
    if found.proof is not None and found.agreed and found.chosen == RC4:
        used = VC + CHOICE + found.pad_d
        skip, cipher = found.proof + used, keys.rc4(found.key_b, used)
    for segment in segments:
        before = min(skip, segment.length) if segment.kind in RECEIVED else segment.length
        skip -= before if segment.kind in RECEIVED else 0
        if before == segment.length:
            yield segment, _clear
        elif segment.kind is Kind.RECEIVED:
            cipher(segment.data[before:])
            yield segment, _clear
        else:
            yield segment, cipher


def _clear(data: bytes) -> bytes:
    return data


class _Side:
    """One direction: `skip` bytes that are not of the stream, then `under` bytes that are encrypted (None: all)."""

    def __init__(self, skip: int, cipher: Callable[[bytes], bytes], under: int | None) -> None:
        self._skip, self._cipher, self._under, self._gap = skip, cipher, under, 0

    def take(self, segment: Segment) -> Segment | None:
        """The part of the segment that is of the stream."""
        before = min(self._skip, segment.length)
        self._skip -= before
        length = segment.length - before
        if not length:
            return None
        if segment.kind in (Kind.SENT_LEFT_OUT, Kind.RECEIVED_LEFT_OUT):
            self._gap += length
            return replace(segment, length=length)
        return replace(segment, length=length, data=self._clear(segment.data[before:]))

    def _clear(self, data: bytes) -> bytes:
        if self._under is not None:
            part, self._under = data[: self._under], max(0, self._under - len(data))
            return self._cipher(part) + data[len(part) :]
        if self._gap > MAX_GAP:
            raise Damaged("a transcript reads on after too long a gap", "look at the sighting's other fields")
        self._cipher(bytes(self._gap))
        self._gap = 0
        return self._cipher(data)


def _answer(found: Reading, received: bytes) -> None:
    """Step 4: where their VC is, and what they chose."""
    open_ = keys.rc4(found.key_b)
    start = received.find(open_(keys.VC), keys.KEY_BYTES, HEAD - CHOICE)
    choice = received[start + VC : start + VC + CHOICE]
    if start < 0:
        return
    found.proof = start
    if len(choice) == CHOICE:
        plain = open_(choice)
        found.chosen = int.from_bytes(plain[:4], "big") & (PLAINTEXT | RC4)
        found.pad_d = int.from_bytes(plain[4:], "big")


def _head(segments: list[Segment], kinds: tuple[Kind, ...], most: int) -> bytes:
    """The first bytes of one direction, zeros for what was left out."""
    out = bytearray()
    for segment in segments:
        if segment.kind in kinds and len(out) < most:
            out += (segment.data or bytes(min(segment.length, most)))[: most - len(out)]
    return bytes(out)
