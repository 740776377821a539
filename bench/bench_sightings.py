"""Reading what a run of hours kept, a few rows every five seconds; peer is the same case with no shard merged."""

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from _claims import Claim, run
from clew.core import keys
from clew.core.case import Case, new_id
from clew.core.shards import SCHEMAS
from clew.observe import keeping
from clew.observe.book import Book
from clew.observe.gaps import Gaps
from clew.observe.policy import Policy
from clew.observe.rows import Run

READ = """
import sys, time
from pathlib import Path
from clew.core import shards
from clew.core.case import Case
case, began = Case.open(Path(sys.argv[1])), time.monotonic()
shards.query(case, "SELECT kind, count(DISTINCT id) FROM sightings GROUP BY kind")
(peak,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:"))
print(time.monotonic() - began, 1024 * int(peak.split()[1]))
"""
SIZES = {"transcript": 900, "infohash_sent": 20, "infohash_echoed": 20, "peer_id": 20, "reserved": 8}


def row(kind: str, tier: str, number: int) -> dict[str, Any]:
    """A sighting, of one of a thousand places."""
    made: dict[str, Any] = {f.name: str(number % 1_000) for f in SCHEMAS["sightings"] if str(f.type) == "string"}
    made |= {f.name: number for f in SCHEMAS["sightings"] if str(f.type) == "int64"}
    made |= {name: os.urandom(size) for name, size in SIZES.items()}
    return made | {"id": new_id(), "kind": kind, "tier": tier, "promiscuous": False}


def flushed(folder: Path, flushes: int) -> Path:
    """A case after so many flushes of two contacts and a listing."""
    authority = keys.public_hex(Ed25519PrivateKey.generate())
    case = Case.create(folder, operation="Bench", force="AT", authority=authority, actor="wren")
    ours = Run(new_id(), "bench", "0" * 64, "here", None, None)
    keeper = keeping.Keeper(case, ours, Book([], Policy(), 0, lambda _: ()), Gaps())
    for number in range(flushes):
        for kind, tier in (("contact", "E2"), ("contact", "E1"), ("listed", "E0")):
            keeper.keep(row(kind, tier, number))
        keeper.flush(None, {})
    case.close()
    return folder


def read(case: Path) -> list[float]:
    """Seconds and bytes of one query, in a process of its own."""
    told = subprocess.run([sys.executable, "-c", READ, str(case)], stdout=subprocess.PIPE, text=True, check=True)
    return [float(each) for each in told.stdout.split()]


def measured(options: argparse.Namespace) -> Iterable[Claim]:
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        ours = read(flushed(Path(name) / "ours", options.flushes))
        keeping.merge = lambda *_: None
        peer = read(flushed(Path(name) / "peer", options.flushes))
    command = f"python bench/bench_sightings.py --flushes {options.flushes}"
    title = f"one query after {options.flushes:,} flushes"
    yield Claim(f"{title}: time", ours[0], peer[0], peer[0] / ours[0], "s", 1, command, 2)
    yield Claim(f"{title}: memory", ours[1] / 1e6, peer[1] / 1e6, peer[1] / ours[1], "MB, peak", 1, command, 2)


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--flushes", type=int, default=3_000, help="how many; there are 720 in an hour")
parser.add_argument("--folder", type=Path, help="where the cases are made (default: the system's temporary folder)")

if __name__ == "__main__":
    run("sightings; peer is the same, never merged", measured, parser)
