"""What the examples of the capture plug-ins are made of: one benign conversation of two made-up peers, as frames."""

from clew.model import Claim, SightingKind
from clew.observe.captures._packets import ACK, FIN, SYN
from clew.observe.networks._messages import PROTOCOL
from clew.observe.taken import Watched

_INFOHASH = b"\x11" * 20
WATCHED = Watched("1" * 32, "W-1", (_INFOHASH,), (), 12, range(2, 9))
_START = 1_700_000_000_000_000_000
_OPENER, _ANSWERER = (b"\x7f\x0a\x00\x01", 40_000), (b"\x7f\x0a\x00\x02", 6_881)
_HELLO = PROTOCOL + bytes(8) + _INFOHASH


def _frame(side: int, sequence: int, flags: int, data: bytes = b"") -> bytes:
    source, target = (_OPENER, _ANSWERER) if side == 0 else (_ANSWERER, _OPENER)
    segment = source[1].to_bytes(2, "big") + target[1].to_bytes(2, "big") + sequence.to_bytes(4, "big") + bytes(4)
    segment += bytes((0x50, flags)) + bytes(6) + data
    packet = bytes((0x45, 0)) + (20 + len(segment)).to_bytes(2, "big") + bytes(4) + b"\x40\x06\0\0"
    return bytes(12) + b"\x08\x00" + packet + source[0] + target[0] + segment


def _talk() -> tuple[tuple[int, bytes], ...]:
    hello, answer = _HELLO + b"-TR3000-exampleOPEN0", _HELLO + b"-TR3000-exampleSEED0"
    bitfield, piece = b"\x00\x00\x00\x03\x05\xff\xf0", b"\x00\x00\x00\x0d\x07" + bytes(12)
    frames = [_frame(0, 99, SYN), _frame(1, 999, SYN | ACK), _frame(0, 100, ACK, hello)]
    frames += [_frame(1, 1068, ACK, bitfield + piece), _frame(1, 1000, ACK, answer)]  # out of order
    frames += [_frame(0, 168, FIN | ACK), _frame(1, 1092, FIN | ACK)]
    return tuple((_START + number * 1_000_000, frame) for number, frame in enumerate(frames))


PEER_FRAMES = _talk()
_COMMON = {"kind": SightingKind.CAPTURED, "watch": WATCHED.id, "returned": True, "transport": "tcp"}
PEER_EXPECTED = (
    _COMMON | {"address": "127.10.0.1", "port": 40_000, "source": "opened the flow", "claim": Claim.NOTHING_SAID},
    _COMMON | {"address": "127.10.0.2", "port": 6_881, "source": "answered", "claim": Claim.WATCHED_FILE},
)
