"""What is known of a Content in words, so that it need not always be looked at: read from the shards on demand."""

from typing import Any

from clew.core import shards
from clew.core.case import Case
from clew.core.places import labels, standing
from clew.model import ContentState

MOST_PLACES = 3
MOST_SAID = 400
"""Characters of one value; of what is cut, the line ends in an ellipsis."""

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
_MACHINES = ("pdq", "video.pdq", "video.keyframes", "video.frames", "entropy", "p2p", "ed2k", "pieces")
"""What only machines compare, or (of artefacts) `clew corroborate` tells: these, and what begins so."""
_OURS = ("image.film", "image.frames", "image.source", "known-good", "type.", "unopened", "video.damaged")
"""What clew, or a tool that it asked, found: these, and what begins so. All else is what the file says of itself."""
_SAID = shards.newest("content = ? AND missing IS NULL")
_TRAITS = f"SELECT DISTINCT name, text, number, integer FROM {_SAID} ORDER BY ALL"  # noqa: S608 - our own words
_LACKING = shards.newest("content = ?")
_MISSING = (
    f"SELECT DISTINCT name, missing, detail FROM {_LACKING}"  # noqa: S608 - our own words
    " WHERE missing IS NOT NULL AND (name <> 'type.second' OR NOT EXISTS (SELECT 1 FROM traits"
    " WHERE content = ? AND name = 'type.second' AND missing IS NULL)) ORDER BY ALL"  # a retry had it
)
_PLACES = (
    "SELECT c.sha256 AS content, c.exhibit, c.item, l.path, l.name_state, c.content_state, c.media_type, c.size FROM"
    " (SELECT DISTINCT ON (item) * FROM contents WHERE sha256 = ?"
    "  ORDER BY item, content_state = 'partial', content_state = 'complete') c"
    " LEFT JOIN listings l ON l.item = c.item ORDER BY c.exhibit, l.path, c.item"
)


def of(case: Case, content: bytes) -> dict[str, Any]:
    """Media type, size in bytes, width and height in pixels, seconds, camera, time as written, and where it was found.

    A key is absent where nothing is known of it; `places` are at most three of `found` places. `says` is all else
    that the file says of itself, a line a Trait, `also` what was found of it besides, `missing` what could not be had,
    `damaged` whether the decoder made up a part of the picture.
    """
    facts: dict[str, Any] = {"says": [], "also": []}
    for row in shards.query(case, _TRAITS, [content]).to_pylist():
        value = next((row[k] for k in ("text", "number", "integer") if row[k] is not None), None)
        shown = _SHOWN.get(row["name"])
        if value is not None and shown and shown not in facts:
            facts[shown] = value
        elif value is not None and not row["name"].startswith(_MACHINES):
            facts["also" if row["name"].startswith(_OURS) else "says"].append(_line(row["name"], value))
    facts["missing"] = [
        _line(row["name"], f"{row['missing']}: {row['detail']}" if row["detail"] else row["missing"])
        for row in shards.query(case, _MISSING, [content, content]).to_pylist()
    ]
    places = list(standing(case, shards.query(case, _PLACES, [content]).to_pylist()))
    exhibits = labels(case)
    facts["found"] = len(places)
    facts["exhibits"] = sorted({exhibits.get(place["exhibit"], place["exhibit"]) for place in places})
    facts["places"] = [
        {"path": (place["path"] or b"").decode("utf-8", "replace"), "state": _state(place)}
        for place in places[:MOST_PLACES]
    ]
    if places:
        facts["media_type"], facts["size"] = places[0]["media_type"], places[0]["size"]
    return facts


def _line(name: str, value: object) -> str:
    text = str(value)
    return f"{name}: {text if len(text) <= MOST_SAID else text[:MOST_SAID] + '…'}"


def _state(place: dict[str, Any]) -> str:
    """Of its name, and of what lay there where that may not be all, or not its own."""
    claim = place["content_state"]
    return ", ".join(each for each in (place["name_state"], claim if claim != ContentState.COMPLETE else None) if each)
