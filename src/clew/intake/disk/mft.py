"""NTFS file records as they lie in $MFT, read from the image many at a time, past The Sleuth Kit."""

import struct
from collections import OrderedDict
from collections.abc import Iterator

import pytsk3

from clew.core.absent import Absent
from clew.intake.api import ByteSource
from clew.intake.disk import mft_rows
from clew.intake.disk.extents import Direct, Piece
from clew.intake.disk.mft_rows import DATA, FIRST_ATTRIBUTE, SECTOR, Plain

TOGETHER = 512  # records that are looked at together
ASKED = 16  # times that one of them must be asked for before: to look at all is dearer than to open a few
WINDOWS = 16  # stretches of so many records that are kept, and of which it is counted how often they were asked for
_NOT_PLAIN = int(pytsk3.TSK_FS_ATTR_RUN_FLAG_SPARSE) | int(pytsk3.TSK_FS_ATTR_RUN_FLAG_FILLER)


class Table:
    """The records of one $MFT, `whole`, each of `length` bytes, up to number `last`, in a file system of so many
    `clusters` of `cluster` bytes.
    """

    def __init__(self, whole: Direct, length: int, last: int, clusters: int, cluster: int) -> None:
        self._whole, self._length, self._last = whole, length, last
        self._clusters, self._cluster = clusters, cluster
        self._asked: OrderedDict[int, int] = OrderedDict()
        self._windows: OrderedDict[int, list[Plain | None]] = OrderedDict()

    def record(self, number: int) -> bytearray | None:
        """A record with its fix-ups applied; None for one that is not there, cannot be read, or does not fit them."""
        return fixed(bytearray(self._read(number, 1)), self._length)

    def place(self, number: int) -> int | None:
        """The byte of the image at which a record begins; None for one that is not there."""
        return self._whole.place(number * self._length) if 0 <= number <= self._last else None

    def used(self) -> Iterator[bytes]:
        """All records in use, in order, with their fix-ups applied; without those that cannot be read or do not fit."""
        for number in range(0, self._last + 1, TOGETHER):
            yield from mft_rows.used(self._read(number, TOGETHER), self._length)

    def plain(self, number: int) -> Plain | None:
        """The file of that record, if it is a plain one and many near it were asked for too."""
        window, row = divmod(number, TOGETHER)
        rows = self._windows.get(window)
        if rows is None:
            rows = self._look(window)
        return rows[row] if row < len(rows) else None

    def _look(self, window: int) -> list[Plain | None]:
        """All records of a window; none where it was asked for less than ASKED times."""
        asked = self._asked[window] = self._asked.pop(window, 0) + 1
        if len(self._asked) > WINDOWS:
            self._asked.popitem(last=False)
        if asked < ASKED:
            return []
        raw = self._read(window * TOGETHER, TOGETHER)
        del self._asked[window]
        rows = mft_rows.plain(raw, self._length, self._cluster, self._clusters)
        self._windows[window] = rows
        if len(self._windows) > WINDOWS:
            self._windows.popitem(last=False)
        return rows

    def _read(self, number: int, count: int) -> bytes:
        """So many records from `number` on, as far as there are any; nothing where they cannot be read."""
        count = min(count, self._last + 1 - number)
        try:
            return self._whole.read(number * self._length, count * self._length) if count > 0 <= number else b""
        except (OSError, Absent):
            return b""


def fixed(raw: bytearray, length: int) -> bytearray | None:
    """A record of `length` bytes with its fix-ups applied; None for what is none, or does not fit them."""
    if len(raw) < length or raw[:4] != b"FILE":
        return None
    at, count = struct.unpack_from("<HH", raw, 4)
    if count != length // SECTOR + 1 or at < FIRST_ATTRIBUTE or at + 2 * count > SECTOR - 2:
        return None
    mark = raw[at : at + 2]
    for end in range(SECTOR, length + 1, SECTOR):
        at += 2
        if raw[end - 2 : end] != mark:
            return None
        raw[end - 2 : end] = raw[at : at + 2]
    return raw


def table(fs: pytsk3.FS_Info, source: ByteSource, offset: int) -> Table | None:
    """The $MFT of an NTFS file system that begins at byte `offset`; None where its own record does not say plainly
    where it lies.
    """
    try:
        length, pieces = record_length(source.read(offset, SECTOR)), _places(fs, offset)
    except (OSError, Absent, struct.error):
        return None
    if not length or not pieces:
        return None
    whole = Direct(source, pieces, pieces[-1][0] + pieces[-1][2])
    # The Sleuth Kit's last number is its own directory of orphans.
    return Table(whole, length, int(fs.info.last_inum) - 1, int(fs.info.block_count), int(fs.info.block_size))


def record_length(boot: bytes) -> int:
    """Bytes of a record, as the boot sector says them: in clusters, or where negative as a power of two. 0 where that
    is no whole number of sectors, from one to 8.
    """
    (clusters,) = struct.unpack_from("<b", boot, 64)
    sector, per_cluster = struct.unpack_from("<HB", boot, 11)
    length = 1 << -clusters if clusters < 0 else clusters * per_cluster * sector
    return length if length in (1024, 2048, 4096) else 0


def _places(fs: pytsk3.FS_Info, offset: int) -> list[Piece]:
    """Where $MFT lies; [] where The Sleuth Kit does not know all of it."""
    block, covered = int(fs.info.block_size), 0
    pieces: list[Piece] = []
    for attribute in fs.open_meta(inode=0):
        if int(attribute.info.type) != DATA or attribute.info.name:
            continue
        for run in attribute:
            length = int(run.len) * block
            if int(run.flags) & _NOT_PLAIN or int(run.offset) * block != covered or not length:
                return []
            pieces.append((covered, offset + int(run.addr) * block, length))
            covered += length
        break
    return pieces
