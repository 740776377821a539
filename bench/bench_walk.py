"""Walking a file system and reading every file in it: clew on the image, plain os.walk on the same files on disk.

Neither hashes. CPU seconds (user and system) of one process each, on a warm page cache.
"""

import argparse
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from _claims import Claim, run
from _processes import measure

CHUNK = 1 << 20
OURS = """
import os, sys
from clew.core import held
from clew.intake.disk import content, entries
from clew.intake.refs import parse
held.descriptors[:] = [os.open(sys.argv[1], os.O_RDONLY)]
base = {"container": "clew.intake.containers.raw:open_raw", "offset": 0}
cursor, files, size = "", 0, 0
while True:
    said = entries.walk({**base, "root": None, "most": 500, "cursor": cursor, "directories": None}, []).value
    for item in said["items"]:
        if item.get("state") != "open" or item["name_state"] != "live":
            continue
        source, at = content.stream({**base, **parse(item["ref"])}, []), 0
        while chunk := source.read(at, %d):
            at += len(chunk)
        files, size = files + 1, size + at
    cursor = said["cursor"]
    if said["done"]:
        break
print(files, size)
"""
PEER = """
import os, sys
files = size = 0
for folder, _, names in os.walk(sys.argv[1]):
    for name in names:
        descriptor, at = os.open(os.path.join(folder, name), os.O_RDONLY), 0
        while chunk := os.pread(descriptor, %d, at):
            at += len(chunk)
        os.close(descriptor)
        files, size = files + 1, size + at
print(files, size)
"""


def tree(root: Path, files: int, mean: int) -> Path:
    """Files of all sizes around `mean` bytes, a hundred a folder."""
    dice = random.Random(8)
    for number in range(files):
        folder = root / f"{number // 1000:02}" / f"{number // 100:03}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{number:05}.dat").write_bytes(dice.randbytes(min(int(dice.expovariate(1 / mean)), 20 * mean)))
    return root


def images(root: Path, here: Path) -> Iterable[tuple[str, Path]]:
    """The same files in an ext4 and an NTFS volume, made without mounting anything."""
    size = int(subprocess.run(["du", "-sm", root], check=True, capture_output=True, text=True).stdout.split()[0])
    ext4, ntfs = here / "ext4.img", here / "ntfs.img"
    for image in (ext4, ntfs):
        with image.open("wb") as out:
            out.truncate((size * 3 // 2 + 64) << 20)
    subprocess.run(["/usr/sbin/mke2fs", "-q", "-F", "-t", "ext4", "-d", root, ext4], check=True)
    yield "ext4", ext4
    subprocess.run(["/usr/sbin/mkntfs", "-q", "-F", "-Q", ntfs], check=True, capture_output=True)
    for path in sorted(root.rglob("*.dat")):  # ntfscp knows no folders to make: all files lie in the root
        subprocess.run(["/usr/sbin/ntfscp", "-q", ntfs, path, path.name], check=True, capture_output=True)
    yield "NTFS", ntfs


def measured(options: argparse.Namespace) -> Iterable[Claim]:
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        here = Path(name)
        root = tree(here / "tree", options.files, options.mean)
        for kind, image in images(root, here):
            ours, peer = [], []
            for _ in range(options.rounds):
                ours.append(measure([sys.executable, "-c", OURS % CHUNK, str(image)]).cpu)
                peer.append(measure([sys.executable, "-c", PEER % CHUNK, str(root)]).cpu)
            idle = min(measure([sys.executable, "-c", OURS.partition("held.desc")[0], ""]).cpu for _ in range(3))
            bare = min(measure([sys.executable, "-c", "import os, sys"]).cpu for _ in range(3))
            mine, theirs = min(ours) - idle, min(peer) - bare
            command = f"bench/bench_walk.py --files {options.files}"
            yield Claim(
                f"walk and read, {kind}", mine, theirs, theirs / mine, "CPU s without start", options.files, command
            )


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--files", type=int, default=6_000)
parser.add_argument("--mean", type=int, default=50_000, help="bytes of a file, on average")
parser.add_argument("--rounds", type=int, default=3)
parser.add_argument("--folder", type=Path, help="where the files are made (default: the system's temporary folder)")

if __name__ == "__main__":
    run("walk and read: clew on the image, os.walk on the files", measured, parser)
