"""NTFS file records, many at once: what those say that leave no room for interpretation.

A plain record is that of a file in use, whole in this one record, with one unnamed $DATA attribute, neither packed nor
encrypted nor sparse, and no attribute but those that every file has. Each step is taken for all records together;
whatever is odd in one leaves it out, and The Sleuth Kit has the word of it.

Layout: Carrier, File System Forensic Analysis, 2005, chapter 13 (tables 13.1 to 13.6 and 13.8).
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

STANDARD_INFORMATION, ATTRIBUTE_LIST, FILE_NAME, OBJECT_ID, SECURITY, DATA = 0x10, 0x20, 0x30, 0x40, 0x50, 0x80
END = 0xFFFFFFFF  # stands where the next attribute's type would
SECTOR = 512  # what a fix-up of a file record covers
FIRST_ATTRIBUTE = 42  # the least place of an attribute, and of the fix-up array
LEAST_HEADER, OUTSIDE_HEADER = 24, 64  # bytes of an attribute's header, where it lies in the record or outside
MOST_ATTRIBUTES = 8
MOST_RUNS = 8
_FILE = int.from_bytes(b"FILE", "little")
_IN_USE = 1  # the flags of a record in use that is no directory and no index
_LEAST_NAME, _LEAST_INFORMATION = 66, 48  # bytes of those two attributes
_TICKS = 10_000_000  # a second, in the unit of NTFS's times: 100 ns since 1601
_EPOCH = 116_444_736_000_000_000  # 1970
_FIRST, _LAST = _EPOCH + _TICKS, _EPOCH + (_TICKS << 31)  # what 32 bits hold, but for the first second
_PAD = 16  # bytes behind each record, so that eight can be read from any place in it
_HEADER = np.arange(LEAST_HEADER // 4)
_MASK = np.array([(1 << 8 * wide) - 1 for wide in range(9)], np.uint64)  # of a number so many bytes wide
_SIGN = np.array([0, *(1 << 8 * wide - 1 for wide in range(1, 9))], np.uint64)

Whole = NDArray[np.int64]
Marks = NDArray[np.bool_]


class Plain(NamedTuple):
    """What a plain record says of its file."""

    sequence: int
    number: int  # of its $DATA attribute
    size: int
    written: int  # bytes, as far as it was ever written: what is behind them reads as zeros
    times: list[int | None]  # modified, accessed, changed, born: nanoseconds since 1970
    runs: list[tuple[int, int]]  # (cluster, clusters), together at least `size`
    resident: bytes | None  # the content, where it lies in the record


class _Rows:
    """Records side by side, as bytes and as numbers of two, four and eight bytes; `ok` says which are plain so far."""

    def __init__(self, raw: bytes, length: int) -> None:
        self.count, self.length = len(raw) // length, length
        wide = length + _PAD
        self.bytes = np.zeros((self.count, wide), np.uint8)
        self.bytes[:, :length] = np.frombuffer(raw, np.uint8, self.count * length).reshape(self.count, length)
        self.twos, self.fours = self.bytes.view("<u2"), self.bytes.view("<u4")
        self.eights = self.bytes.view("<i8")  # what is too large for that is negative, and never plain
        self.anywhere: NDArray[np.uint64] = np.ndarray((self.count, wide - 7), "<u8", self.bytes, 0, (wide, 1))
        self.ok: Marks = np.ones(self.count, np.bool_)


def plain(raw: bytes, length: int, cluster: int, clusters: int) -> list[Plain | None]:
    """What each of these records of `length` bytes says, None of one that is not plain. A cluster has `cluster` bytes,
    and the file system so many `clusters`.
    """
    rows = _Rows(raw, length)
    _fix(rows)
    information, data, end = _attributes(rows, _files(rows))
    times = _times(rows, information)
    data[~rows.ok] = 0
    every = np.arange(rows.count)
    outside = rows.bytes[every, data + 8] == 1
    resident = (rows.fours[every, data + 16 >> 2], rows.twos[every, data + 20 >> 1])
    size, written, runs = _outside(rows, outside, data, end, clusters)
    rows.ok &= ~outside | (sum(length for _, length in runs) >= -(-size // cluster))
    size, written = (np.where(outside, column, resident[0]) for column in (size, written))
    numbers = rows.twos[every, data + 14 >> 1]
    columns = (rows.twos[:, 8], numbers, size, written, data + resident[1], outside)
    found: list[Plain | None] = [None] * rows.count
    said = zip(*(column.tolist() for column in columns), strict=True)
    each_runs = [list(zip(place.tolist(), length.tolist(), strict=True)) for place, length in runs]
    ok = rows.ok.tolist()
    for row, (sequence, number, bytes_, until, at, beyond) in enumerate(said):
        if ok[row]:
            where = [each[row] for each in each_runs if each[row][1]] if beyond else []
            content = None if beyond else rows.bytes[row, at : at + bytes_].tobytes()
            found[row] = Plain(sequence, number, bytes_, until, times[row], where, content)
    return found


def used(raw: bytes, length: int) -> Iterator[bytes]:
    """Those of these records of `length` bytes that are in use, files and directories, with their fix-ups applied."""
    rows = _Rows(raw, length)
    _fix(rows)
    for row in np.flatnonzero(rows.ok & (rows.twos[:, 11] & _IN_USE != 0)).tolist():
        yield rows.bytes[row, :length].tobytes()


def _fix(rows: _Rows) -> None:
    """Puts the last two bytes of each sector back from the fix-up array, and leaves out records that do not fit it."""
    at, count, sectors = rows.twos[:, 2].astype(np.int64), rows.twos[:, 3], rows.length // SECTOR
    ok = (rows.fours[:, 0] == _FILE) & (count == sectors + 1) & (at >= FIRST_ATTRIBUTE) & (at & 1 == 0)
    ok &= at + 2 * (sectors + 1) <= SECTOR - 2
    each = np.flatnonzero(ok)
    at = at[each] >> 1
    mark, good = rows.twos[each, at], np.ones(each.size, np.bool_)
    for number in range(1, sectors + 1):
        end = number * SECTOR // 2 - 1
        good &= rows.twos[each, end] == mark
        rows.twos[each, end] = rows.twos[each, at + number]
    ok[each[~good]] = False
    rows.ok &= ok


def _files(rows: _Rows) -> Whole:
    """Leaves out what is no file in use with a record of its own. Where the attributes of the others begin."""
    first = rows.twos[:, 10].astype(np.int64)
    rows.ok &= (rows.twos[:, 11] == _IN_USE) & (rows.eights[:, 4] == 0)
    rows.ok &= (first >= FIRST_ATTRIBUTE) & (first & 7 == 0) & (first <= rows.length - LEAST_HEADER)
    return first


def _attributes(rows: _Rows, at: Whole) -> tuple[Whole, Whole, Whole]:
    """Leaves out all but records with $STANDARD_INFORMATION and unnamed $DATA, once each, and perhaps names, object id
    and security descriptor. Where the content of the first, and where the second, begins and ends.
    """
    information, data, data_end = (np.zeros(rows.count, np.int64) for _ in range(3))
    walking = np.flatnonzero(rows.ok)
    for _ in range(MOST_ATTRIBUTES):
        if not walking.size:
            break
        here = at[walking]
        header = rows.fours[walking[:, None], (here >> 2)[:, None] + _HEADER].astype(np.int64)
        kind, size, form, flags, length, where = header.T
        where &= 0xFFFF
        outside, after = form & 0xFF, here + size
        good = (size >= LEAST_HEADER) & (size & 7 == 0) & (after <= rows.length)
        good &= (form & 0xFF00 == 0) & (form >> 16 <= size) & (flags & 0xFFFF == 0)  # no name, nothing packed
        good &= (outside == 0) & (where >= LEAST_HEADER) & (where + length <= size) | (outside == 1) & (kind == DATA)
        is_data, is_information, is_name = kind == DATA, kind == STANDARD_INFORMATION, kind == FILE_NAME
        good &= is_data | is_information | is_name | (kind == OBJECT_ID) | (kind == SECURITY)
        good &= ~is_data | (data[walking] == 0) & ((outside == 0) | (size >= OUTSIDE_HEADER))
        is_first = (information[walking] == 0) & (where == LEAST_HEADER) & (length >= _LEAST_INFORMATION)
        good &= ~is_information | is_first
        letters = rows.bytes[walking, np.minimum(here + LEAST_HEADER + 64, rows.length)].astype(np.int64)
        good &= ~is_name | (where == LEAST_HEADER) & (length >= _LEAST_NAME + 2 * letters)
        ended = kind == END
        good &= ~ended
        rows.ok[walking[~good & ~ended]] = False
        information[walking[good & is_information]] = here[good & is_information] + LEAST_HEADER
        data[walking[good & is_data]], data_end[walking[good & is_data]] = here[good & is_data], after[good & is_data]
        room = after <= rows.length - LEAST_HEADER
        rows.ok[walking[good & ~room]] = False
        walking, after = walking[good & room], after[good & room]
        at[walking] = after
    rows.ok[walking] = False
    rows.ok &= (information > 0) & (data > 0)
    return information, data, data_end


def _times(rows: _Rows, at: Whole) -> list[list[int | None]]:
    """Modified, accessed, changed, born in nanoseconds since 1970, as The Sleuth Kit tells them: none for one before
    1970, or in its first second. Leaves out records with one that 32 bits do not hold.
    """
    every = np.where(rows.ok, at, 0) >> 3
    born, modified, changed, accessed = (rows.eights[np.arange(rows.count), every + number] for number in range(4))
    four = np.stack((modified, accessed, changed, born), axis=1)
    rows.ok &= ((four >= 0) & (four < _LAST)).all(axis=1)
    found: list[list[int | None]] = ((four - _EPOCH) * 100).tolist()
    for row, number in np.argwhere(four < _FIRST).tolist():
        found[row][number] = None
    return found


def _outside(
    rows: _Rows, outside: Marks, data: Whole, end: Whole, clusters: int
) -> tuple[Whole, Whole, list[tuple[Whole, Whole]]]:
    """Of $DATA outside the record: its bytes, those that were written, and its runs, as (cluster, clusters) of each
    record; no clusters where it has fewer. Leaves out records that say anything odd of it.
    """
    every = np.arange(rows.count)
    at = np.where(outside & rows.ok, data, 0)
    first, allocated, size, written = (rows.eights[every, at + place >> 3] for place in (16, 40, 48, 56))
    runs, unit = (rows.twos[every, at + place >> 1].astype(np.int64) for place in (32, 34))
    good = (first == 0) & (unit == 0) & (size > 0) & (size <= allocated)
    good &= (runs >= OUTSIDE_HEADER) & (at + runs < end)
    rows.ok &= good | ~outside
    return size, written, _runs(rows, np.flatnonzero(outside & rows.ok), at + runs, end, clusters)


def _runs(rows: _Rows, left: Whole, at: Whole, end: Whole, clusters: int) -> list[tuple[Whole, Whole]]:
    """The runs of the records `left`, each list from `at` to its end mark. Leaves out records with a sparse one, one
    that lies where there is nothing, or too many.
    """
    found: list[tuple[Whole, Whole]] = []
    place = np.zeros(rows.count, np.int64)
    for _ in range(MOST_RUNS + 1):
        here = at[left]
        head = np.where(here < end[left], rows.bytes[left, np.minimum(here, rows.length)], 0xFF)
        left, here, head = left[head != 0], here[head != 0], head[head != 0]
        if not left.size:
            return found
        wide, far = (head & 15).astype(np.int64), (head >> 4).astype(np.int64)
        after = here + 1 + wide + far
        good = (wide > 0) & (wide <= 8) & (far > 0) & (far <= 8) & (after <= end[left])
        rows.ok[left[~good]] = False
        left, here, wide, far, after = (each[good] for each in (left, here, wide, far, after))
        length = (rows.anywhere[left, here + 1] & _MASK[wide]).view(np.int64)
        step = ((rows.anywhere[left, here + 1 + wide] & _MASK[far] ^ _SIGN[far]) - _SIGN[far]).view(np.int64)
        place[left] += step
        good = (length > 0) & (length <= clusters) & (step != 0) & (step != -1)
        good &= (place[left] > 0) & (place[left] <= clusters - length)
        rows.ok[left[~good]] = False
        left = left[good]
        at[left] = after[good]
        lengths = np.zeros(rows.count, np.int64)
        lengths[left] = length[good]
        found.append((place.copy(), lengths))
    rows.ok[left] = False
    return found
