"""Source: a virtual disk of VMware (VMDK), in one file or with the extents that its descriptor names."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from clew.core.absent import Absent
from clew.intake.api import Session, Source
from clew.intake.containers import vmdk
from clew.intake.sources import _disk
from clew.intake.sources._beside import beside
from clew.intake.sources._later import later
from clew.intake.sources.rawdisk import head


class Vmdk:
    """The descriptor file, or the one sparse file that holds its own descriptor."""

    name = "vmdk"
    version = "7"
    general = False
    preload: tuple[str, ...] = ("clew.intake.containers.vmdk", *_disk.PRELOAD)

    def wants(self, path: Path) -> bool:
        """By its magic."""
        return path.is_file() and head(path, 21).startswith((vmdk.MAGIC, vmdk.COWD, vmdk.DESCRIPTOR))

    def open(self, path: Path) -> Session:
        """Opens it with its extents. Raises Usage where one of them is not beside it."""
        return _disk.Disk(files(path), "clew.intake.containers.vmdk:open_vmdk", growth=_disk.SPARSE, said=later(path))

    def examples(self) -> Iterator[tuple[str, Mapping[bytes, bytes]]]:
        """A FAT12 volume."""
        yield "FAT in vmdk", {b"HELLO.TXT": b"hello\n", b"EMPTY.TXT": b""}


def files(path: Path) -> list[Path]:
    """The file and its extents, as `containers.vmdk` wants them. Raises Usage where one is not beside it."""
    descriptor = _disk.open_read_only(path)
    try:
        text = vmdk.descriptor(descriptor)
    except Absent:  # a worker will say why
        return [path]
    finally:
        os.close(descriptor)
    names = vmdk.file_names(text or "")
    if not head(path, 21).startswith(vmdk.DESCRIPTOR):  # a sparse file names itself
        return [path]
    return [path, *(beside(path, name) for name in names)]


PLUGIN: Source = Vmdk()
