"""What was seen at an address and port, and at an address, besides its Subjects: it stands beside every lead there."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from clew.attribute.evidence import Contact
from clew.attribute.identity import Identity, identity, in_turn, names
from clew.attribute.prefix import household
from clew.model import SightingKind

Place = tuple[str, int]
CLIENT, SILENCE, UNTIMED, UNCLEAR = "client", "silence", "untimed", "unclear"


@dataclass(frozen=True, slots=True)
class Cut:
    """Where two runs of contacts at one endpoint were not merged. `kind` is CLIENT, SILENCE, UNTIMED or UNCLEAR.

    `before_ns` is the end of the last contact before it, `after_ns` the start of the first one behind it, in UTC;
    `silent_ns` is the time between them, None where nobody knows it.
    """

    kind: str
    carrier: str
    before_ns: int
    after_ns: int
    silent_ns: int | None
    before: Identity
    after: Identity


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One address and port, over all carriers. `failed` are contacts that brought no claim because of a Missing.

    `probes` are the control probes that decided something: in plaintext, since over MSE nobody can answer one.
    """

    answered: tuple[Contact, ...] = ()
    failed: tuple[Contact, ...] = ()
    cuts: tuple[Cut, ...] = ()
    probes: tuple[Contact, ...] = ()


@dataclass(frozen=True, slots=True)
class Address:
    """Everything known of one address: signs that several people share it.

    `silent_ports` were called and never answered: somebody else may be there whom we could not reach. Of `listed_ports`
    no finished call is kept: they were not called yet, might not be, or their calls were cut off. That is hearsay, and
    silence is no evidence of absence. `in_turn` is False where each port and client was there after the one before it
    was gone: its port gave no answer any more, or another client does at it, and none of them was ever there again.
    """

    ports: frozenset[int]
    silent_ports: frozenset[int]
    listed_ports: frozenset[int]
    clients: frozenset[str]
    promiscuous_ports: frozenset[int]
    in_turn: bool


@dataclass(slots=True)
class _Port:
    """Contacts with one port by their place in the order: the first and last that answered, the last that did not."""

    first: int
    last: int = -1
    failed: int = -1
    told: list[Identity] = field(default_factory=list)


@dataclass(slots=True)
class _Seen:
    answered: list[Contact] = field(default_factory=list)
    failed: list[Contact] = field(default_factory=list)
    probes: list[Contact] = field(default_factory=list)


def cuts(parts: Sequence[Sequence[Contact]], max_gap_ns: int) -> list[Cut]:
    """Why the neighbouring runs of one address, port and carrier, in order of time, are not one."""
    found = []
    for before, after in pairwise(parts):
        mine, yours = joined(before), joined(after)
        last, first = before[-1], after[0]
        silent_ns = silence_ns(last, first)
        if mine.contradicts(yours):
            kind = CLIENT
        elif silent_ns is None:
            kind = UNTIMED
        else:
            kind = SILENCE if silent_ns > max_gap_ns else UNCLEAR
        found.append(Cut(kind, first.carrier, last.ended_ns, first.started_ns, silent_ns, mine, yours))
    return found


def silence_ns(before: Contact, after: Contact) -> int | None:
    """How long nobody was heard between two contacts in order; None where a restart with a clock behind hides it.

    The longer of what both clocks say: after a virtual machine was paused UTC alone, once it is set right, tells of it.
    """
    if after.number != before.number and after.at_ns < before.at_ns:
        return None
    return max(after.at_ns - before.until_ns, after.started_ns - before.ended_ns)


def joined(run: Sequence[Contact]) -> Identity:
    """What the contacts of one run together tell of their client."""
    told = identity(run[0])
    for each in run[1:]:
        told = told.joined(identity(each))
    return told


def endpoints(ordered: Iterable[Contact], cut: Mapping[Place, Sequence[Cut]]) -> dict[Place, Endpoint]:
    """By address and port."""
    seen: dict[Place, _Seen] = defaultdict(_Seen)
    for each in ordered:
        here = seen[each.address, each.port]
        if each.kind is SightingKind.CONTROL:
            if each.missing is None and each.transport == each.carrier:
                here.probes.append(each)
            continue
        if each.answered:
            here.answered.append(each)
        if not each.answered or (each.missing is not None and not each.claims_pieces):
            here.failed.append(each)
    return {
        place: Endpoint(tuple(here.answered), tuple(here.failed), tuple(cut.get(place, ())), tuple(here.probes))
        for place, here in seen.items()
    }


def addresses(
    ordered: Iterable[Contact], promiscuous: Iterable[Place], listed: Iterable[Place] = ()
) -> dict[str, Address]:
    """By address alone. A port that answered for a random infohash has answered too."""
    ports: dict[str, set[int]] = defaultdict(set)
    called: dict[str, set[int]] = defaultdict(set)
    clients: dict[str, set[Identity]] = defaultdict(set)
    times: dict[str, dict[int, _Port]] = defaultdict(dict)
    for n, each in enumerate(ordered):
        if each.kind is SightingKind.CONTACT:
            called[each.address].add(each.port)
        if each.answered:
            ports[each.address].add(each.port)
            clients[each.address].add(mine := identity(each))
            here = times[each.address].get(each.port) or times[each.address].setdefault(each.port, _Port(n))
            here.last = n
            if not here.told or here.told[-1] != mine:
                here.told.append(mine)
        elif each.kind is SightingKind.CONTACT and each.port in ports.get(each.address, ()):
            times[each.address][each.port].failed = n
    bad: dict[str, set[int]] = defaultdict(set)
    for address, port in promiscuous:
        bad[address].add(port)
        ports[address].add(port)
    told: dict[str, set[int]] = defaultdict(set)
    for address, port in listed:
        if address in ports:
            told[address].add(port)
    return {
        address: Address(
            frozenset(ports[address]),
            frozenset(called[address] - ports[address]),
            frozenset(told[address] - called[address] - ports[address]),
            names(clients[address]),
            frozenset(bad[address]),
            bool(bad[address]) or _in_turn(list(times[address].values())),
        )
        for address in ports
    }


def _in_turn(ports: Sequence[_Port]) -> bool:
    """Whether ports of one address, in order of their first answers, or clients at one of them may have taken turns."""
    gone = all(here.last < after.first and here.last < here.failed for here, after in pairwise(ports))
    return not gone or any(in_turn(here.told) for here in ports)


def prefixes(ordered: Iterable[Contact]) -> dict[str, frozenset[str]]:
    """The IPv6 addresses that answered, by the /64 they lie in."""
    found: dict[str, set[str]] = defaultdict(set)
    for each in ordered:
        if each.answered and (prefix := household(each.address)):
            found[prefix].add(each.address)
    return {prefix: frozenset(inside) for prefix, inside in found.items()}
