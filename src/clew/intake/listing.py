"""Enumeration: what a Source finds becomes batches with fixed members, each committed together with the cursor behind
it.
"""

import hashlib
import json
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pyarrow.parquet as pq

from clew.core import clock, shards
from clew.core.case import Case
from clew.core.failpoints import failpoint
from clew.intake.api import Ask, Found, Note, Part, Session, Source
from clew.intake.refs import item_id
from clew.model import ItemState

CONFIG = "listing"
MOST_NOTES = 5_000
MOST_BYTES = (1 << 63) - 1  # of a column; a hostile disk may claim more in sum


@dataclass(frozen=True, slots=True)
class BatchSize:
    """When a batch closes."""

    items: int = 2_000
    bytes: int = 256 << 20


@dataclass(slots=True)
class Draft:
    """What was found since the last commit of one part."""

    found: list[Found] = field(default_factory=list)
    notes: Counter[str] = field(default_factory=Counter)
    bytes: int = 0
    events: int = 0

    def take(self, event: Found | Note) -> None:
        """Adds one event."""
        self.events += 1
        if isinstance(event, Note):
            self.notes.update(event.counts)
        else:
            self.found.append(event)
            self.bytes += event.size

    def full(self, size: BatchSize) -> bool:
        """Whether it is time to commit."""
        return len(self.found) >= size.items or self.bytes >= size.bytes or self.events >= MOST_NOTES + size.items


@dataclass(frozen=True, slots=True)
class Lister:
    """Enumerates one Exhibit into its case."""

    case: Case
    exhibit: str
    source: Source
    mandate: str
    size: BatchSize
    told: Callable[[int, int], None]  # items and bytes found by one commit

    def run(self, session: Session, ask: Ask) -> None:
        """Every part that is not done yet, each from its cursor."""
        for part in session.parts(ask):
            row = self._row(part)
            if row is not None and row["done_ns"] is not None:
                continue
            if part.missing is not None:
                missing = {"missing": str(part.missing.reason), "missing_detail": part.missing.detail}
                self._commit(session, part, Draft(), "", {**part.detail, **missing}, done=True)
                continue
            self._part(session, part, row, ask)

    def _part(self, session: Session, part: Part, row: sqlite3.Row | None, ask: Ask) -> None:
        cursor = row["cursor"] if row is not None else ""
        detail = json.loads(row["detail"]) if row is not None else dict(part.detail)
        draft = Draft()
        for event in session.items(part, cursor, self._seen, ask):
            draft.take(event)
            cursor = event.cursor
            if draft.full(self.size):
                self._commit(session, part, draft, cursor, detail, done=False)
                draft = Draft()
        self._commit(session, part, draft, cursor, detail, done=True)

    def _row(self, part: Part) -> sqlite3.Row | None:
        sql = "SELECT * FROM exhibit_runs WHERE exhibit=? AND part=?"
        row: sqlite3.Row | None = self.case.read().execute(sql, (self.exhibit, part.name)).fetchone()
        return row

    def _seen(self, prefix: str) -> Iterator[str]:
        sql = "SELECT ref FROM listings WHERE exhibit=? AND starts_with(ref, ?)"
        for chunk in shards.query(self.case, sql, (self.exhibit, prefix)).to_batches():
            yield from chunk.column(0).to_pylist()

    def _commit(
        self, session: Session, part: Part, draft: Draft, cursor: str, detail: dict[str, Any], *, done: bool
    ) -> None:
        """The listing shard, the batch, its items and the cursor: all of it or nothing."""
        failpoint("intake.listing.before")
        if part.missing or any(found.state is ItemState.UNREADABLE for found in draft.found):
            session.check()
        members = self._members(draft)
        batch = hashlib.sha256("\n".join([self.exhibit, part.name, *members]).encode()).hexdigest()[:32]
        rows = [self._listing(item, found, batch) for item, found in members.items()]
        pending = [shards.write(self.case, "listings", rows)] if rows else []
        for what, count in draft.notes.items():
            notes = detail.setdefault("notes", {})
            notes[what] = notes.get(what, 0) + count
        now = clock.now().utc_ns
        with self.case.write("intake") as tx:
            if rows:
                versions = f"{self.source.name} {self.source.version}"
                shards.commit(tx, stage="intake", batch=batch, versions=versions, config=CONFIG, pending=pending)
                size = min(draft.bytes, MOST_BYTES)
                tx.execute("INSERT INTO batches VALUES (?,?,?,?,?)", (batch, self.exhibit, len(rows), size, now))
                sql = "INSERT INTO items (id, exhibit, batch, state, reason, detail, size) VALUES (?,?,?,?,?,?,?)"
                tx.executemany(sql, [_item(item, self.exhibit, batch, found) for item, found in members.items()])
            values = (self.exhibit, part.name, cursor, now if done else None, json.dumps(detail, sort_keys=True))
            tx.execute("INSERT OR REPLACE INTO exhibit_runs VALUES (?,?,?,?,?)", values)
            states = Counter(f"{found.state}" for found in members.values())
            about = {"exhibit": self.exhibit, "part": part.name, "batch": batch if rows else None}
            action = "batch.listed" if rows else "part.listed"
            tx.record(action, subject=about, counts={"items": len(rows), **states}, mandate=self.mandate)
        failpoint("intake.listing.after")
        self.told(len(rows), draft.bytes)

    def _members(self, draft: Draft) -> dict[str, Found]:
        """By id, without what this or an earlier batch holds already."""
        members = {item_id(self.exhibit, found.ref): found for found in draft.found}
        known = self.case.read()
        sql = "SELECT 1 FROM items WHERE id=?"
        return {item: found for item, found in members.items() if known.execute(sql, (item,)).fetchone() is None}

    def _listing(self, item: str, found: Found, batch: str) -> dict[str, Any]:
        return {
            "item": item,
            "exhibit": self.exhibit,
            "batch": batch,
            "ref": found.ref,
            "path": found.path,
            "size": found.size,
            "name_state": str(found.name_state),
            "content_state": str(found.content_state),
            "parent": item_id(self.exhibit, found.parent) if found.parent else None,
            "found_by": f"{self.source.name} {self.source.version}: {found.found_by}",
            "modified_ns": found.modified_ns,
            "accessed_ns": found.accessed_ns,
            "changed_ns": found.changed_ns,
            "born_ns": found.born_ns,
            "runs": json.dumps(found.runs) if found.runs is not None else None,
            "times_source": found.times_source,
        }


def listed(case: Case, batch: str) -> list[dict[str, Any]]:
    """The listing rows of one batch, read from its own shard alone."""
    sql = """SELECT s.path FROM shards s JOIN receipts r ON s.receipt = r.id
             WHERE r.stage='intake' AND r.batch=? AND r.config=? AND s.kind='listings'"""
    rows: list[dict[str, Any]] = []
    for shard in case.read().execute(sql, (batch, CONFIG)):
        rows += pq.read_table(case.folder / shard["path"]).to_pylist()
    return rows


def _item(item: str, exhibit: str, batch: str, found: Found) -> tuple[Any, ...]:
    missing = found.missing
    reason, detail = (str(missing.reason), missing.detail) if missing else (None, None)
    return item, exhibit, batch, str(found.state), reason, detail, found.size
