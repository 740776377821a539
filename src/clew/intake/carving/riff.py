"""RIFF: WebP (RFC 9649) and AVI with its OpenDML continuation (a row of RIFF chunks, the later ones "AVIX").

A chunk is a name of four bytes, a little-endian length and so many bytes, padded to an even number.
"""

import re
from dataclasses import dataclass, field

from clew.intake.carving.view import Verdict, View

MOST_CHUNKS = 300_000
_NAME = re.compile(rb"[A-Za-z0-9_ ]{4}")
_MOVIE = re.compile(rb"[0-9]{2}[a-z]{2}|ix[0-9]{2}|[0-9]{2}[A-Z]{2}|JUNK|idx1|LIST|junk")
_MOTION_JPEG = re.compile(rb"MJPG|mjpg|dmb1|AVRn|jpeg")


def webp(view: View) -> Verdict | None:
    """None where no picture chunk comes first."""
    end = 8 + _number(view, 4)
    first = view.read(12, 4)
    if first not in {b"VP8 ", b"VP8L", b"VP8X"} or end < 20:
        return None
    at = 12
    unread: list[tuple[int, int]] = []
    while at < end:
        head = view.read(at, 8)
        if len(head) < 8:
            return Verdict(at, "webp", "cut off", unread=tuple(unread))
        length = int.from_bytes(head[4:], "little")
        if not _NAME.fullmatch(head[:4]) or at + 8 + length > end or not _frame(view, head[:4], at + 8):
            return Verdict(at, "webp", "its chunks break off", unread=tuple(unread))
        if at + 8 + length > view.size:
            return Verdict(view.size, "webp", "cut off", unread=tuple(unread))
        unread.append((at + 8, at + 8 + length))
        at += 8 + length + length % 2
    end = min(max(end, at), view.size)
    last = unread[-1][0] if unread else 0
    return Verdict(end, "webp", sure=last, unread=tuple(unread))


def _frame(view: View, name: bytes, at: int) -> bool:
    """Whether a picture chunk begins as its codec does."""
    if name == b"VP8 ":
        return view.read(at + 3, 3) == b"\x9d\x01\x2a"
    return name != b"VP8L" or view.read(at, 1) == b"\x2f"


@dataclass(slots=True)
class _Movie:
    """An AVI on its way: how far it fits, and what was stepped over."""

    at: int = 0
    good: int = 0  # behind the last header that was right
    chunks: int = 0
    header: bool = False
    frames: bool = False
    holds: frozenset[str] = frozenset()
    unread: list[tuple[int, int]] = field(default_factory=list)


def avi(view: View) -> Verdict | None:
    """None where the header list is missing."""
    movie = _Movie()
    if view.read(12, 4) != b"LIST" or view.read(20, 4) != b"hdrl":
        return None
    why = ""
    while view.read(movie.at, 4) == b"RIFF" and view.read(movie.at + 8, 4) == (b"AVIX" if movie.at else b"AVI "):
        why = _segment(view, movie)
        if why:
            break
    if not why and not (movie.header and movie.frames):
        why = "it holds no moving picture"
    unread = tuple(movie.unread)
    return Verdict(min(movie.at, view.size), "avi", why, sure=movie.good, unread=unread, holds=movie.holds)


def _segment(view: View, movie: _Movie) -> str:
    """One RIFF chunk from `movie.at`, which ends behind it; what is wrong, or ""."""
    start, length = movie.at, _number(view, movie.at + 4)
    end = start + 8 + length if length else view.size
    movie.at = start + 12
    while movie.at < end:
        head = view.read(movie.at, 12)
        if len(head) < 8:
            return "cut off" if length else "its length was never written: the recording was not finished"
        size = int.from_bytes(head[4:8], "little")
        if not _NAME.fullmatch(head[:4]) or movie.at + 8 + size > end:
            return "its chunks break off"
        movie.good = movie.at + 8
        if head[:4] == b"LIST" and head[8:12] == b"movi":
            movie.frames = True
            why = _frames(view, movie, movie.at + 12, movie.at + 8 + size if size else end)
            if why:
                return why
        else:
            if head[8:12] == b"hdrl":
                movie.header = True
                movie.holds = frozenset({"jpeg"}) if _MOTION_JPEG.search(view.read(movie.at, 1 << 16)) else frozenset()
            if movie.at + 8 + size > view.size:
                movie.at = view.size
                return "cut off"
            movie.at += 8 + size
        movie.at += movie.at % 2 if movie.at < end else 0
    return "" if length else "its length was never written: the recording was not finished"


def _frames(view: View, movie: _Movie, at: int, end: int) -> str:
    """The chunks of the frames, one by one: a cluster that belongs to another file breaks the row."""
    movie.unread.append((at, at))
    while at < end:
        head = view.read(at, 8)
        movie.unread[-1] = (movie.unread[-1][0], min(at, view.size))
        movie.at = min(at, view.size)
        if len(head) < 8:
            return "" if end - at < 8 and at <= view.size else "cut off"
        if not _MOVIE.fullmatch(head[:4]):
            return "its frames break off"
        length = int.from_bytes(head[4:], "little")
        movie.good = at + 8
        movie.chunks += 1
        if movie.chunks > MOST_CHUNKS:
            at = end
        elif head[:4] == b"LIST":  # a group of chunks ("rec "): its own chunks follow
            at += 12
        else:
            at += 8 + length + length % 2
        if at > end + 1:
            return "its frames break off"
    movie.unread[-1] = (movie.unread[-1][0], min(end, view.size))
    movie.at = end
    return "cut off" if end > view.size else ""


def _number(view: View, at: int) -> int:
    return int.from_bytes(view.read(at, 4), "little")
