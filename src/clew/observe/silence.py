"""A network that drops packets without a word: nobody is heard, as if all peers had left at once.

No error tells of it. So where nobody at all is heard for a while, and several of those called meanwhile had answered
before, that time is kept as a gap, and when somebody is heard again, those who were called in it are called again:
that they did not answer says nothing of them.
"""

from dataclasses import dataclass, field

from clew.core.clock import Instant
from clew.model import Tier, carrier
from clew.observe.api import REFUSED, TOO_SLOW, Contact
from clew.observe.endpoints import Endpoint
from clew.observe.gaps import Gaps
from clew.observe.wire import DATAGRAMS, Answer

NOBODY_HEARD = "nobody at all was heard, of those neither who had answered before"
ENOUGH = 3  # addresses with port that had answered before; two may leave together


def heard(answer: Answer) -> bool:
    """Whether anything came back from there: a connection, a refusal, a datagram."""
    if answer.sighted is None:
        return answer.missing != TOO_SLOW
    if carrier(answer.call.wish.transport) not in DATAGRAMS:
        return True
    finding = answer.sighted.finding
    refused = isinstance(finding, Contact) and finding.missing == REFUSED
    return refused or any(name.startswith("received") for name in answer.sighted.traffic)


@dataclass(slots=True)
class Silence:
    """Since when nobody was heard, and who was called meanwhile."""

    _since: Instant | None = None
    _heard_ns: int = 0
    _called: dict[int, Endpoint] = field(default_factory=dict)
    _known: set[tuple[str, int]] = field(default_factory=set)

    def call(self, answer: Answer, endpoint: Endpoint | None, gaps: Gaps) -> list[Endpoint]:
        """Takes a call that was made; returns whom to call again, now that somebody is heard after a gap."""
        if heard(answer):
            return self._end(answer, gaps)
        if answer.started.mono_ns < self._heard_ns:
            return []  # it began before somebody was heard
        if self._since is None or answer.started.mono_ns < self._since.mono_ns:
            self._since = answer.started
        if endpoint is not None:
            self._called[endpoint.id] = endpoint
            if endpoint.tier != Tier.LISTED.value:
                self._known.add(endpoint.place)
        if len(self._known) >= ENOUGH:
            gaps.add(self._since, answer.ended, NOBODY_HEARD)
        return []

    def _end(self, answer: Answer, gaps: Gaps) -> list[Endpoint]:
        again: list[Endpoint] = []
        if self._since is not None and len(self._known) >= ENOUGH:
            gaps.add(self._since, answer.ended, NOBODY_HEARD)
            again = list(self._called.values())
        self._since, self._heard_ns = None, max(self._heard_ns, answer.ended.mono_ns)
        self._called.clear()
        self._known.clear()
        return again
