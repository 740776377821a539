"""Enumeration: what a Source finds becomes batches with fixed members, each committed together with the cursor behind
it.

What is live and what is not go into batches apart: whether the bytes of a deleted Item are its own can be said only
once everything is listed.
"""

import hashlib
import json
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from clew.core import clock, shards
from clew.core.case import Case, Transaction
from clew.core.failpoints import failpoint
from clew.intake import crossed, relist
from clew.intake.api import Ask, Found, Note, Part, Session, Source
from clew.intake.basis import Basis
from clew.intake.refs import item_id
from clew.intake.relist import LISTED_SINCE
from clew.intake.since import SINCE
from clew.model import ItemState, NameState, Reason

CONFIG = "listing"
MOST_NOTES = 5_000
MOST_NAMED = 16 << 20  # bytes of the paths and refs of one batch: a name may have 256 KiB, of an archive in an archive
MOST_BYTES = (1 << 63) - 1  # of a column; a hostile disk may claim more in sum

T = TypeVar("T")


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
    named: int = 0
    closed: list[str] = field(default_factory=list)  # refs of what stood for what is listed now

    def take(self, event: Found | Note) -> None:
        """Adds one event."""
        self.events += 1
        if isinstance(event, Note):
            self.notes.update(event.counts)
            self.closed += event.listed
        else:
            self.found.append(event)
            self.bytes += event.size
            self.named += len(event.path) + len(event.ref)

    def full(self, size: BatchSize) -> bool:
        """Whether it is time to commit."""
        most = len(self.found) >= size.items or self.bytes >= size.bytes or self.named >= MOST_NAMED
        return most or self.events >= MOST_NOTES + size.items


@dataclass(frozen=True, slots=True)
class Made:
    """One batch about to be committed."""

    id: str
    waits: bool
    members: dict[str, Found]
    pending: shards.Pending


