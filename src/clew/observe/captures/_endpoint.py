"""Endpoints as captures have them: raw addresses, and lists of them in compact form (BEP 23, BEP 7, BEP 5, BEP 32)."""

import ipaddress
from functools import lru_cache

V4_BYTES, V6_BYTES, PORT_BYTES = 4, 16, 2


@lru_cache(maxsize=4_096)
def text(address: bytes) -> str:
    """An address (4 or 16 bytes) as it is written."""
    return str(ipaddress.ip_address(address))


def place(address: bytes, port: int) -> str:
    """Address and port as they are written in a URL."""
    return f"[{text(address)}]:{port}" if len(address) == V6_BYTES else f"{text(address)}:{port}"


def compact(data: bytes) -> tuple[bytes, int] | None:
    """One endpoint in compact form, 6 or 18 bytes; None where it is none, or has port 0."""
    if len(data) - PORT_BYTES not in (V4_BYTES, V6_BYTES):
        return None
    port = int.from_bytes(data[-PORT_BYTES:], "big")
    return (data[:-PORT_BYTES], port) if port else None
