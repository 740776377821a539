"""MD5, SHA-1 and SHA-256 of the same files: intake's reading path against hashdeep, in CPU time of one core.

- ours: `clew.intake.reading.examine` up to its first answer: read once, three hashes, the content held in memory.
- hashlib: the three alone, on bytes that are in memory already: what no reading path in Python can go below.
- peer: `hashdeep -c md5,sha1,sha256 -j0`, a child on one thread; what it starts with is measured on one empty file and
  taken off.

Turn by turn, the best of each is kept; then the digests of both are compared.
"""

import argparse
import csv
import hashlib
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

from _claims import Claim, run
from clew.core import hash_code, one_pass
from clew.intake import reading
from clew.intake.sources.folder import file

MIB, KIB = 1 << 20, 1 << 10


def measure(options: argparse.Namespace) -> Iterable[Claim]:
    reading.preload()
    print(f"hashed by {one_pass.install(hash_code.made())}", file=sys.stderr)
    command = f"python bench/bench_hashes.py --mib {options.mib} --rounds {options.rounds}"
    with tempfile.TemporaryDirectory() as folder:
        empty = Path(folder) / "empty"
        empty.touch()
        start = min(spent(lambda: peer([empty]), resource.RUSAGE_CHILDREN) for _ in range(5))
        for size in (16 * KIB, 4 * MIB, 256 * MIB):
            count = max(1, options.mib * MIB // size)
            files = [Path(folder) / f"{size}-{number}" for number in range(count)]
            for path in files:
                path.write_bytes(os.urandom(size))
            ways = {
                "ours": partial(spent, partial(ours, files), resource.RUSAGE_SELF),
                "hashdeep": partial(spent, partial(peer, files), resource.RUSAGE_CHILDREN),
                "hashlib": partial(spent, partial(alone, bytes(min(size, MIB)), count * size), resource.RUSAGE_SELF),
            }
            best = {name: min(way() for _ in range(options.rounds)) for name, way in ways.items()}
            if ours(files) != peer(files):
                raise SystemExit("the digests differ")
            best["hashdeep"] -= start
            rate = {name: count * size / 1e6 / each for name, each in best.items()}
            for name in ("ours", "hashlib"):
                told = f"three hashes, files of {size // KIB:,} KiB: {name} against hashdeep"
                ratio, least = rate[name] / rate["hashdeep"], 3 if name == "ours" else None
                yield Claim(told, rate[name], rate["hashdeep"], ratio, "MB per CPU s", count, command, least)
            for path in files:
                path.unlink()


def spent(work: Callable[[], object], who: int) -> float:
    """CPU seconds, user and system."""
    before = resource.getrusage(who)
    work()
    after = resource.getrusage(who)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def alone(block: bytes, total: int) -> None:
    hashes = hashlib.md5(), hashlib.sha1(), hashlib.sha256()
    for _ in range(total // len(block)):
        for each in hashes:
            each.update(block)


def ours(files: list[Path]) -> set[tuple[str, ...]]:
    found = set()
    for path in files:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            payload = {"size": os.fstat(descriptor).st_size, "state": "complete", "extractors": [], "mode": "fast"}
            first = next(reading.examine(file({}, [descriptor]), payload))
        finally:
            os.close(descriptor)
        content = first.value["content"]
        found.add((str(content["size"]), content["md5"], content["sha1"], content["sha256"]))
    return found


def peer(files: list[Path]) -> set[tuple[str, ...]]:
    asked = ["hashdeep", "-c", "md5,sha1,sha256", "-j0", "-f", "/dev/stdin"]
    names = "".join(f"{path}\n" for path in files)
    said = subprocess.run(asked, input=names, capture_output=True, text=True, check=True).stdout
    lines = [line for line in said.splitlines() if line and line[0] not in "%#"]
    return {tuple(row[:4]) for row in csv.reader(lines)}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mib", type=int, default=256, help="MiB of each kind of file")
    parser.add_argument("--rounds", type=int, default=3)
    run("Three hashes of the same files, one core", measure, parser)
