"""What is marked is told apart from what is not, beside a plain set."""

from hypothesis import given
from hypothesis import strategies as st

from clew.observe.marks import Marks


@given(st.lists(st.integers(0, 300)))
def test_a_mark_is_new_once(numbers: list[int]) -> None:
    ours, theirs = Marks(), set[int]()
    for number in numbers:
        assert ours.add(number) == (number not in theirs)
        theirs.add(number)
