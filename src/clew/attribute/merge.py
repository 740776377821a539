"""Which contacts are one Subject. The rule, in order; whatever it does not say is a possible link, never a merge.

1. Only one address, port and carrier (TCP or uTP, whether encrypted or not). Contacts there are put in order, by the
   numbers of the observer's runs and their own in it and not by a clock, and cut into runs. The same address and port
   over the other carrier is a possible link.
2. A run goes on while the client does: the client string of the extension handshake and the client prefix of the
   peer-id (BEP 20), as far as known, stay what they were, and something known is shared. The full peer-id is not asked
   to stay: qBittorrent changes it on every connection. Contacts on one address and port that tell different clients
   are a reassignment (or several machines): the run is cut there.
3. A contact that tells less than its run and stands next to a cut may belong to either side: it belongs to neither.
   One that tells nothing of its client is set aside.
4. A run is cut where nothing was heard for longer than `max_gap_ns`, by UTC or by the observer's own time, and where
   a restart with a clock behind hides how long: continuity is stated only inside an interval.
5. A run is a Subject if, for some Watch, a contact of tier E2 in it repeats an earlier claim in the same run, the
   least interval apart and for the same infohash: twins number their pieces apart (BEP 52). A claim on the other side
   of a cut does not count.
6. An address and port once found promiscuous, on whatever Watch and over whatever carrier, is no Subject.

What repeats is counted as the observer counts it, by a time that nobody can set (docs/decisions/0029); what is said is
dated in UTC. The result does not depend on the order in which contacts are given.
"""

import hashlib
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

from clew.attribute.endpoints import (
    Address,
    Cut,
    Endpoint,
    Place,
    addresses,
    cuts,
    endpoints,
    joined,
    prefixes,
    silence_ns,
)
from clew.attribute.evidence import Contact
from clew.attribute.identity import Identity, identity
from clew.model import Tier

HOUR_NS = 3_600_000_000_000


@dataclass(frozen=True, slots=True)
class Policy:
    """`max_gap_ns`: how long an endpoint may be unheard and still be held for the same one.

    `repeat_ns` is the least time between two claims that make E2 (DESIGN section 1: 5 minutes), `loopback_repeat_ns`
    the same on loopback, where the observer's own interval holds.
    """

    max_gap_ns: int = 24 * HOUR_NS
    repeat_ns: int = HOUR_NS // 12
    loopback_repeat_ns: int = 1

    def least_repeat_ns(self, address: str) -> int:
        """The least time between two claims of this address that make E2."""
        return self.loopback_repeat_ns if address.startswith("127.") or address == "::1" else self.repeat_ns


@dataclass(frozen=True, slots=True)
class Interval:
    """One Watch of one Subject: from the first claim to the last. `torrent_only`: no piece inside the watched file."""

    watch: str
    from_ns: int
    to_ns: int
    torrent_only: bool
    sightings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Draft:
    """A Subject in the making: one address, port and carrier, one client, and what was refused on its way."""

    id: str
    address: str
    port: int
    carrier: str
    identity: Identity
    peer_ids: frozenset[bytes]
    intervals: tuple[Interval, ...]
    run: tuple[Contact, ...]
    crossing_repeats: int = 0

    @property
    def from_ns(self) -> int:
        """The first claim."""
        return min(i.from_ns for i in self.intervals)

    @property
    def to_ns(self) -> int:
        """The last claim."""
        return max(i.to_ns for i in self.intervals)

    @property
    def watches(self) -> tuple[str, ...]:
        """The Watches it claimed."""
        return tuple(sorted({i.watch for i in self.intervals}))


@dataclass(frozen=True, slots=True)
class Merged:
    """The Subjects, in order of their ids, and what speaks for caution. `prefixes`: who answered in an IPv6 /64."""

    drafts: tuple[Draft, ...]
    endpoints: dict[tuple[str, int], Endpoint]
    addresses: dict[str, Address]
    refused: dict[str, int] = field(default_factory=dict)
    prefixes: dict[str, frozenset[str]] = field(default_factory=dict)


def merge(
    contacts: Iterable[Contact],
    policy: Policy | None = None,
    marked: Iterable[Place] = (),
    listed: Iterable[Place] = (),
) -> Merged:
    """The Subjects among these contacts, by the rule above.

    `marked` are further promiscuous endpoints; what was `listed` makes no Subject, and only stands beside them.
    """
    policy = policy or Policy()
    ordered = in_order({c.id: c for c in contacts}.values())
    promiscuous = {(c.address, c.port) for c in ordered if c.promiscuous} | set(marked)
    places: dict[tuple[str, int, str], list[Contact]] = defaultdict(list)
    for each in ordered:
        if each.answered and identity(each):
            places[each.address, each.port, each.carrier].append(each)
    drafts: list[Draft] = []
    cut: dict[tuple[str, int], list[Cut]] = defaultdict(list)
    refused = {"promiscuous endpoints": 0, "runs without a repeated claim": 0}
    for (address, port, _), here in sorted(places.items()):
        if (address, port) in promiscuous:
            refused["promiscuous endpoints"] += 1
            continue
        parts = runs(here, policy)
        cut[address, port] += cuts(parts, policy.max_gap_ns)
        made = [draft for draft in (_draft(part, policy) for part in parts) if draft is not None]
        refused["runs without a repeated claim"] += len(parts) - len(made)
        drafts += made
    return Merged(
        drafts=tuple(sorted(drafts, key=lambda d: d.id)),
        endpoints=endpoints(ordered, cut),
        addresses=addresses(ordered, promiscuous, listed),
        refused=refused,
        prefixes=prefixes(ordered),
    )


