"""What the hostile ones send, as bytes: whatever carries them. Every stream ends by the sender's patience alone.

All but the garbage begin with a true handshake, so that they are not refused before they can do harm.
"""

import random
import struct
from collections.abc import Iterator

from clew.range import fake
from clew.range.scenario import Holding, Manner, Saying
from clew.range.torrents import bencode

GIANT_LENGTH = 0x7FFFFFFF
CHUNK = 4096
MOST_CHUNKS = 4096  # 16 MiB: more than anybody may want to hold, and an end to it
PEX_ID = 1
PEERS_A_MESSAGE = 200  # BEP 11 allows 50 added
SECONDS_BETWEEN = {Manner.DRIP: 1.0, Manner.ENDLESS: 0.05, Manner.FLOOD: 0.05}


def stream(manner: Manner, hello: bytes, canary: bytes, rng: random.Random) -> Iterator[bytes]:
    """The chunks that a party of that manner sends; SECONDS_BETWEEN says how far apart. `hello`: its handshake."""
    if manner is Manner.GARBAGE:
        yield rng.randbytes(CHUNK) + canary
    elif manner is Manner.GIANT:
        yield hello + struct.pack(">IB", GIANT_LENGTH, fake.BITFIELD) + canary * CHUNK
    elif manner is Manner.DRIP:
        yield from (bytes((byte,)) for byte in hello + canary)
    elif manner is Manner.ENDLESS:
        yield hello + struct.pack(">IBB", GIANT_LENGTH, fake.EXTENDED, 0) + b"d1:m"
        yield from (b"d1:a" * (CHUNK // 4) for _ in range(MOST_CHUNKS))
    else:
        yield hello + fake.message(fake.EXTENDED, b"\x00" + bencode({"m": {"ut_pex": PEX_ID}}))
        yield from (_pex(rng) for _ in range(MOST_CHUNKS))


def shrunk(holding: Holding, visits: int) -> Holding:
    """What a party that lies about its pieces says at its next visit: one piece less than at the last, one at least."""
    return Holding(holding.torrent, Saying.BITFIELD, holding.pieces[: max(1, len(holding.pieces) - visits)])


def _pex(rng: random.Random) -> bytes:
    """One message of BEP 11 that names documentation addresses (RFC 5737), four times as many as it may."""
    added = b"".join(
        bytes((198, 51, 100, rng.randrange(256))) + rng.randrange(1, 65536).to_bytes(2, "big")
        for _ in range(PEERS_A_MESSAGE)
    )
    body = bencode({"added": added, "added.f": bytes(PEERS_A_MESSAGE), "dropped": b""})
    return fake.message(fake.EXTENDED, bytes((PEX_ID,)) + body)
