"""Supported, contradicted, silent: built by hand. Silence and doubt never become more."""

import json

import pytest
from corroborate_case import (
    AFTER_S,
    BEFORE_S,
    FROM,
    LISTENING,
    PEER,
    PORT,
    RESUME,
    SECOND,
    TRANSMISSION,
    V1,
    V2,
    fastresume,
    transmission,
)

from clew.attribute.corroborate import corroborate
from clew.attribute.weigh import Match, Outcome, Says
from clew.intake.artefacts import _examples as made


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


def test_bytes_that_are_not_surely_its_own_contradict_nothing(world):
    world.lay("A", b"x", fastresume(AFTER_S), name_state="deleted", content_state="overwritten possible")
    world.belongs("A")
    world.clock("A")
    lead = world.lead()
    assert (lead.outcome, lead.findings[0].says) == (Outcome.SILENT, Says.NEITHER)
    assert not lead.findings[0].live


@pytest.mark.parametrize(
    ("data", "claims", "why"),
    [
        (fastresume(AFTER_S)[:-3], {}, "the artefact is damaged"),
        (fastresume(AFTER_S), {"parent": "the-archive"}, "another machine's clock"),
    ],
)
def test_what_is_damaged_or_lies_in_an_archive_contradicts_nothing(world, data, claims, why):
    world.lay("A", b"x.zip/x", data, **claims)
    world.belongs("A")
    world.clock("A")
    lead = world.lead()
    assert (lead.outcome, lead.findings[0].says) == (Outcome.SILENT, Says.NEITHER)
    assert why in lead.findings[0].why[-1]


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


def test_transmission_is_told_by_its_files_name_which_is_said(world):
    world.lay("A", TRANSMISSION, transmission())
    world.lay("A", b"resume/other.resume", transmission(corrupt=1))
    world.belongs("A")
    world.clock("A")
    (finding,) = world.lead().findings
    assert (finding.says, finding.kind) == (Says.SUPPORTS, "transmission resume")
    assert "a claim of its own" in finding.why[-1]
    assert set(world.shown(finding)) == {"added"}


def test_that_a_contradiction_is_told_by_its_files_name_is_said_too(world):
    world.lay("A", TRANSMISSION, transmission(**{"added-date": AFTER_S}))
    world.belongs("A")
    world.clock("A")
    (finding,) = world.lead().findings
    assert finding.says is Says.CONTRADICTS
    assert "a claim of its own" in finding.why[-1]


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


def test_no_infohash_is_shown(world):
    data = fastresume(BEFORE_S, PEER)
    world.lay("A", RESUME, data)
    world.lay("A", V2.hex().upper().encode() + b".torrent", data)
    world.lay("A", b"0" * 40 + b".fastresume", data)
    world.belongs("A")
    told = json.dumps(corroborate(world.case).as_dict())
    ((kept,),) = world.case.read().execute("SELECT findings FROM corroborations").fetchall()
    for words in (told.lower(), kept.lower()):
        assert V1.hex() not in words
        assert V2.hex()[:40] not in words
        assert "0" * 40 not in words
        assert "bt_backup/[infohash of w-17].fastresume" in words
