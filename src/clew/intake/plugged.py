"""Whether the Exhibit itself is still there: where it was unplugged, no Item in it may be called unreadable.

Asked before anything unreadable is acknowledged. Without it a loose cable would turn into a thousand lost files.
"""

import os
from pathlib import Path

from clew.core.errors import ClewError

BLOCK = 4096


def file(path: Path, descriptor: int) -> None:
    """Raises ClewError where `path` is another file than `descriptor`, or neither its first, middle nor last block
    can be read.
    """
    try:
        same = os.path.samestat(path.stat(), os.fstat(descriptor))
    except OSError as error:
        raise gone(path, error.strerror or "it is gone") from error
    if not same:
        raise gone(path, "another file lies there now")
    size = os.lseek(descriptor, 0, os.SEEK_END)
    blocks = {0, size // 2 // BLOCK * BLOCK, max(0, size - 1) // BLOCK * BLOCK}
    if not any(_readable(descriptor, offset) for offset in blocks):
        raise gone(path, "none of its first, middle and last blocks can be read")


def folder(path: Path, descriptor: int) -> None:
    """Raises ClewError where `path` is another folder than `descriptor`, or cannot be listed."""
    try:
        same = os.path.samestat(path.stat(), os.fstat(descriptor))
        os.listdir(descriptor)
    except OSError as error:
        raise gone(path, error.strerror or "it is gone") from error
    if not same:
        raise gone(path, "another folder lies there now")


def gone(path: Path, why: str) -> ClewError:
    """The error that ends a run without acknowledging what could not be read."""
    hint = "connect it again and run the same command: what was acknowledged is kept"
    return ClewError(f"the exhibit at {path} is not there any more: {why}", hint)


def _readable(descriptor: int, offset: int) -> bool:
    try:
        os.pread(descriptor, BLOCK, offset)
    except OSError:
        return False
    return True
