"""When an exhibit was seized: what it holds explains nothing that was seen after that."""

import pytest
from corroborate_case import AFTER_S, BEFORE_S, FROM, LISTENING, RESUME, SECOND, TO, World, fastresume, lay_film

from clew.attribute.weigh import Match, Outcome, Says
from clew.intake.artefacts import _examples as made


def test_an_exhibit_seized_before_the_sightings_supports_nothing(world):
    world.lay("A", b"x", fastresume(BEFORE_S), seized_ns=FROM - SECOND)
    world.belongs("A")
    world.clock("A")
    lead = world.lead()
    assert (lead.outcome, lead.matches) == (Outcome.SILENT, ())
    assert "was seized on" in lead.findings[0].why[0]


def test_what_was_added_after_the_exhibit_was_seized_supports_nothing_by_an_unmeasured_clock_either(world):
    world.lay("A", b"x", fastresume(FROM // SECOND + 5), seized_ns=FROM + SECOND)
    world.belongs("A")
    lead = world.lead()
    assert (lead.outcome, lead.matches) == (Outcome.SILENT, ())
    assert "after the exhibit was seized" in lead.findings[0].why[0]


def lay_everything(world: World, seized_ns: int) -> None:
    """An Exhibit with an entry, a film that fits and a listening port, seized then."""
    lay_film(world, seized_ns=seized_ns)
    world.lay("A", RESUME, fastresume(BEFORE_S))
    world.lay("A", b"session", made.bencode(LISTENING))
    world.belongs("A")
    world.clock("A")


def test_nothing_of_an_exhibit_seized_before_the_sightings_supports_or_adds(world):
    lay_everything(world, FROM - SECOND)
    lead = world.lead()
    assert (lead.outcome, lead.matches) == (Outcome.SILENT, ())
    assert {f.kind for f in lead.findings} == {"torrent metainfo", "file", "fastresume", "session state"}
    assert {(f.says, f.matches) for f in lead.findings} == {(Says.NEITHER, ())}
    assert all("it was not there any more" in f.why[0] for f in lead.findings)


def test_a_seizure_between_the_sightings_is_said_of_all_that_lay_there(world):
    lay_everything(world, FROM + SECOND)
    lead = world.lead()
    assert lead.matches == (Match.INFOHASH, Match.TIMES, Match.PIECES, Match.PORT)
    assert all("what was seen after the seizure is not explained" in f.why[-1] for f in lead.findings)


def test_an_exhibit_seized_after_the_last_sighting_needs_no_such_words(world):
    lay_everything(world, TO)
    assert not any("seized" in line for f in world.lead().findings for line in f.why)


@pytest.mark.parametrize(("added_s", "seized_ns"), [(AFTER_S, TO + SECOND), (FROM // SECOND + 600, FROM + SECOND)])
def test_an_entry_added_after_the_seizure_decides_nothing(world, added_s, seized_ns):
    world.lay("A", b"x", fastresume(added_s), seized_ns=seized_ns)
    world.belongs("A")
    world.clock("A")
    lead = world.lead()
    assert (lead.outcome, lead.findings[0].says) == (Outcome.SILENT, Says.NEITHER)
    assert "one of these times is wrong" in lead.findings[0].why[0]
