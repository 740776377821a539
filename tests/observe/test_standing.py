"""How the observing stands: in `clew status`, and in the live view."""

import io
import json
import os
import re
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from observe_case import FAST, new_case
from observe_stage import Stage, answers, bitfield
from rich.console import Console

from clew.attribute.api import RegisterSpec
from clew.attribute.run import attribute
from clew.cli._countries import Countries
from clew.cli._live import LiveView, next_lines
from clew.cli.main import cli
from clew.core import clock, plugins
from clew.core import lease as core_lease
from clew.core.case import Case
from clew.core.clock import Instant
from clew.core.errors import ClewError, Damaged, Refused
from clew.model import Missing, Reason
from clew.observe.api import SECOND
from clew.observe.gaps import NO_NETWORK
from clew.observe.policy import Go, Governor, Policy, Wait, Wish, usual_revisit
from clew.observe.run import observe
from clew.observe.standing import lately, standing


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory, infohash: bytes) -> Path:
    """Two who claim, one who is only listed, and a register that knows one of them: a case to be copied."""
    folder = tmp_path_factory.mktemp("standing")
    case = new_case(folder / "case", Ed25519PrivateKey.generate(), purposes=["observe", "attribute"])
    with Stage() as stage:
        peers = [stage.peer(f"127.27.0.{n}", answers(bitfield(6), torrents={infohash})) for n in (1, 2)]
        tracker = stage.tracker("127.1.0.15", tells_stopped=True)
        tracker.listed[infohash] = [(peer.address, peer.port) for peer in peers] + [("127.27.0.3", 9)]
        observe(case, trackers=[tracker.url], policy=FAST)
    register = folder / "places.csv"
    register.write_text("# dated 2026-11-01\nnetwork,kind,country\n127.27.0.1/32,isp,AT\n")
    attribute(case, registers=[RegisterSpec("prefixes", register)])
    case.close()
    return folder / "case"


def test_status_tells_what_the_queue_holds(observed: Case) -> None:
    told = CliRunner().invoke(cli, ["status", str(observed.folder), "--json"])
    found = json.loads(told.output)["observing"]
    assert found["places"] == {"E0": 1, "E2": 2}
    assert found["countries"] == {"E0": {"unknown": 1}, "E2": {"AT": 1, "unknown": 1}}
    assert found["transports"] == {"tcp": 2}
    assert 2 <= found["due"]["planned"] == found["due"]["hour"] <= 3
    assert found["in_hand"] == 0
    assert found["failures"] == {"unreadable: connection refused": 1}
    assert found["runs"] == 1
    assert found["last_run"]["ended"] is not None
    words = CliRunner().invoke(cli, ["status", str(observed.folder)]).output
    assert "AT: 1, unknown: 1" in words
    assert "next visits: " in words


def test_calls_of_the_last_minute_are_counted(observed: Case) -> None:
    now = clock.now().utc_ns
    with observed.write("observe") as tx:
        tx.execute("UPDATE dials SET intended_ns=?", (now - 120 * SECOND,))
        tx.execute("UPDATE dials SET intended_ns=? WHERE id=(SELECT min(id) FROM dials WHERE kind='control')", (now,))
    assert lately(observed) == {"control": 1}


def test_a_call_in_hand_and_a_gap_are_told(observed: Case) -> None:
    with observed.write("observe") as tx:
        tx.execute("UPDATE dials SET state='intent' WHERE id=(SELECT min(id) FROM dials WHERE kind='contact')")
        tx.execute("INSERT INTO observe_gaps VALUES ('r', 0, 1000000000, 'this machine had no network')")
        tx.execute("INSERT INTO observe_gaps VALUES ('r', 9000000000, 5000000000, 'the clock was set 5.000 s back')")
    found = standing(observed)
    assert (found.in_hand, found.gaps) == (1, 1)
    assert found.oldest_s is not None
    assert found.oldest_s > 0
    assert found.last_gaps[0]["from"] == "1970-01-01T00:00:00.000Z"
    words = "\n".join(next_lines(found))
    assert "1 gaps; the last from 1970-01-01T00:00:00.000Z to 1970-01-01T00:00:01.000Z: this machine had no" in words
    assert "the clock was set 5.000 s back: it read 1970-01-01T00:00:09.000Z, then 1970-01-01T00:00:05.000Z" in words


