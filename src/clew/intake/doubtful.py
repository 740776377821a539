"""Every Item whose content is not, or may not be, all of what the file held: by name, and what is wrong with it."""

from collections.abc import Iterator
from typing import Any

from clew.core import shards
from clew.core.case import Case
from clew.intake.relist import taken_back
from clew.intake.work import ERASED
from clew.model import ContentState

WHY = {
    ContentState.PARTIAL: "some of its bytes are not there",
    ContentState.OVERWRITTEN_POSSIBLE: "it may hold bytes of another",
}
# Of each Item what says most of it: the best of what was read, with the weaker of two claims of that.
READ = """
SELECT DISTINCT ON (item) item, sha256, size, media_type, content_state FROM contents
WHERE exhibit=$exhibit AND item NOT IN (SELECT unnest($twice))
ORDER BY item, content_state = 'partial', size DESC, content_state = 'complete'
"""
_NAMED = f"""
SELECT r.content_state, l.item, l.ref, l.path, r.size, l.size AS listed, l.name_state, l.found_by,
  lower(hex(r.sha256)) AS sha256, r.item IN (SELECT unnest($erased)) AS erased
FROM ({READ}) r JOIN listings l USING (item)
WHERE r.content_state IN ('partial', 'overwritten possible') OR r.item IN (SELECT unnest($erased))
ORDER BY r.content_state, l.path, l.item
"""  # noqa: S608 - our own words


def doubtful(case: Case, exhibit: str) -> Iterator[dict[str, Any]]:
    """One Exhibit's, those that may hold bytes of another before those that are partial. `size` are the bytes that were
    read, `listed` those that its name claims; `erased` as the end report counts it; `why` in words.
    """
    sql = "SELECT id FROM items WHERE exhibit=? AND state='done' AND detail=?"
    erased = [row["id"] for row in case.read().execute(sql, (exhibit, ERASED))]
    asked = {"exhibit": exhibit, "twice": sorted(taken_back(case, exhibit)), "erased": erased}
    for chunk in shards.query(case, _NAMED, asked).to_batches():
        for row in chunk.to_pylist():
            path: bytes = row.pop("path")
            why = ERASED if row["erased"] else WHY[ContentState(row["content_state"])]
            yield {"path": path.decode("utf-8", "backslashreplace"), "path_hex": path.hex(), **row, "why": why}
