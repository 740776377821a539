"""Source: a virtual disk of QEMU (QCOW2)."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from clew.intake.api import Session, Source
from clew.intake.containers import qcow
from clew.intake.sources import _disk
from clew.intake.sources._later import later
from clew.intake.sources.rawdisk import head


class Qcow:
    """A QCOW2 image of version 2 or 3."""

    name = "qcow"
    version = "6"
    general = False
    preload: tuple[str, ...] = ("clew.intake.containers.qcow", *_disk.PRELOAD)

    def wants(self, path: Path) -> bool:
        """By its magic."""
        return path.is_file() and head(path).startswith(qcow.MAGIC)

    def open(self, path: Path) -> Session:
        """Opens the one file."""
        return _disk.Disk([path], "clew.intake.containers.qcow:open_qcow", growth=_disk.SPARSE, said=later(path))

    def examples(self) -> Iterator[tuple[str, Mapping[bytes, bytes]]]:
        """A FAT12 volume."""
        yield "FAT in qcow", {b"HELLO.TXT": b"hello\n", b"EMPTY.TXT": b""}


PLUGIN: Source = Qcow()
