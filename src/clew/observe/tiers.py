"""How a claim becomes a tier (DESIGN section 1): decided here and nowhere else, also when a sighting is replayed."""

import sys

from clew.model import Claim, Missing, Reason, Tier
from clew.observe.api import Contact, turned_away
from clew.observe.endpoints import Endpoint

LEVELS = {Claim.TORRENT_ONLY: 1, Claim.WATCHED_FILE: 2}


def weigh(
    endpoint: Endpoint,
    contact: Contact,
    sighting: str,
    at_ns: int,
    interval_ns: int,
    carried_by: str,
    *,
    twin: bool,
) -> tuple[Tier, str | None]:
    """The tier of one contact, and the claim that it repeats; notes a first claim in `endpoint`.

    A claim counts as repeated only if the earlier one lies at least the interval back, came over the same carrier
    (behind one address TCP and UDP may be different machines) and from the same client as far as both told, was about
    the same infohash (`twin`: the v2 one, which numbers its pieces apart) and claimed at least as much. Any other claim
    is a first claim again.
    """
    if not contact.answered:
        return Tier.LISTED, None
    level = LEVELS.get(contact.claim, 0)
    if not level:
        return Tier.ANSWERED, None
    endpoint.claims += 1
    known = LEVELS[Claim(endpoint.first_level)] if endpoint.first_level else 0
    client, first = _client(contact), _held(endpoint.first_client)
    other = any(mine and yours and mine != yours for mine, yours in zip(client, first, strict=True))
    other = other or endpoint.first_carrier not in (None, carried_by) or endpoint.first_twin not in (None, twin)
    if other or level > known or endpoint.first_claim_ns is None or at_ns < endpoint.first_claim_ns:
        endpoint.first_claim, endpoint.first_claim_ns = sighting, at_ns
        endpoint.first_level, endpoint.first_client = contact.claim.value, _words(client)
        endpoint.first_carrier, endpoint.first_twin = carried_by, int(twin)
        return Tier.ANSWERED, None
    endpoint.first_client = _words((client[0] or first[0], client[1] or first[1]))
    if at_ns - endpoint.first_claim_ns < interval_ns:
        return Tier.ANSWERED, None
    return Tier.CLAIMS, endpoint.first_claim


def about_twin(contact: Contact, sent: bytes, *, sent_twin: bool) -> bool:
    """Whether what was said is about the v2 twin: a peer may answer with the infohash that was not sent (BEP 52)."""
    return sent_twin != (contact.infohash_echoed not in (None, sent))


def undecided(contact: Contact) -> Missing | None:
    """Why a control probe decides nothing: it may not have been heard at all. None where it does decide."""
    missing = contact.missing
    if contact.infohash_echoed is not None or missing is None:
        return None
    unheard = contact.shut or turned_away(missing)
    slow = missing.reason is Reason.LIMIT_REACHED
    stopped = missing.reason is Reason.INTERRUPTED and not contact.answered
    return missing if unheard or slow or stopped else None


def _client(contact: Contact) -> tuple[str, str]:
    """What stays with a client over its connections: the prefix of its peer id (BEP 20, any style), and its name."""
    return _told(contact.peer_id[:8].hex() if contact.peer_id else "", (contact.client or "").strip())


def _held(words: str | None) -> tuple[str, str]:
    """A client as `_words` has it."""
    prefix, _, name = (words or "").partition(" ")
    return _told(prefix, name)


def _told(prefix: str, name: str) -> tuple[str, str]:
    """Without a name that is the prefix itself: so it stands where no extension handshake was read."""
    return prefix, name if name.encode("latin-1", "replace").hex() != prefix else ""


def _words(client: tuple[str, str]) -> str | None:
    return sys.intern(" ".join(client).rstrip()) or None  # the same of thousands of endpoints
