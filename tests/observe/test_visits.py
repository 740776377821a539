"""Who may have heard us within the interval, beside a plain record of every visit."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clew.observe import visits
from clew.observe.visits import Place, Visits

INTERVAL = 100
PLACES = [("W1", f"127.10.0.{n}", 6881) for n in range(3)]
NAMES = ["mse/tcp", "tcp", "mse/utp", "utp"]
START = 1_000

earlier = st.lists(st.tuples(st.integers(START - 150, START), st.sampled_from(PLACES)), max_size=10).map(sorted)
steps = st.lists(
    st.tuples(
        st.integers(0, 60),  # so much later
        st.sampled_from(PLACES),
        st.sampled_from(NAMES),
        st.sampled_from(["heard", "unheard", "not sent"]),
        st.integers(0, 30),  # so long until it is over
    ),
    max_size=40,
)


@dataclass
class Record:
    """Everything that was ever done at one place, as (when it was heard, or began, transport, what came of it)."""

    all_of_it: list[tuple[int, str, str]] = field(default_factory=list)

    def too_soon(self, transport: str, now: int) -> bool:
        """As the policy has it, looked up in all that was done: back to the first visit of this chain."""
        if not self.all_of_it or now >= self.all_of_it[-1][0] + INTERVAL:
            return False
        tried, later = set[str](), now
        for began, name, came in reversed(self.all_of_it):
            if later >= began + INTERVAL:
                break
            if came == "heard":
                return True
            tried |= {name} if came == "unheard" else set()
            later = began
        return transport in tried


@given(earlier, steps)
def test_nobody_is_visited_too_soon_nor_kept_waiting(
    before: list[tuple[int, Place]], done: list[tuple[int, Place, str, str, int]]
) -> None:
    ours, theirs, now = Visits(INTERVAL), {place: Record() for place in PLACES}, START
    ours.recall((place, began) for began, place in before)
    for began, place in before:
        theirs[place].all_of_it = [(began, "", "heard")]
    for later, place, transport, came, lasting in done:
        now += later
        for each in PLACES:
            for name in NAMES:
                assert ours.too_soon(each, name, now) == theirs[each].too_soon(name, now)
        if ours.too_soon(place, transport, now):
            continue
        ours.began(place, now)
        if came == "heard":
            now += lasting
            ours.heard(place, now)
        else:
            ours.unheard(place, transport, left=came == "unheard")
        theirs[place].all_of_it.append((now, transport, came))


def test_who_was_called_before_this_machine_started_waits_as_long() -> None:
    """By the monotonic clock of this start, that is before 0."""
    ours = Visits(INTERVAL)
    ours.recall([(PLACES[0], -30)])
    for now in (0, 20, 40, 60):
        ours.began(PLACES[1], now)
    assert ours.too_soon(PLACES[0], "tcp", 69)
    assert not ours.too_soon(PLACES[0], "tcp", 70)


@pytest.mark.parametrize("recalled", [True, False])
def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch, *, recalled: bool) -> None:
    monkeypatch.setattr(visits, "MOST_IN_ONE", 10)
    ours = Visits(INTERVAL)
    many = [("W1", f"127.10.1.{n}", 6881) for n in range(100)]
    if recalled:
        ours.recall((place, START) for place in many)
    else:
        for place in many:
            ours.began(place, START)
            ours.unheard(place, "tcp", left=True)
    kept = [place for place in many if ours.too_soon(place, "tcp", START + 1)]
    assert kept == many[-len(kept) :]
    assert 10 <= len(kept) <= 20


def test_whoever_was_called_long_ago_is_not_remembered() -> None:
    ours = Visits(INTERVAL)
    for now in range(START, START + 10 * INTERVAL):
        place = ("W1", "127.10.1.1", now)
        ours.began(place, now)
        ours.unheard(place, "tcp", left=True)
        assert max(sum(map(len, (ours._new, ours._old))), len(ours._tried)) <= 2 * INTERVAL + 1
