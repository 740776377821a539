"""Who takes part in an operation: how many of which kind are planted, and the bystanders among whom they hide."""
# ruff: noqa: S311 — a scenario wants a generator that can be seeded; nothing secret comes from it

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from clew.range.clients import Client, pick
from clew.range.places import Place, address, places
from clew.range.scenario import Holding, Manner, Party, Saying, Scenario, Stay, Timing
from clew.range.torrents import Torrent, make_torrents

GROUP = {"cgnat": 4, "household": 2, "reassigned": 2}
REAL_CLIENT = Client("libtorrent", "-LT2110-", "libtorrent/2.1.1.0", bytes.fromhex("0000000000100005"))


@dataclass(frozen=True, slots=True)
class Size:
    """How large an operation is. Kinds that stand in `planted` are counted exactly; "plain" fills up to `subjects`."""

    subjects: int
    watches: int
    others: int
    real_torrents: int
    planted: dict[str, int]
    bystanders: dict[str, int]


FULL = Size(
    subjects=269,
    watches=52,
    others=20,
    real_torrents=4,
    planted={
        "real": 14, "moved": 12, "reassigned": 16, "cgnat": 20, "household": 8, "vpn": 8, "tor": 5, "hosting": 8,
        "mobile": 8, "disputed": 10, "slow": 8, "late": 15, "superseed": 10, "partial": 30, "several": 12,
        "encrypted-only": 6, "utp-only": 5, "boundary": 4, "brief": 4, "unlisted": 3, "wrong-length": 2,
    },
    bystanders={
        "torrent only": 800, "boundary": 80, "nothing": 520, "wrong-length": 40, "spare bits": 20, "closes": 120,
        "refuses": 120, "silent": 30, "other infohash": 60, "promiscuous": 40, "hostile": 45, "unwatched": 220,
        "neighbour": 40,
    },
)  # fmt: skip
SMALL = Size(
    subjects=56,
    watches=12,
    others=4,
    real_torrents=2,
    planted={
        "real": 3, "moved": 3, "reassigned": 4, "cgnat": 4, "household": 2, "vpn": 2, "tor": 1, "hosting": 2,
        "mobile": 1, "disputed": 2, "slow": 2, "late": 2, "superseed": 2, "partial": 4, "several": 2,
        "encrypted-only": 1, "utp-only": 1, "boundary": 1, "brief": 1, "unlisted": 1, "wrong-length": 1,
    },
    bystanders={
        "torrent only": 60, "boundary": 10, "nothing": 40, "wrong-length": 6, "spare bits": 4, "closes": 12,
        "refuses": 12, "silent": 6, "other infohash": 8, "promiscuous": 8, "hostile": 9, "unwatched": 20,
        "neighbour": 6,
    },
)  # fmt: skip

NETWORK_OF = {"cgnat": "cgnat", "vpn": "vpn", "tor": "tor", "hosting": "hosting", "mobile": "mobile"}
SHARED = frozenset({"cgnat", "vpn", "tor", "household"})  # hosting and mobile lines may be one party's own


@dataclass(slots=True)
class Stagehand:
    """What the making of one cast has used up so far."""

    rng: random.Random
    timing: Timing
    ports: tuple[int, ...]
    real_port: int
    torrents: tuple[Torrent, ...]
    real_torrents: int
    taken: set[str] = field(default_factory=set)
    weights: list[float] = field(default_factory=list)
    next_place: int = 0

    def place(self) -> Place:
        """The 26 places in turn, so that every force has its part."""
        found = places()[self.next_place % len(places())]
        self.next_place += 1
        return found

    def fresh_address(self, place: Place, kind: str) -> str:
        """An address of that place that nobody has."""
        while True:
            found = address(place, kind, self.rng)
            if found not in self.taken:
                self.taken.add(found)
                return found

    def watched(self, count: int = 1) -> list[Torrent]:
        """Different watched torrents, some far more popular than others."""
        found: dict[int, Torrent] = {}
        watched = [t for t in self.torrents if t.watched is not None]
        while len(found) < count:
            torrent = self.rng.choices(watched, self.weights)[0]
            found[torrent.index] = torrent
        return list(found.values())

    def always(self) -> tuple[float, float]:
        """From before the observation to after it."""
        return (-3600.0, self.timing.seconds + 3600.0)


def make_scenario(
    seed: int, *, ports: tuple[int, ...], real_port: int, size: Size = FULL, timing: Timing | None = None
) -> Scenario:
    """The operation of that seed. `ports` are those that the fakes share; real clients listen on `real_port`."""
    rng = random.Random(f"clew range {seed}")
    timing = timing or Timing()
    torrents = make_torrents(rng, size.watches, size.others, size.real_torrents)
    hand = Stagehand(rng, timing, ports, real_port, torrents, size.real_torrents)
    # One torrent is so popular that no single tracker reply holds all its peers (trackers.CAP).
    hand.weights = [1.0 / (6 + n) ** 0.6 * (5.0 if n == 0 else 1.0) for n in range(size.watches)]
    rng.shuffle(hand.weights)
    parties = list(_subjects(hand, size))
    lines = [p for p in parties if p.kind == "cgnat"]
    for kind, count in size.bystanders.items():
        parties += [_bystander(hand, kind, number, lines) for number in range(count)]
    order = list(range(len(parties)))
    rng.shuffle(order)
    numbered = tuple(replace(parties[at], id=f"P{number:05d}") for number, at in enumerate(order))
    return Scenario(seed, timing, ports, real_port, torrents, numbered, _spoofed(hand))


