"""The swarm over real sockets: what each kind answers, what the audit counts, and that nothing outlives its parent."""

import socket
import struct
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import pytest

from clew.range.fake import HAVE_ALL, read_handshake
from clew.range.operation import Operation
from clew.range.scenario import Carrier, Manner, Saying
from clew.range.scenario_file import text_of
from clew.range.torrents import bencode

HELLO = b"\x13BitTorrent protocol"
FAST_AND_EXTENDED = bytes.fromhex("0000000000100004")
KNOWS_PEX = struct.pack(">IBB", 20, 20, 0) + b"d1:md6:ut_pexi1eee"  # BEP 10; who is told nothing waits for it a second


@pytest.fixture(scope="module")
def operation():
    text = text_of("small").replace("seconds = 40.0", "seconds = 600.0").replace("switch = 20.0", "switch = 300.0")
    with Operation.prepare(41, text) as running:
        running.go()
        yield running


def party(operation, **wanted):
    for each in operation.scenario.parties:
        if all(getattr(each, key) == value for key, value in wanted.items()):
            return each
    raise LookupError(wanted)


def answers(whom):
    return whom.manner is Manner.ANSWERS and Carrier.TCP in whom.accepts and whom.listed


def hail(operation, whom, *, infohash=None, reserved=FAST_AND_EXTENDED, more=b"", wait=0.6):
    """Connects, says hello and `more`, and returns what comes back until `wait` seconds of silence or the end."""
    stay = whom.stays[0]
    infohash = infohash or operation.scenario.torrents[whom.holdings[0].torrent].infohash
    with socket.socket() as sock:
        sock.settimeout(wait)
        sock.bind(("127.9.0.7", 0))
        sock.connect((stay.address, stay.port))
        sock.sendall(HELLO + reserved + infohash + b"-XX0000-abcdefghijkl" + more)
        found = b""
        try:
            while block := sock.recv(65536):
                found += block
        except (TimeoutError, ConnectionResetError):
            pass
        return found


def messages(data):
    """(kind, payload) of everything after the handshake."""
    at, found = 68, []
    while at + 4 < len(data):
        (length,) = struct.unpack_from(">I", data, at)
        found.append((data[at + 4], data[at + 5 : at + 4 + length]))
        at += 4 + length
    return found


def test_a_seeder_answers_and_pushes_the_canary(operation):
    whom = next(
        p
        for p in operation.scenario.parties
        if answers(p) and p.holdings[0].saying is Saying.WHOLE and p.client.fast and p.planted
    )
    said = hail(operation, whom, more=KNOWS_PEX)
    hello = read_handshake(said)
    assert hello.infohash == operation.scenario.torrents[whom.holdings[0].torrent].infohash
    assert hello.peer_id.decode().startswith(whom.client.prefix)
    kinds = [kind for kind, _ in messages(said)]
    assert HAVE_ALL in kinds
    assert kinds.index(HAVE_ALL) < kinds.index(7)
    assert operation.canary in said


def test_a_client_without_fast_gets_no_fast_message(operation):
    whom = next(p for p in operation.scenario.parties if answers(p) and p.holdings[0].saying is Saying.WHOLE)
    kinds = [kind for kind, _ in messages(hail(operation, whom, reserved=bytes(8)))]
    assert not set(kinds) & {0x0E, 0x0F}
    assert kinds[0] == 5


@pytest.mark.parametrize("kind", ["encrypted-only", "utp-only", "unlisted"])
def test_what_is_planted_as_unreachable(operation, kind):
    whom = party(operation, kind=kind, planted=True)
    assert _closed(operation, whom) == (kind != "unlisted")


def _closed(operation, whom):
    try:
        return hail(operation, whom) == b""
    except ConnectionError:
        return True


def test_promiscuous_ones_echo_anything_and_others_do_not(operation):
    anything = bytes(range(20))
    assert read_handshake(hail(operation, party(operation, kind="promiscuous"), infohash=anything)).infohash == anything
    assert hail(operation, party(operation, kind="plain"), infohash=anything) == b""


def test_some_change_their_peer_id_at_every_connection(operation):
    answering = [p for p in operation.scenario.parties if answers(p) and p.stays[0].begin < 0]
    changing = next(p for p in answering if p.client.per_connection)
    constant = next(p for p in answering if not p.client.per_connection)
    ids = [read_handshake(hail(operation, p)).peer_id for p in (changing, changing, constant, constant)]
    assert ids[0] != ids[1]
    assert ids[2] == ids[3]


def test_real_seeders_answer(operation):
    said = hail(operation, party(operation, manner=Manner.REAL), wait=3)
    assert read_handshake(said).peer_id.startswith(b"-LT2")


def test_trackers_of_both_manners(operation):
    assert [url.partition(":")[0] for url in operation.trackers] == ["http", "http", "udp", "udp"]
    for number, url in enumerate(operation.trackers[:2]):
        torrent = next(t for t in operation.scenario.watches() if number in t.trackers)
        stopped, started = announce(url, torrent, "stopped"), announce(url, torrent, "started")
        assert len(stopped) > 100 if number == 0 else b"5:peers0:" in stopped
        assert len(started) > 100
        assert b"failure" in announce(url, torrent, "stopped", infohash=bytes(20))
        announce(url, torrent, "stopped")


def scrape(url):
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(url.replace("announce", "scrape"), timeout=5)


