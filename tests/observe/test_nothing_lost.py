"""What could get lost without a word: each loss has its place in the account, or there is none."""

import json
from dataclasses import replace
from typing import Any

from observe_case import FAST
from observe_stage import EXTENDED, INNER, Stage, answers, bitfield, message

from clew.core.case import Case
from clew.core.clock import Instant
from clew.observe.account import LEFT_ASIDE
from clew.observe.api import SECOND
from clew.observe.book import Book
from clew.observe.gaps import NO_NETWORK, Gaps, of_case
from clew.observe.keeping import Keeper
from clew.observe.replay import TOO_LITTLE, replay
from clew.observe.rows import Run
from clew.observe.run import observe


def test_listed_endpoints_that_are_none_are_counted(case: Case, stage: Stage, infohash: bytes) -> None:
    tracker = stage.tracker("127.1.0.13", tells_stopped=True)
    body = b"d5:peers20:" + b"\x7f\x1d\x00\x01\x00\x00" * 3 + b"xxe"
    tracker.reply = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    summary = observe(case, trackers=[tracker.url], policy=FAST, seconds=0.3)
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
    observe(case, trackers=[tracker.url], policy=FAST, seconds=0.5)
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
        keeper.flush("0" * 32)
        assert of_case(case) == [(SECOND, second * SECOND, NO_NETWORK.detail)]
    gaps.call(Instant(12 * SECOND, 12 * SECOND), Instant(13 * SECOND, 13 * SECOND), None)
    keeper.flush("0" * 32)
    assert of_case(case) == [(SECOND, 13 * SECOND, NO_NETWORK.detail)]
