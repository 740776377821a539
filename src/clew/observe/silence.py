"""A network that drops packets without a word: nobody is heard, as if all peers had left at once.

No error tells of it, or one that a single peer may get as well: a router that is off ("No route to host"), or has no
way further ("Network is unreachable"). So where nobody at all is heard for a while, and several of those called
meanwhile had answered the last time, that time is kept as a gap, and when somebody is heard again, those who were
called in it are called again: that they did not answer says nothing of them. Who does not answer then either has left,
and speaks for no gap any more: of a small swarm that leaves nobody is heard between two replies of its tracker. Where
none of them answers then, at two visits, and no tracker or node failed meanwhile, it was no gap, and is taken back.
"""

import errno
import os
from dataclasses import dataclass, field

from clew.core.clock import Instant
from clew.model import Tier, carrier
from clew.observe.api import REFUSED, SECOND, Contact
from clew.observe.endpoints import Endpoint
from clew.observe.gaps import Gaps
from clew.observe.lines import unconnected
from clew.observe.policy import LEAST_ANSWER
from clew.observe.wire import DATAGRAMS, Answer

NOBODY_HEARD = "nobody at all was heard, of those neither who had answered before"
ENOUGH = 3  # addresses with port that had answered the last time; two may leave together
LEAST_NS = int(LEAST_ANSWER * SECOND)  # errors come at once: one network that is gone is no silence of all
BROKEN_OFF = unconnected(ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET)))


def heard(answer: Answer) -> bool:
    """Whether anything came back from there: a connection, a refusal, a datagram. Not what a machine, ours too, says
    of the way there.
    """
    if answer.sighted is None:
        return bool(answer.local[0]) or answer.missing in (REFUSED, BROKEN_OFF)
    if carrier(answer.call.wish.transport) not in DATAGRAMS:
        return True
    finding = answer.sighted.finding
    refused = isinstance(finding, Contact) and finding.missing == REFUSED
    return refused or any(name.startswith("received") for name in answer.sighted.traffic)


@dataclass(slots=True)
class Silence:
    """Since when nobody was heard, and who was called meanwhile."""

    _since: Instant | None = None
    _until_ns: int = 0  # when the last call in it ended
    _heard_ns: int = 0
    _called: dict[int, Endpoint] = field(default_factory=dict)
    _known: set[tuple[str, int]] = field(default_factory=set)
    _list_failed: bool = False  # whether a tracker or node failed meanwhile
    _doubted: tuple[int, int] | None = None  # the last gap, from and to (UTC), while it may be that they had left
    _again: set[tuple[str, int]] = field(default_factory=set)  # who spoke for it, and was not visited twice since

    def call(self, answer: Answer, endpoint: Endpoint | None, gaps: Gaps) -> list[Endpoint]:
        """Takes a call that was made; returns whom to call again, now that somebody is heard after a gap."""
        began_before = answer.started.mono_ns < self._heard_ns  # before somebody was heard
        if self._again and endpoint is not None and endpoint.place in self._again and not began_before:
            if heard(answer):
                self._doubted = None
            if heard(answer) or endpoint.failures > 1:  # else the network may be gone once more, just then
                self._again.discard(endpoint.place)
        if heard(answer):
            return self._end(answer, gaps)
        if began_before:
            return []
        if self._since is None or answer.started.mono_ns < self._since.mono_ns:
            self._since = answer.started
        self._until_ns = max(self._until_ns, answer.ended.mono_ns)
        self._list_failed |= endpoint is None
        if endpoint is not None:
            self._called[endpoint.id] = endpoint
            if endpoint.tier != Tier.LISTED.value and not endpoint.failures:
                self._known.add(endpoint.place)
        if self._is_gap():
            gaps.add(self._since, answer.ended, NOBODY_HEARD)
        return []

    def _is_gap(self) -> bool:
        """Whether it lasts as long as an answer may take, and is that of enough who had answered the last time."""
        long = self._since is not None and self._until_ns - self._since.mono_ns >= LEAST_NS
        return long and len(self._known) >= ENOUGH

    def _end(self, answer: Answer, gaps: Gaps) -> list[Endpoint]:
        """Somebody is heard: what came before it is over, and so is the doubt whether an earlier gap was one."""
        again: list[Endpoint] = []
        if self._list_failed:
            self._doubted = None
        elif self._doubted is not None and not self._again:
            gaps.take_back(*self._doubted, NOBODY_HEARD)
            self._doubted = None
        if self._since is not None and self._is_gap():
            gaps.add(self._since, answer.ended, NOBODY_HEARD)
            again = list(self._called.values())
            self._doubted = None if self._list_failed else (self._since.utc_ns, answer.ended.utc_ns)
            self._again, self._known = self._known, set()
        self._list_failed = False
        self._since, self._until_ns, self._heard_ns = None, 0, max(self._heard_ns, answer.ended.mono_ns)
        self._called.clear()
        self._known.clear()
        return again
