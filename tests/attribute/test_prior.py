"""Prior knowledge is kept apart: it stands beside leads, changes none, and is counted where it stands beside none."""

import pytest
from attribute_case import DAY, MINUTE, NOW, claims, dump, sight

from clew.attribute import listing, prior
from clew.core.errors import Usage


def test_prior_knowledge_is_kept_apart(full, countries, run):
    run(full, claims(), [countries])
    before = dump(full)
    (lead,) = listing.leads(full, force="AT")
    assert lead["prior_knowledge"] == []
    prior.add(full, address="127.10.1.1", statement="an earlier case", source="file 12")
    prior.add(full, address="127.10.1.1", port=1, statement="about another port", source="file 13")
    prior.add(full, subject=lead["subject"], statement="a known client", source="file 14")
    run(full, [], [countries])
    assert dump(full) == before, "prior knowledge changes neither rank nor caveats"
    (lead,) = listing.leads(full)
    assert [p["statement"] for p in lead["prior_knowledge"]] == ["an earlier case", "a known client"]
    assert lead["reasons"]
    assert lead["intervals"][0]["address"] == "127.10.1.1"


@pytest.mark.parametrize(
    "wrong",
    [{}, {"address": "x"}, {"address": "127.0.0.1", "subject": "s"}, {"subject": "nobody"},
     {"address": "127.0.0.1", "port": 0}, {"address": "127.0.0.1", "statement": " "}],
)  # fmt: skip
def test_prior_knowledge_about_nothing_is_refused(full, wrong):
    with pytest.raises(Usage):
        prior.add(full, **({"statement": "x", "source": "y"} | wrong))
    assert prior.all_of(full) == []


def test_prior_knowledge_that_stands_beside_no_lead_any_more_is_counted(full, countries, run):
    _, (lead,) = run(full, claims(), [countries])
    prior.add(full, subject=lead["subject"], statement="a known client", source="file 14")
    prior.add(full, address="127.10.1.1", port=6881, statement="an earlier case", source="file 15")
    summary, _ = run(full, [], [countries])
    assert (prior.unshown(full), "prior knowledge" in summary.covered[-1]) == ([], False)
    summary, (other,) = run(full, [sight(0, at=NOW - DAY - 60 * MINUTE) | {"id": "s901"}], [countries])
    assert other["subject"] != lead["subject"], "an earlier contact came in: the Subject has another id"
    assert summary.covered[-1] == "entries of prior knowledge that stand beside no lead: 1 (clew prior list CASE)"
    assert [p.source for p in prior.unshown(full)] == ["file 14"]
    run(full, [sight(9, kind="control", promiscuous=True)], [countries])
    assert [p.source for p in prior.unshown(full)] == ["file 14", "file 15"]
