"""Where the trackers are: those that are named are looked up when a run begins, and again while it goes on.

A run may last for days, and what was a tracker's address may be somebody else's by then. A look-up that fails changes
nothing, nor does one that tells an address that may not be asked: a resolver that blocks or a captive portal would
keep the tracker from being asked at all. It is looked up again in time. At each question the Governor decides, as ever.
"""

from collections import Counter
from collections.abc import Callable, Iterable

from clew.core.clock import Instant
from clew.core.errors import Refused
from clew.core.lister import lister
from clew.model import Mandate, Missing
from clew.observe.api import SECOND, Network, Tracker, is_address
from clew.observe.policy import DHT, PEX, PURPOSE, Governor, Wish, inside_loopback
from clew.observe.wire import Names, resolve

AGAIN_NS = 3_600 * SECOND
FAILED_AGAIN_NS = 300 * SECOND  # where its last round failed
NOT_THERE = "look-ups of a tracker's name that told an address that may not be asked: the one it had was kept"
NOT_HELD = "no Mandate that names it held when the run began, so that it was not asked"


class Whereabouts:
    """The trackers of one run, by their addresses. `limits` counts what a limit kept us from, by its words."""

    def __init__(self, plugin: Network, governor: Governor) -> None:
        self._plugin, self._governor = plugin, governor
        self._names = Names()
        self._found: dict[Tracker, str] = {}
        self._asked_ns: dict[Tracker, int] = {}  # of those that are named, when they were last looked up
        self._first: dict[Tracker, str] = {}
        self.limits: Counter[str] = Counter()

    def find(self, urls: list[str] | None, mandates: list[Mandate], at: Instant) -> dict[Tracker, str]:
        """The trackers with their addresses; where no `urls` are given, all that the Mandates name which hold now. Who
        is named by others alone is counted: one that has ended keeps no run from beginning under the next.

        Raises Refused for one that may not be asked, or not be looked up: that is a contact too, so that a Mandate
        that holds now has to name it.
        """
        valid = self._governor.valid(at)
        known = _named(m for m in mandates if m.id in valid)
        if urls is None:
            others = _named(m for m in mandates if m.id not in valid and {PURPOSE, "*"} & {*m.purposes}) - known
            self.limits.update(f"the tracker {lister(each)}: {NOT_HELD}" for each in sorted(others))
        for url in sorted(known) if urls is None else urls:
            place = self._plugin.tracker(url)
            address = place.host if is_address(place.host) else self._look_up(place, known, at)
            allowed = self._governor.cover(_question(place, address), at)
            if isinstance(allowed, Missing):
                raise Refused(f"the tracker {url} may not be asked: {allowed.detail}", "see the Mandate, and --allow")
            self._found[place] = address
        self._first = dict(self._found)
        return dict(self._found)

    def look_again(self, at: Instant, failing: Callable[[Tracker], bool]) -> None:
        """Has looked up again what is due, in a thread of its own; only who may still be asked where it was first."""
        for place, asked_ns in self._asked_ns.items():
            passed_ns = at.mono_ns - asked_ns
            due = passed_ns >= AGAIN_NS or (passed_ns >= FAILED_AGAIN_NS and failing(place))
            if due and self._covered(place, self._first[place], at):
                self._asked_ns[place] = at.mono_ns
                self._names.ask(place.host, self._found[place])

    def moved(self, at: Instant) -> dict[Tracker, str]:
        """Those that were found since the last time at another address, where they may be asked."""
        answers = self._names.take()
        told = {p: new for p in self._asked_ns if (new := answers.get(p.host, self._found[p])) != self._found[p]}
        moved = {p: new for p, new in told.items() if self._covered(p, new, at)}
        if len(moved) < len(told):
            self.limits[NOT_THERE] += len(told) - len(moved)
        self._found |= moved
        return moved

    def _covered(self, place: Tracker, address: str, at: Instant) -> bool:
        return not isinstance(self._governor.cover(_question(place, address), at), Missing)

    def _look_up(self, place: Tracker, known: set[str], at: Instant) -> str:
        if place.url not in known or all(inside_loopback(network) for network in self._governor.policy.allow):
            raise Refused(
                f"the name of the tracker {place.url} may not be looked up",
                "give the tracker by its address, or have the Mandate name it and widen --allow",
            )
        self._asked_ns[place] = at.mono_ns
        return resolve(place.host)


def _named(mandates: Iterable[Mandate]) -> set[str]:
    """The trackers, and nodes of the DHT, that these Mandates name by their address."""
    return {tracker for each in mandates for tracker in each.trackers} - {"*", DHT, PEX}


def _question(place: Tracker, address: str) -> Wish:
    return Wish("announce", "", address, place.port, place.url)
