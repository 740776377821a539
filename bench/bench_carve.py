"""Carving: the scan's CPU time against foremost's, and deleted files found again, side by side with three other tools.

The scan: one generated image, read by both, in CPU seconds (user and system) of the process; ours once as the scan
alone, once with every structure check. foremost writes what it finds, ours does not. The recovery: 24 files (13 JPEG,
10 PNG, one H.264 MP4) are written to a fresh volume and all deleted: FAT32 by mtools, NTFS by ntfs-3g, ext4 by the
running kernel; counted is what came back with its very SHA-256. NTFS and ext4 are mounted and need root; `--no-mounts`
leaves them out.
"""

import argparse
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "intake"))  # who recovers what: shared with the tests

import numpy as np
from recovery import PEERS, by_clew, by_peer, hits, photographs, tool

from _claims import Claim, run
from clew.intake.carving.carver import Carver
from clew.intake.carving.scan import candidates
from clew.intake.carving.view import BLOCK
from clew.intake.containers.raw import open_raw
from clew.range import filesystems

MIB = 1 << 20


def measure(options: argparse.Namespace) -> Iterable[Claim]:
    command = f"python bench/bench_carve.py --mib {options.mib} --rounds {options.rounds} --side {options.side}"
    with tempfile.TemporaryDirectory(prefix="clew-bench-") as name:
        folder = Path(name)
        files = photographs(options.side)
        yield from scanning(folder, files, options, command)
        for kind in ("fat32", "ntfs", "ext4"):
            if kind == "fat32" or not options.no_mounts:
                yield from recovery(kind, folder / kind, files, command)


def scanning(folder: Path, files: dict[str, bytes], options: argparse.Namespace, command: str) -> Iterator[Claim]:
    image = folder / "scan.img"
    rng, gap = np.random.default_rng(1), options.mib * MIB // len(files)
    with image.open("wb") as out:
        for data in files.values():
            out.write(rng.bytes(gap // 2))
            out.write(data + bytes(-len(data) % 4096))
            out.seek(gap // 2 // 4096 * 4096, 1)  # half of it is empty, as disks are
        out.truncate(-(-out.tell() // 4096) * 4096)
    with image.open("rb") as opened:
        source = open_raw((opened.fileno(),))
        runs = [(0, source.size)]
        scan = min(own(lambda: [list(candidates(source.read(at, BLOCK))) for at in range(0, source.size, BLOCK)])
                   for _ in range(options.rounds))  # fmt: skip
        whole = min(own(lambda: list(Carver(source, iter(runs), 4096).steps())) for _ in range(options.rounds))
    for kinds in ("jpg,png", "jpg,png,gif,mov,mp4,avi,zip"):
        words = ["foremost", "-Q", "-t", kinds, "-i", image, "-o", folder / "out"]
        peer = min(child(words, folder / "out") for _ in range(options.rounds))
        size = f"{source.size / 1e6:,.0f} MB"
        yield Claim(f"scan of {size}, foremost -t {kinds}", scan, peer, peer / scan, "CPU s", 1, command, least=1)
        yield Claim(f"scan and checks of {size}, foremost -t {kinds}", whole, peer, peer / whole, "CPU s", 1, command)
    image.unlink()


def own(act: object) -> float:
    started = time.process_time()
    act()  # type: ignore[operator]
    return time.process_time() - started


def child(words: list[object], out: Path) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([str(word) for word in words], capture_output=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    shutil.rmtree(out)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def recovery(kind: str, folder: Path, files: dict[str, bytes], command: str) -> Iterator[Claim]:
    folder.mkdir()
    image = folder / f"{kind}.img"
    if kind == "fat32":
        filesystems.fat32(image, files, list(files), folder / "files", 256 * MIB)
    else:
        with image.open("wb") as out:
            out.truncate(256 * MIB)
        tool(*(["mkntfs", "-q", "-F", "-Q"] if kind == "ntfs" else ["mke2fs", "-q", "-F", "-t", "ext4"]), image)
        written_and_deleted(kind, image, folder / "mounted", files)
    ours = hits(files, by_clew(image, folder))
    for peer in PEERS:
        theirs = hits(files, by_peer(peer, image, folder))
        ratio, told = ours / theirs if theirs else float("inf"), f"{kind}: deleted files back, {peer}"
        yield Claim(told, ours, theirs, ratio, "exact files", len(files), command, least=1)
    shutil.rmtree(folder)


def written_and_deleted(kind: str, image: Path, at: Path, files: dict[str, bytes]) -> None:
    """As a person would: copied, then unmounted, mounted again and deleted."""
    at.mkdir()
    for delete in (False, True):
        tool(*(["ntfs-3g", image, at] if kind == "ntfs" else ["mount", "-o", "loop", image, at]))
        try:
            for name, data in files.items():
                if delete:
                    (at / name).unlink()
                else:
                    (at / name).write_bytes(data)
        finally:
            tool("umount", at)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mib", type=int, default=520, help="size of the image that is scanned")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--side", type=int, default=1280, help="width of the pictures, in pixels")
    parser.add_argument("--no-mounts", action="store_true", help="FAT32 alone: nobody needs to be root")
    run("Carving", measure, parser)
