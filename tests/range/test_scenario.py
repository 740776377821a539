"""The scenario: what is planted, what is contactable by the scenario alone, and that a seed is an operation."""

import itertools
import subprocess
import sys
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clew.core.errors import ClewError
from clew.range import scenario
from clew.range.cast import make_scenario
from clew.range.classes import BYSTANDERS, SUBJECTS
from clew.range.clients import CLIENTS, NAMELESS
from clew.range.places import BLOCKS, COUNTRIES, forces, networks, places
from clew.range.scenario import Carrier, Manner, Source, Support
from clew.range.scenario_file import parse, text_of
from clew.range.torrents import Torrent, bencode
from clew.range.truth import canonical, digest, truth_of

PORTS = tuple(range(6881, 6899))


HTTP_AND_TCP = 'carriers = ["tcp"]\nsources = ["http tracker"]'
EVERYTHING = 'carriers = ["tcp", "mse/tcp", "utp", "mse/utp"]\nsources = ["http tracker", "udp tracker", "dht", "pex"]'


def made(seed, name="small", offers=EVERYTHING):
    text = text_of(name)
    assert text.count(EVERYTHING) == 1
    return make_scenario(seed, parse(text.replace(EVERYTHING, offers)), ports=PORTS, real_port=6899)


@pytest.fixture(scope="module")
def full():
    return made(3, "full")


@pytest.fixture
def modest(monkeypatch):
    """An observer that has published that it can do the least."""
    monkeypatch.setattr(scenario, "SUPPORTED_CARRIERS", frozenset({Carrier.TCP}))
    monkeypatch.setattr(scenario, "SUPPORTED_SOURCES", frozenset({Source.HTTP}))


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
    why = {
        "boundary": "its bytes claim no piece inside a watched file",
        "wrong-length": "its bytes claim no piece inside a watched file",
        "brief": "at no endpoint for two revisit intervals",
        "roaming": "at no endpoint for two revisit intervals",
        "nat": "nobody is reachable there",
        "unlisted": "listed nowhere",
    }
    for kind, reason in why.items():
        found = [p for p in full.planted() if p.kind == kind]
        assert found
        assert {full.beyond_reach(p) for p in found} == {reason}
        assert not any(full.contactable(p) for p in found)
    assert not [p for p in full.planted() if p.kind not in why and not full.contactable(p)]
    assert sum(map(full.contactable, full.planted())) == 254


BY_ABILITY = ("encrypted-only", "utp-only", "udp-tracker-only", "dht-only", "pex-only")


def test_what_is_not_offered_is_not_contactable():
    """By HTTP trackers and TCP alone, the same classes are there, accept nothing and are listed nowhere."""
    plain = made(3, "full", HTTP_AND_TCP)
    why = {p.kind: plain.beyond_reach(p) for p in plain.planted() if p.kind in BY_ABILITY}
    assert why == {
        **dict.fromkeys(("encrypted-only", "utp-only"), "accepts no supported transport"),
        **dict.fromkeys(("udp-tracker-only", "dht-only", "pex-only"), "listed nowhere"),
    }
    assert sum(map(plain.contactable, plain.planted())) == 240


@pytest.mark.usefixtures("modest")
def test_what_is_offered_and_not_supported_is_not_contactable(full):
    why = {p.kind: full.beyond_reach(p) for p in full.planted() if p.kind in BY_ABILITY}
    assert why == {
        **dict.fromkeys(("encrypted-only", "utp-only"), "accepts no supported transport"),
        **dict.fromkeys(("udp-tracker-only", "dht-only", "pex-only"), "listed by no supported source"),
    }
    assert sum(map(full.contactable, full.planted())) == 240


@pytest.mark.parametrize("name", ["full", "small"])
def test_the_switch_changes_what_is_offered_and_nothing_else(name):
    plain, offered = made(8, name, HTTP_AND_TCP), made(8, name)
    assert plain.torrents == offered.torrents
    assert plain.spoofed == offered.spoofed
    for one, other in zip(plain.parties, offered.parties, strict=True):
        told = {"accepts", "listed_by"}
        fields = [f for f in one.__slots__ if f not in told]
        assert [getattr(one, f) for f in fields] == [getattr(other, f) for f in fields]
        assert one.listed_by == other.listed_by & {Source.HTTP}
        if one.manner is not Manner.REAL:
            assert one.accepts == other.accepts & {Carrier.TCP}


