"""7z: a start header with its CRC says where the end header lies and what its CRC is (7zFormat.txt of the LZMA SDK)."""

import struct
import zlib

from clew.intake.carving.view import Verdict, View

HEADER = 32


def check(view: View) -> Verdict | None:
    """None where the start header does not fit its checksum."""
    head = view.read(0, HEADER)
    if len(head) < HEADER:
        return None
    said, offset, size, crc = struct.unpack_from("<IQQI", head, 8)
    if zlib.crc32(head[12:]) != said or not size:
        return None
    start, end = HEADER + offset, HEADER + offset + size
    unread = ((HEADER, min(start, view.size)),)
    if end > view.size:
        return Verdict(view.size, "7z", "cut off", unread=unread)
    found = 0
    for chunk in view.chunks(start, size):
        found = zlib.crc32(chunk, found)
    if found != crc:
        return Verdict(end, "7z", "the checksum of its header is wrong", unread=unread)
    return Verdict(end, "7z", sure=end, unread=unread)
