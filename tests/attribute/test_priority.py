"""The order of leads: rules can be swapped, what one was told is kept, a person's "urgent" moves a lead at once."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lead_case import claims, lead_case

from clew.attribute import listing, priority, urgency
from clew.attribute.api import Feature, Known
from clew.core.errors import Damaged, Held, Refused, Usage
from clew.core.lease import lease


class Newest:
    """Another rule: nothing but how long ago."""

    name, version, what, examples = "newest", "7", "the newest first", ()

    def features(self, known: Known) -> tuple[Feature, ...]:
        return (Feature("idle", known.idle_days, "-value", -known.idle_days, 1, "days since the last claim"),)


@pytest.fixture
def three(case, tmp_path):
    """Three leads; by the default rule the first has more claims, the last is the newest."""
    rows = claims(1, 60) + claims(3, 50) + claims(5, 30, address="127.10.1.24") + claims(7, 5, address="127.10.1.25")
    return lead_case(case, tmp_path, rows)


def ranks(case):
    sql = "SELECT s.label, l.rank FROM leads l JOIN subjects s ON s.id = l.subject ORDER BY l.rank"
    return [row["label"] for row in case.read().execute(sql)]


def told(case):
    return [line["action"] for row in case.read().execute("SELECT line FROM ledger") if (line := json.loads(row[0]))]


def test_another_rule_gives_another_order_and_is_named(case, tmp_path, three):
    swapped = lead_case(case, tmp_path, [], rule=Newest())
    assert swapped != three
    assert sorted(swapped) == sorted(three)
    found = listing.leads(case)
    assert [lead["ranking"]["rule"] for lead in found] == ["newest"] * 3
    idle = [lead["ranking"]["features"][0]["value"] for lead in found]
    assert idle == sorted(idle)
    assert lead_case(case, tmp_path, []) == three


def test_each_feature_is_shown_with_value_and_weight(case, three):
    lead = listing.lead(case, three[0])
    features = {each["name"]: each for each in lead["ranking"]["features"]}
    assert features["watched_files"]["value"] == 1
    assert features["watched_files"]["weight"] == 10
    assert lead["score"] == pytest.approx(sum(each["points"] for each in features.values()))
    assert len(lead["reasons"]) == len(features)
    assert all("weight" in line for line in lead["reasons"])


def test_a_kept_ranking_is_what_the_rule_says_again(case, three):
    for row in case.read().execute("SELECT d.ranking, l.score FROM lead_details d JOIN leads l ON l.id = d.lead"):
        again = priority.again(row["ranking"], [])
        assert again.text() == row["ranking"]
        assert again.score == row["score"]


def test_a_person_puts_a_lead_first_and_takes_it_back(case, tmp_path, three):
    last = three[-1]
    made = urgency.declare(case, lead=last, reason="a child lives there")
    assert ranks(case) == [last, *three[:-1]]
    lead = listing.lead(case, made.lead[:8])
    assert "a child lives there" in lead["reasons"][0]
    assert lead["urgent"][0]["entered_by"] == "tester"
    assert lead_case(case, tmp_path, []) == [last, *three[:-1]], "a new run keeps it"
    with pytest.raises(Usage):
        urgency.declare(case, lead=last, reason="twice")
    urgency.withdraw(case, lead=last, reason="another family")
    assert ranks(case) == three
    (entry,) = listing.lead(case, last)["urgent"]
    assert (entry["reason"], entry["withdrawn_reason"]) == ("a child lives there", "another family")
    assert {"lead.urgent", "lead.urgent.withdrawn"} <= set(told(case))
    with pytest.raises(Usage):
        urgency.withdraw(case, lead=last, reason="twice")


@pytest.mark.parametrize(("named", "reason"), [("nobody", "why"), ("", "why"), (None, " ")])
def test_urgent_needs_a_lead_and_a_reason(case, three, named, reason):
    with pytest.raises(Usage):
        urgency.declare(case, lead=three[0] if named is None else named, reason=reason)
    assert ranks(case) == three


def test_urgent_waits_for_a_run_that_is_making_the_leads(case, three):
    with lease(case, "attribute", case.settings.id), pytest.raises(Held):
        urgency.declare(case, lead=three[0], reason="why")
    assert urgency.history(case, listing.lead(case, three[0])["id"]) == []


def test_urgent_without_a_mandate_is_refused(bare_case, allow, tmp_path):
    allow(bare_case, not_after="2099-01-01T00:00:00Z")
    (label,) = lead_case(bare_case, tmp_path, claims())
    with bare_case.write("core") as tx, tx.gate.core():
        tx.execute("DELETE FROM mandates")
    with pytest.raises(Refused):
        urgency.declare(bare_case, lead=label, reason="why")


def test_the_rank_of_a_rule_that_is_not_here_is_made_again_by_a_run(case, tmp_path, three):
    lead_case(case, tmp_path, [], rule=Newest())
    with pytest.raises(Usage, match="newest"):
        urgency.declare(case, lead=three[0], reason="why")
    assert urgency.reasons(case) == {}, "nothing of it is kept"


def test_grades_count_what_the_operator_says(case, tmp_path, three):
    table = tmp_path / "grades.csv"
    table.write_text("scheme,category,weight\nTraining scheme,1,6\n", "utf-8")
    lead_case(case, tmp_path, [], weights=priority.weights_of(table))
    features = {each["name"]: each for each in listing.lead(case, three[0])["ranking"]["features"]}
    assert features["grade"]["points"] == 6
    assert "W-17 is 1 (Training scheme)" in features["grade"]["says"]
    lead_case(case, tmp_path, [])
    features = {each["name"]: each for each in listing.lead(case, three[0])["ranking"]["features"]}
    assert features["grade"]["points"] == 0
    assert "without a weight" in features["grade"]["says"]


@pytest.mark.parametrize("row", ["T,1,11", "T,1,-1", "T,1,nan", "T,1,x", "T,1"])
def test_a_wrong_table_of_grades_names_its_line(tmp_path, row):
    table = tmp_path / "grades.csv"
    table.write_text(f"scheme,category,weight\n{row}\n", "utf-8")
    with pytest.raises(Damaged, match="line 2"):
        priority.weights_of(table)
    with pytest.raises(Usage):
        priority.weights_of(tmp_path / "nowhere.csv")


@given(st.permutations(range(8)))
def test_the_order_depends_on_scores_and_ids_alone(order):
    class Tx:
        """As much of a transaction as `reorder` needs."""

        def __init__(self):
            self.ranks = {}
            self.rows = [{"id": f"{n}", "force": "AT", "state": "assigned", "score": n // 2} for n in order]

        def execute(self, sql):
            assert "ORDER BY score DESC, id" in sql
            rows = sorted(self.rows, key=lambda row: (-row["score"], row["id"]))
            return type("Cursor", (), {"fetchall": lambda _: rows})()

        def executemany(self, _sql, rows):
            self.ranks = {lead: rank for rank, lead in rows}

    tx = Tx()
    priority.reorder(tx)
    assert [tx.ranks[str(n)] for n in (6, 7, 4, 5, 2, 3, 0, 1)] == list(range(1, 9))
