"""Source: an Apple disk image (UDIF, .dmg)."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from clew.intake.api import Session, Source
from clew.intake.containers import dmg
from clew.intake.sources import _disk
from clew.intake.sources.rawdisk import head


class Dmg:
    """One whole image, packed or not."""

    name = "dmg"
    version = "6"
    general = False
    preload: tuple[str, ...] = ("clew.intake.containers.dmg", *_disk.PRELOAD)

    def wants(self, path: Path) -> bool:
        """By the trailer at its end, or by what an encrypted one begins with."""
        if not path.is_file():
            return False
        if head(path).startswith(dmg.ENCRYPTED):
            return True
        descriptor = _disk.open_read_only(path)
        try:
            at = max(os.lseek(descriptor, 0, os.SEEK_END) - 512, 0)
            return os.pread(descriptor, len(dmg.TRAILER), at) == dmg.TRAILER
        finally:
            os.close(descriptor)

    def open(self, path: Path) -> Session:
        """Opens the one file."""
        return _disk.Disk([path], "clew.intake.containers.dmg:open_dmg", growth=_disk.SPARSE)

    def examples(self) -> Iterator[tuple[str, Mapping[bytes, bytes]]]:
        """A FAT12 volume."""
        yield "FAT in dmg", {b"HELLO.TXT": b"hello\n", b"EMPTY.TXT": b""}


PLUGIN: Source = Dmg()
