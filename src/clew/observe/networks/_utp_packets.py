"""uTP packets (BEP 29): the four that the observer can send, and the reading of what a peer sends.

Sendable is a closed set: UtpSyn, UtpState, UtpReset, and UtpData, whose payload is one of the closed set of messages of
the stream and never bytes. There is no UtpFin: a FIN wants an answer, and we close for good (`_utp`).
"""

import struct
from dataclasses import dataclass
from typing import NamedTuple

from clew.observe.api import Sendable
from clew.observe.networks._messages import ExtensionHandshake, GossipHandshake, Handshake
from clew.observe.networks._mse_messages import Encrypted, MseKey, MseProof

# BEP 29, "header format": type and version, first extension, connection id, two times, window, seq_nr, ack_nr.
LAYOUT = struct.Struct(">BBHIIIHH")
HEADER_BYTES = LAYOUT.size
VERSION = 1
DATA, FIN, STATE, RESET, SYN = range(5)  # BEP 29, "type"
NAMES = {DATA: "DATA", FIN: "FIN", STATE: "STATE", RESET: "RESET", SYN: "SYN"}
NUMBERS = 1 << 16  # seq_nr and ack_nr have 16 bits and wrap around
TIMES = 1 << 32

# Of these extensions the bytes are kept, if they are no longer than this: selective ack (BEP 29), and two that
# libtorrent sends, extension bits and the reason of a close. Of all others only type and length.
KNOWN_EXTENSIONS = {1: ("selective ack", 32), 2: ("extension bits", 8), 3: ("close reason", 4)}
MOST_EXTENSIONS = 4

# What UtpData may carry.
STREAM: tuple[type[Sendable], ...] = (
    Handshake,
    ExtensionHandshake,
    GossipHandshake,
    MseKey,
    MseProof,
    Encrypted,
)


class Header(NamedTuple):
    """What a uTP header says beside its type. Times in microseconds, the window in bytes."""

    connection: int
    time: int
    difference: int
    window: int
    seq: int
    ack: int

    def encode(self, kind: int) -> bytes:
        """20 bytes, without extensions."""
        return LAYOUT.pack(kind << 4 | VERSION, 0, *self)


@dataclass(frozen=True, slots=True)
class UtpSyn:
    """ST_SYN: begins a connection."""

    header: Header
    name: str = "utp syn"

    def encode(self) -> bytes:
        """One datagram."""
        return self.header.encode(SYN)


@dataclass(frozen=True, slots=True)
class UtpState:
    """ST_STATE: says what has arrived."""

    header: Header
    name: str = "utp state"

    def encode(self) -> bytes:
        """One datagram."""
        return self.header.encode(STATE)


@dataclass(frozen=True, slots=True)
class UtpReset:
    """ST_RESET: the connection is over, nobody need keep anything of it."""

    header: Header
    name: str = "utp reset"

    def encode(self) -> bytes:
        """One datagram."""
        return self.header.encode(RESET)


@dataclass(frozen=True, slots=True)
class UtpData:
    """ST_DATA with one message of the stream. Raises TypeError for anything that is not in STREAM."""

    header: Header
    payload: Sendable
    name: str = "utp data"

    def __post_init__(self) -> None:
        if type(self.payload) not in STREAM:
            raise TypeError(f"{type(self.payload).__name__} is not in the closed set of what uTP may carry")

    def encode(self) -> bytes:
        """One datagram."""
        return self.header.encode(DATA) + self.payload.encode()


SENDABLE: tuple[type[Sendable], ...] = (UtpSyn, UtpState, UtpReset, UtpData)


class Extension(NamedTuple):
    """One extension header, and where its bytes are. `kept`: whether a transcript holds them."""

    kind: int
    place: slice
    kept: bool


class Packet(NamedTuple):
    """One packet read: `size` bytes of header with its extensions, then the payload."""

    kind: int
    header: Header
    extensions: tuple[Extension, ...]
    size: int

    def head(self, data: bytes) -> bytes:
        """The header and its extensions as they are kept: zeros in place of what an unknown extension says."""
        if not self.extensions:
            return data[: self.size]
        out = bytearray(data[: self.size])
        for each in self.extensions:
            if not each.kept:
                out[each.place] = bytes(each.place.stop - each.place.start)
        return bytes(out)


def read(data: bytes) -> Packet | None:
    """What a datagram says; None where it is no uTP packet of version 1, or has more extensions than we follow."""
    if len(data) < HEADER_BYTES or data[0] & 0x0F != VERSION or data[0] >> 4 not in NAMES:
        return None
    _, kind, *fields = LAYOUT.unpack_from(data)
    extensions: list[Extension] = []
    at = HEADER_BYTES
    while kind:
        if len(extensions) == MOST_EXTENSIONS or at + 2 > len(data):
            return None
        start, stop = at + 2, at + 2 + data[at + 1]
        if stop > len(data):
            return None
        kept = kind in KNOWN_EXTENSIONS and stop - start <= KNOWN_EXTENSIONS[kind][1]
        extensions.append(Extension(kind, slice(start, stop), kept))
        kind, at = data[at], stop
    return Packet(data[0] >> 4, Header(*fields), tuple(extensions), at)
