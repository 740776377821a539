"""The observer beside a libtorrent session at the same light peers: CPU a contacted peer, and memory at 50,000.

Ours asks the tracker, calls every peer, probes each that answers once more with a random infohash, and keeps the
proof. libtorrent is told the peers' addresses, and does one of three things: the same (each peer twice, the second time
for an infohash that nobody has, every line of its log written to a file), each peer once with its log read, or each
peer once and polled twice a second, which misses some: real peers hang up within milliseconds. All over plain TCP.
"""

import argparse
import hashlib
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from _claims import Claim, run
from _processes import Cost, measure
from clew.core import mandate, shards, watch
from clew.core.case import Case
from clew.core.keys import public_hex

HERE = Path(__file__).parent
PIECES, PIECE = 256, 1 << 14
MOST = 150e6
INFO = (
    b"d6:lengthi%de4:name1:f12:piece lengthi%de6:pieces%d:" % (PIECES * PIECE, PIECE, 20 * PIECES)
    + b"\x07" * (20 * PIECES)
    + b"e"
)
INFOHASH = hashlib.sha1(INFO).digest()
OURS = """
import sys
from pathlib import Path
class Absent:  # pandas: an install has none; where a tool of the tests brings it, pyarrow loads it
    @staticmethod
    def find_spec(name, *_):
        if name == "pandas":
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Absent)
from clew.core.long_run import settle_in, spare_arrow
settle_in()  # first, as the verb does
spare_arrow()
from clew.core.case import Case
from clew.observe.policy import Policy
from clew.observe.run import observe
policy = Policy(visits=1, quiet_rounds=1, announce=1.0, per_second=2000, transports=("tcp",), revisit=3600)
found = observe(Case.open(Path(sys.argv[1])), trackers=[sys.argv[2]], policy=policy)
sys.exit(found.stopped != "settled")
"""
PEER = """
import sys, time
import libtorrent as lt
sys.path.insert(0, sys.argv[4])
from _peers import PORT, address
count, folder, how = int(sys.argv[1]), sys.argv[3], sys.argv[5]
logged = how != "polled"
session = lt.session({
    "enable_dht": False, "enable_lsd": False, "enable_upnp": False, "enable_natpmp": False, "ssrf_mitigation": False,
    "allow_multiple_connections_per_ip": True, "close_redundant_connections": False,
    "enable_outgoing_utp": False, "enable_incoming_utp": False, "out_enc_policy": 2, "in_enc_policy": 2,
    "listen_interfaces": "127.9.0.2:0", "connections_limit": 15000, "connection_speed": 2000,
    "max_peerlist_size": 2 * count, "max_paused_peerlist_size": 2 * count, "unchoke_slots_limit": 0,
    "alert_mask": lt.alert.category_t.peer_log_notification if logged else 0, "alert_queue_size": 1_000_000,
})
def added(about):
    wanted = lt.add_torrent_params()
    wanted.ti, wanted.save_path = lt.torrent_info(about), folder
    wanted.flags |= lt.torrent_flags.upload_mode
    return session.add_torrent(wanted)
about = lt.bdecode(open(sys.argv[2], "rb").read())
handle, probed, proof = added(about), set(), None
if how == "same":
    about[b"info"][b"name"] = b"nobody has it"
    control = added(about)
    proof = open(folder + "/proof.log", "w")
for number in range(count):
    handle.connect_peer((address(number), PORT))
claimed, deadline = set(), time.monotonic() + 120
while min(len(claimed), len(probed) if proof else count) < count and time.monotonic() < deadline:
    time.sleep(0.5)
    if not logged:
        claimed.update(each.ip[0] for each in handle.get_peer_info() if each.num_pieces)
        continue
    for each in session.pop_alerts():
        if not isinstance(each, lt.peer_log_alert):
            continue
        said, peer = each.message(), each.endpoint[0]
        if proof:
            proof.write(f"{each.timestamp} {said}\\n")
            if each.handle == control:
                probed.add(peer)
                continue
        if "<== " in said and "BITFIELD" in said and peer not in claimed:
            claimed.add(peer)
            if proof:
                control.connect_peer((peer, PORT))
print(len(claimed), flush=True)
session.pause()
"""


