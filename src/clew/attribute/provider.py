"""The page for an internet provider: at which times who held an address and port, and nothing else.

It names no file, no client and no offence, and no time by a clock that was not measured: a wrong time names the wrong
customer.
"""

import ipaddress
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from clew import __version__
from clew.attribute import evidence, merge, pages, urgency
from clew.attribute.api import NetworkKind
from clew.attribute.ask_by import Period
from clew.attribute.beside import shrinking
from clew.attribute.caveats import LIMITS, SEEN_SHARED
from clew.attribute.endpoints import joined
from clew.attribute.evidence import Contact
from clew.attribute.identity import identity, names
from clew.attribute.masked import Masked
from clew.attribute.prefix import household
from clew.attribute.where import DAY_NS, covering
from clew.core import clock, interruptions, shards, since, watch
from clew.core.case import Case
from clew.core.errors import Refused
from clew.core.tunnels import Inside, inside
from clew.model import protocol

USED = """
SELECT DISTINCT ON (id) id, address, port, transport, local_address, local_port, started_ns, ended_ns,
       clock_offset_ns, clock_error_ns, watch
FROM sightings WHERE id IN (SELECT unnest(?)) ORDER BY id
"""
SHARED = {
    NetworkKind.CGNAT: "By a register, this address is shared by many customers at once (carrier-grade NAT).",
    NetworkKind.MOBILE: "By a register, this address belongs to a mobile network, where many customers share one.",
    NetworkKind.UNKNOWN: "We do not know whether this address was shared by several customers (carrier-grade NAT).",
    NetworkKind.ISP: "We know of no sharing of this address, but cannot exclude it.",
    NetworkKind.HOSTING: "By a register, this address belongs to a hosting service: please name who rented it.",
    NetworkKind.PROXY: "By a register, a proxy, a relay or another anonymising service may run at this address, "
    "perhaps without its customer's knowledge, so its user may be elsewhere.",
    NetworkKind.VPN: "By a register, this address is the exit of a VPN: please name what is kept of its user.",
    NetworkKind.TOR: "By a register, this address is an exit of the Tor network, so its user is likely elsewhere.",
}
READ_FIRST = "run clew attribute again, and read the lead page before you ask"
SIGNS = "There are signs that several machines or customers use this address."
MILLISECOND_NS = 1_000_000


@dataclass(frozen=True, slots=True)
class Line:
    """One connection: both ends, protocol, first and last moment, and how wrong the clock may have been."""

    number: int
    address: str
    port: int
    our_address: str
    our_port: int
    protocol: str
    first: str
    last: str
    clock_offset_ms: str
    clock_error_ms: str
    ask_by: str | None


@dataclass(frozen=True, slots=True)
class Question:
    """What the page asks. `widen_ms`: no time in it is wrong by more, by what the system told of its clock. `left_out`:
    how many contacts that the lead rests on are not in it, since nobody measured the clock then.

    `clock_set`: each time that somebody or something set this clock within a day of these connections.
    `inside`: the IPv4 address that one of a tunnel or translator carries, which is the one to look up, and how.
    `our_side_private`: our own address is not one of the public internet: a private one, or one that a provider shares
    out behind its translator (100.64.0.0/10, RFC 6598).
    """

    reference: str
    case: str
    asked_by: str
    made: str
    tool: str
    country: str
    address: str
    prefix: str | None
    inside: Inside | None
    port: int
    protocol: str
    first: str
    last: str
    widen_ms: int
    clock_set: tuple[str, ...]
    shared: str
    our_side_private: bool
    period: Period | None
    ask_by: str | None
    late: bool
    limits: str
    labels: tuple[str, ...]
    lines: tuple[Line, ...]
    left_out: int

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return asdict(self)


