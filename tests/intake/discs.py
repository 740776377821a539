"""Discs made by genisoimage, and what is read of them: by an intake, or by a worker's entries run in this process."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cases import items

from case_made import new_case
from clew.core import held
from clew.intake.disk import iso, iso_records, iso_tree
from clew.intake.options import Options
from clew.intake.report import Report
from clew.intake.run import intake

OPTIONS = Options(extractors=())
S = iso_records.SECTOR


def make(image: Path, files: dict[str, bytes], *options: str) -> Path:
    """A disc with these files."""
    tree = image.with_suffix(".tree")
    tree.mkdir()
    for name, data in files.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_bytes(data)
    command = ["genisoimage", "-quiet", "-input-charset", "utf-8", *options, "-o", image, tree]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    return image


def take(folder: Path, image: Path) -> tuple[dict[bytes, dict[str, Any]], Report]:
    folder.mkdir(exist_ok=True)
    case = new_case(folder / "case")
    summary = intake(case, path=image, label="D", workers=1, options=OPTIONS)
    return items(case), summary


def run_here(entry: Any, image: Path, **payload: Any) -> Any:
    """Runs a worker's entry in this process."""
    with image.open("rb") as file, pytest.MonkeyPatch.context() as patched:
        patched.setattr(held, "descriptors", (file.fileno(),))
        iso_tree._opened.clear()
        here = {"container": "clew.intake.containers.raw:open_raw", "offset": 0, "length": image.stat().st_size}
        return entry({**here, **payload}, [])


def listed(image: Path, sector: int = 16, **more: Any) -> list[dict[str, Any]]:
    """What the walk of one tree says."""
    found, cursor = [], ""
    while True:
        said = run_here(iso.walk, image, iso=sector, cursor=cursor, most=50, directories=None, **more).value
        found += said["items"]
        cursor = said["cursor"]
        if said["done"]:
            return found


def told_of(image: Path) -> Any:
    """What is said of a disc: its trees, what is left of it, and what there is to say."""
    return run_here(iso.found, image, sessions=True).value


def trees(image: Path) -> Iterator[tuple[dict[str, Any], list[dict[str, Any]]]]:
    """Each tree of a disc, and what the walk of it says."""
    for tree in told_of(image)["trees"]:
        yield tree, listed(image, tree["sector"], **{key: tree[key] for key in ("last",) if key in tree})


def paths(found: list[dict[str, Any]]) -> set[bytes]:
    return {bytes.fromhex(each["path"]) for each in found if "path" in each}


def change(image: Path, at: int, data: bytes) -> None:
    with image.open("r+b") as file:
        file.seek(at)
        file.write(data)


def record_of(image: Path, name: bytes, *, last: bool = False) -> int:
    """The byte at which the first (or last) directory record of that name lies."""
    data = image.read_bytes()
    mark = bytes([len(name)]) + name
    return (data.rindex(mark) if last else data.index(mark)) - 32


def follow(image: Path, second: Path, sector: int, between: int | None = None) -> None:
    """Puts a session behind what is there, at that sector; where `between` names one, a picture begins there."""
    with image.open("ab") as file:
        file.truncate(sector * S)
    if between is not None:
        change(image, between * S, b"GIF89a")
    with image.open("ab") as file:
        file.write(second.read_bytes())
