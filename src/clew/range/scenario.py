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


ANSWERING = frozenset({Manner.REAL, Manner.ANSWERS, Manner.SLOW})
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
    """What a party says of one torrent. `pieces` counts for BITFIELD and HAVES alone."""

    torrent: int
    saying: Saying
    pieces: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Stay:
    """A party at one endpoint, from one second of the operation to another."""

    address: str
    port: int
    begin: float
    end: float


@dataclass(frozen=True, slots=True)
class Party:
    """One planted subject, or one bystander."""

    id: str
    kind: str
    planted: bool
    place: Place
    network_kind: str
    client: Client
    manner: Manner
    holdings: tuple[Holding, ...]
    stays: tuple[Stay, ...]
    listed: bool = True
    accepts: frozenset[Carrier] = frozenset({Carrier.TCP})
    listed_by: frozenset[Source] = frozenset({Source.HTTP})
    shared: bool = False
    disputed: bool = False


@dataclass(frozen=True, slots=True)
class Scenario:
    """One whole operation. `spoofed` are listings of addresses that no party has, outside the range among them."""

    seed: int
    timing: Timing
    ports: tuple[int, ...]
    real_port: int
    torrents: tuple[Torrent, ...]
    parties: tuple[Party, ...]
    spoofed: tuple[tuple[int, str, int], ...] = field(default=())
    disturbance: Disturbance = field(default=Disturbance())

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
        if not party.listed or party.manner not in ANSWERING:
            return False
        if all(self.supports(party, h) is not Support.E2 for h in party.holdings):
            return False
        return any(min(s.end, self.timing.seconds) - max(s.begin, 0.0) >= 2 * self.timing.revisit for s in party.stays)

    def supports(self, party: Party, holding: Holding) -> Support:
        """The highest tier that this party's bytes for this torrent support."""
        torrent = self.torrents[holding.torrent]
        if torrent.watched is None or party.manner not in ANSWERING:
            return Support.E0
        if holding.saying is Saying.WHOLE:
            return Support.E2
        if holding.saying in (Saying.BITFIELD, Saying.HAVES) and holding.pieces:
            inner = torrent.inner()
            return Support.E2 if any(p in inner for p in holding.pieces) else Support.TORRENT_ONLY
        return Support.E1

    def right_force(self, party: Party) -> str:
        """Whose lead it is: the place's force, or the coordinating one where registers disagree about the place."""
        return COORDINATOR if party.disputed else party.place.force
