"""Endpoints by address and port: whom one Watch alone knows there, and whom several do."""

from clew.observe.endpoints import Endpoint
from clew.observe.places import Places


def one(number: int, watch: str, port: int = 6881) -> Endpoint:
    return Endpoint(number, watch, "127.20.0.1", port, 1, 1, "http://127.1.0.1/announce")


def test_those_of_a_place_stand_together_in_the_order_in_which_they_came() -> None:
    places, three = Places(), [one(1, "b"), one(2, "a"), one(3, "c")]
    elsewhere = one(4, "a", 6882)
    for each in (*three, elsewhere):
        assert places.find(each.watch, each.place) is None
        places.add(each)
        assert places.find(each.watch, each.place) is each
    assert (len(places), list(places)) == (4, [*three, elsewhere])
    assert places.at(elsewhere.place) == (elsewhere,)
    assert list(places.each()) == [tuple(three), (elsewhere,)]
    assert places.at(("127.20.0.1", 1)) == ()


def test_who_is_taken_out_leaves_the_others() -> None:
    places, pair = Places(), [one(1, "a"), one(2, "b")]
    for each in pair:
        places.add(each)
    places.remove(pair[0])
    assert (list(places), places.find("a", pair[0].place)) == ([pair[1]], None)
    assert places.find("b", pair[1].place) is pair[1]
    places.add(pair[0])
    assert places.at(pair[0].place) == (pair[1], pair[0])
    for each in pair:
        places.remove(each)
    assert (len(places), list(places), list(places.each())) == (0, [], [])