def test_a_run_that_was_killed_is_not_told_as_one_under_way(observed: Case) -> None:
    """After a power cut the row of the run has no end, its lease stands, and its last calls have no result."""
    with observed.write("observe") as tx:
        tx.execute("UPDATE observe_runs SET ended_ns=NULL")
        tx.execute("UPDATE dials SET state='intent' WHERE id=(SELECT min(id) FROM dials WHERE kind='contact')")
        last_ns = tx.execute("SELECT max(intended_ns) FROM dials").fetchone()[0]
        with tx.gate.core():
            lease = ("observe", "bittorrent", "officer", 1, os.uname().nodename, "an earlier boot", "1", 0)
            tx.execute("INSERT INTO leases VALUES (?,?,?,?,?,?,?,?)", lease)
    command = ["status", str(observed.folder)]
    words = CliRunner().invoke(cli, command).output
    assert "by process 1 on" not in words
    assert f"; nothing runs now: it was cut off, its last call at {clock.iso(last_ns)}" in words
    assert "calls cut off           1" in words
    assert " to now" not in words
    told = json.loads(CliRunner().invoke(cli, [*command, "--json"]).output)
    assert told["running"] == []
    assert (told["observing"]["last_run"]["ended"], told["observing"]["under_way"]) == (None, False)
    assert told["observing"]["last_run"]["cut_off"] == clock.iso(last_ns)
    with core_lease.lease(observed, "observe", "bittorrent"):
        assert not standing(observed).under_way, "an import of a capture has that lease too"
        with observed.write("observe") as tx:
            tx.execute("UPDATE observe_runs SET started_ns=?", (clock.now().utc_ns,))
        assert standing(observed).under_way
        assert " to now\n" in CliRunner().invoke(cli, command).output


def test_a_run_says_for_how_long_nobody_was_watching_before_and_inside_it(observed: Case) -> None:
    with observed.write("observe") as tx:
        tx.execute("INSERT INTO observe_gaps VALUES ('r', 0, 3600000000000, 'this machine had no network')")
        tx.execute("INSERT INTO observe_gaps VALUES ('r', 9000000000, 5000000000, 'the clock was set 4.000 s back')")
    command = ["observe", str(observed.folder), "--tracker", "http://127.1.0.99:1/none", "--seconds", "0.1"]
    words = CliRunner().invoke(cli, command).output
    told = re.search(r"nobody was watching for (\d+) s; gaps: 2, the last of them:", words)
    assert told is not None, words
    assert int(told[1]) >= 3600, "the hour inside a run, and what lay between the two"
    assert "  1970-01-01T00:00:00.000Z to 1970-01-01T01:00:00.000Z: this machine had no network\n" in words
    assert "the clock was set 4.000 s back: it read 1970-01-01T00:00:09.000Z, then" in words


def test_the_live_view_names_all_of_it(observed: Case) -> None:
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=120)
    state: dict[str, Any] = {
        "seconds": 61.0, "contacts": 120, "in_flight": 3, "bytes": 4096, "oldest": "127.27.0.2:1", "oldest_s": 4.0,
        "errors": {"unreadable: \x1b[2Jrefused": 7},
    }  # fmt: skip
    with LiveView(observed, console) as view:
        view.take(state)
        view.take(state | {"contacts": 180, "bytes": 8192})
    shown = out.getvalue()
    for part in ("E2", "AT 1", "unknown 1", "180 contacts", "60.0/s", "8.0 KiB both ways", "3 calls in hand"):
        assert part in shown, part
    for part in ("the oldest 127.27.0.2:1 for 4 s", "next visits", "safe to stop", "1 min 01 s"):
        assert part in shown, part
    assert "\x1b[2Jrefused" not in shown, "a peer's words reach no terminal as they are"


def test_the_live_view_asks_the_registers_that_a_person_names(observed: Case, tmp_path: Path) -> None:
    """Before the first `clew attribute` the case knows of none."""
    register = tmp_path / "others.csv"
    register.write_text("# dated 2026-11-01\nnetwork,kind,country\n127.27.0.0/16,isp,BE\n")
    named = [RegisterSpec("prefixes", register)]
    assert Countries(observed, named).by_tier() == {"E0": {"BE": 1}, "E2": {"BE": 2}}
    with pytest.raises(ClewError):
        Countries(observed, [RegisterSpec("prefixes", tmp_path / "none.csv")])


