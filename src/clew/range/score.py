"""What a case found, against the truth, in the words of DESIGN section 5.

Found: at least one E2 lead with the right force, whose every (address, port, transport, interval) is that subject's in
truth. Split: a further such lead of the same subject; counted apart, no failure. False: see `judge`. Delay: seconds
from when a subject could be contacted to the claim that made its first lead E2.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from clew.core.case import Case
from clew.range.bounds import upper
from clew.range.calibration import Calibration, calibrate
from clew.range.judge import Party, Verdict, Wrong, judge, owners_of
from clew.range.leads import Lead, read_leads
from clew.range.missed import why_missed

TITLE = "Range error rates; field rates unknown"
NOBODY = "nobody planted"
SECOND = 1_000_000_000


@dataclass(slots=True)
class Tally:
    """Of one class or country: subjects, `found` of the contactable ones, leads that are false by kind, delays (s)."""

    planted: int = 0
    contactable: int = 0
    found: int = 0
    split: int = 0
    leads: int = 0
    false: dict[str, int] = field(default_factory=dict)
    delays: list[float] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """As JSON, the delays as median and 90th percentile."""
        return {**asdict(self), "delays": spread(self.delays)}


@dataclass(frozen=True, slots=True)
class Miss:
    """One planted subject without a good lead, and why. `contactable` False: by the scenario it could not be found."""

    party: str
    kind: str
    country: str
    contactable: bool
    reason: str

    def __str__(self) -> str:
        return f"{self.party} ({self.kind}, {self.country}): {self.reason}"


@dataclass(slots=True)
class Score:
    """The result. `bystanders` are leads that are not false and whose owner was not planted: torrent-only claims.

    `found` counts contactable subjects; `found_beyond` those that the scenario did not promise and a lead found truly.
    """

    planted: int = 0
    contactable: int = 0
    found: int = 0
    found_beyond: int = 0
    split: int = 0
    leads: int = 0
    bystanders: int = 0
    false: list[str] = field(default_factory=list)
    misplaced: list[str] = field(default_factory=list)
    misses: list[Miss] = field(default_factory=list)
    false_by_kind: dict[str, int] = field(default_factory=lambda: {kind.value: 0 for kind in Wrong})
    by_class: dict[str, Tally] = field(default_factory=dict)
    by_country: dict[str, Tally] = field(default_factory=dict)
    by_force: dict[str, int] = field(default_factory=dict)
    delays: list[float] = field(default_factory=list)
    calibration: Calibration = field(default_factory=lambda: calibrate(()))

    @property
    def missed(self) -> list[str]:
        """The contactable ones that were not found."""
        return [str(miss) for miss in self.misses if miss.contactable]

    def as_dict(self) -> dict[str, Any]:
        """For `--json`, with the rates."""
        tallies = {
            name: {key: tally.as_dict() for key, tally in sorted(found.items())}
            for name, found in (("by_class", self.by_class), ("by_country", self.by_country))
        }
        return {
            **asdict(self),
            **tallies,
            "calibration": self.calibration.as_dict(),
            "delays": spread(self.delays),
            "missed": self.missed,
            "rates": rates(self),
            "recall_of_planted": {"n": self.found + self.found_beyond, "of": self.planted},
            "title": TITLE,
        }


@dataclass(slots=True)
class _Kept:
    """By subject: its good leads, and what stood in the way of others."""

    good: dict[str, list[Lead]] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)


def score(case: Case, truth: Mapping[str, Any]) -> Score:
    """Compares every lead of the case with the truth."""
    result, kept = Score(), _Kept()
    owners = owners_of(truth["parties"])
    order: list[tuple[float, bool]] = []
    for lead in read_leads(case):
        verdict = judge(lead, owners, truth["revisit_ns"])
        planted = verdict.owner is not None and bool(verdict.owner["planted"])
        order.append((lead.points, planted and verdict.wrong is None))
        _count(result, lead, verdict)
        if verdict.wrong is not None:
            result.false.append(f"lead {lead.id[:8]} ({lead.tier}): {verdict.why}")
        if verdict.owner is not None and planted:
            _keep(result, kept, lead, verdict.owner, verdict.wrong, truth["coordinator"])
        elif verdict.wrong is None:
            result.bystanders += 1
    result.calibration = calibrate(order)
    _close(result, case, truth, kept)
    return result


def _count(result: Score, lead: Lead, verdict: Verdict) -> None:
    """The lead and its verdict, also under its owner's class and country."""
    result.leads += 1
    tallies = _tallies(result, verdict.owner, lead.country)
    for tally in tallies:
        tally.leads += 1
    if verdict.wrong is not None:
        for counts in (result.false_by_kind, *(tally.false for tally in tallies)):
            counts[verdict.wrong] = counts.get(verdict.wrong, 0) + 1


