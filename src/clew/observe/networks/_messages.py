"""What the BitTorrent observer can send, and what it is willing to read (BEP 3, 6, 10).

Sendable is a closed set: the handshake, two extension handshakes, the announce (and, in datagrams, what stands in
`_udp_messages`). None has a field that could carry content. There is no interested, request, piece, have or bitfield
here, and nothing of the Fast extension (BEP 6): its bit is not set in our handshake, so that a seeder tells its pieces
by a bitfield, whose length proves that it knows the torrent, and not by a bare have_all. A have_all that comes all the
same is no claim, and ends the contact, as BEP 6 has it; a have_none is understood.
"""

from dataclasses import dataclass

PROTOCOL = b"\x13BitTorrent protocol"
EXTENSION_BYTE, EXTENSION_BIT = 5, 0x10
RESERVED = bytes((0, 0, 0, 0, 0, EXTENSION_BIT, 0, 0))
HANDSHAKE_BYTES = 68
UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")

BITFIELD, HAVE, EXTENDED, HAVE_ALL, HAVE_NONE = 5, 4, 20, 14, 15
MAX_BITFIELD = 32 * 1024
MAX_EXTENDED = 8 * 1024
MOST = {BITFIELD: MAX_BITFIELD, EXTENDED: MAX_EXTENDED}  # bytes after the type, where the type does not say how many
# Messages of fixed length without content: type -> (name, length of what follows the type).
CONTROL = {
    0: ("choke", 0),
    1: ("unchoke", 0),
    2: ("interested", 0),
    3: ("not interested", 0),
    HAVE: ("have", 4),
    6: ("request", 12),
    8: ("cancel", 12),
    9: ("port", 2),
    13: ("suggest piece", 4),
    HAVE_ALL: ("have all", 0),
    HAVE_NONE: ("have none", 0),
    16: ("reject request", 12),
    17: ("allowed fast", 4),
}
REFUSED = {7: "piece", 21: "hash request", 22: "hashes", 23: "hash reject"}
NAMES = {**{kind: name for kind, (name, _) in CONTROL.items()}, BITFIELD: "bitfield", EXTENDED: "extended", **REFUSED}


@dataclass(frozen=True, slots=True)
class Handshake:
    """BEP 3's handshake, with the extension bit of BEP 10 and no other."""

    infohash: bytes
    peer_id: bytes
    name: str = "handshake"

    def encode(self) -> bytes:
        """68 bytes."""
        return PROTOCOL + RESERVED + self.infohash + self.peer_id


@dataclass(frozen=True, slots=True)
class ExtensionHandshake:
    """BEP 10's handshake, no extension offered (metadata, PEX), upload_only (BEP 21). Always the same bytes."""

    name: str = "extension handshake"

    def encode(self) -> bytes:
        """The one message."""
        body = b"\x14\x00d1:mde11:upload_onlyi1ee"
        return len(body).to_bytes(4, "big") + body


@dataclass(frozen=True, slots=True)
class GossipHandshake:
    """BEP 10's handshake that offers ut_pex (BEP 11) under id 1, and nothing else. Always the same bytes.

    No upload_only (BEP 21): libtorrent hangs up at once on who says that, before any gossip.
    """

    name: str = "gossip handshake"

    def encode(self) -> bytes:
        """The one message."""
        body = b"\x14\x00d1:md6:ut_pexi1eee"
        return len(body).to_bytes(4, "big") + body


@dataclass(frozen=True, slots=True)
class Announce:
    """An HTTP announce (BEP 3, compact replies of BEP 23). `event` is stopped or started; `left` is never 0."""

    host: str
    path: str
    infohash: bytes
    peer_id: bytes
    port: int
    left: int
    event: str
    want: int
    name: str = "announce"

    def encode(self) -> bytes:
        """The whole request."""
        before, infohash, after = self.parts()
        return before + infohash + after

    def parts(self) -> tuple[bytes, bytes, bytes]:
        """The request, with the infohash apart, so that a transcript can leave it out."""
        joint = "&" if "?" in self.path else "?"
        rest = (
            f"&peer_id={quote(self.peer_id)}&port={self.port}&uploaded=0&downloaded=0&left={self.left}"
            f"&compact=1&numwant={self.want}&event={self.event} HTTP/1.1\r\nHost: {self.host}\r\n"
            "Accept-Encoding: identity\r\nConnection: close\r\n\r\n"
        )
        return f"GET {self.path}{joint}info_hash=".encode(), quote(self.infohash).encode(), rest.encode()


# What may follow a handshake on a stream, in clear or encrypted.
AfterHandshake = ExtensionHandshake | GossipHandshake


def quote(data: bytes) -> str:
    """RFC 3986 percent-encoding of bytes."""
    return "".join(chr(b) if b in UNRESERVED else f"%{b:02X}" for b in data)


def message_name(kind: int) -> str:
    """The name of a peer message by its type byte."""
    return NAMES.get(kind) or f"unknown message {kind}"
