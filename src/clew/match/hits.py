"""Every Content that an alert or reference set knows, by name: by which Hits, and at which places it was found."""

from collections.abc import Iterator
from itertools import groupby, islice
from typing import Any

from clew.core import hits as said
from clew.core import shards
from clew.core.case import Case
from clew.core.places import labels, named, standing

CONTENTS = 10_000  # asked of the shards at once
ROWS = 50_000  # places in memory
PLACES = 1_000  # of one Content in one piece

_ALERT = (
    "SELECT DISTINCT content FROM hits WHERE kind = 'alert' AND state = 'stands' AND content > ?"
    " ORDER BY content LIMIT ?"
)
_OTHERS = (
    "SELECT DISTINCT content FROM hits h WHERE kind <> 'known-good' AND content > ? AND NOT EXISTS (SELECT 1 FROM hits"
    " WHERE content = h.content AND kind = 'alert' AND state = 'stands') ORDER BY content LIMIT ?"
)
_KNOWN_GOOD = (
    "SELECT s.name AS hashset, h.kind, h.state, h.algorithm, count(DISTINCT h.content) AS contents FROM hits h"
    " JOIN hashsets s ON s.id = h.hashset WHERE h.kind = 'known-good' GROUP BY s.name, h.state, h.algorithm"
    " ORDER BY s.name, h.state, h.algorithm"
)
_PLACES = """
WITH found AS (
  SELECT DISTINCT ON (sha256, item) sha256, item, exhibit, size, media_type, content_state
  FROM contents WHERE sha256 IN (SELECT unnest($contents))
  ORDER BY sha256, item, content_state = 'partial', content_state = 'complete'
), placed AS (
  SELECT a.content, coalesce(list_position($exhibits::VARCHAR[], f.exhibit), 0) AS nth,
    coalesce(l.path, ''::BLOB) AS path, coalesce(f.item, '') AS item, f.exhibit, f.size, f.media_type, f.content_state,
    l.name_state
  FROM (SELECT unnest($contents) AS content) a LEFT JOIN found f ON f.sha256 = a.content
    LEFT JOIN listings l ON l.item = f.item
)
SELECT * FROM placed WHERE (content, nth, path, item) > ($content, $nth, $path, $item)
ORDER BY content, nth, path, item LIMIT $rows
"""


def hits(case: Case) -> Iterator[dict[str, Any]]:
    """Those with a Hit of an alert set that stands first, then the others, each in order of their SHA-256.

    Of known-good sets see `known_good`: what they alone know is not here. A Content with very many places comes in
    several pieces, each with its Hits and further places.
    """
    exhibits = labels(case)
    for contents in _contents(case):
        placed = standing(case, _places(case, contents, list(exhibits)))
        for content, rows in groupby(placed, lambda row: bytes(row["content"])):
            told = [_hit(row) for row in said.of(case.read(), content)]
            while piece := list(islice(rows, PLACES)):
                facts = {"size": piece[0]["size"], "media_type": piece[0]["media_type"]}
                places = [_place(row, exhibits) for row in piece if row["item"]]
                yield {"content": content.hex(), **facts, "hits": told, "places": places}


def known_good(case: Case) -> list[dict[str, Any]]:
    """How many Contents each known-good set knows, by which hash, and whether that stands or is listed alone."""
    return [dict(row) for row in case.read().execute(_KNOWN_GOOD)]


def _contents(case: Case) -> Iterator[list[bytes]]:
    for sql in (_ALERT, _OTHERS):
        last = b""
        while chunk := [bytes(row["content"]) for row in case.read().execute(sql, (last, CONTENTS))]:
            yield chunk
            last = chunk[-1]


def _places(case: Case, contents: list[bytes], exhibits: list[str]) -> Iterator[dict[str, Any]]:
    """Where these Contents were found, in order: of one without any place one row without an item."""
    after: dict[str, Any] = {"content": b"", "nth": 0, "path": b"", "item": ""}
    asked = {"contents": contents, "exhibits": exhibits, "rows": ROWS}
    while rows := shards.query(case, _PLACES, asked | after).to_pylist():
        yield from rows
        after = {name: rows[-1][name] for name in after}


def _hit(row: dict[str, Any]) -> dict[str, Any]:
    kept = ("kind", "state", "algorithm", "distance", "mode", "part", "entry")
    category = {name: row[name] for name in ("scheme", "country", "version", "code")}
    told = {"hashset": row["name"], **{name: row[name] for name in kept}, "said": said.words(row)}
    return told | {"category": category if row["code"] is not None else None}


def _place(row: dict[str, Any], exhibits: dict[str, str]) -> dict[str, Any]:
    told = {name: row[name] for name in ("item", "name_state", "content_state")}
    return {"exhibit": exhibits.get(row["exhibit"], row["exhibit"]), **named(row["path"]), **told}
