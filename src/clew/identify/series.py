"""Series: groups of linked Contents around the one that stands for them.

Each linked picture belongs to the Series of its nearest centre; between two equally near ones, to that of the smaller
SHA-256. A picture that nothing is linked to makes no Series. A link of a further page or picture of a file moves
nothing into a Series: a grade would be handed on, and a file be filed as known, for a picture that nobody sees there.
A label once given stays with its Series: people write it down.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from clew.core.pictures import Pictures
from clew.identify.api import Near


@dataclass(frozen=True, slots=True)
class Group:
    """A Series in the making; `members` maps each Content, the representative among them, to its distance from that."""

    id: str
    representative: bytes
    members: Mapping[bytes, int]


def groups(pictures: Pictures, links: Iterable[Near]) -> list[Group]:
    """The Series, in order of their representatives."""
    nearest: dict[int, tuple[int, int]] = {}
    for link in links:
        if pictures.part[link.centre] or pictures.part[link.member]:
            continue
        claim = (link.distance, link.centre)  # rows of Pictures are in order of SHA-256
        nearest[link.member] = min(nearest.get(link.member, claim), claim)
    members: dict[int, dict[bytes, int]] = {}
    for member, (distance, centre) in sorted(nearest.items()):
        name = pictures.content[centre].tobytes()
        members.setdefault(centre, {name: 0})[pictures.content[member].tobytes()] = distance
    return [_group(pictures.content[centre].tobytes(), held) for centre, held in sorted(members.items())]


def labels(found: Iterable[Group], given: Mapping[str, str]) -> dict[str, str]:
    """Labels by id: those already `given` stay, new Series get the next numbers in order."""
    used = [int(text.removeprefix("S-")) for text in given.values()]
    following = max(used, default=0) + 1
    result = {}
    for group in found:
        if group.id in given:
            result[group.id] = given[group.id]
        else:
            result[group.id] = f"S-{following:04d}"
            following += 1
    return result


def _group(representative: bytes, members: Mapping[bytes, int]) -> Group:
    digest = hashlib.sha256(b"clew\x00series\x00" + representative).hexdigest()
    return Group(digest[:32], representative, members)
