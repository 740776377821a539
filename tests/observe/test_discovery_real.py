"""Real programs tell us of endpoints, then know us nowhere: opentracker over UDP, libtorrent's DHT, Transmission."""

import json
import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import libtorrent as lt
from observe_case import watch_body
from test_libtorrent import SETTINGS, make_torrent

from clew.core import watch
from clew.model import Claim
from clew.observe.api import SECOND, Ask, Contact, Conversation, Limits, Listing, Sighted, Target
from clew.observe.lookups import Lookups, at
from clew.observe.networks.bittorrent import PLUGIN
from clew.observe.policy import Policy

OURS = "127.9.0.1"
PEER_ID = b"-CW0100-abcdefghijkl"
LIMITS = Limits(hold_ns=60 * SECOND)
NODES = {
    "enable_dht": True,
    "dht_restrict_routing_ips": False,
    "dht_restrict_search_ips": False,
    "dht_enforce_node_id": False,
    "dht_prefer_verified_node_ids": False,
    "dht_ignore_dark_internet": False,
    "dht_bootstrap_nodes": "",
}


def hold(talk: Conversation, kind: int, place: tuple[str, int], source: str = OURS) -> Sighted:
    """Plays one conversation over a real socket."""
    with socket.socket(socket.AF_INET, kind) as sock:
        sock.bind((source, 0))
        sock.connect(place)
        sock.settimeout(0.1)
        events = talk.opened(time.monotonic_ns())
        while not events or not isinstance(events[-1], Sighted):
            for event in events:
                sock.send(event.message.encode())  # type: ignore[union-attr]
            try:
                data = sock.recv(65_536)
            except TimeoutError:
                events = talk.tick(time.monotonic_ns())
            except ConnectionError:
                events = talk.closed(time.monotonic_ns())
            else:
                now = time.monotonic_ns()
                events = talk.receive(data, now) if data or kind == socket.SOCK_DGRAM else talk.closed(now)
        return events[-1]


def ask(url: str, infohash: bytes, event: str = "", peer_id: bytes = PEER_ID, source: str = OURS) -> Listing:
    tracker = PLUGIN.tracker(url)
    question = Ask(tracker, "W-1", infohash, event, peer_id, 9, 4096)
    talk = PLUGIN.ask(question, LIMITS, os.urandom(32))
    found = hold(talk, socket.SOCK_DGRAM, (tracker.host, tracker.port), source).finding
    assert isinstance(found, Listing)
    return found


def places(found: Listing) -> set[tuple[str, int]]:
    return {(each.address, each.port) for each in found.listed}


def until(true: Callable[[], Any], tries: int = 200) -> Any:
    """What `true` gives once it is something; asked again and again."""
    for _ in range(tries):
        if found := true():
            return found
        time.sleep(0.1)
    raise AssertionError("it never came to be")


@contextmanager
def running(*command: str) -> Iterator[None]:
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        process.wait(20)


def free_port(address: str, kind: int) -> int:
    with socket.socket(socket.AF_INET, kind) as sock:
        sock.bind((address, 0))
        return int(sock.getsockname()[1])


def test_opentracker_over_udp_lists_others_and_after_stopped_not_us(tmp_path: Path) -> None:
    infohash, other, third = os.urandom(20), b"-TE1000-abcdefghijkl", b"-TE1000-mnopqrstuvwx"
    (tmp_path / "whitelist").write_text(infohash.hex() + "\n")
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_uid == os.getuid() and folder != Path("/"):
            folder.chmod(folder.stat().st_mode | 0o055)  # opentracker gives up its rights before it reads the list
    port = free_port("127.1.0.33", socket.SOCK_DGRAM)
    url = f"udp://127.1.0.33:{port}/announce"
    with running(
        *("opentracker", "-i", "127.1.0.33", "-P", str(port), "-p", str(port)),
        *("-u", "nobody", "-w", "whitelist", "-d", str(tmp_path)),
    ):
        until(lambda: ask(url, infohash, "started", other, "127.10.0.5").missing is None)
        assert places(ask(url, infohash, "stopped")) == set(), "opentracker tells nobody on stopped"
        found = ask(url, infohash, "started")
        assert ("127.10.0.5", 9) in places(found)
        assert (found.swarm, found.missing, found.unusable) == (2, None, 0)
        assert found.interval is not None
        (one,) = (each for each in found.listed if each.address == "127.10.0.5")
        assert any("endpoint 127.10.0.5:9" in line for line in PLUGIN.describe(found.proof(one), {}))
        ask(url, infohash, "stopped")
        after = ask(url, infohash, "started", third, "127.10.0.6")
        assert places(after) == {("127.10.0.5", 9), ("127.10.0.6", 9)}
        unknown = ask(url, os.urandom(20), "started")
        assert unknown.missing is not None, "a torrent that the tracker does not take is not one without peers"


