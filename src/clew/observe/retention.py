"""Retention: who was only listed, or never answered, is forgotten after 7 days (DESIGN section 1)."""

from contextlib import suppress

from clew.core import compact, db
from clew.core.case import Case
from clew.core.errors import Held
from clew.core.failpoints import failpoint
from clew.core.lease import lease
from clew.core.shards import BRIEF
from clew.model import Tier
from clew.observe.api import SECOND

KEEP_NS = 7 * 24 * 3600 * SECOND
EVERY_NS = 3600 * SECOND  # how often a run that goes on for days looks for what is too old
OLD = """ FROM dials WHERE intended_ns<? AND (state = 'not made' OR state IN ('failed', 'interrupted')
  AND NOT EXISTS (SELECT 1 FROM endpoints e WHERE e.watch = dials.watch AND e.address = dials.address
                  AND e.port = dials.port AND e.tier<>?))"""
COUNT = f"""
INSERT INTO forgotten_dials SELECT run, transport, count(*), max(intended_ns){OLD} AND state <> 'not made'
GROUP BY run, transport
ON CONFLICT DO UPDATE SET calls=calls+excluded.calls, until_ns=max(until_ns, excluded.until_ns)
"""


def purge(case: Case, now_ns: int) -> int:
    """Forgets E0 sightings and endpoints older than 7 days; returns how many sightings. The caller holds the lease.

    Copies of case.db that an upgrade left, in which they stand too, are kept as long.

    Rows of tier E0 that are no evidence lie in shards of their own, so whole shards go, each with those that were
    merged into it, of the same hour (`core.compact`); their receipts stay. Rows of control probes, of ourselves, and of
    contacts that failed with who had answered before are kept: they speak against a lead, or about us. So are the dials
    behind them, which say that a call was made, also where it was cut off: every dial of who has answered is kept, but
    those that were never made. How many there were of the others stays, by run. What a control probe came to stands
    with whom it was made of, who had answered; whoever was only listed there for another Watch is forgotten all the
    same.
    """
    before = now_ns - KEEP_NS
    with case.write("observe") as tx:
        sql = (
            "SELECT shards.id, path, rows FROM shards JOIN receipts ON receipts.id = shards.receipt "
            "WHERE shards.merged_into IS NULL AND receipts.stage = 'observe' AND substr(receipts.batch, 1, ?) = ? "
            "AND receipts.at_ns < ?"
        )
        old = tx.execute(sql, (len(BRIEF), BRIEF, before)).fetchall()
        forgotten = sum(int(row["rows"]) for row in old)
        with tx.gate.core():
            for where in ("merged_into", "id"):
                tx.executemany(f"DELETE FROM shards WHERE {where}=?", [(row["id"],) for row in old])  # noqa: S608 - ours
        gone = tx.execute(
            "DELETE FROM endpoints WHERE tier=? AND last_listed_ns<?", (Tier.LISTED.value, before)
        ).rowcount
        tx.execute(COUNT, (before, Tier.LISTED.value))
        dials = tx.execute("DELETE" + OLD, (before, Tier.LISTED.value)).rowcount
        if forgotten or gone or dials:
            tx.record("sightings.forgotten", counts={"sightings": forgotten, "endpoints": gone, "dials": dials})
        failpoint("observe.purge.inside")
    failpoint("observe.purge.after")
    for row in old:
        (case.folder / row["path"]).unlink(missing_ok=True)
    _sweep(case)
    _copies(case, before)
    return forgotten


def _copies(case: Case, before_ns: int) -> None:
    """Removes copies of case.db from before an upgrade: who was only listed stands in them for good."""
    old = db.snapshots(case.folder, before_ns)
    if old:
        with case.write("observe") as tx:
            tx.record("copies.forgotten", counts={"copies": len(old)})
        for path in old:
            path.unlink(missing_ok=True)


def _sweep(case: Case) -> None:
    """Removes every sightings file that holds no rows of the case: what a killed run forgot, merged, or left
    unacknowledged. Not while others merge or archive, since a merged one is there before it is in the list.
    """
    listed = "SELECT 1 FROM shards WHERE path=? AND merged_into IS NULL"
    with suppress(Held), lease(case, *compact.LEASE):
        for path in (case.folder / "shards" / "sightings").glob("*"):
            if case.read().execute(listed, (path.relative_to(case.folder).as_posix(),)).fetchone() is None:
                path.unlink()
