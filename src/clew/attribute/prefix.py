"""The IPv6 prefix by which addresses are compared: never merged by it, only linked, and named to the provider."""

import ipaddress

from clew.core.tunnels import inside

HOUSEHOLD = 64  # one link is a /64 (RFC 4291 section 2.5.4, RFC 7421); a customer has one or more (RFC 6177)


def household(address: str) -> str | None:
    """The /64 that an IPv6 address lies in; None for IPv4, and for what is no address.

    None too of Teredo and NAT64, whose /64 holds everybody behind one server or translator, and no household.

    Inside it a machine chooses its own address and may change it daily (RFC 8981), so a provider assigns, and can look
    up, the prefix.
    """
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return None
    if isinstance(parsed, ipaddress.IPv4Address) or (inside(address) and not parsed.sixtofour):
        return None
    return str(ipaddress.ip_network((int(parsed), HOUSEHOLD), strict=False))
