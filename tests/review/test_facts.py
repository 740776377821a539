"""What is said of a picture in words."""

from review_page import Known

from clew.review import facts
from facts_case import put


def test_facts_are_those_of_the_newest_version(known: Known) -> None:
    by = {"content": bytes(32), "extractor": "exif", "mode": "fast"}
    rows = [
        {**by, "version": "9", "name": "camera.make", "text": "Zeta"},
        {**by, "version": "9", "name": "camera.model", "text": "3"},
        {**by, "version": "10", "name": "camera.make", "text": "Alpha"},
        {**by, "version": "11", "name": "exif", "missing": "limit reached", "detail": "memory"},
    ]
    put(known.case, "traits", rows, "intake")
    assert facts.of(known.case, bytes(32)) == {"make": "Alpha", "found": 0, "exhibits": [], "places": []}


def test_a_damaged_picture_and_a_place_in_doubt_are_said(known: Known) -> None:
    by = {"content": bytes(32), "extractor": "dimensions", "mode": "fast", "version": "2"}
    put(known.case, "traits", [{**by, "name": "image.damaged", "integer": 1}], "intake")
    places = {"1": ("live", "complete"), "2": ("deleted", "complete"), "3": ("deleted", "complete")}
    names = [{"item": item, "path": item.encode(), "name_state": state} for item, (state, _) in places.items()]
    put(known.case, "listings", names, "intake")
    rows = [{"item": item, "sha256": bytes(32), "content_state": claim} for item, (_, claim) in places.items()]
    put(known.case, "contents", [*rows, rows[2] | {"content_state": "overwritten possible"}], "intake")
    told = facts.of(known.case, bytes(32))
    assert (told["damaged"], told["found"]) == (1, 3)
    assert [place["state"] for place in told["places"]] == ["live", "deleted", "deleted, overwritten possible"]
