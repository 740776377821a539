"""What must stand beside every lead: its caveats, and everything that speaks against it. Sentences for people."""

from clew.attribute.api import NetworkKind
from clew.attribute.beside import Beside
from clew.attribute.endpoints import Address, Endpoint
from clew.attribute.merge import Draft, Merged, in_order
from clew.attribute.where import DAY_NS, Where
from clew.core.tunnels import inside

LIMITS = "insufficient alone to identify a user; possession not tested"
TORRENT_ONLY = (
    "E2, torrent only: pieces of the torrent were claimed, none of them known to lie wholly inside the watched file"
)
ARTEFACTS = "artefacts of exhibits that are stated to belong to it contradict it by both clocks; see: clew corroborate"
ARTEFACTS_BEFORE = (
    "artefacts of exhibits contradicted it when they were last set beside it, but statements or intervals that this "
    "rested on are others by now, or were not kept: whether they still do is not known; see: clew corroborate"
)
SEEN_SHARED = SHARED, PERHAPS_SHARED = "shared address:", "perhaps a shared address:"  # by what was seen there
FOLLOWED = "perhaps a shared address over time:"  # no sign that several use it at once
FOLLOWING = "an update of one program, another port of it, another customer, or several machines"
BY_KIND = {
    NetworkKind.CGNAT: "shared address (carrier-grade NAT): up to thousands of customers at once; ask the provider "
    "with address, port and exact time",
    NetworkKind.MOBILE: "shared address (mobile network, usually behind carrier-grade NAT): ask the provider with "
    "address, port and exact time",
    NetworkKind.HOSTING: "hosting network: may be a rented server, a seedbox or a relay; a shared address is possible",
    NetworkKind.PROXY: "perhaps a shared address (proxy, relay or another anonymising service): the user may be "
    "elsewhere, perhaps in another country; it may run on a customer's own machine without their knowledge",
    NetworkKind.VPN: "shared address (VPN exit): the user is elsewhere, perhaps in another country",
    NetworkKind.TOR: "shared address (Tor exit): the user is elsewhere, perhaps in another country",
    NetworkKind.UNKNOWN: "unknown kind of network: no register says whether this address is shared, a VPN or hosting",
}
KEPT_DAYS = 7  # of who was only listed, or never answered (DESIGN section 1)
FORGOTTEN = (
    f"unknown whether others share this address: it was first seen more than {KEPT_DAYS} days ago, and who was "
    "only listed, or never answered, is forgotten by then"
)


def caveats(
    draft: Draft, place: Where, address: Address | None, beside: Beside, *, torrent_only: bool, now_ns: int
) -> tuple[str, ...]:
    """The caveats of a lead, of what is known at this time; the first is on every one."""
    found = [LIMITS]
    found += [TORRENT_ONLY] if torrent_only else []
    found += [BY_KIND[kind] for kind in place.kinds or (NetworkKind.UNKNOWN,) if kind in BY_KIND]
    found += _tunnelled(draft.address)
    found += _sharing(draft, address, now_ns)
    if beside.prefix:
        found.append(
            f"IPv6: a machine may change its address inside {beside.prefix}; addresses are compared by this /64, never "
            f"merged by it (others in it that answered: {beside.prefix_addresses}). Ask the provider for the prefix too"
        )
    if any(i.torrent_only for i in draft.intervals) and not torrent_only:
        found.append("some of its Watches are E2, torrent only; they are marked and do not raise the rank")
    return tuple(found)


def _tunnelled(address: str) -> list[str]:
    """What an address of a tunnel or translator is, and whom to ask for instead."""
    if (found := inside(address)) is None:
        return []
    whom = f"ask the provider of the IPv4 address inside it, {found}" if found.public else "nobody can be asked for it"
    private = "" if found.public else f" (the IPv4 address inside it, {found}, is of no public network)"
    return [f"an address of {found.how}: no provider of the user's assigned it, nor is its register's; {whom}{private}"]


def _sharing(draft: Draft, address: Address | None, now_ns: int) -> list[str]:
    """What is known of others at its address. That nobody was seen there is no evidence of it."""
    found = []
    if address and (len(address.ports) > 1 or len(address.clients) > 1):
        many = f"{_times(len(address.ports), 'port')} and {_times(len(address.clients), 'client')} answered here"
        if address.in_turn:
            return [f"{SHARED} {many}; several machines, households or customers, or one after another"]
        found.append(f"{FOLLOWED} {many}, each after the one before was gone; {FOLLOWING}")
    if address and (address.silent_ports or address.listed_ports):
        count, told = len(address.silent_ports), len(address.listed_ports)
        parts = [f"{count} did not answer"] if count else []
        parts += [f"{told} not called to an end"] if told else []
        found.append(f"{PERHAPS_SHARED} {_times(count + told, 'other port')} listed here; {', '.join(parts)}")
    elif draft.from_ns < now_ns - KEPT_DAYS * DAY_NS:
        found.append(FORGOTTEN)
    return found


def against(draft: Draft, place: Where, merged: Merged, beside: Beside) -> tuple[str, ...]:
    """Everything known that speaks against a lead, or weakens it."""
    endpoint = merged.endpoints.get((draft.address, draft.port), Endpoint())
    address = merged.addresses.get(draft.address)
    found = [*place.doubts, *beside.contradictions]
    if beside.failed.count:
        found.append(f"{_times(beside.failed.count, 'contact')} with this address and port brought no claim")
    found += map(refused, beside.refused)
    if draft.crossing_repeats:
        found.append(
            f"{_times(draft.crossing_repeats, 'claim')} repeated one from before such a change, which was not counted"
        )
    if not _probed(draft, endpoint):
        found.append(
            f"no control probe of this address and port in plaintext over {draft.carrier} between its first and last "
            "contact: whether this client answers for anything is not known"
        )
    if address and address.promiscuous_ports:
        found.append(
            f"{_times(len(address.promiscuous_ports), 'port')} beside it at this address answered for a random infohash"
        )
    return tuple(found)


def _probed(draft: Draft, endpoint: Endpoint) -> bool:
    """Whether a control probe came between its own contacts: before and after them, others may have been there."""
    probes = {each.id for each in endpoint.probes if each.carrier == draft.carrier}
    ordered = [each.id for each in in_order([*draft.run, *endpoint.probes])]
    return not probes.isdisjoint(ordered[ordered.index(draft.run[0].id) : ordered.index(draft.run[-1].id)])


def refused(line: str) -> str:
    """A refused merge among all else that speaks against a lead."""
    return f"merge refused: {line}"


def _times(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
