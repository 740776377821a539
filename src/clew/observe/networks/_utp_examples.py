"""Benign scripts over uTP for the contract test, whose clock shows 1 microsecond at first and one more a datagram."""

import hashlib

from clew.model import Claim
from clew.observe.api import ENTROPY_BYTES, REFUSED, Example, Target
from clew.observe.networks import _utp_packets as p
from clew.observe.networks._messages import PROTOCOL, ExtensionHandshake, Handshake
from clew.observe.networks._utp import WINDOW

_INFOHASH, _OURS, _THEIRS = b"\x11" * 20, b"-CW0100-exampleOURS0", b"-qB4520-exampleTHEM0"
_TARGET = Target("W-1", _INFOHASH, (_INFOHASH,), _OURS, pieces=12, inner=range(2, 9))
_DRAWN = hashlib.sha256(b"uTP" + bytes(range(ENTROPY_BYTES))).digest()  # as `_utp` draws it of the test's entropy
_ID, _SYN = int.from_bytes(_DRAWN[:2], "big"), int.from_bytes(_DRAWN[2:4], "big")
_FIRST = 65_535  # the peer's numbers begin here and so wrap around
_OFFER = ExtensionHandshake().encode()
_ANSWER = PROTOCOL + bytes((0, 0, 0, 0, 0, 0x10, 0, 0)) + _INFOHASH + _THEIRS
_CLAIM = b"\x00\x00\x00\x1b\x14\x00d1:v17:qBittorrent/4.5.2e\x00\x00\x00\x03\x05\xff\xf0"


def _out(kind: int, micros: int, sent: int, ack: int, payload: bytes = b"") -> tuple[str, bytes]:
    """Ours: `sent` counts from the SYN. The peer's clock stands at zero, so the difference is the time."""
    header = p.Header(_ID + 1, micros, micros, WINDOW, _SYN + sent, ack % p.NUMBERS)
    return "out", header.encode(kind) + payload


def _in(kind: int, seq: int, ack: int, payload: bytes = b"") -> tuple[str, bytes]:
    return "in", p.Header(_ID, 0, 0, 1 << 16, seq % p.NUMBERS, _SYN + ack).encode(kind) + payload


_HELLO = (
    ("out", p.Header(_ID, 1, 0, WINDOW, _SYN, 0).encode(p.SYN)),
    _in(p.STATE, _FIRST, 0),
    _out(p.DATA, 2, 1, _FIRST - 1, Handshake(_INFOHASH, _OURS).encode()),
)

EXAMPLES = (
    Example(
        "a seeder over uTP, its numbers wrap around",
        _TARGET,
        (
            *_HELLO,
            _in(p.DATA, _FIRST, 1, _ANSWER),
            _out(p.DATA, 3, 2, _FIRST, _OFFER),
            _in(p.DATA, _FIRST + 1, 2, _CLAIM),
            _out(p.RESET, 4, 3, _FIRST + 1),
        ),
        {"claim": Claim.WATCHED_FILE, "client": "qBittorrent/4.5.2", "missing": None},
        "utp",
    ),
    Example(
        "packets in the wrong order, and one twice",
        _TARGET,
        (
            *_HELLO,
            _in(p.DATA, _FIRST + 1, 1, _CLAIM),
            ("out", p.Header(_ID + 1, 3, 3, WINDOW - len(_CLAIM), _SYN + 2, _FIRST - 1).encode(p.STATE)),
            _in(p.DATA, _FIRST + 1, 1, _CLAIM),
            _in(p.DATA, _FIRST, 1, _ANSWER),
            ("out", p.Header(_ID + 1, 5, 5, WINDOW - len(_CLAIM), _SYN + 2, _FIRST).encode(p.DATA) + _OFFER),
            _out(p.RESET, 5, 3, _FIRST + 1),
        ),
        {"claim": Claim.WATCHED_FILE, "inner_claimed": 7, "missing": None},
        "utp",
    ),
    *(
        Example(
            f"nobody there takes uTP ({transport})",
            _TARGET,
            (_HELLO[0], _in(p.RESET, 0, 0)),
            {"answered": False, "missing": REFUSED},
            transport,
        )
        for transport in ("utp", "mse/utp")
    ),
)
