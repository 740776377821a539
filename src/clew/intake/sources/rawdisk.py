"""Source: a raw disk image (dd) in one file or in numbered segments, or a block device."""

import os
import re
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from clew.core.errors import Usage
from clew.intake.api import Session, Source
from clew.intake.disk.signatures import FOREIGN_HEAD, foreign
from clew.intake.sources import _disk
from clew.intake.sources._later import later

CONTAINER = "clew.intake.containers.raw:open_raw"
SEGMENT = re.compile(r"(?P<stem>.+)\.(?P<number>0+[01])")  # the first one: .000, .001, .01
ENDS_IN_FULL = "segment at the image's end is as long as the first: others may have followed it"


class RawDisk:
    """A raw image in one file, in segments NAME.001, NAME.002 ..., or a block device."""

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
        """Opens the image with its segments. Raises Usage where one in the middle is missing or cut."""
        paths = segments(path)
        return _disk.Disk(paths, CONTAINER, said=later(path), noted=[ENDS_IN_FULL] if ends_in_full(paths) else [])

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


def segments(path: Path) -> list[Path]:
    """The file, and where its name ends in the first number of a series, those that follow it. Raises Usage for a
    gap, where the series begins before it, and where one of them is cut.
    """
    match = SEGMENT.fullmatch(path.name)
    if match is None:
        return [path]
    there = _series(path, match["stem"], len(match["number"]))
    first, last = int(match["number"]), max(there)
    if min(there) < first:
        way = "name that one, or move it elsewhere where it is none of the series"
        raise Usage(f"{there[0].name} lies beside {path.name}: the image may begin there", way)
    lost = [str(each) for each in range(first, last + 1) if each not in there]
    if lost:
        raise Usage(f"segments of {path.name} are missing: {', '.join(lost[:10])}", "put all of them into one folder")
    found = [there[each] for each in range(first, last + 1)]
    _uncut(found)
    return found


def _uncut(series: list[Path]) -> None:
    """Raises Usage where not all but the last have the size of the first: all behind a cut one would lie elsewhere than
    on the disk. That the last one is whole nothing shows here: the partition table and the file systems say it.
    """
    size = series[0].stat().st_size
    for each in series[1:]:
        other = each.stat().st_size
        if other > size or (other < size and each != series[-1]):
            shorter, longer = sorted((each, series[0]), key=lambda path: path.stat().st_size)
            way = "copy it again from where it came; where they are no segments of one image, put each elsewhere"
            raise Usage(f"{shorter.name} is {abs(other - size):,} bytes shorter than {longer.name}: it is cut", way)


def ends_in_full(paths: list[Path]) -> bool:
    """Whether no shorter segment ends a series: its disk fills all of them, or some are lost."""
    return SEGMENT.fullmatch(paths[0].name) is not None and paths[0].stat().st_size == paths[-1].stat().st_size


def _series(path: Path, stem: str, digits: int) -> dict[int, Path]:
    """The files of that name with a number of so many digits; of more, where the numbers come so far: .999, .1000."""
    named = re.compile(rf"{re.escape(stem)}\.(\d{{{digits}}}|[1-9]\d{{{digits},8}})")
    there = {int(m[1]): each for each in path.parent.iterdir() if (m := named.fullmatch(each.name))}
    further = not there.keys().isdisjoint((10**digits - 1, 10**digits))
    return {number: each for number, each in there.items() if further or number < 10**digits}


PLUGIN: Source = RawDisk()
