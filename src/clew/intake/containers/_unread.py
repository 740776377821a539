"""Bytes that a container's file holds and, by its own word, its disk does not have."""

from collections.abc import Callable

from clew.intake.api import ByteSource, Range
from clew.intake.carving.view import without
from clew.intake.containers._mapped import length_of, pread
from clew.model import Missing, Reason

ROUNDING = 1 << 20  # bytes below which zeros are rounding, and no more


def of_file(file: int, name: str | None, read: list[Range], end: int | None = None) -> list[Missing]:
    """What of its bytes up to `end`, or all of them, are in none of the ranges that are read."""
    whole = (0, length_of(file) if end is None else end)
    left = [each for each in without(whole, sorted(read)) if _worth(each, lambda at, size: pread(file, size, at))]
    way = "take in that file by itself as a raw image"
    return [_said(f"the file {name!r}" if name else "the file", each, way) for each in left]


def of_disk(disk: ByteSource, name: str, read: int) -> list[Missing]:
    """What lies behind the first `read` bytes of a disk, or of a part of one."""
    left = (read, disk.size - read)
    if left[1] <= 0 or not _worth(left, disk.read):
        return []
    return [_said(f"what {name} holds", left, "correct the size in a copy of it and take in that")]


def _worth(left: Range, read: Callable[[int, int], bytes]) -> bool:
    try:
        return left[1] >= ROUNDING or any(read(*left))
    except OSError:
        return True


def _said(what: str, left: Range, way: str) -> Missing:
    why = f"{left[1]:,} bytes of {what}, from byte {left[0]:,} on, are not of its disk by its own word: not read"
    return Missing(Reason.UNKNOWN, f"{why}; {way}")
