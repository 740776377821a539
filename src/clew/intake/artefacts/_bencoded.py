"""The outermost dictionary of a bencoded artefact, gone through once per Probe for all that look at it."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from clew.core import bencode
from clew.intake.api import Probe
from clew.intake.artefacts._artefact import head, whole

KEY = "clew.intake.artefacts._bencoded"
LIMITS = bencode.Limits(depth=128, values=2_000_000)  # a torrent of 100,000 files has 700,000
BEGINS = re.compile(rb"d(?:e|[0-9]{1,6}:)")
_KEY = re.compile(rb"([0-9]{1,6}):")


@dataclass(slots=True)
class Scan:
    """What a dictionary holds: integers and strings with their places in `data`; of containers the place alone.

    It begins at `start`. `end` is the byte after all that was understood; `broken` says why it ends there and not at
    the dictionary's own end, `begun` which key was in hand then. `gap` says what was left out before that.
    """

    data: bytes
    found: dict[bytes, tuple[Any, slice]] = field(default_factory=dict)
    start: int = 0
    end: int = 1
    broken: bencode.Malformed | None = None
    begun: bytes = b""
    gap: str = ""

    def place(self, key: bytes) -> slice | None:
        """Where the value of that key stands; None where there is no such key."""
        return self.found[key][1] if key in self.found else None

    def lost(self) -> str:
        """In words what could not be read; empty where all could."""
        if self.broken is None:
            return self.gap
        rest = f"from byte {self.end:,} on nothing was read, since at byte {self.broken.at:,}: {self.broken}"
        return f"{self.gap}; {rest}" if self.gap else rest


def scan(probe: Probe) -> Scan | None:
    """The Scan; None for what is no bencoded dictionary. Raises Absent where it begins like one and is too large."""
    if not BEGINS.match(head(probe)):
        return None
    found = probe.cache.get(KEY)
    if not isinstance(found, Scan):
        found = probe.cache[KEY] = _scan(whole(probe))
    return found


def inside(data: bytes, place: slice) -> dict[bytes, tuple[Any, slice]]:
    """The members of a dictionary inside, with their places in the whole. Raises bencode.Malformed."""
    return {key: (value, where) for key, value, where in bencode.members(data, place.start, LIMITS)}


def packed(data: bytes, place: slice) -> Scan:
    """The dictionary that is bencoded in that stretch, and ends in it; its places are those in the whole."""
    at, part = place.start, _scan(data[place])
    found = {key: (value, slice(at + where.start, at + where.stop)) for key, (value, where) in part.found.items()}
    broken = part.broken and bencode.Malformed(str(part.broken), at + part.broken.at)
    return Scan(data, found, at, at + part.end, broken, part.begun)


def onward(found: Scan, begins: Iterable[bytes]) -> Scan | None:
    """What can be read of a broken one from the first place on where a member begins with one of these bytes, and what
    was read before that. None where nothing can, or where nothing is broken.
    """
    if found.broken is None:
        return None
    for at in sorted(found.data.find(each, 1) for each in begins):
        part = _scan(b"d" + found.data[at:]) if at > 0 else None
        if part is None or not part.found:
            continue
        before = {key: each for key, each in found.found.items() if each[1].stop <= at}  # a wrong length swallows more
        behind = {key: (value, slice(p.start + at - 1, p.stop + at - 1)) for key, (value, p) in part.found.items()}
        ends = max((place.stop for _, place in before.values()), default=1)
        gap = f"bytes {ends:,} to {at:,} were not read, since at byte {found.broken.at:,}: {found.broken}"
        broken = part.broken and bencode.Malformed(str(part.broken), part.broken.at + at - 1)
        return Scan(found.data, behind | before, found.start, part.end + at - 1, broken, part.begun, gap)
    return None


def _scan(data: bytes) -> Scan:
    result = Scan(data)
    try:
        for key, value, place in bencode.members(data, 0, LIMITS):
            result.found[key] = (value if isinstance(value, int | bytes) else None, place)
            result.end = place.stop
        result.end += 1
    except bencode.Malformed as broken:
        result.broken = broken
        begun = _KEY.match(data, result.end)
        result.begun = data[begun.end() : begun.end() + int(begun[1])] if begun else b""
    return result
