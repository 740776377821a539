"""Runs: what makes a lead and what does not, their order, and that a second run says the same."""

import json

import pytest
from attribute_case import DAY, NOW, claims, dump, sight

from clew.attribute import listing
from clew.attribute.api import RegisterSpec
from clew.attribute.run import Policy, attribute
from clew.core.errors import Damaged, Held
from clew.core.lease import lease


def test_torrent_only_is_kept_apart(full, countries, run):
    rows = claims(claim="torrent only", inner_claimed=0) + claims("127.10.1.2", 2)
    summary, leads = run(full, rows, [countries])
    assert [lead["torrent_only"] for lead in leads] == [0, 1], "what claims the file ranks before what may not"
    assert summary.torrent_only == 1
    assert any("torrent only" in line for line in json.loads(leads[1]["caveats"]))
    tiers = full.read().execute("SELECT DISTINCT tier FROM subject_intervals ORDER BY tier").fetchall()
    assert [row["tier"] for row in tiers] == ["E2", "E2, torrent only"]


def test_neither_listings_nor_answers_nor_promiscuous_endpoints_make_leads(full, countries, run):
    rows = [
        *(sight(n, "127.10.1.1", kind="listed", tier="E0", claim="nothing said") for n in range(3)),
        *(sight(n + 3, "127.10.1.2", tier="E1") for n in range(3)),
        *claims("127.10.1.3", 6),
        sight(8, "127.10.1.3", kind="control", watch="w2", tier="E1", claim="nothing said", promiscuous=True),
    ]
    summary, leads = run(full, rows, [countries])
    assert leads == []
    assert summary.refused["promiscuous endpoints"] == 1
    assert full.read().execute("SELECT count(*) FROM subjects").fetchone()[0] == 0


def test_a_second_run_writes_the_same_and_ids_stay_when_evidence_grows(full, countries, run):
    run(full, claims() + claims("127.10.1.2", 2), [countries])
    first = dump(full)
    run(full, [], [countries])
    assert dump(full) == first
    run(full, [sight(9)], [countries])
    assert {row[0] for row in dump(full)["leads"]} == {row[0] for row in first["leads"]}


def test_a_lead_expires(full, countries, run):
    summary, (lead,) = run(full, claims(at=NOW - 30 * DAY), [countries], policy=Policy(keep_days=29))
    assert (lead["state"], summary.expired) == ("expired", 1)


def test_an_open_alarm_comes_first_and_is_not_lost(full, countries, run):
    rows = claims() + claims("127.10.1.2", 2, at=NOW - 20 * DAY)
    _, leads = run(full, rows, [countries])
    late = leads[1]["id"]
    with full.write("review") as tx:
        tx.execute(
            "INSERT INTO alarms (id, about_kind, about, reason, raised_by, raised_ns) VALUES (?,?,?,?,?,?)",
            ("a1", "lead", late, "a child may be at risk", "tester", NOW),
        )
        tx.execute(
            "INSERT INTO alarms (id, about_kind, about, reason, raised_by, raised_ns) VALUES (?,?,?,?,?,?)",
            ("a2", "lead", "gone", "a lead of before", "tester", NOW),
        )
    summary, leads = run(full, [], [countries])
    assert (leads[0]["id"], leads[0]["rank"]) == (late, 1)
    assert json.loads(leads[0]["features"])["urgent"] == 1
    assert any("no longer made" in line for line in summary.covered)


def test_a_second_run_at_once_is_refused(full, countries):
    with lease(full, "attribute", full.settings.id), pytest.raises(Held):
        attribute(full, registers=[countries], now_ns=NOW)


def test_a_broken_register_stops_the_run_and_leaves_the_leads(full, countries, tmp_path, run):
    run(full, claims(), [countries])
    first = dump(full)
    (tmp_path / "bad.csv").write_text("network,country\n127.10.0.0/7,AT\n", "utf-8")
    with pytest.raises(Damaged, match="line 2"):
        attribute(full, registers=[RegisterSpec("prefixes", tmp_path / "bad.csv")], now_ns=NOW)
    assert dump(full) == first


def test_the_run_is_in_the_ledger_without_any_address(full, countries, run):
    run(full, claims(), [countries])
    lines = [row["line"] for row in full.read().execute("SELECT line FROM ledger")]
    (line,) = [json.loads(line) for line in lines if json.loads(line)["action"] == "leads.rebuilt"]
    assert line["counts"]["leads"] == 1
    assert line["mandate"]
    assert not any("127.10" in line for line in lines)


def test_listing_by_holder(full, countries, run):
    run(full, claims() + claims("127.12.1.1", 2), [countries])
    assert [lead["country"] for lead in listing.leads(full, force="coordinator")] == ["FR"]
    assert [lead["force"] for lead in listing.leads(full, force="AT")] == ["AT"]
    assert len(listing.leads(full)) == 2
