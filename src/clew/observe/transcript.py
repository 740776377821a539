r"""Transcripts: what went over one connection, segment by segment, as it is kept in a Sighting.

Format, version 2 (all that a reader without clew needs):

    header    3 bytes b"CT\x02", then the monotonic time of the first segment, 8 bytes, big-endian nanoseconds
    segment   1 byte kind, varint nanoseconds since the header's time, varint length, then
              kind 0 (sent) and 1 (received): `length` bytes
              kind 2 (sent, left out) and 3 (received, left out): `length` bytes are NOT stored; instead
              1 byte n and n bytes of UTF-8 saying what was left out
              kind 4 (sent, header) and 5 (received, header): `length` bytes around the stream, as a datagram's header
              kind 6 (entropy): `length` bytes that nobody saw, of which all that we drew at random was made
              kind 7 (end): length 0, then 1 byte n and n bytes of UTF-8: the conversation ended by time, closed by the
              other side, or ended by us for the reason that stands there; where it ended on what was said, this
              segment is not there

Version 1 has kinds 0 to 3 alone. Kinds 0 to 3 in order are the stream as it was on the wire: with MSE, ciphertext.
A varint is LEB128: seven bits a byte, lowest first, the top bit set on all but the last. What clew refuses to read
(payloads of pieces, metadata, unknown messages) is a segment of kind 3, so no byte of it can be stored. Received bytes
carry the time at which the message they belong to was complete; the transfer coding of an HTTP reply is already taken
off.
"""

from dataclasses import dataclass
from enum import IntEnum

from clew.core.errors import Damaged

MAGIC, MAGIC_1 = b"CT\x02", b"CT\x01"
HEADER_BYTES = len(MAGIC) + 8
LABEL_BYTES = 255
ONE_BYTE = tuple(bytes((value,)) for value in range(256))
TIME, CLOSED = "time", "closed"  # how a conversation ended, where neither what was said nor we ended it


class Kind(IntEnum):
    """What a segment is."""

    SENT = 0
    RECEIVED = 1
    SENT_LEFT_OUT = 2
    RECEIVED_LEFT_OUT = 3
    SENT_HEADER = 4
    RECEIVED_HEADER = 5
    ENTROPY = 6
    END = 7


STORED = (Kind.SENT, Kind.RECEIVED, Kind.SENT_HEADER, Kind.RECEIVED_HEADER, Kind.ENTROPY)


@dataclass(frozen=True, slots=True)
class Segment:
    """One segment: `data` is empty and `label` says what it was where the bytes were left out, or how all ended."""

    kind: Kind
    at_ns: int
    length: int
    data: bytes = b""
    label: str = ""


class Transcript:
    """Collects the segments of one connection. Neighbours of one kind and time become one segment.

    All are held as they are stored but the last, which may go on.
    """

    def __init__(self, entropy: bytes = b"") -> None:
        self._entropy = entropy
        self._done = bytearray()
        self._start_ns = 0
        self._open: Kind | None = None  # the kind of the last segment where it may go on, and its bytes
        self._data = bytearray()
        self._at_ns, self._after = -1, b""  # the time of the last segment, and how it is stored

    def sent(self, data: bytes, at_ns: int) -> None:
        """Bytes that we sent."""
        self._add(Kind.SENT, data, at_ns)

    def received(self, data: bytes, at_ns: int) -> None:
        """Bytes that came in and were read."""
        self._add(Kind.RECEIVED, data, at_ns)

    def left_out(self, label: str, length: int, at_ns: int, *, sent: bool = False) -> None:
        """Bytes of which only the number and this label are kept."""
        self._say(Kind.SENT_LEFT_OUT if sent else Kind.RECEIVED_LEFT_OUT, at_ns, length, label)

    def header(self, data: bytes, at_ns: int, *, sent: bool = False) -> None:
        """The header of a datagram; each is a segment of its own."""
        self._begin(at_ns)
        self._done += self._stored(Kind.SENT_HEADER if sent else Kind.RECEIVED_HEADER, data)

    def end(self, how: str, at_ns: int) -> None:
        """How the conversation ended, where what was said did not end it."""
        self._say(Kind.END, at_ns, 0, how)

    def copy(self) -> "Transcript":
        """A second one that begins with the same segments."""
        twin = Transcript(self._entropy)
        twin._done, twin._start_ns = self._done[:], self._start_ns
        twin._open, twin._data = self._open, self._data[:]
        twin._at_ns, twin._after = self._at_ns, self._after
        return twin

    def encode(self) -> bytes:
        """The stored form; empty bytes where nothing went over the connection."""
        return bytes(self._done if self._open is None else self._done + self._stored(self._open, self._data))

    def _add(self, kind: Kind, data: bytes, at_ns: int) -> None:
        if self._open is kind and self._at_ns == at_ns:
            self._data += data
            return
        self._begin(at_ns)
        self._open, self._data = kind, bytearray(data)

    def _say(self, kind: Kind, at_ns: int, length: int, label: str) -> None:
        text = label.encode()[:LABEL_BYTES]
        self._begin(at_ns)
        self._done += ONE_BYTE[kind] + self._after + _varint(length) + ONE_BYTE[len(text)] + text

    def _begin(self, at_ns: int) -> None:
        """Another segment begins, perhaps the first: the last one goes on no more."""
        if self._open is not None:
            self._done += self._stored(self._open, self._data)
            self._open = None
        elif not self._done:
            self._start_ns = at_ns
            self._done += MAGIC + at_ns.to_bytes(8, "big")
            if self._entropy:
                self._done += ONE_BYTE[Kind.ENTROPY] + ONE_BYTE[0] + _varint(len(self._entropy)) + self._entropy
        if at_ns != self._at_ns:
            self._at_ns, self._after = at_ns, _varint(max(0, at_ns - self._start_ns))

    def _stored(self, kind: Kind, data: bytes | bytearray) -> bytes:
        """A segment of the last time, as it is stored."""
        return ONE_BYTE[kind] + self._after + _varint(len(data)) + data


def decode(stored: bytes) -> list[Segment]:
    """The segments of a stored transcript. Raises Damaged where the bytes are not one."""
    if not stored:
        return []
    if stored[: len(MAGIC)] not in (MAGIC, MAGIC_1) or len(stored) < HEADER_BYTES:
        raise Damaged("this is not a clew transcript of version 1 or 2", "look at the sighting's other fields")
    start, at, found = int.from_bytes(stored[len(MAGIC) : HEADER_BYTES], "big"), HEADER_BYTES, []
    try:
        while at < len(stored):
            segment, at = _segment(stored, at, start)
            found.append(segment)
    except (IndexError, ValueError) as error:
        raise Damaged(f"a transcript breaks off at byte {at}", "look at the sighting's other fields") from error
    return found


def _segment(stored: bytes, at: int, start: int) -> tuple[Segment, int]:
    kind = Kind(stored[at])
    after, at = _read_varint(stored, at + 1)
    length, at = _read_varint(stored, at)
    if kind in STORED:
        if at + length > len(stored):
            raise ValueError("cut short")
        return Segment(kind, start + after, length, stored[at : at + length]), at + length
    end = at + 1 + stored[at]
    if end > len(stored):
        raise ValueError("cut short")
    return Segment(kind, start + after, length, label=stored[at + 1 : end].decode()), end


def _varint(value: int) -> bytes:
    if value < 0x80:
        return ONE_BYTE[value]
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _read_varint(stored: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = stored[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
        if shift > 63:
            raise ValueError("number too long")
