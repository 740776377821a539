"""What the case knows of archives that were listed: in which parts, by which of their contents, and what came out.

An archive that could be read in part only is listed as far as that goes. Where a later attempt reads more of it, it is
listed again: what is new becomes Items, what is known stays as it is, and what stood for its rest is closed.
"""

import json
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from clew.core import shards
from clew.core.case import Case
from clew.intake.archives.kinds import FILM
from clew.intake.archives.members import BROKEN
from clew.intake.refs import unnumbered
from clew.model import ContentState, ItemState

PART = "archives:"
REST = "the rest of this archive, "  # how the detail of what stands for it begins
# Members and bytes to be read by outermost archive; what stands for the rest of an archive counts as one.
_SPENT = """
SELECT split_part(ref, '!', 1) AS root, count(*) AS members,
       sum(CASE WHEN content_state = 'unreadable' THEN 0 ELSE size END) AS bytes
FROM listings WHERE exhibit=? AND contains(ref, '!')
GROUP BY root
"""
_RESTS = "SELECT id FROM items WHERE exhibit=? AND state=? AND substr(detail, 1, ?)=?"
_PARENTS = "SELECT DISTINCT parent FROM listings WHERE exhibit=$exhibit AND item IN (SELECT unnest($items))"
_FILMS = """
SELECT DISTINCT content FROM traits
WHERE name=? AND missing IS NULL AND content IN (SELECT sha256 FROM contents WHERE exhibit=?)
"""
_CHILDREN = "SELECT item, ref, content_state FROM listings WHERE exhibit=? AND parent=?"


@dataclass(slots=True)
class Spent:
    """What was expanded so far of one outermost archive."""

    members: int = 0
    bytes: int = 0


@dataclass(frozen=True, slots=True)
class Listed:
    """What was listed of one archive before. `refs` of its members, without their numbers where they say at which byte
    they begin; `rests` stand for the members that could not be listed, each with why; `stands` are these and stretches
    without a header.
    """

    refs: frozenset[str]
    rests: Mapping[str, str]
    stands: frozenset[str]

    def holds(self, ref: str, placed: str) -> bool:
        """Whether that member is known, be it under another number: `placed` is its ref with where it begins."""
        return ref in self.refs or unnumbered(placed) in self.refs


def spent(case: Case, exhibit: str) -> dict[str, Spent]:
    """What each outermost archive has cost so far, by its ref."""
    rows = shards.query(case, _SPENT, (exhibit,)).to_pylist()
    return {row["root"]: Spent(row["members"], int(row["bytes"])) for row in rows}


def listed(case: Case, exhibit: str, archive: str) -> Listed:
    """Of the archive whose Item that is."""
    refs: set[str] = set()
    rests: dict[str, str] = {}
    stretches: set[str] = set()
    for chunk in shards.query(case, _CHILDREN, (exhibit, archive)).to_batches():
        for row in chunk.to_pylist():
            why = _why(case, row["item"]) if row["content_state"] == ContentState.UNREADABLE else ""
            if why.startswith(REST):
                rests[row["ref"]] = why
                continue
            refs.add(unnumbered(row["ref"]) or row["ref"])
            stretches.update([row["ref"]] if why == BROKEN.detail else ())
    return Listed(frozenset(refs), rests, frozenset({*stretches, *rests}))


def parts(case: Case, exhibit: str) -> list[sqlite3.Row]:
    """Rows of `exhibit_runs`."""
    sql = "SELECT part, detail, done_ns FROM exhibit_runs WHERE exhibit=? AND substr(part, 1, ?)=? ORDER BY part"
    return case.read().execute(sql, (exhibit, len(PART), PART)).fetchall()


def items(part: sqlite3.Row) -> list[str]:
    """The archives of a part."""
    return [item for item, _ in _contents(part)]


def done(rows: list[sqlite3.Row]) -> dict[str, list[str]]:
    """Archives that were listed, each with the content (hexadecimal) that it was listed by each time, "" where that is
    not said.
    """
    found: dict[str, list[str]] = {}
    for row in rows:
        if row["done_ns"] is not None:
            for item, content in _contents(row):
                found.setdefault(item, []).append(content)
    return found


def films(case: Case, exhibit: str) -> list[bytes]:
    """The Contents (SHA-256) of this Exhibit that are pictures with a film in them."""
    found: list[bytes] = shards.query(case, _FILMS, (FILM, exhibit)).column(0).to_pylist()
    return found


def broken_off(case: Case, exhibit: str) -> set[str]:
    """Archives, as Items, of which something still stands for a rest that could not be listed."""
    rests = case.read().execute(_RESTS, (exhibit, ItemState.UNREADABLE, len(REST), REST)).fetchall()
    asked = {"exhibit": exhibit, "items": [row["id"] for row in rests]}
    return set(shards.query(case, _PARENTS, asked).column(0).to_pylist()) if rests else set()


def _contents(part: sqlite3.Row) -> Iterator[tuple[str, str]]:
    detail = json.loads(part["detail"])
    archives = detail["archives"]
    return zip(archives, detail.get("contents") or [""] * len(archives), strict=True)


def _why(case: Case, item: str) -> str:
    """The detail of an Item that is unreadable."""
    sql = "SELECT detail FROM items WHERE id=? AND state=?"
    row = case.read().execute(sql, (item, ItemState.UNREADABLE)).fetchone()
    return "" if row is None else str(row["detail"])