def question(case: Case, named: str, period: Period | None, *, now_ns: int | None = None) -> Question:
    """What a provider is asked about one lead (by id, its beginning, or its Subject's label).

    Raises Usage where there is no such lead; Refused where it expired, where a contact that it rests on is not kept or
    all of them were seen by a clock that nobody measured, where its endpoint did more since it was made than repeat its
    claims (so where it claimed fewer pieces, or another client did) or answers for anything, and without a Mandate for
    "attribute" over the address and a country of it.
    """
    now_ns = clock.now().utc_ns if now_ns is None else now_ns
    row = urgency.find(case, named)
    if row["expires_ns"] <= now_ns:
        raise Refused(f"{row['label']} expired at {clock.iso(row['expires_ns'])}", "an expired lead is asked no more")
    seen, left_out = _used(case, row)
    _refuse_outdated(case, row, {(each["address"], each["port"]) for each in seen})
    addresses = {each["address"] for each in seen}
    for address in sorted(addresses | {found.address for found in map(inside, addresses) if found}):
        basis = covering(case, now_ns, address, json.loads(row["lookups"]))
    made = _question(case, row, seen, left_out, period, now_ns)
    with case.write("attribute") as tx:
        about = {"lead": row["id"], "address": made.address, "port": made.port}
        tx.record(
            "provider.asked", subject=about, counts={"lines": len(made.lines), "left_out": left_out}, mandate=basis.id
        )
    return made


def page(case: Case, asked: Question) -> str:
    """The page as one HTML file."""
    return pages.render("provider.html", Masked(watch.all_of(case)), q=asked)


def _used(case: Case, row: Any) -> tuple[list[dict[str, Any]], int]:
    """The contacts that the lead rests on whose times are measured, oldest first, and how many others there are.

    Raises Refused where the page would not hold.
    """
    intervals = case.read().execute("SELECT sightings FROM subject_intervals WHERE subject=?", (row["subject"],))
    wanted = sorted({key for each in intervals for key in json.loads(each["sightings"])})
    seen = shards.query(case, USED, [wanted]).to_pylist()
    if not wanted or len(seen) != len(wanted):
        raise Refused(f"contacts that {row['label']} rests on are not in the case", "run clew attribute again")
    measured = [each for each in seen if each["clock_error_ns"] is not None and each["clock_offset_ns"] is not None]
    if not measured:
        raise Refused(
            f"the clock was not measured at any of the {len(seen)} contacts that {row['label']} rests on, so their "
            "times may be wrong",
            "a provider is asked only about measured times: keep the observing machine's clock in time (NTP) by "
            "chrony or ntpd, since systemd-timesyncd states no error, observe again, then run clew attribute",
        )
    return sorted(measured, key=lambda each: (each["started_ns"], each["id"])), len(seen) - len(measured)


def _refuse_outdated(case: Case, row: Any, places: set[since.Place]) -> None:
    """Raises Refused where a contact or probe that the lead does not know may speak against it."""
    if places & since.promiscuous(case):
        raise Refused(
            f"the endpoint of {row['label']} answers for anything by now, and is no lead any more",
            "run clew attribute again",
        )
    later = since.read(case)
    if later.doubtful(places):
        raise Refused(f"{row['label']} is not asked about: {later.against(places)[0]}", READ_FIRST)
    if later.against(places) and (told := _told_since(case, row)):
        raise Refused(f"{row['label']} is not asked about: since it was made, {told}", READ_FIRST)


def _told_since(case: Case, row: Any) -> str:
    """What claims that came since the lead was made say against it: fewer pieces than before, or another client."""
    watches, marks = watch.all_of(case), since.marks(case) or {}
    labels, words = {each.id: each.label for each in watches}, Masked(watches)
    intervals = "SELECT address, port, transport FROM subject_intervals WHERE subject=?"
    place = tuple(case.read().execute(intervals, (row["subject"],)).fetchone())
    answered = [c for c in evidence.read(case, place[0]) if c.answered and identity(c)]
    known, later = list[Contact](), list[Contact]()
    for each in merge.in_order([c for c in answered if (c.address, c.port, c.carrier) == place]):
        (known if (each.sequence or 0) <= marks.get(each.run or "", -1) else later).append(each)
    shrank = set(shrinking([*known, *later], labels)).difference(shrinking(known, labels))
    client = joined(merge.runs(known, merge.Policy())[-1])
    others = names(told for each in later if client.contradicts(told := identity(each)))
    return words("; ".join(sorted(shrank) + [f"another client answered: {each}" for each in sorted(others)]))


