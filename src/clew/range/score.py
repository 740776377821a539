"""What a case found, against the truth, in the words of DESIGN section 5. Reads the case by SQL; knows no stage.

Found: at least one E2 lead with the right force, whose every (address, port, transport, interval) is that subject's in
truth. Split: a further such lead of the same subject; counted apart, no failure.
False: a lead that holds an interval not its subject's, spans a reassignment, names a wrong country without "uncertain",
states a higher tier than its bytes support, rests on E0, comes from a promiscuous address, or shows a planted shared
address without a shared-address or "unknown" caveat. A country is named by the force that holds a lead, too; bytes
support E2 only where claims lie the revisit interval apart; and every interval states its own tier.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from clew.core import shards
from clew.core.case import Case

CAVEATS_OF_SHARED = ("shared", "unknown")
TIERS = ("E0", "E1", "E2, torrent only", "E2")
EARLY = 0.98  # of the revisit interval: the observer counts by a monotonic clock, sightings are dated by UTC


@dataclass(frozen=True, slots=True)
class Interval:
    """One endpoint interval of a lead; `span_ns` is the time from its first to its last contact, by the sightings."""

    address: str
    port: int
    transport: str
    from_ns: int
    to_ns: int
    watch: str
    tier: str = "E0"
    span_ns: int = 0


@dataclass(frozen=True, slots=True)
class Lead:
    """A lead as the case shows it. `force` is None where it stays with the coordinating force.

    It rests on `contacts` that answered, and on `hearsay`: whatever else its intervals name as a sighting.
    """

    id: str
    subject: str
    force: str | None
    tier: str
    country: str
    uncertain: bool
    caveats: tuple[str, ...]
    intervals: tuple[Interval, ...]
    contacts: int
    hearsay: int = 0


@dataclass(slots=True)
class Score:
    """The result. `false` and `missed` say of each one why; `bystanders` are true leads on torrent-only claims."""

    planted: int = 0
    contactable: int = 0
    found: int = 0
    split: int = 0
    leads: int = 0
    bystanders: int = 0
    false: list[str] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)
    misplaced: list[str] = field(default_factory=list)
    by_kind: dict[str, list[int]] = field(default_factory=dict)
    by_force: dict[str, int] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """For `--json`, with the rates."""
        return {**asdict(self), "rates": rates(self), "title": TITLE}


TITLE = "Range error rates; field rates unknown"


def score(case: Case, truth: Mapping[str, Any]) -> Score:
    """Compares every lead of the case with the truth."""
    parties: Sequence[Mapping[str, Any]] = truth["parties"]
    owners: dict[tuple[str, int], list[Mapping[str, Any]]] = {}
    for party in parties:
        for interval in party["intervals"]:
            owners.setdefault((interval["address"], interval["port"]), []).append(party)
    result = Score(planted=sum(p["planted"] for p in parties), contactable=sum(p["contactable"] for p in parties))
    good: dict[str, int] = {}
    seen: set[str] = set()
    for lead in read_leads(case):
        result.leads += 1
        owner, wrong = judge(lead, owners, truth.get("revisit_ns", 0))
        if wrong:
            result.false.append(f"lead {lead.id[:8]} ({lead.tier}): {wrong}")
        elif owner is not None and not owner["planted"]:
            result.bystanders += 1
        elif owner is not None:
            seen.add(owner["id"])
            if lead.tier == "E2":
                _place(result, lead, owner, good, truth["coordinator"])
    _close(result, parties, good, seen)
    return result


def _place(result: Score, lead: Lead, owner: Mapping[str, Any], good: dict[str, int], coordinator: str) -> None:
    holder = lead.force or coordinator
    if holder == owner["right_force"]:
        good[owner["id"]] = good.get(owner["id"], 0) + 1
        result.by_force[holder] = result.by_force.get(holder, 0) + 1
    else:
        result.misplaced.append(f"lead {lead.id[:8]} is with {holder}, not {owner['right_force']}")


def _close(result: Score, parties: Sequence[Mapping[str, Any]], good: Mapping[str, int], seen: set[str]) -> None:
    for party in parties:
        if not party["planted"]:
            continue
        tally = result.by_kind.setdefault(party["kind"], [0, 0, 0])
        tally[0] += 1
        if not party["contactable"]:
            continue
        tally[1] += 1
        leads = good.get(party["id"], 0)
        result.split += max(0, leads - 1)
        if leads:
            result.found += 1
            tally[2] += 1
        else:
            note = "seen, but not as an E2 lead of the right force" if party["id"] in seen else "not seen"
            result.missed.append(f"{party['id']} ({party['kind']}): {note}")


def judge(
    lead: Lead, owners: Mapping[tuple[str, int], Sequence[Mapping[str, Any]]], revisit_ns: int = 0
) -> tuple[Mapping[str, Any] | None, str]:
    """Whose lead it is and "", or whose it may be and what is false about it."""
    if lead.contacts == 0 or lead.hearsay:
        return None, "it rests on E0 alone" if lead.contacts == 0 else "it rests on E0 among others"
    candidates = [owners.get((i.address, i.port), ()) for i in lead.intervals]
    whose = [{p["id"]: p for p in found if _covers(p, i)} for i, found in zip(lead.intervals, candidates, strict=True)]
    common = set.intersection(*(set(found) for found in whose)) if whose else set()
    if not common:
        known = all(candidates)
        return None, "it spans a reassignment or another party's time" if known else "it holds an interval of nobody"
    owner = whose[0][sorted(common)[0]]
    return owner, _wrong(lead, owner, revisit_ns)


def _wrong(lead: Lead, owner: Mapping[str, Any], revisit_ns: int) -> str:
    if owner["promiscuous"]:
        return "it comes from a promiscuous address"
    if wrong := _too_high(lead, owner["watches"], revisit_ns) or _wrong_place(lead, owner):
        return wrong
    told = " ".join(lead.caveats).lower()
    if owner["shared"] and not any(word in told for word in CAVEATS_OF_SHARED):
        return "a planted shared address stands there without a caveat"
    return ""


def _too_high(lead: Lead, supports: Mapping[str, str], revisit_ns: int) -> str:
    supported = max((TIERS.index(supports.get(interval.watch, "E0")) for interval in lead.intervals), default=0)
    if TIERS.index(lead.tier) > supported:
        return f"it states {lead.tier}, its bytes support {TIERS[supported]}"
    for interval in lead.intervals:
        most = supports.get(interval.watch, "E0")
        if TIERS.index(interval.tier) > TIERS.index(most):
            return f"it states {interval.tier} for {interval.watch}, its bytes support {most}"
        if interval.tier in TIERS[2:] and interval.span_ns < EARLY * revisit_ns:
            return f"it states {interval.tier} for {interval.watch} on claims less than the revisit interval apart"
    return ""


def _wrong_place(lead: Lead, owner: Mapping[str, Any]) -> str:
    if lead.force is not None and lead.force != owner["force"]:
        return f"it is with {lead.force}, the truth is {owner['force']}"
    if lead.country != owner["country"] and not lead.uncertain:
        return f"it names {lead.country}, the truth is {owner['country']}, and it does not say uncertain"
    return ""


def _covers(party: Mapping[str, Any], interval: Interval) -> bool:
    return any(
        stay["address"] == interval.address
        and stay["port"] == interval.port
        and interval.transport in stay["transports"]
        and stay["from_ns"] <= interval.from_ns <= interval.to_ns <= stay["to_ns"]
        for stay in party["intervals"]
    )


def read_leads(case: Case) -> list[Lead]:
    """Every lead with its intervals and how many contacts (not listings) it rests on."""
    conn = case.read()
    labels = {row["id"]: row["label"] for row in conn.execute("SELECT id, label FROM watches")}
    sql = "SELECT id, started_ns FROM sightings WHERE kind='contact' AND tier<>'E0'"
    contacts = {row["id"]: row["started_ns"] for row in shards.query(case, sql).to_pylist()}
    intervals: dict[str, list[Interval]] = {}
    rests: dict[str, list[int]] = {}
    for row in conn.execute("SELECT * FROM subject_intervals ORDER BY subject, from_ns"):
        named = json.loads(row["sightings"])
        times = [contacts[each] for each in named if each in contacts]
        intervals.setdefault(row["subject"], []).append(
            Interval(
                row["address"],
                row["port"],
                row["transport"],
                row["from_ns"],
                row["to_ns"],
                labels.get(row["watch"], row["watch"]),
                row["tier"],
                max(times, default=0) - min(times, default=0),
            )
        )
        tally = rests.setdefault(row["subject"], [0, 0])
        tally[0] += len(times)
        tally[1] += len(named) - len(times)
    return [
        Lead(
            id=row["id"],
            subject=row["subject"],
            force=row["force"],
            tier="E2, torrent only" if row["torrent_only"] and row["tier"] == "E2" else row["tier"],
            country=row["country"],
            uncertain=bool(row["uncertain"]),
            caveats=tuple(json.loads(row["caveats"])),
            intervals=tuple(intervals.get(row["subject"], ())),
            contacts=rests.get(row["subject"], [0, 0])[0],
            hearsay=rests.get(row["subject"], [0, 0])[1],
        )
        for row in conn.execute("SELECT * FROM leads ORDER BY id")
    ]


def rates(result: Score) -> list[dict[str, Any]]:
    """Numerator, denominator and one-sided 95% bound of both error rates.

    The bound holds for this one operation, subjects taken as independent; over several, the operation is the cluster.
    """
    missed = result.contactable - result.found
    return [
        {
            "name": "contactable subjects missed",
            "n": missed,
            "of": result.contactable,
            "at_most": bound(missed, result.contactable),
        },
        {
            "name": "leads that are false",
            "n": len(result.false),
            "of": result.leads,
            "at_most": bound(len(result.false), result.leads),
        },
    ]


def bound(count: int, total: int, confidence: float = 0.95) -> float | None:
    """Upper one-sided Clopper-Pearson bound of a proportion; None where there is nothing to divide by."""
    if total == 0:
        return None
    if count >= total:
        return 1.0
    low, high = count / total, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        tail = sum(math.comb(total, k) * middle**k * (1 - middle) ** (total - k) for k in range(count + 1))
        low, high = (middle, high) if tail > 1 - confidence else (low, middle)
    return round(high, 5)