def test_clients_accept_what_they_can(full):
    for party in full.planted():
        if party.manner is Manner.REAL:
            assert party.accepts == frozenset(Carrier)
        elif party.kind == "encrypted-only":
            assert party.accepts
            assert party.accepts <= {Carrier.MSE_TCP, Carrier.MSE_UTP}
        elif party.kind == "utp-only":
            assert party.accepts == {Carrier.UTP, Carrier.MSE_UTP}
            assert party.carriers == ("utp",)
        elif party.kind == "nat":
            assert not party.accepts
        else:
            assert Carrier.TCP in party.accepts
            assert (Carrier.UTP in party.accepts) == party.client.utp
            assert (Carrier.MSE_TCP in party.accepts) == party.client.mse
    mixes = {p.listed_by for p in full.parties}
    assert len(mixes) >= 7
    assert sum(Source.HTTP in p.listed_by for p in full.parties) > 0.9 * len(full.parties)


def test_every_class_can_be_cast():
    """A scenario of all classes at once, each at least twice, is made; no two parties stand on one endpoint."""
    text = text_of("full")
    head = text[: text.index("[subjects]")]
    kinds = [("subjects", SUBJECTS, "plain"), ("bystanders", BYSTANDERS, "torrent-only")]
    for name, classes, rest in kinds:
        counts = "\n".join(f"{kind} = 4" for kind in classes if kind != rest)
        head += f"\n[{name}]\ntotal = {4 * len(classes)}\n{counts}\n"
    offered = make_scenario(2, parse(head), ports=PORTS, real_port=6899)
    counted = Counter((p.planted, p.kind) for p in offered.parties)
    assert counted == {(True, k): 4 for k in SUBJECTS} | {(False, k): 4 for k in BYSTANDERS}


def test_swarms_without_any_stable_identifier():
    scenario = made(5, "nameless")
    assert {p.client for p in scenario.parties if p.kind != "unwatched" and p.kind != "framed"} == {NAMELESS}
    assert NAMELESS.per_connection
    assert not NAMELESS.prefix
    assert NAMELESS.version is None
    assert sum(map(scenario.contactable, scenario.planted())) == 60


def test_framed_ones_are_listed_for_what_they_do_not_have(full):
    listed = {(address, port): number for number, address, port in full.spoofed}
    framed = [p for p in full.parties if p.kind == "framed"]
    assert len(framed) == 20
    for party in framed:
        number = listed[party.stays[0].address, party.stays[0].port]
        assert full.torrents[number].watched is not None
        assert number not in {h.torrent for h in party.holdings}


def test_fifty_thousand_parties_are_made_within_bounds():
    """In a process of its own, which the kernel ends where it takes more than 60 CPU seconds or 500 MB."""
    code = (
        "import resource\n"
        "resource.setrlimit(resource.RLIMIT_CPU, (60, 60))\n"
        "resource.setrlimit(resource.RLIMIT_AS, (500 << 20, 500 << 20))\n"
        "from clew.range.cast import make_scenario\n"
        "from clew.range.scenario_file import parse, text_of\n"
        "made = make_scenario(1, parse(text_of('light50k')), ports=tuple(range(6881, 6921)), real_port=6999)\n"
        "real = sum(p.kind == 'real' for p in made.parties)\n"
        "print(len(made.parties) - real, real, sum(map(made.contactable, made.planted())))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["50000", "200", "10200"]


def test_the_large_one_has_ten_thousand_to_contact():
    large = made(4, "large")
    assert sum(map(large.contactable, large.planted())) == 10_000


def test_an_operation_with_no_room_left_is_refused():
    text = text_of("small").replace("total = 207", "total = 20000").replace("neighbour = 6", "neighbour = 19000")
    with pytest.raises(ClewError, match="no port left"):
        make_scenario(1, parse(text), ports=PORTS, real_port=6899)


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


def test_bencode():
    assert bencode({"b": [1, "x"], "a": b"\xff"}) == b"d1:a1:\xff1:bli1e1:xee"
