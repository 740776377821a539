"""Whether what a file system says of itself lies where others may have written since: beyond its partition, or inside
of another one that opens. There it may be listed all the same, but nothing is taken for whole.
"""

import struct
from collections.abc import Callable

from clew.intake.api import Range
from clew.intake.carving.view import overlap
from clew.intake.disk.image import FileSystem, reason
from clew.model import Missing, Reason

RECORDS = "file records that lie where others may have written, not looked at"
_DOT = b".".ljust(11)  # how the name of a FAT directory's first entry stands there
_LOWER = 26  # the byte of that entry at which the lower half of its own first cluster stands
_ANOTHER = "where it lies there is a directory of another file system now"


def lies(opened: FileSystem, ranges: list[Range]) -> bool:
    """Whether some byte of these ranges of the disk is such a one."""
    return bool(overlap(ranges, opened.foreign))


def record(opened: FileSystem, number: int) -> bool:
    """Whether a file record does, or where that cannot be told; elsewhere than on NTFS and ext none does by itself."""
    place = _PLACES.get(opened.family)
    if not opened.foreign or place is None:
        return False
    try:
        at = place(opened, number)
    except (OSError, struct.error):
        at = None
    return at is None or lies(opened, [(at, 1)])


def directory(opened: FileSystem, address: int) -> bool | Missing:
    """Whether a directory does, in part; why it is not entered, where another one stands at its place."""
    if not opened.foreign:
        return False
    try:
        blocks = [
            (int(run.addr), int(run.len))
            for attribute in opened.fs.open_meta(inode=address)
            for run in attribute
            if int(run.addr) and int(run.len)
        ]
    except OSError as error:
        return Missing(Reason.UNREADABLE, f"the directory could not be listed: {reason(error)}")
    begins = [(opened.offset + at * opened.block, length * opened.block) for at, length in blocks]
    mark = _MARKS.get(opened.family)
    if begins and address != opened.root and mark is not None and lies(opened, [(begins[0][0], 1)]):
        head = opened.image.source.read(begins[0][0], 32)
        if not mark(opened, address, blocks[0][0], head):
            return Missing(Reason.UNREADABLE, _ANOTHER)
    return lies(opened, begins)


def _of_fat(opened: FileSystem, _address: int, first: int, head: bytes) -> bool:
    """Whether a directory that begins in sector `first` says so of itself."""
    if opened.taken is None:
        return True
    cluster = (first - opened.taken.begin) // opened.taken.cluster + 2
    return head[:11] == _DOT and head[_LOWER : _LOWER + 2] == struct.pack("<H", cluster & 0xFFFF)


def _of_ext(_opened: FileSystem, address: int, _first: int, head: bytes) -> bool:
    """Whether the first entry of a directory names its own inode."""
    return head[:4] == struct.pack("<I", address & 0xFFFFFFFF)


def _in_table(opened: FileSystem, number: int) -> int | None:
    return opened.records.place(number) if opened.records is not None else None


def _in_group(opened: FileSystem, number: int) -> int | None:
    return opened.table.place(number) if opened.table is not None else None


_PLACES: dict[str, Callable[[FileSystem, int], int | None]] = {"NTFS": _in_table, "ext": _in_group}
_MARKS: dict[str, Callable[[FileSystem, int, int, bytes], bool]] = {"FAT": _of_fat, "ext": _of_ext}
