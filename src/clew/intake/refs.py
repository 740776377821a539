"""How an Item is named so that it can be reopened: one line of printable ASCII, and an id made of it."""

import hashlib

MEMBER = "!"  # stands before each member's path in the ref of what lies in an archive, and nowhere else in a ref
_PLAIN = frozenset(range(0x21, 0x7F)) - frozenset(b"%!")


def quote(raw: bytes) -> str:
    """Raw bytes as printable ASCII: anything else, blanks, "%" and "!" become %XX."""
    return "".join(chr(byte) if byte in _PLAIN else f"%{byte:02X}" for byte in raw)


def unquote(text: str) -> bytes:
    """What `quote` was given. Raises ValueError for what `quote` does not make."""
    first, *rest = text.split("%")
    return first.encode("ascii") + b"".join(bytes.fromhex(part[:2]) + part[2:].encode("ascii") for part in rest)


def item_id(exhibit: str, ref: str) -> str:
    """The Item's id: the same for the same place of the same Exhibit, so that a resumed run cannot list it twice."""
    return hashlib.sha256(f"{exhibit}\n{ref}".encode()).hexdigest()[:32]


def member_ref(archive: str, path: bytes, number: int) -> str:
    """The ref of a member: its archive's, its path, and its number there, as names may occur twice."""
    return f"{archive}{MEMBER}{quote(path)}#{number}"


def chain_of(ref: str) -> tuple[list[str], list[int]]:
    """The refs of the archives that an Item lies in, outermost first, and each one's number of what is next on the
    way; nothing for what lies in none.
    """
    first, *steps = ref.split(MEMBER)
    around = [first]
    for step in steps:
        around.append(f"{around[-1]}{MEMBER}{step}")
    return around[:-1], [int(step.rpartition("#")[2]) for step in steps]
