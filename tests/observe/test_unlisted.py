"""A tracker that fails, or all of them: it is kept with the run, and nobody says that all was watched."""

import json
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any

import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from no_wire import START_NS, Network, goes_on
from observe_case import watch_body

from clew.cli._live import next_lines
from clew.cli.main import cli
from clew.cli.watch import AT_WORK, UNDER_WAY
from clew.core import clock, coverage, mandate, questions, watch
from clew.core.case import Case
from clew.core.clock import Instant
from clew.core.lease import lease
from clew.core.questions import ALL, NONE_LISTED, Alone, Questions
from clew.model import Missing, Watch
from clew.observe import keeping
from clew.observe.announces import Round
from clew.observe.api import SECOND, TOO_SLOW, Listed, Listing, Sighted, Tracker
from clew.observe.gaps import NO_NETWORK
from clew.observe.networks.bittorrent import PLUGIN
from clew.observe.policy import Policy
from clew.observe.run import Observer
from clew.observe.standing import standing
from clew.observe.unlisted import LOOKUP_NS, Unlisted, asked_for
from clew.observe.wire import Answer, Call

HOUR = 3_600 * SECOND
LIVES, DIES = "http://192.0.2.1:6969/secretpasskey/announce", "http://192.0.2.2:6969/announce"
POLICY = Policy(allow=("192.0.2.0/24",), revisit=900.0)
ALL_THE_TIME = "somebody watched all the time"


@pytest.fixture
def played(network: Network, make_case: Callable[..., Case], monkeypatch: pytest.MonkeyPatch) -> Any:
    """A run of hours; each tracker lists who is there until its time comes, then nothing is heard of it (or `why`).

    `fails` has the hours from when to when a tracker fails for W-2 alone, where that is a Watch of the case too.
    """

    def play(
        until: dict[str, float],
        hours: float,
        why: Missing = TOO_SLOW,
        *,
        killed: bool = False,
        fails: Mapping[str, tuple[float, float]] = MappingProxyType({}),
    ) -> Case:
        def dial(calls: Iterable[Call]) -> None:
            for call in calls:
                at, listing = network.now, Listing((Listed("192.0.2.50", 51413, 0, 6),), interval=1800)
                hour, source = (at.utc_ns - START_NS) / HOUR, call.wish.source
                begins, ends = fails.get(source, (0, 0))
                silent = call.wish.watch == watch_body(2)["id"] and begins <= hour < ends
                if call.wish.kind == "announce" and hour < until[source] and not silent:
                    said = Sighted(listing, b"", {"received": 1})
                    network.answers.append(Answer(call, said, None, at, at, ("192.0.2.7", 1), "0" * 32, at))
                    continue
                network.answers.append(Answer(call, None, why, at, at, ("", 0), "0" * 32))

        bodies = [watch_body(number) for number in range(1, 3 if fails else 2)]
        case = make_case(*bodies, addresses=["192.0.2.0/24"], trackers=list(until))
        monkeypatch.setattr(network, "dial", dial)
        run = Observer(case, PLUGIN, POLICY, list(until))
        goes_on(run, network, hours * 3_600, 60 * SECOND)
        if not killed:
            run._account.unlisted.over(clock.now())
            keeping.end(case, run._run, clock.now().utc_ns, run._summary("time").as_dict(), None)
        return case

    return play


def test_a_tracker_that_fails_for_days_is_told_with_since_when(played: Any) -> None:
    found = coverage.read(played({LIVES: 1e6, DIES: 1.0}, 30.0))
    said = list(found.sentences())
    (line,) = [each for each in said if each.startswith("http://192.0.2.2:6969: ")]
    one = next(each for each in found.questions if each.source == "http://192.0.2.2:6969")
    assert one.asked - one.failed == 2, "at once and half an hour later"
    assert one.failed > 10
    assert one.silent_ns == pytest.approx(29 * HOUR, abs=2 * 60 * SECOND)
    assert f"{one.failed} of {one.asked} questions who is there brought no list; none came for 2" in line
    assert line.endswith(f"; the last came at {clock.iso(one.last_ns or 0)}")
    assert not [each for each in said if "192.0.2.1" in each], "of a tracker that always answered nothing is told"
    assert any(each.startswith(ALL_THE_TIME) for each in said), "the other one told who is there"
    assert "secretpasskey" not in json.dumps(found.as_dict())


@pytest.mark.parametrize("killed", [False, True])
def test_where_no_tracker_answers_nobody_says_that_all_was_watched(played: Any, killed: bool) -> None:
    found = coverage.read(played({LIVES: 4.0, DIES: 1.0}, 30.0, killed=killed))
    said = list(found.sentences())
    assert not [each for each in said if ALL_THE_TIME in each]
    (line,) = [each for each in said if each.startswith(NONE_LISTED)]
    (whole,) = [each for each in found.questions if each.source == ALL]
    assert whole.silent_ns == pytest.approx(26 * HOUR, abs=2 * HOUR if killed else 5 * 60 * SECOND)
    assert whole.longest is not None
    assert clock.iso(whole.longest[0]) in line
    assert found.interruptions.downtime_ns == 0, "who was known was called all the time"
    assert json.loads(json.dumps(found.as_dict()))["questions"][-1]["source"] == ALL


