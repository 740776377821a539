"""Writing a file so that it is there whole or not at all, also after a power cut: fsync, rename, fsync again."""

import hashlib
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from clew.core.failpoints import failpoint


@contextmanager
def whole(path: Path, failpoints: str = "") -> Iterator[BinaryIO]:
    """A new file that gets the name `path` at the end of the block, and never where the block raises.

    `failpoints` is the prefix of the failpoints passed on the way. Raises OSError (a full disk, a short write). A crash
    leaves at worst a file whose name begins with ".tmp-".
    """
    if not path.parent.is_dir():
        path.parent.mkdir(parents=True, exist_ok=True)
        sync_folder(path.parent.parent)
    temporary = path.parent / f".tmp-{secrets.token_hex(8)}"
    failpoint(f"{failpoints}.before")
    try:
        with temporary.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        failpoint(f"{failpoints}.synced")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(path.parent)
    failpoint(f"{failpoints}.renamed")


def write_durably(path: Path, data: bytes, failpoints: str = "") -> None:
    """Writes `data` to `path`, whole or not at all; see `whole`."""
    with whole(path, failpoints) as file:
        file.write(data)


def sha256_of(path: Path) -> bytes:
    """The SHA-256 (32 bytes) of a whole file, read as a stream. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def sync_folder(folder: Path) -> None:
    """Makes the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