def _question(
    case: Case, row: Any, seen: Sequence[dict[str, Any]], left_out: int, period: Period | None, now_ns: int
) -> Question:
    first = seen[0]
    labels = {each.id: each.label for each in watch.all_of(case)}
    until_ns = period.until_ns(first["started_ns"]) if period else None
    return Question(
        reference=row["label"],
        case=case.settings.id[:8],
        asked_by=case.settings.force,
        made=clock.iso(now_ns),
        tool=f"clew {__version__}",
        country="" if row["uncertain"] else row["country"],
        address=first["address"],
        prefix=household(first["address"]),
        inside=inside(first["address"]),
        port=first["port"],
        protocol=protocol(first["transport"]),
        first=clock.iso(first["started_ns"]),
        last=clock.iso(max(each["ended_ns"] for each in seen)),
        widen_ms=max(_widened(each) for each in seen),
        clock_set=_clock_set(case, first["started_ns"], seen[-1]["ended_ns"]),
        shared=_shared(NetworkKind(row["network_kind"]), json.loads(row["caveats"])),
        our_side_private=any(not ipaddress.ip_address(each["local_address"]).is_global for each in seen),
        period=period,
        ask_by=clock.iso(until_ns) if until_ns is not None else None,
        late=until_ns is not None and until_ns <= now_ns,
        limits=LIMITS,
        labels=tuple(sorted({labels.get(each["watch"], "") for each in seen} - {""})),
        lines=tuple(_line(number, each, period) for number, each in enumerate(seen, 1)),
        left_out=left_out,
    )


def _shared(kind: NetworkKind, stated: Sequence[str]) -> str:
    """What we know of the sharing of its address: by a register, and by what the lead's caveats state."""
    if not any(each.startswith(SEEN_SHARED) for each in stated):
        return SHARED[kind]
    return SIGNS if kind is NetworkKind.ISP else f"{SHARED[kind]} {SIGNS}"


def _clock_set(case: Case, first_ns: int, last_ns: int) -> tuple[str, ...]:
    """What the observer noted of its clock being set from a day before to a day after."""
    return tuple(
        f"{clock.iso(each.from_ns)} to {clock.iso(each.to_ns)}: {each.why}"
        for each in interruptions.read(case).clock_set
        if max(each.from_ns, each.to_ns) >= first_ns - DAY_NS and min(each.from_ns, each.to_ns) <= last_ns + DAY_NS
    )


def _line(number: int, each: dict[str, Any], period: Period | None) -> Line:
    return Line(
        number=number,
        address=each["address"],
        port=each["port"],
        our_address=each["local_address"],
        our_port=each["local_port"],
        protocol=protocol(each["transport"]),
        first=clock.iso(each["started_ns"]),
        last=clock.iso(each["ended_ns"]),
        clock_offset_ms=f"{each['clock_offset_ns'] / MILLISECOND_NS:+.3f}",
        clock_error_ms=_ceiling(each["clock_error_ns"]),
        ask_by=clock.iso(period.until_ns(each["started_ns"])) if period else None,
    )


def _widened(each: dict[str, Any]) -> int:
    """How far a printed time of this contact may be wrong, in whole milliseconds: the clock, and that digits end."""
    wrong_ns: int = abs(each["clock_offset_ns"]) + each["clock_error_ns"]
    return math.ceil(wrong_ns / MILLISECOND_NS) + 1


def _ceiling(ns: int) -> str:
    """Milliseconds, rounded up to thousandths: an error is never stated smaller than it is."""
    return f"{math.ceil(ns / 1_000) / 1_000:.3f}"
