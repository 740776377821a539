"""What lies in a zip outside of what its directory names: local headers that it leaves out, bytes that no header
explains, and bytes behind its end.

Who edits the directory alone hides a member from every ordinary tool; so does who puts one zip before another. A
member found so is listed behind those that are named.
"""

from array import array
from bisect import bisect_right
from collections.abc import Iterable
from typing import NamedTuple

from clew.intake.api import ByteSource
from clew.intake.archives import ends, zipbare, ziplocal
from clew.intake.archives.members import CHUNK
from clew.intake.archives.zipentry import LOCAL, Entry, of_local_header

_FEW = 1 << 10  # bytes that are looked at first: there may be many such places in a row
MOST = 1_000_000  # places with the magic of a local header that are looked at


class Gap(NamedTuple):
    """One stretch, (first byte, end), and up to which byte it is known whose it is."""

    start: int
    told: int
    stop: int


def _find(source: ByteSource, start: int, stop: int) -> int | None:
    """Where the magic of a local header lies next."""
    step = _FEW
    while start + len(LOCAL) <= stop:
        piece = source.read(start, min(step, stop - start))
        if (at := piece.find(LOCAL)) >= 0:
            return start + at
        if len(piece) < len(LOCAL):
            return None
        start, step = start + len(piece) - len(LOCAL) + 1, min(CHUNK, 2 * step)
    return None


class Unnamed:
    """The members found in `gaps`, in order. Raises Absent where these cannot be read."""

    def __init__(self, source: ByteSource, gaps: Iterable[Gap]) -> None:
        self._source = source
        self._places, self._stops = array("Q"), array("Q")
        self._unlisted, self._first = 0, -1  # local headers whose content has no end that is known, and the first
        self._looked_at, self._left = 0, -1  # and from where on nothing was
        self._bare = array("Q")  # first byte and length of each stretch that nothing explains
        for gap in gaps:
            self._look(gap)

    def __len__(self) -> int:
        return len(self._places)

    def entry(self, number: int) -> Entry | None:
        """Member `number` of these."""
        if not 0 <= number < len(self._places):
            return None
        return of_local_header(self._source, self._places[number], self._stops[number])

    def number_before(self, start: int) -> int:
        """The member whose local header begins last before byte `start`, -1 where none does."""
        return bisect_right(self._places, start) - 1

    def rest(self, end: int) -> str:
        """What was found and not listed, and whether anything lies behind `end`, the archive's own; "" for neither."""
        said = []
        if self._unlisted:
            what = "local headers that its directory does not name and whose content has no known end"
            said.append(f"{self._unlisted} {what}, the first at byte {self._first}")
        if self._left >= 0:
            said.append(
                f"from byte {self._left} on, local headers that it does not name: {MOST:,} are looked at at most"
            )
        if self._bare:
            count, length = len(self._bare) // 2, sum(self._bare[1::2])
            where = (
                f"from byte {self._bare[0]} on" if count == 1 else f"in {count:,} places, from byte {self._bare[0]} on"
            )
            said.append(f"{length:,} bytes {where} are no member's and were not read")
        if ends.anything_behind(self._source, end):
            said.append(f"bytes follow its end at byte {end} that were not read")
        return "; ".join(said)

    def _look(self, gap: Gap) -> None:
        """Through one gap, over the content of what is found."""
        start, told, stop = gap
        while (place := _find(self._source, start, stop)) is not None:
            if self._looked_at == MOST:
                self._left = place if self._left < 0 else self._left
                return
            self._looked_at += 1
            entry = of_local_header(self._source, place, stop)
            start = place + len(LOCAL)
            if entry is None:
                continue
            self._explain(told, place)
            behind = place + entry.length + entry.packed
            if entry.unsized or behind > stop:
                self._first = place if self._first < 0 else self._first
                self._unlisted += 1
                told = stop  # up to the next one, all may be its content
                continue
            self._places.append(place)
            self._stops.append(stop)
            start = behind
            told = behind + ziplocal.descriptor(self._source, entry, None, behind, stop)
        self._explain(told, stop)

    def _explain(self, start: int, stop: int) -> None:
        """Keeps where bytes lie that nothing explains."""
        at = zipbare.first(self._source, start, stop) if start < stop else None
        if at is not None:
            self._bare.extend((at, stop - at))
