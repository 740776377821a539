"""Who takes part in an operation: the subjects that are planted, and the bystanders among whom they hide."""
# ruff: noqa: S311 — a scenario wants a generator that can be seeded; nothing secret comes from it

import random
from collections.abc import Iterator
from dataclasses import replace

from clew.range.classes import BYSTANDERS, ENCRYPTED, OVER_UTP, SHARED_NETWORKS, SUBJECTS
from clew.range.clients import NAMELESS, pick
from clew.range.scenario import Holding, Manner, Party, Saying, Scenario, Stay
from clew.range.scenario_file import Plan
from clew.range.shapes import SHAPES, UNHEARD_PORTS, claim, edge, hand_over
from clew.range.stagehand import Stagehand
from clew.range.torrents import Torrent, make_torrents

BYSTANDER_NETWORKS = ("", "isp", "", "isp", "mobile", "vpn", "hosting", "tor")
# They say that they know the extensions which they abuse, so that the audit takes an answer in kind for what it is.
HOSTILE = frozenset({Manner.DRIP, Manner.MALFORMED, Manner.ENDLESS, Manner.PEX_FLOOD})
GONE = -60.0  # second of the operation by which a stale one has left


def make_scenario(seed: int, plan: Plan, *, ports: tuple[int, ...], real_port: int) -> Scenario:
    """The operation of that seed. `ports` are those that the fakes share; real clients listen on `real_port`."""
    rng = random.Random(f"clew range {seed}")
    torrents = make_torrents(rng, plan.watches, plan.unwatched_torrents, plan.real_torrents)
    hand = Stagehand(rng, plan.timing, ports, real_port, torrents, plan.real_torrents, plan.carriers, plan.sources)
    parties = list(_subjects(hand, plan))
    lines = [p for p in parties if p.kind == "cgnat"]
    for kind, count in plan.bystanders.items():
        parties += [_bystander(hand, kind, lines) for _ in range(count)]
    nameless = frozenset(t.index for t in hand.watches[len(hand.watches) - plan.nameless_watches :])
    order = list(range(len(parties)))
    rng.shuffle(order)
    numbered = tuple(replace(_unnamed(parties[at], nameless), id=f"P{number:05d}") for number, at in enumerate(order))
    return Scenario(
        seed=seed,
        timing=plan.timing,
        ports=ports,
        real_port=real_port,
        torrents=torrents,
        parties=numbered,
        spoofed=_spoofed(hand, numbered),
        carriers=plan.carriers,
        sources=plan.sources,
        pace=plan.pace,
    )


def _subjects(hand: Stagehand, plan: Plan) -> Iterator[Party]:
    for kind, count in plan.subjects.items():
        made = 0
        while made < count:
            group = min(SUBJECTS[kind].group, count - made)
            yield from _group(hand, kind, group)
            made += group


def _group(hand: Stagehand, kind: str, count: int) -> list[Party]:
    """Subjects that share an address (cgnat, household, vpn), hand one over (reassigned), or stand alone."""
    group, place = SUBJECTS[kind], hand.place()
    block = group.network or hand.rng.choice(("", "isp"))
    where = hand.fresh_address(place, block)
    ports = hand.rng.sample(hand.ports, count)
    hand.taken.update(f"{where}:{port}" for port in ports)
    parties: list[Party] = []
    for number in range(count):
        unlike = parties[-1].client if parties else None
        client = pick(hand.rng, unlike=unlike, mse=group.accepts == ENCRYPTED, utp=group.accepts == OVER_UTP)
        party = Party(
            id="",
            kind=kind,
            planted=True,
            place=place,
            network_kind="" if block == "disputed" else block,
            client=client,
            manner=Manner.ANSWERS,
            holdings=tuple(claim(hand, t) for t in hand.watched(hand.rng.choice((1, 1, 1, 2)))),
            stays=(Stay(where, ports[number], *hand.always()),),
            accepts=hand.accepts(client, group.accepts),
            listed_by=hand.listed_by(group.listed_by),
            shared=group.shared,
            disputed=kind == "disputed",
        )
        parties.append(SHAPES[kind](hand, party) if kind in SHAPES else party)
    return hand_over(hand, parties) if kind == "reassigned" else parties


def _bystander(hand: Stagehand, kind: str, lines: list[Party]) -> Party:
    """One of those among whom the subjects hide."""
    group = BYSTANDERS[kind]
    port = hand.rng.choice(hand.ports)
    if kind == "neighbour" and lines:
        beside = hand.rng.choice(lines)
        place, where, network = beside.place, beside.stays[0].address, "cgnat"
        port = hand.free_port(where)
    else:
        place, network = hand.place(), hand.rng.choice(BYSTANDER_NETWORKS)
        where = hand.fresh_address(place, network)
    if group.manner is Manner.REFUSES:
        port = hand.rng.choice(UNHEARD_PORTS)
    torrent = hand.rng.choice(hand.unwatched)
    if kind not in ("unwatched", "framed"):
        torrent = hand.watched()[0]
    begin, end = hand.always()
    client = pick(hand.rng, modern=group.manner in HOSTILE)
    return Party(
        id="",
        kind=kind,
        planted=False,
        place=place,
        network_kind=network,
        client=client,
        manner=group.manner,
        holdings=(_harmless(hand, kind, torrent),),
        stays=(Stay(where, port, begin, GONE if kind == "stale" else end),),
        accepts=hand.accepts(client, group.accepts),
        listed_by=hand.listed_by(None),
        shared=network in SHARED_NETWORKS,
    )


def _harmless(hand: Stagehand, kind: str, torrent: Torrent) -> Holding:
    if kind == "boundary":
        return edge(torrent)
    if sayings := BYSTANDERS[kind].sayings:
        return Holding(torrent.index, hand.rng.choice(sayings))
    outside = torrent.outside()
    kept = tuple(p for p in outside if hand.rng.random() < 0.6) or outside[:1]
    if hand.rng.random() < 0.3:
        return Holding(torrent.index, Saying.HAVES, kept[:12])
    return Holding(torrent.index, Saying.BITFIELD, kept)


def _unnamed(party: Party, nameless: frozenset[int]) -> Party:
    """The same party with a client that says nothing stable, where it is in a swarm of such clients."""
    if party.manner is Manner.REAL or not any(h.torrent in nameless for h in party.holdings):
        return party
    return replace(party, client=NAMELESS)


def _spoofed(hand: Stagehand, parties: tuple[Party, ...]) -> tuple[tuple[int, str, int], ...]:
    """Listings that somebody made up: documentation addresses (RFC 5737), port 0 and 1, and the framed ones."""
    made: list[tuple[int, str, int]] = []
    for torrent in hand.torrents:
        made.append((torrent.index, f"192.0.2.{hand.rng.randrange(1, 255)}", hand.rng.choice(hand.ports)))
        made.append((torrent.index, f"127.{hand.rng.randrange(10, 32)}.1.0", hand.rng.choice((0, 1))))
    for party in parties:
        if party.kind == "framed":
            stay = party.stays[0]
            made.append((hand.watched()[0].index, stay.address, stay.port))
    return tuple(made)
