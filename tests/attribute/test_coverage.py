"""The coverage statement: from where, when not, what share could be contacted, over what; and no estimate."""

import json

import pytest
from lead_case import HOUR, claims, contact, lead_case

from clew.attribute import coverage, unseen
from clew.core import clock

T0 = 1_790_000_000_000_000_000


def observed(case, runs, endpoints=(), dials=()):
    """`runs` are (from, to or None) in hours; `endpoints` (address, tier, why); `dials` (run, hours, state)."""
    with case.write("observe") as tx:
        for n, (start, end) in enumerate(runs):
            tx.execute(
                "INSERT INTO observe_runs (id, started_ns, ended_ns, config, vantage, mandate) VALUES (?,?,?,?,?,?)",
                (f"r{n}", T0 + int(start * HOUR), None if end is None else T0 + int(end * HOUR),
                 json.dumps({"quiet_hours": [22, 6] if n == 0 else None}), "Vienna", "m"),
            )  # fmt: skip
        for n, (address, tier, why) in enumerate(endpoints):
            tx.execute(
                "INSERT INTO endpoints (id, watch, address, port, first_listed_ns, last_listed_ns, source, tier, "
                "last_failure) VALUES (?,?,?,?,?,?,?,?,?)",
                (n, f"w{n}", address, 6881, T0, T0, "http://127.1.0.1:6969/secretpasskey/announce", tier, why),
            )
        for n, (run, at, state) in enumerate(dials):
            tx.execute(
                "INSERT INTO dials VALUES (?,?,?,?,?,?,?,?,?,?,?,?)",
                (f"d{n}", run, 1, "w", "127.10.1.1", 1, "contact", "tcp", T0 + int(at * HOUR), state, None, None),
            )


def test_nothing_was_observed(case):
    found = coverage.read(case)
    assert (found.runs, found.listed, found.share, found.gaps) == (0, 0, None, ())
    assert "no network was observed in this case" in found.sentences()


def test_gaps_are_named_from_and_to(case):
    observed(case, [(0, 4), (6, 8), (7, 12), (11, 11.5), (12.5, 13)])
    found = coverage.read(case)
    assert [(g.name, (g.from_ns - T0) / HOUR, (g.to_ns - T0) / HOUR) for g in found.gaps] == [
        ("gap 1", 4, 6), ("gap 2", 12, 12.5)
    ]  # fmt: skip
    assert found.downtime_ns == int(2.5 * HOUR)
    assert any(line.startswith(f"gap 1: nobody watched from {clock.iso(T0 + 4 * HOUR)}") for line in found.sentences())
    assert found.quiet_hours == ("22:00 to 06:00 UTC",)
    assert found.vantages == ("Vienna",)


def test_a_run_that_was_killed_ended_with_its_last_dial(case):
    observed(case, [(0, None), (5, 6)], dials=[("r0", 3, "interrupted"), ("r0", 1, "done")])
    found = coverage.read(case)
    assert [(g.from_ns - T0, g.to_ns - T0) for g in found.gaps] == [(3 * HOUR, 5 * HOUR)]
    assert found.interrupted == 1


def test_gaps_inside_a_run_are_named_with_their_reason(case):
    observed(case, [(0, 10), (11, 12)])
    with case.write("observe") as tx:
        for start, end, why in ((2, 3, "this machine had no network"), (2.5, 3.5, "the clock was set 3600.000 s back")):
            values = ("r0", T0 + int(start * HOUR), T0 + int(end * HOUR), why)
            tx.execute("INSERT INTO observe_gaps VALUES (?,?,?,?)", values)
    found = coverage.read(case)
    assert [g.name for g in found.gaps] == ["gap 1", "gap 2", "gap 3"]
    assert [g.why for g in found.gaps][0::2] == ["this machine had no network", "no run was under way"]
    assert found.downtime_ns == int(2.5 * HOUR), "what overlaps counts once"


def test_the_share_that_could_be_contacted_is_of_addresses_with_port(case):
    places = [("127.10.1.1", "E2", None), ("127.10.1.1", "E0", None), ("127.10.1.2", "E0", "unreadable: refused"),
              ("127.10.1.3", "E0", None), ("127.10.1.4", "E1", None)]  # fmt: skip
    observed(case, [(0, 1)], places)
    found = coverage.read(case)
    assert (found.listed, found.contacted, found.share) == (4, 2, 0.5)
    assert dict(found.not_contacted) == {"unreadable: refused": 1, "not called yet": 1}
    assert any("2 of 4 listed addresses with port (50.0%)" in line for line in found.sentences())


def test_sources_are_told_by_kind_without_a_trackers_secret(case):
    observed(case, [(0, 1)], [("127.10.1.1", "E0", None)])
    found = coverage.read(case)
    assert found.sources == ("HTTP trackers",)
    assert "secretpasskey" not in json.dumps(found.as_dict())


def test_networks_and_transports_are_those_of_contacts(case, tmp_path):
    silent = contact(9, 3, transport="mse/tcp", tier="E0", claim="nothing said", client=None, peer_id=None)
    lead_case(case, tmp_path, [*claims(), silent])
    found = coverage.read(case)
    assert found.networks == ("bittorrent",)
    assert found.transports == (("mse-rc4/tcp", 2, 2), ("mse/tcp", 1, 0))
    assert json.loads(json.dumps(found.as_dict()))["share_contacted"] is None


def test_what_limits_kept_runs_from_is_told(case):
    observed(case, [(0, 1), (2, 3), (4, None)])
    with case.write("observe") as tx:
        for run, count in (("r0", 2), ("r1", 3)):
            told = json.dumps({"limits": {"lookup ended by its size": count}})
            tx.execute("UPDATE observe_runs SET coverage=? WHERE id=?", (told, run))
    found = coverage.read(case)
    assert found.left_aside == (("lookup ended by its size", 5),)
    assert "left aside while asking who is there: 5 (lookup ended by its size)" in found.sentences()


def test_that_failed_contacts_are_forgotten_is_said_beside_their_number(case, tmp_path):
    lead_case(case, tmp_path, claims())
    assert any(
        line.startswith("contacts with who never answered are forgotten") for line in coverage.read(case).sentences()
    )


@pytest.mark.parametrize("listed", [[], [("127.10.1.1", "E0", None)]])
def test_there_is_no_estimate_of_the_unseen(case, listed):
    observed(case, [(0, 1)], listed)
    assert coverage.read(case).as_dict()["unseen"] == unseen.STATEMENT
    assert unseen.STATEMENT.startswith("no estimate")
