"""What a contact tells of the client behind it: never who, only which program."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from clew.attribute.evidence import Contact

AZUREUS = re.compile(rb"-[A-Za-z~]{2}[0-9A-Za-z.]{4}-")  # BEP 20
MAINLINE = re.compile(rb"[A-Z]\d{1,3}(?:-\d{1,3}){2}-?-")  # BEP 20
MOST_LETTERS = 80
MOST_VERSIONS = 50  # of one program in a row that are compared; more clients than that are held for some in turn
A_CHANGE = "a reassignment, or several machines"  # of the client at one address and port
AN_UPDATE = f"an update of the same program, {A_CHANGE}"


@dataclass(frozen=True, slots=True)
class Identity:
    """The client string of the extension handshake (BEP 10) and the client prefix of the peer-id (BEP 20)."""

    client: str | None
    prefix: bytes | None

    def __bool__(self) -> bool:
        return self.client is not None or self.prefix is not None

    def contradicts(self, other: "Identity") -> bool:
        """Whether both tell of the same thing, and differently."""
        return _differ(self.client, other.client) or _differ(self.prefix, other.prefix)

    def updates(self, other: "Identity") -> bool:
        """Whether both tell of one program, in two versions: the same name, and the same letters in the prefix."""
        same = [_name(self.client) == _name(other.client) != ""] if self.client and other.client else []
        same += [_letters(self.prefix) == _letters(other.prefix)] if self.prefix and other.prefix else []
        return self.contradicts(other) and all(same)

    def shares(self, other: "Identity") -> bool:
        """Whether something known is the same on both sides."""
        return (self.client is not None and self.client == other.client) or (
            self.prefix is not None and self.prefix == other.prefix
        )

    def may_be_either(self, mine: "Identity", neighbour: "Identity") -> bool:
        """Whether this tells less than its own run, and nothing against the neighbouring one."""
        less = (self.client is None and mine.client is not None) or (self.prefix is None and mine.prefix is not None)
        return less and not self.contradicts(neighbour)

    def within(self, other: "Identity") -> bool:
        """Whether the other one tells all of this, and more."""
        return self != other and self.client in (None, other.client) and self.prefix in (None, other.prefix)

    def joined(self, other: "Identity") -> "Identity":
        """What both together tell."""
        return Identity(self.client or other.client, self.prefix or other.prefix)


def identity(contact: Contact) -> Identity:
    """What this contact tells of its client.

    Where no extension handshake was read, a Sighting's client is the peer-id's own prefix, which tells nothing further:
    held against the string of a contact where it was read, it would be another client.
    """
    own, client = prefix(contact.peer_id), (contact.client or "").strip()
    said = client and client.encode("latin-1", "replace") != own
    return Identity(client if said else None, own)


def prefix(peer_id: bytes | None) -> bytes | None:
    """The client part of a peer-id in Azureus or mainline style (BEP 20), its first 8 bytes in any other."""
    if not peer_id:
        return None
    found = AZUREUS.match(peer_id) or MAINLINE.match(peer_id)
    return found.group() if found else peer_id[:8]


def in_turn(told: Iterable[Identity]) -> bool:
    """Whether one of these, in order of time, was there again after another that contradicts it, or may have been."""
    gone: list[Identity] = []
    here = Identity(None, None)
    for each in told:
        if here.contradicts(each):
            gone.append(here)
            here = each
            if len(gone) > MOST_VERSIONS or not all(before.contradicts(each) for before in gone):
                return True
        else:
            here = here.joined(each)
    return False


def name_of(told: Identity) -> str:
    """The client in words, as it calls itself, cut where that is long."""
    name = told.client or (told.prefix or b"").decode("ascii", "replace") or "a client that tells nothing of itself"
    return name if len(name) <= MOST_LETTERS else f"{name[:MOST_LETTERS]}…"


def names(told: Iterable[Identity]) -> frozenset[str]:
    """The clients among these in words, each once, whether it told much of itself or little."""
    distinct = {each for each in told if each}
    return frozenset(name_of(each) for each in distinct if not any(each.within(other) for other in distinct))


def _name(client: str) -> str:
    """How a program calls itself: its version begins with the first digit."""
    return re.split(r"\d", client, maxsplit=1)[0].strip()


def _letters(prefix: bytes) -> bytes:
    """Which program a prefix is of, without its version; all of one in neither style."""
    return prefix[1:3] if AZUREUS.match(prefix) else prefix[:1] if MAINLINE.match(prefix) else prefix


def _differ(mine: object, yours: object) -> bool:
    return mine is not None and yours is not None and mine != yours
