"""What the case knows of archives that were listed: in which parts, by which of their contents, and what came out.

An archive that could be read in part only is listed as far as that goes. Where a later attempt reads more of it, it is
listed again: what is new becomes Items, what is known stays as it is, and what stood for its rest is closed.
"""

import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass

from clew.core import shards
from clew.core.case import Case
from clew.intake.archives.members import BROKEN
from clew.intake.refs import unnumbered
from clew.model import ContentState, ItemState

PART = "archives:"
REST = "the rest of this archive, "  # how the detail of what stands for it begins
_CHILDREN = "SELECT item, ref, content_state FROM listings WHERE exhibit=? AND parent=?"


@dataclass(frozen=True, slots=True)
class Listed:
    """What was listed of one archive before. `refs` of its members, without their numbers where they say at which byte
    they begin; `rests` stand for the members that could not be listed, `stands` are these and stretches without
    a header.
    """

    refs: frozenset[str]
    rests: tuple[str, ...]
    stands: frozenset[str]

    def holds(self, ref: str, placed: str) -> bool:
        """Whether that member is known, be it under another number: `placed` is its ref with where it begins."""
        return ref in self.refs or unnumbered(placed) in self.refs


def listed(case: Case, exhibit: str, archive: str) -> Listed:
    """Of the archive whose Item that is."""
    refs: set[str] = set()
    rests: list[str] = []
    stretches: set[str] = set()
    for chunk in shards.query(case, _CHILDREN, (exhibit, archive)).to_batches():
        for row in chunk.to_pylist():
            why = _why(case, row["item"]) if row["content_state"] == ContentState.UNREADABLE else ""
            if why.startswith(REST):
                rests.append(row["ref"])
                continue
            refs.add(unnumbered(row["ref"]) or row["ref"])
            stretches.update([row["ref"]] if why == BROKEN.detail else ())
    return Listed(frozenset(refs), tuple(sorted(rests)), frozenset({*stretches, *rests}))


def parts(case: Case, exhibit: str) -> list[sqlite3.Row]:
    """Rows of `exhibit_runs`."""
    sql = "SELECT part, detail, done_ns FROM exhibit_runs WHERE exhibit=? AND substr(part, 1, ?)=? ORDER BY part"
    return case.read().execute(sql, (exhibit, len(PART), PART)).fetchall()


def items(part: sqlite3.Row) -> list[str]:
    """The archives of a part."""
    return [item for item, _ in _contents(part)]


def done(rows: list[sqlite3.Row]) -> dict[str, set[str]]:
    """Archives that were listed, each with the contents (hexadecimal) that it was listed by, as far as that is said."""
    found: dict[str, set[str]] = {}
    for row in rows:
        if row["done_ns"] is not None:
            for item, content in _contents(row):
                found.setdefault(item, set()).update([content] if content else ())
    return found


def _contents(part: sqlite3.Row) -> Iterator[tuple[str, str]]:
    detail = json.loads(part["detail"])
    archives = detail["archives"]
    return zip(archives, detail.get("contents") or [""] * len(archives), strict=True)


def _why(case: Case, item: str) -> str:
    """The detail of an Item that is unreadable."""
    sql = "SELECT detail FROM items WHERE id=? AND state=?"
    row = case.read().execute(sql, (item, ItemState.UNREADABLE)).fetchone()
    return "" if row is None else str(row["detail"])
