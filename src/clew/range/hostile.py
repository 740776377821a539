"""What the hostile ones say: pairs of (seconds to wait, bytes to say), some of them without end.

An endless one ends with its connection, and says so little at a time that even a caller who never reads costs little.
"""

import random
import struct
from collections.abc import Iterator

from clew.range import fake
from clew.range.clients import CLIENTS
from clew.range.scenario import Manner, Party
from clew.range.sockets import Endpoint
from clew.range.torrents import bencode

Lines = Iterator[tuple[float, bytes]]

CHUNK = 1 << 14
PAUSE = 0.1  # seconds between two chunks of what never ends
FLOOD_MESSAGES = 10
FLOOD_ENTRIES = 10_000
# Where a flood points: documentation addresses (RFC 5737), and a part of 127/8 where nobody is.
FLOOD_PREFIXES = ("192.0.2", "198.51.100", "203.0.113", "127.100.0", "127.100.1", "127.100.2")


def lines(party: Party, infohash: bytes, peer_id: bytes, canary: bytes, rng: random.Random) -> Lines:
    """What a hostile party says to a handshake."""
    hello = fake.handshake(party.client.reserved, infohash, peer_id)
    extending = fake.handshake(CLIENTS[0].reserved, infohash, peer_id)
    if party.manner is Manner.GIANT:
        yield 0.0, hello + struct.pack(">IB", 0x7FFFFFFF, fake.BITFIELD) + canary * 4096
    elif party.manner is Manner.DRIP:
        for at in range(len(extending + canary)):
            yield 1.0, (extending + canary)[at : at + 1]
    elif party.manner is Manner.MALFORMED:
        yield 0.0, extending + _malformed(canary, rng)
    elif party.manner is Manner.ENDLESS:
        yield 0.0, extending
        yield from _endless_dictionary(canary)
    elif party.manner is Manner.PEX_FLOOD:
        known = bencode({"m": {"ut_pex": 1}, "v": CLIENTS[0].version or ""})
        yield 0.0, extending + fake.message(fake.EXTENDED, b"\x00" + known)
    else:
        yield 0.0, rng.randbytes(4096) + canary


def flood(number: int, ports: tuple[int, ...], rng: random.Random) -> Lines:
    """ut_pex messages of 10,000 endpoints each, where BEP 11 allows 50."""
    for _ in range(FLOOD_MESSAGES):
        yield PAUSE, fake.pex(number, [nowhere(ports, rng) for _ in range(FLOOD_ENTRIES)], rng)


def endless_padding(rng: random.Random) -> Lines:
    """What follows the public key of MSE, where at most 512 bytes of padding may."""
    while True:
        yield PAUSE, rng.randbytes(CHUNK)


def nowhere(ports: tuple[int, ...], rng: random.Random) -> Endpoint:
    """An endpoint that somebody made up."""
    return f"{rng.choice(FLOOD_PREFIXES)}.{rng.randrange(1, 255)}", rng.choice(ports)


def _malformed(canary: bytes, rng: random.Random) -> bytes:
    """Messages whose length or content is none that their type may have, in any order."""
    found = [
        fake.message(fake.EXTENDED),
        fake.message(fake.EXTENDED, b"\x00d1:v99999:" + canary),
        fake.message(fake.EXTENDED, b"\x00d1:pi-00000000000000000000001ee"),
        fake.message(fake.HAVE, b"\x00\x00"),
        fake.message(fake.BITFIELD),
        fake.message(fake.HAVE_ALL, canary),
        fake.message(fake.UNCHOKE, canary),
    ]
    rng.shuffle(found)
    return b"".join(found)


def _endless_dictionary(canary: bytes) -> Lines:
    """First one that is deep as far as its message reaches, then one in a message that does not end within reason."""
    yield 0.0, fake.message(fake.EXTENDED, b"\x00" + b"d1:m" * 15_000)
    yield 0.0, struct.pack(">IBB", 0x00FFFFFF, fake.EXTENDED, 0) + b"d"
    while True:
        yield PAUSE, (b"%d:" % len(canary) + canary + b"i1e") * (CHUNK // (len(canary) + 6))
