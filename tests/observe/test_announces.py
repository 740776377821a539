"""When a tracker is asked again: a full reply at once, all others after a pause."""

from dataclasses import replace

import pytest
from observe_case import watch_body

from clew.core import watch
from clew.model import Missing, Reason
from clew.observe.announces import DRY, FULL_REPLY, Announces, is_part
from clew.observe.api import SECOND, Listed, Listing, Tracker
from clew.observe.asked import WAITED
from clew.observe.calls import Caller
from clew.observe.chance import Chance
from clew.observe.lookups import Lookups, at
from clew.observe.networks.bittorrent import PLUGIN
from clew.observe.policy import Policy

WATCH = watch.from_body(watch_body())
TRACKER = Tracker("http://127.1.0.1:6969/announce", "127.1.0.1", 6969, "/announce", "tcp")


def told(listed: int, unusable: int = 0) -> Listing:
    return Listing(tuple(Listed(f"127.10.{n >> 8}.{n & 255}", 6881, 0, 6) for n in range(listed)), unusable)


def made() -> Announces:
    return Announces({TRACKER: "127.1.0.1"}, [WATCH], Policy(revisit=5.0), {TRACKER.url: False}, 0)


@pytest.mark.parametrize(
    ("listed", "unusable", "again"), [(200, 0, True), (199, 1, True), (150, 50, True), (199, 0, False)]
)
def test_a_full_reply_is_asked_for_again_whoever_got_false_endpoints_into_it(
    listed: int, unusable: int, again: bool
) -> None:
    announces = made()
    (one, *_) = announces.due(0)
    announces.heard(one, told(listed, unusable), 0)
    assert (one in announces.due(0)) == again


@pytest.mark.parametrize(
    ("listed", "unusable", "swarm", "event", "part"),
    [
        (5, 0, None, "stopped", False),
        (5, 0, 5, "stopped", False),
        (4, 1, 5, "stopped", False),
        (5, 0, 7, "stopped", False),  # who left without a word
        (5, 0, 8, "stopped", True),
        (5, 0, 8, "started", False),  # it counts us too
        (5, 0, 9, "started", True),
        (80, 0, 90, "stopped", False),
        (80, 0, 91, "stopped", True),
        (5, 0, 3, "stopped", False),
        (FULL_REPLY - 1, 0, None, "stopped", False),
        (FULL_REPLY - 1, 1, None, "stopped", True),
    ],
)
def test_a_reply_is_a_part_of_the_swarm_where_the_tracker_counts_more_or_gives_no_more(
    listed: int, unusable: int, swarm: int | None, event: str, part: bool
) -> None:
    assert is_part(replace(told(listed, unusable), swarm=swarm), event) == part


def test_until_several_replies_bring_nobody_new() -> None:
    announces = made()
    (one, *_) = announces.due(0)
    announces.heard(one, told(FULL_REPLY), 0)
    for number in range(DRY):
        assert one in announces.due(0), number
        announces.heard(one, told(FULL_REPLY), 0)
    assert one not in announces.due(0)


def test_what_no_mandate_covered_is_asked_as_soon_as_one_does() -> None:
    announces = made()
    (one, *_) = announces.due(0)
    announces.barred(one)
    announces.heard(one, Listing(missing=Missing(Reason.REFUSED, "no Mandate covers this")), 0)
    assert announces.due(SECOND) == []
    announces.allowed(SECOND)
    assert announces.due(SECOND) == [one]
    announces.heard(one, told(1), SECOND)
    announces.allowed(2 * SECOND)
    assert announces.due(2 * SECOND) == [], "whoever was asked has its pause"


@pytest.mark.parametrize("barred", [True, False])
def test_what_could_not_be_asked_where_the_tracker_was_said_to_be_is_asked_at_once_where_it_is(barred: bool) -> None:
    announces, other = made(), replace(TRACKER, url="http://127.1.0.2:6969/announce")
    (one, *_) = announces.due(0)
    if barred:
        announces.barred(one)
    announces.heard(one, Listing(missing=Missing(Reason.REFUSED, "outside the allow-list, or by the tracker")), 0)
    announces.moved(other, "127.1.0.4", SECOND)
    assert announces.due(SECOND) == [], "another tracker moved"
    announces.moved(TRACKER, "127.1.0.3", SECOND)
    assert one.address == "127.1.0.3"
    assert announces.due(SECOND) == ([one] if barred else []), "who was asked has its pause"
    announces.moved(TRACKER, "127.1.0.1", SECOND)
    assert announces.due(SECOND) == []


def test_whose_reply_did_not_come_is_asked_next_round_and_later_each_time() -> None:
    announces, at_ns = made(), 0
    pause_ns = int(Policy(revisit=5.0).round_seconds() * SECOND)
    (one, *_) = announces.due(at_ns)
    silent = Listing(missing=Missing(Reason.LIMIT_REACHED, "tracker: no reply in time"))
    refused = Listing(missing=Missing(Reason.REFUSED, "tracker: unregistered torrent"))
    later = [(silent, rounds) for rounds in (1, 2, 4, 4)]
    for answer, rounds in (*later, (told(1), 1), (refused, 4), (told(1), 1), (silent, 1)):
        announces.heard(one, answer, at_ns)
        at_ns += rounds * pause_ns
        assert one not in announces.due(at_ns - 1)
        assert one in announces.due(at_ns)


