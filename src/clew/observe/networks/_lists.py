"""Lists of endpoints in compact form (BEP 23, 7, 5, 32, 11), and what is kept of a list for one endpoint in it.

A transcript that belongs to one endpoint says nothing of the others: they are left out, with their number of bytes.
"""

import ipaddress
from collections.abc import Iterable, Iterator
from typing import Any

from clew.observe.api import Listed
from clew.observe.transcript import Transcript

# BEP 23, BEP 7: an address of 4 or 16 bytes and a port of 2, both big-endian.
V4_BYTES, V6_BYTES = 6, 18
MAX_AROUND = 1024
MAX_KEY = 16
OTHERS, UNKEPT, AROUND = "other endpoints listed", "endpoints or fields not kept", "other fields of the reply"
NOBODY = frozenset(("0.0.0.0", "::"))  # noqa: S104 - compared with, never bound


def endpoint(data: bytes) -> tuple[str, int]:
    """Address and port of one compact endpoint."""
    return packed_address(data[:-2]), int.from_bytes(data[-2:], "big")


def packed_address(data: bytes) -> str:
    """An address of 4 or 16 bytes."""
    return _written(ipaddress.ip_address(data))


def address(text: str) -> str:
    """An address that a list names in words, in the one way in which we write it. Raises ValueError for any other.

    A zone (RFC 4007 section 11) means something on the machine that wrote it alone, and is any text at all.
    """
    if "%" in text:
        raise ValueError("an address with a zone")
    return _written(ipaddress.ip_address(text))


def _written(found: ipaddress.IPv4Address | ipaddress.IPv6Address) -> str:
    """IPv4-mapped addresses (RFC 4291 section 2.5.5.2) are the IPv4 ones: the system dials those, and so must the
    allow-list, the Mandate, the revisit interval and the registers know them.
    """
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return str(mapped or found)


def compact(value: bytes, width: int, start: int) -> tuple[list[Listed], int]:
    """Compact endpoints that stand at `start` in the reply, and how many are none (cut short, or of port 0)."""
    whole = len(value) - len(value) % width
    found, unusable = [], int(whole != len(value))
    for at in range(0, whole, width):
        address, port = endpoint(value[at : at + width])
        if port:
            found.append(Listed(address, port, start + at, start + at + width))
        else:
            unusable += 1
    return found, unusable


def unkept(members: Iterable[tuple[bytes, Any, slice]], kept: frozenset[bytes]) -> Iterator[slice]:
    """Where the bytes stand that nobody needs, of a dictionary's members: what strings and lists hold, and keys too
    long to be any. The lengths of strings stay, so that the rest can be read as it was.
    """
    for key, value, place in members:
        if key in kept or isinstance(value, int):
            continue
        if len(key) > MAX_KEY:
            yield slice(place.start - len(key), place.start)
        yield payload(value, place)


def payload(value: Any, place: slice) -> slice:
    """Where a string's own bytes stand, without their length before them; of any other value, all of it."""
    return slice(place.stop - len(value), place.stop) if isinstance(value, bytes) else place


def redact(own: Transcript, body: bytes, hidden: Iterable[slice], one: Listed, now_ns: int) -> None:
    """Writes `body` down as received, what is `hidden` left out but for the one endpoint.

    Of more than a list needs around its endpoints, only the length is kept.
    """
    at = 0
    for place in sorted(hidden, key=lambda each: each.start):
        _keep_short(own, body[at : place.start], now_ns)
        if place.start <= one.start < place.stop:
            _leave_out(own, one.start - place.start, now_ns)
            own.received(body[one.start : one.stop], now_ns)
            _leave_out(own, place.stop - one.stop, now_ns)
        else:
            _leave_out(own, place.stop - place.start, now_ns, UNKEPT)
        at = place.stop
    _keep_short(own, body[at:], now_ns)


def _keep_short(own: Transcript, part: bytes, now_ns: int) -> None:
    if len(part) > MAX_AROUND:
        own.left_out(AROUND, len(part), now_ns)
    elif part:
        own.received(part, now_ns)


def _leave_out(own: Transcript, length: int, now_ns: int, what: str = OTHERS) -> None:
    if length:
        own.left_out(what, length, now_ns)
