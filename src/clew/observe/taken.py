"""The contract of a capture plug-in: a file that others made, read for what it says of the case's Watches.

A plug-in turns a stream of bytes into Findings. It runs in a locked worker, knows the Watches and nothing else of the
case, and keeps nothing of whoever is not on a Watch: that is counted and dropped. A Finding carries the transcript of
its control messages, never a payload. What could not be read is a flaw, and what was left aside a count: both go into
the account of the file.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import BinaryIO, Protocol

from clew.model import Missing, SightingKind
from clew.observe.api import Contact, Target

MOST_FLAWS = 100
ANNOUNCES, UNUSABLE = "announces for Watches", "listed endpoints that are none, or have port 0"
MAX_SOURCE = 120


@dataclass(frozen=True, slots=True)
class Watched:
    """A Watch as far as a reader needs it. `infohashes` are the v1 one and the v2 one cut to 20 bytes (BEP 52)."""

    id: str
    label: str
    infohashes: tuple[bytes, ...]
    whole: tuple[bytes, ...] = ()
    pieces: int | None = None
    inner: range = range(0)

    def target(self, infohash: bytes) -> Target:
        """What an endpoint that answers `infohash` is held to."""
        return Target(self.label, infohash, self.infohashes, bytes(20), self.pieces, self.inner, fast=True)


class Watchlist:
    """Every Watch of the case, by infohash and by label."""

    def __init__(self, watches: Iterable[Watched]) -> None:
        self.by_id = {each.id: each for each in watches}
        self.by_label = {each.label: each for each in self.by_id.values()}
        self._by_infohash: dict[bytes, tuple[Watched, ...]] = {}
        for each in self.by_id.values():
            for infohash in {*each.infohashes, *each.whole}:
                self._by_infohash[infohash] = (*self.of(infohash), each)

    def of(self, infohash: bytes) -> tuple[Watched, ...]:
        """The Watches that have this infohash (20 bytes, or the 32 of version 2): one for each known file in it."""
        return self._by_infohash.get(infohash, ())


@dataclass(slots=True)
class Account:
    """What became of a file: numbers of what was read and left aside, and what could not be read."""

    counts: Counter[str] = field(default_factory=Counter)
    flaws: list[Missing] = field(default_factory=list)

    def flaw(self, missing: Missing) -> None:
        """Something that could not be read. The first hundred are kept as they are, the rest counted."""
        self.counts["could not be read"] += 1
        if len(self.flaws) < MOST_FLAWS:
            self.flaws.append(missing)


@dataclass(frozen=True, slots=True)
class Finding:
    """What one file says of one endpoint for one Watch: a Sighting before the case knows it.

    `contact` is what the endpoint itself said, None where somebody else says that it is there. `returned` says that
    the file holds the other direction too, so that the address was one that answers came to. `source` says where in
    the file it stands. `other` is the far end of the flow; times are UTC nanoseconds as the file has them.
    """

    kind: SightingKind
    watch: str
    source: str
    address: str
    port: int
    transport: str
    other_address: str
    other_port: int
    started_ns: int
    ended_ns: int
    infohash: bytes
    contact: Contact | None
    returned: bool
    transcript: bytes
    tool: str = ""


@dataclass(frozen=True, slots=True)
class Example:
    """A benign file: its bytes for a watchlist of `watched`, and what must be found, as fields of each Finding."""

    name: str
    data: bytes
    watched: tuple[Watched, ...]
    expect: tuple[Mapping[str, object], ...]


class Source(Protocol):
    """A capture plug-in: one file in `observe/captures`, ending in `PLUGIN: Source = Thing()`."""

    @property
    def name(self) -> str:
        """The format."""

    @property
    def version(self) -> str:
        """Changes whenever the same bytes may give other Findings."""

    @property
    def examples(self) -> tuple[Example, ...]:
        """Benign files for the contract test."""

    def recognises(self, head: bytes) -> bool:
        """Whether a file that begins with these bytes (4096, or all of it) is of this format."""

    def read(self, stream: BinaryIO, watchlist: Watchlist, account: Account) -> Iterator[Finding]:
        """The Findings of a file, in the order of the file; the account is complete at the end."""
