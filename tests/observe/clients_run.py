"""One operation among real clients, in a network namespace of its own. What it leaves is cases, and `said.json`.

    unshare --net --pid --fork --kill-child python clients_run.py FOLDER

Nothing in there can reach out, and whatever was started ends with it.
"""

import contextlib
import http.client
import json
import os
import resource
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import clients_here as here
import libtorrent as lt
from clients_here import BY_NAME, CLIENTS, OPENTRACKER, QBITTORRENT, TRACKER_PORT, TRACKERS
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from observe_case import ends_when, new_case, watch_body
from test_discovery_real import LIMITS, NODES, PEER_ID, ask, hold, places, until

from clew.core import watch
from clew.observe.api import SECOND, Contact, Send, Target
from clew.observe.lookups import Lookups, at
from clew.observe.networks.bittorrent import PLUGIN
from clew.observe.policy import Policy
from clew.observe.run import observe

FAST = Policy(revisit=0.6, answer=6.0, hold=10.0, announce=0.5, per_second=500)
# Between two visits a second, within half of which Transmission takes nobody back into a torrent.
UNHURRIED = replace(FAST, revisit=4.0, transports=("tcp",))
MOST_SECONDS = 40.0
GOSSIP_LIMITS = replace(LIMITS, hold_ns=6 * SECOND)
ASKER = "127.8.0.1"  # asks the trackers; neither a client nor the observer
WITNESS, LINGERER = "127.9.0.4", "127.9.0.3"  # two of ours: what a client tells the one about the other
NODE = ("127.26.0.1", 6886)
TORRENTS = {"set": lt.create_torrent.v1_only, "hybrid": 0, "v2": lt.create_torrent.v2_only}
# By number: the torrent, and by which of its infohashes it is watched.
WATCHES = {
    1: ("set", "v1"),
    2: ("hybrid", "v1 v2"),
    3: ("hybrid", "v1"),
    4: ("hybrid", "v2"),
    5: ("v2", "v2"),
}

TWO_FILES = (1, 6)  # Watches of the first torrent


class Torrent:
    """A torrent, its infohashes, and what a Watch of its file says."""

    def __init__(self, folder: Path, name: str, flags: int) -> None:
        self.made = here.torrent(folder / "data", name, flags, NODE)
        self.file = folder / f"{name}.torrent"
        self.file.write_bytes(self.made)
        self.info = lt.torrent_info(lt.bdecode(self.made))
        hashes = self.info.info_hashes()
        self.v1 = bytes.fromhex(str(hashes.v1)) if hashes.has_v1() else None
        self.v2 = bytes.fromhex(str(hashes.v2)) if hashes.has_v2() else None

    def infohashes(self) -> list[bytes]:
        """As trackers are asked (BEP 52: the v2 one cut to 20 bytes)."""
        return [each for each in (self.v1, self.v2 and self.v2[:20]) if each]

    def watch(self, number: int, by: str) -> dict[str, Any]:
        """The body of a Watch by one infohash or both."""
        files = self.info.files()
        (index,) = (i for i in range(files.num_files()) if files.file_path(i).endswith(here.WATCHED))
        return watch_body(
            number,
            infohash_v1=self.v1.hex() if "v1" in by and self.v1 else None,
            infohash_v2=self.v2.hex() if "v2" in by and self.v2 else None,
            piece_length=here.PIECE,
            pieces=self.info.num_pieces(),
            file_offset=files.file_offset(index),
            file_length=files.file_size(index),
        )


class Clients:
    """Every client and tracker, started and ended."""

    def __init__(self, folder: Path, torrents: dict[str, Torrent]) -> None:
        self._folder, self._torrents = folder, torrents
        self._running: list[subprocess.Popen[bytes]] = []
        self._sessions: list[Any] = []

    def start(self) -> None:
        """The trackers first, since some clients try again only after a minute where there is none."""
        folder, made = self._folder, self._torrents["set"].file
        known = [each for one in self._torrents.values() for each in one.infohashes()]
        self._sessions.append(here.libtorrent([NODE[0]], NODE[1], **NODES))
        self._start("opentracker", here.opentracker(folder / "opentracker", known))
        self._start_with_data(BY_NAME["qBittorrent"], made)
        for place in ((OPENTRACKER, 6969), (QBITTORRENT, TRACKER_PORT)):
            until(lambda place=place: _listens(place), 600)
        for each in CLIENTS:
            if each.program == "libtorrent":
                self._seed(each)
            elif each.program != "qBittorrent":
                self._start_with_data(each, made)

    def end(self) -> None:
        """Each by its own number."""
        for process in self._running:
            process.kill()
            process.wait()
        for session in self._sessions:
            session.pause()

    def _start_with_data(self, client: here.Client, made: Path) -> None:
        own, data = self._folder / client.address, self._data(client.address)
        self._start(f"{client.program} {client.address}", here.COMMANDS[client.program](own, data, made, client))

    def _start(self, name: str, command: list[str]) -> None:
        environment = {"HOME": str(self._folder), "PATH": os.environ["PATH"], "LANG": "C.UTF-8"}
        with (self._folder / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment)
        self._running.append(process)

    def _seed(self, client: here.Client) -> None:
        addresses = [client.address] + [here.V6] * bool(client.v6)
        rc4 = client.offers["mse/tcp"] == "mse-rc4/tcp"
        own = {"prefer_rc4": rc4, "outgoing_interfaces": ",".join(addresses)}
        self._sessions.append(here.libtorrent(addresses, client.port, **own))
        for torrent in self._torrents.values():
            here.seed(self._sessions[-1], torrent.made, self._data(f"{client.address} {torrent.file.stem}"))

    def _data(self, name: str) -> Path:
        """All the data, for one client alone."""
        return Path(shutil.copytree(self._folder / "data", self._folder / f"data of {name}"))


