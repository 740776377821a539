"""What a BitTorrent client was set to, and how its session stood: the port it listens on, the nodes that it knew."""

import re
from pathlib import Path

import libtorrent as lt
import pytest
from client_files import real

from artefacts_here import PLUGINS, entries, listed, one, rows
from clew.intake.artefacts import _examples as made


@pytest.mark.corpus
@pytest.mark.parametrize("path", real("qBittorrent.conf") + real("settings.json"), ids=str)
def test_the_port_in_the_settings_of_real_clients(path: Path) -> None:
    data = path.read_bytes()
    (entry,) = entries(rows(data))
    told = re.search(rb'^(?:Session.Port=|    "peer-port": )([0-9]+),?$', data, re.MULTILINE)
    at, length = entry["where"]["listen"]
    assert (entry["listen"], told[1] in data[at : at + length]) == (f":{told[1].decode()}", True)


GUARDED = {".fileguard": "0" * 40}
LEFT_OVER = b"[Preferences]\nConnection\\PortRangeMin=6881\nGeneral\\UseRandomPort=true\n"  # by an upgrade to 4.4
REPLY = b'{"arguments":{"download-dir":"/srv","peer-port":51413,"rpc-version":17},"result":"success"}'


@pytest.mark.parametrize(
    ("data", "listen", "why"),
    [
        (made.bencode(GUARDED | {"bind_port": 51_413, "dir_active_download": "C:\\shared"}), ":51413", None),
        (made.bencode(GUARDED | {"bind_port": 0}), None, "0 stands for a port that it takes as it starts"),
        (made.bencode(GUARDED | {"bind_port": "51413"}), None, "-1 stands for"),
        (b"[BitTorrent]\r\nSession\\Port=51413\r\n", ":51413", None),
        (b"[Preferences]\nWebUI\\Port=8080\nConnection\\PortRangeMin=6881\n", ":6881", None),
        (LEFT_OVER, None, "another port each time"),
        (LEFT_OVER + b"[BitTorrent]\nSession\\Port=7777\nSession\\UseRandomPort=true\n", ":7777", None),
        (LEFT_OVER + b"[BitTorrent]\nSession\\Port=0\n", None, "0 stands for a port that it takes as it starts"),
        (b"[BitTorrent]\nSession\\DHTEnabled=false\n[Preferences]\nWebUI\\Port=8080\n", None, "no port was set"),
        (b'{"download_dir": "/srv", "peer_port": 6881, "rpc_port": 9091}', ":6881", None),
    ],
)
def test_the_port_that_a_client_was_set_to_listen_on(data: bytes, listen: str | None, why: str | None) -> None:
    (entry,) = entries(rows(data))
    assert entry.get("listen") == listen
    assert (why is None) or why in entry["missing"]["listen"]


@pytest.mark.parametrize(
    "data", [b"[General]\nPort=5\n", b'{"peer-port": 5}', b"[1, 2]", made.bencode({"bind_port": 5}), REPLY]
)
def test_settings_of_something_else_are_none(data: bytes) -> None:
    assert rows(data, "client_settings") == []


def test_a_session_state_that_libtorrent_writes() -> None:
    session = lt.session({"enable_dht": False, "enable_lsd": False, "listen_interfaces": "127.0.0.1:0"})
    (entry,) = entries(rows(lt.bencode(session.save_state()), "session"))
    assert entry["listen"] == "127.0.0.1:0"


def test_the_nodes_of_a_session_are_read() -> None:
    found = rows(next(PLUGINS["session"].examples()).data, "session")
    (entry,) = entries(found)
    assert entry["node_id"] == one(found, "p2p.node_id")["data"] == bytes(range(20)).hex()
    assert listed(found, "endpoints")[0][:2] == ["192.0.2.1", 6881]
