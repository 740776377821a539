"""A file that others handed over: opened once, known by its digest, its format told by how it begins."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from clew.core import plugins
from clew.core.errors import ClewError, Usage
from clew.observe.taken import Source

CAPTURES = "clew.observe.captures"
HEAD_BYTES = 4_096


@dataclass(frozen=True, slots=True)
class Given:
    """A file as it was handed over: its number as an Exhibit, from whom it comes, where it was recorded."""

    path: Path
    label: str
    by: str
    vantage: str


@dataclass(frozen=True, slots=True)
class File:
    """A file that is open for reading, and what it was at the beginning."""

    path: Path
    descriptor: int
    size: int
    modified_ns: int
    sha256: bytes

    def still(self) -> None:
        """Raises ClewError where the file has changed since."""
        now = os.fstat(self.descriptor)
        if (now.st_size, now.st_mtime_ns) != (self.size, self.modified_ns):
            raise ClewError(f"{self.path} changed while it was read: nothing was taken", "copy it first")


@contextmanager
def opened(path: Path) -> Iterator[File]:
    """The file, opened read-only, at its first byte. Raises Usage where it is none."""
    if not path.is_file():
        raise Usage(f"{path} is no file", "name a capture or a log")
    with path.open("rb") as file:
        found = os.fstat(file.fileno())
        sha256 = hashlib.file_digest(file, "sha256").digest()
        os.lseek(file.fileno(), 0, os.SEEK_SET)
        yield File(path, file.fileno(), found.st_size, found.st_mtime_ns, sha256)


def recognised(file: File) -> Source:
    """The plug-in that knows a file by how it begins. Raises Usage where none does."""
    head = os.pread(file.descriptor, HEAD_BYTES, 0)
    for found in plugins.load_all(CAPTURES).values():
        if found.recognises(head):
            plugin: Source = found
            return plugin
    known = ", ".join(plugins.names(CAPTURES))
    raise Usage("this file is no capture and no log that clew can read", f"there are: {known}; unpack it first")
