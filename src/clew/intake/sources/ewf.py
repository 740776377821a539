"""Source: an E01 or S01 image (EWF version 1), in one file or in segments NAME.E01, NAME.E02 ..., NAME.EAA ..."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from clew.core.errors import Usage
from clew.intake.api import Session, Source
from clew.intake.sources import _disk
from clew.intake.sources.rawdisk import head

CONTAINER = "clew.intake.containers.ewf:open_ewf"
ACQUIRE = "clew.intake.containers.ewf_acquisition:acquire"
MAGIC = b"EVF\x09\x0d\x0a\xff\x00"
ENCRYPTED = b"ADCRYPT\x00"
SERIES = r"\.[{}][0-9]{{2}}|\.[E-Z][A-Z]{{2}}"  # .E99 is followed by .EAA, .EZZ by .FAA


class EwfDisk:
    """An image by EnCase, FTK Imager, Guymager, ewfacquire or SMART. Its stored digests are checked as it is read."""

    name = "ewf"
    version = "6"
    general = False
    preload: tuple[str, ...] = (
        CONTAINER.partition(":")[0],
        ACQUIRE.partition(":")[0],
        *_disk.PRELOAD,
    )

    def wants(self, path: Path) -> bool:
        """A file with an EWF header, whatever its name. Raises Usage where it is encrypted."""
        if not path.is_file():
            return False
        magic = head(path)
        if magic.startswith(ENCRYPTED):
            raise Usage(f"{path} is an image under AD encryption", "decrypt it with the tool that wrote it")
        return magic.startswith(MAGIC)

    def open(self, path: Path) -> Session:
        """Opens the image with all its segments; which of them are missing is said by their reader."""
        return _disk.Disk(segments(path), CONTAINER, ACQUIRE, growth=_disk.SPARSE)

    def examples(self) -> Iterator[tuple[str, Mapping[bytes, bytes]]]:
        """A FAT12 volume in an E01."""
        yield "FAT in E01", {b"HELLO.TXT": b"hello\n", b"EMPTY.TXT": b""}


def segments(path: Path) -> list[Path]:
    """The image's files: those of the same name with an ending of the series, that are EWF files; in name order.

    Their order does not matter, nor does which of them is given: each bears its number. Of an E01 and an S01 of one
    name, the one given counts.
    """
    if re.fullmatch(SERIES.format("ES"), path.suffix, re.IGNORECASE) is None:
        return [path]
    first = path.suffix[1] if path.suffix[2].isdigit() else "ES"
    series = re.compile(SERIES.format(first), re.IGNORECASE)
    beside = sorted(each for each in path.parent.iterdir() if each.stem == path.stem and series.fullmatch(each.suffix))
    more = (each for each in beside if each != path and each.is_file() and head(each).startswith(MAGIC))
    return [path, *more]


PLUGIN: Source = EwfDisk()
