"""Who may have heard a handshake of ours within the revisit interval, by Watch, address and port.

Two generations of plain dicts, a number for each visit: whoever is in neither was not called within the interval. Of
50,000 endpoints an ordered dict of objects holds twice as much (bench/bench_observe.py).
"""

import sys
from collections.abc import Iterable

MOST_IN_ONE = 200_000  # visits of one generation; more begin the next one early, and the oldest are forgotten

Place = tuple[str, str, int]  # the Watch's id, address, port


class Visits:
    """Until when the last visit of each place may have been heard (monotonic ns), and over what it was tried in vain.

    Of one that is not over, or that nobody heard, it is when it began.
    """

    def __init__(self, interval_ns: int) -> None:
        self._interval_ns = interval_ns
        self._new: dict[Place, int] = {}
        self._old: dict[Place, int] = {}  # each of before `_turn_ns`
        self._turn_ns = 0
        # Only of whom an earlier transport was not heard within the interval: whether the last one was, and the
        # names (by spaces) of those that were not.
        self._tried: dict[Place, tuple[bool, str]] = {}

    def recall(self, visits: Iterable[tuple[Place, int]]) -> None:
        """Takes until when an earlier run may have been heard, in order."""
        for place, at_ns in visits:
            self.began(place, at_ns)

    def too_soon(self, place: Place, transport: str, now_ns: int) -> bool:
        """Whether this place may have heard us within the interval, or was called over this transport in it."""
        if not self._within(place, now_ns):
            return False
        heard, tried = self._tried.get(place, (True, ""))
        return heard or transport in tried.split()

    def began(self, place: Place, now_ns: int) -> None:
        """A visit begins, as one that is heard."""
        if place in self._tried:
            if self._within(place, now_ns):
                self._tried[place] = True, self._tried[place][1]
            else:
                del self._tried[place]
        if now_ns - self._turn_ns >= self._interval_ns or len(self._new) >= MOST_IN_ONE:
            self._turn(now_ns)
        self._old.pop(place, None)
        self._new[place] = now_ns

    def heard(self, place: Place, until_ns: int) -> None:
        """The last visit is over, and may have been heard until then."""
        self._old.pop(place, None)
        self._new[place] = until_ns

    def unheard(self, place: Place, transport: str, *, left: bool) -> None:
        """The last visit ended before a handshake of ours went out, and perhaps nothing `left` this machine at all."""
        if place not in self._new and place not in self._old:
            return
        names = [each for each in self._tried.get(place, (True, ""))[1].split() if each != transport]
        self._tried[place] = False, sys.intern(" ".join([*names, transport] if left else names))

    def _within(self, place: Place, now_ns: int) -> bool:
        at_ns = self._new.get(place, self._old.get(place))
        return at_ns is not None and now_ns < at_ns + self._interval_ns

    def _turn(self, now_ns: int) -> None:
        """Begins a generation. The one that goes is at least the interval old, unless there were too many."""
        self._old, self._new, self._turn_ns = self._new, {}, now_ns
        self._tried = {place: each for place, each in self._tried.items() if place in self._old}
