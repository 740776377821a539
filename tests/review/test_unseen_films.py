"""`clew show unseen`: films and pictures that no page shows, by name."""

import json
from collections.abc import Callable

from review_page import Known, hit

from facts_case import put


def test_a_film_that_no_page_lists_is_named(known: Known, printed: Callable[..., str]) -> None:
    folder, film, text = str(known.case.folder), bytes([7]) * 32, bytes([8]) * 32
    for content, kind in ((film, "video/mp4"), (text, "text/plain")):
        where = {"item": content.hex()[:32], "exhibit": "x"}
        put(known.case, "listings", [where | {"path": b"DCIM/a\n.mp4", "name_state": "deleted"}], "intake")
        put(known.case, "contents", [where | {"sha256": content, "size": 1234, "media_type": kind}], "intake")
    by = {"content": film, "extractor": "video", "version": "2"}
    lacking = {"name": "video.pdq", "missing": "limit reached", "detail": "5 of 6"}
    put(known.case, "traits", [by | {"name": "video.duration", "number": 2.0}, by | lacking], "intake")
    lines = [
        line for line in printed("show", "unseen", folder).splitlines() if known.pictureless.hex()[:12] not in line
    ]
    bad = "\N{REPLACEMENT CHARACTER}"
    assert lines == [
        f"070707070707  x  DCIM/a{bad}.mp4 (deleted): video/mp4, 1,234 bytes, 2.0 s; on no page",
        "  video.pdq: limit reached: 5 of 6",
    ]
    hit(known.case, film)
    told = [json.loads(line) for line in printed("show", "unseen", folder, "--json").splitlines()]
    assert {each["content"]: each["known"] for each in told}[film.hex()] is True
    assert "known: on the page in words" in printed("show", "unseen", folder)
