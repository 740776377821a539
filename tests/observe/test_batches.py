"""What is due together is intended together: how many entries of the Ledger a run beyond this machine makes."""

import random
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import pytest
from no_wire import START_NS, STEP_NS, goes_on, keeps_time
from observe_case import FAST, ends_when
from observe_stage import Stage, answers, bitfield
from played_days import POLICY, SCOPE, TRACKER, Days

from clew.core.case import Case
from clew.model import Tier
from clew.observe.api import SECOND
from clew.observe.batches import Batches
from clew.observe.endpoints import INSERT, Endpoint, row
from clew.observe.networks.bittorrent import PLUGIN
from clew.observe.policy import Policy
from clew.observe.run import Observer, observe
from clew.observe.wire import Call

SECONDS, CALLS_A_SECOND = 120, 5


@dataclass
class Committed(Days):
    """Holds each dial to its intent, which has to be in the case by then."""

    case: Case | None = None

    def dial(self, calls: Iterable[Call]) -> None:
        taken = list(calls)
        assert self.case is not None
        intents = {each for (each,) in self.case.read().execute("SELECT id FROM dials WHERE state = 'intent'")}
        assert intents >= {call.id for call in taken}
        super().dial(taken)


def claimed_before(case: Case, count: int, within_s: int) -> list[tuple[str, int]]:
    """Puts so many who are known to claim into the queue, due at any moment of that time; returns their places."""
    (watch,) = (row["id"] for row in case.read().execute("SELECT id FROM watches"))
    places = [("192.0.2.9", 1_000 + number) for number in range(count)]
    known = {"tier": Tier.CLAIMS.value, "claims": 4, "contacts": 4, "control": "clean", "transport": "mse-rc4/tcp"}
    drawn = random.Random(5)
    due = [START_NS + drawn.randrange(within_s * SECOND) for _ in places]
    queue = [
        Endpoint(number, watch, *place, START_NS, START_NS, TRACKER, next_ns=at_ns, **known)
        for number, (place, at_ns) in enumerate(zip(places, due, strict=True), 1)
    ]
    with case.write("observe") as tx:
        tx.executemany(INSERT, [row(each) for each in queue])
    return places


def test_beyond_this_machine_it_is_one_entry_a_second_whatever_is_due(
    make_case: Callable[..., Case], monkeypatch: pytest.MonkeyPatch
) -> None:
    days = Committed()
    keeps_time(monkeypatch, days)
    days.case = case = make_case(**SCOPE)
    places = claimed_before(case, SECONDS * CALLS_A_SECOND, SECONDS)
    days.there = dict.fromkeys(places, lambda _: True)
    observer = Observer(case, PLUGIN, replace(POLICY, per_second=10_000), [TRACKER])
    days.governor = observer._governor
    goes_on(observer, days, SECONDS, STEP_NS)
    observer._keep()
    called = {place for _, _, place, answered in days.contacts if answered}
    assert len(called) >= 0.95 * len(places), "nobody is called less for it"
    entries = Counter(each for (each,) in case.read().execute("SELECT json_extract(line, '$.action') FROM ledger"))
    assert 0.9 * SECONDS <= entries["contacts.intended"] <= SECONDS + 1
    assert entries["sightings.kept"] <= SECONDS / 5 + 2
    case.close()


def test_a_stop_does_not_wait_for_the_next_batch(case: Case, stage: Stage, infohash: bytes) -> None:
    slow = stage.peer("127.23.8.1", answers(bitfield(6), torrents={infohash}, wait=60))
    tracker = stage.tracker("127.1.0.8", tells_stopped=True)
    tracker.listed[infohash] = [(slow.address, slow.port)]
    policy = replace(FAST, revisit=300.0, announce=1_800.0, answer=60.0, hold=60.0)
    told: list[float] = []

    def is_heard() -> bool:
        if slow.heard:
            told.append(time.monotonic())
        return bool(slow.heard)

    found = observe(case, trackers=[tracker.url], policy=policy, seconds=30, progress=ends_when(is_heard))
    assert found.stopped == "interrupted"
    assert time.monotonic() - told[-1] < 1.0


@pytest.mark.parametrize(
    ("policy", "seconds"),
    [
        (POLICY, 1.0),
        (replace(POLICY, revisit=300.0), 1.0),
        (Policy(), 0.1),  # its lists are asked each minute
        (Policy(revisit=40.0, announce=1_800.0), 40 / 300),
        (FAST, 0.1),
    ],
)
def test_the_shorter_a_runs_intervals_the_shorter_its_batches(policy: Policy, seconds: float) -> None:
    batches, step_ns = Batches(policy), SECOND // 100
    times = [at_ns for at_ns in range(SECOND, 21 * SECOND, step_ns) if batches.intend(at_ns)]
    assert len(times) == pytest.approx(20 / seconds, rel=0.06)
    kept = [at_ns for at_ns in range(SECOND, 21 * SECOND, step_ns) if batches.keep(at_ns, 1, new=True)]
    assert len(kept) <= 20 / max(seconds, 0.3) + 1, "nobody new is kept sooner than he could be called"


def test_what_is_found_waits_for_more_unless_it_is_much_or_somebody_new() -> None:
    batches, at_ns = Batches(POLICY), 100 * SECOND
    assert batches.keep(at_ns, 1, new=False)
    assert not batches.keep(at_ns + 4 * SECOND, 999, new=False)
    assert batches.keep(at_ns + 4 * SECOND, 1, new=True)
    assert batches.keep(at_ns + 4 * SECOND, 1_000, new=False)
    assert not batches.keep(at_ns + 9 * SECOND, 1, new=False)
    assert batches.keep(at_ns + 9 * SECOND + 1, 1, new=False)
