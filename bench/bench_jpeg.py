"""A JPEG item, everything that intake does with it, in CPU time per core: against a loop that does only the hash, and
against the least that any tool must do.

- ours: `clew.intake.reading.examine` on a file: read, three hashes, type, one decode, PDQ, EXIF, grey thumbnail.
- loop: what `threatexchange.signal_type.pdq.pdq_hasher.pdq_from_bytes` does and no more: Pillow's decode,
  `pdqhash.compute`, the hash in hexadecimal.
- bound: read, SHA-256, luma decoded at 1/8.

All see the same files, turn by turn in one process on one thread; the best of each is kept per picture. The ratio
against the bound says how many times as much ours costs; that of a step is its share of the fast item. Pictures are
made by code (12 megapixels, as `bench_pdq.py` makes them); `--pictures DIR` measures the JPEGs of a folder instead.
"""

import argparse
import hashlib
import io
import os
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"  # before numpy is there

import numpy as np
import pdqhash
import simplejpeg
from PIL import Image

from _claims import Claim, run
from bench_pdq import photograph
from clew.core import hash_code, one_pass
from clew.intake import mediatype, reading
from clew.intake.api import EXACT, FAST, Probe
from clew.intake.extractors import _metadata, _picture, exif, pdq, thumbnail
from clew.intake.sources.folder import file

EXTRACTORS = [f"clew.intake.extractors.{name}:PLUGIN" for name in ("dimensions", "exif", "pdq", "thumbnail")]
SCALE = 8
Step = Callable[[], object]


def measure(options: argparse.Namespace) -> Iterable[Claim]:
    reading.preload()
    one_pass.install(hash_code.made())  # as in a worker
    command = f"python bench/bench_jpeg.py --rounds {options.rounds}"
    with tempfile.TemporaryDirectory() as folder:
        if options.pictures:
            files = sorted(each for each in options.pictures.rglob("*.jp*g") if each.stat().st_size >= options.least)
            command += f" --pictures {options.pictures} --least {options.least}"
        else:
            files = [Path(folder) / f"{number}.jpg" for number in range(options.count)]
            for number, path in enumerate(files):
                path.write_bytes(photograph(options.seed + number))
            command += f" --count {options.count} --seed {options.seed}"
        yield from compare(files, options.rounds, command)


def compare(files: list[Path], rounds: int, command: str) -> Iterator[Claim]:
    ways: dict[str, Callable[[Path], object]] = {
        "bound": bound,
        "loop": loop,
        FAST: lambda path: item(path, FAST),
        EXACT: lambda path: item(path, EXACT),
    }
    seconds = dict.fromkeys(ways, 0.0)
    alone: dict[str, float] = {}
    for path in files:
        best = best_of({name: partial(way, path) for name, way in ways.items()}, rounds)
        for name, took in best.items():
            seconds[name] += took
        for name, took in best_of(steps(path), rounds).items():
            alone[name] = alone.get(name, 0.0) + took
    n = len(files)
    size = sum(path.stat().st_size for path in files) / n / 1e6
    ms = {name: 1000 * took / n for name, took in seconds.items()}
    for mode, least, most in ((FAST, 12, 2.0), (EXACT, 7, None)):
        against, mine = f"{size:.1f} MB, {mode}", ms[mode]
        yield Claim(f"{against}: against the loop", mine, ms["loop"], ms["loop"] / mine, "CPU ms", n, command, least)
        times = f"{against}: times the bound"
        yield Claim(times, mine, ms["bound"], mine / ms["bound"], "CPU ms", n, command, most=most)
    for name, took in alone.items():
        own = 1000 * took / n
        yield Claim(f"step {name}: share of it", own, ms[FAST], own / ms[FAST], "CPU ms", n, command)


def best_of(ways: dict[str, Step], rounds: int) -> dict[str, float]:
    best = dict.fromkeys(ways, float("inf"))
    for _ in range(rounds):
        for name in (each for each in ways for _ in range(2)):  # twice in a row: once to warm its caches
            started = time.process_time()
            ways[name]()
            best[name] = min(best[name], time.process_time() - started)
    return best


def item(path: Path, mode: str) -> None:
    """What a worker does with one file."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        size = os.fstat(descriptor).st_size
        payload = {"size": size, "state": "complete", "extractors": EXTRACTORS, "mode": mode}
        for _ in reading.examine(file({}, [descriptor]), payload):
            pass
    finally:
        os.close(descriptor)


def loop(path: Path) -> str:
    bits, _quality = pdqhash.compute(np.asarray(Image.open(io.BytesIO(path.read_bytes()))))
    return f"{int(''.join(str(bit) for bit in bits), 2):064x}"


def bound(path: Path) -> None:
    data = path.read_bytes()
    hashlib.sha256(data).digest()
    height, width, *_ = simplejpeg.decode_jpeg_header(data)
    simplejpeg.decode_jpeg(data, "GRAY", min_height=-(-height // SCALE), min_width=-(-width // SCALE))


def steps(path: Path) -> dict[str, Step]:
    """Each step of ours by itself, in its order."""
    data = path.read_bytes()
    probe = Probe(memoryview(data), len(data), "image/jpeg", FAST)
    _picture.decode(probe)

    def decode() -> object:
        return _picture.decode(Probe(memoryview(data), len(data), "image/jpeg", FAST))

    def hashed() -> object:
        probe.cache.pop(_picture.SAMPLED, None)
        return list(pdq.PLUGIN.traits(probe))

    def described() -> object:
        probe.cache.pop(_metadata.KEY, None)
        return list(exif.PLUGIN.traits(probe))

    return {
        "read": path.read_bytes,
        "md5": lambda: hashlib.md5(data).digest(),
        "sha1": lambda: hashlib.sha1(data).digest(),
        "sha256": lambda: hashlib.sha256(data).digest(),
        "type": lambda: mediatype.of(data[: mediatype.TYPED_BYTES]),
        "decode": decode,
        "exif": described,
        "pdq": hashed,
        "thumbnail": lambda: list(thumbnail.PLUGIN.traits(probe)),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=4, help="pictures to make")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--pictures", type=Path, help="a folder of JPEGs to measure instead")
    parser.add_argument("--least", type=int, default=0, help="bytes that one of them must have")
    run("A JPEG item: three hashes, type, PDQ, EXIF, thumbnail", measure, parser)
