"""Real BitTorrent clients: libtorrent sessions that seed generated random content, each on a 127.x address of its own.

They make no outgoing peer connections, so that what the fakes audit comes from the observer alone.
"""

import time
from importlib import import_module
from pathlib import Path
from typing import Any

from clew.range.places import TRACKER_ADDRESSES
from clew.range.scenario import Carrier, Manner, Party, Scenario, Source
from clew.range.torrents import Torrent, content

READY_WITHIN = 30.0
READY_EACH = 0.2  # seconds more for each session
# libtorrent's enc_policy: forced, enabled, disabled
FORCED, ENABLED, DISABLED = 0, 1, 2
MSE = frozenset({Carrier.MSE_TCP, Carrier.MSE_UTP})
# Whether connections are taken in clear and whether in MSE, to that policy.
POLICIES = {(False, True): FORCED, (True, True): ENABLED, (True, False): DISABLED}


def acceptance(accepts: frozenset[Carrier]) -> dict[str, Any]:
    """The settings with which a session accepts just that. Raises ValueError where libtorrent has none for it.

    It has one policy of encryption for TCP and uTP: a session that takes both takes both alike.
    """
    tcp, utp = accepts & {Carrier.TCP, Carrier.MSE_TCP}, accepts & {Carrier.UTP, Carrier.MSE_UTP}
    ways = {(bool(found & {Carrier.TCP, Carrier.UTP}), bool(found & MSE)) for found in (tcp, utp) if found}
    if len(ways) != 1:
        raise ValueError(f"no libtorrent session accepts just {sorted(accepts)}")
    policy = POLICIES[ways.pop()]
    return {
        "enable_incoming_tcp": bool(tcp),
        "enable_incoming_utp": bool(utp),
        "in_enc_policy": policy,
        "out_enc_policy": policy,
        "allowed_enc_level": 3,  # RC4 and plaintext within MSE
    }


def settings(address: str, port: int) -> dict[str, Any]:
    """What libtorrent needs on loopback, and nothing that reaches beyond it."""
    return {
        "listen_interfaces": f"{address}:{port}",
        "user_agent": "libtorrent/2.1.1.0",
        "enable_dht": False,
        "enable_lsd": False,
        "enable_upnp": False,
        "enable_natpmp": False,
        "enable_outgoing_tcp": False,
        "enable_outgoing_utp": False,
        "ssrf_mitigation": False,
        "allow_multiple_connections_per_ip": True,
        "close_redundant_connections": False,
        "connections_limit": 60,
        "upload_rate_limit": 50_000,
        "aio_threads": 1,
        "hashing_threads": 1,
        "alert_mask": 0,
    }


class Seeders:
    """The real clients of a scenario, with their content below `folder`."""

    def __init__(self, scenario: Scenario, folder: Path, tracker_port: int) -> None:
        self.scenario, self.folder, self.tracker_port = scenario, folder, tracker_port
        self._sessions: list[Any] = []

    def start(self) -> int:
        """Starts them all, returns how many seed. Raises TimeoutError where one does not in good time."""
        # of the extra "range"; its type stubs disagree with its manual
        libtorrent: Any = import_module("libtorrent")
        handles = []
        for party in self.scenario.parties:
            if party.manner is not Manner.REAL:
                continue
            stay, torrent = party.stays[0], self.scenario.torrents[party.holdings[0].torrent]
            session = libtorrent.session(settings(stay.address, stay.port) | acceptance(party.accepts))
            handles.append(session.add_torrent(self._parameters(libtorrent, torrent, party)))
            self._sessions.append(session)
        deadline = time.monotonic() + READY_WITHIN + READY_EACH * len(handles)
        while not all(h.status().is_seeding for h in handles):
            if time.monotonic() > deadline:
                raise TimeoutError("a libtorrent session does not seed")
            time.sleep(0.05)
        return len(handles)

    def stop(self) -> None:
        """Lets every session go."""
        for session in self._sessions:
            session.pause()
        self._sessions.clear()

    def _parameters(self, libtorrent: Any, torrent: Torrent, party: Party) -> Any:
        self._write(torrent)
        found = libtorrent.add_torrent_params()
        found.ti = libtorrent.torrent_info(libtorrent.bdecode(b"d4:info" + torrent.info + b"e"))
        found.save_path = str(self.folder)
        found.trackers = [
            f"{scheme}://{TRACKER_ADDRESSES[index]}:{self.tracker_port}/announce"
            for source, scheme in ((Source.HTTP, "http"), (Source.UDP, "udp"))
            for index in (torrent.trackers if party.listed and source in party.listed_by else ())
        ]
        found.flags = libtorrent.torrent_flags.seed_mode | libtorrent.torrent_flags.upload_mode
        return found

    def _write(self, torrent: Torrent) -> None:
        folder = self.folder / torrent.name
        if folder.exists() or torrent.real_seed is None:
            return
        folder.mkdir(parents=True)
        data, at = content(torrent.real_seed, torrent.size), 0
        for name, length in torrent.files:
            (folder / name).write_bytes(data[at : at + length])
            at += length