def test_the_interval_that_a_tracker_told_holds_while_it_does_not_reply() -> None:
    """Beyond this machine no tracker is asked more than once in its own interval."""
    policy = Policy(allow=("192.0.2.0/24",), revisit=300.0)
    announces, hours_ns = Announces({TRACKER: "192.0.2.1"}, [WATCH], policy, {TRACKER.url: False}, 0), 3 * 3600 * SECOND
    (one, *_) = announces.due(0)
    announces.heard(one, Listing((Listed("192.0.2.9", 6881, 0, 6),), min_interval=3 * 3600), 0)
    for silent in range(1, 4):
        assert one not in announces.due(silent * hours_ns - 1)
        assert one in announces.due(silent * hours_ns)
        announces.heard(one, Listing(missing=Missing(Reason.LIMIT_REACHED, "no reply in time")), silent * hours_ns)


def test_who_refuses_and_tells_when_to_ask_again_is_not_asked_before() -> None:
    policy, day_ns = Policy(allow=("192.0.2.0/24",), revisit=300.0), 86_400 * SECOND
    announces = Announces({TRACKER: "192.0.2.1"}, [WATCH], policy, {TRACKER.url: False}, 0)
    (one, *_) = announces.due(0)
    announces.heard(one, Listing(missing=Missing(Reason.REFUSED, "not a tracker"), interval=86_400), 0)
    assert one not in announces.due(day_ns - 1)
    assert one in announces.due(day_ns)


@pytest.mark.parametrize(
    ("interval", "least", "pause"),
    [(7200, 3600, 7200), (1800, 5400, 5400), (7200, None, 7200), (600, 300, 1800), (None, None, 1800)],
)
def test_beyond_this_machine_the_interval_that_a_tracker_told_holds_also_where_it_bears_less(
    interval: int | None, least: int | None, pause: int
) -> None:
    """Most tell both (BEP 3); the least is for who has a reason to ask before its time."""
    policy = Policy(allow=("192.0.2.0/24",), revisit=900)
    announces = Announces({TRACKER: "192.0.2.1"}, [WATCH], policy, {TRACKER.url: False}, 0)
    (one, *_) = announces.due(0)
    announces.heard(one, Listing((Listed("192.0.2.9", 6881, 0, 6),), interval=interval, min_interval=least), 0)
    assert one not in announces.due(pause * SECOND - 1)
    assert one in announces.due(pause * SECOND)


@pytest.mark.parametrize(
    ("address", "told", "waits"),
    [("192.0.2.1", 3 * 3600, 3 * 3600), ("192.0.2.1", 60, 1800), ("127.1.0.1", 3 * 3600, 2)],
    ids=["as told", "at least the policy's own", "inside this machine the policy's alone"],
)
def test_what_an_earlier_run_asked_is_not_asked_sooner(address: str, told: int, waits: int) -> None:
    policy = Policy(revisit=5.0) if address.startswith("127") else Policy(allow=("192.0.2.0/24",))
    before = {(TRACKER.url, WATCH.infohash_v1): (-SECOND, told)}
    announces = Announces({TRACKER: address}, [WATCH], policy, {TRACKER.url: False}, 0, before)
    assert announces.due(waits * SECOND - SECOND - 1) == []
    assert announces.limits() == {WAITED: 1}
    assert not announces.quiet(0), "a run that is to end when all is settled waits for it"
    (one,) = announces.due(waits * SECOND - SECOND)
    assert announces.limits() == {}
    silent = Listing(missing=Missing(Reason.LIMIT_REACHED, "no reply in time"))
    announces.heard(one, silent, 0)
    assert announces.due(waits * SECOND - 1) == [], "and what it told holds while it does not reply"
    assert announces.due(waits * SECOND) == [one]


def test_watches_that_share_an_infohash_are_asked_for_together() -> None:
    """By each infohash that one of them has; also where one knows a v2 one by its first 20 bytes alone, as lists do."""
    v1, v2 = watch_body()["infohash_v1"], "ab" * 32
    hybrid, second = watch_body(2, infohash_v1=v1, infohash_v2=v2), watch_body(3, infohash_v1=None, infohash_v2=v2)
    watches = [WATCH, *map(watch.from_body, (hybrid, second, watch_body(4), watch_body(5, infohash_v1=v2[:40])))]
    announces = Announces({TRACKER: "127.1.0.1"}, watches, Policy(revisit=5.0), {TRACKER.url: False}, 0)
    lookups = Lookups({at("127.1.0.1", 7): "127.1.0.1"}, watches, Policy(revisit=5.0), 0, lambda _: True)
    other = watch_body(4)["infohash_v1"]
    for lists in (announces, lookups):
        asked = [(one.infohash.hex(), *(each.label for each in one.watches)) for one in lists.due(0)]
        assert asked == [(v1, "W-1", "W-2"), (v2[:40], "W-2", "W-3", "W-5"), (other, "W-4")]


def test_a_round_that_is_under_way_goes_on_before_others_begin() -> None:
    announces = made()
    caller = Caller(PLUGIN, Policy().limits(), {WATCH.id: WATCH}, "case", Chance())
    (one, *_) = announces.due(0)
    assert not caller.question(one)[0][0].goes_on
    announces.heard(one, told(FULL_REPLY), 0)
    assert caller.question(one)[0][0].goes_on
