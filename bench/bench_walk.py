"""Walking a tree and reading every file in it: clew on the folder or an image of it, plain os.walk on the same files.

Neither hashes. CPU seconds (user and system) of one process each, on a warm page cache, from behind its imports to its
end; turn by turn, the best of each is kept. Both read a file in one go, as a worker reads what it can hold
(`Hashing.whole`). os.walk gives names, and nothing is asked of a file but its size and its bytes. Clew's Items have
their reference, times, states, places on the disk and a cursor each, and every file is opened again from its reference,
as a worker does; what goes through pipes and into the case is not in it, nor is a second count. How much that weighs
depends on how large files are: `--mean` says it, and several can be given; `--mixed` is so many gigabytes of the
generated evidence of `bench_mixed.py`, small files among large ones.

All is read into the page cache anew before it is measured, as evidence comes there: what was just written lies in it as
its writer wrote it, and what mke2fs or ntfscp write by 4 KiB costs half as much again to read, a file written in one go
less. A tmpfs knows no such difference, nor large pages.

- folder: `clew.intake.sources.folder` on the same live files, which is the claim most literally.
- ext4, NTFS: `clew.intake.disk` on images that hold the same files (on NTFS all in one directory).
"""

import argparse
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

from _claims import Claim, run
from _evidence import corpus

BEYOND = 64 << 10  # bytes asked for behind the end that a file has, as by `clew.intake.hashing`
MEAN = "bytes of a file, on average: those of small files, and of 29 TB in 100 million files"
IMAGE = """
import os, sys, time
from clew.core import held
from clew.intake.disk import content, entries
from clew.intake.refs import parse
began = time.process_time()
held.descriptors = (os.open(sys.argv[1], os.O_RDONLY),)
base = {"container": "clew.intake.containers.raw:open_raw", "offset": 0}
cursor, files, size = "", 0, 0
while True:
    said = entries.walk({**base, "root": None, "most": 500, "cursor": cursor, "directories": None}, []).value
    for item in said["items"]:
        if item.get("state") != "open" or item["name_state"] != "live":
            continue
        source, at = content.stream({**base, **parse(item["ref"])}, []), 0
        while chunk := source.read(at, max(source.size - at, %d)):
            at += len(chunk)
        files, size = files + 1, size + at
    cursor = said["cursor"]
    if said["done"]:
        break
print(files, size, time.process_time() - began)
"""
FOLDER = """
import os, sys, time
from pathlib import Path
from clew.intake.api import Found
from clew.intake.sources import folder
began = time.process_time()
tree, files, size = folder.Tree(Path(sys.argv[1])), 0, 0
for part in tree.parts(None):
    for found in tree.items(part, "", None, None):
        if not isinstance(found, Found) or found.state != "open":
            continue
        job = tree.job(found.ref)
        source, at = folder.file(job.payload, list(job.fds)), 0
        while chunk := source.read(at, max(source.size - at, %d)):
            at += len(chunk)
        os.close(job.fds[0])
        files, size = files + 1, size + at
print(files, size, time.process_time() - began)
"""
PEER = """
import os, sys, time
began = time.process_time()
files = size = 0
for folder, _, names in os.walk(sys.argv[1]):
    for name in names:
        descriptor, at = os.open(os.path.join(folder, name), os.O_RDONLY), 0
        length = os.fstat(descriptor).st_size
        while chunk := os.pread(descriptor, max(length - at, %d), at):
            at += len(chunk)
        os.close(descriptor)
        files, size = files + 1, size + at
print(files, size, time.process_time() - began)
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
    files = sorted(each for each in root.rglob("*.*") if each.is_file())
    for path in files:  # ntfscp knows no folders to make: they all lie in the root
        subprocess.run(["/usr/sbin/ntfscp", "-q", ntfs, path, path.name], check=True, capture_output=True)
    yield "NTFS", ntfs


def measured(options: argparse.Namespace) -> Iterable[Claim]:
    for mean in options.mean:
        again = f"--files {options.files} --mean {mean}"
        yield from on(lambda here, mean=mean: tree(here, options.files, mean), again, options)
    if options.mixed:
        yield from on(lambda here: corpus(here, int(options.mixed * 1e9)), f"--mean --mixed {options.mixed}", options)


def warm(path: Path) -> None:
    """Out of the page cache, and in again by reading it in order."""
    with path.open("rb", buffering=0) as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        while file.read(1 << 20):
            pass


def on(make: Callable[[Path], Path], again: str, options: argparse.Namespace) -> Iterable[Claim]:
    """All three on the files that `make` puts into a folder; `again` are the options that ask for them."""
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        here = Path(name)
        root = make(here / "tree")
        made = list(images(root, here))
        for path in (*(each for each in root.rglob("*") if each.is_file()), *(image for _, image in made)):
            warm(path)
        yield compared("folder", FOLDER, root, root, again, options)
        for kind, image in made:
            yield compared(kind, IMAGE, image, root, again, options)


def compared(kind: str, ours: str, path: Path, root: Path, again: str, options: argparse.Namespace) -> Claim:
    """Ours on `path` against the peer on `root`, turn by turn; both must have read the same."""
    commands = {
        "mine": [sys.executable, "-c", ours % BEYOND, str(path)],
        "theirs": [sys.executable, "-c", PEER % BEYOND, str(root)],
    }
    spent: dict[str, list[float]] = {name: [] for name in commands}
    read: set[tuple[int, int]] = set()
    for _ in range(options.rounds):
        for name, command in commands.items():
            said = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
            read.add((int(said[0]), int(said[1])))
            spent[name].append(float(said[2]))
    if len(read) != 1:
        raise SystemExit(f"{kind}: not the same files and bytes were read")
    ((files, size),) = read
    mine, theirs = min(spent["mine"]), min(spent["theirs"])
    told = f"walk and read, {kind}, files of {size // files // 1000:,} kB on average"
    told += ", mixed" if "--mixed" in again else ""
    command = f"python bench/bench_walk.py {again}"
    return Claim(told, mine, theirs, theirs / mine, "CPU s without start", files, command, least=1 / 1.2)


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--files", type=int, default=6_000)
parser.add_argument("--mean", type=int, nargs="*", default=[50_000, 290_000], help=MEAN)
parser.add_argument("--mixed", type=float, default=0, metavar="GIGABYTES", help="of generated evidence, too")
parser.add_argument("--rounds", type=int, default=5)
parser.add_argument("--folder", type=Path, help="where the files are made (default: the system's temporary folder)")

if __name__ == "__main__":
    run("walk and read: clew on the folder or its image, os.walk on the files", measured, parser)
