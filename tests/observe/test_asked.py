"""A tracker is asked once in the interval that it told, by however many runs: its interval is kept with the case."""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from no_wire import Network, goes_on
from observe_case import FAST, watch_body

from clew.core import coverage, shards
from clew.core.case import Case
from clew.core.clock import Instant
from clew.model import Missing
from clew.observe.api import SECOND, Listed, Listing, Sighted
from clew.observe.asked import WAITED
from clew.observe.batches import FLUSH_ROWS
from clew.observe.calls import ANNOUNCED_PORT
from clew.observe.keeping import Keeper
from clew.observe.networks.bittorrent import PLUGIN
from clew.observe.policy import Policy
from clew.observe.run import Observer
from clew.observe.wire import STOPPED, Answer, Call

TRACKER, NODE = "http://192.0.2.1:6969/announce", "dht://192.0.2.2:6881"
BEYOND = Policy(allow=("192.0.2.0/24",))
TOLD = 3_600
LISTED = Listing((Listed("192.0.2.9", 6881, 0, 6),), interval=TOLD, node=b"n" * 20)


@dataclass
class Lists:
    """Answers each question with a list; or says nothing; or it was `never` asked."""

    clock: Network
    listing: Listing = LISTED
    never: Missing | None = None
    silent: bool = False
    asked: list[str] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    left: Instant | None = None

    @property
    def now(self) -> Instant:
        return self.clock.now

    @now.setter
    def now(self, at: Instant) -> None:
        self.clock.now = at

    def dial(self, calls: Iterable[Call]) -> None:
        for call in calls:
            self.asked.append(call.wish.source)
            if self.never is not None:
                self.answers.append(Answer(call, None, self.never, self.now, self.now))
            elif not self.silent:
                said = Sighted(self.listing, b"", {})
                self.answers.append(Answer(call, said, None, self.now, self.now, ("192.0.2.7", 1), "0" * 32))

    def has_way(self, _: str) -> bool:
        return True

    def collect(self, _: float) -> list[Answer]:
        answers, self.answers = self.answers, []
        return answers


@pytest.fixture
def lists(network: Network) -> Lists:
    return Lists(network)


@pytest.fixture
def beyond(make_case: Callable[..., Case]) -> Case:
    return make_case(trackers=[TRACKER, "dht"], addresses=["192.0.2.2/32"], permits=["dht"])


def run(case: Case, lists: Lists, url: str = TRACKER, policy: Policy = BEYOND, *, seconds: float = 5) -> list[str]:
    """A run; returns whom it asked."""
    before = len(lists.asked)
    observer = Observer(case, PLUGIN, policy, [url])
    goes_on(observer, lists, seconds)
    observer._keep()
    return lists.asked[before:]


def later(lists: Lists, seconds: int) -> None:
    lists.now = Instant(lists.now.utc_ns + seconds * SECOND, lists.now.mono_ns + seconds * SECOND)


