"""`python without_network.py CASE INFOHASH`: a run that has no route for a while. For a namespace of its own."""

import json
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

from disturbed_runs import balanced, facts, troupe
from observe_case import FAST
from observe_stage import Peer, Stage

from clew.core.case import Case
from clew.observe.run import observe


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


def cut(peers: list[Peer]) -> None:
    """Once a peer was called, takes the route away for a second."""
    route = ("local", "127.0.0.0/8", "dev", "lo", "table", "local")
    while not any(peer.heard for peer in peers):
        time.sleep(0.02)
    ip("route", "del", *route)
    time.sleep(1.0)
    ip("route", "add", *route)


if __name__ == "__main__":
    ip("link", "set", "lo", "up")
    case = Case.open(Path(sys.argv[1]), actor="tester")
    with Stage() as stage:
        tracker, peers = troupe(stage, bytes.fromhex(sys.argv[2]))
        threading.Thread(target=cut, args=(peers,)).start()
        found = observe(case, trackers=[tracker.url], policy=replace(FAST, revisit=0.8, announce=0.3))
        balanced(case, peers)
    tiers = sorted(str(row[2]) for row in facts(case))
    assert tiers == ["E0", "E0", "E1", "E1", *["E2"] * 6], tiers
    print(json.dumps(found.as_dict()))
