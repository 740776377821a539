"""What a run did, in numbers: for its end, for the ledger, and for people who want to know what was not covered."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from clew.core import interruptions
from clew.core.case import Case
from clew.model import Missing, Tier
from clew.observe.api import SECOND, Listing
from clew.observe.endpoints import Endpoint
from clew.observe.probes import PROMISCUOUS
from clew.observe.unlisted import Unlisted

NOT_COVERED = (
    "who cannot be reached from outside is only listed; who is on no list that was asked is not seen. Not seen is no "
    "evidence of absence; possession is not tested."
)
LEFT_ASIDE = "listed endpoints that are none, have port 0, or are too many"


@dataclass(frozen=True, slots=True)
class Summary:
    """The result of one run. Counts of `places` are of address and port, by the highest tier reached for any Watch."""

    run: str
    stopped: str
    seconds: float
    watches: int
    places: dict[str, int]
    contacts: int
    controls: int
    announces: int
    interrupted_before: int
    errors: dict[str, int]
    traffic: dict[str, int]
    coverage: dict[str, Any]
    ourselves: dict[str, float]
    limits: dict[str, int]
    trackers: dict[str, dict[str, int]]
    questions: dict[str, Any]

    def as_dict(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)


@dataclass(slots=True)
class Account:
    """Counts while a run goes on."""

    contacts: int = 0
    controls: int = 0
    announces: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    traffic: Counter[str] = field(default_factory=Counter)
    ourselves: int = 0
    ourselves_ns: int = 0
    gossiped: int = 0
    listed_us: int = 0
    presumed: int = 0
    limits: Counter[str] = field(default_factory=Counter)
    trackers: dict[str, Counter[str]] = field(default_factory=dict)
    unlisted: Unlisted = field(default_factory=Unlisted)

    def error(self, missing: Missing | None) -> None:
        """One contact or announce that something was missing of, by kind."""
        if missing is not None:
            self.errors[str(missing)] += 1

    def left_aside(self, listing: Listing, what: str = "") -> None:
        """What of a list was not taken: endpoints that are none or too many, and `what` could not be read at all."""
        if listing.unusable:
            self.limits[LEFT_ASIDE] += listing.unusable
        if what and listing.missing is not None:
            self.limits[f"{what}not read: {listing.missing}"] += 1

    def of_ourselves(self) -> dict[str, float]:
        """How often and how long we were listed by a `started` of ours; how often a peer, or a tracker or node, named
        the address that we spoke from; how often any of them named another that peers agree is ours (`reflexive`).
        """
        seconds = round(self.ourselves_ns / SECOND, 3)
        told = {"gossiped": self.gossiped, "listed": self.listed_us, "presumed": self.presumed}
        return {"times": self.ourselves, "seconds": seconds, **told}

    def tracker(self, url: str, what: str, number: int = 1) -> None:
        """Something that happened at a tracker."""
        self.trackers.setdefault(url, Counter())[what] += number


def by_place(places: Iterable[Sequence[Endpoint]]) -> dict[str, int]:
    """Places (address and port) by the highest tier of any Watch; promiscuous ones apart."""
    counts = Counter(max(PROMISCUOUS if e.control == PROMISCUOUS else e.tier for e in place) for place in places)
    return {name: counts[name] for name in (*(t.value for t in Tier), PROMISCUOUS)}


def coverage(case: Case, places: Iterable[Sequence[Endpoint]]) -> dict[str, Any]:
    """What share of the listed could be contacted, for what reasons others could not, and when nobody was watching.

    That is of the whole case so far, as it is in every report, and not of this run alone.
    """
    listed = reached = 0
    why: Counter[str] = Counter()
    for place in places:
        listed += 1
        if any(each.tier != Tier.LISTED.value for each in place):
            reached += 1
        else:
            why[place[-1].last_failure or "not called yet"] += 1
    return {
        "listed": listed,
        "answered": reached,
        "share": round(reached / listed, 4) if listed else None,
        "not_answered": dict(why),
        **interruptions.read(case).as_dict(),
        "not_covered": NOT_COVERED,
    }
