"""Real clients, each on an address of its own: what it is told, how it is started, what it offers.

They run in a network namespace of their own (`clients_run`), where nothing but loopback can be reached.
"""

import json
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import libtorrent as lt
from test_libtorrent import SETTINGS

PIECE = 1 << 14
SIZES = {"a.bin": 5 * PIECE + 123, "b.bin": 40 * PIECE + 77}
WATCHED = "b.bin"
# opentracker speaks HTTP and UDP of the same swarms; the one inside qBittorrent is another program, HTTP alone.
OPENTRACKER, QBITTORRENT, TRACKER_PORT = "127.1.0.1", "127.13.0.5", 9000
V6 = "::1"
TRACKER_V6 = f"http://[{V6}]:{TRACKER_PORT}/announce"
TRACKERS = (
    f"http://{OPENTRACKER}:6969/announce",
    f"udp://{OPENTRACKER}:6969/announce",
    f"http://{QBITTORRENT}:{TRACKER_PORT}/announce",
)
STREAM = {"tcp": "tcp"}
RC4, PLAIN = STREAM | {"mse/tcp": "mse-rc4/tcp"}, STREAM | {"mse/tcp": "mse-plain/tcp"}
RC4_UTP = RC4 | {"utp": "utp", "mse/utp": "mse-rc4/utp"}
PLAIN_UTP = PLAIN | {"utp": "utp", "mse/utp": "mse-plain/utp"}


@dataclass(frozen=True)
class Client:
    """One client: where it is, what it says it is, and what is negotiated over each transport that is dialled.

    `v6`: over what it is there at ::1 too. (Transmission opens UDP over IPv6 only where it finds a global address.)
    """

    name: str
    address: str
    port: int
    says: str
    peer_id: bytes
    offers: dict[str, str]
    v6: tuple[str, ...] = ()

    @property
    def program(self) -> str:
        """Which program it is."""
        return self.name.split(",")[0]


# A client that can be told which method of MSE it prefers is there twice. (Transmission 3.00 that prefers plaintext
# would read an IA, which is encrypted, as if it were plaintext already, and close: ours is empty.)
CLIENTS = (
    Client("Transmission", "127.11.0.5", 51413, "Transmission ", b"-TR", RC4_UTP, v6=("tcp",)),
    Client("Transmission, plaintext", "127.11.0.6", 51414, "Transmission ", b"-TR", PLAIN_UTP),
    Client("aria2, RC4", "127.12.0.5", 6882, "aria2/", b"A2-", RC4),
    Client("aria2", "127.12.0.6", 6882, "aria2/", b"A2-", PLAIN),
    Client("qBittorrent", QBITTORRENT, 6883, "qBittorrent/", b"-qB", RC4_UTP),
    Client("rTorrent", "127.14.0.5", 6884, "libTorrent ", b"-lt", RC4),
    Client("rTorrent, plaintext", "127.14.0.6", 6884, "libTorrent ", b"-lt", PLAIN),
    Client("libtorrent", "127.24.0.5", 6885, "libtorrent/", b"-LT", RC4_UTP, v6=("tcp", "utp")),
    Client("libtorrent, plaintext", "127.24.0.6", 6885, "libtorrent/", b"-LT", PLAIN_UTP),
)
BY_NAME = {each.name: each for each in CLIENTS}


def torrent(folder: Path, name: str, flags: int, node: tuple[str, int]) -> bytes:
    """A torrent of random bytes, which are left in `folder`/NAME."""
    files, drawn = lt.file_storage(), random.Random(name)
    (folder / name).mkdir(parents=True)
    for file, size in SIZES.items():
        (folder / name / file).write_bytes(drawn.randbytes(size))
        files.add_file(f"{name}/{file}", size)
    made = lt.create_torrent(files, PIECE, flags)
    for tier, url in enumerate((*TRACKERS, TRACKER_V6)):
        made.add_tracker(url, tier)
    made.add_node(*node)
    lt.set_piece_hashes(made, str(folder))
    return bytes(lt.bencode(made.generate()))


def opentracker(folder: Path, infohashes: list[bytes]) -> list[str]:
    """Debian's build tells only of torrents on its list, which it reads from inside `folder`."""
    folder.mkdir()
    (folder / "whitelist").write_text("".join(each.hex() + "\n" for each in infohashes))
    own = ["-i", OPENTRACKER, "-p", "6969", "-P", "6969"]
    return ["opentracker", *own, "-u", "nobody", "-w", "whitelist", "-d", str(folder)]


