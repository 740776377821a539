"""Supported, contradicted, silent: built by hand, with clocks near the edge. Silence and doubt never become more."""

import hashlib
import json
import re
from dataclasses import replace
from typing import Any

import pytest
from corroborate_case import (
    ADDRESS,
    FROM,
    PORT,
    SECOND,
    TO,
    V1,
    V2,
    World,
    a_watch,
    fastresume,
    recorded,
    sighting,
)

from artefacts_here import PLUGINS, rows
from clew.attribute import listing, statements
from clew.attribute.artefacts import Entry, Facts, Place
from clew.attribute.caveats import ARTEFACTS, ARTEFACTS_BEFORE
from clew.attribute.corroborate import corroborate
from clew.attribute.lead_page import page
from clew.attribute.replay import replay
from clew.attribute.run import attribute
from clew.attribute.weigh import Beside, Match, Outcome, Says, Seen, weigh
from clew.core import clock, coverage, shards
from clew.core.case import Case
from clew.core.errors import Refused, Usage
from clew.intake.archives import streamed, zipstamps
from clew.intake.artefacts import _examples as made
from clew.intake.disk import apfs, claims, iso
from clew.intake.sources import _mounted
from clew.range.torrents import bencode
from facts_case import put

PEER = bytes(map(int, ADDRESS.split("."))) + PORT.to_bytes(2, "big")
BEFORE_S, AFTER_S = FROM // SECOND - 3_600, TO // SECOND + 3_600
HOUR = 3_600 * SECOND
DAY = 24 * HOUR
RESUME = b"BT_backup/" + V1.hex().encode() + b".fastresume"


def test_an_exhibit_that_nobody_spoke_for_counts_for_no_lead(world):
    world.lay("A", RESUME, fastresume(BEFORE_S))
    world.clock("A")
    report = corroborate(world.case)
    (lead,) = report.leads
    assert (lead.outcome, lead.findings) == (Outcome.SILENT, [])
    assert report.unlinked == {"A": ("W-17",)}
    assert "no exhibit is stated to belong to it" in lead.covered[0]


def test_an_entry_that_was_there_before_supports_and_its_bytes_show_it(world):
    world.lay("A", RESUME, fastresume(BEFORE_S))
    world.belongs("A")
    world.clock("A")
    lead = world.lead()
    (finding,) = lead.findings
    assert (lead.outcome, lead.matches) == (Outcome.SUPPORTED, (Match.INFOHASH, Match.TIMES))
    assert (finding.exhibit, finding.linked, finding.watch) == ("A", True, "W-17")
    assert world.shown(finding) == {"infohash": b"20:" + V1, "added": b"i%de" % BEFORE_S}
    assert lead.by_watch == {"W-17": Outcome.SUPPORTED}


def test_the_twin_of_v2_is_the_same_watch(world):
    world.lay("A", b"x", fastresume(None, **{"info-hash": bytes(20), "info-hash2": V2}))
    world.belongs("A")
    lead = world.lead()
    assert (lead.outcome, lead.matches) == (Outcome.SUPPORTED, (Match.INFOHASH,))
    assert world.shown(lead.findings[0]) == {"infohash": b"32:" + V2}


def test_another_torrent_is_silence(world):
    world.lay("A", b"x", fastresume(BEFORE_S, **{"info-hash": bytes(range(20))}))
    world.belongs("A")
    lead = world.lead()
    assert (lead.outcome, lead.findings) == (Outcome.SILENT, [])
    assert "artefacts read: 1 fastresume" in lead.covered[0]


def test_an_entry_added_after_the_last_sighting_contradicts(world):
    world.lay("A", RESUME, fastresume(AFTER_S))
    world.belongs("A")
    world.clock("A")
    lead = world.lead()
    assert (lead.outcome, lead.matches) == (Outcome.CONTRADICTED, ())
    assert world.shown(lead.findings[0]) == {"infohash": b"20:" + V1, "added": b"i%de" % AFTER_S}
    assert "removed and added again" in lead.findings[0].why[1]


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


def artefacts_of(case: Case) -> tuple[tuple[str, bool], list[str]]:
    """What the lead says of artefacts, and all of that among what speaks against it."""
    (lead,) = listing.leads(case)
    return (lead["artefacts"]["outcome"], lead["artefacts"]["stands"]), [
        line for line in lead["against"] if line.startswith("artefacts of exhibits")
    ]


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


