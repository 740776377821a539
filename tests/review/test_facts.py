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
    told = {
        "make": "Alpha",
        "found": 0,
        "exhibits": [],
        "places": [],
        "says": [],
        "also": [],
        "missing": ["exif: limit reached: memory"],
    }
    assert facts.of(known.case, bytes(32)) == told


def test_what_may_lead_to_a_place_or_a_person_is_told_and_what_is_missing_too(known: Known) -> None:
    by = {"content": bytes(32), "extractor": "exif", "version": "3"}
    rows = [
        {**by, "name": "camera.serial", "text": "3001234"},
        {**by, "name": "camera.owner", "text": "A. Example"},
        {**by, "name": "gps.latitude", "number": 47.0666667},
        {**by, "name": "gps.longitude", "missing": "unparsable", "detail": "east or west is not said"},
        {**by, "name": "time.original", "text": "2026:03:01 14:00:00"},
        {**by, "name": "time.original", "text": "2026:03:02 14:00:00"},
        {**by, "name": "xmp.author", "text": "x" * 401},
        {**by, "extractor": "frames", "name": "image.frames", "integer": 3},
        {**by, "extractor": "pdq", "name": "pdq.quality", "integer": 100},
        {**by, "extractor": "dimensions", "name": "image.damaged", "integer": 1},
        {**by, "extractor": "torrent", "name": "p2p.entry", "text": "{}"},
    ]
    put(known.case, "traits", rows, "intake")
    told = facts.of(known.case, bytes(32))
    assert (told["taken"], told["damaged"]) == ("2026:03:01 14:00:00", 1)
    assert told["says"] == [
        "camera.owner: A. Example",
        "camera.serial: 3001234",
        "gps.latitude: 47.0666667",
        "time.original: 2026:03:02 14:00:00",
        f"xmp.author: {'x' * 400}…",
    ]
    assert told["also"] == ["image.frames: 3"]
    assert told["missing"] == ["gps.longitude: unparsable: east or west is not said"]


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
