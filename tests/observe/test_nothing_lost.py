"""What could get lost without a word: each loss has its place in the account, or there is none."""

import errno
import json
import os
import time
from asyncio import StreamReader, StreamWriter
from dataclasses import replace
from typing import Any

import pytest
from observe_case import FAST, gaps_of
from observe_stage import EXTENDED, INNER, Peer, Stage, answers, bitfield, message

from clew.core import clock, shards
from clew.core.case import Case
from clew.core.clock import Instant
from clew.model import Missing
from clew.observe import account, keeping
from clew.observe.account import LEFT_ASIDE
from clew.observe.announces import NOT_NAMED
from clew.observe.api import REFUSED, SECOND, TOO_SLOW, Contact, Sighted, Target
from clew.observe.book import Book
from clew.observe.endpoints import INSERT, Endpoint, row
from clew.observe.gaps import NO_NETWORK, Gaps
from clew.observe.keeping import Keeper
from clew.observe.lines import unconnected
from clew.observe.networks.bittorrent import PLUGIN
from clew.observe.policy import Wish
from clew.observe.replay import TOO_LITTLE, replay
from clew.observe.retention import KEEP_NS, purge
from clew.observe.rows import Run
from clew.observe.run import observe
from clew.observe.silence import BROKEN_OFF, NOBODY_HEARD, Silence, heard
from clew.observe.standing import standing
from clew.observe.steady import Steady, steady
from clew.observe.wire import Answer, Call

NO_WAY, ROUTER_OFF = (unconnected(OSError(n, os.strerror(n))) for n in (errno.ENETUNREACH, errno.EHOSTUNREACH))


def test_listed_endpoints_that_are_none_are_counted(case: Case, stage: Stage) -> None:
    tracker = stage.tracker("127.1.0.13", tells_stopped=True)
    body = b"d5:peers20:" + b"\x7f\x1d\x00\x01\x00\x00" * 3 + b"xxe"
    tracker.reply = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    summary = observe(case, trackers=[tracker.url], policy=FAST, seconds=1.0)
    assert summary.limits == {LEFT_ASIDE: 4 * summary.announces}
    row = case.read().execute("SELECT coverage FROM observe_runs").fetchone()
    assert json.loads(row["coverage"])["limits"] == summary.limits


def test_gossip_that_cannot_be_read_is_accounted_for(make_case: Any, stage: Stage, infohash: bytes) -> None:
    case = make_case(permits=["pex"])
    junk = message(20, b"\x00d1:md6:ut_pexi1eee") + bitfield(*INNER) + message(20, b"\x01no dictionary")
    peer = stage.peer("127.29.0.1", answers(junk, torrents={infohash}, reserved=EXTENDED))
    tracker = stage.tracker("127.1.0.13", tells_stopped=True)
    tracker.listed[infohash] = [(peer.address, peer.port)]
    summary = observe(case, trackers=[tracker.url], policy=replace(FAST, gossip=True), seconds=2)
    assert [name for name in summary.limits if name.startswith("gossip not read: unparsable")]


def test_a_list_of_which_too_little_was_kept_is_not_called_the_same(case: Case, stage: Stage, infohash: bytes) -> None:
    tracker = stage.tracker("127.1.0.13", tells_stopped=True)
    body = b"d5:peers6:" + b"\x7f\x1d\x00\x01\x00\x07" + b"6:zoolesl" + b"1:a" * 500 + b"ee"
    tracker.reply = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    observe(case, trackers=[tracker.url], policy=replace(FAST, announce=60.0), seconds=1.5)
    found = replay(case)
    assert found.not_derived[TOO_LITTLE] == 1
    assert not found.same["listed E0"]
    assert not found.differing


def test_a_run_that_is_killed_while_the_network_is_gone_names_the_gap(case: Case) -> None:
    gaps = Gaps()
    keeper = Keeper(case, Run("r", "clew 0 bittorrent 1", "", "here", None, None), Book([], FAST, 0, tuple), gaps)
    for second in (1, 5, 9):
        at = Instant(second * SECOND, second * SECOND)
        gaps.call(at, at, NO_NETWORK)
        keeper.flush("0" * 32, {})
        assert gaps_of(case) == [(SECOND, second * SECOND, NO_NETWORK.detail)]
    gaps.probed(Instant(12 * SECOND, 12 * SECOND))
    gaps.left(Instant(9 * SECOND, 9 * SECOND))
    assert gaps.open, "out before the last one had no network"
    gaps.left(Instant(13 * SECOND, 13 * SECOND))
    keeper.flush("0" * 32, {})
    assert gaps_of(case) == [(SECOND, 13 * SECOND, NO_NETWORK.detail)]


