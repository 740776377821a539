"""The times of a zip entry, with where they stand and what their zone is.

Extra fields of APPNOTE.TXT 4.5 (0x000a NTFS, 100 ns since 1601, UTC) and of Info-ZIP's extrafld.txt (0x5455 extended
timestamp, seconds since 1970, UTC); otherwise the MS-DOS date and time, two seconds wide, in a local time that the
archive does not name.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from clew.intake.archives.members import SECOND

_NTFS, _EXTENDED = 0x000A, 0x5455
_NTFS_TIMES, _HAS_MODIFIED = 1, 1
_1601 = 11_644_473_600 * SECOND


@dataclass(frozen=True, slots=True)
class Stamps:
    """Nanoseconds since 1970, None where not stated; `source` says where they stand."""

    modified_ns: int | None = None
    accessed_ns: int | None = None
    born_ns: int | None = None
    source: str = ""


def extras(field: bytes) -> dict[int, bytes]:
    """The extra fields by their id, the first of each; what is cut is left out."""
    found: dict[int, bytes] = {}
    at = 0
    while at + 4 <= len(field):
        which, length = struct.unpack_from("<2H", field, at)
        found.setdefault(which, field[at + 4 : at + 4 + length])
        at += 4 + length
    return found


def stamps(date: int, time: int, fields: Mapping[int, bytes]) -> Stamps:
    """The most exact times that an entry of the directory states."""
    ntfs = fields.get(_NTFS, b"")
    inner = extras(ntfs[4:]).get(_NTFS_TIMES, b"")
    if len(inner) >= 24:
        modified, accessed, born = (_filetime(value) for value in struct.unpack_from("<3Q", inner))
        return Stamps(modified, accessed, born, "zip directory, NTFS field, UTC")
    extended = fields.get(_EXTENDED, b"")
    if len(extended) >= 5 and extended[0] & _HAS_MODIFIED:
        seconds = int.from_bytes(extended[1:5], "little", signed=True)
        if seconds >= 0:
            return Stamps(seconds * SECOND, source="zip directory, extended timestamp, UTC")
    modified = _dos(date, time)
    return Stamps(modified, source="zip directory, MS-DOS time: local time without zone" if modified else "")


def _filetime(value: int) -> int | None:
    ns = value * 100 - _1601
    return ns if value and 0 <= ns < 1 << 63 else None


def _dos(date: int, time: int) -> int | None:
    """The digits of a local time as if they were UTC; `source` says that they are not."""
    try:
        at = datetime(
            1980 + (date >> 9), date >> 5 & 15, date & 31, time >> 11, time >> 5 & 63, (time & 31) * 2, tzinfo=UTC
        )
    except ValueError:
        return None
    return int(at.timestamp()) * SECOND
