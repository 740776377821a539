"""How those who do not simply tell what they hold tell it: by visits, and on the wire."""

import itertools
import operator
import struct

import pytest

from clew.range.cast import make_scenario
from clew.range.fake import BITFIELD, HAVE, bits, message, possession
from clew.range.scenario import Saying
from clew.range.scenario_file import parse, text_of


@pytest.fixture(scope="module")
def full():
    return make_scenario(3, parse(text_of("full")), ports=tuple(range(6881, 6899)), real_port=6899)


def holdings(scenario, kind):
    found = [(scenario.torrents[h.torrent], h) for p in scenario.planted() if p.kind == kind for h in p.holdings]
    assert found
    return found


def test_liars_drop_pieces_and_keep_one_inside(full):
    for torrent, holding in holdings(full, "liar"):
        said = [holding.at_visit(visit) for visit in range(1, len(holding.pieces) + 3)]
        assert {s.saying for s in said} == {Saying.BITFIELD}
        assert all(len(a.pieces) >= len(b.pieces) for a, b in itertools.pairwise(said))
        assert all(any(piece in torrent.inner() for piece in s.pieces) for s in said)
        assert len(said[0].pieces) < len(holding.pieces) or len(holding.pieces) == 1


def test_lazy_ones_fill_the_gaps_of_their_bitfield_and_leave_others_at_each_visit(full):
    for torrent, holding in holdings(full, "lazy"):
        gaps = set()
        for visit in range(1, 5):
            said = possession(holding.at_visit(visit), torrent, fast=False)
            size = len(message(BITFIELD, bits((), torrent.pieces)))
            haves = [struct.unpack(">IBI", each) for each in (said[at : at + 9] for at in range(size, len(said), 9))]
            assert {(length, kind) for length, kind, _ in haves} == {(5, HAVE)}
            left_out = tuple(piece for *_, piece in haves)
            both = map(operator.xor, said[5:size], bits(left_out, torrent.pieces))
            assert bytes(both) == bits(holding.pieces, torrent.pieces)
            gaps.add(left_out)
        assert len(gaps) == min(4, len(holding.pieces))


def test_superseeders_tell_by_have_alone(full):
    assert {holding.saying for _, holding in holdings(full, "superseed")} == {Saying.HAVES}