@contextmanager
def peers(count: int, a_reply: int) -> Iterator[str]:
    """The peers, in a process of their own; gives the tracker's URL."""
    command = [sys.executable, str(HERE / "_peers.py"), str(count), str(a_reply), INFOHASH.hex(), str(PIECES)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip()


def new_case(folder: Path) -> Path:
    """A case with a Mandate to observe and one Watch."""
    key = Ed25519PrivateKey.generate()
    case = Case.create(folder, operation="Bench", force="AT", authority=public_hex(key), actor="wren")
    scope = {name: ["*"] for name in ("networks", "addresses", "countries", "trackers", "exhibits")}
    body = scope | {
        "id": "M-1", "operation": "Bench", "authority": "court", "purposes": ["observe"], "permits": [],
        "not_before": "2020-01-01T00:00:00Z", "not_after": "2060-01-01T00:00:00Z",
    }  # fmt: skip
    mandate.add(case, mandate.sign_document("mandate", body, key))
    body = {
        "id": "W1", "label": "W-1", "infohash_v1": INFOHASH.hex(), "infohash_v2": None, "piece_length": PIECE,
        "pieces": PIECES, "file_offset": 0, "file_length": PIECES * PIECE, "scheme": "Bench", "category": "1",
        "graded_by": "wren", "graded": "2026-01-01T00:00:00Z", "mandate": "M-1",
    }  # fmt: skip
    watch.add(case, mandate.sign_document("watch", body, key))
    case.close()
    return folder


def ours(folder: Path, count: int, a_reply: int, *, memory: bool) -> tuple[Cost, int]:
    """What a run costs, and how many peers it has a claim of in the case."""
    case = new_case(folder)
    with peers(count, a_reply) as tracker:
        cost = measure([sys.executable, "-c", OURS, str(case), tracker], memory=memory)
    if cost.status:
        raise SystemExit(f"the observer ended with status {cost.status}")
    opened = Case.open(case)
    sql = "SELECT count(DISTINCT address) n FROM sightings WHERE kind = 'contact' AND claim = 'watched file'"
    kept = shards.query(opened, sql).to_pylist()[0]["n"]
    opened.close()
    return cost, int(kept)


def libtorrents(folder: Path, count: int, how: str) -> tuple[Cost, int]:
    """What a session costs, and of how many peers it was ever seen to know a claim."""
    torrent, told = folder / "f.torrent", folder / "told"
    torrent.write_bytes(b"d4:info" + INFO + b"e")
    with peers(count, 200), told.open("w") as out:
        command = [sys.executable, "-c", PEER, str(count), str(torrent), str(folder), str(HERE), how]
        cost = measure(command, stdout=out.fileno())
    if cost.status:
        raise SystemExit(f"libtorrent's session ended with status {cost.status}")
    return cost, int(told.read_text() or 0)


def measured(options: argparse.Namespace) -> Iterable[Claim]:
    command = f"python bench/bench_observe.py --peers {options.peers} --many {options.many}"
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        here = Path(name)
        if options.peers:
            our, kept = ours(here / "case", options.peers, 200, memory=False)
            mine = 1e3 * our.cpu / max(1, kept)
            for how in ("same", "logged", "polled"):
                peer, claimed = libtorrents(here, options.peers, how)
                other = 1e3 * peer.cpu / max(1, claimed)
                title = f"CPU a contacted peer; {kept:,} kept; libtorrent, {how}, {claimed:,} seen"
                least = 2 if how == "same" else None
                yield Claim(title, mine, other, other / mine, "ms", options.peers, command, least)
        if options.many:
            many, kept = ours(here / "many", options.many, 1_000, memory=True)
            title = f"memory at {options.many:,} peers, {kept:,} kept; {many.seconds:,.0f} s, {many.cpu:,.0f} CPU-s"
            yield Claim(title, many.peak / 1e6, MOST / 1e6, MOST / many.peak, "MB PSS, peak", options.many, command, 1)


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--peers", type=int, default=10_000, help="how many for the CPU; 0 leaves it out")
parser.add_argument("--many", type=int, default=50_000, help="how many for the memory; 0 leaves it out")
parser.add_argument("--folder", type=Path, help="where the cases are made (default: the system's temporary folder)")

if __name__ == "__main__":
    run("the observer; peer is libtorrent, or the promise", measured, parser)
