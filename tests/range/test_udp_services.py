"""UDP trackers and the DHT: what each tells, what is forbidden there, and libtorrent as a client of both."""

import socket
import struct

import pytest
from range_stage import SERVICES_PORT, TORRENTS, Log, leecher, party, playing, scenario, until

from clew.range.bdecode import dictionary
from clew.range.dht import BOOTSTRAP, MANNERS, NodeManner, place
from clew.range.scenario import Holding, Saying, Source
from clew.range.torrents import bencode

TOLD_BY = [next(t for t in TORRENTS if index in t.trackers) for index in (0, 1)]
UNWATCHED = TORRENTS[2]


def everyone(count=5, source=Source.UDP):
    """Parties that a source lists for every torrent, and as many that it does not list."""
    holdings = tuple(Holding(number, Saying.WHOLE) for number in range(len(TORRENTS)))
    listed = [party(number, listed_by={source}, holdings=holdings) for number in range(count)]
    others = [party(100 + number, listed_by=set(Source) - {source}, holdings=holdings) for number in range(count)]
    return listed, others


def addresses(parties):
    return {p.stays[0].address for p in parties}


def ask(data, address, wait=3.0):
    """One datagram's answer, None where there is none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.9.0.8", 7070))
        sock.settimeout(wait)
        sock.sendto(data, (address, SERVICES_PORT))
        try:
            return sock.recv(1 << 16)
        except TimeoutError:
            return None


class Client:
    """BEP 15, as far as a test needs it."""

    def __init__(self, index):
        self.address = f"127.1.0.{index + 1}"
        answer = ask(struct.pack(">QII", 0x41727101980, 0, 77), self.address)
        assert struct.unpack(">II", answer[:8]) == (0, 77)
        self.connection = answer[8:]

    def announce(self, torrent, event, *, left=1, port=6881, downloaded=0, wanted=-1, connection=None):
        """The addresses told, or the text of an error."""
        said = (connection or self.connection) + struct.pack(">II", 1, 78) + torrent.infohash + b"-XX0000-abcdefghijkl"
        said += struct.pack(">QQQIIIiH", downloaded, left, 0, event, 0, 9, wanted, port)
        answer = ask(said, self.address)
        action, transaction = struct.unpack(">II", answer[:8])
        assert transaction == 78
        if action == 3:
            return answer[8:].decode()
        assert action == 1
        assert struct.unpack(">I", answer[8:12])[0] > 0
        return {socket.inet_ntoa(answer[at : at + 4]) for at in range(20, len(answer), 6)}


STARTED, STOPPED = 2, 3


@pytest.mark.parametrize("index", [0, 1])
def test_each_manner_of_a_udp_tracker(index):
    listed, others = everyone()
    with playing(scenario(*listed, *others)) as range_:
        client, torrent = Client(index), TOLD_BY[index]
        stopped = client.announce(torrent, STOPPED)
        assert stopped == (addresses(listed) if index == 0 else set())
        assert client.announce(torrent, STARTED) == addresses(listed)
        assert range_.services.reports()[index]["listed_outsiders"] == ["127.9.0.8:6881"]
        assert len(client.announce(torrent, STOPPED, wanted=2)) == (2 if index == 0 else 0)
        assert range_.services.reports()[index]["listed_outsiders"] == []
        assert "port" in client.announce(torrent, STOPPED, port=0) if index == 0 else True
        assert not range_.forbidden()
        assert client.announce(torrent, STOPPED, connection=b"8 bytes!") == "connection id expired"
        assert range_.services.reports()[index]["announces"]["stopped"] == (3 if index == 0 else 2)


def test_what_is_forbidden_at_a_udp_tracker():
    listed, _ = everyone()
    with playing(scenario(*listed)) as range_:
        client = Client(1)
        client.announce(TOLD_BY[1], 0, left=0)
        client.announce(TOLD_BY[1], STARTED, downloaded=5)
        client.announce(UNWATCHED, STOPPED)
        ask(client.connection + struct.pack(">II", 2, 5) + TOLD_BY[1].infohash, client.address)
        ask(b"junk", client.address, wait=0.1)
        assert range_.forbidden() == [
            "announce with event '' from 127.9.0.8",
            "announce with left=0 from 127.9.0.8",
            "announce with event 'started' before any 'stopped' from 127.9.0.8",
            "announce with downloaded=5 from 127.9.0.8",
            "announce for a torrent that is not watched from 127.9.0.8",
            "a request that is no announce from 127.9.0.8",
            "a datagram that is no request of BEP 15 from 127.9.0.8",
        ]
        assert range_.services.reports()[1]["listed_outsiders"] == ["127.9.0.8:6881"]


def query(address, name, *, ro=1, wait=5.0, **arguments):
    """A KRPC query (BEP 5) and the return values of its answer."""
    said = {"a": {"id": bytes(20), **arguments}, "q": name, "t": "ab", "y": "q"} | ({"ro": ro} if ro else {})
    answer = ask(bencode(said), address, wait)
    return answer if answer is None else dictionary(answer)


def get_peers(address):
    """What a node answers to get_peers, as it came."""
    said = {"a": {"id": bytes(20), "info_hash": TORRENTS[0].infohash}, "q": "get_peers", "ro": 1, "t": "ab", "y": "q"}
    return ask(bencode(said), address)


def lookup(infohash, rounds=12):
    """An iterative get_peers over the nodes that tell the truth: every address told, and who told something."""
    known, asked, told = dict.fromkeys(BOOTSTRAP, 1 << 160), set(), {}
    for _ in range(rounds):
        left = sorted((d, a) for a, d in known.items() if a not in asked)[:3]
        for _, address in left:
            asked.add(address)
            if node_manner(address) is not NodeManner.TRUTHFUL:
                continue
            values = query(address, "get_peers", info_hash=infohash)[b"r"]
            assert values[b"token"]
            told[address] = {socket.inet_ntoa(v[:4]) for v in values.get(b"values", ())}
            nodes = values[b"nodes"]
            for at in range(0, len(nodes), 26):
                distance = int.from_bytes(nodes[at : at + 20], "big") ^ int.from_bytes(infohash, "big")
                known[socket.inet_ntoa(nodes[at + 20 : at + 24])] = distance
    return told


def node_manner(address):
    return dict(zip(map(place, range(1, 1 + len(MANNERS))), MANNERS, strict=True)).get(address, NodeManner.ENDLESS)


def test_the_dht_tells_who_is_listed_there_near_the_infohash():
    listed, others = everyone(source=Source.DHT)
    with playing(scenario(*listed, *others)) as range_:
        told = lookup(TORRENTS[0].infohash)
        assert set().union(*told.values()) == addresses(listed)
        assert [values for values in told.values() if not values], "not every node knows it"
        assert not range_.forbidden()
        assert range_.services.reports()[2]["queries"] == {"get_peers": len(told)}


def test_the_nodes_that_lie():
    listed, _ = everyone(source=Source.DHT)
    with playing(scenario(*listed)) as range_:
        at = {manner: place(MANNERS.index(manner) + 1) for manner in NodeManner}
        spoofed = query(at[NodeManner.SPOOFS], "get_peers", info_hash=TORRENTS[0].infohash)[b"r"][b"values"]
        assert not {socket.inet_ntoa(v[:4]) for v in spoofed} & addresses(listed)
        assert all(len(v) == 6 for v in spoofed)
        again = query(at[NodeManner.SPOOFS], "get_peers", info_hash=TORRENTS[0].infohash)[b"r"][b"values"]
        assert again == spoofed, "whoever lies tells the same lies again"
        address = at[NodeManner.ENDLESS]
        for _ in range(5):
            nodes = query(address, "get_peers", info_hash=TORRENTS[0].infohash)[b"r"][b"nodes"]
            assert nodes[:10] == TORRENTS[0].infohash[:10]
            address = socket.inet_ntoa(nodes[20:24])
        answers = {get_peers(at[NodeManner.GARBAGE]) for _ in range(8)}
        assert len(answers) > 1
        assert query(at[NodeManner.SLOW], "get_peers", info_hash=TORRENTS[0].infohash, wait=0.5) is None
        assert not range_.forbidden()


def test_what_is_forbidden_in_the_dht():
    listed, _ = everyone(source=Source.DHT)
    node, infohash = BOOTSTRAP[0], TORRENTS[0].infohash
    with playing(scenario(*listed)) as range_:
        assert len(query(node, "ping", ro=0)[b"r"][b"id"]) == 20
        assert len(query(node, "find_node", target=infohash)[b"r"][b"nodes"]) == 8 * 26
        token = query(node, "get_peers", info_hash=infohash)[b"r"][b"token"]
        assert query(node, "announce_peer", info_hash=infohash, port=7000, token=b"no")[b"e"][0] == 203
        assert b"r" in query(node, "announce_peer", info_hash=infohash, port=7000, token=token)
        assert query(node, "vote", target=infohash)[b"e"][0] == 204
        query(node, "get_peers", info_hash=UNWATCHED.infohash)
        ask(b"d1:t2:ab1:y1:re", node, wait=0.1)
        ask(b"junk", node, wait=0.1)
        assert range_.forbidden() == [
            "a DHT message that is no query from 127.9.0.8 (1 times)",
            "a DHT query for a torrent that is not watched from 127.9.0.8 (1 times)",
            "a DHT query without ro=1 from 127.9.0.8 (1 times)",
            "a datagram that is no KRPC message from 127.9.0.8 (1 times)",
            "the DHT query announce_peer from 127.9.0.8 (2 times)",
            "the DHT query find_node from 127.9.0.8 (1 times)",
            "the DHT query ping from 127.9.0.8 (1 times)",
            "the DHT query vote from 127.9.0.8 (1 times)",
        ]
        assert range_.services.reports()[2]["listed_outsiders"] == ["127.9.0.8:7000"]


def test_libtorrent_finds_peers_at_the_udp_trackers(tmp_path):
    listed, _ = everyone()
    urls = [f"udp://127.1.0.{index + 1}:{SERVICES_PORT}/announce" for index in TORRENTS[0].trackers]
    with playing(scenario(*listed)) as range_, leecher(tmp_path, urls) as (session, _):
        log = Log(session)
        assert until(lambda: all(log.says(address, "<== HAVE_ALL") for address in addresses(listed)))
        reports = range_.services.reports()
        assert any(r["announces"].get("started") for r in reports)
        assert any(each.startswith("127.9.0.9:") for r in reports for each in r["listed_outsiders"])


def test_libtorrent_finds_peers_in_the_dht_and_is_caught_announcing(tmp_path):
    listed, _ = everyone(source=Source.DHT)
    nodes = ",".join(f"{address}:{SERVICES_PORT}" for address in BOOTSTRAP)
    with (
        playing(scenario(*listed), (NodeManner.TRUTHFUL,) * 24) as range_,
        leecher(tmp_path, enable_dht=True, dht_bootstrap_nodes=nodes) as (session, _),
    ):
        log = Log(session)
        assert until(lambda: all(log.says(address, "<== HAVE_ALL") for address in addresses(listed)))
        assert until(lambda: range_.services.reports()[2]["listed_outsiders"])
        assert {"get_peers", "announce_peer"} <= set(range_.services.reports()[2]["queries"])
        assert any("announce_peer" in line for line in range_.forbidden())
