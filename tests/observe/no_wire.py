"""Takes the place of the wire: a run whose calls do not leave the test, by a clock of its own."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import pytest

from clew.core.clock import Instant
from clew.model import Missing
from clew.observe.api import SECOND, Sighted
from clew.observe.batches import LEAST_SECONDS
from clew.observe.gaps import NO_IPV4, NO_IPV6, NO_NETWORK
from clew.observe.policy import Wish
from clew.observe.run import Observer
from clew.observe.wire import Answer, Call

STEP_NS = int(LEAST_SECONDS * SECOND)
START_NS = 1_700_000_000 * SECOND  # UTC


@dataclass
class Network:
    """No call gets out, or each ends at once for this reason, or with what is `sighted`."""

    now: Instant = field(default_factory=lambda: Instant(START_NS, SECOND))
    why: Missing = NO_NETWORK
    sighted: Sighted | None = None
    left: Instant | None = None
    missing: tuple[Missing, ...] = ()  # of families of addresses: NO_IPV4, NO_IPV6
    called: list[tuple[int, str]] = field(default_factory=list)
    wishes: list[Wish] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)

    def dial(self, calls: Iterable[Call]) -> None:
        for call in calls:
            self.called.append((self.now.mono_ns, call.wish.address))
            self.wishes.append(call.wish)
            self.answers.append(self._answer(call))
            out = self.why != NO_NETWORK and self.has_way(call.wish.address)
            self.left = self.now if out else self.left

    def has_way(self, address: str) -> bool:
        return (NO_IPV6 if ":" in address else NO_IPV4) not in self.missing

    def _answer(self, call: Call) -> Answer:
        if self.sighted is not None and self.has_way(call.wish.address):
            return Answer(call, self.sighted, None, self.now, self.now, ("192.0.2.77", 1), "0" * 32)
        why = self.why if self.has_way(call.wish.address) else NO_IPV6 if ":" in call.wish.address else NO_IPV4
        return Answer(call, None, why, self.now, self.now, ("", 0), "0" * 32)

    def collect(self, _: float) -> list[Answer]:
        answers, self.answers = self.answers, []
        return answers


def keeps_time(monkeypatch: pytest.MonkeyPatch, network: Any) -> None:
    """Sets the clock to the network's own."""
    monkeypatch.setattr("clew.core.clock.now", lambda: network.now)
    monkeypatch.setattr("clew.core.clock.mono_ns", lambda: network.now.mono_ns)


def goes_on(observer: Observer, network: Any, seconds: float, step_ns: int = STEP_NS) -> None:
    """The loop of a run, without its waits."""
    for _ in range(int(seconds * SECOND) // step_ns):
        network.now = Instant(network.now.utc_ns + step_ns, network.now.mono_ns + step_ns)
        observer._dispatch(network)
        observer._take(network, 0)
        observer._flush()