def test_an_entry_that_agrees_in_time_outweighs_one_that_was_added_later(world):
    world.lay("A", b"late", fastresume(AFTER_S))
    world.lay("A", b"early", fastresume(BEFORE_S))
    world.belongs("A")
    world.clock("A")
    lead = world.lead()
    assert lead.outcome is Outcome.SUPPORTED
    assert {f.says for f in lead.findings} == {Says.SUPPORTS, Says.CONTRADICTS}


def test_what_tells_no_time_does_not_outweigh_a_contradiction(world):
    world.lay("A", b"late", fastresume(AFTER_S))
    world.lay("A", b"whenever", fastresume(None))
    world.belongs("A")
    world.clock("A")
    assert world.lead().outcome is Outcome.CONTRADICTED


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


LISTENING = {"dht state": {}, "settings": {"listen_interfaces": f"0.0.0.0:{PORT},[::]:{PORT}"}}


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


def test_bytes_that_are_not_surely_its_own_contradict_nothing(world):
    world.lay("A", b"x", fastresume(AFTER_S), name_state="deleted", content_state="overwritten possible")
    world.belongs("A")
    world.clock("A")
    lead = world.lead()
    assert (lead.outcome, lead.findings[0].says) == (Outcome.SILENT, Says.NEITHER)
    assert not lead.findings[0].live


def test_an_artefact_that_was_deleted_tells_no_time(world):
    world.lay("A", b"x", fastresume(BEFORE_S), name_state="deleted")
    world.belongs("A")
    world.clock("A")
    lead = world.lead()
    assert (lead.outcome, lead.matches) == (Outcome.SUPPORTED, (Match.INFOHASH,))
    assert "may have been gone before" in lead.findings[0].why[-1]


