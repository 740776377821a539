"""match's contract: what a reader of known-hash files gives, and what a run says.

A reader streams; it decides nothing. What a HashSet means (alert, known-good, reference) is said by the person who
adds it, and a reader that sees the opposite in the file refuses.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from clew.model import Category, HashSetKind

ALGORITHMS: Mapping[str, int] = {"sha256": 32, "sha1": 20, "md5": 16, "pdq": 32}
EXACT: tuple[str, ...] = ("sha256", "sha1", "md5")
FAST_MARGIN = 10
MOST_PARTS = 100
ASKED = "no hit does not mean unknown to everyone: only the hash sets of this case were asked"
OF_NOTHING = frozenset(
    bytes.fromhex(text)
    for text in (
        "d41d8cd98f00b204e9800998ecf8427e",
        "da39a3ee5e6b4b0d3255bfef95601890afd80709",
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    )
)


class HitState(StrEnum):
    """What may be done with a Hit.

    `stands`: shown, and followed. `wants exact`: near by a hash in fast mode, to be computed again; where that cannot
    be, it is shown as not yet computed exactly. `listed`: known-good by a weak hash (md5, sha1): shown, stops nothing.
    `contradicted`: a weak hash agrees while a stronger one of the same entry does not.
    """

    STANDS = "stands"
    WANTS_EXACT = "wants exact"
    LISTED = "listed"
    CONTRADICTED = "contradicted"


@dataclass(frozen=True, slots=True)
class Entry:
    """One known file: its hashes by algorithm, its category as one key, and everything the source said, verbatim."""

    hashes: Mapping[str, bytes]
    category: Category | None
    verbatim: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Dropped:
    """A hash or entry that is not taken in, counted under its reason."""

    reason: str


class Reader(Protocol):
    """A reader of one format of known-hash files: one file in `readers/`."""

    name: str
    version: str
    what: str

    def recognises(self, head: bytes) -> bool:
        """Whether a file that begins like this (up to 64 KiB) is one of its own."""

    def read(self, stream: BinaryIO, kind: HashSetKind) -> Iterator[Entry | Dropped]:
        """The entries, streaming. Raises Refused where the file is not of that kind, Damaged where it breaks."""

    def example(self) -> tuple[bytes, HashSetKind, list[Entry | Dropped]]:
        """A benign file, a kind to read it as, and what must come out."""


@dataclass(frozen=True, slots=True)
class Source:
    """A file of known hashes, and what the person who adds it says of it."""

    path: Path
    name: str
    kind: HashSetKind
    reader: str


@dataclass(frozen=True, slots=True)
class PartHit:
    """A near match that rests on another picture of the Content than the one that is shown: on this `part` of it."""

    content: bytes
    part: str
    hashset: str
    kind: str
    distance: int

    def __str__(self) -> str:
        return f"{self.content.hex()}: {self.part}: {self.kind}, {self.hashset}, distance {self.distance}"


@dataclass(frozen=True, slots=True)
class Summary:
    """What a match run did. `wants_exact` are contents to be hashed again by intake; `covered` says what was not.

    `near_searched` counts pictures, of which a Content may have several; `by_part` the Contents with a hit that stands
    on another picture than the one that is shown, of which `parts` names the first hundred hits.
    """

    contents: int
    hashsets: int
    hits: dict[str, int]
    contents_hit: dict[str, int]
    states: dict[str, int]
    near_searched: int
    near_excluded: dict[str, int]
    by_part: int = 0
    parts: tuple[PartHit, ...] = field(default=())
    wants_exact: tuple[bytes, ...] = field(default=())
    covered: tuple[str, ...] = field(default=())

    def as_dict(self) -> dict[str, Any]:
        """For `--json`; contents as hexadecimal."""
        parts = [asdict(each) | {"content": each.content.hex()} for each in self.parts]
        return asdict(self) | {"parts": parts, "wants_exact": [c.hex() for c in self.wants_exact]}