def test_a_register_that_is_overwritten_while_a_run_goes_on_ends_no_run(
    observed: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are fetched anew each week, into the same file too: what is read of them is a view, and no more."""
    with observed.write("attribute") as tx:
        columns = "plugin, name, location, sha256, dated_ns, added_ns"
        tx.execute(f"INSERT INTO registers (id, {columns}) SELECT 'of last week', {columns} FROM registers")
    opened, load = [], plugins.load

    def counted(package: str, name: str) -> Any:
        opened.append(name)
        return load(package, name)

    monkeypatch.setattr(plugins, "load", counted)
    found = Countries(observed)
    assert opened == ["prefixes"], "the same file, read once"
    assert found.by_tier() == {"E0": {"unknown": 1}, "E2": {"AT": 1, "unknown": 1}}
    broken = Countries(observed)
    monkeypatch.setattr(type(broken._registers[0]), "lookup", Mock(side_effect=Damaged("it cannot be read", "again")))
    assert broken.by_tier() == {"E0": {"unknown": 1}, "E2": {"unknown": 2}}


def test_who_is_no_terminal_gets_no_view(observed: Case) -> None:
    out = io.StringIO()
    with LiveView(observed, Console(file=out)) as view:
        view.take({})
    assert out.getvalue() == ""


def test_bandwidth_holds_new_connections_back(case: Case) -> None:
    governor = Governor(case, Policy(bytes_per_second=1_000), "bittorrent")
    at, wish = (
        Instant(1_800_000_000 * SECOND, 100 * SECOND),
        Wish("contact", "W", "127.20.0.1", 1, "http://127.1.0.1/a"),
    )
    governor.spent(3_000, at.mono_ns)
    held = governor.decide(wish, at)
    assert isinstance(held, Wait)
    assert held.until_ns is not None
    assert 2.8 < (held.until_ns - at.mono_ns) / SECOND <= 3.0
    assert governor.bytes == 3_000
    assert isinstance(governor.decide(wish, Instant(at.utc_ns, held.until_ns)), Go)


def test_the_usual_interval_and_quiet_hours() -> None:
    assert usual_revisit(("127.0.0.0/8",)) == 300
    assert usual_revisit(("127.0.0.0/8", "192.0.2.0/24")) == 900
    assert Policy(quiet_hours=(22, 6)).quiet(23 * 3600 * SECOND)
    with pytest.raises(Refused):
        Policy(quiet_hours=(22, 24))


def test_the_verb_takes_what_an_operator_needs(case: Case) -> None:
    run = CliRunner().invoke
    told = run(cli, ["observe", str(case.folder), "--quiet", "late"])
    assert told.exit_code != 0
    told = run(cli, ["observe", str(case.folder), "--transport", "pigeon", "--tracker", "http://127.1.0.16:1/a"])
    assert "pigeon" in str(told.exception)
    options = ["--seconds", "0.3", "--go-on", "--concurrent", "5", "--bandwidth", "1000", "--hold", "3", "--json"]
    told = run(cli, ["observe", str(case.folder), "--tracker", "http://127.1.0.16:1/a", "--quiet", "0-23", *options])
    assert json.loads(told.output)["stopped"] == "time"
    config = json.loads(case.read().execute("SELECT config FROM observe_runs").fetchone()[0])
    assert (config["concurrent"], config["bytes_per_second"], config["hold"]) == (5, 1000, 3)
    assert config["quiet_hours"] == [0, 23]


def test_a_probe_that_could_not_be_made_is_no_try() -> None:
    from test_transports import book

    made, endpoint = book()
    endpoint.tier, again_ns = "E1", 50 * SECOND
    for _ in range(5):
        made._probes.plan(endpoint, 0)
        made.unprobed(endpoint, NO_NETWORK, again_ns)
    assert made._probes.wanted(endpoint)
    for _ in range(3):
        made._probes.plan(endpoint, 0)
        made.controlled(endpoint, Missing(Reason.LIMIT_REACHED, "no answer in time"))
    assert not made._probes.wanted(endpoint)


def test_who_no_mandate_covers_is_not_called_back_by_a_listing() -> None:
    from test_transports import book

    made, endpoint = book()
    endpoint.tier, endpoint.contacts = "E1", 1
    made.never(endpoint, Missing(Reason.REFUSED, "no Mandate covers it"))
    made.listed("w", *endpoint.place, source="t", twin=False, at_ns=SECOND, due_ns=SECOND)
    assert endpoint.next_ns is None
    made.allowed(2 * SECOND)
    assert endpoint.next_ns is not None
