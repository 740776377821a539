"""How a subject of a class differs from a plain one: its stays, its manner, and what it says that it holds."""

from collections.abc import Callable
from dataclasses import replace

from clew.range.clients import Client
from clew.range.scenario import Carrier, Holding, Manner, Party, Saying, Stay
from clew.range.stagehand import Stagehand
from clew.range.torrents import Torrent

REAL_CLIENT = Client("libtorrent", "-LT2110-", "libtorrent/2.1.1.0", bytes.fromhex("0000000000100005"))
UNHEARD_PORTS = range(1025, 1100)  # below all that the range listens on
Shape = Callable[[Stagehand, Party], Party]


def claim(hand: Stagehand, torrent: Torrent) -> Holding:
    """Mostly everything, as seeders do; sometimes a part with a piece inside the watched file."""
    if hand.rng.random() < 0.75:
        return Holding(torrent.index, Saying.WHOLE)
    return part(hand, torrent, Saying.BITFIELD)


def part(hand: Stagehand, torrent: Torrent, saying: Saying) -> Holding:
    """Some pieces inside the watched file and some outside it."""
    inner = hand.rng.sample(torrent.inner(), hand.rng.randrange(1, len(torrent.inner()) + 1))
    rest = [p for p in torrent.outside() if hand.rng.random() < 0.4]
    if saying is Saying.HAVES:
        inner, rest = inner[:6], rest[:6]
    if saying is Saying.SHRINKS:  # a piece inside stands first, so that it is dropped last
        return Holding(torrent.index, saying, (*inner, *rest))
    return Holding(torrent.index, saying, tuple(sorted(inner + rest)))


def edge(torrent: Torrent) -> Holding:
    """Nothing but pieces that touch the watched file and another one."""
    return Holding(torrent.index, Saying.BITFIELD, torrent.boundary() or torrent.outside()[:1])


def hand_over(hand: Stagehand, pair: list[Party]) -> list[Party]:
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


def _roaming(hand: Stagehand, party: Party) -> Party:
    """Four addresses, each for a quarter of the operation, but never for two revisit intervals."""
    each = min(hand.timing.seconds / 4, 1.9 * hand.timing.revisit)
    line = party.stays[0]
    where = [line.address, *(hand.fresh_address(party.place, "") for _ in range(3))]
    return replace(party, stays=tuple(Stay(a, line.port, n * each, (n + 1) * each) for n, a in enumerate(where)))


def _real(hand: Stagehand, party: Party) -> Party:
    torrent = hand.torrents[hand.rng.randrange(hand.real_torrents)]
    line = party.stays[0]
    return replace(
        party,
        client=REAL_CLIENT,
        manner=Manner.REAL,
        holdings=(Holding(torrent.index, Saying.WHOLE),),
        stays=(replace(line, port=hand.real_port),),
        accepts=frozenset(Carrier),  # it does, whatever the fakes of this operation can
    )


def _late(hand: Stagehand, party: Party) -> Party:
    latest = hand.timing.seconds - 2.8 * hand.timing.revisit
    line = party.stays[0]
    return replace(party, stays=(replace(line, begin=hand.rng.uniform(2.0, max(3.0, latest))),))


def _brief(hand: Stagehand, party: Party) -> Party:
    begin = hand.rng.uniform(0.0, hand.timing.revisit)
    return replace(party, stays=(replace(party.stays[0], begin=begin, end=begin + 0.9 * hand.timing.revisit),))


def _nat(hand: Stagehand, party: Party) -> Party:
    port = hand.rng.choice(UNHEARD_PORTS)
    return replace(party, manner=Manner.REFUSES, stays=(replace(party.stays[0], port=port),))


def _told(saying: Saying) -> Shape:
    def shape(hand: Stagehand, party: Party) -> Party:
        torrents = [hand.torrents[h.torrent] for h in party.holdings]
        return replace(party, holdings=tuple(part(hand, t, saying) for t in torrents))

    return shape


def _lazy(hand: Stagehand, party: Party) -> Party:
    def shuffled(holding: Holding) -> Holding:
        held = holding.pieces or range(hand.torrents[holding.torrent].pieces)
        return Holding(holding.torrent, Saying.LAZY, tuple(hand.rng.sample(held, len(held))))

    return replace(party, holdings=tuple(map(shuffled, party.holdings)))


SHAPES: dict[str, Shape] = {
    "moved": _moved,
    "roaming": _roaming,
    "real": _real,
    "late": _late,
    "brief": _brief,
    "nat": _nat,
    "superseed": _told(Saying.HAVES),
    "partial": _told(Saying.BITFIELD),
    "liar": _told(Saying.SHRINKS),
    "lazy": _lazy,
    "wrong-length": _told(Saying.WRONG_LENGTH),
    "boundary": lambda hand, party: replace(
        party, holdings=tuple(edge(hand.torrents[h.torrent]) for h in party.holdings)
    ),
    "slow": lambda _hand, party: replace(party, manner=Manner.SLOW),
    "several": lambda hand, party: replace(party, holdings=tuple(claim(hand, t) for t in hand.watched(3))),
}
