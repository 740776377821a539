"""What a fake peer says: BitTorrent bytes (BEP 3, 6, 9, 10), sharing no code with the observer."""

import random
import socket
import struct
from dataclasses import dataclass
from functools import lru_cache

from clew.range.clients import Client
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
    total, nothing = torrent.pieces, message(HAVE_NONE) if fast else b""
    match holding.saying:
        case Saying.WHOLE if fast:
            return message(HAVE_ALL)
        case Saying.HAVES:
            return nothing + _haves(holding.pieces)
        case Saying.LAZY:
            told, left_out = holding.pieces[holding.gaps :], holding.pieces[: holding.gaps]
            return message(BITFIELD, bits(told, total)) + _haves(left_out)
        case Saying.NONE:
            return nothing
        case saying:
            return message(BITFIELD, _bitfield(saying, holding, total))


def _haves(pieces: tuple[int, ...]) -> bytes:
    return b"".join(message(HAVE, struct.pack(">I", piece)) for piece in pieces)


def _bitfield(saying: Saying, holding: Holding, total: int) -> bytes:
    """What one of those that send a bitfield has in it."""
    match saying:
        case Saying.WRONG_LENGTH:
            return b"\xff" * (total // 8 + 3)
        case Saying.SPARE_BITS:  # a whole number of bytes has none: one byte more then says the same untruth
            return b"\xff" * (-(-total // 8) + (total % 8 == 0))
        case Saying.WHOLE:
            return bits(range(total), total)
        case Saying.EMPTY:
            return bits((), total)
        case _:
            return bits(holding.pieces, total)


@lru_cache(1 << 14)  # the same party says the same at each visit
def extension_handshake(client: Client, metadata_size: int, port: int, caller_address: str) -> bytes:
    """BEP 10's handshake as real clients fill it."""
    fields: dict[str, Bencodable] = {
        "m": {"ut_metadata": 2, "ut_pex": 1},
        "metadata_size": metadata_size,
        "reqq": 250,
        "yourip": bytes(int(part) for part in caller_address.split(".")),
    }
    if client.version:
        fields["v"] = client.version
    if client.port_told:
        fields["p"] = port
    return message(EXTENDED, b"\x00" + bencode(fields))


def compact(endpoints: list[Endpoint]) -> bytes:
    """6 bytes an endpoint, as trackers (BEP 23) and PEX (BEP 11) tell them."""
    return b"".join(map(_six, endpoints))


@lru_cache(1 << 16)  # the same endpoints are told again and again
def _six(endpoint: Endpoint) -> bytes:
    return socket.inet_aton(endpoint[0]) + endpoint[1].to_bytes(2, "big")


def pex(number: int, added: list[Endpoint], rng: random.Random) -> bytes:
    """One ut_pex message (BEP 11), `number` being what the caller calls it: flags 0x10 reachable, 0x02 seed."""
    flags = bytes(0x10 | drawn & 0x02 for drawn in rng.randbytes(len(added)))
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
        said += extension_handshake(client, len(torrent.info), port, caller_address)
    said += possession(holding, torrent, fast=client.fast and caller.fast)
    return said
