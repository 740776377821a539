"""What lies in a zip outside of what its directory names: local headers that it leaves out, and bytes behind its end.

Who edits the directory alone hides a member from every ordinary tool; so does who puts one zip before another. A
member found so is listed behind those that are named.
"""

from array import array
from bisect import bisect_right
from collections.abc import Iterable

from clew.intake.api import ByteSource
from clew.intake.archives import ends
from clew.intake.archives.members import CHUNK
from clew.intake.archives.zipentry import LOCAL, Entry, of_local_header

MOST = 1_000_000  # places with the magic of a local header that are looked at


def _find(source: ByteSource, start: int, stop: int) -> int | None:
    """Where the magic of a local header lies next."""
    while start + len(LOCAL) <= stop:
        piece = source.read(start, min(CHUNK, stop - start))
        if (at := piece.find(LOCAL)) >= 0:
            return start + at
        if len(piece) < len(LOCAL):
            return None
        start += len(piece) - len(LOCAL) + 1
    return None


class Unnamed:
    """The members found in `gaps`, (first byte, end) each, in order. Raises Absent where these cannot be read."""

    def __init__(self, source: ByteSource, gaps: Iterable[tuple[int, int]]) -> None:
        self._source = source
        self._places, self._stops = array("Q"), array("Q")
        self._unlisted, self._first = 0, -1  # local headers whose content has no end that is known, and the first
        self._looked_at, self._left = 0, -1  # and from where on nothing was
        for start, stop in gaps:
            self._look(start, stop)

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
        if ends.anything_behind(self._source, end):
            said.append(f"bytes follow its end at byte {end} that were not read")
        return "; ".join(said)

    def _look(self, start: int, stop: int) -> None:
        """Through one gap, over the content of what is found."""
        while (place := _find(self._source, start, stop)) is not None:
            if self._looked_at == MOST:
                self._left = place if self._left < 0 else self._left
                return
            self._looked_at += 1
            entry = of_local_header(self._source, place, stop)
            start = place + len(LOCAL)
            if entry is None:
                continue
            behind = place + entry.length + entry.packed
            if entry.unsized or behind > stop:
                self._first = place if self._first < 0 else self._first
                self._unlisted += 1
                continue
            self._places.append(place)
            self._stops.append(stop)
            start = behind
