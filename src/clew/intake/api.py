"""The contract of intake: what a Source finds, what an Extractor is shown, and what both hand back.

A Source opens one kind of Exhibit, lists what is in it in a stable order (so that a cursor survives a crash) and
reads one Item again by its `ref`. An Extractor is shown the bytes of one Content and yields its Traits. Both run on
hostile bytes inside a worker; this module therefore imports nothing but the standard library and `clew.model`.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeVar, runtime_checkable

from clew.model import ContentState, ItemState, Missing, NameState

T = TypeVar("T")

FAST = "fast"
EXACT = "exact"
DENSE = "dense"


@dataclass(frozen=True, slots=True)
class Blob:
    """Bytes that an Extractor hands back to be stored by their SHA-256, such as a thumbnail."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Frame:
    """The picture hash of one frame of a moving picture: 32 bytes, at so many seconds, of that quality (0 to 100)."""

    pdq: bytes
    seconds: float
    quality: int


Value = str | int | float | bytes | Missing | Blob | Frame


Range = tuple[int, int]  # byte offset, bytes


class ByteSource(Protocol):
    """Bytes that can be read at any place: a file, a disk image behind its container, a stream of a file system."""

    @property
    def size(self) -> int:
        """Bytes."""
        ...

    @property
    def bad(self) -> list[Range]:
        """What could not be read of it so far, and was given as zeros. Never silent: whoever reads must ask."""
        ...

    def read(self, offset: int, length: int) -> bytes:
        """Up to `length` bytes from `offset`; fewer only where the source ends. Raises OSError, or Absent with why."""
        ...


@dataclass(slots=True)
class Probe:
    """One Content as an Extractor sees it.

    `data` is the whole content, or None where it was only streamed because it is too large to hold; `source` reads it
    again at any place, whether held or not; `size` is in bytes; `media_type` is libmagic's; `mode` is FAST (intake's
    default), EXACT (second look) or DENSE (all frames of a video, or one in `every` seconds). `cache` lives as long as
    the Probe: Extractors share one decode through it, under keys that begin with the module's name.
    """

    data: memoryview | None
    size: int
    media_type: str
    mode: str = FAST
    source: ByteSource | None = None
    every: float = 0.0
    cache: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Example:
    """A benign content that a plug-in carries for its contract test.

    `expect` names traits that must come out, with their value, or None where only their being there (and not being
    Missing) is asked.
    """

    name: str
    data: bytes
    media_type: str
    expect: Mapping[str, Value | None] = field(default_factory=dict)


class Extractor(Protocol):
    """One file of `extractors/`. `version` changes whenever the Traits of the same bytes would."""

    name: str
    version: str

    def wants(self, media_type: str) -> bool:
        """Whether this Extractor has anything to say about contents of that type."""
        ...

    def traits(self, probe: Probe) -> Iterator[tuple[str, Value]]:
        """Yields (trait name, value or why it is Missing). May raise: the worker turns that into a Missing."""
        ...

    def examples(self) -> Iterator[Example]:
        """Benign contents, made by code, that the contract test runs."""
        ...


class Found(NamedTuple):  # one is made for each Item: a frozen dataclass of so many fields takes three times as long
    """One Item as a Source lists it; the Item's id is made of the Exhibit's and `ref`.

    `state` is OPEN where its bytes are still to be read; a Source that can already tell that there is nothing to read
    says SKIPPED or UNREADABLE, with `missing` saying why. `cursor` is where enumeration goes on after this Item.
    `parent` is the ref of the Item that this one belongs to (the file of an alternate data stream, the archive of a
    member). `runs` are the stretches of the Exhibit's bytes that hold it, (byte offset, bytes) each, where the Source
    knows them; `times_source` says where the times come from and what their zone is.
    """

    ref: str
    path: bytes
    size: int
    cursor: str
    found_by: str
    state: ItemState = ItemState.OPEN
    missing: Missing | None = None
    name_state: NameState = NameState.LIVE
    content_state: ContentState = ContentState.COMPLETE
    parent: str | None = None
    modified_ns: int | None = None
    accessed_ns: int | None = None
    changed_ns: int | None = None
    born_ns: int | None = None
    runs: tuple[Range, ...] | None = None
    times_source: str = ""


@dataclass(frozen=True, slots=True)
class Part:
    """One separately enumerated stretch of an Exhibit: a folder's tree, a partition's walk, its sweep.

    `missing` says why nothing can be listed in it (unknown or encrypted file system, unallocated area). `detail` is
    what a reader must know of it: offsets, sizes, file system, what was not covered; it is stored as JSON in
    `exhibit_runs`.
    """

    name: str
    detail: Mapping[str, Any]
    missing: Missing | None = None


