"""The demo's own folder: known by a marker, held by one demo at a time, cleaned only where the marker stands."""

import fcntl
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from clew.core.errors import Held, Usage

MARKER = ".clew-demo"
SAYS = "This folder was made by `clew demo` and is emptied when it runs here again.\n"


@contextmanager
def demo_folder(folder: Path) -> Iterator[Path]:
    """An empty folder, ours for the block. Raises Usage where it holds anything else, Held where a demo is on."""
    folder = folder.resolve()
    marker = folder / MARKER
    if folder.exists() and any(folder.iterdir()) and not marker.is_file():
        raise Usage(f"{folder} is not empty, and no demo made it", "name a new folder with --out")
    folder.mkdir(parents=True, exist_ok=True)
    with marker.open("a+") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Held(f"another demo runs in {folder}", "wait for it, or name another folder with --out") from error
        _empty(folder)
        if not held.tell():
            held.write(SAYS)
            held.flush()
        yield folder


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        if path.name == MARKER:
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
