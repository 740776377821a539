"""Whom a peer tells of: one ut_pex message (BEP 11), read like a tracker's list, and as little believed.

Endpoints that were dropped are not read. What is kept for an endpoint is the message with all others left out.
"""

from typing import Any

from clew.core import bencode
from clew.model import Missing, Reason
from clew.observe.api import Listed, Listing
from clew.observe.networks._lists import V4_BYTES, V6_BYTES, compact, redact, unkept
from clew.observe.transcript import Transcript

NAME = "peer exchange"
UT_PEX = 1  # the id under which our extension handshake offers it (BEP 10, "m"): peers send it by this one
# BEP 11: 50 endpoints in a message, and more in the first alone, which is the one that we read.
MOST = 200
ADDED = ((b"added", V4_BYTES), (b"added6", V6_BYTES))


def gossip(header: bytes, message: bytes, now_ns: int) -> Listing:
    """Reads the message's dictionary. `header` is what came before it: length, type, and id of the extension."""
    try:
        found = bencode.dictionary(message)
    except bencode.Malformed as error:
        return Listing(missing=Missing(Reason.UNPARSABLE, f"{NAME}: {error}"))
    listed: list[Listed] = []
    unusable = 0
    for key, width in ADDED:
        value, place = found.get(key, (b"", slice(0)))
        if isinstance(value, bytes):
            some, bad = compact(value, width, place.stop - len(value))
            listed, unusable = listed + some, unusable + bad
        else:
            unusable += 1
    hidden = _hidden(found)

    def proof(one: Listed) -> bytes:
        own = Transcript()
        own.received(header, now_ns)
        redact(own, message, hidden, one, now_ns)
        return own.encode()

    return Listing(tuple(listed[:MOST]), unusable + max(0, len(listed) - MOST), proof=proof)


def _hidden(found: dict[bytes, tuple[Any, slice]]) -> list[slice]:
    return list(unkept(((key, value, place) for key, (value, place) in found.items()), frozenset()))
