"""The samples of a movie: whether they lie where its index says, and begin as their codec's samples do.

Sample tables after ISO/IEC 14496-12, section 8 (`stsz`, `stsc`, `stco`, `co64`); samples of H.264 and H.265 are rows of
NAL units, each behind its length (ISO/IEC 14496-15), which fit the sample's size exactly. A cluster that belongs to
another file breaks such a row.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from clew.intake.carving.view import View

MOTION_JPEG = frozenset({b"jpeg", b"mjpa", b"mjpb", b"MJPG"})
MOST_SAMPLES = 2_000_000
MOST_UNITS = 300_000  # NAL units of a track that are stepped through
_NAL = {b"avc1": b"avcC", b"avc3": b"avcC", b"hvc1": b"hvcC", b"hev1": b"hvcC"}
_INSIDE = {b"trak", b"mdia", b"minf", b"stbl"}

Fault = tuple[int, str]  # (byte from which on it no longer fits, what is wrong)


@dataclass(slots=True)
class Track:
    """One track: its codec, the bytes of a NAL unit's length (0 for other codecs), and its sample tables."""

    codec: bytes = b""
    nal: int = 0
    offsets: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    sizes: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    runs: NDArray[np.int64] = field(default_factory=lambda: np.empty((0, 3), np.int64))

    def places(self) -> NDArray[np.int64]:
        """Where each sample begins: the samples of a chunk lie one after the other. Empty where tables disagree."""
        chunks, none = len(self.offsets), np.empty(0, np.int64)
        if not chunks or not len(self.runs) or self.runs[0, 0] != 1:
            return none
        last = np.append(self.runs[1:, 0], chunks + 1)
        counts = np.repeat(self.runs[:, 1], np.clip(last - self.runs[:, 0], 0, chunks))
        if len(counts) != chunks or int(counts.sum()) != len(self.sizes) or (counts < 0).any():
            return none
        ends = np.cumsum(self.sizes)
        before = np.concatenate(([0], ends[:-1]))
        first = np.concatenate(([0], np.cumsum(counts)[:-1]))
        inside = before - np.repeat(before[np.minimum(first, len(before) - 1)], counts)
        found: NDArray[np.int64] = np.repeat(self.offsets, counts) + inside
        return found


def tracks(index: bytes) -> list[Track]:
    """The tracks of a `moov`'s content."""
    found: list[Track] = []
    for kind, start, end in _boxes(index, 0, len(index)):
        if kind == b"trak":
            track = Track()
            _descend(index, start, end, track)
            found.append(track)
    return found


def fault(view: View, found: list[Track], media: list[tuple[int, int]]) -> tuple[Fault | None, bool]:
    """(the first place where media data is not what the index says, whether samples themselves were looked at)."""
    faults: list[Fault] = []
    looked = False
    for track in found:
        each, through = _track(view, track, media)
        faults += [each] if each is not None else []
        looked = looked or through
    return min(faults, default=None), looked


def _boxes(data: bytes, at: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    while at + 8 <= end:
        size, kind = struct.unpack_from(">I4s", data, at)
        if size < 8 or at + size > end:
            return
        yield kind, at + 8, at + size
        at += size


def _descend(data: bytes, at: int, end: int, track: Track) -> None:
    for kind, start, stop in _boxes(data, at, end):
        if kind in _INSIDE:
            _descend(data, start, stop, track)
        elif kind in {b"stco", b"co64"}:
            width = 4 if kind == b"stco" else 8
            track.offsets = _numbers(data, start + 4, stop, width)
        elif kind == b"stsc":
            track.runs = _numbers(data, start + 4, stop, 4, 3).reshape(-1, 3)
        elif kind == b"stsz" and stop - start >= 12:
            each, count = struct.unpack_from(">II", data, start + 4)
            known = min(count, MOST_SAMPLES)
            track.sizes = np.full(known, each, np.int64) if each else _numbers(data, start + 8, stop, 4)
        elif kind == b"stsd" and stop - start >= 16:
            track.codec = data[start + 12 : start + 16]
            wanted = _NAL.get(track.codec)
            place = data.find(wanted, start, stop) if wanted else -1
            if place >= 0 and wanted is not None:
                flags = data[place + 4 + (4 if wanted == b"avcC" else 21) :][:1]
                track.nal = (flags[0] & 3) + 1 if flags else 0


def _numbers(data: bytes, at: int, end: int, width: int, each: int = 1) -> NDArray[np.int64]:
    """A table behind its count, as far as it lies inside its box."""
    if end - at < 4:
        return np.empty(0, np.int64)
    count = min(int.from_bytes(data[at : at + 4], "big"), (end - at - 4) // (width * each), MOST_SAMPLES)
    return np.frombuffer(data, f">u{width}", count * each, at + 4).astype(np.int64)


def _track(view: View, track: Track, media: list[tuple[int, int]]) -> tuple[Fault | None, bool]:
    """(its first fault, whether all of its samples were stepped through)."""
    places = track.places()
    if not len(places):
        return None, False
    ends = places + track.sizes
    inside = np.zeros(len(places), np.bool_)
    for start, stop in media:
        inside |= (places >= start) & (ends <= stop)
    if not inside.all():
        outside = int(np.flatnonzero(~inside)[0])
        return (max(0, int(places[outside])), "its index names data that is not there"), False
    left = MOST_UNITS if track.nal else 0
    for place, end in zip(places.tolist(), ends.tolist(), strict=True):
        if left <= 0:
            return None, False
        count = _units(view, place, end, track.nal)
        if not count:
            return (place, "a picture of the film does not hold together"), False
        left -= count
    return None, True


def _units(view: View, at: int, end: int, width: int) -> int:
    """How many NAL units fill the sample exactly; 0 where they do not."""
    count = 0
    while at + width < end:
        head = view.read(at, width + 1)
        if len(head) <= width or head[width] & 0x80:  # the forbidden bit of a NAL unit's header
            return 0
        at += width + int.from_bytes(head[:width], "big")
        count += 1
    return max(count, 1) if at == end else 0
