"""The scenario of one operation: who is where, when, and what they say they hold. All of it from one seed.

Nothing here knows the observer. `contactable`, `supports` and `right_force` are computed from the scenario alone, as
DESIGN section 5 defines them.
"""

from dataclasses import dataclass, field
from enum import StrEnum

from clew.range.clients import Client
from clew.range.places import COORDINATOR, Place
from clew.range.torrents import Torrent


class Manner(StrEnum):
    """How an endpoint acts when a connection opens that it accepts (`Party.accepts`)."""

    REAL = "a real libtorrent session"
    ANSWERS = "answers"
    SLOW = "answers late"
    SILENT = "accepts and never speaks"
    CLOSES = "closes every connection"
    REFUSES = "nobody listens"
    OTHER = "answers for another infohash"
    ECHOES = "echoes any infohash"
    GIANT = "announces a giant message"
    GARBAGE = "sends garbage"
    DRIP = "sends a byte at a time"
    MALFORMED = "sends malformed messages"
    ENDLESS = "sends dictionaries that never end"
    PEX_FLOOD = "floods with PEX"
    ENDLESS_PAD = "never ends its MSE padding"
    ABSURD = "sends absurd uTP numbers"


class Saying(StrEnum):
    """How a peer tells what it holds."""

    WHOLE = "have_all or a full bitfield"
    BITFIELD = "bitfield"
    HAVES = "have messages one by one"
    NONE = "have_none or nothing"
    EMPTY = "a bitfield of zeros"
    WRONG_LENGTH = "a bitfield of the wrong length"
    SPARE_BITS = "a bitfield with spare bits set"
    SHRINKS = "a bitfield with fewer pieces at every contact"
    LAZY = "a bitfield with gaps, other ones at every contact, which have messages fill"


class Carrier(StrEnum):
    """A way to connect. Plain is BEP 3's handshake in clear; MSE is message stream encryption around it."""

    TCP = "tcp"
    MSE_TCP = "mse/tcp"
    UTP = "utp"
    MSE_UTP = "mse/utp"


class Source(StrEnum):
    """Where an endpoint is listed."""

    HTTP = "http tracker"
    UDP = "udp tracker"
    DHT = "dht"
    PEX = "pex"


class Support(StrEnum):
    """The highest tier that a peer's bytes support, in the words of DESIGN section 1."""

    E0 = "E0"
    E1 = "E1"
    TORRENT_ONLY = "E2, torrent only"
    E2 = "E2"


# What the observer has published that it can do. What it cannot is planted all the same, and not contactable.
SUPPORTED_CARRIERS = frozenset(Carrier)
SUPPORTED_SOURCES = frozenset(Source)

ANSWERING = frozenset({Manner.REAL, Manner.ANSWERS, Manner.SLOW})
PARTIAL = frozenset({Saying.BITFIELD, Saying.HAVES, Saying.SHRINKS, Saying.LAZY})
RANK = {support: rank for rank, support in enumerate(Support)}


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds: the least time between two counted contacts, the length of observation, when addresses change hands.

    `handover` is how far on both sides of `switch` an endpoint counts as belonging to both: connections then under way.
    """

    revisit: float = 20.0
    seconds: float = 100.0
    switch: float = 50.0
    handover: float = 1.5


@dataclass(frozen=True, slots=True)
class Pace:
    """How the observer is told to go about it: connections a second and at once, seconds between asking lists."""

    rate: float = 200.0
    at_once: int = 200
    announce: float = 10.0


@dataclass(frozen=True, slots=True)
class Disturbance:
    """What befalls UDP datagrams of uTP, both ways: the share that is lost, doubled, or overtaken by later ones."""

    lost: float = 0.0
    doubled: float = 0.0
    overtaken: float = 0.0

    @property
    def any(self) -> bool:
        """Whether anything befalls them at all."""
        return bool(self.lost or self.doubled or self.overtaken)


@dataclass(frozen=True, slots=True)
class Holding:
    """What a party says of one torrent. `pieces` counts for PARTIAL sayings alone; SHRINKS drops them from the end.

    Of those of LAZY the first ones, as many as `gaps`, are left out of the bitfield.
    """

    torrent: int
    saying: Saying
    pieces: tuple[int, ...] = ()

    @property
    def gaps(self) -> int:
        """How many pieces a lazy bitfield leaves out: as libtorrent to 1.0 does, a tenth, at least 1 and at most 50."""
        return min(50, max(1, len(self.pieces) // 10))

    def at_visit(self, visit: int) -> "Holding":
        """What is said at the visit of that number (from 1): each time SHRINKS has a piece less, LAZY other gaps."""
        if self.saying is Saying.SHRINKS:
            return Holding(self.torrent, Saying.BITFIELD, self.pieces[: max(1, len(self.pieces) - visit)])
        if self.saying is Saying.LAZY:
            first = visit * self.gaps % len(self.pieces)
            return Holding(self.torrent, Saying.LAZY, self.pieces[first:] + self.pieces[:first])
        return self


@dataclass(frozen=True, slots=True)
class Stay:
    """A party at one endpoint, from one second of the operation to another."""

    address: str
    port: int
    begin: float
    end: float


@dataclass(frozen=True, slots=True)
class Party:
    """One planted subject, or one bystander.

    `accepts` and `listed_by` are what of its nature the operation offers; empty: it is behind a NAT, or not listed.
    """

    id: str
    kind: str
    planted: bool
    place: Place
    network_kind: str
    client: Client
    manner: Manner
    holdings: tuple[Holding, ...]
    stays: tuple[Stay, ...]
    accepts: frozenset[Carrier] = frozenset({Carrier.TCP})
    listed_by: frozenset[Source] = frozenset({Source.HTTP})
    shared: bool = False
    disputed: bool = False

    @property
    def listed(self) -> bool:
        """Whether any source of the operation names it."""
        return bool(self.listed_by)

    @property
    def carriers(self) -> tuple[str, ...]:
        """What carries a connection to it, as a Sighting's endpoint names it: "tcp", "utp"."""
        return tuple(sorted({each.value.rpartition("/")[2] for each in self.accepts}))


