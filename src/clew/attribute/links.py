"""Possible links between Subjects: shown to people, never counted, never exported as one Subject.

Each group of Subjects that share something is linked in order of time, one to the next, so that a thousand Subjects
behind one address make a thousand links and not half a million.
"""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from clew.attribute.identity import A_CHANGE, AN_UPDATE, in_turn
from clew.attribute.merge import HOUR_NS, Draft
from clew.attribute.prefix import household

MAX_MOVE_NS = 72 * HOUR_NS


@dataclass(frozen=True, slots=True, order=True)
class PossibleLink:
    """Two Subjects (the smaller id first) and why they may belong together."""

    first: str
    second: str
    why: str


def possible_links(drafts: Sequence[Draft]) -> list[PossibleLink]:
    """Every possible link, sorted, each once."""
    by_place = {*_same_endpoint(drafts), *_same_address(drafts), *_same_prefix(drafts)}
    return sorted({*by_place, *_same_peer_id(drafts), *_moved(drafts)})


def _groups(drafts: Sequence[Draft], key: Callable[[Draft], Hashable]) -> Iterator[tuple[Draft, Draft]]:
    """Neighbours in time within each group of equal key."""
    groups: dict[Hashable, list[Draft]] = defaultdict(list)
    for draft in drafts:
        groups[key(draft)].append(draft)
    for group in groups.values():
        yield from pairwise(sorted(group, key=lambda d: (d.from_ns, d.id)))


def _link(one: Draft, other: Draft, why: str) -> PossibleLink:
    first, second = sorted((one.id, other.id))
    return PossibleLink(first, second, why)


def _same_endpoint(drafts: Sequence[Draft]) -> Iterator[PossibleLink]:
    there: dict[Hashable, list[Draft]] = defaultdict(list)
    for draft in sorted(drafts, key=lambda d: (d.from_ns, d.id)):
        there[draft.address, draft.port, draft.carrier].append(draft)
    turns = {place for place, here in there.items() if in_turn(each.identity for each in here)}
    for one, other in _groups(drafts, lambda d: (d.address, d.port)):
        if one.carrier != other.carrier:
            differ = one.identity.contradicts(other.identity)
            why = "same address and port over the other carrier (TCP and uTP)" + (", but another client" * differ)
        elif one.identity.contradicts(other.identity):
            updated = one.identity.updates(other.identity) and (one.address, one.port, one.carrier) not in turns
            which = f"another version of its client: {AN_UPDATE}" if updated else f"another client: {A_CHANGE}"
            why = f"same address, port and carrier, but {which}"
        else:
            why = "same address, port, carrier and client after a silence or a restart, or across an unclear contact"
        yield _link(one, other, why)


def _same_address(drafts: Sequence[Draft]) -> Iterator[PossibleLink]:
    for one, other in _groups(drafts, lambda d: d.address):
        if one.port != other.port:
            yield _link(one, other, "same address, another port: one household or thousands of customers")


def _same_prefix(drafts: Sequence[Draft]) -> Iterator[PossibleLink]:
    """IPv6 alone: the same client elsewhere in one /64, where a machine changes its address by itself (RFC 8981)."""
    placed = [draft for draft in drafts if household(draft.address) is not None]
    for one, other in _groups(placed, lambda d: (household(d.address), d.identity)):
        if one.address != other.address:
            why = (
                f"same client at another address of the same IPv6 prefix {household(one.address)}: one line by common "
                "practice, perhaps one machine with temporary addresses, perhaps several"
            )
            yield _link(one, other, why)


def _same_peer_id(drafts: Sequence[Draft]) -> Iterator[PossibleLink]:
    holders: dict[bytes, list[Draft]] = defaultdict(list)
    for draft in drafts:
        for peer_id in draft.peer_ids:
            holders[peer_id].append(draft)
    for group in holders.values():
        for one, other in pairwise(sorted(group, key=lambda d: (d.from_ns, d.id))):
            if one.address != other.address:
                yield _link(one, other, "same full peer-id at another address (a peer-id can be copied)")


def _moved(drafts: Sequence[Draft]) -> Iterator[PossibleLink]:
    """Same client, port and Watches at another address, the one ending before the other begins."""
    for one, other in _groups(drafts, lambda d: (d.identity, d.port, d.carrier, d.watches)):
        if one.address != other.address and 0 <= other.from_ns - one.to_ns <= MAX_MOVE_NS:
            yield _link(one, other, "same client, port and Watches at another address afterwards: an address change?")