def _subjects(hand: Stagehand, size: Size) -> Iterator[Party]:
    named = sum(size.planted.values())
    kinds = dict(size.planted, plain=size.subjects - named)
    for kind, count in kinds.items():
        made = 0
        while made < count:
            group = min(GROUP.get(kind, 1), count - made)
            yield from _group(hand, kind, group)
            made += group


def _group(hand: Stagehand, kind: str, count: int) -> list[Party]:
    """Subjects that share an address (cgnat, household), hand one over (reassigned), or stand alone."""
    place = hand.place()
    block = "disputed" if kind == "disputed" else NETWORK_OF.get(kind, hand.rng.choice(("", "isp")))
    where = hand.fresh_address(place, block)
    ports = hand.rng.sample(hand.ports, count)
    hand.taken.update(f"{where}:{port}" for port in ports)
    parties: list[Party] = []
    for number in range(count):
        client = pick(hand.rng, unlike=parties[-1].client if parties else None)
        party = Party(
            id="",
            kind=kind,
            planted=True,
            place=place,
            network_kind="" if block == "disputed" else block,
            client=client,
            manner=Manner.ANSWERS,
            holdings=tuple(_claim(hand, t) for t in hand.watched(hand.rng.choice((1, 1, 1, 2)))),
            stays=(Stay(where, ports[number], *hand.always()),),
            shared=kind in SHARED,
            disputed=kind == "disputed",
        )
        parties.append(SHAPES[kind](hand, party) if kind in SHAPES else party)
    if kind == "reassigned":
        return _hand_over(hand, parties)
    return parties


def _claim(hand: Stagehand, torrent: Torrent) -> Holding:
    """Mostly everything, as seeders do; sometimes a part with a piece inside the watched file."""
    if hand.rng.random() < 0.75:
        return Holding(torrent.index, Saying.WHOLE)
    return _part(hand, torrent, Saying.BITFIELD)


def _part(hand: Stagehand, torrent: Torrent, saying: Saying) -> Holding:
    inner = hand.rng.sample(torrent.inner(), hand.rng.randrange(1, len(torrent.inner()) + 1))
    rest = [p for p in torrent.outside() if hand.rng.random() < 0.4]
    if saying is Saying.HAVES:
        inner, rest = inner[:6], rest[:6]
    return Holding(torrent.index, saying, tuple(sorted(inner + rest)))


def _hand_over(hand: Stagehand, pair: list[Party]) -> list[Party]:
    """One endpoint: the first party until the switch, the second, with another client, from then on."""
    if len(pair) < 2:
        return pair
    first, second = pair
    begin, end = hand.always()
    line, switch = first.stays[0], hand.timing.switch
    holdings = first.holdings if hand.rng.random() < 0.5 else second.holdings
    return [
        replace(first, stays=(replace(line, begin=begin, end=switch),)),
        replace(second, holdings=holdings, stays=(replace(line, begin=switch, end=end),)),
    ]


def _moved(hand: Stagehand, party: Party) -> Party:
    begin, end = hand.always()
    line, switch = party.stays[0], hand.timing.switch
    other = hand.fresh_address(party.place, "")
    return replace(party, stays=(replace(line, begin=begin, end=switch), Stay(other, line.port, switch, end)))


def _real(hand: Stagehand, party: Party) -> Party:
    torrent = hand.torrents[hand.rng.randrange(hand.real_torrents)]
    line = party.stays[0]
    return replace(
        party,
        client=REAL_CLIENT,
        manner=Manner.REAL,
        holdings=(Holding(torrent.index, Saying.WHOLE),),
        stays=(replace(line, port=hand.real_port),),
    )


def _late(hand: Stagehand, party: Party) -> Party:
    latest = hand.timing.seconds - 2.8 * hand.timing.revisit
    line = party.stays[0]
    return replace(party, stays=(replace(line, begin=hand.rng.uniform(2.0, max(3.0, latest))),))


def _brief(hand: Stagehand, party: Party) -> Party:
    begin = hand.rng.uniform(0.0, hand.timing.revisit)
    return replace(party, stays=(replace(party.stays[0], begin=begin, end=begin + 0.9 * hand.timing.revisit),))


def _told(saying: Saying) -> Callable[[Stagehand, Party], Party]:
    def shape(hand: Stagehand, party: Party) -> Party:
        torrents = [hand.torrents[h.torrent] for h in party.holdings]
        return replace(party, holdings=tuple(_part(hand, t, saying) for t in torrents))

    return shape