def called(
    number: int, at_s: int, *, answered: bool, missing: Missing = TOO_SLOW, network: str = "127.29.1."
) -> Answer:
    wish = Wish("contact", "w", f"{network}{number}", 1, "")
    began, ended = Instant(at_s * SECOND, at_s * SECOND), Instant((at_s + 1) * SECOND, (at_s + 1) * SECOND)
    target = Target("W-1", b"h" * 20, (), b"p" * 20)
    call = Call(f"{number} {at_s}", wish, PLUGIN.contact(target, FAST.limits(), "tcp", bytes(32)))
    said = Sighted(Contact(answered=True), b"", {"received handshake": 68}) if answered else None
    return Answer(call, said, None if answered else missing, began, ended, ("", 0), "m")


@pytest.mark.parametrize("missing", [TOO_SLOW, NO_WAY, ROUTER_OFF])
def test_where_nobody_at_all_is_heard_it_is_a_gap_and_they_are_called_again(missing: Missing) -> None:
    book, gaps, silence = Book([], FAST, 0, lambda _: ("tcp",)), Gaps(), Silence()
    peers = [book.listed("w", f"127.29.1.{n}", 1, source="t", twin=False, at_ns=0, due_ns=0)[0] for n in range(5)]
    book.saved(peers)
    for peer in peers[:4]:
        peer.tier, peer.control = "E1", "clean"
    for at_s in (10, 13, 16):
        for number, peer in enumerate(peers):
            assert silence.call(called(number, at_s, answered=False, missing=missing), peer, gaps) == []
            book.failed(peer, missing, at_s * SECOND)
        without_ipv6 = called(9, at_s, answered=False, missing=NO_WAY, network="2001:db8::")
        assert silence.call(without_ipv6, None, gaps) == []
    assert {peer.next_ns for peer in peers} == {None}, "given up, as if all were gone"
    assert gaps.take() == [(10 * SECOND, 17 * SECOND, NOBODY_HEARD)]
    again = silence.call(called(9, 20, answered=True), None, gaps)
    assert gaps.take() == [(10 * SECOND, 21 * SECOND, NOBODY_HEARD)]
    assert again == peers
    for peer in again:
        book.again(peer, 30 * SECOND)
    assert [each for each, _ in book.due(30 * SECOND, 9)] == peers
    assert [peer.failures for peer in peers] == [1, 1, 1, 1, 0], "who had answered is no sign of another gap until then"
    for number, peer in enumerate(peers):
        for at_s in (40, 50):
            assert silence.call(called(number, at_s, answered=False, missing=missing), peer, gaps) == []
    assert gaps.take() == []


def test_one_network_that_is_gone_is_no_silence_of_all() -> None:
    """A router tells so of each at once, before anybody else had time to answer."""
    gaps, silence = Gaps(), Silence()
    for number in range(9):
        peer = Endpoint(number, "w", f"127.29.1.{number}", 1, 0, 0, "t", tier="E2")
        assert silence.call(called(number, 1, answered=False, missing=ROUTER_OFF), peer, gaps) == []
    assert silence.call(called(99, 9, answered=True), None, gaps) == []
    assert gaps.take() == []


