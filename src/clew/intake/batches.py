"""Which batches of an Exhibit are to be read, and which of their Items."""

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Set
from typing import Any

from clew.core import shards
from clew.core.case import Case
from clew.intake.listing import listed
from clew.intake.refs import MEMBER
from clew.intake.work import Due, Look
from clew.model import ItemState

_STOPPED = """
SELECT l.batch, min(l.item) AS item FROM contents c JOIN listings l USING (item)
WHERE c.exhibit=? AND c.sha256 IN (SELECT content FROM traits WHERE name='known-good')
GROUP BY c.sha256, l.batch
"""
_ANYWHERE = """
SELECT item, ref, path, size FROM listings WHERE exhibit=$exhibit AND NOT contains(ref, $member)
ORDER BY item LIMIT $most
"""


def unread(case: Case, exhibit: str, look: Look, *, waits: bool) -> list[str]:
    """Batches without a receipt for these versions, in the order in which they were made."""
    sql = "SELECT id FROM batches WHERE exhibit=? AND waits=? ORDER BY made_ns, id"
    names = [row["id"] for row in case.read().execute(sql, (exhibit, waits))]
    return [name for name in names if not _done(case, name, look)]


def due(case: Case, batch: str) -> Due:
    """A batch with its open Items; those that were tried before with other versions are open again."""
    return batch, [
        row
        for row in members(case, batch, {ItemState.OPEN, ItemState.DONE, ItemState.UNREADABLE})
        if row["state"] == ItemState.OPEN or row["attempts"]
    ]


def failed(case: Case, exhibit: str) -> Iterator[Due]:
    """What was tried and failed, as batches of their own: the receipt of the first attempt stays as it is."""
    sql = "SELECT DISTINCT batch FROM items WHERE exhibit=? AND state='unreadable' AND attempts>0"
    some = {row["batch"] for row in case.read().execute(sql, (exhibit,))}
    for batch in _as_made(case, exhibit, some):
        found = [each for each in members(case, batch, {ItemState.UNREADABLE}) if each["attempts"]]
        lines = (f"{member['item']} {member['attempts']}" for member in found)
        yield _named("retry", lines), found


def stopped(case: Case, exhibit: str, look: Look) -> Iterator[Due]:
    """Contents that a known-good set stopped, one Item of each, as batches of their own."""
    by_batch: dict[str, set[str]] = defaultdict(set)
    for row in shards.query(case, _STOPPED, (exhibit,)).to_pylist():
        by_batch[row["batch"]].add(row["item"])
    for batch in _as_made(case, exhibit, by_batch.keys()):
        items = by_batch[batch]
        found = [each for each in members(case, batch, {ItemState.DONE}) if each["item"] in items]
        name = _named("known-good again", sorted(items))
        if not _done(case, name, look):
            yield name, found


def first_files(case: Case, exhibit: str, most: int) -> list[dict[str, Any]]:
    """Listing rows of the first readable Items of an Exhibit."""
    sql = "SELECT id FROM batches WHERE exhibit=? ORDER BY made_ns, id LIMIT 1"
    row = case.read().execute(sql, (exhibit,)).fetchone()
    return [] if row is None else members(case, row["id"], {ItemState.OPEN, ItemState.DONE})[:most]


def files_anywhere(case: Case, exhibit: str, most: int) -> list[dict[str, Any]]:
    """`ref`, `path` and `size` of readable Items from all over the listing of an Exhibit, none of them in an archive:
    by their ids, which are hashes, the first ones.
    """
    asked = {"exhibit": exhibit, "member": MEMBER, "most": 10 * most}  # not all of them are readable
    sql, readable = "SELECT 1 FROM items WHERE id=? AND state IN ('open', 'done')", case.read()
    rows = shards.query(case, _ANYWHERE, asked).to_pylist()
    return [row for row in rows if readable.execute(sql, (row["item"],)).fetchone() is not None][:most]


def members(case: Case, batch: str, states: set[ItemState]) -> list[dict[str, Any]]:
    """Listing rows of a batch's Items that are in one of these states, with what the account says of each."""
    sql = "SELECT id, state, reason, detail, attempts FROM items WHERE batch=?"
    known = {row["id"]: dict(row) for row in case.read().execute(sql, (batch,))}
    return [row | known[row["item"]] for row in listed(case, batch) if known[row["item"]]["state"] in states]


def _as_made(case: Case, exhibit: str, some: Set[str]) -> list[str]:
    """These batches in the order in which they were made: so a solid archive is gone through once."""
    sql = "SELECT id FROM batches WHERE exhibit=? ORDER BY made_ns, id"
    return [row["id"] for row in case.read().execute(sql, (exhibit,)) if row["id"] in some]


def _done(case: Case, batch: str, look: Look) -> bool:
    return shards.done(case, stage="intake", batch=batch, versions=look.versions, config=look.config)


def _named(kind: str, lines: Iterator[str] | list[str]) -> str:
    return hashlib.sha256("\n".join([kind, *lines]).encode()).hexdigest()[:32]
