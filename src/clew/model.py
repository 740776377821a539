"""The nouns of clew, as frozen, slotted dataclasses. Standard library only.

Every stage, page and document uses these names alike; `docs/terms.md` explains each of them to a reader
who has never seen clew. Times are nanoseconds since 1970-01-01T00:00:00Z (field names end in `_ns`), sizes are
bytes, hashes are raw bytes here and lower-case hexadecimal wherever a person reads them.
"""

from dataclasses import dataclass, field
from enum import StrEnum


class Reason(StrEnum):
    """Why a value is not there. The closed list of DESIGN section 1."""

    UNREADABLE = "unreadable"
    UNPARSABLE = "unparsable"
    ENCRYPTED = "encrypted"
    TOO_LARGE = "too large"
    LIMIT_REACHED = "limit reached"
    REFUSED = "refused"
    INTERRUPTED = "interrupted"
    NOT_APPLICABLE = "not applicable"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Missing:
    """A value that is not there, and why. `detail` is one plain sentence for a person."""

    reason: Reason
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}" if self.detail else str(self.reason)


class Tier(StrEnum):
    """How strong a Sighting is (DESIGN section 1). E0 never enters a Lead or a Bundle."""

    LISTED = "E0"
    ANSWERED = "E1"
    CLAIMS = "E2"


class Claim(StrEnum):
    """What one contact said it holds, before repetition makes it a Tier."""

    NOTHING_SAID = "nothing said"
    NONE = "none"
    TORRENT_ONLY = "torrent only"
    WATCHED_FILE = "watched file"


class SightingKind(StrEnum):
    """Where a Sighting comes from: somebody's list, our own contact, a control probe, or what others recorded.

    Captured and imported ones are shown and never counted: no Lead rests on them.
    """

    LISTED = "listed"
    CONTACT = "contact"
    CONTROL = "control"
    OURSELVES = "ourselves"
    CAPTURED = "captured"
    IMPORTED = "imported"


class ItemState(StrEnum):
    """Final and open states of an Item. discovered = done + unreadable + skipped, once none is open."""

    OPEN = "open"
    DONE = "done"
    UNREADABLE = "unreadable"
    SKIPPED = "skipped"


class NameState(StrEnum):
    """What is claimed of an Item's name, apart from its content."""

    LIVE = "live"
    DELETED = "deleted"
    ORPHAN = "orphan"
    REALLOCATED = "reallocated"
    CARVED = "carved"
    UNATTACHED = "unattached"

    @property
    def in_use(self) -> bool:
        """Whether the file record is in use: nobody deleted the file, as far as that says."""
        return self in {NameState.LIVE, NameState.UNATTACHED}


class ContentState(StrEnum):
    """What is claimed of the bytes found behind an Item's name."""

    COMPLETE = "complete"
    PARTIAL = "partial"
    OVERWRITTEN_POSSIBLE = "overwritten possible"
    UNREADABLE = "unreadable"


class HashSetKind(StrEnum):
    """What a match with a HashSet means. Known-good stops work on SHA-256 alone."""

    ALERT = "alert"
    KNOWN_GOOD = "known-good"
    REFERENCE = "reference"


class GradeState(StrEnum):
    """A proposal waits for a person; only decided and confirmed grades are ever exported."""

    DECIDED = "decided"
    PROPOSED = "proposed"
    CONFIRMED = "confirmed"
    REJECTED = "rejected"
    UNDONE = "undone"


@dataclass(frozen=True, slots=True)
class Mandate:
    """The legal basis of an act: what it covers, and the authority key that signed it.

    An empty tuple covers nothing of that kind; ("*",) covers everything of it.
    """

    id: str
    operation: str
    authority: str
    purposes: tuple[str, ...]
    networks: tuple[str, ...]
    addresses: tuple[str, ...]
    countries: tuple[str, ...]
    trackers: tuple[str, ...]
    exhibits: tuple[str, ...]
    permits: tuple[str, ...]
    not_before_ns: int
    not_after_ns: int


