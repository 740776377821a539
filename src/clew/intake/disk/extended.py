"""The extended partition of an MBR: a chain of boot records, each of which names a logical volume and the next record.

The Sleuth Kit lists the volumes as far as the chain leads it, and says nothing where it breaks off.
"""

import struct
from collections.abc import Iterator

from clew.intake.api import ByteSource

KINDS = {0x05, 0x0F, 0x85}  # of an entry: extended, the same by LBA, and Linux' own
SECTORS = (512, 4096)  # bytes
SIGNED = b"\x55\xaa"
MOST_RECORDS = 1024
_LOST = "volumes that only further records name are found by their beginnings alone, where they begin as partitions do"


def remarks(source: ByteSource) -> list[str]:
    """That an extended partition goes on beyond the image's end; that its chain does not end by its own word."""
    found = []
    for first, sectors in _entries(source.read(0, 512)):
        unit = next((each for each in SECTORS if _signed(source, first * each)), SECTORS[0])
        end = (first + sectors) * unit
        if end > source.size:
            found.append(f"the extended partition goes on to byte {end:,}, beyond the image's end: the image is cut")
        why = _chain(source, first, unit)
        found += [f"the chain of boot records in the extended partition {why}: {_LOST}"] if why else []
    return found


def _chain(source: ByteSource, first: int, unit: int) -> str:
    """Why the chain of boot records from sector `first` on does not end by its own word; "" where it does."""
    seen: set[int] = set()
    at = first
    while len(seen) < MOST_RECORDS:
        seen.add(at)
        if at * unit + 512 > source.size:
            return f"leads to sector {at:,}, beyond the image's end"
        if not _signed(source, at * unit):
            return f"breaks off at sector {at:,}, where no boot record stands"
        following = next((first + start for start, _ in _entries(source.read(at * unit, 512))), None)
        if following is None:
            return ""
        if following in seen:
            return f"leads from sector {at:,} back to sector {following:,}"
        at = following
    return f"has more than {MOST_RECORDS:,} records"


def _signed(source: ByteSource, at: int) -> bool:
    return at + 512 <= source.size and source.read(at + 510, 2) == SIGNED


def _entries(record: bytes) -> Iterator[tuple[int, int]]:
    """First sector and sectors of each extended partition that a boot record names."""
    for kind, first, sectors in struct.iter_unpack("<4xB3xII", record[446:510]):
        if kind in KINDS and sectors:
            yield first, sectors
