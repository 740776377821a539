"""The lead's endpoint in a client's list of peers: when it supports, whosever exhibit it is. It is no proof."""

import pytest
from corroborate_case import AFTER_S, BEFORE_S, DAY, FROM, PEER, SECOND, TO, V1, fastresume

from clew.attribute.weigh import Match, Outcome, Says


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
