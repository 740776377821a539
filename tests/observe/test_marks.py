"""What is marked is told apart from what is not, beside a plain set."""

import tracemalloc

from hypothesis import given
from hypothesis import strategies as st

from clew.observe.marks import Lately, Marks

GROUP, OTHER = "w", "v"


@given(st.lists(st.integers(0, 300)))
def test_a_mark_is_new_once(numbers: list[int]) -> None:
    ours, theirs = Marks(), set[int]()
    for number in numbers:
        assert ours.add(number) == (number not in theirs)
        theirs.add(number)
        assert [each in ours for each in range(320)] == [each in theirs for each in range(320)]


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 20))))
def test_what_came_up_within_a_period_is_no_news_and_what_did_not_in_two_is(told: list[tuple[int, int]]) -> None:
    lately, at_ns, last = Lately(), 100, dict[int, int]()
    for number, pause_ns in told:
        at_ns += pause_ns
        lately.turn(GROUP, at_ns, 10)
        new = lately.add(GROUP, number)
        since_ns = at_ns - last.get(number, -100)
        assert not new or since_ns >= 10
        assert new or since_ns < 10 + 2 * 20  # a period ends with the first that is told after it
        last[number] = at_ns


def test_who_was_named_before_a_list_failed_for_long_is_no_news_after_it() -> None:
    lately = Lately()
    lately.turn(GROUP, 100, 10)
    assert lately.add(GROUP, 1)
    lately.turn(GROUP, 10_000, 10)
    assert not lately.add(GROUP, 1)
    lately.turn(GROUP, 10_010, 10)
    lately.turn(GROUP, 10_020, 10)
    assert lately.add(GROUP, 1)


def test_the_lists_of_one_group_say_nothing_of_whom_another_leaves_out() -> None:
    lately = Lately()
    for at_ns in (100, 110, 120, 130):
        lately.turn(GROUP, at_ns, 10)
        if at_ns == 100:
            lately.turn(OTHER, at_ns, 10)
            assert lately.add(OTHER, 1)
            assert lately.add(GROUP, 2)
    lately.turn(OTHER, 140, 10)
    assert not lately.add(OTHER, 1)
    assert lately.add(GROUP, 2)


def test_who_is_left_of_a_case_of_years_takes_no_room_for_all_who_were_forgotten() -> None:
    lately = Lately()
    lately.turn(GROUP, 100, 10)
    tracemalloc.start()
    try:
        assert [lately.add(GROUP, number) for number in (5, 10_000_000, 5, 10_000_000)] == [True, True, False, False]
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()