def _edge(hand: Stagehand, party: Party) -> Party:
    holdings = (_edge_of(hand, hand.torrents[h.torrent]) for h in party.holdings)
    return replace(party, holdings=tuple(holdings))


def _edge_of(_hand: Stagehand, torrent: Torrent) -> Holding:
    return Holding(torrent.index, Saying.BITFIELD, torrent.boundary() or torrent.outside()[:1])


def _manner(manner: Manner) -> Callable[[Stagehand, Party], Party]:
    return lambda _hand, party: replace(party, manner=manner)


SHAPES: dict[str, Callable[[Stagehand, Party], Party]] = {
    "moved": _moved,
    "real": _real,
    "late": _late,
    "brief": _brief,
    "superseed": _told(Saying.HAVES),
    "partial": _told(Saying.BITFIELD),
    "wrong-length": _told(Saying.WRONG_LENGTH),
    "boundary": _edge,
    "slow": _manner(Manner.SLOW),
    "encrypted-only": _manner(Manner.CLOSES),
    "utp-only": _manner(Manner.CLOSES),
    "unlisted": lambda _hand, party: replace(party, listed=False),
    "several": lambda hand, party: replace(party, holdings=tuple(_claim(hand, t) for t in hand.watched(3))),
}

BYSTANDERS: dict[str, tuple[Manner, ...]] = {
    "closes": (Manner.CLOSES,),
    "refuses": (Manner.REFUSES,),
    "silent": (Manner.SILENT,),
    "other infohash": (Manner.OTHER,),
    "promiscuous": (Manner.ECHOES,),
    "hostile": (Manner.GIANT, Manner.GARBAGE, Manner.DRIP),
}


def _bystander(hand: Stagehand, kind: str, number: int, lines: list[Party]) -> Party:
    """One of those among whom the subjects hide: no bytes of theirs ever claim a piece inside a watched file.

    A promiscuous one claims everything for everybody; that it may not become a lead is the point of it.
    """
    manners = BYSTANDERS.get(kind, (Manner.ANSWERS,))
    manner = manners[number % len(manners)]
    port = hand.rng.choice(hand.ports)
    if kind == "neighbour" and lines:
        beside = hand.rng.choice(lines)
        place, where = beside.place, beside.stays[0].address
        port = _free_port(hand, where)
        network = "cgnat"
    else:
        place, network = hand.place(), hand.rng.choice(("", "isp", "", "isp", "mobile", "vpn", "hosting", "tor"))
        where = hand.fresh_address(place, network)
    if manner is Manner.REFUSES:
        port = hand.rng.randrange(1025, 1100)
    torrent = hand.rng.choice([t for t in hand.torrents if t.watched is None])
    if kind != "unwatched":
        torrent = hand.watched()[0]
    return Party(
        id="",
        kind=kind,
        planted=False,
        place=place,
        network_kind=network,
        client=pick(hand.rng),
        manner=manner,
        holdings=(_harmless(hand, kind, torrent),),
        stays=(Stay(where, port, *hand.always()),),
        shared=network in SHARED,
    )


def _free_port(hand: Stagehand, where: str) -> int:
    """A port of a shared address that no party has: neighbours may not stand on each other's endpoints."""
    while True:
        port = hand.rng.choice(hand.ports)
        mark = f"{where}:{port}"
        if mark not in hand.taken:
            hand.taken.add(mark)
            return port


PLAIN_SAYINGS = {
    "unwatched": (Saying.WHOLE,),
    "promiscuous": (Saying.WHOLE,),
    "nothing": (Saying.NONE, Saying.EMPTY),
    "wrong-length": (Saying.WRONG_LENGTH,),
    "spare bits": (Saying.SPARE_BITS,),
}


def _harmless(hand: Stagehand, kind: str, torrent: Torrent) -> Holding:
    if kind == "boundary":
        return _edge_of(hand, torrent)
    if kind in PLAIN_SAYINGS:
        return Holding(torrent.index, hand.rng.choice(PLAIN_SAYINGS[kind]))
    outside = torrent.outside()
    kept = tuple(p for p in outside if hand.rng.random() < 0.6) or outside[:1]
    if hand.rng.random() < 0.3:
        return Holding(torrent.index, Saying.HAVES, kept[:12])
    return Holding(torrent.index, Saying.BITFIELD, kept)


def _spoofed(hand: Stagehand) -> tuple[tuple[int, str, int], ...]:
    """Listings that somebody made up: documentation addresses (RFC 5737), port 0 and 1, the trackers themselves."""
    made: list[tuple[int, str, int]] = []
    for torrent in hand.torrents:
        made.append((torrent.index, f"192.0.2.{hand.rng.randrange(1, 255)}", hand.rng.choice(hand.ports)))
        made.append((torrent.index, f"127.{hand.rng.randrange(10, 32)}.1.0", hand.rng.choice((0, 1))))
    return tuple(made)
