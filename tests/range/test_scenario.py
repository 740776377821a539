"""The scenario: what is planted, what is contactable by the scenario alone, and that a seed is an operation."""

import itertools
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clew.range.cast import FULL, SMALL, make_scenario
from clew.range.clients import CLIENTS
from clew.range.places import BLOCKS, COUNTRIES, forces, networks, places
from clew.range.scenario import Manner, Saying, Support
from clew.range.torrents import Torrent, bencode
from clew.range.truth import canonical, digest, truth_of

PORTS = tuple(range(6881, 6899))


def made(seed, size=SMALL):
    return make_scenario(seed, ports=PORTS, real_port=6899, size=size)


@pytest.fixture(scope="module")
def full():
    return made(3, FULL)


def test_the_size_of_icarus(full):
    planted = full.planted()
    assert len(planted) == 269
    assert sum(full.contactable(p) for p in planted) >= 240
    assert len(full.parties) - len(planted) >= 2000
    assert len(full.watches()) >= 50
    assert len(COUNTRIES) == 22
    assert len(forces()) == 26
    assert Counter(f.country for f in forces()).most_common(5)[3][1] == 2
    real = [p for p in planted if p.manner is Manner.REAL]
    assert len(real) >= 12


def test_one_torrent_is_larger_than_one_tracker_reply(full):
    members = Counter(h.torrent for p in full.parties for h in p.holdings)
    assert max(members.values()) > 200


def test_every_force_has_somebody_to_find(full):
    assert {full.right_force(p) for p in full.planted() if full.contactable(p)} >= {f.code for f in forces()}


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**31 - 1))
def test_only_planted_ones_ever_claim_the_watched_file(seed):
    scenario = made(seed)
    for party in scenario.parties:
        claims = {scenario.supports(party, h) for h in party.holdings}
        if not party.planted:
            assert Support.E2 not in claims
            assert not scenario.contactable(party)
        if scenario.contactable(party):
            assert Support.E2 in claims


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**31 - 1))
def test_no_two_parties_stand_on_one_endpoint_at_one_time(seed):
    scenario = made(seed)
    stays = {}
    for party in scenario.parties:
        for stay in party.stays:
            for other in stays.setdefault((stay.address, stay.port), []):
                assert stay.end <= other.begin or other.end <= stay.begin, party.kind
            stays[stay.address, stay.port].append(stay)


def test_a_seed_is_an_operation():
    assert made(11) == made(11)
    assert made(11) != made(12)
    truth = truth_of(made(11), start_at=1_700_000_000.0)
    assert digest(truth) == digest(truth_of(made(11), start_at=1_700_000_000.0))
    assert digest(truth) != digest(truth_of(made(11), start_at=1_700_000_001.0))


def test_the_truth_holds_no_infohash():
    scenario = made(5)
    text = canonical(truth_of(scenario, start_at=1_700_000_000.0))
    for torrent in scenario.torrents:
        assert torrent.infohash.hex().encode() not in text


def test_reassignment_is_to_another_client_and_whole(full):
    pairs = {}
    for party in full.planted():
        if party.kind == "reassigned":
            pairs.setdefault((party.stays[0].address, party.stays[0].port), []).append(party)
    assert len(pairs) >= 5
    for pair in pairs.values():
        first, second = sorted(pair, key=lambda p: p.stays[0].begin)
        assert first.client.name != second.client.name
        assert first.stays[0].end == second.stays[0].begin


def test_what_cannot_be_reached_is_not_contactable(full):
    for kind in ("encrypted-only", "utp-only", "boundary", "brief", "unlisted", "wrong-length"):
        found = [p for p in full.planted() if p.kind == kind]
        assert found
        assert not any(full.contactable(p) for p in found)


def test_identifiers_are_those_of_real_clients(full):
    known = {c.prefix for c in CLIENTS} | {"-LT2110-"}
    assert {p.client.prefix for p in full.parties} <= known


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 400), st.lists(st.integers(1, 300_000), min_size=2, max_size=5), st.data())
def test_pieces_are_inner_boundary_or_outside(piece_kib, lengths, data):
    watched = data.draw(st.integers(0, len(lengths) - 1))
    files = tuple((str(n), length) for n, length in enumerate(lengths))
    torrent = Torrent(0, "W-01", "x", b"", bytes(20), piece_kib * 1024, files, watched, (0,), None)
    begin, end = torrent.offset, torrent.offset + lengths[watched]
    for piece in torrent.inner():
        assert begin <= piece * torrent.piece_length
        assert (piece + 1) * torrent.piece_length <= end
    for piece in torrent.outside():
        assert (piece + 1) * torrent.piece_length <= begin or piece * torrent.piece_length >= end
    assert not set(torrent.boundary()) & set(torrent.inner())
    assert not set(torrent.boundary()) & set(torrent.outside())


def test_the_plan_covers_each_country_without_overlap():
    import ipaddress

    plan = sorted((ipaddress.ip_network(n.cidr) for n in networks()), key=lambda n: int(n.network_address))
    for before, after in itertools.pairwise(plan):
        assert before.broadcast_address < after.network_address
    assert {n.place.force for n in networks()} == {p.force for p in places()}
    assert {n.kind for n in networks()} == {name for name, *_ in BLOCKS if name != "disputed"}


def test_superseeders_tell_by_have_alone(full):
    told = {h.saying for p in full.planted() if p.kind == "superseed" for h in p.holdings}
    assert told == {Saying.HAVES}


def test_bencode():
    assert bencode({"b": [1, "x"], "a": b"\xff"}) == b"d1:a1:\xff1:bli1e1:xee"
