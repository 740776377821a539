"""The two copies of a GUID partition table, checked against their checksums and each other (UEFI 2.10, section 5.3).

The Sleuth Kit reads the first copy where its signature stands, and looks at no checksum: an entry that was overwritten
would go unseen.
"""

import struct
import zlib
from dataclasses import dataclass

from clew.intake.api import ByteSource

SIGNATURE = b"EFI PART"
SECTORS = (512, 4096)  # bytes
MOST_TABLE = 1 << 20  # bytes


@dataclass(frozen=True, slots=True)
class Copy:
    """One header: whether it and its entries are whole, the checksum of the entries, and where the other one lies."""

    whole: bool
    entries: int
    other: int


def remarks(source: ByteSource) -> list[str]:
    """What is wrong with a table that is there; nothing where both copies are whole and say the same."""
    for sector in SECTORS:
        first = _copy(source, sector, sector)
        last = _copy(source, first.other * sector if first and first.whole else source.size - sector, sector)
        if first is not None or last is not None:
            return _compared(first, last)
    return []


def _compared(first: Copy | None, last: Copy | None) -> list[str]:
    found = []
    for name, copy in (("first", first), ("second", last)):
        if copy is None:
            found.append(f"the {name} of the two partition tables (GPT) is not there")
        elif not copy.whole:
            found.append(f"the checksum of the {name} of the two partition tables (GPT) does not hold")
    if first and last and first.whole and last.whole and first.entries != last.entries:
        found.append("the two partition tables (GPT) name different partitions; the first is taken")
    return found


def _copy(source: ByteSource, at: int, sector: int) -> Copy | None:
    head = source.read(at, sector) if 0 < at < source.size else b""
    if len(head) < 92 or head[:8] != SIGNATURE:
        return None
    size, check = struct.unpack_from("<II", head, 12)
    other, table = struct.unpack_from("<Q", head, 32)[0], struct.unpack_from("<Q", head, 72)[0]
    count, each, entries = struct.unpack_from("<III", head, 80)
    whole = 92 <= size <= len(head) and zlib.crc32(head[:16] + bytes(4) + head[20:size]) == check
    if whole and count * each <= MOST_TABLE:
        whole = zlib.crc32(source.read(table * sector, count * each)) == entries
    return Copy(whole, entries, other)
