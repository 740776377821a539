"""Where the bytes of a stream lie, so that they can be read from the image at once, past The Sleuth Kit's own copies.

Only where the books leave no doubt: runs that cover the stream, nothing packed or encrypted, and on NTFS a stream that
was written to its end. NTFS keeps how far that is beside the size (Carrier, File System Forensic Analysis, 2005,
chapter 13, table 13.4); what lies behind it on the disk is somebody else's, and reads as zeros.
"""

import struct
from bisect import bisect_right
from typing import Any

import pytsk3

from clew.intake.api import ByteSource
from clew.intake.disk.image import FileSystem

PLAIN = {"ext", "FAT", "exFAT", "HFS+", "NTFS"}
_NON_RESIDENT = int(pytsk3.TSK_FS_ATTR_NONRES)
_ODD = int(pytsk3.TSK_FS_ATTR_COMP) | int(pytsk3.TSK_FS_ATTR_ENC)
_SPARSE, _FILLER = int(pytsk3.TSK_FS_ATTR_RUN_FLAG_SPARSE), int(pytsk3.TSK_FS_ATTR_RUN_FLAG_FILLER)
_ATTRIBUTE_LIST, _END = 0x20, 0xFFFFFFFF
_ATTRIBUTE = struct.Struct("<IIB5xH")  # type, bytes, whether it lies outside the record; number
_SECTOR = 512  # what a fix-up of a file record covers


class Direct:
    """A stream by its pieces: (offset in the stream, place in the image or None for a hole), and the end of each."""

    def __init__(self, source: ByteSource, pieces: list[tuple[int, int | None, int]], size: int) -> None:
        self._source, self._pieces, self.size = source, pieces, size
        self._starts = [start for start, _, _ in pieces]

    def read(self, offset: int, length: int) -> bytes:
        """Up to `length` bytes; what the container cannot read comes as zeros, and is named in its `bad`."""
        length = min(length, self.size - offset)
        if length <= 0:
            return b""
        parts: list[bytes] = []
        while length > 0:
            start, place, run = self._pieces[bisect_right(self._starts, offset) - 1]
            here = min(length, start + run - offset)
            part = bytes(here) if place is None else self._source.read(place + offset - start, here)
            parts.append(part)
            offset, length = offset + here, length - here
            if len(part) < here:
                break
        return parts[0] if len(parts) == 1 else b"".join(parts)


def direct(opened: FileSystem, record: int, attribute: Any) -> Direct | None:
    """The stream behind one attribute of file record `record`, or None where The Sleuth Kit must have the word.

    Raises OSError.
    """
    flags, size = int(attribute.info.flags), int(attribute.info.size)
    if opened.family not in PLAIN or not flags & _NON_RESIDENT or flags & _ODD or size == 0:
        return None
    block, source = opened.block, opened.image.source
    pieces: list[tuple[int, int | None, int]] = []
    covered = 0
    for run in attribute:
        kind, length = int(run.flags), int(run.len) * block
        if kind & _FILLER or int(run.offset) * block != covered:
            return None
        pieces.append((covered, None if kind & _SPARSE else opened.offset + int(run.addr) * block, length))
        covered += length
        if covered >= size:
            break
    if covered < size:
        return None
    if opened.family == "NTFS" and _written(opened, record, attribute) != size:
        return None
    return Direct(source, pieces, size)


def _written(opened: FileSystem, record: int, attribute: Any) -> int | None:
    """Initialised bytes of an NTFS stream, from the file record itself; None where that does not say it plainly."""
    raw = _file_record(opened, record)
    if raw[:4] != b"FILE" or not _fixed(raw):
        return None
    wanted, found = (int(attribute.info.type), int(attribute.info.id)), None
    end = len(raw) - 64
    (at,) = struct.unpack_from("<H", raw, 20)
    while at <= end:
        kind, size, non_resident, number = _ATTRIBUTE.unpack_from(raw, at)
        if kind == _END or size < 24:
            break
        if kind == _ATTRIBUTE_LIST:
            return None  # parts of it may stand in other records, under other numbers
        if (kind, number) == wanted and non_resident and struct.unpack_from("<Q", raw, at + 16)[0] == 0:
            (found,) = struct.unpack_from("<Q", raw, at + 56)
        at += size
    return found


def _file_record(opened: FileSystem, record: int) -> bytearray:
    """One record of $MFT as it lies there. The boot sector says its bytes: in clusters, or where negative as a power of
    two. Raises OSError.
    """
    if opened.records is None:
        boot = opened.image.source.read(opened.offset, _SECTOR)
        (clusters,) = struct.unpack_from("<b", boot, 64)
        sector, per_cluster = struct.unpack_from("<HB", boot, 11)
        opened.records = (
            opened.fs.open_meta(inode=0),
            1 << -clusters if clusters < 0 else clusters * per_cluster * sector,
        )
    table, length = opened.records
    return bytearray(table.read_random(record * length, length))


def _fixed(raw: bytearray) -> bool:
    """Puts the last two bytes of each sector back from the fix-up array. False where one does not fit."""
    at, count = struct.unpack_from("<HH", raw, 4)
    if at + 2 * count > len(raw) or (count - 1) * _SECTOR > len(raw) or count < 2:
        return False
    for number in range(1, count):
        end = number * _SECTOR
        if raw[end - 2 : end] != raw[at : at + 2]:
            return False
        raw[end - 2 : end] = raw[at + 2 * number : at + 2 * number + 2]
    return True
