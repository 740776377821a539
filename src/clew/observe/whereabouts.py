"""Where the trackers are: those that are named are looked up when a run begins, and again while it goes on.

A run may last for days, and what was a tracker's address may be somebody else's by then. Whether the new one may be
asked, the Governor says at each question, as ever. A look-up that fails changes nothing.
"""

import ipaddress
from collections.abc import Callable

from clew.core.clock import Instant
from clew.core.errors import Refused
from clew.model import Missing
from clew.observe.api import SECOND, Network, Tracker
from clew.observe.policy import Governor, Wish, inside_loopback
from clew.observe.wire import Names, resolve

AGAIN_NS = 3_600 * SECOND
FAILED_AGAIN_NS = 300 * SECOND  # where its last round failed


class Whereabouts:
    """The trackers of one run, by their addresses."""

    def __init__(self, plugin: Network, governor: Governor) -> None:
        self._plugin, self._governor = plugin, governor
        self._names = Names()
        self._found: dict[Tracker, str] = {}
        self._asked_ns: dict[Tracker, int] = {}  # of those that are named, when they were last looked up
        self._first: dict[Tracker, str] = {}

    def find(self, urls: list[str], known: set[str], at: Instant) -> dict[Tracker, str]:
        """The trackers with their addresses. Raises Refused for one that may not be asked, or not be looked up: that
        is a contact too, so that it is to be among those `known` to a Mandate.
        """
        for url in urls:
            place = self._plugin.tracker(url)
            address = place.host if _is_address(place.host) else self._look_up(place, known, at)
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
            if due and not isinstance(self._governor.cover(_question(place, self._first[place]), at), Missing):
                self._asked_ns[place] = at.mono_ns
                self._names.ask(place.host, self._found[place])

    def moved(self) -> dict[Tracker, str]:
        """Those that were found at another address since the last time."""
        answers = self._names.take()
        moved = {p: new for p in self._asked_ns if (new := answers.get(p.host, self._found[p])) != self._found[p]}
        self._found |= moved
        return moved

    def _look_up(self, place: Tracker, known: set[str], at: Instant) -> str:
        if place.url not in known or all(inside_loopback(network) for network in self._governor.policy.allow):
            raise Refused(
                f"the name of the tracker {place.url} may not be looked up",
                "give the tracker by its address, or have the Mandate name it and widen --allow",
            )
        self._asked_ns[place] = at.mono_ns
        return resolve(place.host)


def _question(place: Tracker, address: str) -> Wish:
    return Wish("announce", "", address, place.port, place.url)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