def announce(url, torrent, event, infohash=None, left="1"):
    fields = {"info_hash": infohash or torrent.infohash, "peer_id": b"-XX0000-abcdefghijkl", "port": 6881}
    fields |= {"uploaded": 0, "downloaded": 0, "left": left, "compact": 1, "numwant": 200, "event": event}
    with urllib.request.urlopen(f"{url}?{urllib.parse.urlencode(fields)}", timeout=5) as reply:
        return reply.read()


def test_the_dht_stands_beside_them(operation):
    address, _, port = operation.dht_nodes[0].removeprefix("dht://").partition(":")
    infohash = operation.scenario.watches()[0].infohash
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(5)
        said = bencode({"a": {"id": bytes(20), "info_hash": infohash}, "q": "get_peers", "ro": 1, "t": "x", "y": "q"})
        sock.sendto(said, (address, int(port)))
        assert b"5:nodes208:" in sock.recv(2048)


def test_only_what_the_scenario_offers_stands_there():
    text = text_of("small")
    sources = next(line for line in text.splitlines() if line.startswith("sources"))
    plain = Operation.prepare(41, text.replace(sources, 'sources = ["http tracker"]'))
    plain.__exit__()  # nothing was started; another one may be prepared
    assert all(url.startswith("http:") for url in plain.trackers)
    assert plain.dht_nodes == []


def test_zz_the_audit_counts_everything_that_is_forbidden(operation):
    """Last of this module: it stops the swarm."""
    whom = next(p for p in operation.scenario.parties if answers(p) and p.client.fast and p.stays[0].begin < 0)
    wanted = [(2, b""), (6, bytes(12)), (4, bytes(4)), (9, bytes(2)), (14, b""), (20, b"\x02x"), (99, b"")]
    allowed = [(0, b""), (3, b""), (15, b""), (20, b"\x00de")]
    more = b"".join(struct.pack(">IB", len(p) + 1, k) + p for k, p in [*wanted, *allowed])
    said = hail(operation, whom, more=more)
    assert 1 in [kind for kind, _ in messages(said)], "who is interested is unchoked"
    plain = next(p for p in operation.scenario.parties if answers(p) and not p.client.fast)
    hail(operation, plain, more=struct.pack(">IB", 1, 15))
    hail(operation, whom, reserved=bytes.fromhex("0000000000000001"))
    announce(operation.trackers[1], next(t for t in operation.scenario.watches() if 1 in t.trackers), "", left="0")
    unwatched = party(operation, kind="unwatched")
    hail(operation, unwatched)
    hail(operation, unwatched, infohash=bytes(range(20)))
    hail(operation, party(operation, manner=Manner.SILENT), more=struct.pack(">IB", 1, 2))
    hail(operation, whom, more=b"\x7f\xff\xff\xff")
    scrape(operation.trackers[0])
    other = next(t for t in operation.scenario.torrents if t.watched is None)
    announce(operation.trackers[0], other, "started")
    with socket.create_connection((whom.stays[0].address, whom.stays[0].port)) as sock:
        sock.sendall(bytes(68))
        sock.shutdown(socket.SHUT_WR)
        sock.recv(1)
    report = operation.finish()
    counted = report["audit"]["forbidden"]
    soon = counted.pop("handshake sooner than the revisit interval")
    assert soon >= 2, "the last hails of one party came one after another"
    assert counted.pop("handshake for a torrent that is not watched") >= 1
    assert counted.pop("a connection to an endpoint that no source lists") == 1, "the hail of the unlisted one"
    assert counted.pop("something that is no handshake") == 1
    assert counted.pop("a message larger than any that a peer needs") == 1
    first = report["sources"][0]["forbidden"]
    assert [line.split(" from ")[0] for line in first] == [
        "a request that is no announce",
        "announce for a torrent that is not watched",
        "announce with event 'started' before any 'stopped'",
    ]
    assert counted == {
        "interested": 2,
        "request": 1,
        "have": 1,
        "port": 1,
        "have_all": 1,
        "extended message 2": 1,
        "message 99": 1,
        "have_none": 1,
        "handshake with the DHT bit": 1,
    }
    assert report["audit"]["forbidden_messages"] >= 16
    assert len(report["sources"][1]["forbidden"]) == 2, "no event, and left=0"
    assert report["sources"][1]["listed_outsiders"] == [f"127.0.0.1:{6881}"]
    assert [each["source"] for each in report["sources"]] == ["http tracker"] * 2 + ["udp tracker"] * 2 + ["dht"]
    assert report["sources"][4]["queries"] == {"get_peers": 1}


def test_nothing_outlives_a_parent_that_is_killed(tmp_path):
    code = (
        "import sys, time\n"
        "from clew.range.operation import Operation\n"
        "from clew.range.scenario_file import text_of\n"
        "with Operation.prepare(1, text_of('small')) as operation:\n"
        "    print(*(a._process.pid for a in operation._actors.values()), flush=True)\n"
        "    time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as parent:
        pids = [int(each) for each in parent.stdout.readline().split()]
        assert len(pids) == 2
        parent.kill()
        parent.wait()
    deadline = time.monotonic() + 15
    while any(_runs(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not any(_runs(pid) for pid in pids)


def _runs(pid):
    try:
        with Path(f"/proc/{pid}/stat").open() as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
