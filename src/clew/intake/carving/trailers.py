"""What telephones append to a JPEG: the film of a motion photo, and the trailer of Samsung's.

The latter (ExifTool's tag names call it so): blocks of data, then "SEFH", a version, the number of blocks, and for each
its type, how far before "SEFH" it begins, and its length; then the bytes since "SEFH", and "SEFT".
"""

import struct
from dataclasses import replace

from clew.intake.carving import bmff
from clew.intake.carving.scan import SECTOR
from clew.intake.carving.view import Verdict, View

MOST_BETWEEN = 64  # bytes between a picture and its film: makers put a few words there
MOST_TRAILER = 1 << 18  # bytes


def with_trailers(view: View, end: int) -> Verdict:
    """The verdict on a picture that is whole up to `end`, and on what was appended to it."""
    found = _film(view, end) or Verdict(end, "jpg", sure=end)
    if found.why:
        return found
    trailer = _samsung(view, end, found.length)
    if trailer is None:
        return found
    # Its blocks are not looked at, whose sectors hold nothing else
    blocks = -(-found.length // SECTOR) * SECTOR, trailer[0] // SECTOR * SECTOR
    unread = (*found.unread, *([blocks] if blocks[0] < blocks[1] else []))
    return replace(found, length=trailer[1], sure=trailer[1], unread=unread, stores=not found.unread)


def _film(view: View, end: int) -> Verdict | None:
    """Right behind the picture, at no sector of its own, a short film begins."""
    head = view.read(end, MOST_BETWEEN)
    begin = end + head.find(b"ftyp") - 4
    if begin < end or (end % SECTOR == 0 and begin == end):
        return None
    film = bmff.check(View(view.source, view.within(begin, view.size), gap=view.gap))
    if film is None:
        return None
    unread = tuple((begin + start, begin + stop) for start, stop in film.unread)
    why = f"the film behind the picture: {film.why}" if film.why else ""
    return Verdict(begin + film.length, "jpg", why, sure=begin + film.sure, unread=unread, holds=film.holds)


def _samsung(view: View, picture: int, at: int) -> tuple[int, int] | None:
    """Where the table and the end of a trailer lie that follows at `at`, and whose first block begins where the picture
    ends.
    """
    data = view.read(at, MOST_TRAILER)
    foot = data.find(b"SEFT")
    if foot < 16:
        return None
    head = foot - 4 - int.from_bytes(data[foot - 4 : foot], "little")
    if head < 0 or data[head : head + 4] != b"SEFH":
        return None
    (count,) = struct.unpack_from("<I", data, head + 8)
    if head + 12 + 12 * count != foot - 4:
        return None
    back = max((struct.unpack_from("<I", data, head + 16 + 12 * number)[0] for number in range(count)), default=0)
    return (at + head, at + foot + 4) if at + head - back == picture else None
