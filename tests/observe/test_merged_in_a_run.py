"""A run of days leaves few shards, though nobody looks after it: it merges them, and forgets in time as ever."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from no_wire import goes_on, keeps_time
from observe_case import FAST, new_case
from observe_stage import Stage, answers, bitfield
from played_days import DAY, HOUR, POLICY, SCOPE, STEP_NS, Days, goes_on_for

from clew.attribute import replay as leads
from clew.attribute.run import attribute
from clew.core import compact, shards
from clew.core.case import Case
from clew.core.verify import verify_case
from clew.observe import keeping, run
from clew.observe.api import SECOND
from clew.observe.replay import replay
from clew.observe.retention import KEEP_NS

BY_TURNS = [(f"192.0.2.{number}", number) for number in range(50, 65)]
DEAD = ("192.0.2.99", 99)
SHARDS = "SELECT count(*) FROM shards WHERE merged_into IS NULL"


def test_a_run_of_days_leaves_few_shards_and_forgets_in_time(
    make_case: Callable[..., Case], monkeypatch: pytest.MonkeyPatch
) -> None:
    days = Days()
    keeps_time(monkeypatch, days)
    days.there = {place: lambda at_ns, n=place[1]: at_ns // (3 * HOUR) % 5 == n % 5 for place in BY_TURNS}
    days.named = days.there | {DEAD: lambda at_ns: at_ns < DAY}
    case = make_case(**SCOPE)
    observer = goes_on_for(case, days, 0, replace(POLICY, per_second=10_000))
    for _ in range(9):
        goes_on(observer, days, DAY / SECOND, 2 * STEP_NS)
        observer._forget()
    observer._keep()
    verify_case(case)
    flushes = case.read().execute("SELECT count(*) FROM receipts WHERE versions <> 'compacted'").fetchone()[0]
    assert flushes > 500
    assert case.read().execute(SHARDS).fetchone()[0] < 150
    found = shards.query(case, "SELECT id, kind, tier, run, sequence, address, started_ns FROM sightings").to_pylist()
    assert len({row["id"] for row in found}) == len(found) == len({row["sequence"] for row in found})
    contacts = [row for row in found if row["kind"] == "contact" and row["tier"] != "E0"]
    assert len(contacts) == sum(answered for _, _, _, answered in days.contacts)
    assert not [row for row in found if row["address"] == DEAD[0]]
    old = days.now.utc_ns - KEEP_NS - DAY
    assert {row["kind"] for row in found if row["started_ns"] < old} == {"contact", "control"}


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory, infohash: bytes) -> Iterator[Path]:
    """A run whose every answer became a shard of its own, none of them merged."""
    folder = tmp_path_factory.mktemp("apart") / "case"
    case = new_case(folder, Ed25519PrivateKey.generate(), purposes=["observe", "attribute"])
    with pytest.MonkeyPatch.context() as patched, Stage() as stage:
        patched.setattr(run, "FLUSH_ROWS", 1)
        patched.setattr(keeping, "merge", lambda *_: None)
        peers = [stage.peer(f"127.24.1.{n}", answers(bitfield(6, n), torrents={infohash})) for n in range(1, 5)]
        tracker = stage.tracker("127.1.0.7", tells_stopped=True)
        tracker.listed[infohash] = [(peer.address, peer.port) for peer in peers] + [("127.24.9.9", 1)]
        run.observe(case, trackers=[tracker.url], policy=FAST, seconds=4)
    case.close()
    yield folder
    shutil.rmtree(folder)


def test_the_same_leads_and_proofs_follow_from_merged_shards(observed: Case) -> None:
    def made() -> list[object]:
        attribute(observed, registers=[], now_ns=now_ns)
        tables = ("subjects", "subject_intervals", "possible_links", "leads", "lead_details")
        told = [list(map(tuple, observed.read().execute(f"SELECT * FROM {name}"))) for name in tables]
        replays = replay(observed), leads.replay(observed)
        assert [(each.differing, each.not_derived) for each in replays] == [([], {}), ([], {})]
        return [told, *[(each.digest, each.same, each.empty) for each in replays]]

    now_ns = observed.read().execute("SELECT max(at_ns) FROM receipts").fetchone()[0]
    apart, before = observed.read().execute(SHARDS).fetchone()[0], made()
    assert observed.read().execute("SELECT count(*) FROM leads").fetchone()[0] == 4
    assert compact.compact(observed, enough=2).before == apart > 8
    assert observed.read().execute(SHARDS).fetchone()[0] <= 3
    assert made() == before
    verify_case(observed)


def test_leads_are_made_of_merged_shards(observed: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where no run of the observer came since, or files of others were taken in."""
    monkeypatch.setattr("clew.attribute.run.compact", partial(compact.compact, enough=2))
    attribute(observed, registers=[])
    assert observed.read().execute(SHARDS).fetchone()[0] <= 3
