"""The contract of share: what a Package is, and what an Exporter does with it.

A Package is everything that one force receives, read from the case once, as plain values. An Exporter writes one file
of the Bundle from it. It never sees the case, and the Package holds no infohash: Watches are named by their W-label.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from clew.core.sent import TakenBack
from clew.model import Category

STATEMENT = "insufficient alone to identify a user; possession not tested"
UNVALIDATED = "UNVALIDATED BUILD"


@dataclass(frozen=True, slots=True)
class Party:
    """A force at either end of a Bundle. `key` is the sender's raw Ed25519 key (hex) or the recipient's age key."""

    code: str
    name: str
    country: str
    key: str


@dataclass(frozen=True, slots=True)
class WatchPart:
    """What may be said of a Watch outside the sealed annex: its label and its grading, never its infohash."""

    id: str
    label: str
    scheme: str
    category: str
    graded_by: str
    graded_ns: int


@dataclass(frozen=True, slots=True)
class SightingPart:
    """The facts of one Sighting (model.Sighting) without infohash and transcript bytes.

    `echoed` says how the answered infohash compares with the sent one: "as sent", "twin", "other" or "none". `source`
    is as `core.lister` tells it.
    `transcript_sha256` names the raw bytes in the sealed annex.
    """

    id: str
    watch: str
    tier: str
    claim: str
    source: str
    address: str
    port: int
    transport: str
    local_address: str
    local_port: int
    started_ns: int
    ended_ns: int
    clock_offset_ns: int | None
    clock_error_ns: int | None
    echoed: str
    peer_id: str
    reserved: str
    client: str
    listen_port: int | None
    pieces_claimed: int | None
    inner_claimed: int | None
    pieces_total: int | None
    repeats: str
    transcript_sha256: str
    transcript_bytes: int
    tool: str
    config: str
    mandate: str
    vantage: str

    @property
    def clock_wrong_ns(self) -> int | None:
        """The most by which its times may be wrong, offset and error together; None where nobody measured."""
        if self.clock_offset_ns is None or self.clock_error_ns is None:
            return None
        return abs(self.clock_offset_ns) + self.clock_error_ns


@dataclass(frozen=True, slots=True)
class IntervalPart:
    """One endpoint interval of a Lead's Subject, with the ids of the Sightings that show it.

    `torrent_only`: no claimed piece is known to lie wholly inside the watched file.
    """

    address: str
    port: int
    transport: str
    from_ns: int
    to_ns: int
    tier: str
    torrent_only: bool
    watch: str
    sightings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LeadPart:
    """One Lead of the receiving force. `reasons` are sentences; `lookups` one line per register asked.

    `child_at_risk`: why a person raised that alarm, one reason for each that is open.
    """

    id: str
    subject: str
    rank: int
    score: float
    tier: str
    torrent_only: bool
    country: str
    network_kind: str
    lookups: tuple[str, ...]
    reasons: tuple[str, ...]
    caveats: tuple[str, ...]
    against: tuple[str, ...]
    expires_ns: int
    intervals: tuple[IntervalPart, ...]
    child_at_risk: tuple[str, ...]

    @property
    def label(self) -> str:
        """How people name this lead in this bundle."""
        return f"Lead {self.rank}"


@dataclass(frozen=True, slots=True)
class KnownHash:
    """One Content that a person graded: decided or confirmed, and not undone."""

    sha256: bytes
    sha1: bytes
    md5: bytes
    size: int
    media_type: str | None
    category: Category
    graded_ns: int
    confirmed_near: int | None


@dataclass(frozen=True, slots=True)
class Package:
    """Everything that one force receives.

    `taken_back`: what it has from earlier Bundles and does not stand now as it left, or is not followed any further;
    `unlisted`: a sentence on those of which nobody knows that.
    """

    bundle: str
    created_ns: int
    case: str
    operation: str
    tool: str
    build: str
    sender: Party
    recipient: Party
    mandates: tuple[tuple[str, str], ...]
    watches: tuple[WatchPart, ...]
    leads: tuple[LeadPart, ...]
    taken_back: tuple[TakenBack, ...]
    unlisted: tuple[str, ...]
    sightings: tuple[SightingPart, ...]
    known: tuple[KnownHash, ...]
    not_covered: tuple[str, ...]
    withheld: tuple[tuple[str, int], ...]

    @property
    def clock_measured(self) -> bool:
        """Whether every time in here comes with a measured error."""
        return all(s.clock_wrong_ns is not None for s in self.sightings)


class Exporter(Protocol):
    """Writes one file of a Bundle. Pure: the same Package gives the same bytes."""

    name: str
    filename: str
    """Where the file lies in the Bundle's payload, e.g. "leads.case.jsonld"."""
    examples: tuple[Package, ...]
    """Benign Packages that the contract test exports."""

    def export(self, package: Package) -> Iterator[bytes]:
        """Yields the file's bytes in order."""
        ...
