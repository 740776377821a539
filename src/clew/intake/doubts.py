"""What was claimed of deleted Items that were read, held against what was listed since.

Contents stay as they were written: where less may be claimed of one now, a second row says so beside the first, and
readers go by the weaker of two rows that agree in all else.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from clew.core import clock, shards
from clew.core.case import Case, Transaction
from clew.intake.api import Claimed
from clew.intake.refs import MEMBER, item_id
from clew.intake.relist import UNJUDGED
from clew.intake.work import Look
from clew.model import ContentState

# Contents of which most is claimed, beside what their listing claims; an archive's claim is that of what lies in it.
_CLAIMED = """
SELECT c.*, l.ref, l.content_state AS listed FROM contents c JOIN listings l USING (item)
WHERE c.exhibit=$exhibit AND l.name_state <> 'live' AND c.content_state = 'complete'
  AND c.item NOT IN (SELECT item FROM contents WHERE content_state = 'overwritten possible')
"""


def waits(case: Case, exhibit: str) -> bool:
    """Whether something was listed since that may cast doubt on what was read before."""
    return any(UNJUDGED in detail for _, detail in _parts(case, exhibit))


def judge(case: Case, exhibit: str, claimed: Mapping[str, Claimed], look: Look, mandate: str) -> None:
    """Writes down of which Items less may be claimed, by what is `claimed` of deleted ones now. In one transaction."""
    rows = list(_weaker(case, exhibit, claimed))
    items = sorted({row["item"] for row in rows})
    pending = [shards.write(case, "contents", rows)] if rows else []
    with case.write("intake") as tx:
        enter(tx, "doubts", items, look, pending)
        for part, detail in _parts(case, exhibit):
            if detail.pop(UNJUDGED, False):
                sql = "UPDATE exhibit_runs SET detail=? WHERE exhibit=? AND part=?"
                tx.execute(sql, (json.dumps(detail, sort_keys=True), exhibit, part))
        about = {"exhibit": exhibit, "items": items}
        tx.record("claims.weakened", subject=about, counts={"items": len(items)}, mandate=mandate)


def enter(tx: Transaction, kind: str, items: Sequence[str], look: Look, pending: Sequence[shards.Pending]) -> None:
    """Makes rows of which less is claimed part of the case, under a receipt of their own."""
    batch = hashlib.sha256("\n".join([kind, *items, str(clock.now().utc_ns)]).encode()).hexdigest()[:32]
    shards.commit(tx, stage="intake", batch=batch, versions=look.versions, config=look.config, pending=pending)


def _weaker(case: Case, exhibit: str, claimed: Mapping[str, Claimed]) -> Iterator[dict[str, Any]]:
    doubtful = ContentState.OVERWRITTEN_POSSIBLE
    for chunk in shards.query(case, _CLAIMED, {"exhibit": exhibit}).to_batches():
        for row in chunk.to_pylist():
            ref, listed = row.pop("ref"), row.pop("listed")
            outermost = item_id(exhibit, ref.partition(MEMBER)[0])
            claim = claimed.get(outermost)
            if (listed if claim is None else claim.state) == doubtful:
                yield row | {"content_state": str(doubtful)}


def _parts(case: Case, exhibit: str) -> list[tuple[str, dict[str, Any]]]:
    sql = "SELECT part, detail FROM exhibit_runs WHERE exhibit=?"
    return [(row["part"], json.loads(row["detail"])) for row in case.read().execute(sql, (exhibit,))]
