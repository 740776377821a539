"""Whose a lead is, and what is false about it, in the words of DESIGN section 5.

False: a lead that holds an interval not its subject's, spans a reassignment, names a wrong country without "uncertain",
states a higher tier than its bytes support, rests on E0, comes from a promiscuous address, or shows a planted shared
address without a shared-address or "unknown" caveat. A country is named by the force that holds a lead, too; bytes
support E2 only where claims lie the revisit interval apart; and every interval states its own tier.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from clew.range.leads import TIERS, Interval, Lead

CAVEATS_OF_SHARED = ("shared", "unknown")
Party = Mapping[str, Any]  # one party of the truth (truth.py)
Owners = Mapping[tuple[str, int], Sequence[Party]]  # the parties of each address and port


class Wrong(StrEnum):
    """The kinds of false."""

    NOT_ITS = "an interval not its subject's"
    REASSIGNMENT = "spans a reassignment"
    COUNTRY = "wrong country without 'uncertain'"
    TIER = "higher tier than its bytes support"
    HEARSAY = "rests on E0"
    PROMISCUOUS = "from a promiscuous address"
    SHARED = "shared address without a caveat"


@dataclass(frozen=True, slots=True)
class Verdict:
    """`owner` is whose lead it is, or, of a false one, whose it was taken for; None: nobody's. `why` is a sentence."""

    owner: Party | None
    wrong: Wrong | None = None
    why: str = ""


def owners_of(parties: Sequence[Party]) -> dict[tuple[str, int], list[Party]]:
    """The parties of each endpoint, whenever they stay there."""
    found: dict[tuple[str, int], list[Party]] = {}
    for party in parties:
        for stay in party["intervals"]:
            found.setdefault((stay["address"], stay["port"]), []).append(party)
    return found


def judge(lead: Lead, owners: Owners, revisit_ns: int = 0) -> Verdict:
    """The verdict on one lead; of several things that are false about it, the first."""
    near = [p for i in lead.intervals for p in owners.get((i.address, i.port), ())]
    if lead.contacts == 0 or lead.hearsay:
        why = "it rests on E0 alone" if lead.contacts == 0 else "it rests on E0 among others"
        return Verdict(near[0] if near else None, Wrong.HEARSAY, why)
    whose = [
        {p["id"]: p for p in owners.get((i.address, i.port), ()) if any(_covers(s, i) for s in p["intervals"])}
        for i in lead.intervals
    ]
    common = set.intersection(*(set(found) for found in whose)) if whose else set()
    if not common:
        return _nobodys(lead, owners, near)
    owner = whose[0][min(common)]
    wrong = _wrong(lead, owner, revisit_ns)
    return Verdict(owner, *wrong) if wrong else Verdict(owner)


def _nobodys(lead: Lead, owners: Owners, near: Sequence[Party]) -> Verdict:
    """No one party has all its intervals: where two share one endpoint, it spans the time when it changed hands."""
    taken_for = near[0] if near else None
    by_endpoint: dict[tuple[str, int], set[str]] = {}
    for each in lead.intervals:
        where = (each.address, each.port)
        there = {p["id"] for p in owners.get(where, ()) if any(_touches(s, each) for s in p["intervals"])}
        by_endpoint.setdefault(where, set()).update(there)
    if any(len(ids) > 1 for ids in by_endpoint.values()):
        return Verdict(taken_for, Wrong.REASSIGNMENT, "it spans a reassignment")
    if any((i.address, i.port) not in owners for i in lead.intervals):
        return Verdict(taken_for, Wrong.NOT_ITS, "it holds an interval of nobody")
    return Verdict(taken_for, Wrong.NOT_ITS, "it holds an interval of another party, time or transport")


def _wrong(lead: Lead, owner: Party, revisit_ns: int) -> tuple[Wrong, str] | None:
    if owner["promiscuous"]:
        return Wrong.PROMISCUOUS, "it comes from a promiscuous address"
    if why := _too_high(lead, owner["watches"], revisit_ns):
        return Wrong.TIER, why
    if why := _wrong_place(lead, owner):
        return Wrong.COUNTRY, why
    told = " ".join(lead.caveats).lower()
    if owner["shared"] and not any(word in told for word in CAVEATS_OF_SHARED):
        return Wrong.SHARED, "a planted shared address stands there without a caveat"
    return None


def _too_high(lead: Lead, supports: Mapping[str, str], revisit_ns: int) -> str:
    supported = max((TIERS.index(supports.get(interval.watch, "E0")) for interval in lead.intervals), default=0)
    if TIERS.index(lead.tier) > supported:
        return f"it states {lead.tier}, its bytes support {TIERS[supported]}"
    for interval in lead.intervals:
        most = supports.get(interval.watch, "E0")
        if TIERS.index(interval.tier) > TIERS.index(most):
            return f"it states {interval.tier} for {interval.watch}, its bytes support {most}"
        if interval.tier in TIERS[2:] and interval.repeated_ns(revisit_ns) is None:
            return f"it states {interval.tier} for {interval.watch} on claims less than the revisit interval apart"
    return ""


def _wrong_place(lead: Lead, owner: Party) -> str:
    if lead.force is not None and lead.force != owner["force"]:
        return f"it is with {lead.force}, the truth is {owner['force']}"
    if lead.country != owner["country"] and not lead.uncertain:
        return f"it names {lead.country}, the truth is {owner['country']}, and it does not say uncertain"
    return ""


def _covers(stay: Mapping[str, Any], interval: Interval) -> bool:
    return (
        _touches(stay, interval)
        and interval.transport in stay["transports"]
        and stay["from_ns"] <= interval.from_ns <= interval.to_ns <= stay["to_ns"]
    )


def _touches(stay: Mapping[str, Any], interval: Interval) -> bool:
    return (
        (stay["address"], stay["port"]) == (interval.address, interval.port)
        and stay["from_ns"] <= interval.to_ns
        and interval.from_ns <= stay["to_ns"]
    )