def in_order(contacts: Collection[Contact]) -> list[Contact]:
    """Contacts as they were made: by the number of their run and their own in it, which nobody can set as a clock can.

    A clock set back would otherwise put another client's contacts before those that they came between. Runs that have
    no number, as in cases of the first versions, come first, in order of time.
    """
    begun: dict[str | None, int] = {}
    for each in contacts:
        begun[each.run] = min(begun.get(each.run, each.at_ns), each.at_ns)

    def place(each: Contact) -> tuple[int, int, str, int, int, str]:
        if each.run is None or each.sequence is None:
            return each.number, each.at_ns, "", 0, each.at_ns, each.id
        return each.number, begun[each.run], each.run, each.sequence, each.at_ns, each.id

    return sorted(contacts, key=place)


def runs(ordered: Sequence[Contact], policy: Policy) -> list[list[Contact]]:
    """Cuts the contacts of one endpoint, in order of time, into runs of one client (rules 2 to 4)."""
    parts: list[list[Contact]] = []
    held: list[Identity] = []
    for each in ordered:
        mine = identity(each)
        goes_on = (
            bool(parts)
            and not held[-1].contradicts(mine)
            and held[-1].shares(mine)
            and (silent_ns := silence_ns(parts[-1][-1], each)) is not None
            and silent_ns <= policy.max_gap_ns
        )
        if goes_on:
            parts[-1].append(each)
            held[-1] = held[-1].joined(mine)
        else:
            parts.append([each])
            held.append(mine)
    return _without_ambiguous(parts, held)


def _without_ambiguous(parts: list[list[Contact]], held: list[Identity]) -> list[list[Contact]]:
    """Takes contacts that tell less than their run off its ends, where it meets another client."""
    result: list[list[Contact]] = []
    for n, part in enumerate(parts):
        first, end = 0, len(part)
        while n > 0 and first < end and identity(part[first]).may_be_either(held[n], held[n - 1]):
            first += 1
        while n + 1 < len(parts) and end > first and identity(part[end - 1]).may_be_either(held[n], held[n + 1]):
            end -= 1
        result += [[c] for c in part[:first]] + ([part[first:end]] if first < end else []) + [[c] for c in part[end:]]
    return result


def _draft(run: list[Contact], policy: Policy) -> Draft | None:
    """The Subject of one run, None where no claim in it was repeated (rule 5)."""
    intervals = []
    for watch in sorted({c.watch for c in run}):
        interval = _interval(watch, [c for c in run if c.watch == watch and c.claims_pieces], policy)
        intervals += [interval] if interval else []
    if not intervals:
        return None
    inside = {c.id for c in run}
    first = run[0]
    return Draft(
        id=named("subject", first.id),
        address=first.address,
        port=first.port,
        carrier=first.carrier,
        identity=joined(run),
        peer_ids=frozenset(c.peer_id for c in run if c.peer_id),
        intervals=tuple(intervals),
        run=tuple(run),
        crossing_repeats=sum(c.repeats is not None and c.repeats not in inside for c in run),
    )


def _interval(watch: str, claims: list[Contact], policy: Policy) -> Interval | None:
    """The interval of one Watch, at the strongest level that a repeat within the run supports."""
    for torrent_only in (False, True):
        level = [c for c in claims if torrent_only or c.claims_file]
        if _repeats(level, policy):
            from_ns, to_ns = min(c.started_ns for c in level), max(c.ended_ns for c in level)
            return Interval(watch, from_ns, to_ns, torrent_only, tuple(c.id for c in level))
    return None


def _repeats(level: Iterable[Contact], policy: Policy) -> bool:
    """Whether an E2 contact came long enough after the first claim of its level and infohash."""
    firsts: dict[bytes, Contact] = {}
    for each in level:
        first = firsts.setdefault(each.version, each)
        if each.tier is Tier.CLAIMS and each.at_ns - first.at_ns >= policy.least_repeat_ns(each.address):
            return True
    return False


def named(kind: str, *parts: str) -> str:
    """An id that the same evidence always gets: the first 128 bits of SHA-256 over what it rests on."""
    return hashlib.sha256("\x00".join(("clew", kind, *parts)).encode()).hexdigest()[:32]
