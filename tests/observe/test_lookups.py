"""Lookups against a network of nodes made up here: who is asked, how many, and when it is over."""

import random
from collections import Counter

import pytest
from observe_case import watch_body

from clew.core import watch
from clew.model import Missing, Reason
from clew.observe import node_ids
from clew.observe.announces import Round
from clew.observe.api import SECOND, Listing
from clew.observe.gaps import NO_IPV6
from clew.observe.lookups import ALPHA, MOST_ASKED, MOST_KNOWN, PER_NETWORK, K, Lookups, at, network
from clew.observe.networks.bittorrent import PLUGIN
from clew.observe.policy import Policy

WATCH = watch.from_body(watch_body())
INFOHASH = WATCH.infohash_v1
POLICY = Policy(revisit=5.0)
# BEP 42, "test vectors": address, random number, node id of which the bold parts count.
VECTORS = [
    ("124.31.75.21", "5fbfbff10c5d6a4ec8a88e4c6ab4c28b95eee401"),
    ("21.75.31.124", "5a3ce9c14e7a08645677bbd1cfe7d8f956d53256"),
    ("65.23.51.170", "a5d43220bc8f112a3d426c84764f8c2a1150e616"),
    ("84.124.73.14", "1b0321dd1bb1fe518101ceef99462b947a01ff41"),
    ("43.213.53.83", "e56f6cbf5b7c4be0237986d5243b87aa6d51305a"),
]


@pytest.mark.parametrize(("address", "node_id"), VECTORS)
def test_ids_fit_their_addresses_as_in_bep_42(address: str, node_id: str) -> None:
    right = bytes.fromhex(node_id)
    assert node_ids.fits(right, address)
    wrong = [bytes([right[0] ^ 1]) + right[1:], right[:2] + bytes([right[2] ^ 8]) + right[3:], right[:19] + b"\x07"]
    assert not any(node_ids.fits(each, address) for each in wrong if each != right)
    assert not node_ids.fits(right, "203.0.113.9")


def test_what_bep_42_exempts_and_its_sum() -> None:
    assert node_ids.crc32c(b"123456789") == 0xE3069283, "RFC 3720's CRC-32C, its usual check value"
    for address in ("127.2.3.4", "10.0.0.1", "192.168.7.7", "172.16.0.1", "169.254.1.1", "::1"):
        assert node_ids.fits(bytes(20), address)
    high = bytes(a & b for a, b in zip(bytes.fromhex("20010db800010002"), node_ids.MASKS[6], strict=True))
    made = node_ids.crc32c(bytes([high[0] | 5 << 5]) + high[1:])
    assert node_ids.fits(made.to_bytes(4, "big") + bytes(15) + b"\x05", "2001:db8:1:2:3:4:5:6")
    assert not node_ids.fits(made.to_bytes(4, "big") + bytes(15) + b"\x04", "2001:db8:1:2:3:4:5:6")


class World:
    """Nodes by their places; each answers with the 8 of either family that it knows to be nearest."""

    def __init__(self, addresses: list[str], seed: int = 1) -> None:
        draw = random.Random(seed)
        self.ids = {(address, 6881): draw.randbytes(20) for address in addresses}
        self.silent: set[tuple[str, int]] = set()
        self.missing: Missing | None = None  # of whoever is asked over IPv6
        self.asked = Counter[tuple[str, int]]()

    def nearest(self, family: str) -> list[tuple[str, int]]:
        some = (place for place in self.ids if (":" in place[0]) == (family == "6"))
        return sorted(some, key=lambda place: node_ids.distance(self.ids[place], INFOHASH))

    def answer(self, one: Round) -> Listing:
        place = (one.address, one.tracker.port)
        self.asked[place] += 1
        if self.missing is not None and ":" in one.address:
            return Listing(missing=self.missing)
        if place in self.silent or place not in self.ids:
            return Listing(missing=Missing(Reason.LIMIT_REACHED, "node: no answer in time"))
        told, networks = [], Counter[str]()
        for each in [*self.nearest("4"), *self.nearest("6")]:  # as routing tables do, not too many of one network
            knows = random.Random(str((place, each))).random() < 0.5
            if knows and networks[network(each[0])] < 4:
                networks[network(each[0])] += 1
                told.append((*each, self.ids[each]))
        near = [n for n in told if ":" not in n[0]][:K] + [n for n in told if ":" in n[0]][:K]
        return Listing(nodes=tuple(near), node=self.ids[place])


