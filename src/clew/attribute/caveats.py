"""What must stand beside every lead: its caveats, and everything that speaks against it. Sentences for people."""

from clew.attribute.api import NetworkKind
from clew.attribute.beside import Beside
from clew.attribute.endpoints import Address, Endpoint
from clew.attribute.merge import Draft, Merged
from clew.attribute.where import Where

LIMITS = "insufficient alone to identify a user; possession not tested"
TORRENT_ONLY = (
    "E2, torrent only: pieces of the torrent were claimed, none of them known to lie wholly inside the watched file"
)
ARTEFACTS = "artefacts of exhibits that are stated to belong to it contradict it by both clocks; see: clew corroborate"
BY_KIND = {
    NetworkKind.CGNAT: "shared address (carrier-grade NAT): up to thousands of customers at once; ask the provider "
    "with address, port and exact time",
    NetworkKind.MOBILE: "shared address (mobile network, usually behind carrier-grade NAT): ask the provider with "
    "address, port and exact time",
    NetworkKind.HOSTING: "hosting network: may be a rented server, a seedbox or a relay; a shared address is possible",
    NetworkKind.VPN: "shared address (VPN exit): the user is elsewhere, perhaps in another country",
    NetworkKind.TOR: "shared address (Tor exit): the user is elsewhere, perhaps in another country",
    NetworkKind.UNKNOWN: "unknown kind of network: no register says whether this address is shared, a VPN or hosting",
}


def caveats(draft: Draft, place: Where, address: Address | None, beside: Beside, torrent_only: bool) -> tuple[str, ...]:
    """The caveats of a lead; the first is on every one."""
    found = [LIMITS]
    found += [TORRENT_ONLY] if torrent_only else []
    found += [BY_KIND[kind] for kind in place.kinds or (NetworkKind.UNKNOWN,) if kind in BY_KIND]
    if address and (len(address.ports) > 1 or len(address.clients) > 1):
        found.append(
            f"shared address: {_times(len(address.ports), 'port')} and {_times(len(address.clients), 'client')} "
            "answered here; several machines, households or customers, or one after another"
        )
    elif address and address.silent_ports:
        found.append(
            f"perhaps a shared address: {_times(len(address.silent_ports), 'other port')} listed here did not answer"
        )
    if beside.prefix:
        found.append(
            f"IPv6: a machine may change its address inside {beside.prefix}; addresses are compared by this /64, never "
            f"merged by it (others in it that answered: {beside.prefix_addresses}). Ask the provider for the prefix too"
        )
    if any(i.torrent_only for i in draft.intervals) and not torrent_only:
        found.append("some of its Watches are E2, torrent only; they are marked and do not raise the rank")
    return tuple(found)


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
    if not endpoint.control_probes:
        found.append("no control probe of this address and port: whether it answers for anything is not known")
    if address and address.promiscuous_ports:
        found.append(
            f"{_times(len(address.promiscuous_ports), 'port')} beside it at this address answered for a random infohash"
        )
    return tuple(found)


def refused(line: str) -> str:
    """A refused merge among all else that speaks against a lead."""
    return f"merge refused: {line}"


def _times(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