@pytest.mark.parametrize(
    "stands", ["", "one answers", "a tracker failed", "a tracker fails", "not all are called", "one visit"]
)
def test_a_gap_is_taken_back_where_nobody_answers_after_it_either(stands: str, case: Case) -> None:
    """Then they had left. Not where a tracker failed meanwhile: after hours without a network many have moved.
    Nor after one visit: it may have been gone once more.
    """
    gaps, silence = Gaps(), Silence()
    keeper = Keeper(case, Run("r", "clew 0 bittorrent 1", "", "here", None, None), Book([], FAST, 0, tuple), gaps)
    peers = [Endpoint(n, "w", f"127.29.1.{n}", 1, 0, 0, "t", tier="E2") for n in range(3)]
    for at_s in (10, 20):
        for number, peer in enumerate(peers):
            silence.call(called(number, at_s, answered=False), peer, gaps)
    if stands == "a tracker failed":
        silence.call(called(9, 20, answered=False), None, gaps)
    keeper.flush("0" * 32, {})
    silence.call(called(9, 22, answered=True), None, gaps)
    keeper.flush("0" * 32, {})
    late = called(0, 21, answered=False)
    assert late.ended.mono_ns <= 22 * SECOND
    silence.call(late, peers[0], gaps)  # it was out when the gap ended: not called again since
    kept = [(10 * SECOND, 23 * SECOND, NOBODY_HEARD)]
    assert gaps_of(case) == kept
    for failures in (1,) if stands == "one visit" else (1, 2):
        for number, peer in enumerate(peers):
            peer.failures = failures
            if number or stands != "not all are called":
                silence.call(called(number, 30, answered=number == 1 and stands == "one answers"), peer, gaps)
    if stands == "a tracker fails":
        silence.call(called(9, 31, answered=False), None, gaps)
    keeper.flush("0" * 32, {})
    assert gaps_of(case) == kept
    silence.call(called(9, 33, answered=True), None, gaps)
    keeper.flush("0" * 32, {})
    assert gaps_of(case) == (kept if stands else [])


@pytest.mark.parametrize("missing", [REFUSED, BROKEN_OFF])
def test_who_refuses_or_breaks_off_is_heard(missing: Missing) -> None:
    assert heard(called(1, 1, answered=False, missing=missing))


@pytest.mark.parametrize("known", [0, 2])
def test_that_a_few_are_gone_or_many_never_answer_is_no_gap(known: int) -> None:
    gaps, silence = Gaps(), Silence()
    for number in range(50):
        tier = "E2" if number < known else "E0"
        peer = Endpoint(number, "w", f"127.29.1.{number}", 1, 0, 0, "t", tier=tier)
        silence.call(called(number, 1, answered=False), peer, gaps)
    assert silence.call(called(99, 3, answered=True), None, gaps) == []
    assert gaps.take() == []


