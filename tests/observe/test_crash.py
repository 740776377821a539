"""`kill -9` at failpoints of the observer, then the same command again: nothing forgotten, nothing doubled.

`make kill` and `make soak` try every one, `make test` a SAMPLE.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from disturbed_runs import SOAK, balanced
from observe_stage import Peer, Stage, Tracker, answers, bitfield

from clew.core import coverage, failpoints, shards
from clew.core.case import Case
from clew.core.errors import Held
from clew.core.interruptions import NO_RUN
from clew.core.lease import lease
from clew.observe.account import LEFT_ASIDE

HERE = Path(__file__).parent
SAMPLE = (  # what is committed and not done with, and what is neither
    "observe.purge.inside:1",
    "observe.begin.after:1",
    "observe.intent.after:4",
    "observe.receipt.before:1",
    "observe.receipt.inside:2",
    "observe.receipt.after:1",
    "observe.end.after:1",
    "compact.written:1",
    "compact.after:1",
    "shards.write.renamed:2",
)
FAILPOINTS = (
    *SAMPLE,
    "observe.purge.after:1",
    "observe.begin.inside:1",
    "observe.intent.before:3",
    "observe.intent.after:1",
    "observe.end.inside:1",
    "compact.before:1",
    "compact.inside:1",
    "compact.removed:2",
    "compact.removed:4",
    "shards.write.before:1",
    "shards.write.synced:2",
)
TRIED = FAILPOINTS if SOAK or os.environ.get("CLEW_KILL") else SAMPLE
UNDER_WAY = ("observe.intent.after", "observe.receipt.before", "observe.receipt.inside")


def start(case: Case, tracker: Tracker, *rest: str, failpoint: str = "") -> subprocess.Popen[str]:
    command = [sys.executable, str(HERE / "observe_here.py"), str(case.folder), tracker.url, *rest]
    environment = {**os.environ, "CLEW_FAILPOINT": failpoint}
    return subprocess.Popen(
        command, env=environment, cwd=HERE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def cast(stage: Stage, infohash: bytes) -> tuple[Tracker, list[Peer]]:
    peers = [stage.peer(f"127.23.0.{n}", answers(bitfield(6, n), torrents={infohash})) for n in range(1, 9)]
    tracker = stage.tracker("127.1.0.6", tells_stopped=False)
    tracker.listed[infohash] = [(peer.address, peer.port) for peer in peers]
    return tracker, peers


def account(case: Case) -> None:
    """Every contact that was made is kept exactly once, and every intent has its end."""
    states = dict(case.read().execute("SELECT state, count(*) FROM dials GROUP BY state").fetchall())
    assert "intent" not in states
    sql = "SELECT kind, count(*) FROM dials WHERE state IN ('done', 'failed') AND kind LIKE 'cont%' GROUP BY kind"
    ended = dict(case.read().execute(sql).fetchall())
    found = shards.query(
        case, "SELECT kind, count(*) n, count(DISTINCT id) ids FROM sightings GROUP BY kind"
    ).to_pylist()
    kept = {row["kind"]: row["n"] for row in found}
    assert all(row["n"] == row["ids"] for row in found)
    assert {kind: kept[kind] for kind in ended} == ended
    claims = case.read().execute("SELECT sum(claims), sum(contacts) FROM endpoints").fetchone()
    sql = "SELECT count(*) n FROM sightings WHERE kind = 'contact' AND claim IN ('watched file', 'torrent only')"
    claimed = shards.query(case, sql).to_pylist()[0]["n"]
    assert (claims[0], claims[1]) == (claimed, kept["contact"]), "the queue counts what the shards hold"


def test_every_failpoint_of_the_observer_is_known() -> None:
    known = {name for name in failpoints.NAMES if name.startswith(("observe.", "shards.", "compact."))}
    assert known == {name.partition(":")[0] for name in FAILPOINTS}


@pytest.mark.parametrize("failpoint", TRIED)
def test_killed_at_a_failpoint_and_resumed(case: Case, stage: Stage, infohash: bytes, failpoint: str) -> None:
    tracker, peers = cast(stage, infohash)
    killed = start(case, tracker, failpoint=failpoint)
    assert killed.wait(30) == -signal.SIGKILL, killed.stderr.read() if killed.stderr else ""
    left = case.read().execute("SELECT count(*) FROM dials WHERE state = 'intent'").fetchone()[0]
    resumed = start(case, tracker)
    out, problem = resumed.communicate(timeout=60)
    assert resumed.returncode == 0, problem
    summary = json.loads(out.splitlines()[-1])
    assert summary["interrupted_before"] == left
    interrupted = case.read().execute("SELECT count(*) FROM dials WHERE state = 'interrupted'").fetchone()[0]
    assert interrupted == left
    if failpoint.startswith(UNDER_WAY):
        assert left > 0, "it died between an intent and its receipt"
    account(case)
    balanced(case, peers)
    if case.read().execute("SELECT count(*) FROM observe_runs").fetchone()[0] > 1:
        assert NO_RUN in {gap.why for gap in coverage.read(case).interruptions.gaps}
    found = shards.query(case, "SELECT address, max(tier) tier FROM sightings WHERE kind = 'contact' GROUP BY address")
    assert {row["address"]: row["tier"] for row in found.to_pylist()} == {peer.address: "E2" for peer in peers}
    listed = shards.query(case, "SELECT DISTINCT address FROM sightings WHERE kind = 'listed'").to_pylist()
    assert {row["address"] for row in listed} == {peer.address for peer in peers}
    assert tracker.announced == set(), "what `started` began before the kill is taken back"


def test_a_run_that_is_killed_has_told_what_limits_it_came_to(case: Case, stage: Stage) -> None:
    tracker = stage.tracker("127.1.0.6", tells_stopped=True)
    none = b"d5:peers18:" + b"\x7f\x17\x00\x01\x00\x00" * 3 + b"e"  # port 0: endpoints that can be none
    tracker.reply = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(none), none)
    run = start(case, tracker, "60")
    deadline, told = time.monotonic() + 30, "{}"
    while "limits" not in told and time.monotonic() < deadline:
        time.sleep(0.05)
        row = case.read().execute("SELECT coverage FROM observe_runs").fetchone()
        told = row["coverage"] if row else told
    run.kill()
    assert run.wait(30) == -signal.SIGKILL
    assert case.read().execute("SELECT ended_ns FROM observe_runs").fetchone()[0] is None
    ((why, count),) = coverage.read(case).left_aside
    assert why == LEFT_ASIDE
    asked = case.read().execute("SELECT count(*) FROM dials WHERE state = 'done'").fetchone()[0]
    assert count == 3 * asked > 0


def test_sigint_ends_the_run_in_order_within_a_second(case: Case, stage: Stage, infohash: bytes) -> None:
    tracker, _ = cast(stage, infohash)
    slow = stage.peer("127.23.1.1", answers(bitfield(6), torrents={infohash}, wait=60))
    tracker.listed[infohash].append((slow.address, slow.port))
    run = start(case, tracker, "60")
    deadline = time.monotonic() + 20
    while not slow.heard and time.monotonic() < deadline:
        time.sleep(0.05)
    assert slow.heard
    began = time.monotonic()
    run.send_signal(signal.SIGINT)
    out, problem = run.communicate(timeout=20)
    assert run.returncode == 0, problem
    summary = json.loads(out.splitlines()[-1])
    assert summary["stopped"] == "interrupted"
    assert time.monotonic() - began < 2.0, "a second, and the end of the interpreter on a busy machine"
    states = dict(case.read().execute("SELECT state, count(*) FROM dials GROUP BY state").fetchall())
    assert "intent" not in states
    sql = "SELECT address FROM dials WHERE state = 'interrupted'"
    assert slow.address in {row["address"] for row in case.read().execute(sql)}
    assert tracker.announced == set()


def test_a_second_run_is_refused_and_told_who_holds_it(case: Case, stage: Stage, infohash: bytes) -> None:
    tracker, _ = cast(stage, infohash)
    from clew.observe.run import observe

    with lease(case, "observe", "bittorrent"), pytest.raises(Held, match="held by process"):
        observe(case, trackers=[tracker.url], seconds=1)