@dataclass(frozen=True, slots=True)
class Note:
    """Something about a Part that enumeration learnt on the way: adds `counts` to `notes` in the detail of its row.
    `listed` are refs of Items that stood for others which could not be listed then, and now are.
    """

    counts: Mapping[str, int]
    cursor: str
    listed: tuple[str, ...] = ()


class Deleted(NamedTuple):
    """An Item that is not live: how it can be reopened, what its listing claims of its bytes, and of its name; of what
    was carved, whether it is of a kind whose bytes are `checked` by sums that stand in it.
    """

    ref: str
    state: ContentState
    name: NameState
    checked: bool = False


class Claimed(NamedTuple):
    """What may be claimed of the bytes of an Item that is not live. It is `unvouched` where no more may be, since its
    clusters are free and nothing shows that no other file held them meanwhile.
    """

    state: ContentState
    unvouched: bool = False


class Job(NamedTuple):
    """How a worker reads one Item: opener "module:function", its payload, and descriptors the engine hands over.

    The opener is called in the worker as `opener(payload, fds)` and returns the Item's ByteSource, which
    `clew.intake.reading` examines. The engine closes the parent's copies of `fds` once sent. `bytes` is what has to be
    gone through, where that is more than the Item's size: the time limit is made of it.
    """

    opener: str
    payload: dict[str, Any]
    fds: tuple[int, ...] = ()
    bytes: int = 0


class Ask(Protocol):
    """Runs one entry in a sandboxed worker and returns its value, or the Missing that it cost."""

    def __call__(self, entry: str, payload: dict[str, Any], fds: tuple[int, ...], size: int) -> Any | Missing:
        """`size` is the bytes behind it, for the time limit; descriptors are handed over."""
        ...


class Session(Protocol):
    """One opened Exhibit. Nothing in it writes to the evidence.

    `held` are the Exhibit's own descriptors, which every worker is born with. `acquisition` is how its image is read
    whole, once and in order (None where it has no image: a folder). `itself` is the ref of the one Item that is that
    image as it is, where there is such: an archive.
    """

    detail: dict[str, Any]
    held: tuple[int, ...]
    acquisition: Job | None
    itself: str | None

    def parts(self, ask: Ask) -> Iterator[Part]:
        """What the Exhibit consists of, in a stable order."""
        ...

    def items(self, part: Part, cursor: str, seen: "Seen", ask: Ask) -> Iterator[Found | Note]:
        """The Items of one part after `cursor` ("" at the beginning), in a stable order."""
        ...

    def job(self, ref: str) -> Job:
        """How to read that Item. Raises `Unavailable` where it cannot be opened any more."""
        ...

    def claims(self, deleted: Mapping[str, "Deleted"], ask: Ask) -> dict[str, Claimed]:
        """Of Items that are not live, by id, those of whose bytes something else may be claimed than their listing
        does, or for a reason that it cannot tell, now that all are listed: what may be claimed of each.
        """
        ...

    def check(self) -> None:
        """Raises ClewError where the Exhibit itself is gone (unplugged, unmounted): then no Item is unreadable."""
        ...

    def close(self) -> None:
        """Lets the descriptors go."""
        ...


class Seen(Protocol):
    """Which refs of the Exhibit were listed before, so that a sweep does not list them again."""

    def __call__(self, prefix: str, make: Callable[[Iterator[str]], T]) -> T:
        """What `make` makes of every listed ref that begins with `prefix`. It may be called anew, with all of them."""
        ...


class Unavailable(Exception):
    """An Item that was listed cannot be opened; `missing` says why."""

    def __init__(self, missing: Missing) -> None:
        super().__init__(str(missing))
        self.missing = missing


class Source(Protocol):
    """One file of `sources/`: one kind of Exhibit. `version` changes whenever it would read the same bytes
    differently (decision 0018). `preload` are the modules that its workers need; a `general` one opens what no other
    Source does.
    """

    name: str
    version: str
    general: bool
    preload: tuple[str, ...]

    def wants(self, path: Path) -> bool:
        """Whether this Source can open what lies at that path."""
        ...

    def open(self, path: Path) -> Session:
        """Opens it read-only. Raises ClewError with a hint where it cannot."""
        ...

    def examples(self) -> Iterator[tuple[str, Mapping[bytes, bytes]]]:
        """Benign exhibits for the contract test: (kind, path inside -> content)."""
        ...


@runtime_checkable
class InFiles(Protocol):
    """A Source to which the name of one file may say more of an image's others than it did to an earlier version."""

    def open_known(self, path: Path, files: int) -> Session:
        """Opens what was taken in as so many files, as `Source.open` does."""
        ...
