"""Control probes: who is asked for a random infohash, and when. What came of it stands in the book, by place.

One for each address and port that answered (DESIGN section 1). It speaks for the machine that it was made of, and
behind one port there may be another a minute later: a Lead says where no probe lies between its own contacts.
"""

from collections import defaultdict, deque
from collections.abc import Callable

from clew.model import Tier
from clew.observe.api import SECOND
from clew.observe.endpoints import Endpoint

CLEAN, PROMISCUOUS = "clean", "promiscuous"
CONTROL_ATTEMPTS = 3
# A client may refuse a second connection from us soon after the first (Transmission 3.00: half a second), and its
# silence would look like an honest answer.
CONTROL_AFTER_NS = 2 * SECOND

Place = tuple[str, int]


class Probes:
    """Those that are planned or out, and how often each place was tried since one decided."""

    def __init__(self, revisit_ns: int) -> None:
        self.after_ns = min(CONTROL_AFTER_NS, revisit_ns // 4)
        self._planned: deque[tuple[int, Endpoint]] = deque()  # nearly by when they are due
        self._going: dict[Place, str] = {}  # of which Watch's endpoint
        self._tries: dict[Place, int] = defaultdict(int)

    def __bool__(self) -> bool:
        """Whether any is planned or out."""
        return bool(self._going)

    def wanted(self, endpoint: Endpoint) -> bool:
        """Whether it answered, and none has decided yet, nor been tried in vain as often as may be."""
        if endpoint.tier == Tier.LISTED.value or endpoint.control in (CLEAN, PROMISCUOUS):
            return False
        return endpoint.place in self._going or self._tries[endpoint.place] < CONTROL_ATTEMPTS

    def comes_first(self, endpoint: Endpoint, *, there: bool) -> bool:
        """Whether a visit waits for one: it is out, or is wanted of who was `there` the last time. Who did not answer
        then is visited first: he may have left, and each run would probe in vain, or whoever is there now.
        """
        return self.wanted(endpoint) and (there or endpoint.place in self._going)

    def plan(self, endpoint: Endpoint, at_ns: int) -> None:
        """One of this place is due soon after this contact, unless one is planned or out."""
        if endpoint.place not in self._going:
            self._going[endpoint.place] = endpoint.watch
            self._tries[endpoint.place] += 1
            self._planned.append((at_ns + self.after_ns, endpoint))

    def next(self, at_ns: int, free_ns: Callable[[Endpoint, int], int]) -> Endpoint | None:
        """Who is due for one, and may be called by now, as `free_ns` says; it is out from then on."""
        while self._planned and self._planned[0][0] <= at_ns:
            endpoint = self._planned.popleft()[1]
            when = free_ns(endpoint, at_ns)
            if when <= at_ns:
                return endpoint
            self._planned.append((when, endpoint))
        return None

    def over(self, place: Place, *, decided: bool) -> None:
        """The one that is out has come back."""
        self._going.pop(place, None)
        if decided:
            self.forget(place)  # there are as many places as endpoints

    def give_back(self, endpoint: Endpoint) -> None:
        """The one of this endpoint could not be made, and does not count as a try; one of another Watch stays out."""
        if self._going.get(endpoint.place) == endpoint.watch:
            del self._going[endpoint.place]
            self._tries[endpoint.place] -= 1

    def forget(self, place: Place) -> None:
        """How often this place was tried in vain says nothing."""
        self._tries.pop(place, None)
