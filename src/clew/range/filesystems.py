"""File systems and a partitioned disk image, made by ordinary tools: nothing is mounted, nobody needs to be root."""

import os
import shutil
import struct
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from clew.core.errors import ClewError

MIB = 1 << 20
SECTOR = 512
FIRST_SECTOR = 2048
# MBR partition types: FAT32 with LBA, NTFS, Linux.
TYPES = {"fat32": 0x0C, "ntfs": 0x07, "ext4": 0x83}
TOOLS = {
    "mkfs.fat": "dosfstools", "mcopy": "mtools", "mdel": "mtools", "mke2fs": "e2fsprogs", "debugfs": "e2fsprogs",
    "mkntfs": "ntfs-3g", "ntfscp": "ntfs-3g",
}  # fmt: skip
Files = Mapping[str, bytes]


def run(*words: str | Path) -> None:
    """One tool, its words in a fixed language. Raises ClewError with what it said where it fails."""
    command = [str(w) for w in words]
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    tool = shutil.which(command[0], path=path)
    if tool is None:
        raise ClewError(f"{command[0]} is not installed", f"apt-get install {TOOLS.get(command[0], command[0])}")
    environment = {"PATH": path, "LC_ALL": "C", "MTOOLS_SKIP_CHECK": "1", "TZ": "UTC"}
    done = subprocess.run(
        [tool, *command[1:]], env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    if done.returncode:
        raise ClewError(
            f"{command[0]} failed: {(done.stderr or done.stdout).strip()[-300:]}", "see tools/system-packages"
        )


def spread(files: Files, folder: Path) -> None:
    """Writes files by their relative paths below a folder."""
    for path, data in files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)


def fat32(image: Path, files: Files, deleted: Sequence[str], folder: Path, size: int = 40 * MIB) -> None:
    """A FAT32 volume with `files`, of which `deleted` are deleted at the end, as a camera's card is used."""
    _blank(image, size)
    spread(files, folder)
    run("mkfs.fat", "-F", "32", "-s", "1", "-n", "CARD", image)
    run("mcopy", "-i", image, "-s", "-Q", "-m", *sorted(folder.iterdir()), "::/")
    for path in deleted:
        run("mdel", "-i", image, f"::/{path}")


def ext4(image: Path, files: Files, deleted: Sequence[str], folder: Path, size: int = 40 * MIB) -> None:
    """An ext4 volume with `files`, of which `deleted` are removed at the end."""
    _blank(image, size)
    spread(files, folder)
    run("mke2fs", "-q", "-F", "-t", "ext4", "-L", "home", "-d", folder, image)
    for path in deleted:
        run("debugfs", "-w", "-R", f'rm "/{path}"', image)


def ntfs(image: Path, files: Files, folder: Path, size: int = 40 * MIB) -> None:
    """An NTFS volume with `files` in its root, all live."""
    _blank(image, size)
    spread(files, folder)
    run("mkntfs", "-q", "-F", "-Q", "-L", "data", image)
    for path in files:
        run("ntfscp", "-q", image, folder / path, path)


def disk(image: Path, volumes: Sequence[tuple[str, Path]]) -> None:
    """A raw disk with an MBR partition table; the parts lie one after the other, the holes stay sparse."""
    entries, start = [], FIRST_SECTOR
    with image.open("wb") as out:
        for kind, path in volumes:
            sectors = path.stat().st_size // SECTOR
            entries.append(struct.pack("<B3sB3sII", 0, b"\xfe\xff\xff", TYPES[kind], b"\xfe\xff\xff", start, sectors))
            _copy_sparse(path, out, start * SECTOR)
            start += sectors
        out.truncate(start * SECTOR)
        out.seek(440)
        out.write(struct.pack("<IH", 0xC1E3_0001, 0) + b"".join(entries).ljust(64, b"\0") + b"\x55\xaa")


def _copy_sparse(path: Path, out: object, at: int) -> None:
    with path.open("rb") as source:
        while block := source.read(MIB):
            if block.strip(b"\0"):
                out.seek(at)  # type: ignore[attr-defined]
                out.write(block)  # type: ignore[attr-defined]
            at += len(block)


def _blank(image: Path, size: int) -> None:
    with image.open("wb") as file:
        file.truncate(size)
