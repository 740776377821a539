"""What a fake peer says: BitTorrent bytes (BEP 3, 6, 9, 10), sharing no code with the observer."""

import random
import socket
import struct
from dataclasses import dataclass

from clew.range.scenario import Holding, Party, Saying
from clew.range.sockets import Endpoint
from clew.range.torrents import Bencodable, Torrent, bencode

PROTOCOL = b"\x13BitTorrent protocol"
HANDSHAKE_BYTES = 68
CHOKE, UNCHOKE, INTERESTED, HAVE, BITFIELD, PIECE = 0, 1, 2, 4, 5, 7
HAVE_ALL, HAVE_NONE, EXTENDED = 0x0E, 0x0F, 20
UNKNOWN_MESSAGE = 0x63


@dataclass(frozen=True, slots=True)
class Caller:
    """What the handshake of the calling side said."""

    reserved: bytes
    infohash: bytes
    peer_id: bytes

    @property
    def fast(self) -> bool:
        """Fast extension offered."""
        return bool(self.reserved[7] & 0x04)

    @property
    def extended(self) -> bool:
        """Extension protocol offered."""
        return bool(self.reserved[5] & 0x10)


def read_handshake(data: bytes) -> Caller | None:
    """The 68 bytes taken apart, None where they are no BitTorrent handshake."""
    if len(data) < HANDSHAKE_BYTES or not data.startswith(PROTOCOL):
        return None
    return Caller(data[20:28], data[28:48], data[48:68])


def may_be_handshake(data: bytes | bytearray) -> bool:
    """Whether `data` begins as the 20 bytes do that every plaintext handshake begins with, as far as it goes."""
    return data[: len(PROTOCOL)] == PROTOCOL[: len(data)]


def message(kind: int, payload: bytes = b"") -> bytes:
    """One length-prefixed message."""
    return struct.pack(">IB", len(payload) + 1, kind) + payload


def handshake(reserved: bytes, infohash: bytes, peer_id: bytes) -> bytes:
    """The answering side's 68 bytes."""
    return PROTOCOL + reserved + infohash + peer_id


def bits(pieces: tuple[int, ...] | range, total: int) -> bytes:
    """A bitfield, high bit first, spare bits zero."""
    field = bytearray(-(-total // 8))
    for piece in pieces:
        field[piece // 8] |= 0x80 >> piece % 8
    return bytes(field)


def possession(holding: Holding, torrent: Torrent, *, fast: bool) -> bytes:
    """The messages that tell what is held; Fast ones only where both sides know them."""
    total = torrent.pieces
    nothing = message(HAVE_NONE) if fast else b""
    haves = b"".join(message(HAVE, struct.pack(">I", piece)) for piece in holding.pieces)
    said = {
        Saying.WHOLE: message(HAVE_ALL) if fast else message(BITFIELD, bits(range(total), total)),
        Saying.BITFIELD: message(BITFIELD, bits(holding.pieces, total)),
        Saying.HAVES: nothing + haves,
        Saying.NONE: nothing,
        Saying.EMPTY: message(BITFIELD, bits((), total)),
        Saying.WRONG_LENGTH: message(BITFIELD, b"\xff" * (total // 8 + 3)),
        # A whole number of bytes has no spare bits: one byte more then says the same untruth.
        Saying.SPARE_BITS: message(BITFIELD, b"\xff" * (-(-total // 8) + (total % 8 == 0))),
    }
    return said[holding.saying]


def extension_handshake(party: Party, torrent: Torrent, port: int, caller_address: str) -> bytes:
    """BEP 10's handshake as real clients fill it."""
    fields: dict[str, Bencodable] = {
        "m": {"ut_metadata": 2, "ut_pex": 1},
        "metadata_size": len(torrent.info),
        "reqq": 250,
        "yourip": bytes(int(part) for part in caller_address.split(".")),
    }
    if party.client.version:
        fields["v"] = party.client.version
    if party.client.port_told:
        fields["p"] = port
    return message(EXTENDED, b"\x00" + bencode(fields))


def compact(endpoints: list[Endpoint]) -> bytes:
    """6 bytes an endpoint, as trackers (BEP 23) and PEX (BEP 11) tell them."""
    return b"".join(socket.inet_aton(address) + port.to_bytes(2, "big") for address, port in endpoints)


def pex(number: int, added: list[Endpoint], rng: random.Random) -> bytes:
    """One ut_pex message (BEP 11), `number` being what the caller calls it: flags 0x10 reachable, 0x02 seed."""
    flags = bytes(0x10 | rng.choice((0x00, 0x02)) for _ in added)
    fields: dict[str, Bencodable] = {"added": compact(added), "added.f": flags, "dropped": b""}
    return message(EXTENDED, bytes((number,)) + bencode(fields))


def pushed(canary: bytes, rng: random.Random) -> bytes:
    """What nobody asked for: payloads in piece, ut_metadata and unknown messages, full of the run's canary."""
    block = canary * rng.randrange(4, 40)
    found = [
        message(PIECE, struct.pack(">II", rng.randrange(8), 0) + block),
        message(EXTENDED, b"\x02" + bencode({"msg_type": 1, "piece": 0, "total_size": len(block)}) + block),
        message(UNKNOWN_MESSAGE, block),
    ]
    rng.shuffle(found)
    return b"".join(found)


def answer(
    party: Party,
    holding: Holding,
    torrent: Torrent,
    caller: Caller,
    *,
    echo: bytes,
    peer_id: bytes,
    port: int,
    caller_address: str,
) -> bytes:
    """All that an answering party says before the canaries: handshake, extension handshake, possession, unchoke."""
    client = party.client
    said = handshake(client.reserved, echo, peer_id)
    if client.extended and caller.extended:
        said += extension_handshake(party, torrent, port, caller_address)
    said += possession(holding, torrent, fast=client.fast and caller.fast)
    return said
