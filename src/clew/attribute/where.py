"""Where an address is, as registers say it: the country and the force it leads to, or "uncertain" and why."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from clew.attribute.api import CAUTION, Answer, NetworkKind, OpenRegister
from clew.core import clock, mandate
from clew.core.case import Case
from clew.core.errors import Refused
from clew.core.tunnels import inside
from clew.model import Force, Mandate

DAY_NS = 86_400_000_000_000


@dataclass(frozen=True, slots=True)
class Asked:
    """A register that is open: its id in the case, its name, itself, and the date that holds for it."""

    id: str
    name: str
    register: OpenRegister
    dated_ns: int | None


@dataclass(frozen=True, slots=True)
class Where:
    """What the registers together say of an address. `doubts` are the reasons of `uncertain`, and of stale kinds.

    `subdivision` is its code without the country.
    """

    country: str
    subdivision: str | None
    uncertain: bool
    kinds: tuple[NetworkKind, ...]
    doubts: tuple[str, ...]
    lookups: tuple[Mapping[str, Any], ...]

    @property
    def kind(self) -> NetworkKind:
        """The kind that asks for most caution; unknown where no register knows."""
        return self.kinds[0] if self.kinds else NetworkKind.UNKNOWN


@dataclass(frozen=True, slots=True)
class _Said:
    name: str
    answer: Answer
    dated_ns: int | None
    stale: str | None


def where(address: str, seen_ns: Iterable[int], asked: Sequence[Asked], stale_days: int) -> Where:
    """Asks every register as of the times of the Sightings.

    Uncertain: it is an address of a tunnel or translator, no register knows the country, two name different ones (or
    different subdivisions), or there is a moment from the first to the last of `seen_ns` within `stale_days` of which
    none that knows it is dated. One register need not do for all of that time. A stale one, dated so for no moment of
    it, still contradicts; it never confirms.
    """
    times = tuple(seen_ns)
    said = [_Said(a.name, a.register.lookup(address), a.dated_ns, _stale(a, times, stale_days)) for a in asked]
    placed = [s for s in said if s.answer.country]
    countries = list(dict.fromkeys(s.answer.country or "" for s in placed))
    parted = [s for s in placed if s.answer.subdivision]
    subdivisions = list(dict.fromkeys(_bare(s.answer.subdivision, s.answer.country or "") for s in parted))
    doubts = _tunnelled(address) + _doubts(placed, countries, subdivisions)
    doubts += _unconfirmed("the country", placed, times, stale_days)
    kinds = tuple(k for k in CAUTION if any(s.answer.kind is k for s in said))
    listed = [[s for s in said if s.answer.kind is kind and not s.answer.country] for kind in kinds]
    stale_kinds = tuple(d for each in listed for d in _unconfirmed("the kind of network", each, times, stale_days))
    lookups = tuple(_lookup(a, s) for a, s in zip(asked, said, strict=True))
    country = countries[0] if countries else ""
    confirmed = bool(parted) and _unconfirmed_ns(parted, times, stale_days) is None
    subdivision = subdivisions[0] if len(subdivisions) == 1 and confirmed else None
    return Where(country, subdivision, bool(doubts), kinds, doubts + stale_kinds, lookups)


def countries(lookups: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """Every country that a register named, stale or not, in the order in which they were asked."""
    return tuple(dict.fromkeys(each["country"] for each in lookups if each["country"]))


def covering(case: Case, at_ns: int, address: str, lookups: Iterable[Mapping[str, Any]]) -> Mandate:
    """The Mandate for "attribute" that covers this address and a country that registers name for it, where any does.

    Raises Refused where there is none: an address is in no Mandate's country by being uncertain (docs/decisions/0033).
    """
    *others, last = countries(lookups) or (None,)
    for country in others:
        with suppress(Refused):
            return mandate.require(case, purpose="attribute", at_ns=at_ns, address=address, country=country)
    return mandate.require(case, purpose="attribute", at_ns=at_ns, address=address, country=last)


def force_of(place: Where, forces: Sequence[Force]) -> Force | None:
    """The one force that a certain place leads to; None where it stays with the coordinating force."""
    if place.uncertain:
        return None
    national = [f for f in forces if f.country.upper() == place.country]
    if len(national) == 1:
        return national[0]
    region = _bare(place.subdivision, place.country)
    regional = [f for f in national if region is not None and _bare(f.region, place.country) == region]
    return regional[0] if len(regional) == 1 else None


def _bare(subdivision: str | None, country: str) -> str | None:
    """The code of a subdivision without its country: ISO 3166-2 writes DE-BY, MaxMind BY."""
    return subdivision.upper().removeprefix(f"{country}-") if subdivision else None


def _tunnelled(address: str) -> tuple[str, ...]:
    """That what registers say is of a tunnel, whose relay may be in another country than its user."""
    found = inside(address)
    return (f"what registers say of an address of {found.how} is not of its user",) if found else ()


def _doubts(placed: Sequence[_Said], countries: Sequence[str], subdivisions: Sequence[str | None]) -> tuple[str, ...]:
    if not placed:
        return ("no register knows the country of this address",)
    doubts = []
    if len(countries) > 1:
        told = "; ".join(f"{s.name} says {s.answer.country}" for s in placed)
        doubts.append(f"registers contradict each other about the country: {told}")
    elif len(subdivisions) > 1:
        told = "; ".join(f"{s.name} says {s.answer.subdivision}" for s in placed if s.answer.subdivision)
        doubts.append(f"registers contradict each other about the part of the country: {told}")
    return tuple(doubts)


def _unconfirmed(what: str, said: Sequence[_Said], times: Sequence[int], stale_days: int) -> tuple[str, ...]:
    """Why these registers do not confirm what they name for all of the time; nothing where they do."""
    at_ns = _unconfirmed_ns(said, times, stale_days) if said else None
    if at_ns is None:
        return ()
    if all(s.stale for s in said):
        return tuple(f"{what} comes from a register that {s.stale}: {s.name}" for s in said)
    names = ", ".join(s.name for s in said)
    return (
        f"{what} is confirmed for a part of the time alone: {clock.iso(at_ns)} lies more than {stale_days} days "
        f"from every register that names it: {names}",
    )


def _unconfirmed_ns(said: Sequence[_Said], times: Sequence[int], stale_days: int) -> int | None:
    """The first moment, from the first to the last time, of which none of these registers is near enough in date."""
    reach_ns, near_ns = min(times), (stale_days + 1) * DAY_NS
    for dated_ns in sorted(s.dated_ns for s in said if s.dated_ns is not None):
        if dated_ns - near_ns < reach_ns:
            reach_ns = max(reach_ns, dated_ns + near_ns)
    return reach_ns if reach_ns <= max(times) else None


def _stale(asked: Asked, times: Sequence[int], stale_days: int) -> str | None:
    if asked.dated_ns is None:
        return "does not say its date"
    days = max(min(times) - asked.dated_ns, asked.dated_ns - max(times), 0) // DAY_NS
    return f"lies {days} days from the sighting (more than {stale_days})" if days > stale_days else None


def _lookup(asked: Asked, said: _Said) -> Mapping[str, Any]:
    return {
        "register": asked.id,
        "name": said.name,
        "dated": clock.iso(asked.dated_ns) if asked.dated_ns is not None else None,
        "stale": said.stale,
        "country": said.answer.country,
        "subdivision": said.answer.subdivision,
        "kind": said.answer.kind.value,
        "network": said.answer.network,
    }
