"""Source: a virtual disk of Virtual PC and Hyper-V (VHD); a differencing one with the chain of its parents."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from clew.core.absent import Absent
from clew.core.errors import Usage
from clew.intake.api import Session, Source
from clew.intake.containers import vhd
from clew.intake.sources import _disk
from clew.intake.sources._beside import beside
from clew.intake.sources._later import later

MOST_PARENTS = 64


class Vhd:
    """A fixed, dynamic or differencing VHD."""

    name = "vhd"
    version = "6"
    general = False
    preload: tuple[str, ...] = ("clew.intake.containers.vhd", *_disk.PRELOAD)

    def wants(self, path: Path) -> bool:
        """By the copy of the footer that all but fixed ones begin with; a fixed one by a footer that gives the file's
        own size, since the last sector of any disk may hold an old footer.
        """
        if not path.is_file():
            return False
        descriptor = _disk.open_read_only(path)
        try:
            if os.pread(descriptor, 8, 0) == vhd.COOKIE:
                return True
            end = os.lseek(descriptor, 0, os.SEEK_END)
            places = (at for at in (end - 512, end - 511) if at >= 0)
            said = [(at, os.pread(descriptor, 56, at)) for at in places]
            return any(foot[:8] == vhd.COOKIE and int.from_bytes(foot[48:56], "big") == at for at, foot in said)
        finally:
            os.close(descriptor)

    def open(self, path: Path) -> Session:
        """Opens it with its parents. Raises Usage where one of them is not beside it."""
        return _disk.Disk(files(path), "clew.intake.containers.vhd:open_vhd", growth=_disk.SPARSE, said=later(path))

    def examples(self) -> Iterator[tuple[str, Mapping[bytes, bytes]]]:
        """A FAT12 volume."""
        yield "FAT in vhd", {b"HELLO.TXT": b"hello\n", b"EMPTY.TXT": b""}


def files(path: Path) -> list[Path]:
    """The file, its parent, the parent's parent and so on. Raises Usage where one is not beside it."""
    found = [path]
    while name := _parent(found[-1]):
        parent = beside(path, name)
        if parent in found or len(found) > MOST_PARENTS:
            raise Usage(f"{path.name} is its own ancestor", "take in the file that it was made from")
        found.append(parent)
    return found


def _parent(path: Path) -> str | None:
    descriptor = _disk.open_read_only(path)
    try:
        return vhd.parent_name(descriptor)
    except Absent:  # a worker will say why
        return None
    finally:
        os.close(descriptor)


PLUGIN: Source = Vhd()
