"""The kinds of network that registers tell of, in words, as every page says them."""

_WORDS = {
    "isp": "internet provider",
    "mobile": "mobile network",
    "cgnat": "shared by many customers at once (carrier-grade NAT)",
    "hosting": "hosting service",
    "proxy": "proxy, relay or another anonymising service",
    "vpn": "exit of a VPN",
    "tor": "exit of the Tor network",
    "unknown": "unknown",
}


def network_words(kind: str) -> str:
    """A kind (`attribute.api.NetworkKind`) in words; one that this clew does not know as it is."""
    return _WORDS.get(kind, kind)
