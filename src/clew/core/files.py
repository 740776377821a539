"""Writing a file so that it is there whole or not at all, also after a power cut: fsync, rename, fsync again."""

import os
import secrets
from pathlib import Path

from clew.core.failpoints import failpoint


def write_durably(path: Path, data: bytes, failpoints: str) -> None:
    """Writes `data` to `path`, whole or not at all. `failpoints` is the prefix of the failpoints passed on the way.

    Raises OSError (a full disk, a short write), leaving at worst a file whose name begins with ".tmp-".
    """
    if not path.parent.is_dir():
        path.parent.mkdir(parents=True, exist_ok=True)
        sync_folder(path.parent.parent)
    temporary = path.parent / f".tmp-{secrets.token_hex(8)}"
    failpoint(f"{failpoints}.before")
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        failpoint(f"{failpoints}.synced")
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)
    failpoint(f"{failpoints}.renamed")


def sync_folder(folder: Path) -> None:
    """Makes the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
