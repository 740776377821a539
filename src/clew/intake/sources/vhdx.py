"""Source: a virtual disk of Hyper-V (VHDX)."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from clew.intake.api import Session, Source
from clew.intake.containers import vhdx
from clew.intake.sources import _disk
from clew.intake.sources._later import later
from clew.intake.sources.rawdisk import head


class Vhdx:
    """A fixed or dynamic VHDX."""

    name = "vhdx"
    version = "6"
    general = False
    preload: tuple[str, ...] = ("clew.intake.containers.vhdx", *_disk.PRELOAD)

    def wants(self, path: Path) -> bool:
        """By its magic."""
        return path.is_file() and head(path).startswith(vhdx.MAGIC)

    def open(self, path: Path) -> Session:
        """Opens the one file."""
        return _disk.Disk([path], "clew.intake.containers.vhdx:open_vhdx", growth=_disk.SPARSE, said=later(path))

    def examples(self) -> Iterator[tuple[str, Mapping[bytes, bytes]]]:
        """A FAT12 volume."""
        yield "FAT in vhdx", {b"HELLO.TXT": b"hello\n", b"EMPTY.TXT": b""}


PLUGIN: Source = Vhdx()
