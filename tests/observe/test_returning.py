"""Who comes and goes: is called while a list names him, and nobody more often than the interval for it."""

import random
from collections.abc import Callable
from dataclasses import replace

import pytest
from no_wire import keeps_time
from observe_case import gaps_of, watch_body
from played_days import DAY, HOUR, POLICY, SCOPE, Days, Place, goes_on_for

from clew.attribute import evidence, merge
from clew.core.case import Case
from clew.observe.api import SECOND, TOO_SLOW
from clew.observe.book import Book
from clew.observe.policy import Policy
from clew.observe.silence import NOBODY_HEARD

EVENING, LATER, DEAD, ALWAYS, HIDDEN = ((f"192.0.2.{number}", number) for number in (50, 51, 52, 53, 54))


def evening(at_ns: int) -> bool:
    """Two hours of each day."""
    return 20 * HOUR <= at_ns % DAY < 22 * HOUR


def always(_: int) -> bool:
    return True


@pytest.fixture
def days(monkeypatch: pytest.MonkeyPatch) -> Days:
    made = Days()
    keeps_time(monkeypatch, made)
    return made


def silences(case: Case) -> list[float]:
    """The gaps in which nobody was heard, in hours."""
    return [(until_ns - from_ns) / HOUR for from_ns, until_ns, why in gaps_of(case) if why == NOBODY_HEARD]


def by_day(at_ns: int) -> bool:
    """From 6 to 22 h, on two days, and then no more."""
    return 6 * HOUR <= at_ns % DAY < 22 * HOUR and at_ns < 2 * DAY