def test_libtorrent_s_dht_is_read_and_knows_us_nowhere() -> None:
    infohash, addresses = os.urandom(20), [f"127.{n}.0.1" for n in (25, 26, 27)]
    sessions = [lt.session({**SETTINGS, **NODES, "listen_interfaces": f"{a}:0"}) for a in addresses]
    ports = [until(session.listen_port) for session in sessions]
    for session in sessions:
        for place in zip(addresses, ports, strict=True):
            session.add_dht_node(place)
    ask_all = [f"dht://{a}:{p}" for a, p in zip(addresses, ports, strict=True)]
    until(lambda: all(len(ask(url, infohash).nodes) == len(sessions) - 1 for url in ask_all))
    sessions[0].dht_announce(lt.sha1_hash(infohash), 4242, 0)
    until(lambda: ask(ask_all[1], infohash).listed)

    body = watch_body(infohash_v1=infohash.hex())
    policy, asked, found = Policy(revisit=5.0), [], set()
    lookups = Lookups({at(addresses[2], ports[2]): addresses[2]}, [watch.from_body(body)], policy, 0, lambda _: True)
    waiting = lookups.due(0)
    while waiting:
        one = waiting.pop()
        asked.append(one.tracker.url)
        listing = ask(one.tracker.url, one.infohash, one.event)
        found |= places(listing)
        lookups.heard(one, listing, 0)
        waiting += lookups.due(0)
    assert sorted(asked) == sorted(ask_all)
    assert found == {(addresses[0], 4242)}
    for url in ask_all:
        later = ask(url, infohash)
        assert later.missing is None
        assert OURS not in {address for address, _ in places(later)}
        assert OURS not in {address for address, _, _ in later.nodes}
    for session in sessions:
        session.pause()


def gossip(infohash: bytes, place: tuple[str, int], awaited: str) -> Contact | None:
    """What a contact that asks for gossip finds, once that names the awaited address."""
    target = Target("W-1", infohash, (infohash,), PEER_ID, 17, range(6, 16), gossip=True)
    found = hold(PLUGIN.contact(target, LIMITS, "tcp", os.urandom(32)), socket.SOCK_STREAM, place).finding
    assert isinstance(found, Contact)
    return found if found.gossip and awaited in {address for address, _ in places(found.gossip)} else None


def told_of(found: Contact, place: tuple[str, int]) -> None:
    """The gossip names this endpoint, and what is kept for it names no other."""
    assert found.missing is None
    assert found.gossip is not None
    assert found.gossip.missing is None
    (one,) = (each for each in found.gossip.listed if (each.address, each.port) == place)
    lines = [line.split("<< ")[1] for line in PLUGIN.describe(found.gossip.proof(one), {})]
    assert lines[1:] == [f"endpoint {place[0]}:{place[1]}"]


def test_libtorrent_s_gossip_is_read_and_does_not_name_us(tmp_path: Path) -> None:
    info = make_torrent(tmp_path)
    infohash, sessions, handles = bytes.fromhex(str(info.info_hash())), [], []
    for number, folder in enumerate((tmp_path, tmp_path / "nothing"), 1):
        own = {"listen_interfaces": f"127.28.0.{number}:0", "outgoing_interfaces": f"127.28.0.{number}"}
        sessions.append(lt.session({**SETTINGS, **own}))
        wanted = lt.add_torrent_params()
        wanted.ti, wanted.save_path = info, str(folder)
        wanted.flags |= lt.torrent_flags.upload_mode if number == 2 else 0  # it stays a peer without a piece
        handles.append(sessions[-1].add_torrent(wanted))
    ports = [until(session.listen_port) for session in sessions]
    until(lambda: handles[0].status().is_seeding)

    def connected() -> bool:
        handles[1].connect_peer(("127.28.0.1", ports[0]))
        return any(peer.ip[0] == "127.28.0.2" for peer in handles[0].get_peer_info())

    until(connected)
    found = until(lambda: gossip(infohash, ("127.28.0.1", ports[0]), "127.28.0.2"), 20)
    told_of(found, ("127.28.0.2", ports[1]))
    assert found.claim is Claim.WATCHED_FILE
    assert OURS not in {address for address, _ in places(found.gossip)}
    for handle, session in zip(handles, sessions, strict=True):
        assert handle.status().total_payload_upload == 0
        session.pause()


def test_transmission_s_gossip_is_read_and_names_who_is_there(tmp_path: Path) -> None:
    for name in ("config", "watched", "data"):
        (tmp_path / name).mkdir()
    info = make_torrent(tmp_path)
    infohash = bytes.fromhex(str(info.info_hash()))
    (tmp_path / "watched" / "a.torrent").write_bytes(lt.bencode({b"info": lt.bdecode(info.info_section())}))
    port = free_port("127.11.0.5", socket.SOCK_STREAM)
    chosen = {
        "bind-address-ipv4": "127.11.0.5", "peer-port": port, "download-dir": str(tmp_path / "data"),
        "dht-enabled": False, "lpd-enabled": False, "utp-enabled": False, "port-forwarding-enabled": False,
        "rpc-enabled": False, "watch-dir": str(tmp_path / "watched"), "watch-dir-enabled": True,
    }  # fmt: skip
    (tmp_path / "config" / "settings.json").write_text(json.dumps(chosen))
    own = {"listen_interfaces": "127.25.0.2:0", "outgoing_interfaces": "127.25.0.2", "enable_outgoing_utp": False}
    session = lt.session({**SETTINGS, **own})
    wanted = lt.add_torrent_params()
    wanted.ti, wanted.save_path = info, str(tmp_path / "nothing")  # neither has a piece, so that they stay connected
    handle = session.add_torrent(wanted)

    def connected() -> bool:
        handle.connect_peer(("127.11.0.5", port))
        return any(str(peer.client).startswith("b'Transmission") for peer in handle.get_peer_info())

    with running("transmission-daemon", "-f", "-g", str(tmp_path / "config")):
        until(connected)
        found = until(lambda: gossip(infohash, ("127.11.0.5", port), "127.25.0.2"), 20)
    told_of(found, ("127.25.0.2", session.listen_port()))
    assert handle.status().total_payload_upload == 0
    session.pause()
