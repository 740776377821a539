"""Where the bytes of a stream lie, so that they can be read from the image at once, past The Sleuth Kit's own copies.

Only where the books leave no doubt: runs that cover the stream, nothing packed or encrypted, and on NTFS a stream that
was written to its end. NTFS and exFAT keep how far that is beside the size (Carrier, File System Forensic Analysis,
2005, chapter 13, table 13.4; `exfat`); what lies behind it on the disk is somebody else's, and reads as zeros.
"""

import struct
from collections.abc import Iterator
from typing import Any

import pytsk3

from clew.intake.disk.extents import Direct, Piece, Resident
from clew.intake.disk.image import FileSystem
from clew.intake.disk.mft_rows import ATTRIBUTE_LIST, END, LEAST_HEADER, OUTSIDE_HEADER, Plain

PLAIN = {"ext", "FAT", "exFAT", "HFS+", "NTFS"}
_NON_RESIDENT = int(pytsk3.TSK_FS_ATTR_NONRES)
_ODD = int(pytsk3.TSK_FS_ATTR_COMP) | int(pytsk3.TSK_FS_ATTR_ENC)
_SPARSE, _FILLER = int(pytsk3.TSK_FS_ATTR_RUN_FLAG_SPARSE), int(pytsk3.TSK_FS_ATTR_RUN_FLAG_FILLER)
_ATTRIBUTE = struct.Struct("<IIB5xH")  # type, bytes, whether it lies outside the record; number


def direct(opened: FileSystem, record: int, attribute: Any) -> Direct | None:
    """The stream behind one attribute of file record `record`, or None where The Sleuth Kit must have the word.

    Raises OSError.
    """
    info = attribute.info
    flags, size = int(info.flags), int(info.size)
    if opened.family not in PLAIN or not flags & _NON_RESIDENT or flags & _ODD or size == 0:
        return None
    block, offset = opened.block, opened.offset
    end = size if opened.entries is None else opened.entries.written(record, size)
    pieces: list[Piece] = []
    covered = 0
    for run in attribute:
        kind, length = int(run.flags), int(run.len) * block
        if kind & _FILLER or int(run.offset) * block != covered:
            return None
        pieces.append((covered, None if kind & _SPARSE else offset + int(run.addr) * block, length))
        covered += length
        if covered >= end:
            break
    if covered < end:
        return None
    if end < size:
        pieces = [(at, place, min(length, end - at)) for at, place, length in pieces if at < end]
        pieces.append((end, None, size - end))
    if opened.family == "NTFS" and written(opened, record, attribute) != size:
        return None
    return Direct(opened.image.source, pieces, size)


def of_plain(opened: FileSystem, file: Plain) -> Direct | Resident:
    """The content of a plain NTFS file that was written to its end."""
    if file.resident is not None:
        return Resident(file.resident)
    block, pieces, covered = opened.block, list[Piece](), 0
    for cluster, clusters in file.runs:
        pieces.append((covered, opened.offset + cluster * block, clusters * block))
        covered += clusters * block
    return Direct(opened.image.source, pieces, file.size)


def written(opened: FileSystem, record: int, attribute: Any) -> int | None:
    """Initialised bytes of an NTFS stream, from the file record itself; None where that does not say it plainly."""
    found: int | None = None
    for raw, at, _, outside in _places(opened, record, attribute):
        if outside and struct.unpack_from("<Q", raw, at + 16)[0] == 0:
            (found,) = struct.unpack_from("<Q", raw, at + 56)
    return found


def room(opened: FileSystem, record: int, attribute: Any) -> int | None:
    """Bytes for which there is room in an NTFS stream that lies in its file record; None where that does not say."""
    for raw, at, size, outside in _places(opened, record, attribute):
        if not outside:
            return max(size - int(struct.unpack_from("<H", raw, at + 20)[0]), 0)
    return None


def _places(opened: FileSystem, record: int, attribute: Any) -> Iterator[tuple[bytearray, int, int, int]]:
    """Where in its file record the attribute stands: (record, byte, bytes, whether its content lies outside)."""
    raw = opened.records.record(record) if opened.records is not None else None
    if raw is None:
        return
    wanted, found = (int(attribute.info.type), int(attribute.info.id)), list[tuple[bytearray, int, int, int]]()
    end = len(raw) - OUTSIDE_HEADER
    (at,) = struct.unpack_from("<H", raw, 20)
    while at <= end:
        kind, size, outside, number = _ATTRIBUTE.unpack_from(raw, at)
        if kind == END or size < LEAST_HEADER:
            break
        if kind == ATTRIBUTE_LIST:
            return  # parts of it may stand in other records, under other numbers
        if (kind, number) == wanted:
            found.append((raw, at, size, outside))
        at += size
    yield from found