def _tallies(result: Score, owner: Party | None, country: str) -> tuple[Tally, Tally]:
    """The rows of a class and a country; nobody's lead has the country that it names."""
    kind = NOBODY
    if owner is not None:
        kind, country = owner["kind"] if owner["planted"] else f"bystander: {owner['kind']}", owner["country"]
    return result.by_class.setdefault(kind, Tally()), result.by_country.setdefault(country, Tally())


def _keep(result: Score, kept: _Kept, lead: Lead, owner: Party, wrong: Wrong | None, coordinator: str) -> None:
    """Keeps a subject's lead, or what stood in its way."""
    holder = lead.force or coordinator
    if wrong is not None:
        kept.notes[owner["id"]] = f"its lead is false: {wrong}"
    elif lead.tier != "E2":
        kept.notes.setdefault(owner["id"], f"its lead is {lead.tier} alone")
    elif holder != owner["right_force"]:
        kept.notes[owner["id"]] = f"its lead is with {holder}, not {owner['right_force']}"
        result.misplaced.append(f"lead {lead.id[:8]} is with {holder}, not {owner['right_force']}")
    else:
        kept.good.setdefault(owner["id"], []).append(lead)
        result.by_force[holder] = result.by_force.get(holder, 0) + 1


def _close(result: Score, case: Case, truth: Mapping[str, Any], kept: _Kept) -> None:
    """Counts each subject, and gives each that was not found its reason."""
    planted = [p for p in truth["parties"] if p["planted"]]
    unexplained = [p for p in planted if p["contactable"] and not {p["id"]} & (kept.good.keys() | kept.notes.keys())]
    seen = why_missed(case, unexplained, truth["revisit_ns"])
    for party in planted:
        leads, contactable = kept.good.get(party["id"], ()), party["contactable"]
        delays = [_delay(party, leads, truth["revisit_ns"])] if leads and contactable else []
        for row in (result, *_tallies(result, party, party["country"])):
            row.planted += 1
            row.contactable += contactable
            row.found += bool(leads and contactable)
            row.split += max(0, len(leads) - 1)
            row.delays += delays
        result.found_beyond += bool(leads and not contactable)
        if not leads:
            reason = party["beyond_reach"] or kept.notes.get(party["id"]) or seen[party["id"]]
            result.misses.append(Miss(party["id"], party["kind"], party["country"], contactable, reason))


def _delay(party: Party, leads: Sequence[Lead], revisit_ns: int) -> float:
    """Of good leads alone: `judge` calls one without a repetition false."""
    times = (lead.repeated_ns(revisit_ns) for lead in leads)
    since: int = party["contactable_from_ns"]
    return round((min(t for t in times if t is not None) - since) / SECOND, 1)


def spread(delays: Sequence[float]) -> dict[str, Any]:
    """How many, their median and 90th percentile (nearest rank), and all of them in order; seconds."""
    order = sorted(delays)
    at = {name: order[math.ceil(q * len(order)) - 1] if order else None for name, q in (("median", 0.5), ("p90", 0.9))}
    return {"n": len(order), **at, "seconds": order}


def rates(result: Score) -> list[dict[str, Any]]:
    """Numerator, denominator and one-sided 95% bound of both error rates.

    The bound holds for this one operation, subjects taken as independent; over several, the operation is the cluster.
    """
    counts = {
        "contactable subjects missed": (result.contactable - result.found, result.contactable),
        "leads that are false": (len(result.false), result.leads),
    }
    return [{"name": name, "n": n, "of": of, "at_most": upper(n, of)} for name, (n, of) in counts.items()]
