"""Who is told by which source, and when."""

import pytest
from range_stage import PORT, TORRENTS, party, scenario

from clew.range.listings import Listings
from clew.range.scenario import Holding, Saying, Source, Stay

INFOHASH = TORRENTS[0].infohash


def everyone(listings, second=0.0, **more):
    return set(listings.sample(INFOHASH, second, 1000, **more))


@pytest.mark.parametrize("source", list(Source))
def test_a_source_tells_those_that_it_lists(source):
    there = party(1, listed_by={source})
    elsewhere = party(2, listed_by=set(Source) - {source})
    unlisted = party(3, listed_by=())
    of_another = party(4, listed_by={source}, holding=Holding(1, Saying.WHOLE))
    made_up = ((0, "192.0.2.1", 9),)
    listings = Listings(scenario(there, elsewhere, unlisted, of_another, spoofed=made_up), source)
    assert everyone(listings) == {("127.10.7.2", PORT), ("192.0.2.1", 9)}
    assert listings.has_parties
    assert not Listings(scenario(elsewhere), source).has_parties


def test_who_is_not_there_yet_is_not_told_and_who_is_gone_still_is():
    """A tracker knows of an endpoint from its first announce on, and forgets it late."""
    late = party(1, stays=(Stay("127.10.9.1", PORT, 50.0, 60.0), Stay("127.10.9.2", PORT, 60.0, 90.0)))
    listings = Listings(scenario(late, party(2)), Source.HTTP)
    assert everyone(listings, 49.0) == {("127.10.7.3", PORT)}
    assert len(everyone(listings, 55.0)) == 2
    assert len(everyone(listings, 5000.0)) == 3


def test_a_reply_holds_no_more_than_wanted_no_asker_and_nobody_twice():
    parties = [party(number) for number in range(20)]
    twice = party(40, stays=parties[0].stays)
    listings = Listings(scenario(*parties, twice), Source.HTTP)
    assert len(listings.sample(INFOHASH, 0.0, 7)) == 7
    assert listings.sample(INFOHASH, 0.0, 0) == listings.sample(INFOHASH, 0.0, -1) == []
    told = listings.sample(INFOHASH, 0.0, 1000, also=(("127.9.0.1", 1), ("127.9.0.2", 2)), but=("127.9.0.1", 1))
    assert len(told) == len(set(told)) == 21
    assert ("127.9.0.2", 2) in told
    assert listings.sample(bytes(20), 0.0, 10) == []


def test_a_tracker_keeps_its_torrents_alone():
    listings = Listings(scenario(party(1)), Source.HTTP, frozenset({1}))
    assert not listings.knows(INFOHASH)
    assert everyone(listings) == set()
