"""What is read of a capture, as the tests of captures ask for it: all findings, and the account."""

import io
from typing import Any

from capture_files import INFOHASH, OURS, THEIRS, A, B

from clew.core import plugins
from clew.model import Claim
from clew.observe.taken import Account, Finding, Watched, Watchlist

TWIN, OTHER = b"\x52" * 20, b"\x53" * 20
WATCHED = Watched("1" * 32, "W-1", (INFOHASH, TWIN), (TWIN + bytes(12),), 20, range(5, 15))
READERS = plugins.load_all("clew.observe.captures")


def read(data: bytes, *watched: Watched) -> tuple[list[Finding], Account]:
    plugin = next(each for each in READERS.values() if each.recognises(data[:4096]))
    account = Account()
    found = list(plugin.read(io.BytesIO(data), Watchlist(watched or (WATCHED,)), account))
    return found, account


def summary(found: list[Finding]) -> list[tuple[Any, ...]]:
    return [
        (f.address, f.port, f.transport, f.contact.claim, f.contact.pieces_claimed, f.contact.peer_id, f.returned)
        for f in found
        if f.contact is not None
    ]


def expected(carrier: str) -> list[tuple[Any, ...]]:
    return [
        (*A, carrier, Claim.WATCHED_FILE, 6, OURS, True),
        (*B, carrier, Claim.WATCHED_FILE, 20, THEIRS, True),
    ]
