"""Every Item of an Exhibit by name, whatever it is counted under: its state, how it was found, what type it is."""

import json
from collections.abc import Collection, Iterator
from typing import Any

from clew.core import shards
from clew.core.case import Case
from clew.core.places import named
from clew.intake.doubtful import READ
from clew.intake.families import ORDER, family
from clew.intake.mediatype import RETYPED
from clew.intake.relist import taken_back
from clew.model import ContentState, ItemState, NameState

ROWS = 50_000  # Items in memory
WORDS = tuple(dict.fromkeys([*ItemState, *NameState, *ContentState, *ORDER]))  # that `items` can be asked `only` for
_LISTED = f"""
SELECT l.item, l.ref, l.path, l.size, l.name_state, l.found_by, r.content_state, r.media_type,
  lower(hex(r.sha256)) AS sha256, r.item IS NOT NULL AS read, a.type_again
FROM (
  SELECT * FROM listings WHERE exhibit=$exhibit AND (path, item) > ($path, $item) ORDER BY path, item LIMIT $rows
) l LEFT JOIN ({READ}) r USING (item) LEFT JOIN (
  SELECT content, min(text) AS type_again FROM traits WHERE name = $again GROUP BY content
) a ON a.content = r.sha256 AND a.type_again IS DISTINCT FROM r.media_type ORDER BY l.path, l.item
"""  # noqa: S608 - our own words
_STATES = "SELECT id, state, reason, detail FROM items WHERE id IN (SELECT value FROM json_each(?))"


def items(case: Case, exhibit: str, only: Collection[str] = ()) -> Iterator[dict[str, Any]]:
    """One Exhibit's in order of path, those that are counted under each word of `only`: its state, and but for what is
    listed under another name since, its name's, its content's, and the family of its type once it was hashed.
    """
    twice = taken_back(case, exhibit)
    after: dict[str, Any] = {"path": b"", "item": ""}
    asked = {"exhibit": exhibit, "twice": sorted(twice), "rows": ROWS, "again": RETYPED["name"]}
    while rows := shards.query(case, _LISTED, asked | after).to_pylist():
        states = case.read().execute(_STATES, (json.dumps([row["item"] for row in rows]),))
        said = {row["id"]: {name: row[name] for name in ("state", "reason", "detail")} for row in states}
        after = {name: rows[-1][name] for name in after}
        for row in rows:
            told = _told(row | said[row["item"]])
            names = ("state",) if row["item"] in twice else ("state", "name_state", "content_state", "family")
            if {told[name] for name in names}.issuperset(only):
                yield told


def _told(row: dict[str, Any]) -> dict[str, Any]:
    kind = family(row["media_type"]) if row.pop("read") else None
    return {**row, **named(row["path"]), "family": kind}
