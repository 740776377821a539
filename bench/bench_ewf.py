"""E01 images read and verified, in CPU time of a process of its own: ours against ewfverify, and reading against pyewf.

Both sides see the same file, turn by turn, and do the same: every chunk's checksum, and MD5 and SHA-1 over the media
data, both of which the images store (`-d sha1`, for ewfverify too, which would else compute MD5 alone). The time is
user plus system, the interpreter's start included; the best of the rounds counts (reading has one round). Three hashes
are taken as workers take them; making the code for that is in the time. What each side says is compared: another
digest than the one that was acquired ends the run. The images are made here by ewfacquirestream: text, the bytes of
JPEGs, noise and zeros in turn, at each of its levels of compression.
"""

import argparse
import hashlib
import io
import os
import re
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from _claims import Claim, run

MB = 1 << 20
LEVELS = ("none", "fast", "best")
OURS = """
import os, sys
from clew.core import hash_code, one_pass
from clew.intake.containers.ewf import open_ewf
from clew.intake.containers.ewf_acquisition import verify
if "sha256" in sys.argv[2]:  # as in a worker; it serves all three or none
    one_pass.install(hash_code.made())
*_, last = verify(open_ewf([os.open(sys.argv[1], os.O_RDONLY)]), set(sys.argv[2].split(",")), {})
said = last.value
assert said["stored"] and all(said[name] == value for name, value in said["stored"].items()), said
assert not said["bad"] and not said["problems"], said
print(said["md5"])
"""
READ = """
import os, sys
from clew.intake.containers.ewf import open_ewf
image = open_ewf([os.open(sys.argv[1], os.O_RDONLY)])
for at in range(0, image.size, 1 << 20):
    image.read(at, 1 << 20)
assert not image.bad
"""
PYEWF = """
import sys, pyewf
image = pyewf.handle()
image.open([sys.argv[1]])
while image.read_buffer(1 << 20):
    pass
"""


def measure(options: argparse.Namespace) -> Iterable[Claim]:
    command = f"python bench/bench_ewf.py --mib {options.mib} --rounds {options.rounds}"
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        raw = Path(folder) / "raw"
        truth = hashlib.md5(usedforsecurity=False)
        with raw.open("wb") as out:
            for part in mixture(options.mib):
                out.write(part)
                truth.update(part)
        for level in options.levels:
            image = Path(folder) / level
            with raw.open("rb") as data:
                made = ["ewfacquirestream", "-q", "-c", level, "-d", "sha1", "-S", "1EiB", "-t", str(image)]
                subprocess.run(made, stdin=data, check=True, capture_output=True)
            path = image.with_suffix(".E01")
            yield from compare(level, path, truth.hexdigest(), options, command)
            path.unlink()


def compare(level: str, path: Path, truth: str, options: argparse.Namespace, command: str) -> Iterator[Claim]:
    def ours(hashes: str) -> Callable[[], None]:
        return lambda: check(python(OURS, path, hashes).strip(), truth)

    def peer() -> None:
        told = subprocess.run(
            ["ewfverify", "-q", "-d", "sha1", path], check=True, capture_output=True, text=True
        ).stdout
        check(*re.findall(r"MD5 hash calculated over data:\s+(\w+)", told), truth)

    ways: dict[str, Callable[[], None]] = {
        "ewfverify": peer,
        "ours": ours("md5,sha1"),
        "ours with SHA-256": ours("md5,sha1,sha256"),
        "pyewf read": lambda: check(python(PYEWF, path), ""),
        "our read": lambda: check(python(READ, path), ""),
    }
    best = dict.fromkeys(ways, float("inf"))
    for number in range(options.rounds):
        for name, way in ways.items():
            if not number or "read" not in name:  # pyewf takes long enough for one
                best[name] = min(best[name], seconds(way))
    packed = path.stat().st_size / MB
    about = f"{options.mib} MiB, {level} ({packed:,.0f} MiB)"
    pairs = (("ours", "ewfverify", "E01 verify, MD5 and SHA-1"), ("our read", "pyewf read", "E01 read against pyewf"))
    more = ("ours with SHA-256", "ewfverify", "E01 verify, three hashes against its two")
    for mine, theirs, claim in (*pairs, more):
        ratio = best[theirs] / best[mine]
        yield Claim(f"{claim}: {about}", best[mine], best[theirs], ratio, "CPU s", 1, command, least=1)


def seconds(way: Callable[[], None]) -> float:
    """User and system time of the child that `way` runs."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    way()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def python(code: str, *arguments: object) -> str:
    words = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(words, check=True, capture_output=True, text=True, env=dict(os.environ)).stdout


def check(said: str, truth: str) -> None:
    if said != truth:
        raise SystemExit(f"another digest than what was acquired: {said}, not {truth}")


def mixture(mib: int) -> Iterator[bytes]:
    """A MiB at a time: of eight, three text, two JPEG, two noise and one zeros."""
    rng = np.random.default_rng(1)
    words = [f"{rng.integers(1 << 40):x}".encode()[: rng.integers(2, 10)] for _ in range(4000)]
    text = b" ".join(words[at] for at in rng.zipf(1.3, 2_000_000) % len(words))
    jpeg = b"".join(photograph(rng) for _ in range(3))
    for number in range(mib):
        match number % 8:
            case 0 | 1 | 2:
                yield piece(text, rng)
            case 3 | 4:
                yield piece(jpeg, rng)
            case 5 | 6:
                yield rng.bytes(MB)
            case _:
                yield bytes(MB)


def piece(data: bytes, rng: np.random.Generator) -> bytes:
    start = int(rng.integers(len(data) - MB))
    return data[start : start + MB]


def photograph(rng: np.random.Generator) -> bytes:
    """Blurred noise with grain on it, as a JPEG of some megabytes."""
    coarse = Image.fromarray(rng.integers(0, 256, (300, 400, 3), np.uint8)).resize(
        (3200, 2400), Image.Resampling.BICUBIC
    )
    grain = rng.integers(-9, 10, (2400, 3200, 3), np.int16)
    out = io.BytesIO()
    Image.fromarray((np.asarray(coarse) + grain).clip(0, 255).astype(np.uint8)).save(out, "JPEG", quality=90)
    return out.getvalue()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mib", type=int, default=1024, help="size of the image")
    parser.add_argument("--levels", nargs="+", choices=LEVELS, default=LEVELS, help="of compression")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--folder", type=Path, help="where the images are made and read (default: the temporary folder)"
    )
    run("E01: read and verify", measure, parser)
