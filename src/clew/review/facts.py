"""What is known of a Content in words, so that it need not always be looked at: read from the shards on demand."""

from typing import Any

from clew.core import shards
from clew.core.case import Case
from clew.core.places import standing
from clew.model import ContentState

MOST_PLACES = 3

_SHOWN = {
    "image.width": "width",
    "image.height": "height",
    "image.damaged": "damaged",
    "video.width": "width",
    "video.height": "height",
    "video.duration": "seconds",
    "camera.make": "make",
    "camera.model": "model",
    "time.original": "taken",
}
_SAID = shards.newest("content = ? AND missing IS NULL")
_TRAITS = f"SELECT DISTINCT name, text, number, integer FROM {_SAID} ORDER BY ALL"  # noqa: S608 - our own words
_PLACES = (
    "SELECT c.sha256 AS content, c.exhibit, c.item, l.path, l.name_state, c.content_state, c.media_type, c.size FROM"
    " (SELECT DISTINCT ON (item) * FROM contents WHERE sha256 = ?"
    "  ORDER BY item, content_state = 'partial', content_state = 'complete') c"
    " LEFT JOIN listings l ON l.item = c.item ORDER BY c.exhibit, l.path, c.item"
)


def of(case: Case, content: bytes) -> dict[str, Any]:
    """Media type, size in bytes, width and height in pixels, seconds, camera, time as written, and where it was found;
    `damaged` is 1 where the decoder made up pixels.

    A key is absent where nothing is known of it; `places` are at most three of `found` places.
    """
    facts: dict[str, Any] = {}
    for row in shards.query(case, _TRAITS, [content]).to_pylist():
        value = next((row[k] for k in ("text", "number", "integer") if row[k] is not None), None)
        if value is not None and row["name"] in _SHOWN:
            facts[_SHOWN[row["name"]]] = value
    places = list(standing(case, shards.query(case, _PLACES, [content]).to_pylist()))
    labels = {row["id"]: row["label"] for row in case.read().execute("SELECT id, label FROM exhibits")}
    facts["found"] = len(places)
    facts["exhibits"] = sorted({labels.get(place["exhibit"], place["exhibit"]) for place in places})
    facts["places"] = [
        {"path": (place["path"] or b"").decode("utf-8", "replace"), "state": _state(place)}
        for place in places[:MOST_PLACES]
    ]
    if places:
        facts["media_type"], facts["size"] = places[0]["media_type"], places[0]["size"]
    return facts


def _state(place: dict[str, Any]) -> str:
    """Of its name, and of what lay there where that may not be all, or not its own."""
    claim = place["content_state"]
    return ", ".join(each for each in (place["name_state"], claim if claim != ContentState.COMPLETE else None) if each)