@dataclass(frozen=True, slots=True)
class Lister:
    """Enumerates one Exhibit into its case."""

    case: Case
    exhibit: str
    source: Source
    basis: Basis
    size: BatchSize
    told: Callable[[int, int], None]  # items to be read and their bytes, found by one commit
    apart: dict[str, Mapping[str, Any]] = field(default_factory=dict)  # details of parts whose files share no cluster

    def steps(self, session: Session, ask: Ask) -> Iterator[tuple[str, ...]]:
        """Every part that is not done yet, each from its cursor: one step a thing found. A step names the batches that
        it made and that can be read at once.
        """
        shown: list[Part] = []
        for part in session.parts(ask):
            shown.append(part)
            if part.missing is None and crossed.apart(part.detail):
                self.apart[part.name] = part.detail
            row = self._row(part)
            if row is not None and part.missing is None and "missing" in json.loads(row["detail"]):
                # it could not be listed, and can be now
                yield from self._part(session, replace(part, detail={**part.detail, relist.UNJUDGED: True}), None, ask)
                continue
            if row is not None and row["done_ns"] is not None:
                continue
            if part.missing is not None and row is not None and "anew" in json.loads(row["detail"]):
                # what it lost is still to be listed
                relist.not_now(self.case, self.exhibit, part, self.basis.require())
                continue
            if part.missing is not None:
                missing = {"missing": str(part.missing.reason), "missing_detail": part.missing.detail}
                yield self._commit(session, part, Draft(), "", {**part.detail, **missing}, done=True)
                continue
            yield from self._part(session, part, row, ask)
        relist.settle(self.case, self.exhibit, shown, self.basis.require())

    def _part(self, session: Session, part: Part, row: sqlite3.Row | None, ask: Ask) -> Iterator[tuple[str, ...]]:
        cursor = row["cursor"] if row is not None else ""
        detail = json.loads(row["detail"]) if row is not None else dict(part.detail)
        if "anew" in detail:  # it may be described otherwise than when something of it was lost
            detail = {**part.detail, **{name: detail[name] for name in ("anew", "notes", SINCE) if name in detail}}
            detail["anew"] = True
        draft = Draft()
        for event in session.items(part, cursor, self._seen, ask):
            draft.take(event)
            cursor = event.cursor
            if draft.full(self.size):
                yield self._commit(session, part, draft, cursor, detail, done=False)
                draft = Draft()
            else:
                yield ()
        yield self._commit(session, part, draft, cursor, detail, done=True)

    def _row(self, part: Part) -> sqlite3.Row | None:
        sql = "SELECT * FROM exhibit_runs WHERE exhibit=? AND part=?"
        row: sqlite3.Row | None = self.case.read().execute(sql, (self.exhibit, part.name)).fetchone()
        return row

    def _seen(self, prefix: str, make: Callable[[Iterator[str]], T]) -> T:
        sql = "SELECT ref FROM listings WHERE exhibit=? AND starts_with(ref, ?)"
        return shards.take(self.case, sql, lambda rows: make(ref for (ref,) in rows), (self.exhibit, prefix))

    def _commit(
        self, session: Session, part: Part, draft: Draft, cursor: str, detail: dict[str, Any], *, done: bool
    ) -> tuple[str, ...]:
        """The listing shards, the batches, their items and the cursor: all of it or nothing."""
        failpoint("intake.listing.before")
        if done or any(found.state is ItemState.UNREADABLE for found in draft.found):
            session.check()  # what is not there any more must not be taken for all there was
        members = self._members(draft)
        met = self._met(draft, members)
        made = [self._made(part, members, waits=waits) for waits in (False, True)]
        for what, count in draft.notes.items():
            notes = detail.setdefault("notes", {})
            notes[what] = notes.get(what, 0) + count
        with self.case.write("intake") as tx:
            for batch in filter(None, made):
                self._enter(tx, part, batch)
            now = clock.now().utc_ns
            values = (self.exhibit, part.name, cursor, now if done else None, json.dumps(detail, sort_keys=True))
            tx.execute("INSERT OR REPLACE INTO exhibit_runs VALUES (?,?,?,?,?)", values)
            self._close(tx, part, draft.closed)
            relist.lost_again(tx, met)
            if not members:
                about = {"exhibit": self.exhibit, "part": part.name}
                tx.record("part.listed", subject=about, mandate=self.basis.require())
        failpoint("intake.listing.after")
        sizes = [found.size for found in members.values() if found.state is ItemState.OPEN]
        self.told(len(sizes), sum(sizes))
        return tuple(batch.id for batch in made if batch is not None and not batch.waits)

    def _made(self, part: Part, members: dict[str, Found], *, waits: bool) -> Made | None:
        """The batch of what can be read at once, or of what waits; None where there is none."""
        mine = {item: found for item, found in members.items() if (found.name_state is not NameState.LIVE) is waits}
        if not mine:
            return None
        batch = hashlib.sha256("\n".join([self.exhibit, part.name, *mine]).encode()).hexdigest()[:32]
        rows = [self._listing(item, found, batch) for item, found in mine.items()]
        return Made(batch, waits, mine, shards.write(self.case, "listings", rows))

    def _enter(self, tx: Transaction, part: Part, batch: Made) -> None:
        versions = f"{self.source.name} {self.source.version}"
        shards.commit(tx, stage="intake", batch=batch.id, versions=versions, config=CONFIG, pending=[batch.pending])
        size = min(sum(found.size for found in batch.members.values()), MOST_BYTES)
        values = (batch.id, self.exhibit, len(batch.members), size, clock.now().utc_ns, batch.waits)
        tx.execute("INSERT INTO batches (id, exhibit, members, bytes, made_ns, waits) VALUES (?,?,?,?,?,?)", values)
        sql = "INSERT INTO items (id, exhibit, batch, state, reason, detail, size) VALUES (?,?,?,?,?,?,?)"
        tx.executemany(sql, [_item(item, self.exhibit, batch.id, found) for item, found in batch.members.items()])
        states = Counter(f"{found.state}" for found in batch.members.values())
        about = {"exhibit": self.exhibit, "part": part.name, "batch": batch.id}
        counts = {"items": len(batch.members), **states}
        tx.record("batch.listed", subject=about, counts=counts, mandate=self.basis.require())

    def _close(self, tx: Transaction, part: Part, refs: list[str]) -> None:
        """Items that stood for others which are listed now are unreadable no more."""
        if not refs:
            return
        sql = "UPDATE items SET state=?, reason=?, detail=? WHERE id=? AND state=?"
        now = str(ItemState.SKIPPED), str(Reason.NOT_APPLICABLE), LISTED_SINCE
        items = [item_id(self.exhibit, ref) for ref in refs]
        tx.executemany(sql, [(*now, item, str(ItemState.UNREADABLE)) for item in items])
        about = {"exhibit": self.exhibit, "part": part.name, "items": items}
        tx.record("rests.listed", subject=about, counts={"items": len(items)}, mandate=self.basis.require())

    def _members(self, draft: Draft) -> dict[str, Found]:
        """By id, without what this or an earlier batch holds already."""
        members = {item_id(self.exhibit, found.ref): found for found in draft.found}
        known = self.case.read()
        sql = "SELECT 1 FROM items WHERE id=?"
        return {item: found for item, found in members.items() if known.execute(sql, (item,)).fetchone() is None}

    def _met(self, draft: Draft, members: Mapping[str, Found]) -> list[tuple[str, Found]]:
        """What an earlier batch holds."""
        met = (
            ((item_id(self.exhibit, found.ref), found) for found in draft.found)
            if len(members) < len(draft.found)
            else ()
        )
        return [(item, found) for item, found in met if item not in members]

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
    return shards.rows_of(case, "listings", stage="intake", batch=batch, config=CONFIG)


def _item(item: str, exhibit: str, batch: str, found: Found) -> tuple[Any, ...]:
    missing = found.missing
    reason, detail = (str(missing.reason), missing.detail) if missing else (None, None)
    return item, exhibit, batch, str(found.state), reason, detail, found.size
