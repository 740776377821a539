"""`python beyond_a_router.py FOLDER`: a run that calls peers beyond a router, which knows no way to some of them.

Some addresses have no way out of this machine at all: one in no network that it has a route to, and what names nobody.
For a namespace of its own. The router is another namespace, with a route to nothing; it answers as RFC 792 has it, with
"net unreachable". On the cable between them is nobody but the router, so that asking for another there finds nobody.
"""

import json
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from observe_case import FAST, new_case, watch_body
from observe_stage import PIECES, Stage, answers, bitfield

from clew.observe.run import observe

HERE, ROUTER, NO_ROUTE, NOBODY = "192.0.2.1", "192.0.2.2", "198.51.100.7", "192.0.2.77"  # RFC 5737
NO_WAY = ("127.255.255.255", "203.0.113.9", "224.0.0.1", "255.255.255.255")
ROUTE = "echo 1 > /proc/sys/net/ipv4/ip_forward; ip addr add {}/24 dev far; ip link set far up"


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


def connect(router: "subprocess.Popen[bytes]") -> None:
    ip("link", "set", "lo", "up")
    own = Path("/proc/self/ns/net").readlink()
    while Path(f"/proc/{router.pid}/ns/net").readlink() == own:
        time.sleep(0.01)
    ip("link", "add", "near", "type", "veth", "peer", "name", "far", "netns", str(router.pid))
    subprocess.run(["nsenter", "-t", str(router.pid), "-n", "sh", "-ec", ROUTE.format(ROUTER)], check=True)
    ip("addr", "add", f"{HERE}/24", "dev", "near")
    ip("link", "set", "near", "up")
    ip("route", "add", "198.51.100.0/24", "via", ROUTER)
    for name, value in (("mcast_solicit", "1"), ("retrans_time_ms", "100")):  # how long somebody is looked for there
        Path(f"/proc/sys/net/ipv4/neigh/near/{name}").write_text(value)


if __name__ == "__main__":
    with subprocess.Popen(["unshare", "-n", "sleep", "60"]) as router, Stage() as stage:
        connect(router)
        infohash = bytes.fromhex(str(watch_body()["infohash_v1"]))
        peer = stage.peer("127.26.4.1", answers(bitfield(*range(PIECES)), torrents={infohash}))
        tracker = stage.tracker("127.1.0.32", tells_stopped=True)
        tracker.listed[infohash] = [(peer.address, peer.port), (NO_ROUTE, 6881), (NOBODY, 6881)]
        tracker.listed[infohash] += [(each, port) for each in NO_WAY for port in (6881, 6882)]
        networks = ("127.0.0.0/8", "192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/3")
        scope = {"addresses": list(networks), "trackers": [tracker.url], "permits": ["plaintext"]}
        case = new_case(Path(sys.argv[1]), Ed25519PrivateKey.generate(), **scope)
        policy = replace(FAST, allow=networks, revisit=300.0, answer=6.0, announce=60.0)
        summary = observe(case, trackers=[tracker.url], policy=policy, seconds=4.0)
        router.kill()
    sql = "SELECT DISTINCT address, state, detail FROM dials WHERE kind = 'contact' ORDER BY address"
    print(json.dumps({"gaps": summary.coverage["gaps"], "dials": [list(row) for row in case.read().execute(sql)]}))
