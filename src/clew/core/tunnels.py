"""IPv6 addresses with an IPv4 address inside: of a tunnel or a translator, and so of no provider of the user's.

Whoever assigns such a prefix, or runs a relay for it, knows no user of it; the IPv4 address inside is the user's.
"""

import ipaddress
from dataclasses import dataclass

NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052, 2.1


@dataclass(frozen=True, slots=True)
class Inside:
    """The IPv4 address inside, and, of Teredo, the UDP port at it; `how` it is carried, by its name and RFC."""

    how: str
    address: str
    port: int | None = None

    @property
    def public(self) -> bool:
        """Whether a provider assigns it: one of a private network, or of many, names nobody."""
        found = ipaddress.ip_address(self.address)
        return found.is_global and not found.is_multicast

    def __str__(self) -> str:
        """For people."""
        return self.address if self.port is None else f"{self.address}, UDP port {self.port}"


def inside(address: str) -> Inside | None:
    """What this address has inside; None for all others, and for what is no address."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return None
    if isinstance(parsed, ipaddress.IPv4Address):
        return None
    if parsed.teredo is not None:  # the port and the address have all their bits turned (RFC 4380, 4)
        return Inside("Teredo (RFC 4380)", str(parsed.teredo[1]), int(parsed) >> 32 & 0xFFFF ^ 0xFFFF)
    if parsed.sixtofour is not None:
        return Inside("6to4 (RFC 3056)", str(parsed.sixtofour))
    if parsed in NAT64:
        return Inside("NAT64 (RFC 6052)", str(ipaddress.IPv4Address(int(parsed) & 0xFFFFFFFF)))
    return None


def leads_to(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """Where packets to this address end: at the IPv4 address inside, where there is one. Raises ValueError."""
    return ipaddress.ip_address(found.address if (found := inside(address)) else address)
