"""A stored BitTorrent stream, one direction of it, message by message for a person, across what was left out."""

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from clew.core import bencode
from clew.observe.networks import _messages as m
from clew.observe.networks import _pex
from clew.observe.networks._filled import stand_in
from clew.observe.transcript import Segment

HASH, PEER_ID = slice(28, 48), slice(48, m.HANDSHAKE_BYTES)
Shown = Callable[[bytes], str]


class Words(NamedTuple):
    """A line, and the number of the segment in which its message was complete."""

    segment: int
    text: str


class Stream:
    """Neighbouring segments of one direction; what was left out stands in them as other bytes of the same form."""

    def __init__(self, segments: list[Segment], secrets: Mapping[bytes, str], shown: Shown) -> None:
        self._secrets, self._shown = secrets, shown
        self._data, self._ends = bytearray(), list[int]()
        self._gaps: dict[int, Segment] = {}
        for number, each in enumerate(segments):
            if each.label:
                self._gaps[len(self._data)] = each
            self._data += stand_in(each.label, each.length, number) if each.label else each.data
            self._ends.append(len(self._data))

    def lines(self) -> Iterator[Words]:
        """One line a message, and one for each part that was left out."""
        at = 0
        if self._data.startswith(m.PROTOCOL):
            yield self._at(m.HANDSHAKE_BYTES, self._handshake())
            at = m.HANDSHAKE_BYTES
        elif 0 not in self._gaps and not framed(bytes(self._data)):
            yield self._at(len(self._data), self._shown(bytes(self._data)))
            return
        while at < len(self._data):
            if at in self._gaps:
                stop = next(end for end in self._ends if end > at)
                yield self._at(stop, self._left_out(at))
            else:
                stop = at + 4 + int.from_bytes(self._data[at : at + 4], "big")
                yield from self._message(at, stop)
            at = stop

    def _at(self, stop: int, text: str) -> Words:
        """The line of what ends at this byte."""
        return Words(next((n for n, end in enumerate(self._ends) if end >= stop), len(self._ends) - 1), text)

    def _left_out(self, at: int) -> str:
        return f"[{self._gaps[at].length} bytes left out: {self._gaps[at].label}]"

    def _handshake(self) -> str:
        data = bytes(self._data[: m.HANDSHAKE_BYTES])
        if len(data) < HASH.stop:
            return f"handshake, reserved bits {data[20:28].hex()}, cut short"
        if HASH.start in self._gaps:
            return f"handshake, reserved bits {data[20:28].hex()}, {self._left_out(HASH.start)}"
        infohash = self._secrets.get(data[HASH], "of a control probe")
        return (
            f"handshake, reserved bits {data[20:28].hex()}, infohash {infohash}, peer id {self._shown(data[PEER_ID])}"
        )

    def _message(self, at: int, stop: int) -> Iterator[Words]:
        body = bytes(self._data[at + 4 : stop])
        if stop == at + 4:
            yield self._at(stop, "keep-alive")
            return
        handshake = body[:2] == bytes((m.EXTENDED, 0))
        inside = [place for place in self._gaps if at + 4 <= place < stop]
        found = self._extension(body[2:], at + 6) if handshake else None
        yield self._at(min(stop, *inside) if inside and found is None else stop, found or _message(body, bool(inside)))
        if found is None:
            yield from (self._at(place + 1, self._left_out(place)) for place in inside)

    def _extension(self, data: bytes, start: int) -> str | None:
        """An extension handshake, its keys and values as far as they are kept; None where it is no dictionary."""
        try:
            found = bencode.dictionary(data)
        except bencode.Malformed:
            return None
        pairs = []
        for key, (value, place) in found.items():
            if start + place.start - len(key) - len(b"%d:" % len(key)) in self._gaps:
                pairs.append("(a key and its value left out)")
            elif start + place.start in self._gaps:
                pairs.append(f"{self._shown(key)}=({place.stop - place.start} bytes left out)")
            else:
                pairs.append(f"{self._shown(key)}={self._value(value)}")
        return f"extension handshake {{{', '.join(pairs)}}}"

    def _value(self, value: object) -> str:
        if isinstance(value, bytes):
            return self._shown(value)
        if isinstance(value, dict):
            return "{" + ", ".join(f"{self._shown(k)}={self._value(v)}" for k, v in value.items()) + "}"
        return str(value)


def framed(data: bytes) -> bool:
    """Whether this may begin with a message of the peer protocol."""
    return len(data) >= 4 and int.from_bytes(data[:4], "big") <= m.MAX_BITFIELD + 1


def _message(body: bytes, gaps: bool) -> str:
    if not body:
        return "a message that is cut short"
    kind, rest = body[0], body[1:]
    name = m.message_name(kind)
    if kind == m.BITFIELD and not gaps:
        return f"bitfield of {len(rest)} bytes, {int.from_bytes(rest, 'big').bit_count()} pieces claimed"
    if kind == m.HAVE and not gaps:
        return f"have piece {int.from_bytes(rest, 'big')}"
    if kind == m.EXTENDED and rest:
        if not rest[0]:
            return "extension handshake (no dictionary)"
        return f"extended message {rest[0]}" + (f", {_pex.NAME}" if rest[0] == _pex.UT_PEX else "")
    return name