def run(world: World, lookups: Lookups, now: int = 0) -> int:
    """One round to its end; returns how many were out at once at most."""
    most = 0
    waiting = lookups.due(now)
    while waiting:
        most = max(most, len(waiting))
        one = waiting.pop(0)
        assert lookups.owns(one)
        lookups.heard(one, world.answer(one), now)
        assert not lookups.owns(one)
        waiting += lookups.due(now)
    return most


def begin(world: World, policy: Policy = POLICY) -> Lookups:
    first = next(iter(world.ids))
    return Lookups({at(*first): first[0]}, [WATCH], policy, 0, lambda _: True)


def test_the_nearest_of_both_families_are_asked_once_each_and_few_at_a_time() -> None:
    world = World([f"127.{n}.1.1" for n in range(20, 170)] + [f"fd00:{n:x}::1" for n in range(60)])
    lookups = begin(world, Policy(allow=("127.0.0.0/8", "fd00::/8"), revisit=300))
    assert run(world, lookups) <= ALPHA
    assert set(world.asked.values()) == {1}
    assert set(world.nearest("4")[:K]) <= set(world.asked)
    assert set(world.nearest("6")[:K]) <= set(world.asked)
    assert len(world.asked) <= MOST_ASKED
    assert lookups.quiet(1)
    assert not lookups.quiet(2)


def test_nodes_of_a_family_that_this_machine_has_not_are_left_for_the_next_round() -> None:
    """They fail at once, each of them, and would take the places of those who can be asked."""
    world = World([f"127.{n}.1.1" for n in range(20, 170)] + [f"fd00:{n:x}::1" for n in range(60)])
    lookups = begin(world, Policy(allow=("127.0.0.0/8", "fd00::/8"), revisit=300))
    world.missing = NO_IPV6
    run(world, lookups)
    assert set(world.nearest("4")[:K]) <= set(world.asked)
    assert sum(":" in address for address, _ in world.asked) <= ALPHA
    assert not lookups.limits()
    world.missing, (due_ns,) = None, {each.due_ns for each in lookups._lookups.values()}
    run(world, lookups, due_ns)
    assert set(world.nearest("6")[:K]) <= set(world.asked)


def test_nodes_that_do_not_answer_do_not_end_it() -> None:
    world = World([f"127.{n}.1.1" for n in range(20, 120)])
    world.silent = set(world.nearest("4")[:4]) - {next(iter(world.ids))}
    run(world, begin(world))
    assert set(world.nearest("4")[: K + len(world.silent)]) <= set(world.asked)


def test_many_nodes_of_one_network_are_asked_twice_in_all() -> None:
    world = World([f"127.{n}.1.1" for n in range(20, 40)])
    near = {(f"127.200.7.{n}", 6881): INFOHASH[:18] + bytes((0, n)) for n in range(1, 100)}
    world.ids |= near
    lookups = begin(world)
    run(world, lookups)
    asked = Counter(network(address) for address, _ in world.asked)
    assert asked["127.200.7.0/24"] == PER_NETWORK
    assert len(world.asked) > K, "the others are asked all the same"
    assert lookups.limits()["node of a network that was asked enough"] > 0
    assert network("2001:db8:5:6::7") == "2001:db8:5::/48"


def test_a_node_outside_the_allow_list_is_never_asked_and_counted() -> None:
    world = World(["127.20.1.1", "192.0.2.7"])
    lookups = begin(world)
    run(world, lookups)
    assert set(world.asked) == {("127.20.1.1", 6881)}
    assert lookups.limits()["node outside the allow-list"] == 1


def test_a_node_outside_the_mandates_is_never_asked_and_counted_and_takes_no_other_s_place() -> None:
    world = World([f"127.{n}.1.1" for n in range(20, 120)])
    first = next(iter(world.ids))
    covered = {first[0], *(address for address, _ in world.nearest("4")[K : 3 * K])}
    lookups = Lookups({at(*first): first[0]}, [WATCH], POLICY, 0, lambda address: address in covered)
    run(world, lookups)
    assert {address for address, _ in world.asked} <= covered
    assert len(world.asked) > K
    assert lookups.limits()["node outside the Mandates"] > 0