@pytest.mark.parametrize(("url", "interval"), [(TRACKER, TOLD), (NODE, 1_800)])
def test_runs_that_a_timer_starts_ask_no_more_often_than_one_that_goes_on(
    beyond: Case, lists: Lists, url: str, interval: int
) -> None:
    assert run(beyond, lists, url) == [url]
    for number in range(1, 4):
        later(lists, interval // 4 - 5)
        assert run(beyond, lists, url) == []
        assert coverage.read(beyond).left_aside == ((WAITED, number),)
    later(lists, interval // 4)
    assert run(beyond, lists, url) == [url]


@pytest.mark.parametrize(("url", "interval"), [(TRACKER, TOLD), (NODE, 1_800)])
def test_for_several_watches_of_one_torrent_it_is_asked_once_and_lists_for_each(
    make_case: Callable[..., Case], lists: Lists, url: str, interval: int
) -> None:
    name = watch_body()["infohash_v1"]
    same, twin = {"infohash_v1": name}, {"infohash_v1": None, "infohash_v2": name + "00" * 12}
    bodies = [watch_body(1), watch_body(2, **same), watch_body(3), watch_body(4, **twin)]
    case = make_case(*bodies, trackers=[TRACKER, "dht"], addresses=["192.0.2.2/32"], permits=["dht"])
    lists.listing = replace(LISTED, listed=(*LISTED.listed, Listed("192.0.2.7", ANNOUNCED_PORT, 6, 6)))
    assert run(case, lists, url) == [url] * 2, "two torrents"
    ids = [(body["id"],) for body in bodies]
    for table in ("endpoints", "first_lists"):
        assert list(map(tuple, case.read().execute("SELECT watch FROM " + table + " ORDER BY watch"))) == ids
    rows = shards.query(case, "SELECT watch, kind, address, infohash_sent FROM sightings ORDER BY watch").to_pylist()
    assert [row[0] for row in case.read().execute("SELECT twin FROM endpoints ORDER BY watch")] == [0, 0, 0, 1]
    sent = [bytes.fromhex(body["infohash_v1"] or name) for body in bodies]
    assert [tuple(row.values()) for row in rows] == [
        (*each, "listed", "192.0.2.9", infohash) for each, infohash in zip(ids, sent, strict=True)
    ]
    (told,) = case.read().execute("SELECT coverage FROM observe_runs").fetchone()
    assert json.loads(told)["ourselves"]["listed"] == 2, "once a list"
    assert [each.asked for each in coverage.read(case).questions if each.asked] == [2]
    lists.asked.clear()
    later(lists, interval - 10)
    assert run(case, lists, url) == []
    later(lists, 10)
    assert run(case, lists, url) == [url] * 2


def test_a_long_list_for_several_watches_is_never_in_memory_as_a_whole(
    make_case: Callable[..., Case], lists: Lists, monkeypatch: pytest.MonkeyPatch
) -> None:
    number, each = 5, 1_000
    name = watch_body()["infohash_v1"]
    case = make_case(*(watch_body(n, infohash_v1=name) for n in range(1, number + 1)), trackers=[TRACKER])
    listed = tuple(Listed("192.0.2.9", 1_000 + n, 6, 6) for n in range(each))
    lists.listing, held, keep = replace(LISTED, listed=listed), list[int](), Keeper.keep

    def counted(self: Keeper, sighting: dict[str, Any]) -> None:
        keep(self, sighting)
        held.append(self.waiting)

    monkeypatch.setattr(Keeper, "keep", counted)
    assert run(case, lists) == [TRACKER]
    assert len(held) == number * each
    assert max(held) < FLUSH_ROWS + number
    counts = "SELECT count(*) AS n, count(DISTINCT (watch, port)) AS places FROM sightings"
    assert shards.query(case, counts).to_pylist() == [{"n": number * each, "places": number * each}]
    assert case.read().execute("SELECT count(*) FROM endpoints").fetchone()[0] == number * each


def test_a_question_that_was_out_when_the_run_was_killed_counts(beyond: Case, lists: Lists) -> None:
    lists.silent = True
    assert run(beyond, lists) == [TRACKER]
    later(lists, 1_700)
    assert run(beyond, lists) == []
    later(lists, 100)
    assert run(beyond, lists) == [TRACKER]


def test_a_question_that_was_never_sent_does_not(beyond: Case, lists: Lists) -> None:
    lists.never = STOPPED
    assert run(beyond, lists, seconds=0.5) == [TRACKER]
    lists.never = None
    assert run(beyond, lists) == [TRACKER]
    lists.never = STOPPED
    later(lists, TOLD)
    for _ in range(2):
        assert run(beyond, lists, seconds=0.5) == [TRACKER], "what was asked an hour ago is due still"


def test_nobody_waits_longer_than_the_interval_because_a_clock_was_wrong(beyond: Case, lists: Lists) -> None:
    run(beyond, lists)
    with beyond.write("observe") as tx:
        tx.execute("UPDATE asked SET asked_ns = asked_ns + ?", (10 * TOLD * SECOND,))
    assert run(beyond, lists) == []
    later(lists, TOLD)
    assert run(beyond, lists) == [TRACKER]


def test_runs_on_this_machine_go_by_the_policy_alone(make_case: Callable[..., Case], lists: Lists) -> None:
    case, url = make_case(), "http://127.1.0.33:6969/announce"
    assert run(case, lists, url, replace(FAST, announce=20.0)) == [url]
    assert run(case, lists, url, replace(FAST, announce=20.0)) == []
    assert len(run(case, lists, url, replace(FAST, announce=2.0))) > 1