def test_an_entry_added_between_the_sightings_explains_the_later_ones_alone(world):
    world.lay("A", b"x", fastresume(FROM // SECOND + 60))
    world.belongs("A")
    world.clock("A")
    lead = world.lead()
    assert lead.matches == (Match.INFOHASH, Match.TIMES)
    assert "what was seen earlier it does not explain" in lead.findings[0].why[0]


def test_the_endpoint_in_a_list_of_ones_own_exhibit_is_no_proof_either(world):
    world.lay("A", b"x", fastresume(BEFORE_S, PEER))
    world.belongs("A")
    lead = world.lead()
    assert lead.matches == (Match.INFOHASH, Match.ENDPOINT)
    assert world.shown(lead.findings[0])["endpoint"] == PEER
    assert "not that data moved" in lead.findings[0].why[-1]


def test_another_client_that_knew_the_endpoint_supports_the_lead_and_nobodys_exhibit(world):
    world.lay("B", b"x", fastresume(BEFORE_S, PEER))
    lead = world.lead()
    (finding,) = lead.findings
    assert (lead.outcome, lead.matches) == (Outcome.SUPPORTED, (Match.ENDPOINT,))
    assert (finding.linked, world.shown(finding)["endpoint"]) == (False, PEER)
    assert "not that data moved" in finding.why[-1]


@pytest.mark.parametrize(
    ("peers", "added_s", "modified_ns", "infohash"),
    [
        (PEER[:4] + b"\x00\x01", BEFORE_S, None, V1),  # another port
        (bytes([127, 10, 1, 2]) + PEER[4:], BEFORE_S, None, V1),  # another address
        (PEER, BEFORE_S, None, bytes(range(20))),  # another torrent
        (PEER, AFTER_S, None, V1),  # another time
        (PEER, BEFORE_S, FROM - SECOND, V1),
        (PEER, BEFORE_S, TO + DAY + SECOND, V1),  # last written long after
        (PEER, None, FROM - SECOND, V1),
        (PEER, None, None, V1),  # at a time that nobody knows
    ],
)
def test_an_endpoint_of_another_place_time_or_torrent_supports_nothing(world, peers, added_s, modified_ns, infohash):
    world.lay("B", b"x", fastresume(added_s, peers, **{"info-hash": infohash}), modified_ns=modified_ns)
    assert world.lead().outcome is Outcome.SILENT


@pytest.mark.parametrize(
    ("added_s", "modified_ns", "says", "why"),
    [
        (None, None, Says.NEITHER, "neither when it was added nor when it was last written is known"),
        (None, FROM - SECOND, Says.NEITHER, "before this was first seen"),
        (None, FROM, Says.SUPPORTS, "its list was last written at"),
        (BEFORE_S, None, Says.SUPPORTS, "when its list was last written is not known"),
        (BEFORE_S, TO + DAY, Says.SUPPORTS, "its list was last written at"),
        (BEFORE_S, TO + DAY + SECOND, Says.NEITHER, "more than 24 hours after this was last seen"),
    ],
)
@pytest.mark.parametrize("linked", [False, True])
def test_a_list_is_of_its_last_write_whosever_it_is(world, linked, added_s, modified_ns, says, why):
    world.lay("B", b"x", fastresume(added_s, PEER), modified_ns=modified_ns)
    if linked:
        world.belongs("B")
    (finding,) = world.lead().findings
    assert any(why in line for line in finding.why), finding.why
    assert (Match.ENDPOINT in finding.matches, Match.INFOHASH in finding.matches) == (says is Says.SUPPORTS, linked)
    assert finding.says is (Says.SUPPORTS if linked else says)


def test_a_list_is_held_against_the_measured_clock_of_its_machine(world):
    world.lay("B", b"x", fastresume(BEFORE_S, PEER), modified_ns=TO + DAY + 30 * SECOND)
    world.clock("B", 60 * SECOND, SECOND)
    assert world.lead().matches == (Match.TIMES, Match.ENDPOINT)


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


def entry_of(version: str | None, port: int, **changes: Any) -> list[dict[str, Any]]:
    """What a version of Transmission's reader said of a file: its entry, and whom it knew."""
    by = {"extractor": "transmission", "version": version, "mode": "fast"}
    said = {"network": "bittorrent", "kind": "transmission resume", "at": [0, 9], "infohash_v1": V1.hex()} | changes
    texts = {
        "p2p.artefact": said["kind"], "p2p.entry": json.dumps(said, separators=(",", ":")),
        "p2p.entry.endpoints": json.dumps({"at": [0, 9], "from": 0, "endpoints": [[ADDRESS, port, 0, 6]]}),
    }  # fmt: skip
    return [{"name": name, "text": text, **by} for name, text in texts.items()]


def test_what_an_earlier_version_said_of_an_artefact_counts_no_more(world):
    content = world.lay("B", b"x", b"no artefact to the readers of today")
    world.say(content, entry_of("9", PORT, added_s=BEFORE_S) + entry_of("9", 1, added_s=BEFORE_S))
    assert world.lead().outcome is Outcome.SUPPORTED
    world.say(content, entry_of("10", 1, added_s=BEFORE_S))
    assert (world.lead().outcome, world.lead().findings) == (Outcome.SILENT, [])
    cut = {"name": "p2p.entries", "missing": "unparsable", "detail": "1 of 2 entries were read"}
    world.say(content, [{**cut, "extractor": "transmission", "version": "9", "mode": "fast"}])
    world.belongs("B")
    assert not any("was not read whole" in line for line in world.lead().covered)


def test_what_an_earlier_version_said_of_pieces_holds_until_they_are_held_against_them_again(world):
    by = {"name": "pieces.verified", "extractor": "pieces", "mode": "pieces"}

    def found() -> int:
        return sum(f.says is Says.SUPPORTS and f.kind == "file" for f in world.lead().findings)

    seized, told = lay_film(world, extractor="pieces", mode="pieces", version="1")
    world.belongs("A")
    assert found() == 1
    another = json.dumps(told | {"index": 1, "matching": 0}, sort_keys=True)
    world.say(seized, [{**by, "version": "2", "text": another}])
    assert found() == 1  # of another file of the torrent
    again = json.dumps(told | {"matching": 5}, sort_keys=True)
    world.say(seized, [{**by, "version": "2", "text": again}])
    assert found() == 0


def lay_film(world: World, seized_ns: int | None = None, **by: str) -> tuple[bytes, dict[str, object]]:
    """A film whose every piece has the hash that a .torrent beside it states; its SHA-256, and what pieces said."""
    torrent = world.lay("A", b"a.torrent", bencode({"info": {"name": "a"}}), seized_ns=seized_ns)
    fields = {"network": "bittorrent", "kind": "torrent metainfo", "at": [0, 10], "infohash_v1": V1.hex()}
    world.say(torrent, [{"name": "p2p.entry", "text": json.dumps(fields, separators=(",", ":"))}])
    seized = world.lay("A", b"film.bin", b"seized" * 100)
    told = {"torrent": torrent.hex(), "size": 100_000, "offset": 0, "checked": 6, "matching": 6, "method": "v1"}
    told |= {"index": 0} if by else {}
    world.say(seized, [{"name": "pieces.verified", "text": json.dumps(told), **by}])
    return seized, told


def test_verified_bytes_of_the_watched_file(world):
    seized, told = lay_film(world)
    world.belongs("A")
    lead = world.lead()
    assert lead.matches == (Match.INFOHASH, Match.PIECES)
    (verified,) = [f for f in lead.findings if Match.PIECES in f.matches]
    assert (verified.content, "the watched file itself" in verified.why[0]) == (seized.hex(), True)
    world.say(seized, [{"name": "pieces.verified", "text": json.dumps(told | {"matching": 5, "offset": 1})}])
    assert len([f for f in world.lead().findings if Match.PIECES in f.matches]) == 1


ANOTHER = "another file of the watched torrent"


@pytest.fixture
def two_files(case, make) -> World:
    """Two files of one torrent are watched; the Lead claimed pieces of both."""
    a_watch(case, id="w-18", label="W-18", file_offset=100_000, file_length=60_000)
    world = make()
    put(case, "sightings", [sighting(n, at, watch="w-18") for n, at in ((3, FROM), (4, TO))], "observe")
    attribute(case, registers=[], now_ns=TO)
    return world


def test_a_torrent_of_two_watches_is_judged_for_each(two_files):
    lay_film(two_files)
    two_files.lay("A", RESUME, fastresume(BEFORE_S, PEER))
    said = {"activity-date": 0, "added-date": BEFORE_S, "bandwidth-priority": 0, "corrupt": 0, "destination": "/x"}
    two_files.lay("A", b"resume/" + V1.hex().encode() + b".resume", made.bencode(said))
    assert corroborate(two_files.case).unlinked == {"A": ("W-17", "W-18")}
    two_files.belongs("A")
    lead = two_files.lead()
    assert lead.by_watch == {"W-17": Outcome.SUPPORTED, "W-18": Outcome.SUPPORTED}
    kinds = ["fastresume", "file", "torrent metainfo", "transmission resume"]
    assert {label: sorted(f.kind for f in lead.findings if f.watch == label) for label in lead.by_watch} == {
        "W-17": kinds, "W-18": kinds
    }  # fmt: skip
    which = {f.watch: f.why[0].split(":")[0] for f in lead.findings if f.kind == "file"}
    assert which == {"W-17": "the watched file itself", "W-18": ANOTHER}
    assert all(Match.ENDPOINT in f.matches for f in lead.findings if f.kind == "fastresume")
    assert "BT_backup/[infohash of W-17, W-18].fastresume" in {f.item for f in lead.findings}


def test_without_an_offset_a_file_of_another_size_is_another_file(two_files):
    seized, told = lay_film(two_files)
    two_files.belongs("A")
    two_files.say(seized, [{"name": "pieces.verified", "text": json.dumps(told | {"offset": None, "method": "v2"})}])
    which = {f.watch: f.why[0] for f in two_files.lead().findings if "root" in f.why[0]}
    assert "whether it is the watched file itself is not known" in which["W-17"]
    assert which["W-18"].startswith(ANOTHER)


def test_an_entry_of_a_torrent_of_two_watches_contradicts_for_each(two_files):
    two_files.lay("A", b"x", fastresume(AFTER_S))
    two_files.belongs("A")
    two_files.clock("A")
    assert two_files.lead().by_watch == {"W-17": Outcome.CONTRADICTED, "W-18": Outcome.CONTRADICTED}


def test_transmission_is_told_by_its_files_name_which_is_said(world):
    said = {"activity-date": 0, "added-date": BEFORE_S, "bandwidth-priority": 0, "corrupt": 0, "destination": "/x"}
    world.lay("A", b"resume/" + V1.hex().encode() + b".resume", made.bencode(said))
    world.lay("A", b"resume/other.resume", made.bencode(said | {"corrupt": 1}))
    world.belongs("A")
    world.clock("A")
    (finding,) = world.lead().findings
    assert (finding.says, finding.kind) == (Says.SUPPORTS, "transmission resume")
    assert "a claim of its own" in finding.why[-1]
    assert set(world.shown(finding)) == {"added"}


@pytest.mark.parametrize(
    "data",
    [
        made.bencode(LISTENING),
        made.bencode({".fileguard": "0" * 40, "bind_port": PORT}),
        f"[BitTorrent]\nSession\\Port={PORT}\n".encode(),
    ],
)
def test_the_port_that_a_client_listened_on_adds_and_supports_nothing_alone(world, data):
    world.lay("A", b"session", data)
    world.belongs("A")
    lead = world.lead()
    assert (lead.outcome, [f.says for f in lead.findings]) == (Outcome.SILENT, [Says.ADDS])
    world.lay("A", b"x", fastresume(None))
    assert world.lead().matches == (Match.INFOHASH, Match.PORT)


@pytest.mark.parametrize(("port", "little"), [(51_413, True), (6881, True), (40_000, False)])
def test_that_the_port_is_one_that_clients_take_by_themselves_is_said(make, port, little):
    world = make(port=port)
    world.lay("A", b"settings.json", b'{"download-dir": "/x", "peer-port": %d}' % port)
    world.belongs("A")
    (finding,) = world.lead().findings
    assert finding.says is Says.ADDS
    assert any("tells little" in why for why in finding.why) is little


def test_what_a_retry_read_whole_is_what_lies_there(world):
    """Partly read at first, with an entry of its own in what bad sectors left, and read whole by a retry."""
    partial = world.lay("A", b"resume", fastresume(BEFORE_S)[:-9], content_state="partial")
    world.belongs("A")
    lead = world.lead()
    assert lead.outcome is Outcome.SUPPORTED
    assert any("was not read whole" in line for line in lead.covered)
    (row,) = shards.query(world.case, "SELECT item, exhibit FROM contents", {}).to_pylist()
    whole = fastresume(BEFORE_S)
    again = {"sha256": hashlib.sha256(whole).digest(), "size": len(whole), "content_state": "complete"}
    put(world.case, "contents", [row | again], "intake")
    world.say(again["sha256"], [{k: v for k, v in each.items() if k not in ("data", "blob")} for each in rows(whole)])
    lead = world.lead()
    assert {finding.content for finding in lead.findings} == {again["sha256"].hex()} != {partial.hex()}
    assert "artefacts read: 1 fastresume" in lead.covered[0]
    assert not any("was not read whole" in line for line in lead.covered)


def test_what_was_not_read_is_said(world):
    world.lay("A", b"cut", fastresume(BEFORE_S, **{"info-hash": bytes(range(20))})[:-9])
    world.belongs("A")
    lead = world.lead()
    assert lead.outcome is Outcome.SILENT
    assert any("was not read whole: p2p.entries: 1 of 1 entries" in line for line in lead.covered)


def test_what_intake_came_upon_and_nothing_reads_is_said(world):
    resume = next(PLUGINS["transmission"].examples()).data
    for example in PLUGINS["unread"].examples():
        world.lay("A", example.name.encode(), example.data)
    world.lay("A", b"card.0123456789abcdef.resume", resume)
    world.lay("B", V1.hex().encode() + b".resume", resume.replace(b"card.bin", b"cord.bin"))
    world.belongs("A")
    world.belongs("B")
    lead = world.lead()
    (said,) = [line for line in lead.covered if "not read:" in line]
    assert said.startswith("A: of clients, and not read: 1 Deluge's torrents.state, 1 Vuze's or BiglyBT's")
    assert "1 qBittorrent's torrents.db" in said
    assert said.endswith("1 transmission resume whose name has no whole infohash")


SENSELESS = (
    "[", "[]", "{}", '{"network":"bittorrent"}', '{"network":"bittorrent","kind":"x","at":5}', "[" * 4000,
    '{"network":"bittorrent","kind":"x","at":[0,1],"infohash_v1":"zz"}',
    '{"network":"bittorrent","kind":"x","at":[0,1],"infohash_v1":"' + V1.hex() + '","added_s":1e400}',
)  # fmt: skip


def test_traits_of_no_sense_end_nothing_and_are_counted(world):
    content = world.lay("A", b"x", b"anything")
    names = ("p2p.entry", "p2p.entry.endpoints", "pieces.verified")
    world.say(content, [{"name": name, "text": text} for name in names for text in SENSELESS])
    world.say(content, [{"name": "p2p.entry", "text": text + ' "network":"bittorrent"'} for text in SENSELESS])
    world.belongs("A")
    report = corroborate(world.case)
    assert report.leads[0].outcome is Outcome.SILENT
    assert any("do not say what they must" in line for line in report.covered)


def test_no_infohash_is_shown(world):
    data = fastresume(BEFORE_S, PEER)
    world.lay("A", RESUME, data)
    world.lay("A", V2.hex().upper().encode() + b".torrent", data)
    world.lay("A", b"0" * 40 + b".fastresume", data)
    world.belongs("A")
    told = json.dumps(corroborate(world.case).as_dict()).lower()
    assert V1.hex() not in told
    assert V2.hex()[:40] not in told
    assert "0" * 40 not in told
    assert "bt_backup/[infohash of w-17].fastresume" in told
    kept = world.case.read().execute("SELECT findings FROM corroborations").fetchone()[0]
    assert V1.hex() not in kept


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
def ended(bare_case, allow, monkeypatch):
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