def test_an_id_that_does_not_fit_or_another_than_was_told_does_not_count() -> None:
    world = World(["127.20.1.1"])
    liars = {(f"127.{n}.9.9", 6881): INFOHASH[:19] + bytes([n]) for n in range(30, 30 + K)}
    honest = {(f"127.{n}.5.5", 6881): bytes(19) + bytes([n]) for n in range(50, 50 + K)}
    lookups, told = begin(world), {**world.ids, **liars, **honest}
    waiting, asked = lookups.due(0), set()
    while waiting:
        one = waiting.pop()
        place = (one.address, one.tracker.port)
        asked.add(place)
        says = bytes(20) if place in liars else told[place]
        lookups.heard(one, Listing(nodes=tuple((*p, i) for p, i in told.items()), node=says), 0)
        waiting += lookups.due(0)
    assert set(honest) <= asked


def test_endless_new_nodes_end_it_at_its_size() -> None:
    draw, now = random.Random(7), 0
    lookups = Lookups({at("127.1.1.1", 1): "127.1.1.1"}, [WATCH], POLICY, 0, lambda _: True)
    asked, near = 0, 1 << 159
    waiting = lookups.due(now)
    while waiting:
        one, asked = waiting.pop(), asked + 1
        made = []
        for _ in range(100):
            near -= 1 << 140
            address = f"127.{draw.randrange(2, 250)}.{draw.randrange(250)}.1"
            made.append(
                (address, draw.randrange(1, 65536), (int.from_bytes(INFOHASH, "big") ^ near).to_bytes(20, "big"))
            )
        lookups.heard(one, Listing(nodes=tuple(made), node=draw.randbytes(20)), now)
        waiting += lookups.due(now)
        (lookup,) = lookups._lookups.values()
        assert len(lookup.nodes) <= MOST_KNOWN + 100
    assert asked == MOST_ASKED
    assert lookups.limits()["lookup ended by its size"] > 0


def test_the_next_round_begins_after_the_pause_and_with_who_answered() -> None:
    world = World([f"127.{n}.1.1" for n in range(20, 60)])
    lookups = begin(world)
    run(world, lookups)
    first = next(iter(world.ids))
    assert lookups.due(1) == []
    world.asked.clear()
    world.silent = {first}
    again = int(POLICY.round_seconds() * SECOND)
    run(world, lookups, again)
    assert set(world.nearest("4")[:K]) <= set(world.asked)
    assert lookups.quiet(2)
    (one, *_) = lookups.due(10 * again)
    lookups.news(one)
    assert not lookups.quiet(1), "a question is out, and somebody is new"


def test_what_was_not_sent_is_asked_again() -> None:
    world = World(["127.20.1.1"])
    lookups = begin(world)
    (one,) = lookups.due(0)
    lookups.never_asked(one, 0)
    assert lookups.due(0) == []
    assert [each.address for each in lookups.due(SECOND)] == ["127.20.1.1"]


def test_a_lookup_that_no_mandate_covered_begins_as_soon_as_one_does() -> None:
    refused = Listing(missing=Missing(Reason.REFUSED, "no Mandate covers this"))
    for covered in (False, True):
        world = World(["127.20.1.1", "127.21.1.1"])
        lookups = Lookups({at(*place): place[0] for place in world.ids}, [WATCH], POLICY, 0, lambda _: True)
        first, second = lookups.due(0)
        lookups.barred(first)
        lookups.heard(first, refused, 0)
        if covered:
            lookups.heard(second, world.answer(second), 0)
        else:
            lookups.barred(second)
            lookups.heard(second, refused, 0)
        assert lookups.due(1) == []
        lookups.allowed(1)
        assert len(lookups.due(1)) == (0 if covered else 2), "nobody is asked twice in a round"
        assert lookups.due(int(POLICY.round_seconds() * SECOND)) or not covered


def test_rounds_are_of_the_shape_that_callers_take() -> None:
    both = watch.from_body(watch_body(infohash_v2="ab" * 32))
    lookups = Lookups({at("127.20.1.1", 7): "127.20.1.1"}, [both], POLICY, 0, lambda _: True)
    rounds = lookups.due(0)
    assert [one.infohash for one in rounds] == [both.infohash_v1, b"\xab" * 20]
    for one in rounds:
        assert (one.event, one.tracker) == ("", PLUGIN.tracker("dht://127.20.1.1:7"))
    assert at("::1", 7) == PLUGIN.tracker("dht://[::1]:7")
    assert Lookups({}, [both], POLICY, 0, lambda _: True).quiet(9)
