"""Ids of DHT nodes: how far apart they are (BEP 5), and whether one fits its node's address (BEP 42)."""

import ipaddress

ID_BYTES = 20
# BEP 42, "Node ID restriction": what counts of an address (of IPv6 its upper half), and how many bits fit.
MASKS = {4: bytes.fromhex("030f3fff"), 6: bytes.fromhex("0103070f1f3f7fff")}
FITTING_BITS = 21
# BEP 42, "Enforcement": addresses that are exempt. IPv6's own are not named there; the same kinds are exempt.
EXEMPT = tuple(
    ipaddress.ip_network(each)
    for each in (
        "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "127.0.0.0/8", "::1/128", "fe80::/10",
        "fc00::/7",
    )
)  # fmt: skip
CRC32C = 0x82F63B78  # Castagnoli's polynomial, RFC 3720 appendix B.4, bits reversed


def distance(one: bytes, other: bytes) -> int:
    """How far apart two ids or infohashes are: their bits that differ, as a number (BEP 5, "Overview")."""
    return int.from_bytes(one, "big") ^ int.from_bytes(other, "big")


def fits(node_id: bytes, address: str) -> bool:
    """Whether a node at this address may have this id (BEP 42). True for addresses that are exempt."""
    place = ipaddress.ip_address(address)
    if any(place in network for network in EXEMPT):
        return True
    masked = bytearray(byte & mask for byte, mask in zip(place.packed, MASKS[place.version], strict=False))
    masked[0] |= (node_id[-1] & 7) << 5
    return (crc32c(bytes(masked)) ^ int.from_bytes(node_id[:4], "big")) >> (32 - FITTING_BITS) == 0


def crc32c(data: bytes) -> int:
    """CRC-32C of a few bytes (RFC 3720, appendix B.4)."""
    value = 0xFFFFFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (CRC32C if value & 1 else 0)
    return value ^ 0xFFFFFFFF
