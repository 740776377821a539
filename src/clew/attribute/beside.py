"""What stands beside a lead: claims that shrink, clients that take turns, refused merges, contacts that failed.

Contact and claim are separate facts: how often an endpoint was reached is said apart from what it claimed. Each is a
sentence with its times; no more than `MOST` of a kind are spelled out, and how many there were is always said.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from clew.attribute.endpoints import CLIENT, SILENCE, Cut, Endpoint
from clew.attribute.evidence import Contact
from clew.attribute.identity import A_CHANGE, AN_UPDATE, identity, in_turn, name_of, names
from clew.attribute.merge import HOUR_NS, Draft, Merged
from clew.attribute.prefix import household
from clew.core import clock
from clew.model import Claim

MOST = 5
Words = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Failed:
    """Contacts with one address and port that brought no claim. A failed contact is no contradiction of a claim."""

    count: int = 0
    reasons: tuple[tuple[str, int], ...] = ()
    first_ns: int | None = None
    last_ns: int | None = None


@dataclass(frozen=True, slots=True)
class Beside:
    """All of it, of one lead. `contacts`: how many answered; `transports`: as negotiated, with how many contacts.

    `prefix` is the IPv6 /64 of its address, `prefix_addresses` how many others in it answered.
    """

    contradictions: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    failed: Failed = Failed()
    contacts: int = 0
    transports: tuple[tuple[str, int], ...] = ()
    prefix: str | None = None
    prefix_addresses: int = 0


def beside(draft: Draft, merged: Merged, labels: Mapping[str, str], words: Words) -> Beside:
    """Of one Subject in the making; `labels` are those of Watches by id.

    Peers choose how they are called, so every sentence goes through `words` (`masked.Masked`).
    """
    endpoint = merged.endpoints.get((draft.address, draft.port), Endpoint())
    mine = [each for each in endpoint.answered if each.carrier == draft.carrier]
    prefix = household(draft.address)
    return Beside(
        contradictions=tuple(map(words, contradictions(draft, endpoint, labels))),
        refused=tuple(map(words, refused_merges(draft, endpoint))),
        failed=failed(endpoint, words),
        contacts=len(mine),
        transports=tuple(sorted(Counter(each.transport for each in mine).items())),
        prefix=prefix,
        prefix_addresses=len(merged.prefixes.get(prefix, frozenset()) - {draft.address}) if prefix else 0,
    )


def failed(endpoint: Endpoint, words: Words) -> Failed:
    """How many, why, and from when to when."""
    if not endpoint.failed:
        return Failed()
    reasons = Counter(words(f"{each.carrier}: {_why(each)}") for each in endpoint.failed)
    times = [each.started_ns for each in endpoint.failed]
    return Failed(len(endpoint.failed), tuple(sorted(reasons.items())), min(times), max(times))


def _why(contact: Contact) -> str:
    return ": ".join(part for part in (contact.missing, contact.missing_detail) if part) or "answered nothing"


def contradictions(draft: Draft, endpoint: Endpoint, labels: Mapping[str, str]) -> tuple[str, ...]:
    """What its own contacts say against it: `labels` are those of Watches by id."""
    return (*_first(shrinking(draft.run, labels), "claims of fewer pieces"), *_two_clients(draft, endpoint))


def refused_merges(draft: Draft, endpoint: Endpoint) -> tuple[str, ...]:
    """Why runs of contacts at its address and port were not made one Subject; those of its own carrier."""
    mine = [cut for cut in endpoint.cuts if cut.carrier == draft.carrier]
    turns = bool(mine) and in_turn(identity(each) for each in endpoint.answered if each.carrier == draft.carrier)
    return tuple(_first((_refused(cut, turns=turns) for cut in mine), "refused merges"))


def _first(sentences: Iterator[str], what: str) -> list[str]:
    found = list(sentences)
    return found[:MOST] + ([f"{len(found)} {what} in all, {MOST} shown"] if len(found) > MOST else [])


def shrinking(run: Sequence[Contact], labels: Mapping[str, str]) -> Iterator[str]:
    """Each time that these contacts, in order, claimed fewer pieces of a Watch than before, or none any more.

    A download does not do that.
    Claims are compared only where they are about the same torrent: the twins of a hybrid number their pieces apart
    (BEP 52). All of a number that nobody knows (have_all without a piece map) is neither more nor fewer.
    """
    told = [c for c in run if _pieces(c) is not None]
    for watch, version in sorted({(c.watch, c.version) for c in told}):
        same = [c for c in told if (c.watch, c.version) == (watch, version)]
        for before, after in pairwise(same):
            if fewer := _fewer(before, after):
                yield (
                    f"a claim of {labels.get(watch, watch)} shrank: {fewer[0]} at {clock.iso(before.started_ns)}, "
                    f"{fewer[1]} at {clock.iso(after.started_ns)}, which a download does not do; lost or checked data, "
                    "a claim made up, super-seeding (BEP 16), or pieces that a bitfield left out and that were named "
                    f"after the contact could{_broke_off(after)}"
                )


def _pieces(contact: Contact) -> int | None:
    """How many pieces of the torrent it claimed; None where it said nothing, or all of an unknown number."""
    if contact.claim is Claim.NOTHING_SAID:
        return None
    return 0 if contact.claim is Claim.NONE else contact.pieces_claimed


def _fewer(before: Contact, after: Contact) -> tuple[str, str] | None:
    """Both claims in words, where the later one is of fewer pieces of the torrent or of the watched file."""
    torrent = [_pieces(c) or 0 for c in (before, after)]
    inside = [0 if c.claim is Claim.NONE else c.inner_claimed or 0 for c in (before, after)]
    if torrent[1] >= torrent[0] and inside[1] >= inside[0]:
        return None
    of = f" of {before.pieces_total}" if before.pieces_total else ""
    words = [f"{all_}{of} pieces, {inner} inside the file" for all_, inner in zip(torrent, inside, strict=True)]
    return words[0], words[1]


def _broke_off(contact: Contact) -> str:
    return f" (the later contact broke off: {_why(contact)})" if contact.missing else ""


def _two_clients(draft: Draft, endpoint: Endpoint) -> list[str]:
    """Another client at the same address and port while this one was there, over whatever carrier."""
    told = [(c, identity(c)) for c in endpoint.answered]
    mine = [*draft.run, *(c for c, i in told if draft.identity.shares(i) and not draft.identity.contradicts(i))]
    from_ns, to_ns = min(c.at_ns for c in mine), max(c.until_ns for c in mine)
    others = [c for c, i in told if draft.identity.contradicts(i) and c.until_ns >= from_ns and c.at_ns <= to_ns]
    if not others:
        return []
    clients = sorted(names(identity(c) for c in others))
    at = f"{clock.iso(others[0].started_ns)} to {clock.iso(max(c.ended_ns for c in others))}"
    return [
        f"two clients at one address and port at once, or in turn: {name_of(draft.identity)}, and between "
        f"its first and last contact {', '.join(clients[:MOST])} ({at}; contacts: {len(others)})"
    ]


def _refused(cut: Cut, *, turns: bool) -> str:
    """`turns`: clients were there again after another one, which a program that was updated is not."""
    when = f"{clock.iso(cut.before_ns)} and {clock.iso(cut.after_ns)}"
    if cut.kind == CLIENT:
        before, after = name_of(cut.before), name_of(cut.after)
        why = A_CHANGE if turns or not cut.before.updates(cut.after) else AN_UPDATE
        return f"between {when} the client changed from {before} to {after}: {why}"
    if cut.silent_ns is None:
        return (
            f"between {when} the observer's machine was started again with its clock behind: for how long it was not "
            "heard is not known, so it is not held for the same one"
        )
    if cut.kind == SILENCE:
        hours = cut.silent_ns / HOUR_NS
        return f"between {when} it was not heard for {hours:.1f} hours: too long to be held for the same one"
    return f"between {when} a contact told too little of its client to belong to either side"
