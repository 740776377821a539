"""Deleted files, and who finds them again: clew, PhotoRec, foremost and tsk_recover on the same image."""

import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from carvable import film, picture, saved

from case_made import new_case
from clew.core import shards
from clew.intake.options import Options
from clew.intake.run import intake

Files = Mapping[str, bytes]
PEERS = ("photorec", "foremost", "tsk_recover")
_PHOTOREC = "partition_none,options,keep_corrupted_file,fileopt,everything,disable,jpg,enable,png,enable,mov,enable"


def tool(*words: object) -> str:
    """Runs a tool, wherever it lies; what it said."""
    path = f"{os.environ['PATH']}:/usr/sbin:/sbin"
    program = shutil.which(str(words[0]), path=path)
    assert program, f"{words[0]} is not installed; see tools/system-packages"
    environment = {"PATH": path, "LC_ALL": "C", "MTOOLS_SKIP_CHECK": "1", "HOME": "/nonexistent"}
    done = subprocess.run([program, *map(str, words[1:])], capture_output=True, env=environment, check=True)
    return done.stdout.decode(errors="replace")


def photographs(side: int = 320) -> dict[str, bytes]:
    """13 JPEG, 10 PNG and one ordinary MP4 (H.264)."""
    made = {f"p{n:02d}.jpg": saved(picture(n, side, side * 3 // 4), "JPEG", quality=88) for n in range(13)}
    made |= {f"q{n:02d}.png": saved(picture(40 + n, side, side // 2), "PNG") for n in range(10)}
    return made | {"film.mp4": film("mp4", "libx264")}


def removed_as_by_linux(image: Path, files: Files) -> None:
    """Deletes files of an unmounted ext4 root as the kernel does: debugfs frees them, and the pointers are cleared."""
    listed = tool("debugfs", "-R", "ls -p /", image)
    numbers = {name: number for number, name in re.findall(r"^/(\d+)/\d+/\d+/\d+/([^/]*)/", listed, re.MULTILINE)}
    commands = []
    for name in files:
        inode = f"<{numbers[name]}>"
        commands += [f"rm /{name}", f"sif {inode} size 0", f"sif {inode} block[0] 0xf30a"]
        commands += [f"sif {inode} block[{number}] 0" for number in range(3, 12)]
        commands += [f"sif {inode} block[{name}] 0" for name in ("IND", "DIND", "TIND")]
    script = image.with_suffix(".debugfs")
    script.write_text("\n".join(commands) + "\n")
    tool("debugfs", "-w", "-f", script, image)


def by_clew(image: Path, folder: Path) -> set[str]:
    """The SHA-256 of every Item of the image that was read."""
    case = new_case(folder / "case")
    intake(case, path=image, label="D", workers=1, options=Options(extractors=()))
    return {row["hash"].lower() for row in shards.query(case, "SELECT hex(sha256) AS hash FROM contents").to_pylist()}


def by_peer(name: str, image: Path, folder: Path) -> set[str]:
    """The SHA-256 of every file that another tool recovers from the image."""
    out = folder / name
    out.mkdir(parents=True)
    if name == "photorec":
        tool(
            "photorec",
            "/log",
            "/logname",
            folder / "photorec.log",
            "/d",
            out / "r",
            "/cmd",
            image,
            f"{_PHOTOREC},search",
        )
    elif name == "foremost":
        tool("foremost", "-Q", "-t", "jpg,png,mov,mp4", "-o", out / "r", "-i", image)
    else:
        tool("tsk_recover", image, out / "r")
    found = {hashlib.sha256(path.read_bytes()).hexdigest() for path in out.rglob("*") if path.is_file()}
    shutil.rmtree(out)
    return found


def hits(files: Files, found: set[str]) -> int:
    return sum(hashlib.sha256(data).hexdigest() in found for data in files.values())
