"""Where the trackers are: those that are named are looked up when a run begins, and again while it goes on.

A run may last for days, and what was a tracker's address may be somebody else's by then. A look-up that fails changes
nothing, nor does one that tells an address that may not be asked: a resolver that blocks or a captive portal would
keep the tracker from being asked at all. It is looked up again in time. At each question the Governor decides, as ever.

A name may have several addresses, some of them dead. It is asked at one, as long as that answers, and at the next one
once a question there brought no reply. Those that may not be asked are passed over. One that has no address when the
run begins, as the names of dead trackers, does not keep the others from being asked, and is looked up again in time.
Nor does one that a Mandate names and clew cannot ask, as over HTTPS.
"""

from collections import Counter
from collections.abc import Callable, Iterable

from clew.core.clock import Instant
from clew.core.errors import ClewError, Refused, Usage
from clew.core.lister import lister
from clew.model import Mandate, Missing
from clew.observe.api import SECOND, Network, Tracker, is_address
from clew.observe.policy import DHT, PEX, PURPOSE, Governor, Wish, inside_loopback, near
from clew.observe.wire import Names, resolve

AGAIN_NS = 3_600 * SECOND
FAILED_AGAIN_NS = 300 * SECOND  # where its last question there brought no reply
NOT_THERE = "look-ups of a tracker's name that told an address that may not be asked: the one it had was kept"
NOWHERE = "its name had no address when the run began, so that it was not asked until it had one"
Failing = Callable[[Tracker, str], bool]  # whether the last question to it brought no reply, and was asked there
NOT_OURS = "clew asks no tracker of this kind"
NOT_HELD = "no Mandate that names it held when the run began, so that it was not asked"


class Whereabouts:
    """The trackers of one run, by their addresses. `limits` counts what a limit kept us from, by its words."""

    def __init__(self, plugin: Network, governor: Governor) -> None:
        self._plugin, self._governor = plugin, governor
        self._names = Names()
        self._found: dict[Tracker, str] = {}
        self._asked_ns: dict[Tracker, int] = {}  # of those that are named, when they were last looked up
        self._first: dict[Tracker, str] = {}
        self._lost: dict[Tracker, ClewError] = {}
        self.not_ours: list[str] = []  # those that a Mandate names and the plug-in cannot ask
        self.nowhere: dict[Tracker, str] = {}  # those whose names had no address, with one of the others'
        self.limits: Counter[str] = Counter()

    def find(self, urls: list[str] | None, mandates: list[Mandate], at: Instant) -> dict[Tracker, str]:
        """The trackers with their addresses; where no `urls` are given, all that the Mandates name which hold now. Who
        is named by others alone is counted: one that has ended keeps no run from beginning under the next.

        Raises Refused for one that may not be asked, or not be looked up: that is a contact too, so that a Mandate
        that holds now has to name it. Raises Usage for one of `urls` that clew cannot ask, and where it can ask none
        that the Mandates name, ClewError where no name has an address.
        """
        valid = self._governor.valid(at)
        known = _named(m for m in mandates if m.id in valid)
        if urls is None:
            others = _named(m for m in mandates if m.id not in valid and {PURPOSE, "*"} & {*m.purposes}) - known
            self.limits.update(f"the tracker {lister(each)}: {NOT_HELD}" for each in sorted(others))
        for place in self._those(sorted(known)) if urls is None else map(self._plugin.tracker, urls):
            told = (place.host,) if is_address(place.host) else self._look_up(place, known, at)
            if not told:
                continue
            address = next((each for each in told if self._covered(place, each, at)), told[0])
            allowed = self._governor.cover(_question(place, address), at)
            if isinstance(allowed, Missing):
                raise Refused(
                    f"the tracker {place.url} may not be asked: {allowed.detail}", "see the Mandate, and --allow"
                )
            self._found[place] = address
        if self._lost:
            if not self._found:
                raise next(iter(self._lost.values()))
            # Whether a question may be asked goes by its Mandate and the allow-list: until they have addresses of their
            # own, as if they were where another is.
            self.nowhere = dict.fromkeys(self._lost, next(iter(self._found.values())))
            self.limits.update(f"the tracker {lister(each.url)}: {NOWHERE}" for each in self._lost)
        self._first = self.nowhere | self._found
        return dict(self._found)

    def _those(self, urls: list[str]) -> list[Tracker]:
        """Those of the Mandates that the plug-in can ask. Raises Usage where there are some, and it can ask none."""
        found: list[Tracker] = []
        for url in urls:
            try:
                found.append(self._plugin.tracker(url))
            except Usage:
                self.not_ours.append(url)
                if not found and url == urls[-1]:
                    raise
        self.limits.update(f"the tracker {lister(each)}: {NOT_OURS}" for each in self.not_ours)
        return found

    def look_again(self, at: Instant, failing: Failing) -> None:
        """Has looked up again what is due, in a thread of its own; only who may still be asked where it was first."""
        for place, asked_ns in self._asked_ns.items():
            passed_ns = at.mono_ns - asked_ns
            soon = place not in self._found or failing(place, self._found[place])
            due = passed_ns >= (FAILED_AGAIN_NS if soon else AGAIN_NS)
            if due and self._covered(place, self._first[place], at):
                self._asked_ns[place] = at.mono_ns
                self._names.ask(place.host)

    def moved(self, at: Instant, failing: Failing) -> dict[Tracker, str]:
        """Those that were looked up since the last time and are to be asked at another address from now on."""
        answers = self._names.take()
        moved: dict[Tracker, str] = {}
        for place in self._asked_ns:
            if (told := answers.get(place.host)) is None:
                continue
            may = [each for each in told if self._covered(place, each, at)]
            before = self._found.get(place, "")
            if not may:
                if before:
                    self.limits[NOT_THERE] += 1
            elif before not in may:
                moved[place] = may[0]
            elif failing(place, before):
                moved[place] = _next(may, before)
        moved = {place: after for place, after in moved.items() if after != self._found.get(place)}
        self._found |= moved
        return moved

    def _covered(self, place: Tracker, address: str, at: Instant) -> bool:
        return not isinstance(self._governor.cover(_question(place, address), at), Missing)

    def _look_up(self, place: Tracker, known: set[str], at: Instant) -> tuple[str, ...]:
        if place.url not in known or all(inside_loopback(network) for network in self._governor.policy.allow):
            raise Refused(
                f"the name of the tracker {place.url} may not be looked up",
                "give the tracker by its address, or have the Mandate name it and widen --allow",
            )
        self._asked_ns[place] = at.mono_ns
        try:
            told = resolve(place.host)
            # Names of dead trackers often tell this machine's own address.
            if useful := tuple(each for each in told if self._governor.policy.allows(each) or near(each) is None):
                return useful
            why = f"the tracker {place.host} has no address but {', '.join(told)}, which --allow does not name"
            raise ClewError(why, "check its name, or name the network of that address to --allow")
        except ClewError as error:
            self._lost[place] = error
            return ()


def _next(addresses: list[str], before: str) -> str:
    """The address after this one, in an order that is the same at each look-up."""
    ordered = sorted(addresses)
    return next((each for each in ordered if each > before), ordered[0])


def _named(mandates: Iterable[Mandate]) -> set[str]:
    """The trackers, and nodes of the DHT, that these Mandates name by their address."""
    return {tracker for each in mandates for tracker in each.trackers} - {"*", DHT, PEX}


def _question(place: Tracker, address: str) -> Wish:
    return Wish("announce", "", address, place.port, place.url)
