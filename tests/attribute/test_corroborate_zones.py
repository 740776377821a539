"""A time without a zone says what it says in every zone; and whose times have none."""

import re

import pytest
from corroborate_case import ADDRESS, BEFORE_S, DAY, FROM, HOUR, PEER, PORT, RESUME, SECOND, TO, V1, fastresume

from clew.attribute.artefacts import Entry, Facts, Place
from clew.attribute.weigh import Beside, Match, Outcome, Says, Seen, weigh
from clew.intake.archives import streamed, zipstamps
from clew.intake.disk import apfs, claims, iso
from clew.intake.sources import _mounted

MOUNTED = [*_mounted.TIMES.values(), _mounted.FUSE, _mounted.UNKNOWN]
FAT, EXFAT, CAB = claims.TIMES["FAT"], claims.TIMES["exFAT"], streamed._TIMES_OF[0xC0000]
ZIP = zipstamps.stamps(0x5CBB, 0, {}).source


@pytest.mark.parametrize(
    ("written_ns", "to_ns", "seized_ns", "says", "why"),
    [
        (FROM, TO, None, Says.NEITHER, ", perhaps before this was first seen: "),  # 02:00 in Vienna, of one of 00:00Z
        (FROM - 2 * HOUR, TO, None, Says.NEITHER, ", perhaps before this was first seen: "),  # west of Greenwich
        (FROM - 12 * HOUR, TO, None, Says.NEITHER, ", perhaps before this was first seen: "),
        (FROM - 12 * HOUR - SECOND, TO, None, Says.NEITHER, ", before this was first seen: "),
        (TO + DAY, TO, None, Says.NEITHER, ", perhaps more than 24 hours after "),
        (FROM + 13 * HOUR, TO, None, Says.NEITHER, "perhaps before this was first seen or more than 24 hours after "),
        (TO + DAY + 14 * HOUR + SECOND, TO, None, Says.NEITHER, ", more than 24 hours after "),
        (FROM + 20 * HOUR, TO, TO + 21 * HOUR, Says.NEITHER, ", perhaps after the exhibit was seized on "),
        (FROM + 36 * HOUR, TO, TO + 21 * HOUR, Says.NEITHER, ", after the exhibit was seized on "),
        (FROM + 14 * HOUR - SECOND, FROM + 2 * HOUR, None, Says.NEITHER, ", perhaps before this was first seen: "),
        (FROM + 14 * HOUR, FROM + 2 * HOUR, None, Says.SUPPORTS, "its list was last written at "),  # in any zone
        (FROM + 14 * HOUR + SECOND, FROM + 2 * HOUR, None, Says.NEITHER, ", perhaps more than 24 hours after "),
    ],
)
def test_a_time_without_a_zone_says_what_it_says_in_every_zone(written_ns, to_ns, seized_ns, says, why):
    facts = Facts("fastresume", "", (0, 9), {}, (V1,), BEFORE_S, None, None, "")
    entry, place = (
        Entry(b"", facts, None, False, [], [(ADDRESS, PORT, 0, 6)]),
        Place("A", b"x", True, True, written_ns, False),
    )
    judged = weigh(Seen("w-17", ADDRESS, PORT, FROM, to_ns, 0), entry, place, Beside("A", False, seized_ns, None))
    (line,) = [each for each in judged.why if "last written at" in each]
    assert (judged.says, why in line) == (says, True), line
    assert "Z (local time, its zone is not known) by the clock" not in line
    assert " (local time, its zone is not known) by the clock" in line


@pytest.mark.parametrize(
    ("written_ns", "to_ns", "says", "why"),
    [
        (FROM + 26 * HOUR, FROM + 28 * HOUR, Says.SUPPORTS, "its list was last written at "),
        (FROM + 26 * HOUR - SECOND, FROM + 28 * HOUR, Says.NEITHER, ", perhaps before this was first seen: "),
        (FROM + 26 * HOUR + SECOND, FROM + 28 * HOUR, Says.NEITHER, ", perhaps more than 24 hours after "),
    ],
)
def test_a_time_that_a_mount_moved_says_what_it_says_in_every_two_zones(written_ns, to_ns, says, why):
    """From UTC+14 to UTC-12 there are 26 hours: so far it lies off where one of them wrote and the other reads."""
    facts = Facts("fastresume", "", (0, 9), {}, (V1,), BEFORE_S, None, None, "")
    entry = Entry(b"", facts, None, False, [], [(ADDRESS, PORT, 0, 6)])
    place = Place("A", b"x", True, True, written_ns, False, True)
    judged = weigh(Seen("w-17", ADDRESS, PORT, FROM, to_ns, 0), entry, place, Beside("A", False, None, None))
    (line,) = [each for each in judged.why if "last written at" in each]
    assert (judged.says, why in line) == (says, True), line
    assert " (local time, its zone and that of its mount are not known) by the clock" in line


@pytest.mark.parametrize("source", [FAT, EXFAT, CAB, ZIP, *MOUNTED, "zip local header", "", None])
def test_a_time_of_such_a_source_has_no_zone(world, source):
    world.lay("B", b"x", fastresume(BEFORE_S, PEER), modified_ns=FROM, times_source=source)
    (finding,) = world.lead().findings
    assert (finding.says, finding.matches) == (Says.NEITHER, ())
    assert re.search("its zone (is|and that of its mount are) not known", finding.why[0])


def test_a_linked_entry_still_agrees_by_what_is_in_it(world):
    world.lay("A", RESUME, fastresume(BEFORE_S, PEER), modified_ns=FROM, times_source=FAT)
    world.belongs("A")
    world.clock("A")
    lead = world.lead()
    assert (lead.outcome, lead.matches) == (Outcome.SUPPORTED, (Match.INFOHASH, Match.TIMES))
    assert any("perhaps before this was first seen" in line for line in lead.findings[0].why)


KNOWN = {*claims.TIMES.values()} - {FAT, EXFAT} | {
    apfs.TIMES,
    iso.TIMES,
    zipstamps.stamps(0, 0, {0x5455: b"\1" * 5}).source,
}


@pytest.mark.parametrize("source", sorted(KNOWN | {each for each in streamed._TIMES_OF.values() if "UTC" in each}))
def test_the_zone_of_the_times_of_a_source(world, source):
    world.lay("B", b"x", fastresume(BEFORE_S, PEER), modified_ns=FROM, times_source=source)
    assert world.lead().matches == (Match.ENDPOINT,)