def test_a_watch_for_which_alone_no_list_comes_is_named_with_since_when(played: Any) -> None:
    found = coverage.read(played({LIVES: 1e6, DIES: 1e6}, 30.0, fails={LIVES: (3.0, 20.0), DIES: (5.0, 12.0)}))
    said = list(found.sentences())
    (by_one,) = [
        each for each in said if each.startswith("http://192.0.2.1:6969: no list came for W-2, but for others")
    ]
    (by_all,) = [each for each in said if each.startswith(f"{NONE_LISTED} for W-2, but for others")]
    told = {each.source: each for each in found.questions}
    for source, hours in (("http://192.0.2.1:6969", 17), ("http://192.0.2.2:6969", 7), (ALL, 7)):
        (alone,) = told[source].alone
        assert alone.watch == "W-2"
        assert alone.silent_ns == pytest.approx(hours * HOUR, abs=2.1 * HOUR), "it was asked again more and more rarely"
        assert told[source].silent_ns == 0
        assert all(map((by_all if source == ALL else " ".join(said)).__contains__, map(clock.iso, alone.longest)))
    assert "secretpasskey" not in by_one
    assert not [each for each in said if each.startswith(ALL_THE_TIME)]
    other = list(found.sentences({"W-1"}))
    assert not [each for each in other if "W-2" in each], "a Bundle tells of its own Watches alone"
    assert [each for each in other if each.startswith(ALL_THE_TIME)], "for which it holds"
    (kept,) = [each["alone"] for each in json.loads(json.dumps(found.as_dict()))["questions"] if each["source"] == ALL]
    assert [each["watch"] for each in kept] == ["W-2"]


def test_a_watch_for_which_another_tracker_told_who_is_there_was_watched_all_the_time(played: Any) -> None:
    found = coverage.read(played({LIVES: 1e6, DIES: 1e6}, 10.0, fails={LIVES: (3.0, 8.0)}))
    said = list(found.sentences())
    assert [each for each in said if each.startswith(ALL_THE_TIME)]
    assert [each.source for each in found.questions if each.alone] == ["http://192.0.2.1:6969"]


def test_a_tracker_that_fails_for_all_is_silent_for_none_alone(played: Any) -> None:
    found = coverage.read(played({LIVES: 4.0, DIES: 1.0}, 30.0, fails={LIVES: (8.0, 9.0)}))
    assert not [each for each in found.questions if each.alone]
    assert not [each for each in found.sentences() if "but for others" in each]


def test_of_runs_the_times_of_a_watch_are_added_up() -> None:
    runs = [
        {ALL: Questions(ALL, alone=(Alone("W-2", ns, (0, ns)), Alone(f"W-{ns}", ns, (0, ns)))).kept()} for ns in (5, 7)
    ]
    (found,) = questions.of(json.loads(json.dumps(runs)))
    assert found.alone == (Alone("W-2", 12, (0, 7)), Alone("W-5", 5, (0, 5)), Alone("W-7", 7, (0, 7)))
    (told,) = found.of_watches()
    assert told.startswith(f"{NONE_LISTED} for W-2, W-5, W-7, but for others, for up to 0.00 h in all")
    assert not list(found.of_watches({"W-1"}))


def test_a_network_that_is_gone_is_a_gap_and_no_failure_of_a_tracker(played: Any) -> None:
    found = coverage.read(played({LIVES: 2.0, DIES: 2.0}, 5.0, NO_NETWORK))
    assert [each.failed for each in found.questions] == [0, 0]
    assert len(found.interruptions.gaps) == 1


def test_runs_that_did_not_keep_it_are_counted(played: Any) -> None:
    case = played({LIVES: 1e6}, 1.0)
    assert not [each for each in coverage.read(case).sentences() if "earlier version" in each]
    with case.write("observe") as tx:
        tx.execute("UPDATE observe_runs SET coverage=json_remove(coverage, '$.questions')")
    assert "did not keep how often no list came: 1" in " ".join(coverage.read(case).sentences())