@dataclass(frozen=True, slots=True)
class Scenario:
    """One whole operation. `spoofed` are listings that somebody made up: (torrent, address, port), in every source.

    `carriers` and `sources` are what the operation offers at all.
    """

    seed: int
    timing: Timing
    ports: tuple[int, ...]
    real_port: int
    torrents: tuple[Torrent, ...]
    parties: tuple[Party, ...]
    spoofed: tuple[tuple[int, str, int], ...] = field(default=())
    disturbance: Disturbance = field(default=Disturbance())
    carriers: frozenset[Carrier] = frozenset({Carrier.TCP})
    sources: frozenset[Source] = frozenset({Source.HTTP})
    pace: Pace = field(default=Pace())

    def watches(self) -> tuple[Torrent, ...]:
        """The torrents of which a file is on the watch list."""
        return tuple(t for t in self.torrents if t.watched is not None)

    def planted(self) -> tuple[Party, ...]:
        """The subjects that the operation is about."""
        return tuple(p for p in self.parties if p.planted)

    def contactable(self, party: Party) -> bool:
        """Listed by a supported source, on a supported transport, claiming a piece inside a watched file long enough.

        Long enough is two revisit intervals at one endpoint while the observation lasts.
        """
        return not self.beyond_reach(party)

    def beyond_reach(self, party: Party) -> str:
        """Why this party is not contactable, by the scenario alone; "" where it is."""
        if not party.listed_by:
            return "listed nowhere"
        if not party.listed_by & SUPPORTED_SOURCES:
            return "listed by no supported source"
        if party.manner not in ANSWERING:
            return f"it {party.manner.value}" if party.manner is not Manner.REFUSES else "nobody is reachable there"
        if not party.accepts & SUPPORTED_CARRIERS:
            return "accepts no supported transport"
        if all(self.supports(party, h) is not Support.E2 for h in party.holdings):
            return "its bytes claim no piece inside a watched file"
        return "" if self.contactable_since(party) is not None else "at no endpoint for two revisit intervals"

    def contactable_since(self, party: Party) -> float | None:
        """The second from which it could be contacted: its first stay that is long enough, None where none is."""
        last = self.timing.seconds
        stays = ((max(s.begin, 0.0), min(s.end, last)) for s in party.stays)
        return min((begin for begin, end in stays if end - begin >= 2 * self.timing.revisit), default=None)

    def supports(self, party: Party, holding: Holding) -> Support:
        """The highest tier that this party's bytes for this torrent support."""
        torrent = self.torrents[holding.torrent]
        if torrent.watched is None or party.manner not in ANSWERING:
            return Support.E0
        if holding.saying is Saying.WHOLE:
            return Support.E2
        if holding.saying in PARTIAL and holding.pieces:
            inner = torrent.inner()
            pieces = holding.pieces[:1] if holding.saying is Saying.SHRINKS else holding.pieces
            return Support.E2 if any(p in inner for p in pieces) else Support.TORRENT_ONLY
        return Support.E1

    def right_force(self, party: Party) -> str:
        """Whose lead it is: the place's force, or the coordinating one where registers disagree about the place."""
        return COORDINATOR if party.disputed else party.place.force
