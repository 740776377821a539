"""A raw image whose bytes cannot be read for a while: as long as others may execute its file."""

import errno
import json
import os
import stat
from pathlib import Path

from clew.intake.containers.raw import Raw
from clew.intake.sources import _disk
from clew.intake.sources.rawdisk import RawDisk

BAD = b"the stretches of bytes that cannot be read, as JSON: "


class Flaky(Raw):
    """`read` fails where it touches a stretch that stands in the image's last sector: the first one while others may
    execute the file, the second one while its group may.
    """

    def __init__(self, descriptors: list[int]) -> None:
        super().__init__(descriptors)
        said = super().read(self.size - 512, 512)
        self._stretches = json.loads(said.removeprefix(BAD).rstrip(b"\0"))
        self._file = descriptors[0]

    def read(self, offset: int, length: int) -> bytes:
        mode = os.fstat(self._file).st_mode
        for bit, (first, end) in zip((stat.S_IXOTH, stat.S_IXGRP), self._stretches, strict=False):
            if mode & bit and offset < end and offset + length > first:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
        return super().read(offset, length)


class Zeros(Flaky):
    """Zeros stand for what fails in the first stretch, and `bad` says so, as in containers that are mapped."""

    def __init__(self, descriptors: list[int]) -> None:
        super().__init__(descriptors)
        self.bad: list[tuple[int, int]] = []

    def read(self, offset: int, length: int) -> bytes:
        try:
            return super().read(offset, length)
        except OSError:
            first, end = self._stretches[0]
            self.bad = [(first, end - first)]
            data = bytearray(Raw.read(self, offset, length))
            from_here, to = max(first - offset, 0), min(end - offset, len(data))
            data[from_here:to] = bytes(to - from_here)
            return bytes(data)


def open_flaky(descriptors: list[int]) -> Flaky:
    return Flaky(descriptors)


def open_zeros(descriptors: list[int]) -> Zeros:
    return Zeros(descriptors)


class Source(RawDisk):
    """The Source of such an image, which is not read whole first: that would be refused."""

    preload = ("flaky_image", *RawDisk.preload)

    def __init__(self, opener: str = "open_flaky") -> None:
        self._opener = f"flaky_image:{opener}"

    def open(self, path: Path) -> _disk.Disk:
        disk = _disk.Disk([path], self._opener)
        disk.acquisition = None
        return disk


def spoil(image: Path, *stretches: tuple[int, int]) -> None:
    """Says which bytes fail (from, to), behind the end of what the image holds; the first stretch does from now on."""
    with image.open("ab") as file:
        file.write((BAD + json.dumps(stretches).encode()).ljust(512, b"\0"))
    image.chmod(0o645)


def spoil_second(image: Path) -> None:
    """The second stretch fails, the first one does not any more."""
    image.chmod(0o654)


def mend(image: Path) -> None:
    image.chmod(0o644)
