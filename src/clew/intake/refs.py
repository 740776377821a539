"""How an Item is named so that it can be reopened: one line of printable ASCII, and an id made of it."""

import hashlib

_PLAIN = frozenset(range(0x21, 0x7F)) - frozenset(b"%")


def quote(raw: bytes) -> str:
    """Raw bytes as printable ASCII: anything else, blanks and "%" become %XX."""
    return "".join(chr(byte) if byte in _PLAIN else f"%{byte:02X}" for byte in raw)


def unquote(text: str) -> bytes:
    """What `quote` was given. Raises ValueError for what `quote` does not make."""
    first, *rest = text.split("%")
    return first.encode("ascii") + b"".join(bytes.fromhex(part[:2]) + part[2:].encode("ascii") for part in rest)


def item_id(exhibit: str, ref: str) -> str:
    """The Item's id: the same for the same place of the same Exhibit, so that a resumed run cannot list it twice."""
    return hashlib.sha256(f"{exhibit}\n{ref}".encode()).hexdigest()[:32]