def _listens(place: tuple[str, int]) -> bool:
    try:
        socket.create_connection(place, 1).close()
    except OSError:
        return False
    return True


def announce(url: str, infohash: bytes, source: str, event: str, port: int = 9) -> dict[bytes, Any]:
    """What a tracker answers to an announce from `source`: not by a line of the observer's."""
    place = urlsplit(url)
    talk = http.client.HTTPConnection(place.hostname or "", place.port, timeout=10, source_address=(source, 0))
    own = f"peer_id=-TE0001-askeraskeras&port={port}&uploaded=0&downloaded=0&left=9&compact=1&numwant=200&event={event}"
    talk.request("GET", f"{place.path}?info_hash={quote(infohash)}&{own}")
    said = talk.getresponse().read()
    talk.close()
    return dict(lt.bdecode(said))


def listed(url: str, infohash: bytes) -> tuple[list[tuple[str, int]], int]:
    """Whom a tracker lists, and how many of them it says have everything. Who asks takes itself off again."""
    asker = here.V6 if "[" in url else ASKER
    said = announce(url, infohash, asker, "started")
    announce(url, infohash, asker, "stopped")
    found = []
    for key, family, width in ((b"peers", socket.AF_INET, 4), (b"peers6", socket.AF_INET6, 16)):
        peers = said.get(key, b"")
        for start in range(0, len(peers), width + 2):
            address = socket.inet_ntop(family, peers[start : start + width])
            found.append((address, int.from_bytes(peers[start + width : start + width + 2], "big")))
    return sorted(each for each in found if each != (asker, 9)), said.get(b"complete", 0)


def all_there(torrents: dict[str, Torrent]) -> bool:
    """Whether the trackers know every client, opentracker each as one that has everything."""
    for name, torrent in torrents.items():
        wanted = {each.address for each in CLIENTS if name == "set" or each.program == "libtorrent"}
        for infohash in torrent.infohashes():
            found, complete = listed(TRACKERS[0], infohash)
            if {address for address, _ in found} != wanted or complete < len(wanted):
                return False
    (infohash,) = torrents["set"].infohashes()
    v6 = {port for address, port in listed(here.TRACKER_V6, infohash)[0] if address == here.V6}
    return {each.port for each in CLIENTS if each.v6} <= v6


def expected(transport: str) -> set[tuple[int, str, int]]:
    """Who offers this transport: everybody has the first torrent, libtorrent all of them."""
    return {
        (number, each.address, each.port)
        for each in CLIENTS
        if transport in each.offers
        for number in (WATCHES if each.program == "libtorrent" else (1,))
    }


def observed(
    folder: Path, bodies: Iterable[dict[str, Any]], trackers: Iterable[str], policy: Policy, who: set[Any]
) -> dict[str, Any]:
    """One case, observed until each of `who` (number of the Watch, address, port) is at E2 and was probed."""
    addresses = ["127.0.0.0/8", f"{here.V6}/128"]
    case = new_case(folder, Ed25519PrivateKey.generate(), *bodies, addresses=addresses)

    def all_seen() -> bool:
        rows = case.read().execute(
            "SELECT watch, address, port FROM endpoints WHERE tier = 'E2' AND control IN ('clean', 'promiscuous')"
        )
        return who <= {(int(row["watch"], 16), row["address"], row["port"]) for row in rows}

    try:
        look = ends_when(all_seen)
        return observe(case, trackers=list(trackers), policy=policy, seconds=MOST_SECONDS, progress=look).as_dict()
    finally:
        case.close()