def transmission(folder: Path, data: Path, made: Path, here: Client) -> list[str]:
    """Reads the torrent from a folder that it watches; has no remote control then."""
    (folder / "watched").mkdir(parents=True)
    (folder / "watched" / "a.torrent").write_bytes(made.read_bytes())
    chosen = {
        "bind-address-ipv4": here.address, "bind-address-ipv6": V6, "peer-port": here.port,
        "download-dir": str(data), "incomplete-dir-enabled": False,
        "encryption": int(here.offers["mse/tcp"] == "mse-rc4/tcp"),  # 0: takes plaintext where it may choose; 1: RC4
        "utp-enabled": True, "dht-enabled": False, "lpd-enabled": False, "port-forwarding-enabled": False,
        "rpc-enabled": False, "watch-dir": str(folder / "watched"), "watch-dir-enabled": True,
    }  # fmt: skip
    (folder / "settings.json").write_text(json.dumps(chosen))
    return ["transmission-daemon", "-f", "-g", str(folder)]


def aria2(_folder: Path, data: Path, made: Path, here: Client) -> list[str]:
    """With both methods offered it takes the least that it is told to take."""
    least = "arc4" if here.offers["mse/tcp"] == "mse-rc4/tcp" else "plain"
    return [
        "aria2c", "-q", "--no-conf", f"--interface={here.address}", f"--listen-port={here.port}",
        "--enable-dht=false", "--enable-dht6=false", "--bt-enable-lpd=false", "--check-integrity=true",
        "--seed-ratio=0.0", "--seed-time=60", "--bt-min-crypto-level=" + least, f"--dir={data}", str(made),
    ]  # fmt: skip


QBITTORRENT_CONF = """[LegalNotice]
Accepted=true
[BitTorrent]
Session\\Interface=lo
Session\\InterfaceName=lo
Session\\InterfaceAddress={address}
Session\\Port={port}
Session\\DHTEnabled=true
Session\\LSDEnabled=false
Session\\SSRFMitigation=false
Session\\AnnounceToAllTrackers=true
TrackerEnabled=true
[Network]
PortForwardingEnabled=false
[Preferences]
Advanced\\trackerPort={tracker}
WebUI\\Enabled=false
"""


def qbittorrent(folder: Path, data: Path, made: Path, here: Client) -> list[str]:
    """RC4 alone, where MSE is spoken; the tracker inside it listens on every address of the namespace."""
    conf = folder / "qBittorrent" / "config" / "qBittorrent.conf"
    conf.parent.mkdir(parents=True)
    conf.write_text(QBITTORRENT_CONF.format(address=here.address, port=here.port, tracker=TRACKER_PORT))
    return ["qbittorrent-nox", f"--profile={folder}", f"--save-path={data}", str(made)]


def rtorrent(folder: Path, data: Path, made: Path, here: Client) -> list[str]:
    """Settings with commas in them stand in a file."""
    folder.mkdir()
    plain = ",prefer_plaintext" if here.offers["mse/tcp"] == "mse-plain/tcp" else ""
    (folder / "rc").write_text(f"protocol.encryption.set = allow_incoming,try_outgoing,enable_retry{plain}\n")
    own = [
        "system.daemon.set=true", f"network.bind_address.set={here.address}", "network.port_random.set=no",
        f"network.port_range.set={here.port}-{here.port}", f"session.path.set={folder}",
        f"directory.default.set={data}", "dht.mode.set=disable", "protocol.pex.set=yes", f"import={folder}/rc",
    ]  # fmt: skip
    return ["rtorrent", "-n", "-o", ",".join(own), str(made)]


COMMANDS = {"Transmission": transmission, "aria2": aria2, "qBittorrent": qbittorrent, "rTorrent": rtorrent}


def libtorrent(addresses: list[str], port: int, **other: Any) -> Any:
    """A session inside this process."""
    listen = ",".join(f"[{each}]:{port}" if ":" in each else f"{each}:{port}" for each in addresses)
    own = {"announce_to_all_trackers": True, "announce_to_all_tiers": True, "listen_interfaces": listen}
    return lt.session({**SETTINGS, **own, **other})


def seed(session: Any, made: bytes, data: Path) -> Any:
    """A torrent's handle in a session that has all of it."""
    wanted = lt.load_torrent_buffer(made)
    wanted.save_path = str(data)
    return session.add_torrent(wanted)
