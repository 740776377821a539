"""Source: a raw disk image (dd) in one file or in numbered segments, or a block device."""

import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from clew.core.errors import Usage
from clew.intake.api import Session, Source
from clew.intake.disk.signatures import FOREIGN_HEAD, foreign
from clew.intake.sources import _disk, _series
from clew.intake.sources._later import later
from clew.model import Missing, Reason

CONTAINER = "clew.intake.containers.raw:open_raw"
PART = "earlier it was taken in as no more than this; take in all of it under another label"


class RawDisk:
    """A raw image in one file, in segments NAME.001, NAME.002 ... or NAME.aa, NAME.ab ..., or a block device."""

    name = "rawdisk"
    version = "7"
    general = True
    preload: tuple[str, ...] = ("clew.intake.containers.raw", *_disk.PRELOAD)

    def wants(self, path: Path) -> bool:
        """Any regular file or block device. Raises Usage where it is a container that no Source opens."""
        mode = path.stat().st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISBLK(mode)):
            return False
        name = foreign(head(path, FOREIGN_HEAD))
        if name:
            raise Usage(f"{path} is an image ({name})", "this version does not open it: export it as raw or E01 first")
        return True

    def open(self, path: Path) -> Session:
        """Opens the image with its segments. Raises Usage where the first or one in the middle is missing or cut."""
        paths, notes = _series.series(path)
        return _disk.Disk(paths, CONTAINER, said=later(path), noted=notes)

    def open_known(self, path: Path, files: int) -> Session:
        """As what was taken in as so many files, of which the one at `path` was the first: earlier versions took fewer
        for all of them, and what was missing then may lie there now.
        """
        try:
            paths, _ = _series.series(path)
        except Usage as refused:
            if files > 1:
                raise
            paths, why = [path], refused.message
        else:
            if len(paths) <= files:
                return self.open(path)
            why = f"it is a part of what lies in {len(paths):,} segments, {_series.named(paths)}"
        first = next((at for at, each in enumerate(paths) if each.name == path.name), 0)
        part = Missing(Reason.UNREADABLE, f"{why}; {PART}")
        return _disk.Disk(paths[first : first + files], CONTAINER, said=[*later(path), part])

    def examples(self) -> Iterator[tuple[str, Mapping[bytes, bytes]]]:
        """A FAT12 volume."""
        yield "FAT", {b"HELLO.TXT": b"hello\n", b"EMPTY.TXT": b""}


def head(path: Path, length: int = 16) -> bytes:
    """The first bytes of a file, for a look at its magic."""
    descriptor = _disk.open_read_only(path)
    try:
        return os.pread(descriptor, length, 0)
    finally:
        os.close(descriptor)


PLUGIN: Source = RawDisk()
