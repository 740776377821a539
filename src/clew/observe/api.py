"""The contract of a network plug-in: protocols without input or output of their own (sans-I/O, as h11 and mitmproxy).

A plug-in makes Conversations. Bytes and ticks go in; only `Send` and `Sighted` come out. What can be sent is a closed
set: the frozen types that the plug-in names in `sendable`, and `observe.wire` sends no other. `Sighted` ends a
Conversation, and comes exactly once. Times in here are monotonic nanoseconds; whoever opens the connection knows the
date.

A transport that wraps another (MSE around a stream, uTP around either) is a Conversation around a Conversation: it
hands bytes inwards, wraps what the inner one sends, and passes its `Sighted` on. What is kept of the bytes goes onto
one Tape, as it was on the wire. Nothing in here draws a random number: a conversation is given its `entropy`, which
stands in the transcript, so that the same bytes and the same entropy give the same conversation again.
"""

import ipaddress
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from clew.model import Claim, Missing, Reason
from clew.observe.transcript import Segment

SECOND = 1_000_000_000
ENTROPY_BYTES = 32

# No connection came about, so that what was to be asked was not heard: no answer to it can be read from the silence.
REFUSED = Missing(Reason.UNREADABLE, "connection refused")
TOO_SLOW = Missing(Reason.LIMIT_REACHED, "no connection in time")
NO_CONNECTION = "no connection: "  # begins what is said where the system told another reason


def turned_away(missing: Missing | None) -> bool:
    """Whether this machine's system, or a word from the way there, said that no connection comes about."""
    return missing is not None and (missing == REFUSED or missing.detail.startswith(NO_CONNECTION))


class Sendable(Protocol):
    """One message that may leave this machine. `name` is its type, for the account of bytes sent."""

    @property
    def name(self) -> str:
        """The message's type, for people."""

    def encode(self) -> bytes:
        """The bytes that leave."""


class Tape(Protocol):
    """What is kept of one connection: bytes of the stream as they were on the wire, in order, with their times."""

    def sent(self, data: bytes, at_ns: int) -> None:
        """Bytes of the stream that we sent."""

    def received(self, data: bytes, at_ns: int) -> None:
        """Bytes of the stream that came in and were read."""

    def left_out(self, label: str, length: int, at_ns: int, *, sent: bool = False) -> None:
        """Bytes of the stream of which only the number and this label are kept."""

    def header(self, data: bytes, at_ns: int, *, sent: bool = False) -> None:
        """Bytes around the stream: the header of a datagram."""

    def end(self, how: str, at_ns: int) -> None:
        """How the conversation ended: `time`, `closed` by the other side, or why we ended it; replay needs it."""

    def encode(self) -> bytes:
        """The transcript (`observe.transcript`)."""


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
    fresh random infohash and no map, and ends with the answer's handshake. `fast`: the Fast extension (BEP 6) may hold,
    as it never does with us, and may between others in a capture.
    """

    label: str
    infohash: bytes
    accepted: tuple[bytes, ...]
    peer_id: bytes
    pieces: int | None = None
    inner: range = range(0)
    control: bool = False
    gossip: bool = False
    fast: bool = False


@dataclass(frozen=True, slots=True)
class Tracker:
    """Where a list of endpoints is asked for. `host` as written in `url`; `transport` is tcp (http) or udp.

    A node of the DHT is one too, with a `url` of dht://HOST:PORT.
    """

    url: str
    host: str
    port: int
    path: str
    transport: str = "tcp"


def is_address(host: str) -> bool:
    """Whether a host is written as an address, of IPv4 or IPv6 without brackets, and not as a name."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


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
    """What an endpoint said in one conversation. `claim` is nothing more than what it said of itself, once.

    `transport` is the one that was negotiated, where that is known only afterwards ("mse-rc4/tcp" of "mse/tcp").
    `gossip` is whom it told us of by PEX (BEP 11), where it was asked to. `shut`: it ended before a handshake of ours
    went out, and nobody there spoke this transport. `sees_us`: the address that it says it sees us at (`yourip`, BEP
    10), which no Sighting has.
    """

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
    transport: str = ""
    gossip: "Listing | None" = None
    shut: bool = False
    sees_us: str = ""


@dataclass(frozen=True, slots=True)
class Listed:
    """One endpoint of a list, and from where to where it stands there."""

    address: str
    port: int
    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class Listing:
    """A list of endpoints: a tracker's reply, a DHT node's, or a peer's gossip. Intervals are seconds.

    `swarm` is how many endpoints a tracker says there are, `nodes` are DHT nodes nearer to the infohash (of both
    address families), as (address, port, node id); `node` is the id of the node that answered. `proof` makes the
    transcript that is kept for one endpoint listed: the list with all other endpoints left out.
    """

    listed: tuple[Listed, ...] = ()
    unusable: int = 0
    interval: int | None = None
    min_interval: int | None = None
    swarm: int | None = None
    nodes: tuple[tuple[str, int, bytes], ...] = ()
    node: bytes | None = None
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

    `expect` names fields of the finding. The contract test runs every example whole and byte by
    byte; over UDP each "in" and each "out" is one datagram.
    """

    name: str
    about: Target | Ask
    script: tuple[tuple[str, bytes], ...]
    expect: Mapping[str, object]
    transport: str = "tcp"


class Network(Protocol):
    """A network plug-in: one file in `observe/networks`, ending in `PLUGIN: Network = Thing()`."""

    @property
    def name(self) -> str:
        """The network, as Mandates name it."""

    @property
    def version(self) -> str:
        """Changes whenever the same bytes may give another finding."""

    @property
    def transports(self) -> tuple[str, ...]:
        """How it can connect to an endpoint, as Sightings name it, the most discreet first."""

    @property
    def sendable(self) -> tuple[type[Sendable], ...]:
        """Every type of message that can leave, and no other."""

    @property
    def examples(self) -> tuple[Example, ...]:
        """Benign scripts for the contract test."""

    def tracker(self, url: str) -> Tracker:
        """A tracker by its address. Raises Usage where it is none that this plug-in can ask."""

    def contact(self, target: Target, limits: Limits, transport: str, entropy: bytes) -> Conversation:
        """A conversation with one endpoint over one of `transports`; ends in `Sighted` with a Contact."""

    def filled(self, segments: list[Segment], infohash: bytes) -> list[Segment]:
        """A transcript's segments, other bytes of the same length and form in place of those left out, for a replay."""

    def listed(self, segments: list[Segment], source: str) -> list[tuple[str, int]] | None:
        """The endpoints (address, port) that a list kept for one of them still holds, by the decoder that read it.

        `source` is whom it is from, as in the Sighting. Port 0: the address alone was kept; None: too little was kept
        around it. Raises Damaged where it cannot be read.
        """

    def ask(self, ask: Ask, limits: Limits, entropy: bytes) -> Conversation:
        """A conversation with a tracker or DHT node; ends in `Sighted` with a Listing."""

    def describe(self, transcript: bytes, secrets: Mapping[bytes, str]) -> list[str]:
        """A stored transcript line by line for a person; bytes that are keys of `secrets` appear as their label."""
