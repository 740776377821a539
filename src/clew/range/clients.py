"""Identities that real BitTorrent clients have: peer id style, `v` string, reserved bits.

No fake carries an identifier that real clients do not have, so that what cannot be decided there is not decided here.
Peer id styles: BEP 20; reserved bits: BEP 4 (extension protocol 0x10 in byte 5, Fast 0x04 and DHT 0x01 in byte 7).
"""

import random
import string
from dataclasses import dataclass

ALPHABET = string.ascii_letters + string.digits


@dataclass(frozen=True, slots=True)
class Client:
    """One client and version. `per_connection` is True for those that change their peer id at every connection.

    `mse` and `utp` say whether it takes encrypted and uTP connections.
    """

    name: str
    prefix: str
    version: str | None
    reserved: bytes
    per_connection: bool = False
    port_told: bool = True
    mse: bool = True
    utp: bool = True

    @property
    def fast(self) -> bool:
        """Knows the Fast extension (BEP 6)."""
        return bool(self.reserved[7] & 0x04)

    @property
    def extended(self) -> bool:
        """Knows the extension protocol (BEP 10)."""
        return bool(self.reserved[5] & 0x10)

    def peer_id(self, rng: random.Random) -> bytes:
        """20 bytes: the client's prefix and random characters, as real ones do."""
        tail = "".join(rng.choice(ALPHABET) for _ in range(20 - len(self.prefix)))
        return (self.prefix + tail).encode("ascii")


CLIENTS: tuple[Client, ...] = (
    Client("qBittorrent", "-qB4520-", "qBittorrent/4.5.2", bytes.fromhex("0000000000100005"), True, False),
    Client("qBittorrent", "-qB4630-", "qBittorrent/4.6.3", bytes.fromhex("0000000000100005"), True, False),
    Client("Transmission", "-TR3000-", "Transmission 3.00", bytes.fromhex("0000000000100005")),
    Client("Transmission", "-TR4050-", "Transmission 4.0.5", bytes.fromhex("0000000000100005")),
    Client("aria2", "A2-1-36-0-", "aria2/1.36.0", bytes.fromhex("0000000000100005"), utp=False),
    Client("rTorrent", "-lt0D80-", "libTorrent 0.13.8", bytes.fromhex("0000000000100001"), utp=False),
    Client("uTorrent", "-UT355W-", "µTorrent 3.5.5", bytes.fromhex("0000000000100005")),
    Client("Deluge", "-DE211s-", "Deluge/2.1.1 libtorrent/2.0.8.0", bytes.fromhex("0000000000100005")),
    Client("BitComet", "-BC0200-", "BitComet 2.00", bytes.fromhex("0000000000100004"), utp=False),
    Client("mainline", "M4-20-8-", None, bytes(8), mse=False, utp=False),
)
# libtorrent's anonymous mode: a peer id of random characters alone, no version and no port in the extension handshake
# (BEP 37 describes it).
NAMELESS = Client("libtorrent, anonymous mode", "", None, bytes.fromhex("0000000000100005"), True, False)


def pick(
    rng: random.Random, *, unlike: Client | None = None, mse: bool = False, utp: bool = False, modern: bool = False
) -> Client:
    """A random client; with `unlike`, one of another name; with `mse` or `utp`, one that takes such connections.

    `modern` asks for both the extension protocol and Fast.
    """
    return rng.choice(
        [
            c
            for c in CLIENTS
            if (unlike is None or c.name != unlike.name)
            and c.mse >= mse
            and c.utp >= utp
            and (c.fast and c.extended) >= modern
        ]
    )
