"""Clocks near the edge: both and their errors are weighed, and one that was not measured contradicts nothing."""

import pytest
from corroborate_case import (
    ADDRESS,
    AFTER_S,
    BEFORE_S,
    FROM,
    PORT,
    SECOND,
    TO,
    V1,
    World,
    a_watch,
    fastresume,
    sighting,
)

from clew.attribute import statements
from clew.attribute.artefacts import Entry, Facts, Place
from clew.attribute.run import attribute
from clew.attribute.weigh import Beside, Match, Outcome, Says, Seen, weigh
from facts_case import put


@pytest.mark.parametrize(
    ("off_s", "error_s", "observer_s", "added_after_s", "says"),
    [
        (0, 0, 0, 1, Says.CONTRADICTS),
        (0, 0, 0, 0, Says.NEITHER),  # within the second that the artefact counts in
        (0, 0, 0, -1, Says.SUPPORTS),
        (0, 10, 0, 10, Says.NEITHER),
        (0, 10, 0, 11, Says.CONTRADICTS),
        (0, 10, 5, 15, Says.NEITHER),
        (0, 10, 5, 16, Says.CONTRADICTS),
        (3600, 10, 5, 3_615, Says.NEITHER),  # a clock that was an hour fast
        (3600, 10, 5, 3_616, Says.CONTRADICTS),
        (3600, 10, 5, 3_584, Says.SUPPORTS),
        (3600, 10, 5, 3_585, Says.NEITHER),
        (-3600, 10, 5, -3_584, Says.CONTRADICTS),  # an hour slow
        (-3600, 10, 5, -3_616, Says.SUPPORTS),
    ],
)
def test_both_clocks_and_their_errors_are_weighed(off_s, error_s, observer_s, added_after_s, says):
    seen = Seen("w-17", ADDRESS, PORT, FROM, TO, observer_s * SECOND)
    facts = Facts("fastresume", "", (0, 9), {}, (V1,), TO // SECOND + added_after_s, None, None, "")
    clock = statements.Clock(off_s * SECOND, error_s * SECOND, "")
    entry, place = Entry(b"", facts, None, False, []), Place("A", b"x", True, True, None, True)
    judged = weigh(seen, entry, place, Beside("A", True, None, clock))
    assert judged.says is says, judged.why


def test_the_observers_offset_is_part_of_its_error(make):
    world = make(clock_offset_ns=-7 * SECOND, clock_error_ns=SECOND)
    world.lay("A", b"x", fastresume(TO // SECOND + 8))
    world.belongs("A")
    world.clock("A")
    assert world.lead().findings[0].says is Says.NEITHER


@pytest.mark.parametrize("whose", ["exhibit", "observer"])
def test_a_clock_that_was_not_measured_contradicts_nothing(make, whose):
    world = make(**({"clock_error_ns": None} if whose == "observer" else {}))
    world.lay("A", b"x", fastresume(AFTER_S))
    world.belongs("A")
    if whose == "observer":
        world.clock("A")
    lead = world.lead()
    assert (lead.outcome, lead.findings[0].says) == (Outcome.SILENT, Says.NEITHER)
    assert f"the {whose}'s clock was not measured" in lead.findings[0].why[0]


@pytest.mark.parametrize("off_s", [0, -7_200, 7_200], ids=["in step", "behind", "ahead"])
@pytest.mark.parametrize("which", [1, 2, 3])
def test_one_claim_by_an_unmeasured_clock_takes_nothing_from_those_around_it(case, which, off_s):
    """The observer's own order says when it was made, so the first and the last have to be measured, and no more."""
    a_watch(case)
    with case.write("observe") as tx:
        columns = "id, number, boot, steady_ns, started_ns, config, vantage, mandate"
        tx.execute(f"INSERT INTO observe_runs ({columns}) VALUES ('r', 1, 'b', 0, 1, '', '', '')")
    times = [(n, FROM + (n - 1) * 600 * SECOND) for n in (1, 2, 3)]
    rows = [sighting(n, at_ns, run="r", sequence=n, monotonic_ns=at_ns) for n, at_ns in times]
    at_ns = rows[which - 1]["started_ns"] + off_s * SECOND
    rows[which - 1] |= {"clock_error_ns": None, "started_ns": at_ns, "ended_ns": at_ns}
    put(case, "sightings", rows, "observe")
    attribute(case, registers=[], now_ns=TO)
    world = World(case)
    world.lay("A", b"x", fastresume(TO // SECOND + 60))
    world.belongs("A")
    world.clock("A")
    lead = world.lead()
    assert (lead.outcome is Outcome.CONTRADICTED) == (which == 2), lead.findings


def test_without_measured_clocks_an_earlier_entry_supports_by_its_infohash_alone(world):
    world.lay("A", b"x", fastresume(BEFORE_S))
    world.belongs("A")
    lead = world.lead()
    assert (lead.outcome, lead.matches) == (Outcome.SUPPORTED, (Match.INFOHASH,))
