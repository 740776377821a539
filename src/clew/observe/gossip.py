"""Whom to ask for gossip (PEX, BEP 11), and when: a few peers of each Watch in every revisit interval.

Who is asked keeps the connection for a while, and may tell others of us. So it is opt-in, under the Mandate's permit
"pex"; a regular visit is used for it, so that nobody is called more often; and what is told of us is counted.
"""

from collections import Counter

from clew.model import Tier
from clew.observe.endpoints import Endpoint
from clew.observe.probes import PROMISCUOUS

PEERS = 3


class Gossip:
    """Chooses visits; `interval_ns` is the revisit interval, 0 where nobody may be asked."""

    def __init__(self, interval_ns: int) -> None:
        self._interval_ns = interval_ns
        self._begun: dict[str, int] = {}
        self._asked: Counter[str] = Counter()
        self._last: dict[int, int] = {}

    def ask(self, endpoint: Endpoint, at_ns: int) -> bool:
        """Whether this visit asks for gossip: of those who answered before, each in its turn."""
        if not self._interval_ns or endpoint.tier == Tier.LISTED.value or endpoint.control == PROMISCUOUS:
            return False
        watch = endpoint.watch
        if at_ns - self._begun.get(watch, -1 << 62) >= self._interval_ns:
            self._begun[watch], self._asked[watch] = at_ns, 0
        if self._asked[watch] >= PEERS or at_ns - self._last.get(endpoint.id, -1 << 62) < PEERS * self._interval_ns:
            return False
        self._asked[watch] += 1
        self._last[endpoint.id] = at_ns
        return True