def gossip_of(client: here.Client, infohash: bytes, found: dict[str, Any]) -> None:
    """Whom a client tells WITNESS of while LINGERER, who is one of us too, is connected to it."""
    target, place = Target("W-1", infohash, (infohash,), PEER_ID, gossip=True), (client.address, client.port)
    over, there = threading.Event(), threading.Event()

    def linger() -> None:
        """A conversation that stays when it could end."""
        talk = PLUGIN.contact(replace(target, peer_id=PEER_ID[::-1]), LIMITS, "tcp", bytes(32))
        with socket.create_connection(place, 6, (LINGERER, 0)) as line:
            line.settimeout(0.1)
            events = talk.opened(time.monotonic_ns())
            while not over.is_set():
                for each in events:
                    if isinstance(each, Send):
                        line.sendall(each.message.encode())
                events = []
                with contextlib.suppress(TimeoutError):
                    data = line.recv(4096)
                    if not data:
                        break
                    events = talk.receive(data, time.monotonic_ns())
                    there.set()

    thread = threading.Thread(target=linger)
    thread.start()
    there.wait(6)
    talk = PLUGIN.contact(target, GOSSIP_LIMITS, "tcp", os.urandom(32))
    try:
        told = hold(talk, socket.SOCK_STREAM, place, WITNESS).finding
    finally:
        over.set()
        thread.join()
    assert isinstance(told, Contact)
    assert told.gossip is not None
    missing = told.gossip.missing
    found[client.name] = {"names": sorted(places(told.gossip)), "missing": str(missing) if missing else None}


def gossip(infohash: bytes) -> dict[str, Any]:
    """All clients' at once."""
    found: dict[str, Any] = {}
    threads = [threading.Thread(target=gossip_of, args=(each, infohash, found)) for each in CLIENTS]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    return found


def looked_up(torrent: Torrent) -> dict[str, Any]:
    """What a lookup in the DHT finds from one node on, and whom the nodes that it asked know afterwards."""
    node, (infohash,) = f"dht://{NODE[0]}:{NODE[1]}", torrent.infohashes()
    until(lambda: ask(node, infohash).listed, 300)  # until a client has announced itself there
    lookups = Lookups({at(*NODE): NODE[0]}, [watch.from_body(torrent.watch(1, "v1"))], FAST, 0, lambda _: True)
    asked, found = set[str](), set[tuple[str, int]]()
    waiting = lookups.due(0)
    while waiting:
        one = waiting.pop()
        asked.add(one.tracker.url)
        listing = ask(one.tracker.url, one.infohash, one.event)
        found |= places(listing)
        lookups.heard(one, listing, 0)
        waiting += lookups.due(0)
    later = [ask(url, infohash) for url in sorted(asked)]
    known = {address for each in later for address, _ in places(each)}
    known |= {address for each in later for address, _, _ in each.nodes}
    return {"asked": sorted(asked), "found": sorted(found), "known afterwards": sorted(known)}


def main(folder: Path) -> None:
    """The whole operation."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    torrents = {name: Torrent(folder, name, flags) for name, flags in TORRENTS.items()}
    clients, said = Clients(folder, torrents), dict[str, Any]()
    (infohash,) = torrents["set"].infohashes()
    bodies = [torrents[name].watch(number, by) for number, (name, by) in WATCHES.items()]
    try:
        clients.start()
        # Transmission listens on ::1 as well, and tells no tracker of it.
        announce(here.TRACKER_V6, infohash, here.V6, "started", BY_NAME["Transmission"].port)
        until(lambda: all_there(torrents), 600)
        for transport in PLUGIN.transports:
            policy, name = replace(FAST, transports=(transport,)), transport.replace("/", " over ")
            said[name] = observed(folder / name, bodies, TRACKERS, policy, expected(transport))
        who = {(number, each.address, each.port) for number in TWO_FILES for each in CLIENTS}
        pair = [torrents["set"].watch(number, "v1") for number in TWO_FILES]
        said["two files"] = observed(folder / "two files", pair, TRACKERS, UNHURRIED, who)
        for transport in ("tcp", "utp"):
            policy = replace(FAST, transports=(transport,), allow=(f"{here.V6}/128",))
            name, v6 = f"{transport} over IPv6", {(1, here.V6, each.port) for each in CLIENTS if transport in each.v6}
            said[name] = observed(folder / name, bodies[:1], [here.TRACKER_V6], policy, v6)
        said["gossip"] = gossip(infohash)
        said["dht"] = looked_up(torrents["set"])
        said["listed"] = [
            (url, *listed(url, each)[0])
            for url in (TRACKERS[0], TRACKERS[2], here.TRACKER_V6)
            for one in torrents.values()
            for each in one.infohashes()
        ]
    finally:
        clients.end()
    said["cpu_seconds"] = time.process_time() + sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2])
    (folder / "said.json").write_text(json.dumps(said, indent=1))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
