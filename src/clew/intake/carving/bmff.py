"""MP4, MOV, HEIC and AVIF: boxes of the ISO base media file format (ISO/IEC 14496-12) and of QuickTime.

A box is a big-endian length and a type of four bytes; the file ends where no box that is known at its top follows.
"""

import struct
from dataclasses import dataclass, field

from clew.intake import boxes
from clew.intake.carving import samples
from clew.intake.carving.view import Verdict, View

MOST_BOXES = 200_000
MOST_INDEX = 64 << 20  # bytes of a `moov` that are read
_PICTURES = {b"heic": "heic", b"heix": "heic", b"heim": "heic", b"heis": "heic", b"mif1": "heic", b"avif": "avif"}
_BRANDS = {b"qt  ": "mov", b"avis": "avif", b"M4A ": "m4a", b"M4V ": "m4v", b"crx ": "cr3", b"3g": "3gp"}
OPEN_END = "nothing in it marks its end: it ends where no further box follows"


@dataclass(slots=True)
class _Walk:
    """The boxes so far: `at` is behind the last whole one."""

    at: int = 0
    boxes: int = 0
    brand: bytes = b""
    seen: set[bytes] = field(default_factory=set)
    media: list[tuple[int, int]] = field(default_factory=list)
    index: bytes = b""

    @property
    def enough(self) -> bool:
        """Whether what a file needs is there."""
        if self.brand in _PICTURES:
            return b"meta" in self.seen
        return b"moov" in self.seen and bool(self.media)


def check(view: View) -> Verdict | None:
    """None where the first box is none that a file begins with."""
    walk = _Walk()
    if not _begins(view, walk):
        return None
    why = ""
    while not why and walk.boxes < MOST_BOXES and _next(view, walk) is not None:
        why = _box(view, walk)
    if not why and walk.boxes >= MOST_BOXES:
        why = f"more than {MOST_BOXES} boxes"
    if not why and not walk.enough:
        why = "the box that tells what is in it is missing" if walk.media else "it holds no pictures or sound"
    if not walk.enough and b"ftyp" not in walk.seen and b"moov" not in walk.seen:
        return None  # four letters that happen to stand there
    return _verdict(view, walk, why)


def _begins(view: View, walk: _Walk) -> bool:
    head = view.read(0, 32)
    if len(head) < 16:
        return False
    size, kind = struct.unpack_from(">I4s", head)
    if kind == b"ftyp":
        walk.brand = head[8:12]
        return 16 <= size <= 4096 and size % 4 == 0 and all(32 <= byte < 127 for byte in walk.brand)
    walk.brand = b"qt  "
    if kind == b"moov":
        return head[12:16] in {b"mvhd", b"cmov", b"udta", b"clip", b"iods"}
    if kind == b"wide":
        return size == 8 and head[12:16] == b"mdat"
    return bool(kind == b"mdat" and (size == 1 or size > 16))


def _next(view: View, walk: _Walk) -> tuple[int, bytes, int] | None:
    """(length, type, bytes of header) of the box that follows; None where none does. A length of 0 runs to the end."""
    head = view.read(walk.at, 16)
    if len(head) < 8:
        return None
    size, kind = struct.unpack_from(">I4s", head)
    if kind not in boxes.TOP or (kind == b"ftyp" and walk.at):
        return None
    if size == 1:
        return (int.from_bytes(head[8:16], "big"), kind, 16) if len(head) == 16 else None
    return size, kind, 8


def _box(view: View, walk: _Walk) -> str:
    """Steps over one box; what is wrong with it, or ""."""
    found = _next(view, walk)
    if found is None:
        return ""
    size, kind, header = found
    start, end = walk.at, walk.at + size
    if size < header:
        return "its last box does not tell its length" if size == 0 else "its boxes break off"
    if end > view.size:
        if kind == b"mdat":
            walk.media.append((start + header, view.size))
            walk.at = view.size
        return "cut off"
    if kind == b"mdat":
        walk.media.append((start + header, end))
    elif kind == b"moov" and not walk.index:
        walk.index = view.read(start + header, min(size - header, MOST_INDEX))
    walk.seen.add(kind)
    walk.at, walk.boxes = end, walk.boxes + 1
    return ""


def _verdict(view: View, walk: _Walk, why: str) -> Verdict:
    extension = _PICTURES.get(walk.brand) or _BRANDS.get(walk.brand) or _BRANDS.get(walk.brand[:2], "mp4")
    holds: frozenset[str] = frozenset()
    sure = walk.media[-1][0] if walk.media and walk.media[-1][1] == walk.at else walk.at
    length = walk.at
    if walk.index:
        tracks = samples.tracks(walk.index)
        holds = frozenset({"jpeg"}) if any(track.codec in samples.MOTION_JPEG for track in tracks) else holds
        fault, looked = samples.fault(view, tracks, walk.media)
        if fault is not None:
            broken, said = fault
            why, sure = why or said, min(sure, broken)
        elif not why and looked and b"moof" not in walk.seen:
            sure = walk.at
    if not why and b"moof" in walk.seen and b"mfra" not in walk.seen:
        why = OPEN_END
    return Verdict(length, extension, why, sure=sure, unread=tuple(walk.media), holds=holds)