@dataclass(frozen=True, slots=True)
class Watch:
    """One known file in one torrent, lawfully supplied and signed like a Mandate.

    `infohash_v1` (20 bytes) and `infohash_v2` (32 bytes, BEP 52) are twins and count once. The piece map is
    `piece_length`, `pieces` (number in the torrent), `file_offset` and `file_length`; where any of it is None, a claim
    can only ever be "E2, torrent only".
    """

    id: str
    label: str
    infohash_v1: bytes | None
    infohash_v2: bytes | None
    piece_length: int | None
    pieces: int | None
    file_offset: int | None
    file_length: int | None
    scheme: str
    category: str
    graded_by: str
    graded_ns: int
    mandate: str

    def inner_pieces(self) -> range:
        """Indices of the pieces that lie wholly inside the watched file; empty without a piece map."""
        if self.piece_length is None or self.file_offset is None or self.file_length is None or not self.pieces:
            return range(0)
        first = -(-self.file_offset // self.piece_length)
        end = self.file_offset + self.file_length
        return range(first, min(end // self.piece_length, self.pieces))


@dataclass(frozen=True, slots=True)
class Force:
    """One national force: who receives Bundles, and the keys that we got from itself."""

    code: str
    name: str
    country: str
    region: str | None
    age_recipient: str | None
    signing_key: str | None


@dataclass(frozen=True, slots=True)
class Sighting:
    """One address listed for, answering for, or claiming pieces of a Watch, at one time, with its proof."""

    id: str
    kind: SightingKind
    watch: str
    tier: Tier
    claim: Claim
    source: str
    address: str
    port: int
    transport: str
    local_address: str
    local_port: int
    started_ns: int
    ended_ns: int
    monotonic_ns: int
    clock_offset_ns: int | None
    clock_error_ns: int | None
    infohash_sent: bytes
    infohash_echoed: bytes | None
    peer_id: bytes | None
    reserved: bytes | None
    client: str | None
    listen_port: int | None
    pieces_claimed: int | None
    inner_claimed: int | None
    pieces_total: int | None
    repeats: str | None
    promiscuous: bool
    missing: Missing | None
    transcript: bytes
    tool: str
    config: str
    mandate: str
    vantage: str


def carrier(transport: str) -> str:
    """What carries a Sighting's transport, and what an internet provider can look up: "tcp" of "mse-rc4/tcp"."""
    return transport.rpartition("/")[2]


def protocol(transport: str) -> str:
    """The same as an internet provider's records name it: TCP, or UDP, over which uTP runs (BEP 29)."""
    return "TCP" if carrier(transport) == "tcp" else "UDP"


@dataclass(frozen=True, slots=True)
class EndpointInterval:
    """An address, port and carrier from one time to another: the atoms that a Subject is made of."""

    address: str
    port: int
    transport: str
    from_ns: int
    to_ns: int
    tier: Tier
    sightings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Subject:
    """A set of endpoint intervals that belong together. Not a person."""

    id: str
    label: str
    intervals: tuple[EndpointInterval, ...]
    watches: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Lead:
    """A Subject for one force: rank with reasons, caveats, everything that speaks against it, expiry."""

    id: str
    subject: str
    force: str
    tier: Tier
    torrent_only: bool
    country: str
    uncertain: bool
    score: float
    features: dict[str, float] = field(default_factory=dict)
    caveats: tuple[str, ...] = ()
    against: tuple[str, ...] = ()
    expires_ns: int = 0


@dataclass(frozen=True, slots=True)
class Exhibit:
    """One seized thing: a folder, a disk image or an archive, with its custody. Captures have a table of their own."""

    id: str
    label: str
    kind: str
    location: str
    seized_by: str
    seized_where: str
    seized_ns: int | None
    sha256: bytes | None
    size: int | None
    mandate: str


@dataclass(frozen=True, slots=True)
class Item:
    """One place in an Exhibit where bytes were found. `ref` reopens it; `path` is raw, never the key."""

    id: str
    exhibit: str
    ref: str
    path: bytes
    size: int
    name_state: NameState
    content_state: ContentState
    parent: str | None = None
    found_by: str = ""
    modified_ns: int | None = None
    accessed_ns: int | None = None
    changed_ns: int | None = None
    born_ns: int | None = None


@dataclass(frozen=True, slots=True)
class Content:
    """The bytes themselves, by SHA-256; many Items, one Content."""

    sha256: bytes
    sha1: bytes
    md5: bytes
    size: int
    media_type: str | None


@dataclass(frozen=True, slots=True)
class Trait:
    """One fact about a Content, or why it is Missing, with the extractor, its version and mode."""

    content: bytes
    name: str
    value: str | int | float | bytes | Missing
    extractor: str
    version: str
    mode: str = ""


@dataclass(frozen=True, slots=True)
class Category:
    """One category of one scheme: (scheme, country, version, code) is one key and is never remapped."""

    scheme: str
    country: str
    version: str
    code: str


@dataclass(frozen=True, slots=True)
class HashSet:
    """Known files from one source, compiled once, immutable, itself hashed."""

    id: str
    name: str
    kind: HashSetKind
    reader: str
    source_sha256: bytes
    entries: int


@dataclass(frozen=True, slots=True)
class Hit:
    """A match of a Content with an entry of a HashSet. `distance` is 0 for exact hashes."""

    id: str
    content: bytes
    hashset: str
    algorithm: str
    distance: int
    mode: str
    category: Category | None


@dataclass(frozen=True, slots=True)
class Link:
    """Why two Contents may belong together."""

    first: bytes
    second: bytes
    linker: str
    score: float
    detail: str


@dataclass(frozen=True, slots=True)
class Series:
    """A group of linked Contents, with the one that stands for it."""

    id: str
    label: str
    representative: bytes
    members: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Grade:
    """A person's decision about exact bytes, or a proposal that waits for one."""

    id: str
    content: bytes
    category: Category
    state: GradeState
    reviewer: str
    at_ns: int
    inherited_from: bytes | None = None
    distance: int | None = None


@dataclass(frozen=True, slots=True)
class Bundle:
    """An encrypted, signed package for one force."""

    id: str
    force: str
    path: str
    sha256: bytes
    created_ns: int
