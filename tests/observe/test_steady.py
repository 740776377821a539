"""The revisit interval is counted by a clock that nobody can set."""

import time
from dataclasses import replace

import pytest
from no_wire import Network
from observe_case import FAST
from observe_stage import Stage, answers, bitfield

from clew.core import clock, shards
from clew.core.case import Case
from clew.core.clock import Instant
from clew.observe.endpoints import INSERT, Endpoint, row
from clew.observe.networks.bittorrent import PLUGIN
from clew.observe.retention import KEEP_NS
from clew.observe.run import Observer, observe
from clew.observe.steady import BOOTTIME, steady

HOUR = 3_600_000_000_000


@pytest.mark.parametrize("jump_ns", [HOUR, -HOUR])
def test_a_clock_that_is_set_between_runs_or_in_one_makes_no_repetition(
    case: Case, stage: Stage, infohash: bytes, monkeypatch: pytest.MonkeyPatch, jump_ns: int
) -> None:
    peer = stage.peer("127.20.0.1", answers(bitfield(6), torrents={infohash}))
    tracker = stage.tracker("127.1.0.5", tells_stopped=True)
    tracker.listed[infohash].append((peer.address, peer.port))
    policy = replace(FAST, revisit=30.0)
    observe(case, trackers=[tracker.url], policy=policy, seconds=1.0)
    began = time.monotonic()

    def now() -> Instant:
        late = 2 if time.monotonic() - began > 0.5 else 1
        return Instant(time.time_ns() + late * jump_ns, clock.mono_ns())

    monkeypatch.setattr("clew.core.clock.now", now)
    observe(case, trackers=[tracker.url], policy=policy, seconds=1.0)
    found = shards.query(case, "SELECT tier FROM sightings WHERE kind = 'contact'").to_pylist()
    assert found == [{"tier": "E1"}], "one contact in two runs, and no second one before its time"


def test_one_base_since_the_machine_started(case: Case) -> None:
    first = steady(case, Instant(1_000, 10))
    assert first.at(Instant(7, 30)) == 1_020
    with case.write("observe") as tx:
        tx.execute(
            "INSERT INTO observe_runs (id, started_ns, config, vantage, mandate, boot, steady_ns) VALUES "
            "('r', 0, '', '', '', ?, ?)",
            (first.boot, first.base_ns),
        )
    assert steady(case, Instant(5_000, 40)) == first


def test_runs_of_a_clock_that_stood_still_with_the_machine_lend_no_base(case: Case) -> None:
    """First versions counted by it, and kept the bare id of this start of the machine."""
    boot = steady(case, Instant(0, 0)).boot.removesuffix(BOOTTIME)
    with case.write("observe") as tx:
        tx.execute(
            "INSERT INTO observe_runs (id, started_ns, config, vantage, mandate, boot, steady_ns) VALUES "
            "('r', 0, '', '', '', ?, 990)",
            (boot,),
        )
    asleep_ns = 8 * HOUR  # before the first of these runs, at 1,000 by UTC
    later = steady(case, Instant(2_000, 1_010 + asleep_ns))
    assert later.at(Instant(0, 1_020 + asleep_ns)) == 2_010


@pytest.mark.parametrize(("set_ns", "kept"), [(-10 * 24 * HOUR, True), (10 * 24 * HOUR, True), (0, False)])
def test_a_clock_that_is_set_forgets_nobody_early(case: Case, network: Network, set_ns: int, kept: bool) -> None:
    """Ahead when the machine started, and set right in a run; set wrong in one; and as it should be."""
    observer = Observer(case, PLUGIN, FAST, ["http://127.1.0.33:6969/announce"])
    network.now = Instant(network.now.utc_ns + set_ns, network.now.mono_ns)
    listed_ns = network.now.utc_ns if kept else network.now.utc_ns - KEEP_NS
    one = Endpoint(1, "w", "127.30.0.1", 9, listed_ns, listed_ns, "t")
    observer._book._add(one)
    with case.write("observe") as tx:
        tx.execute(INSERT, row(one))
    network.now = Instant(network.now.utc_ns + HOUR, network.now.mono_ns + HOUR)
    observer._forget()
    assert len(observer._book) == len(case.read().execute("SELECT 1 FROM endpoints").fetchall()) == kept