def test_of_a_watch_that_came_later_it_is_said_since_when_anybody_told_who_is_there(
    played: Any, network: Network, authority: Ed25519PrivateKey
) -> None:
    case = played({LIVES: 1e6}, 5.0)
    assert not [each for each in coverage.read(case).sentences() if "W-1" in each]
    document = case.folder.parent / "document.json"
    document.write_bytes(mandate.sign_document("watch", watch_body(2), authority))
    add = ["watch", "add", str(case.folder), str(document)]
    assert CliRunner().invoke(cli, add).output == "added: W-2\n"
    with lease(case, "observe", "bittorrent"):
        assert CliRunner().invoke(cli, add).output == f"added: W-2\n{AT_WORK}\n", "an import, say: no run began since"
        with case.write("observe") as tx:  # as of one that was killed, which is no run that is under way either
            assert tx.execute("UPDATE observe_runs SET ended_ns = NULL").rowcount
        assert CliRunner().invoke(cli, add).output == f"added: W-2\n{AT_WORK}\n"
        with case.write("observe") as tx:
            tx.execute("UPDATE observe_runs SET started_ns = (SELECT taken_ns FROM leases)")
        assert CliRunner().invoke(cli, add).output == f"added: W-2\n{UNDER_WAY}\n"
        with case.write("core") as tx, tx.gate.core():
            tx.execute("UPDATE leases SET started = 'another process'")
        assert CliRunner().invoke(cli, add).output == "added: W-2\n", "kill -9 leaves the lease there"
    with case.write("observe") as tx:
        tx.execute("UPDATE observe_runs SET started_ns = ?, ended_ns = ?", (START_NS, START_NS + 5 * HOUR))
    assert standing(case).waiting == ("W-2",)
    assert any("next one on: W-2" in line for line in next_lines(standing(case)))
    assert "nobody told so far who is there for W-2: who is, was not seen" in coverage.read(case).sentences()
    watch.add(case, mandate.sign_document("watch", watch_body(3, infohash_v1="3" * 40), authority))
    run = Observer(case, PLUGIN, POLICY, [LIVES])
    goes_on(run, network, 3_600, 60 * SECOND)
    found = coverage.read(case)
    assert standing(case).waiting == ()
    (first_ns, *_) = (at_ns for label, at_ns in found.watches if label == "W-2")
    assert first_ns is not None
    assert START_NS + 5 * HOUR < first_ns < START_NS + 5 * HOUR + 180 * SECOND
    (line,) = [each for each in found.sentences() if "W-2" in each]
    assert line == f"nobody told who is there for W-2, W-3 before {clock.iso(first_ns)}: who was, was not seen"
    assert not [each for each in found.sentences({"W-1"}) if "W-2" in each], "a Bundle tells of its own Watches alone"
    assert [each["watch"] for each in found.as_dict()["watches"]] == ["W-1", "W-2", "W-3"]


def node(number: int) -> Tracker:
    return Tracker(f"dht://192.0.2.{number}:6881", f"192.0.2.{number}", 6881, "", "udp")


def moment(seconds: float) -> Instant:
    return Instant(START_NS + int(seconds * SECOND), int(seconds * SECOND))


def test_a_question_for_two_watches_of_one_torrent_is_one_and_both_are_without_a_list_until_the_next_comes() -> None:
    """Neither of them alone."""
    name = watch_body()["infohash_v1"]
    known = tuple(watch.from_body(watch_body(number, infohash_v1=name)) for number in (1, 2))
    counts, infohash = Unlisted(asked_for([node(1)], known)), bytes.fromhex(name)
    for begin, listed in ((0, True), (1_800, False), (3_600, False), (5_400, True)):
        one = Round(node(1), "192.0.2.1", known, infohash, "")
        counts.take(one, moment(begin), moment(begin + 1), listed=listed)
    counts.over(moment(7_200))
    told = counts.told()
    assert set(told) == {"dht", ALL}
    assert (told["dht"]["asked"], told["dht"]["failed"]) == (4, 2)
    assert {each["silent_ns"] for each in told.values()} == {3_601 * SECOND}
    assert not [each for each in told.values() if "alone" in each]


def test_nodes_that_do_not_answer_are_no_silence_where_the_lookup_brought_a_list() -> None:
    known = Watch(**{name: watch_body().get(name) for name in Watch.__slots__} | {"infohash_v1": b"1" * 20})
    counts = Unlisted(asked_for([node(1)], [known]))
    lookup = LOOKUP_NS // SECOND

    def asks(number: int, at: float, *, listed: bool) -> None:
        one = Round(node(number), f"192.0.2.{number}", (known,), b"1" * 20, "")
        counts.take(one, moment(at), moment(at + 1), listed=listed)

    for begin in (0, 1_800, 3_600):
        asks(1, begin, listed=False)
        asks(2, begin + 1, listed=True)
        for number in range(3, 9):
            asks(number, begin + number, listed=False)
    assert counts.told()["dht"]["failed"] == 3 * 7
    assert counts.told()["dht"]["silent_ns"] == 3 * 2 * SECOND
    for number in range(1, 9):
        asks(number, 5_400 + number * lookup / 10, listed=False)
    counts.over(moment(7_200))
    told = counts.told()["dht"]
    assert told["longest"] == (START_NS + int((5_400 + lookup / 10) * SECOND), START_NS + 7_200 * SECOND)
