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
