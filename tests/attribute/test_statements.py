"""What people state of exhibits: recorded, taken back, stated once, and said where it is of no lead any more."""

import pytest
from corroborate_case import BEFORE_S, SECOND, TO, fastresume, recorded, sighting

from clew.attribute import statements
from clew.attribute.corroborate import corroborate
from clew.attribute.run import attribute
from clew.attribute.weigh import Outcome
from clew.core.errors import Usage
from facts_case import put


def test_statements_are_recorded_and_can_be_taken_back(world):
    world.lay("A", b"x", fastresume(None))
    made = world.belongs("A")
    assert world.lead().outcome is Outcome.SUPPORTED
    statements.withdraw(world.case, made.id)
    assert world.lead().outcome is Outcome.SILENT
    assert [a for a in recorded(world.case) if a.startswith(("statement", "leads.corr"))] == [
        "statement.belongs", "leads.corroborated", "statement.withdrawn", "leads.corroborated"
    ]  # fmt: skip
    with pytest.raises(Usage):
        statements.withdraw(world.case, made.id)
    assert len(world.case.read().execute("SELECT 1 FROM statements").fetchall()) == 1


def test_a_statement_about_a_subject_that_is_no_lead_any_more_is_said(world):
    world.lay("A", b"x", fastresume(BEFORE_S))
    world.lay("B", b"y", b"no artefact")
    stated, _ = world.belongs("A"), world.belongs("B")
    (row,) = world.case.read().execute("SELECT label FROM subjects").fetchall()
    report = corroborate(world.case)
    assert (report.unlinked, report.gone) == ({}, {})
    put(world.case, "sightings", [sighting(3, TO, kind="control", tier="E1", promiscuous=True)], "observe")
    attribute(world.case, registers=[], now_ns=TO)
    report = corroborate(world.case)
    assert (report.leads, report.unlinked) == ([], {"A": ("W-17",)})
    assert report.gone == {"A": (row["label"],), "B": (row["label"],)}
    statements.withdraw(world.case, stated.id)
    assert corroborate(world.case).gone == {"B": (row["label"],)}


def test_a_clock_is_stated_once(world):
    world.lay("A", b"x", b"")
    world.clock("A")
    with pytest.raises(Usage, match="stated already"):
        world.clock("A", SECOND)
