"""Which places of a Content are told: none twice, and never none."""

import pytest

from clew.core import places


def row(content, exhibit, item):
    return {"content": content, "exhibit": exhibit, "item": item}


@pytest.fixture
def taken_back(case):
    """Says of Items that they are listed under another name since."""

    def do(*items):
        with case.write("intake") as tx:
            sql = "INSERT INTO items VALUES (?,'E','b','skipped','not applicable',?,1,1)"
            tx.executemany(sql, [(item, places.NAMED_SINCE) for item in items])

    return do


def test_a_place_under_another_name_since_is_not_told_beside_that_one(case, taken_back):
    taken_back("1", "4")
    rows = [row(b"a", "E", item) for item in "123"] + [row(b"b", "E", item) for item in "54"]
    assert [each["item"] for each in places.standing(case, rows)] == ["2", "3", "5"]


def test_no_content_loses_its_last_place_in_an_exhibit(case, taken_back, monkeypatch):
    taken_back("1", "3", "5")
    rows = [row(b"a", "E", "1"), row(b"a", "F", "2"), row(b"b", "E", "3"), row(b"b", "E", "5"), row(b"c", None, "")]
    assert list(places.standing(case, rows)) == rows
    monkeypatch.setattr(places, "AT_ONCE", 1)
    assert list(places.standing(case, iter(rows))) == rows
