"""The two copies of a GUID partition table, checked against their checksums and each other (UEFI 2.10, section 5.3).

The Sleuth Kit reads the first copy where its signature stands, and looks at no checksum: an entry that was overwritten
would go unseen.
"""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID

from clew.intake.api import ByteSource, Range

SIGNATURE = b"EFI PART"
SECTORS = (512, 4096)  # bytes
MOST_TABLE = 1 << 20  # bytes


MOST_ENTRIES = 1024  # of one table
# Of Windows' logical disk manager: its database, and what it gives out.
DYNAMIC = {
    UUID("5808c8aa-7e8f-42e0-85d2-e1e90434cfb3").bytes_le,
    UUID("af9b60a0-1431-4f62-bc68-3311714a69ad").bytes_le,
}


@dataclass(frozen=True, slots=True)
class Copy:
    """One header: whether it and its entries are whole, the checksum of the entries, the other one's byte; and
    type, first byte and bytes of each entry, of a whole one.
    """

    whole: bool
    entries: int
    other: int
    named: list[tuple[bytes, int, int]]


def remarks(source: ByteSource) -> list[str]:
    """What is wrong with a table that is there; nothing where both copies are whole and say the same."""
    first, last = _copies(source)
    return _compared(first, last, source.size) if first is not None or last is not None else []


def partitions(source: ByteSource) -> tuple[list[Range], list[Range]]:
    """What either copy names, as (byte, bytes); nothing where it is not there or not whole."""
    first, last = ([(at, length) for _, at, length in copy.named] if copy else [] for copy in _copies(source))
    return first, last


def dynamic(source: ByteSource) -> bool:
    """Whether one of them names a partition that is Windows' logical disk manager's."""
    return any(kind in DYNAMIC for copy in _copies(source) if copy for kind, _, _ in copy.named)


def _copies(source: ByteSource) -> tuple[Copy | None, Copy | None]:
    for sector in SECTORS:
        first = _copy(source, sector, sector)
        last = _copy(source, first.other if first and first.whole else source.size - sector, sector)
        if first is not None or last is not None:
            return first, last
    return None, None


def _compared(first: Copy | None, last: Copy | None, size: int) -> list[str]:
    found = []
    for name, copy in (("first", first), ("second", last)):
        if copy is None and first is not None and first.whole and first.other >= size:
            where = f"lies at byte {first.other:,}, beyond the image's end"
            found.append(f"the {name} of the two partition tables (GPT) {where}: the image is cut")
        elif copy is None:
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
    whole = 92 <= size <= len(head) and each >= 128 and zlib.crc32(head[:16] + bytes(4) + head[20:size]) == check
    named: list[tuple[bytes, int, int]] = []
    if whole and count * each <= MOST_TABLE:
        data = source.read(table * sector, count * each)
        whole = zlib.crc32(data) == entries
        named = list(_named(data, each, sector)) if whole else []
    return Copy(whole, entries, other * sector, named)


def _named(data: bytes, each: int, sector: int) -> Iterator[tuple[bytes, int, int]]:
    """The entries of a table whose entries have `each` bytes (section 5.3.3): 128 or a multiple."""
    for at in range(0, len(data) - 127 if each >= 128 else 0, each)[:MOST_ENTRIES]:
        first, last = struct.unpack_from("<QQ", data, at + 32)
        if any(data[at : at + 16]) and first <= last:
            yield data[at : at + 16], first * sector, (last - first + 1) * sector
