"""What an outcome rests on: where that is another by now, it is said, until it is set beside the lead anew."""

import json

import pytest
from corroborate_case import (
    AFTER_S,
    BEFORE_S,
    FROM,
    HOUR,
    RESUME,
    SECOND,
    TO,
    World,
    artefacts_of,
    fastresume,
    sighting,
)

from clew.attribute import listing, statements
from clew.attribute.caveats import ARTEFACTS, ARTEFACTS_BEFORE
from clew.attribute.corroborate import corroborate
from clew.attribute.lead_page import page
from clew.attribute.replay import replay
from clew.attribute.run import attribute
from clew.attribute.weigh import Outcome
from clew.core import coverage
from clew.core.case import Case
from facts_case import put


def test_a_contradiction_stands_among_what_speaks_against_the_lead_as_long_as_it_holds(world):
    def against() -> list[str]:
        (row,) = world.case.read().execute("SELECT against FROM leads").fetchall()
        return json.loads(row["against"])

    world.lay("A", RESUME, fastresume(AFTER_S))
    stated = world.belongs("A")
    world.clock("A")
    corroborate(world.case)
    corroborate(world.case)
    assert against().count(ARTEFACTS) == 1
    attribute(world.case, registers=[], now_ns=TO)
    assert against().count(ARTEFACTS) == 1
    statements.withdraw(world.case, stated.id)
    corroborate(world.case)
    assert ARTEFACTS not in against()


def lead_page(case: Case) -> str:
    (lead,) = listing.leads(case)
    return page(case, lead, coverage.read(case))


@pytest.mark.parametrize("added_s", [BEFORE_S, AFTER_S], ids=["supported", "contradicted"])
@pytest.mark.parametrize("which", ["belongs", "clock", "restated", "longer"])
def test_what_rests_on_others_than_now_is_said_until_it_is_set_beside_it_anew(world, added_s, which):
    world.lay("A", RESUME, fastresume(added_s))
    world.lay("B", b"y", b"no artefact")
    stated = {"belongs": world.belongs("A"), "clock": world.clock("A")}
    lead = world.lead()
    said = [ARTEFACTS] * (lead.outcome is Outcome.CONTRADICTED)
    world.clock("B")  # which is no matter of this lead
    attribute(world.case, registers=[], now_ns=TO)
    assert artefacts_of(world.case) == ((str(lead.outcome), True), said)
    if which == "longer":
        put(world.case, "sightings", [sighting(3, TO + 1_000 * SECOND)], "observe")
        attribute(world.case, registers=[], now_ns=TO)
    elif which == "restated":
        world.belongs("B")
    else:
        statements.withdraw(world.case, stated[which].id)
    before = [ARTEFACTS_BEFORE] * len(said)
    assert artefacts_of(world.case) == ((str(lead.outcome), False), before)
    assert replay(world.case).differing == []
    attribute(world.case, registers=[], now_ns=TO)
    assert artefacts_of(world.case) == ((str(lead.outcome), False), before)
    assert replay(world.case).differing == []
    assert "others by now" in lead_page(world.case)
    anew = world.lead().outcome
    said = [ARTEFACTS] * (anew is Outcome.CONTRADICTED)
    assert artefacts_of(world.case) == ((str(anew), True), said)
    assert "others by now" not in lead_page(world.case)


def test_a_contradiction_of_an_earlier_clew_which_kept_no_grounds_is_not_lost(world):
    world.lay("A", RESUME, fastresume(AFTER_S))
    world.belongs("A")
    world.clock("A")
    assert world.lead().outcome is Outcome.CONTRADICTED
    with world.case.write("attribute") as tx:
        tx.execute("UPDATE corroborations SET findings='[]'")
    attribute(world.case, registers=[], now_ns=TO)
    assert artefacts_of(world.case) == (("contradicted", False), [ARTEFACTS_BEFORE])


@pytest.mark.parametrize("kept_by", ["this clew", "an earlier one"])
def test_a_seizure_whose_time_is_stated_later_is_another_ground(world, kept_by):
    """Taken in first, and the record of its seizure completed when the paper came: it was gone before this was seen."""
    world.lay("A", RESUME, fastresume(BEFORE_S))
    world.lay("B", b"y", b"no artefact")
    world.belongs("A")
    assert world.lead().outcome is Outcome.SUPPORTED
    if kept_by == "an earlier one":
        with world.case.write("attribute") as tx:
            tx.execute("UPDATE corroborations SET findings=json_remove(findings, '$.rests_on.seized')")
    seized(world, "B", FROM)  # which is no matter of this lead
    assert artefacts_of(world.case)[0] == ("supported", True)
    seized(world, "A", FROM - HOUR)
    assert artefacts_of(world.case)[0] == ("supported", kept_by == "an earlier one")
    assert world.lead().outcome is Outcome.SILENT


def seized(world: World, label: str, at_ns: int) -> None:
    with world.case.write("intake") as tx:
        tx.execute("UPDATE exhibits SET seized_ns=? WHERE label=?", (at_ns, label))
