"""The contract of a network plug-in: protocols without input or output of their own (sans-I/O, as h11 and mitmproxy).

A plug-in makes Conversations. Bytes and ticks go in; only `Send` and `Sighted` come out. What can be sent is a closed
set: the frozen types that the plug-in names in `sendable`, and `observe.wire` sends no other. `Sighted` ends a
Conversation, and comes exactly once. Times in here are monotonic nanoseconds; whoever opens the connection knows the
date.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from clew.model import Claim, Missing

SECOND = 1_000_000_000


class Sendable(Protocol):
    """One message that may leave this machine. `name` is its type, for the account of bytes sent."""

    @property
    def name(self) -> str:
        """The message's type, for people."""

    def encode(self) -> bytes:
        """The bytes that leave."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one conversation may cost us: monotonic nanoseconds, numbers, bytes."""

    answer_ns: int = 6 * SECOND
    settle_ns: int = 1 * SECOND
    hold_ns: int = 20 * SECOND
    messages: int = 4_096
    received: int = 256 * 1024
    reply: int = 256 * 1024


@dataclass(frozen=True, slots=True)
class Target:
    """What one contact asks an endpoint: `infohash` is sent, an answer with any of `accepted` is an answer.

    `pieces` and `inner` are the Watch's piece map (inner: pieces wholly inside the watched file). A control probe has a
    fresh random infohash and no map, and ends with the answer's handshake.
    """

    label: str
    infohash: bytes
    accepted: tuple[bytes, ...]
    peer_id: bytes
    pieces: int | None = None
    inner: range = range(0)
    control: bool = False


@dataclass(frozen=True, slots=True)
class Tracker:
    """Where a list of endpoints is asked for. `host` as written in `url`; only http is spoken."""

    url: str
    host: str
    port: int
    path: str


@dataclass(frozen=True, slots=True)
class Ask:
    """One question to a tracker. `event` is "stopped" or, under a permit, "started"; `left` is never 0."""

    tracker: Tracker
    label: str
    infohash: bytes
    event: str
    peer_id: bytes
    port: int
    left: int
    want: int = 200


@dataclass(frozen=True, slots=True)
class Contact:
    """What an endpoint said in one conversation. `claim` is nothing more than what it said of itself, once."""

    answered: bool = False
    claim: Claim = Claim.NOTHING_SAID
    infohash_echoed: bytes | None = None
    peer_id: bytes | None = None
    reserved: bytes | None = None
    client: str | None = None
    listen_port: int | None = None
    pieces_claimed: int | None = None
    inner_claimed: int | None = None
    pieces_total: int | None = None
    missing: Missing | None = None


@dataclass(frozen=True, slots=True)
class Listed:
    """One endpoint of a tracker's reply, and from where to where it stands there."""

    address: str
    port: int
    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class Listing:
    """A tracker's reply. `swarm` is how many endpoints it says there are; intervals are seconds.

    `proof` makes the transcript that is kept for one endpoint listed: the reply with all other endpoints left out.
    """

    listed: tuple[Listed, ...] = ()
    unusable: int = 0
    interval: int | None = None
    min_interval: int | None = None
    swarm: int | None = None
    missing: Missing | None = None
    proof: Callable[[Listed], bytes] = field(default=lambda _: b"", compare=False)


@dataclass(frozen=True, slots=True)
class Send:
    """Send this message now."""

    message: Sendable


@dataclass(frozen=True, slots=True)
class Sighted:
    """The conversation is over: its result, its transcript, and bytes by direction and type of message."""

    finding: Contact | Listing
    transcript: bytes
    traffic: Mapping[str, int] = field(default_factory=dict)


Event = Send | Sighted


class Conversation(Protocol):
    """One connection's state machine. After `Sighted` it returns nothing more, whatever comes."""

    @property
    def wake_ns(self) -> int:
        """When `tick` wants to be called, whatever else happens."""

    @property
    def held(self) -> int:
        """Bytes received and kept until their message is complete."""

    def opened(self, now_ns: int) -> list[Event]:
        """The connection is there."""

    def receive(self, data: bytes, now_ns: int) -> list[Event]:
        """Bytes came in."""

    def tick(self, now_ns: int) -> list[Event]:
        """Time has passed."""

    def closed(self, now_ns: int, why: Missing | None = None) -> list[Event]:
        """The connection is gone: by the other side, or, with `why`, by us."""


@dataclass(frozen=True, slots=True)
class Example:
    """A benign script, as h11's tests have them: ("in" | "out", bytes) in turn, then what must be found.

    `expect` names fields of the finding. The contract test runs every example whole and byte by byte.
    """

    name: str
    about: Target | Ask
    script: tuple[tuple[str, bytes], ...]
    expect: Mapping[str, object]


class Network(Protocol):
    """A network plug-in: one file in `observe/networks`, ending in `PLUGIN: Network = Thing()`."""

    @property
    def name(self) -> str:
        """The network, as Mandates name it."""

    @property
    def version(self) -> str:
        """Changes whenever the same bytes may give another finding."""

    @property
    def transport(self) -> str:
        """How it connects, as Sightings name it."""

    @property
    def sendable(self) -> tuple[type[Sendable], ...]:
        """Every type of message that can leave, and no other."""

    @property
    def examples(self) -> tuple[Example, ...]:
        """Benign scripts for the contract test."""

    def tracker(self, url: str) -> Tracker:
        """A tracker by its address. Raises Usage where it is none that this plug-in can ask."""

    def contact(self, target: Target, limits: Limits) -> Conversation:
        """A conversation with one endpoint; ends in `Sighted` with a Contact."""

    def ask(self, ask: Ask, limits: Limits) -> Conversation:
        """A conversation with a tracker; ends in `Sighted` with a Listing."""

    def describe(self, transcript: bytes, secrets: Mapping[bytes, str]) -> list[str]:
        """A stored transcript line by line for a person; bytes that are keys of `secrets` appear as their label."""
