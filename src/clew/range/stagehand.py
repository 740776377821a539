"""What the making of one cast uses up: the seeded generator, the places in turn, the addresses that are taken."""

import random
from dataclasses import dataclass, field

from clew.core.errors import ClewError
from clew.range.clients import Client
from clew.range.places import Place, address, places
from clew.range.scenario import Carrier, Source, Timing
from clew.range.torrents import Torrent

TRIES = 2000

# What an ordinary client is listed by where all sources are there. Every one of these holds the HTTP tracker, so that
# an operation without the other sources lists everybody all the same.
MIXES: tuple[tuple[float, frozenset[Source]], ...] = (
    (0.35, frozenset({Source.HTTP})),
    (0.20, frozenset({Source.HTTP, Source.UDP})),
    (0.30, frozenset({Source.HTTP, Source.DHT, Source.PEX})),
    (0.15, frozenset(Source)),
)


@dataclass(slots=True)
class Stagehand:
    """What the making of one cast has used up so far. `carriers` and `sources` are what the operation offers."""

    rng: random.Random
    timing: Timing
    ports: tuple[int, ...]
    real_port: int
    torrents: tuple[Torrent, ...]
    real_torrents: int
    carriers: frozenset[Carrier]
    sources: frozenset[Source]
    taken: set[str] = field(default_factory=set)
    weights: list[float] = field(default_factory=list)
    watches: list[Torrent] = field(default_factory=list)
    unwatched: list[Torrent] = field(default_factory=list)
    next_place: int = 0

    def __post_init__(self) -> None:
        self.watches = [t for t in self.torrents if t.watched is not None]
        self.unwatched = [t for t in self.torrents if t.watched is None]
        # One torrent is so popular that no single tracker reply holds all its peers (trackers.CAP).
        self.weights = [1.0 / (6 + n) ** 0.6 * (5.0 if n == 0 else 1.0) for n in range(len(self.watches))]
        self.rng.shuffle(self.weights)

    def place(self) -> Place:
        """The 26 places in turn, so that every force has its part."""
        found = places()[self.next_place % len(places())]
        self.next_place += 1
        return found

    def fresh_address(self, place: Place, kind: str) -> str:
        """An address of that place that nobody has. Raises ClewError where hardly one is left."""
        for _ in range(TRIES):
            found = address(place, kind, self.rng)
            if found not in self.taken:
                self.taken.add(found)
                return found
        raise ClewError(
            f"{place.country} has no address left on a network of kind {kind or 'unknown'!r}",
            "give the scenario file fewer parties of classes on such a network",
        )

    def free_port(self, where: str) -> int:
        """A port of a shared address that no party has: neighbours may not stand on each other's endpoints."""
        for _ in range(TRIES):
            port = self.rng.choice(self.ports)
            mark = f"{where}:{port}"
            if mark not in self.taken:
                self.taken.add(mark)
                return port
        raise ClewError(f"{where} has no port left", "give the scenario file fewer neighbours, or more of cgnat")

    def watched(self, count: int = 1) -> list[Torrent]:
        """Different watched torrents, some far more popular than others."""
        found: dict[int, Torrent] = {}
        while len(found) < count:
            torrent = self.rng.choices(self.watches, self.weights)[0]
            found[torrent.index] = torrent
        return list(found.values())

    def always(self) -> tuple[float, float]:
        """From before the observation to after it."""
        return (-3600.0, self.timing.seconds + 3600.0)

    def accepts(self, client: Client, nature: frozenset[Carrier]) -> frozenset[Carrier]:
        """Of what the client can, what the class's nature lets through and the operation offers."""
        known = {Carrier.TCP} | ({Carrier.MSE_TCP} if client.mse else set()) | ({Carrier.UTP} if client.utp else set())
        if client.mse and client.utp:
            known.add(Carrier.MSE_UTP)
        return frozenset(known & nature & self.carriers)

    def listed_by(self, nature: frozenset[Source] | None) -> frozenset[Source]:
        """Where a party is listed: what its class says, else a mix; of both, what the operation offers.

        The mix is drawn in either case, so that one seed casts the same parties whatever the operation offers.
        """
        mix = self.rng.choices([each for _, each in MIXES], [weight for weight, _ in MIXES])[0]
        if nature is not None:
            return nature & self.sources
        return mix & self.sources or self.sources
