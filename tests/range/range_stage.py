"""A small range in this process: parties as a test wants them, played by a thread; and one libtorrent to call them."""

import asyncio
import random
import threading
import time
from contextlib import contextmanager

import libtorrent as lt

from clew.range.clients import CLIENTS
from clew.range.dht import MANNERS
from clew.range.operation import free_ports
from clew.range.places import TRACKER_ADDRESSES, places
from clew.range.scenario import Carrier, Disturbance, Holding, Manner, Party, Saying, Scenario, Source, Stay, Timing
from clew.range.swarm import Swarm
from clew.range.torrents import make_torrents
from clew.range.trackers import Tracker
from clew.range.udp_services import UdpServices

CANARY = b"QwErTyUiOpAsDfGhJkLzXcVbNmQwErTy"
TORRENTS = make_torrents(random.Random(7), 2, 1, 2)
PORTS = free_ports(4)
PORT, OTHER_PORT, SERVICES_PORT = PORTS[:3]
ALL = frozenset(Carrier)


def party(
    number, *, accepts=ALL, manner=Manner.ANSWERS, listed_by=(Source.HTTP,), holding=None, client=CLIENTS[2], **more
):
    """A party at 127.10.7.<number>, holding all of the first torrent unless told otherwise."""
    fields = {
        "id": f"P{number:05d}", "kind": "plain", "planted": True, "place": places()[0], "network_kind": "isp",
        "client": client, "manner": manner, "holdings": (holding or Holding(0, Saying.WHOLE),),
        "stays": (Stay(f"127.10.{7 + number // 250}.{1 + number % 250}", PORT, -60.0, 3600.0),),
        "accepts": frozenset(accepts), "listed_by": frozenset(listed_by),
    }  # fmt: skip
    return Party(**fields | more)


def scenario(*parties, torrents=TORRENTS, spoofed=(), disturbance=None, revisit=0.0):
    """An operation of these parties alone."""
    timing = Timing(revisit=revisit, seconds=600, switch=300)
    return Scenario(
        5, timing, (PORT,), OTHER_PORT, torrents, parties, spoofed, disturbance or Disturbance()
    )  # fmt: skip


class Playing:
    """What a test sees of a running range."""

    def __init__(self, played, manners=MANNERS):
        self.swarm = Swarm(played, CANARY)
        self.services = UdpServices(played, SERVICES_PORT, manners)
        self.trackers = [Tracker(played, index) for index in range(len(TRACKER_ADDRESSES))]

    @property
    def audit(self):
        return self.swarm.audit

    def forbidden(self):
        return [line for report in self.services.reports() for line in report["forbidden"]]

    async def play(self, ready, stop):
        self.services.listen()
        for tracker, address in zip(self.trackers, TRACKER_ADDRESSES, strict=True):
            await tracker.listen(address, SERVICES_PORT)
        await self.swarm.listen()
        ready.set()
        while not stop.is_set():
            await asyncio.sleep(0.02)
        self.services.close()
        for tracker in self.trackers:
            tracker.close()
        await self.swarm.close()


@contextmanager
def playing(played, manners=MANNERS):
    """The range of a scenario, in a thread of its own."""
    found, ready, stop = Playing(played, manners), threading.Event(), threading.Event()
    failures = []

    def run():
        loop = asyncio.new_event_loop()
        loop.set_exception_handler(lambda _, context: failures.append(context))
        try:
            loop.run_until_complete(found.play(ready, stop))
        finally:
            ready.set()
            loop.close()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        assert ready.wait(10)
        yield found
    finally:
        stop.set()
        thread.join(10)
    assert not failures, failures


def until(true, seconds=15.0):
    """Waits until something is true; whether it became so."""
    deadline = time.monotonic() + seconds
    while not true() and time.monotonic() < deadline:
        time.sleep(0.02)
    return bool(true())


LEECHER = {
    "listen_interfaces": "127.9.0.9:0",
    "outgoing_interfaces": "127.9.0.9",
    "enable_dht": False,
    "enable_lsd": False,
    "enable_upnp": False,
    "enable_natpmp": False,
    "ssrf_mitigation": False,
    "allow_multiple_connections_per_ip": True,
    "alert_mask": lt.alert.category_t.peer_log_notification,
    "dht_restrict_routing_ips": False,
    "dht_restrict_search_ips": False,
    "dht_bootstrap_nodes": "",
    "min_reconnect_time": 1,
    "connection_speed": 500,
    "smooth_connects": False,
    "tick_interval": 100,
    "peer_connect_timeout": 5,
    "handshake_timeout": 5,
}


@contextmanager
def leecher(folder, trackers=(), torrent=TORRENTS[0], **settings):
    """A libtorrent session that wants a torrent."""
    session = lt.session(LEECHER | settings)
    wanted = lt.add_torrent_params()
    wanted.ti = lt.torrent_info(lt.bdecode(b"d4:info" + torrent.info + b"e"))
    wanted.save_path, wanted.trackers = str(folder), list(trackers)
    wanted.flags &= ~(lt.torrent_flags.auto_managed | lt.torrent_flags.paused)
    handle = session.add_torrent(wanted)
    try:
        yield session, handle
    finally:
        session.remove_torrent(handle)
        session.pause()


class Log:
    """What a libtorrent session writes about its peers."""

    def __init__(self, session):
        self._session, self.lines = session, []

    def says(self, *words):
        """Whether one line has all these words."""
        self.lines += [alert.message() for alert in self._session.pop_alerts()]
        return any(all(word in line for word in words) for line in self.lines)
