"""A raw image whose bytes cannot be read for a while: as long as others may execute its file."""

import errno
import json
import os
import stat
from pathlib import Path

from clew.intake.containers.raw import Raw
from clew.intake.sources import _disk
from clew.intake.sources.rawdisk import RawDisk

BAD = b"the stretch of bytes that cannot be read, as JSON: "


class Flaky(Raw):
    """`read` fails where it touches the stretch that stands in the image's last sector, or, while its group may execute
    the file, the superblock of an ext volume.
    """

    def __init__(self, descriptors: list[int]) -> None:
        super().__init__(descriptors)
        said = super().read(self.size - 512, 512)
        self._first, self._end = json.loads(said.removeprefix(BAD).rstrip(b"\0"))
        self._file = descriptors[0]

    def read(self, offset: int, length: int) -> bytes:
        mode = os.fstat(self._file).st_mode
        for bit, first, end in ((stat.S_IXOTH, self._first, self._end), (stat.S_IXGRP, 1024, 2048)):
            if mode & bit and offset < end and offset + length > first:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
        return super().read(offset, length)


def open_flaky(descriptors: list[int]) -> Flaky:
    return Flaky(descriptors)


class Source(RawDisk):
    """The Source of such an image, which is not read whole first: that would be refused."""

    preload = ("flaky_image", *RawDisk.preload)

    def open(self, path: Path) -> _disk.Disk:
        disk = _disk.Disk([path], "flaky_image:open_flaky")
        disk.acquisition = None
        return disk


def spoil(image: Path, first: int, end: int) -> None:
    """Says which bytes fail, behind the end of what the image holds."""
    with image.open("ab") as file:
        file.write((BAD + json.dumps([first, end]).encode()).ljust(512, b"\0"))
    image.chmod(0o645)


def behead(image: Path) -> None:
    """The superblock cannot be read, all else can."""
    image.chmod(0o654)


def mend(image: Path) -> None:
    image.chmod(0o644)
