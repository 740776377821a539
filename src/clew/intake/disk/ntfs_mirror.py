"""NTFS whose $MFT begins with damaged records: nothing opens it by them, but $MFTMirr has a copy of the first four
(Carrier, File System Forensic Analysis, 2005, chapter 11, "$MFTMirr").
"""

import struct

from clew.intake.api import ByteSource
from clew.intake.disk import mft
from clew.intake.over import Over

COPIED = 4  # records
BOOT = 512  # bytes
DAMAGED = (
    "NTFS by its boot sector, but the record of $MFT itself is damaged, and so is its copy in $MFTMirr: files that lie "
    "in one piece are carved; a tool that gathers file records by themselves may find more, as in another copy of the "
    "image"
)
BY_COPY = "the record of $MFT itself is damaged: the file system was opened by its copy in $MFTMirr"
_NTFS = b"NTFS    "


class Mended(Over):
    """A ByteSource with these bytes in the place of those that are there."""

    def __init__(self, source: ByteSource, pieces: list[tuple[int, bytes]]) -> None:
        super().__init__(source)
        self._pieces = pieces

    def read(self, offset: int, length: int) -> bytes:
        """Bytes, with those that were put in."""
        data = bytearray(self.source.read(offset, length))
        for at, piece in self._pieces:
            first, end = max(at, offset), min(at + len(piece), offset + len(data))
            if first < end:
                data[first - offset : end - offset] = piece[first - at : end - at]
        return bytes(data)


def damaged(source: ByteSource, offset: int) -> Mended | bool:
    """What the file system at byte `offset` would be with its copies; True where these are damaged too, False where
    that is not what is wrong with it.
    """
    boot = source.read(offset, BOOT)
    length = mft.record_length(boot) if len(boot) == BOOT and boot[3:11] == _NTFS else 0
    if not length:
        return False
    sector, clusters = struct.unpack_from("<HB", boot, 11)
    cluster = sector * (clusters if clusters <= 128 else 1 << 256 - clusters)
    table, copy = (offset + place * cluster for place in struct.unpack_from("<QQ", boot, 48))
    records = [(table + at, _whole(source, table + at, length), copy + at) for at in range(0, COPIED * length, length)]
    if records[0][1]:
        return False
    pieces = [
        (place, source.read(other, length))
        for place, whole, other in records
        if not whole and _whole(source, other, length)
    ]
    return Mended(source, pieces) if pieces and pieces[0][0] == table else True


def _whole(source: ByteSource, place: int, length: int) -> bool:
    return place + length <= source.size and mft.fixed(bytearray(source.read(place, length)), length) is not None
