"""Subjects and Leads are derived again from Sightings and kept answers, and what differs is named."""

import pytest
from lead_case import claims, contact, lead_case

from clew.attribute import urgency
from clew.attribute.replay import replay
from clew.core import clock, forces
from clew.core.shards import BRIEF
from clew.model import Force
from clew.observe.retention import KEEP_NS, purge
from facts_case import put

ROWS = [
    *claims(1, 30),
    *claims(3, 200, address="127.10.7.7", client="qBittorrent/4.6.3", peer_id=b"-qB4630-" + bytes(12)),
    *claims(5, 9, address="127.10.7.7", transport="utp"),
    *claims(7, 50, address="127.99.1.1"),
    contact(9, 3, tier="E0", claim="nothing said", client=None, peer_id=None, missing="limit_reached",
            missing_detail="no answer in time", pieces_claimed=None, inner_claimed=None),
]  # fmt: skip


@pytest.fixture
def made(case, tmp_path):
    lead_case(case, tmp_path, ROWS)
    return case


def test_leads_follow_from_sightings_and_kept_answers(made, monkeypatch):
    def never(*_):
        raise AssertionError("a replay asks no clock and no register")

    for name in ("time.time_ns", "time.time", "os.urandom", "clew.attribute.registers.prefixes._Open.__init__"):
        monkeypatch.setattr(name, never)
    found = replay(made)
    assert (found.differing, dict(found.not_derived)) == ([], {})
    assert (found.same["lead"], found.same["subject"], found.same["interval"]) == (4, 4, 4)
    assert found.same["possible link"] >= 1
    assert replay(made).digest == found.digest


def test_urgency_since_the_run_is_taken_as_it_stands(made):
    lead = made.read().execute("SELECT id FROM leads ORDER BY id").fetchone()["id"]
    urgency.declare(made, lead=lead, reason="a child may be at risk")
    assert replay(made).differing == []
    urgency.withdraw(made, lead=lead, reason="it was another")
    assert replay(made).differing == []


CHANGES = [
    "UPDATE leads SET score = score + 1 WHERE rank = 1",
    "UPDATE leads SET country = 'FR' WHERE rank = 1",
    "UPDATE leads SET against = '[]' WHERE id = (SELECT min(id) FROM leads)",
    "UPDATE leads SET caveats = '[]' WHERE id = (SELECT min(id) FROM leads)",
    "UPDATE leads SET expires_ns = expires_ns + 1 WHERE rank = 1",
    "UPDATE leads SET rank = 9 WHERE rank = 1",
    "UPDATE leads SET lookups = replace(lookups, '\"AT\"', '\"DE\"')",
    "UPDATE lead_details SET beside = '{}' WHERE lead = (SELECT min(id) FROM leads)",
    "DELETE FROM leads WHERE id = (SELECT min(id) FROM leads)",
    "DELETE FROM subjects WHERE id = (SELECT min(id) FROM subjects)",
    "UPDATE subject_intervals SET to_ns = to_ns + 1",
    "INSERT INTO subjects VALUES ('x', 'SUB-x', '[]')",
    "DELETE FROM possible_links",
    'UPDATE lead_details SET ranking = replace(ranking, \'"urgent": []\', \'"urgent": ["because"]\')',
]


@pytest.mark.parametrize("sql", CHANGES)
def test_what_does_not_follow_is_named(made, sql):
    with made.write("attribute") as tx:
        assert tx.execute(sql).rowcount
    assert replay(made).differing


def test_what_has_changed_since_is_said_and_not_compared(made):
    put(made, "sightings", claims(20, 1, address="127.10.8.8", run="later", sequence=1), "observe")
    found = replay(made)
    assert found.differing == []
    assert found.not_derived == {"sightings taken since the leads were made": 2}
    forces.add(made, Force("ZZ", "Force ZZ", "AT", None, None, None))
    found = replay(made)
    assert found.differing == []
    assert any(name.startswith("state: what it rests on has changed") for name in found.not_derived)


def test_what_rested_on_contacts_that_are_forgotten_since_is_not_compared(case, tmp_path):
    silent = contact(40, 3, port=7000, tier="E0", claim="nothing said", client=None, peer_id=None, run="r", sequence=1)
    put(case, "sightings", [silent], "observe", batch=f"{BRIEF}1")
    lead_case(case, tmp_path, claims())
    (caveats,) = case.read().execute("SELECT caveats FROM leads").fetchone()
    assert "perhaps a shared address" in caveats
    assert replay(case).differing == []
    assert purge(case, clock.now().utc_ns + KEEP_NS) == 1
    found = replay(case)
    assert found.differing == []
    assert any(name.startswith("caveats: ") for name in found.not_derived)


@pytest.mark.parametrize("name", ["now_ns", "rules"])
def test_a_case_without_leads_or_with_leads_of_an_earlier_version(case, tmp_path, name):
    assert replay(case).not_derived == {"no leads were made yet": 0}
    lead_case(case, tmp_path, claims())
    with case.write("core") as tx, tx.gate.core():
        tx.execute("UPDATE ledger_openings SET opening = replace(opening, ?, '\"then\"')", (f'"{name}"',))
    assert replay(case).not_derived == {"the leads were made by an earlier version; run clew attribute again": 1}


def test_leads_of_a_clock_that_was_set_follow_as_they_were_made(case, tmp_path):
    """By UTC the repeated claim came before the first one."""
    hour, at = 3_600_000_000_000, clock.now().utc_ns - 20 * 3_600_000_000_000
    with case.write("observe") as tx:
        tx.execute(
            "INSERT INTO observe_runs (id, started_ns, config, vantage, mandate, boot, steady_ns, number) "
            "VALUES ('r', ?, '{}', 'v', 'm', 'b', ?, 1)",
            (at, at),
        )
    rows = [
        contact(1, 0, started_ns=at, ended_ns=at, monotonic_ns=0, tier="E1", run="r", sequence=1),
        contact(2, 0, started_ns=at - hour, ended_ns=at - hour, monotonic_ns=hour // 4, run="r", sequence=2),
    ]
    assert len(lead_case(case, tmp_path, [*rows, *claims(9, 5, address="127.10.7.7")])) == 2
    found = replay(case)
    assert (found.differing, dict(found.not_derived)) == ([], {})
