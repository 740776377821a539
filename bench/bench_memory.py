"""Memory stays flat: a million small files, and one sparse image of 200 GB; PSS of all processes together."""

import argparse
import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path

from _cases import intake, new_case
from _claims import Claim, run
from _processes import measure

MOST = 600e6
A_FOLDER = 1_000


def small_files(root: Path, count: int) -> Path:
    """So many files of a line each, a thousand a folder. Less than 16 bytes would never be given a second look."""
    for first in range(0, count, A_FOLDER):
        folder = root / f"{first // 100_000:03}" / f"{first // A_FOLDER:05}"
        folder.mkdir(parents=True)
        for number in range(first, min(first + A_FOLDER, count)):
            (folder / f"{number}.txt").write_bytes(b"the small file of number %d\n" % number)
    return root


def sparse_image(path: Path, size: int) -> Path:
    """An ext4 volume with a few files, as large as asked, nearly all of it holes."""
    tree = path.parent / "tree"
    small_files(tree, 5_000)
    with path.open("wb") as out:
        out.truncate(size)
    subprocess.run(["/usr/sbin/mke2fs", "-q", "-F", "-t", "ext4", "-d", str(tree), str(path)], check=True)
    shutil.rmtree(tree)
    return path


def measured(options: argparse.Namespace) -> Iterable[Claim]:
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        here = Path(name)
        exhibits = {
            f"{options.files:,} small files": lambda: small_files(here / "files", options.files),
            f"a sparse image of {options.gigabytes} GB": lambda: sparse_image(
                here / "disk.img", options.gigabytes * 10**9
            ),
        }
        for number, (title, make) in enumerate(exhibits.items()):
            cost = measure(intake(new_case(here / f"case-{number}"), make(), options.workers), memory=True)
            if cost.status:
                raise SystemExit(f"{title}: the intake ended with status {cost.status}")
            command = f"python bench/bench_memory.py --files {options.files} --gigabytes {options.gigabytes}"
            ratio = MOST / cost.peak
            yield Claim(
                f"{title}, {cost.seconds:,.0f} s", cost.peak / 1e6, MOST / 1e6, ratio, "MB PSS, peak", 1, command, 1
            )


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--files", type=int, default=1_000_000)
parser.add_argument("--gigabytes", type=int, default=200)
parser.add_argument("--workers", type=int, default=2)
parser.add_argument("--folder", type=Path, help="where the exhibits are made (default: the system's temporary folder)")

if __name__ == "__main__":
    run("memory of an intake; peer is the promise", measured, parser)
