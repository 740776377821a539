"""The verbs, and what is forgotten in time."""

import json
import os
import time
from pathlib import Path

import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from observe_case import FAST, new_case
from observe_stage import PIECES, Stage, answers, bitfield, message

from clew.cli.main import cli, main
from clew.core import shards
from clew.core.case import Case
from clew.observe.retention import KEEP_NS, purge
from clew.observe.run import observe


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory, infohash: bytes) -> Path:
    """One who claims, one who is only listed: a case to be copied."""
    folder = tmp_path_factory.mktemp("shown") / "case"
    case = new_case(folder, Ed25519PrivateKey.generate())
    with Stage() as stage:
        peer = stage.peer("127.25.0.1", answers(bitfield(6) + message(7, b"x" * 600), torrents={infohash}))
        tracker = stage.tracker("127.1.0.8", tells_stopped=True)
        tracker.listed[infohash] = [(peer.address, peer.port), ("127.25.0.2", 1)]
        observe(case, trackers=[tracker.url], policy=FAST, seconds=3)
    case.close()
    return folder


def test_a_sighting_is_shown_line_by_line_without_its_infohash(observed: Case, infohash: bytes) -> None:
    sql = "SELECT id FROM sightings WHERE kind = 'contact' AND tier = 'E2'"
    name = shards.query(observed, sql).to_pylist()[0]["id"]
    shown = CliRunner().invoke(cli, ["show", "sighting", str(observed.folder), name])
    assert shown.exit_code == 0, shown.output
    for words in (
        ">> handshake",
        "infohash W-1",
        "<< handshake",
        "-TE1234-",
        "extension handshake",
        "bitfield of 3 bytes",
    ):
        assert words in shown.output
    assert infohash.hex() not in shown.output
    found = json.loads(CliRunner().invoke(cli, ["show", "sighting", str(observed.folder), name[:12], "--json"]).output)
    assert (found["tier"], found["watch"], found["answered with"]) == ("E2", "W-1", "the infohash sent")
    listed = shards.query(observed, "SELECT id FROM sightings WHERE kind = 'listed'").to_pylist()[0]["id"]
    shown = CliRunner().invoke(cli, ["show", "sighting", str(observed.folder), listed])
    assert "left out: the infohash of W-1" in shown.output
    assert "left out: other endpoints listed" in shown.output


@pytest.mark.parametrize("name", ["", "zz", "ffffffffffffffff0000000000000000", "'; DROP"])
def test_a_sighting_that_is_not_there(case: Case, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["show", "sighting", str(case.folder), name])
    assert ended.value.code == 2
    assert "clew: error:" in capsys.readouterr().err


def test_the_verb_observes_and_says_what_was_not_covered(case: Case, stage: Stage, infohash: bytes) -> None:
    peer = stage.peer("127.25.0.1", answers(bitfield(*range(PIECES)), torrents={infohash}))
    tracker = stage.tracker("127.1.0.8", tells_stopped=True)
    tracker.listed[infohash] = [(peer.address, peer.port)]
    options = ["--seconds", "1", "--interval", "0.4", "--tracker", tracker.url, "--bind", "127.9.3.4"]
    told = CliRunner().invoke(cli, ["observe", str(case.folder), *options])
    assert told.exit_code == 0, told.output
    assert "E2 1" in told.output
    assert "possession is not tested" in told.output
    rows = shards.query(case, "SELECT DISTINCT local_address FROM sightings WHERE kind = 'contact'").to_pylist()
    assert rows == [{"local_address": "127.9.3.4"}]
    told = CliRunner().invoke(cli, ["observe", str(case.folder), *options, "--json"])
    assert json.loads(told.output)["places"]["E2"] == 1


def test_the_verb_refuses_a_short_interval_elsewhere(case: Case, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["observe", str(case.folder), "--allow", "192.0.2.0/24", "--interval", "60"])
    assert ended.value.code == 1
    assert "127.0.0.0/8" in capsys.readouterr().err


def test_who_was_only_listed_is_forgotten_after_seven_days(observed: Case) -> None:
    count = "SELECT kind, tier, count(*) n FROM sightings GROUP BY ALL ORDER BY ALL"
    before = shards.query(observed, count).to_pylist()
    assert purge(observed, time.time_ns() + KEEP_NS - 60_000_000_000) == 0
    assert shards.query(observed, count).to_pylist() == before
    forgotten = purge(observed, time.time_ns() + KEEP_NS + 60_000_000_000)
    after = shards.query(observed, count).to_pylist()
    brief = [row for row in before if row["kind"] == "listed" or (row["kind"], row["tier"]) == ("contact", "E0")]
    assert forgotten == sum(row["n"] for row in brief) > 0
    assert after == [row for row in before if row not in brief]
    assert [r["address"] for r in observed.read().execute("SELECT address FROM endpoints")] == ["127.25.0.1"]
    receipted = {row["path"] for row in observed.read().execute("SELECT path FROM shards")}
    on_disk = {str(path.relative_to(observed.folder)) for path in (observed.folder / "shards").rglob("*.parquet")}
    assert on_disk == receipted
    last = json.loads(observed.read().execute("SELECT line FROM ledger ORDER BY seq DESC LIMIT 1").fetchone()[0])
    assert last["action"] == "sightings.forgotten"
    assert purge(observed, time.time_ns() + KEEP_NS + 60_000_000_000) == 0


def test_copies_of_before_an_upgrade_are_kept_no_longer_than_what_stands_in_them(case: Case) -> None:
    now, ledger = time.time_ns(), "SELECT line FROM ledger ORDER BY seq DESC LIMIT 1"
    ages = {"case.v1.db": 8, ".partial-case.v2.db": 8, "case.v14.db": 6, "case.db.saved": 8}
    for name, days in ages.items():
        made_ns = now - days * 24 * 3600 * 10**9
        (case.folder / name).touch()
        os.utime(case.folder / name, ns=(made_ns, made_ns))
    purge(case, now)
    assert [name for name in ages if (case.folder / name).exists()] == ["case.v14.db", "case.db.saved"]
    last = json.loads(case.read().execute(ledger).fetchone()[0])
    assert (last["action"], last["counts"]) == ("copies.forgotten", {"copies": 2})
    before = case.read().execute(ledger).fetchone()[0]
    purge(case, now)
    assert case.read().execute(ledger).fetchone()[0] == before