def test_a_run_that_goes_on_forgets_in_time(
    case: Case, stage: Stage, infohash: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("clew.observe.retention.KEEP_NS", SECOND)
    monkeypatch.setattr("clew.observe.retention.EVERY_NS", SECOND // 4)
    peer = stage.peer("127.29.0.2", answers(bitfield(*INNER), torrents={infohash}))
    tracker = stage.tracker("127.1.0.13", tells_stopped=True)
    tracker.listed[infohash] = [(peer.address, peer.port), ("127.29.0.3", 1)]
    observe(case, trackers=[tracker.url], policy=replace(FAST, announce=60.0), seconds=4)
    assert [row["address"] for row in case.read().execute("SELECT address FROM endpoints")] == ["127.29.0.2"]
    kept = shards.query(case, "SELECT kind, count(*) n FROM sightings WHERE address = '127.29.0.3' GROUP BY 1")
    assert "listed" not in kept["kind"].to_pylist()
    assert replay(case).differing == []


def test_who_is_listed_still_has_a_listing_kept_by_each_tracker_however_long_the_run_goes_on(
    case: Case, stage: Stage, infohash: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("clew.observe.retention.KEEP_NS", 3 * SECOND)
    monkeypatch.setattr("clew.observe.retention.EVERY_NS", SECOND // 4)
    trackers = [stage.tracker(f"127.1.0.{number}", tells_stopped=True) for number in (13, 14)]
    for each in trackers:
        each.listed[infohash] = [("127.29.0.3", 1)]
    policy = replace(FAST, announce=0.2)
    observe(case, trackers=[each.url for each in trackers], policy=policy, seconds=5.5)
    assert len(case.read().execute("SELECT 1 FROM endpoints").fetchall()) == 1
    ledger = case.read().execute("SELECT count(*) FROM ledger WHERE line LIKE '%sightings.forgotten%'").fetchone()[0]
    assert ledger > 0, "the first listings are gone"
    kept = shards.query(case, "SELECT source, count(*) n FROM sightings WHERE kind = 'listed' GROUP BY 1").to_pylist()
    assert {row["source"] for row in kept} == {each.url for each in trackers}
    assert max(row["n"] for row in kept) <= 3, "and no more than are needed"


def test_a_contact_that_failed_with_who_had_answered_is_kept(case: Case, stage: Stage, infohash: bytes) -> None:
    peer = stage.peer("127.29.0.4", answers(bitfield(*INNER), torrents={infohash}))
    tracker = stage.tracker("127.1.0.13", tells_stopped=True)
    tracker.listed[infohash] = [(peer.address, peer.port), ("127.29.0.5", 1)]

    async def falls_silent(peer: Peer, reader: StreamReader, writer: StreamWriter) -> None:
        talk = answers(bitfield(*INNER), torrents={infohash} if len(peer.heard) == 1 else set())
        await talk(peer, reader, writer)

    peer.talk = falls_silent
    observe(case, trackers=[tracker.url], policy=FAST, seconds=2.5)
    dialled = {row[0]: row["address"] for row in case.read().execute("SELECT id, address FROM dials")}
    with case.write("observe") as tx:  # two that an earlier run never made, and one that it was killed in
        sql = (
            "INSERT INTO dials SELECT ?, run, endpoint, watch, address, port, kind, transport, intended_ns, ?, '', 0 "
            "FROM dials WHERE address = '127.29.0.4' AND kind = 'contact' LIMIT 1"
        )
        for values in (("cut off", "interrupted"), ("no call", "not made")):
            tx.execute(sql, values)
    purge(case, time.time_ns() + KEEP_NS + 60 * SECOND)
    sql = "SELECT id, address FROM dials WHERE state <> 'done' AND kind = 'contact'"
    left = {row["id"]: row["address"] for row in case.read().execute(sql)}
    assert "cut off" in left
    assert "no call" not in left
    assert set(left.values()) == {"127.29.0.4"}, "of who never answered nothing is left"
    assert "127.29.0.5" in dialled.values()
    contacts = shards.query(case, "SELECT id FROM sightings WHERE kind IN ('contact', 'control')")["id"].to_pylist()
    assert {row["id"] for row in case.read().execute("SELECT id FROM dials")} >= set(contacts), "each with its dial"
    sql = "SELECT address, tier FROM sightings WHERE kind = 'contact' ORDER BY sequence"
    kept = [(row["address"], row["tier"]) for row in shards.query(case, sql).to_pylist()]
    assert kept[:2] == [("127.29.0.4", "E1"), ("127.29.0.4", "E0")]
    assert {address for address, _ in kept} == {"127.29.0.4"}


def test_who_was_called_when_the_run_was_stopped_is_not_called_twice_within_the_interval(
    case: Case, stage: Stage, infohash: bytes
) -> None:
    peer = stage.peer("127.29.0.6", answers(bitfield(*INNER), torrents={infohash}, wait=30))
    tracker = stage.tracker("127.1.0.13", tells_stopped=True)
    tracker.listed[infohash] = [(peer.address, peer.port)]
    for _ in range(2):
        observe(case, trackers=[tracker.url], policy=replace(FAST, revisit=60.0, answer=20.0), seconds=1.2)
    assert len(peer.heard) == 1


@pytest.mark.parametrize(
    ("contacts", "failures", "control", "waits"),
    [(1, 0, None, True), (0, 3, None, True), (0, 0, None, False), (1, 0, "promiscuous", False)],
)
def test_who_was_called_by_a_run_that_just_ended_waits_whatever_became_of_it(
    case: Case, contacts: int, failures: int, control: str | None, waits: bool
) -> None:
    """Given up, or not to be called any more: where the Mandate ended between a contact and its control probe."""
    now, wait_ns, run = clock.now(), 60 * SECOND, Run("r", "clew 0 bittorrent 1", "", "here", None, None)
    with case.write("observe") as tx:
        values = ("before", now.utc_ns - 9 * SECOND, now.utc_ns - SECOND, "{}", "here", "m")
        tx.execute(
            "INSERT INTO observe_runs (id, started_ns, ended_ns, config, vantage, mandate) VALUES (?,?,?,?,?,?)", values
        )
        one = Endpoint(1, "w", "127.29.0.7", 1, 0, 0, "t", contacts=contacts, failures=failures, control=control)
        tx.execute(INSERT, row(one))
    lasting = steady(case, now)
    keeping.begin(case, run, "{}", now, "m", lasting, wait_ns)
    due_ns = case.read().execute("SELECT next_ns FROM endpoints").fetchone()[0]
    assert due_ns == (lasting.at(now) + wait_ns if waits else None)


@pytest.mark.parametrize(
    ("over", "chosen", "control"),
    [
        (["mse/tcp"], (), None),
        (["mse/tcp"], ("mse/tcp", "mse/utp"), "clean"),
        (["mse/tcp"], ("mse/tcp", "tcp"), None),
        (["mse/tcp"], ("mse/tcp", "utp"), "clean"),
        (["mse/tcp", "tcp"], (), "clean"),
        ([], (), "clean"),
    ],
)
def test_whom_a_run_probed_over_mse_alone_the_next_in_plaintext_probes_again(
    case: Case, over: list[str], chosen: tuple[str, ...], control: str | None
) -> None:
    """It could only come out clean: whoever answers for anything would stay a Lead for one run with MSE alone."""
    now, run, policy = (
        clock.now(),
        Run("r", "clew 0 bittorrent 1", "c", "v", None, None),
        replace(FAST, transports=chosen),
    )
    dial = "INSERT INTO dials VALUES (?,'before',1,'w','127.29.0.7',1,'control',?,0,'done',NULL,0)"
    with case.write("observe") as tx:
        tx.execute(INSERT, row(Endpoint(1, "w", "127.29.0.7", 1, 0, 0, "t", tier="E1", control="clean")))
        tx.executemany(dial, [(each, each) for each in over])
    keeping.begin(case, run, policy.text(), now, "0" * 32, steady(case, now), 0, plain=policy.plain)
    assert case.read().execute("SELECT control FROM endpoints").fetchone()[0] == control


def test_the_last_run_of_an_old_case_is_the_one_that_began_last(case: Case) -> None:
    """Before version 6 runs had no number: all have 0."""
    with case.write("observe") as tx:
        for name, started_ns in (("a", 3), ("b", 9), ("c", 5)):
            values = (name, started_ns, "{}", "here", "m")
            tx.execute("INSERT INTO observe_runs (id, started_ns, config, vantage, mandate) VALUES (?,?,?,?,?)", values)
    last = standing(case).last_run
    assert last is not None
    assert last["id"] == "b"


def test_endpoints_that_a_tracker_counts_and_never_names_are_told(case: Case, stage: Stage) -> None:
    tracker = stage.tracker("127.1.0.13", tells_stopped=True)
    body = b"d8:completei40e10:incompletei2e5:peers6:" + b"\x7f\x1d\x00\x09\x00\x01" + b"e"
    tracker.reply = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    summary = observe(case, trackers=[tracker.url], policy=replace(FAST, repeats=3), seconds=1.5)
    assert summary.limits == {NOT_NAMED: 41}


def test_no_run_keeps_the_gaps_between_all_runs_before_it(case: Case) -> None:
    sizes = []
    for number in range(20):
        run, at_ns = Run(f"{number:032x}", "clew 0 bittorrent 1", "", "here", None, None), 2 * number * SECOND
        keeping.begin(case, run, "{}", Instant(at_ns, at_ns), "0" * 32, Steady("boot", 0), 0)
        counts = dict.fromkeys(("contacts", "controls", "announces"), 0)
        told = {"limits": {}, "questions": {}, "ourselves": dict.fromkeys(keeping.NAMED, 0), "stopped": "time"} | counts
        keeping.end(case, run, at_ns + SECOND, told | {"coverage": account.coverage(case, [])}, "0" * 32)
        sql = "SELECT length(coverage) FROM observe_runs WHERE id=?"
        sizes.append(case.read().execute(sql, (run.id,)).fetchone()[0])
    assert max(sizes) < min(sizes) + 10
    assert len(account.coverage(case, [])["gaps"]) == standing(case).gaps == 19
