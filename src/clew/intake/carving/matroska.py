"""Matroska and WebM: EBML elements (RFC 8794, RFC 9559): an id, a size, content; both of variable length.

A segment or cluster of unknown size, as live recordings have, ends where no element follows that may stand in it.
"""

from dataclasses import dataclass, field

from clew.intake.carving.view import Broken, Verdict, View

MOST_ELEMENTS = 600_000
MOST_STEPPED = 300_000  # after which clusters are stepped over by their length
_EBML, _DOCTYPE, _SEGMENT, _CLUSTER = 0x1A45DFA3, 0x4282, 0x18538067, 0x1F43B675
_TRACKS, _ATTACHMENTS, _VOID, _CRC = 0x1654AE6B, 0x1941A469, 0xEC, 0xBF
_IN_SEGMENT = {
    0x114D9B74, 0x1549A966, _TRACKS, _CLUSTER, 0x1C53BB6B, 0x1043A770, 0x1254C367, _ATTACHMENTS, _VOID, _CRC,
}  # fmt: skip
_IN_CLUSTER = {0xE7, 0xA3, 0xA0, 0xAB, 0xA7, 0xAF, 0x5854, _VOID, _CRC}
_MOST_HEADER = 1024
OPEN_END = "nothing in it marks its end: it ends where no further element follows"

Element = tuple[int, int | None, int]  # (id, bytes of content or None where unknown, where the content begins)


@dataclass(slots=True)
class _Walk:
    at: int
    good: int = 0  # behind the last header that was right
    elements: int = 0
    seen: set[int] = field(default_factory=set)
    open_end: bool = False
    unread: list[tuple[int, int]] = field(default_factory=list)
    holds: frozenset[str] = frozenset()


def check(view: View) -> Verdict | None:
    """None where no segment of Matroska or WebM follows the header."""
    extension = _extension(view)
    header = element(view, 0)
    if extension is None or header is None or header[1] is None:
        return None
    segment = element(view, header[2] + header[1])
    if segment is None or segment[0] != _SEGMENT:
        return None
    walk = _Walk(segment[2])
    end = None if segment[1] is None else segment[2] + segment[1]
    why = ""
    try:
        _segment(view, walk, end)
    except Broken as broken:
        why = str(broken)
    if not why and not {_TRACKS, _CLUSTER} <= walk.seen:
        why = "it holds no moving picture"
    if not why and end is None:
        why = OPEN_END
    length = min(walk.at, view.size)
    return Verdict(length, extension, why, sure=walk.good, unread=tuple(walk.unread), holds=walk.holds)


def element(view: View, at: int) -> Element | None:
    """The element at that place."""
    head = view.read(at, 12)
    if not head or not head[0]:
        return None
    width = 9 - head[0].bit_length()
    if width > 4 or len(head) <= width or not head[width]:
        return None
    name, size_width = int.from_bytes(head[:width], "big"), 9 - head[width].bit_length()
    raw = head[width : width + size_width]
    if len(raw) < size_width:
        return None
    size = int.from_bytes(raw, "big") & ((1 << 7 * size_width) - 1)
    unknown = size == (1 << 7 * size_width) - 1
    return name, None if unknown else size, at + width + size_width


def _extension(view: View) -> str | None:
    header = element(view, 0)
    if header is None or header[0] != _EBML or not header[1] or header[1] > _MOST_HEADER:
        return None
    body = view.read(header[2], header[1])
    if b"\x42\x82" in body and b"webm" in body:
        return "webm"
    return "mkv" if b"matroska" in body else None


def _segment(view: View, walk: _Walk, end: int | None) -> None:
    """The elements of the segment. Raises Broken."""
    while end is None or walk.at < end:
        found = element(view, walk.at)
        if found is None or found[0] not in _IN_SEGMENT:
            if end is None:
                return
            raise Broken("cut off" if walk.at >= view.size else "its elements break off")
        name, size, start = found
        _count(walk, name, start)
        if size is None and name != _CLUSTER:
            raise Broken("its elements break off")
        stop = end if size is None else start + size
        if end is not None and stop is not None and stop > end:
            raise Broken("its elements break off")
        if name == _CLUSTER and (size is None or walk.elements < MOST_STEPPED):
            _cluster(view, walk, start, stop)
        elif stop is not None:
            if name == _CLUSTER:
                walk.unread.append((start, min(stop, view.size)))
            if name == _TRACKS and b"MJPEG" in view.read(start, min(stop - start, 1 << 16)):
                walk.holds = frozenset({"jpeg"})
            _step(view, walk, stop)


def _cluster(view: View, walk: _Walk, start: int, stop: int | None) -> None:
    """The blocks of a cluster, which ends at `stop`, or where another element of the segment follows."""
    walk.at = start
    walk.unread.append((start, start))
    while stop is None or walk.at < stop:
        found = element(view, walk.at)
        size = found[1] if found is not None and found[0] in _IN_CLUSTER else None
        if found is None or size is None:
            if stop is None or (found is not None and found[0] in _IN_SEGMENT):
                return  # a cluster of unknown size ends here
            raise Broken("cut off" if walk.at >= view.size else "its pictures break off")
        _count(walk, found[0], found[2])
        if stop is not None and found[2] + size > stop:
            raise Broken("its pictures break off")
        walk.unread[-1] = (start, min(found[2] + size, view.size))
        _step(view, walk, found[2] + size)


def _count(walk: _Walk, name: int, start: int) -> None:
    walk.good, walk.elements = start, walk.elements + 1
    walk.seen.add(name)
    if walk.elements > MOST_ELEMENTS:
        raise Broken(f"more than {MOST_ELEMENTS} elements")


def _step(view: View, walk: _Walk, to: int) -> None:
    walk.at = min(to, view.size)
    if to > view.size:
        raise Broken("cut off")
