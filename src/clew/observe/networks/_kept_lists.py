"""A list as it is kept for one endpoint, read again: what it names, by the very decoder that read the whole of it.

Zeros stand in for what was left out of a string: endpoints of port 0, which are none. Where a whole bencoded value was
left out (a list, or a part of one), another value of the same length stands in.
"""

import re

from clew.core import bencode
from clew.core.errors import Damaged
from clew.observe.api import Listed
from clew.observe.networks import _pex
from clew.observe.networks._dht import values
from clew.observe.networks._filled import value
from clew.observe.networks._lists import AROUND, OTHERS, UNKEPT, V4_BYTES, V6_BYTES, address, compact
from clew.observe.networks._messages import EXTENDED
from clew.observe.networks._tracker import endpoints, tracker
from clew.observe.networks._udp_messages import ANNOUNCE
from clew.observe.networks._udp_tracker import ANNOUNCED
from clew.observe.transcript import Kind, Segment

HINT = "look at the sighting's other fields"
GOSSIP = bytes((EXTENDED, _pex.UT_PEX))
PEX_HEAD = 6  # length, type, and id of the extension (BEP 10)


MOST = 1 << 20
NUMBER_BYTES = 4
LENGTH = re.compile(rb"([0-9]{1,6}):$")  # of a bencoded string, before its bytes
WORDS = re.compile(rb"([0-9]{1,2}):")
LISTS = (b"5:peers", b"6:peers6")  # BEP 3: a list of dictionaries in place of a compact string


def listed(segments: list[Segment], source: str) -> list[tuple[str, int]] | None:
    """The endpoints in it; port 0 where the address alone was kept. None where too much around it was left out.

    Raises Damaged where it is no such list.
    """
    reply = _reply(segments)
    if sum(each.length for each in reply) > MOST:
        raise Damaged("the list that was kept is longer than any that is read", HINT)
    if any(each.label == AROUND for each in reply):
        return None
    try:
        if reply and reply[0].data[4:PEX_HEAD] == GOSSIP:
            found = _pex.gossip(b"", _bencoded(_without(reply, PEX_HEAD)), 0).listed
        elif source.startswith("udp://"):
            found = _of_udp(b"".join(each.data or bytes(each.length) for each in reply), source)
        elif source.startswith("dht://"):
            found = _of_dht(_bencoded(reply))
        else:
            return _of_http(reply)
    except bencode.Malformed as error:
        raise Damaged(f"the list that was kept cannot be read: {error}", HINT) from error
    return [(each.address, each.port) for each in found]


def _reply(segments: list[Segment]) -> list[Segment]:
    """What came in after the last thing that we sent."""
    sent = [n for n, s in enumerate(segments) if s.kind in (Kind.SENT, Kind.SENT_LEFT_OUT)]
    return [s for s in segments[max(sent, default=-1) + 1 :] if s.kind in (Kind.RECEIVED, Kind.RECEIVED_LEFT_OUT)]


def _without(reply: list[Segment], head: int) -> list[Segment]:
    """The reply from byte `head` on, which stands in its first segment."""
    rest = reply[0].data[head:]
    return [Segment(Kind.RECEIVED, reply[0].at_ns, len(rest), rest), *reply[1:]]


def _of_udp(data: bytes, source: str) -> tuple[Listed, ...]:
    if int.from_bytes(data[:4], "big") != ANNOUNCE or len(data) < ANNOUNCED:
        raise Damaged("the list that was kept is no answer to an announce", HINT)
    width = V6_BYTES if ":" in tracker(source).host else V4_BYTES
    return tuple(compact(data[ANNOUNCED:], width, ANNOUNCED)[0])


def _of_dht(data: bytes) -> tuple[Listed, ...]:
    reply, place = bencode.dictionary(data).get(b"r", (None, slice(0)))
    if not isinstance(reply, dict):
        raise Damaged("the list that was kept is no answer of a node", HINT)
    return tuple(values(data, list(bencode.members(data, place.start)))[0])


def _of_http(reply: list[Segment]) -> list[tuple[str, int]]:
    """The body, after the head (RFC 9112 section 2.1)."""
    end = reply[0].data.find(b"\r\n\r\n") if reply else -1
    if end < 0:
        raise Damaged("the list that was kept is no HTTP reply", HINT)
    body = _without(reply, end + 4)
    for before, hole, kept in zip(body, body[1:], body[2:], strict=False):
        if hole.label == OTHERS and before.data.endswith(LISTS):
            return [_in_words(kept.data)]
    whole = _bencoded(body)
    return [(each.address, each.port) for each in endpoints(bencode.dictionary(whole), whole)[0]]


def _in_words(data: bytes) -> tuple[str, int]:
    """Of a list of dictionaries the address alone is kept: its string, with its length before it."""
    length = WORDS.match(data)
    try:
        if length is None or len(data) != length.end() + int(length[1]):
            raise ValueError("no string")
        return address(data[length.end() :].decode("ascii")), 0
    except ValueError as error:
        raise Damaged("the list that was kept holds no address", HINT) from error


def _bencoded(reply: list[Segment]) -> bytes:
    """The reply, with something of the same length and form in each gap."""
    out, in_list = bytearray(), False
    for number, each in enumerate(reply):
        if each.data:
            out += each.data
        elif each.label == UNKEPT:
            length = LENGTH.search(out[-8:])
            whole = length is None or int(length[1]) != each.length
            # No two alike, for a key may stand here; within an endpoint, its port stays 0.
            out += (
                value(each.length)
                if whole
                else number.to_bytes(NUMBER_BYTES, "big").ljust(each.length, b"\0")[: each.length]
            )
        elif in_list:
            out += _items(each.length - 1) + b"e"
        elif out.endswith(b"6:values"):  # BEP 5: a list of strings, and the one that is kept is none of the first
            in_list = True
            out += b"l" + _items(each.length - 1)
        else:
            out += bytes(each.length)
    return bytes(out)


def _items(length: int) -> bytes:
    return value(length) if length else b""