def on_days(days: Days, whom: Place) -> set[int]:
    """The days on which this place answered."""
    return {at_ns // DAY for at_ns, _, place, answered in days.contacts if place == whom and answered}


def test_who_is_on_each_evening_is_called_each_evening(make_case: Callable[..., Case], days: Days) -> None:
    """Also who was never there so far when he was listed. Who is listed always, and never there, is called as ever."""
    days.there = {EVENING: evening, LATER: lambda at_ns: evening(at_ns) and at_ns > DAY, ALWAYS: always}
    days.named = {EVENING: evening, LATER: evening, ALWAYS: always, DEAD: always}
    goes_on_for(make_case(**SCOPE), days, 3 * DAY)
    assert on_days(days, EVENING) == {0, 1, 2}
    assert on_days(days, LATER) == {1, 2}
    dead = [at_ns for at_ns, _, place, _ in days.contacts if place == DEAD and at_ns > DAY]
    assert len({at_ns // HOUR for at_ns in dead}) <= 8, "two a day: he is no news"


def test_whom_peers_name_again_and_again_is_called_no_oftener_for_it(
    make_case: Callable[..., Case], days: Days
) -> None:
    """They can make up who comes and goes, of any machine: unless it has answered."""
    by_turns = lambda at_ns: at_ns // (3 * HOUR) % 2 == 0  # noqa: E731
    days.there, days.named = {ALWAYS: always, HIDDEN: evening}, {ALWAYS: always}
    days.told = {DEAD: by_turns, HIDDEN: evening}
    scope = SCOPE | {"trackers": [*SCOPE["trackers"], "pex"], "permits": ["pex"]}
    goes_on_for(make_case(**scope), days, 3 * DAY, replace(POLICY, gossip=True))
    dead = [at_ns for at_ns, _, place, _ in days.contacts if place == DEAD and at_ns > DAY]
    assert 1 <= len({at_ns // HOUR for at_ns in dead}) <= 6
    assert on_days(days, HIDDEN) == {0, 1, 2}


@pytest.mark.parametrize(("minutes", "they_stay"), [(20, True), (100, False)])
def test_a_network_that_was_gone_stays_a_gap(
    make_case: Callable[..., Case], days: Days, minutes: int, they_stay: bool
) -> None:
    """Shorter than the tracker's pause, where they answer again; longer, though they have other addresses by then."""
    begins = 2 * HOUR + 60 * SECOND
    ends = begins + minutes * 60 * SECOND
    days.gone = lambda at_ns: begins <= at_ns < ends
    days.there = dict.fromkeys([EVENING, LATER, DEAD, HIDDEN], lambda at_ns: they_stay or at_ns < begins)
    days.named = dict.fromkeys(days.there, always)
    case = make_case(**SCOPE)
    goes_on_for(case, days, 12 * HOUR)._keep()
    (gap,) = silences(case)
    assert gap >= minutes / 60 - 0.4


def test_a_tracker_that_names_whom_it_likes_in_turns_has_each_called_once_a_turn(
    make_case: Callable[..., Case], days: Days
) -> None:
    days.named = {DEAD: lambda at_ns: at_ns // (3 * HOUR) % 2 == 0}
    goes_on_for(make_case(**SCOPE), days, 2 * DAY)
    called = [at_ns for at_ns, _, _, _ in days.contacts if at_ns > DAY]
    assert len({at_ns // HOUR for at_ns in called}) <= 8


def test_whom_a_part_of_a_large_swarm_leaves_out_is_called_no_oftener_for_it(
    make_case: Callable[..., Case], days: Days
) -> None:
    """Each reply names a tenth of them, others each time: who has answered before is called."""
    dead = [("192.0.2.60", port) for port in range(1, 51)]
    drawn = [by_chance(number) for number in range(len(dead))]
    days.there = {EVENING: evening}
    days.named, days.swarm = dict(zip(dead, drawn, strict=True)) | {EVENING: evening}, 50
    goes_on_for(make_case(**SCOPE), days, 2 * DAY, replace(POLICY, per_second=10_000))
    assert on_days(days, EVENING) == {0, 1}
    visits = {(place, at_ns // HOUR) for at_ns, _, place, _ in days.contacts if place in dead and at_ns > DAY}
    assert len(visits) <= 2 * len(dead), "two a day, as of whom a list names always; else it were four"


def test_a_tracker_that_counts_one_more_than_it_names_names_the_whole_swarm(
    make_case: Callable[..., Case], days: Days
) -> None:
    """Many count who asks, or who left without a word: who was never there when called is called once he is named."""
    days.there = {LATER: lambda at_ns: evening(at_ns) and at_ns > DAY, ALWAYS: always}
    days.named, days.swarm = {LATER: evening, ALWAYS: always}, 3
    goes_on_for(make_case(**SCOPE), days, 3 * DAY)
    assert on_days(days, LATER) == {1, 2}


def test_a_tracker_that_fails_for_one_watch_has_left_out_nobody_of_it(
    make_case: Callable[..., Case], days: Days
) -> None:
    """Though it goes on to list who is there for another."""
    days.named = {DEAD: always, HIDDEN: always}
    one, other = watch_body(1), watch_body(2)
    begins, ends = 18 * HOUR, 24 * HOUR  # between two of the calls that come after the longest pause
    days.fails = lambda watch, at_ns: watch == other["id"] and begins <= at_ns < ends
    goes_on_for(make_case(one, other, **SCOPE), days, 28 * HOUR)
    assert not [each for each in days.contacts if each[0] >= begins]


def by_chance(number: int) -> Callable[[int], bool]:
    """Named in every tenth of the tracker's half hours, on the average."""
    return lambda at_ns: random.Random(1_000_000 * number + at_ns // (HOUR // 2)).random() < 0.1


def test_a_small_swarm_that_leaves_is_no_network_that_is_gone(make_case: Callable[..., Case], days: Days) -> None:
    """Between two replies of the tracker nobody is heard, since nobody is there, nor are they when called again.

    Nor are they called for ever as often as while they were there.
    """
    days.there = dict.fromkeys([EVENING, LATER, DEAD, HIDDEN], by_day)
    days.named = days.there
    case = make_case(**SCOPE)
    goes_on_for(case, days, 3 * DAY)._keep()
    assert silences(case) == []
    for place in days.there:
        assert on_days(days, place) == {0, 1}
        later = [at_ns for at_ns, _, whom, _ in days.contacts if whom == place and at_ns > 2 * DAY + 6 * HOUR]
        assert len({at_ns // HOUR for at_ns in later}) <= 4


@pytest.mark.parametrize("revisit", [300.0, 900.0, 1800.0])
def test_the_longest_pause_comes_to_all_hours_of_the_day(revisit: float) -> None:
    """Who is on at an hour that no list tells of is met some day all the same."""
    book, at_ns, hours = Book([], Policy(revisit=revisit), 0, lambda _: ("tcp",)), 0, set[int]()
    one, _ = book.listed("w", *DEAD, source="t", twin=False, at_ns=0, due_ns=0)
    book.saved([one])
    one.claims, one.tier, one.failures = 1, "E1", 20
    while at_ns < 60 * DAY:
        book.failed(one, TOO_SLOW, at_ns, another=False)
        assert one.next_ns is not None
        pause_ns, at_ns = one.next_ns - at_ns, one.next_ns
        assert 48 * revisit * SECOND <= pause_ns <= 64 * revisit * SECOND
        hours.add(at_ns % DAY // (2 * HOUR))
    assert len(hours) == 12


def test_a_visit_during_which_the_machine_was_suspended_did_not_last_until_it_woke(
    make_case: Callable[..., Case], days: Days
) -> None:
    """From Friday to Monday. Else a Lead would say that it was seen all that time, and hide that it was not heard for
    longer than anybody is held for the same one.
    """
    days.there = days.named = {ALWAYS: always}
    days.sleeps = 6 * HOUR, 62 * HOUR
    case = make_case(**SCOPE)
    goes_on_for(case, days, 12 * HOUR)._keep()
    contacts = [each for each in evidence.read(case) if each.answered]
    assert max(each.ended_ns - each.started_ns for each in contacts) == 20 * SECOND
    before, after = merge.runs(merge.in_order(contacts), merge.Policy())
    assert after[0].started_ns - before[-1].ended_ns >= 62 * HOUR - 20 * SECOND
