"""What became of a folder since it was listed: entries that the case does not hold, files that were written to.

A folder has no identity as an image has: it may have grown, or lain on a disk that was not mounted. So each further run
holds what lies there now against what was listed. Nothing is read but directories and what the system says of each
entry. What is new is listed by a retry (`relist.py`), what was listed stays as it is.
"""

import json
from collections import Counter
from collections.abc import Iterator
from itertools import islice

from clew.core import shards
from clew.core.case import Case
from clew.intake.api import Ask, Found, Part, Session
from clew.intake.basis import Basis
from clew.intake.refs import MEMBER, item_id
from clew.model import ItemState

SINCE = "since"  # in a part's detail: how many entries are NEW, CHANGED or GONE
NEW, CHANGED, GONE = "new", "changed", "gone"
TOGETHER = 50_000  # entries that one query asks for
ZONE = 900 * 10**9  # ns: file systems that keep local time shift by whole quarters of an hour with the zone

_KNOWN = "SELECT item, size, modified_ns FROM listings WHERE item IN (SELECT unnest($items))"
_ALL = f"""
SELECT count(*) AS n FROM listings
WHERE exhibit=? AND NOT contains(ref, '{MEMBER}') AND NOT ends_with(ref, '/')
"""  # noqa: S608 - our own mark


def compare(case: Case, exhibit: str, session: Session, ask: Ask, basis: Basis) -> None:
    """Holds a folder that was listed to its end against what lies there now, and keeps the difference in its part."""
    for part in session.parts(ask):
        sql = "SELECT detail FROM exhibit_runs WHERE exhibit=? AND part=? AND done_ns IS NOT NULL"
        row = case.read().execute(sql, (exhibit, part.name)).fetchone()
        if row is None:
            continue
        detail, found = json.loads(row["detail"]), _compared(case, exhibit, session, part, ask, basis)
        if found == detail.get(SINCE, {}):
            continue
        with case.write("intake") as tx:
            sql = "UPDATE exhibit_runs SET detail=? WHERE exhibit=? AND part=?"
            tx.execute(sql, (json.dumps({**detail, SINCE: found}, sort_keys=True), exhibit, part.name))
            about = {"exhibit": exhibit, "part": part.name}
            tx.record("folder.compared", subject=about, counts=found, mandate=basis.require())


def _compared(case: Case, exhibit: str, session: Session, part: Part, ask: Ask, basis: Basis) -> dict[str, int]:
    counts: Counter[str] = Counter()
    met, times = 0, not was_moved(case, exhibit)
    events = (
        event for event in session.items(part, "", lambda _, make: make(iter(())), ask) if isinstance(event, Found)
    )
    while some := list(islice(events, TOGETHER)):
        basis.require()  # of millions of files this takes long, and no worker is asked meanwhile
        here = {item_id(exhibit, each.ref): each for each in some if each.state is not ItemState.UNREADABLE}
        counts["lost"] += len(some) - len(here)
        known = shards.query(case, _KNOWN, {"items": list(here)}).to_pylist()
        met += len(known)
        counts[NEW] += len(here) - len(known)
        other = [row["item"] for row in known if _differs(row["size"], row["modified_ns"], here[row["item"]], times)]
        counts[CHANGED] += sum(_read_once(case, other))
    if not counts.pop("lost", 0):  # below a directory that cannot be listed just now nothing is known to be gone
        counts[GONE] = shards.query(case, _ALL, (exhibit,)).to_pylist()[0]["n"] - met
    return {what: count for what, count in counts.items() if count}


def _differs(size: int, modified_ns: int | None, now: Found, times: bool) -> bool:
    """Whether a file is not as it was listed; where `times` are not to be held against it, by its size alone."""
    if size != now.size or modified_ns is None or now.modified_ns is None:
        return size != now.size
    return times and (now.modified_ns - modified_ns) % ZONE != 0


def _read_once(case: Case, items: list[str]) -> Iterator[bool]:
    """Whether each was read whole, by its listing alone: a later attempt has its own word on what it found."""
    sql = "SELECT 1 FROM items WHERE id=? AND state=? AND attempts=1"
    for item in items:
        yield case.read().execute(sql, (item, ItemState.DONE)).fetchone() is not None


def was_moved(case: Case, exhibit: str) -> bool:
    """Whether it lies elsewhere than it was listed: the times are those of a copy."""
    sql = """SELECT 1 FROM ledger l LEFT JOIN ledger_openings o USING (seq)
      WHERE l.line LIKE '%"exhibit.moved"%' AND (o.opening IS NULL OR instr(o.opening, ?))"""
    return case.read().execute(sql, (exhibit,)).fetchone() is not None
