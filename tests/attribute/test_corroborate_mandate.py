"""An exhibit that no Mandate covers is not looked at; what was found in it while one did stands."""

from dataclasses import replace

import pytest
from corroborate_case import (
    AFTER_S,
    BEFORE_S,
    FROM,
    PEER,
    RESUME,
    SECOND,
    TO,
    World,
    a_watch,
    artefacts_of,
    fastresume,
    sighting,
)

from clew.attribute import statements
from clew.attribute.caveats import ARTEFACTS, ARTEFACTS_BEFORE
from clew.attribute.corroborate import corroborate
from clew.attribute.run import attribute
from clew.attribute.weigh import Outcome
from clew.core import clock
from clew.core.errors import Refused


def test_a_mandate_that_does_not_cover_the_exhibit(bare_case, allow, put):
    allow(bare_case, exhibits=["B"])
    a_watch(bare_case)
    put(bare_case, "sightings", [sighting(1, FROM), sighting(2, TO)], "observe")
    attribute(bare_case, registers=[], now_ns=TO)
    world = World(bare_case)
    world.lay("A", b"x", fastresume(BEFORE_S, PEER))
    with pytest.raises(Refused):
        world.belongs("A")
    report = corroborate(bare_case)
    assert report.leads[0].outcome is Outcome.SILENT
    assert report.unlinked == {}
    assert "A was not looked at" in report.refused[0]


OVER = 2_200_000_000 * SECOND  # when the one Mandate over all exhibits has ended


@pytest.fixture
def ended(bare_case, allow, put, monkeypatch):
    """A lead's exhibit A under a Mandate that ends, B under one that does not; and how to let the first one end."""
    allow(bare_case, not_after="2038-01-01T00:00:00Z")
    allow(bare_case, exhibits=["B"])
    a_watch(bare_case)
    put(bare_case, "sightings", [sighting(1, FROM), sighting(2, TO)], "observe")
    attribute(bare_case, registers=[], now_ns=TO)
    real = clock.now

    def end() -> None:
        monkeypatch.setattr(clock, "now", lambda: replace(real(), utc_ns=OVER))

    return World(bare_case), end


@pytest.mark.parametrize(("added_s", "outcome"), [(AFTER_S, Outcome.CONTRADICTED), (BEFORE_S, Outcome.SUPPORTED)])
def test_what_was_found_in_an_exhibit_stands_when_its_mandate_has_ended(ended, added_s, outcome):
    """A contradiction that vanished with a date would leave the lead unopposed in the next bundle."""
    world, end = ended
    world.lay("A", RESUME, fastresume(added_s))
    world.lay("B", b"else", b"of no matter")
    world.belongs("A")
    world.belongs("B")
    world.clock("A")
    before = world.lead()
    end()
    for _ in range(2):
        after = world.lead()
        assert (after.outcome, after.matches, after.exhibits) == (outcome, before.matches, ("A", "B"))
        assert after.rests_on == before.rests_on
        (finding,) = after.findings
        assert finding.why[:-1] == before.findings[0].why
        assert finding.why[-1].startswith("as it came out at 20")
        assert "A: no Mandate covers it now" in after.covered[-1]
        assert artefacts_of(world.case) == ((str(outcome), True), [ARTEFACTS] if added_s == AFTER_S else [])


def test_an_exhibit_that_belongs_and_was_never_looked_at_is_not_called_nobodys(ended):
    world, end = ended
    world.lay("A", RESUME, fastresume(BEFORE_S))
    world.belongs("A")
    end()
    lead = world.lead()
    assert (lead.outcome, lead.exhibits) == (Outcome.SILENT, ("A",))
    assert [line for line in lead.covered if "A: no Mandate covers it now" in line]
    assert not [line for line in lead.covered if "stated to belong" in line]


def test_what_it_no_longer_belongs_to_or_rests_on_does_not_stand_as_it_was(ended):
    world, end = ended
    world.lay("A", RESUME, fastresume(AFTER_S))
    stated = world.belongs("A")
    measured = world.clock("A")
    corroborate(world.case)
    end()
    statements.withdraw(world.case, measured.id)
    assert world.lead().outcome is Outcome.CONTRADICTED
    assert artefacts_of(world.case) == (("contradicted", False), [ARTEFACTS_BEFORE])
    statements.withdraw(world.case, stated.id)
    assert (world.lead().outcome, artefacts_of(world.case)[1]) == (Outcome.SILENT, [])
