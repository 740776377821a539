"""Real libtorrent sessions on 127.x addresses of their own, over one transport, with random benign bytes to share."""

import os
import random
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import libtorrent as lt

PIECE = 1 << 14
CONTENT = random.Random(20).randbytes(40 * PIECE + 99)
NAME = "random.bin"
SECONDS = 30.0
FORCED, DISABLED = 0, 2  # settings_pack::enc_policy: pe_forced, pe_disabled
RC4 = 2  # settings_pack::enc_level: pe_rc4
SETTINGS = {
    "enable_dht": False,
    "enable_lsd": False,
    "enable_upnp": False,
    "enable_natpmp": False,
    "ssrf_mitigation": False,
    "allow_multiple_connections_per_ip": True,
    "close_redundant_connections": False,
    "alert_mask": 0,
}
# addresses that no other test has: the loopback interface is one for all
HERE = f"127.25.{os.getpid() % 250}.{{}}"


def over(transport: str) -> dict[str, Any]:
    """The settings of a session that knows this transport alone."""
    tcp, policy = transport.endswith("tcp"), FORCED if transport.startswith("mse") else DISABLED
    kinds = {
        f"enable_{way}_{name}": on for way in ("incoming", "outgoing") for name, on in (("tcp", tcp), ("utp", not tcp))
    }
    return kinds | {"out_enc_policy": policy, "in_enc_policy": policy, "allowed_enc_level": RC4}


def torrent(folder: Path) -> Any:
    """A torrent of one file of random bytes, which is written into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / NAME).write_bytes(CONTENT)
    files = lt.file_storage()
    files.add_file(NAME, len(CONTENT))
    made = lt.create_torrent(files, PIECE, lt.create_torrent.v1_only)
    lt.set_piece_hashes(made, str(folder))
    return lt.torrent_info(made.generate())


@dataclass
class Client:
    """One session with one torrent."""

    address: str
    session: Any
    handle: Any

    @property
    def port(self) -> int:
        return int(self.session.listen_port())

    def seeds(self) -> bool:
        """Waits until it holds all of the torrent."""
        deadline = time.monotonic() + SECONDS
        while not (self.handle.status().is_seeding and self.session.is_listening()) and time.monotonic() < deadline:
            time.sleep(0.02)
        return bool(self.handle.status().is_seeding)


def client(number: int, info: Any, folder: Path, transport: str) -> Client:
    """A session on an address of its own; it seeds where `folder` holds the content."""
    address = HERE.format(number)
    session = lt.session(
        {**SETTINGS, **over(transport), "listen_interfaces": f"{address}:0", "outgoing_interfaces": address}
    )
    wanted = lt.add_torrent_params()
    wanted.ti, wanted.save_path = info, str(folder)
    return Client(address, session, session.add_torrent(wanted))
