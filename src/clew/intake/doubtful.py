"""Every Item whose content is not, or may not be, all of what the file held: by name, and what is wrong with it."""

from collections.abc import Iterator
from typing import Any

from clew.core import shards
from clew.core.case import Case
from clew.core.places import named
from clew.intake.crossed import CROSSED
from clew.intake.relist import taken_back
from clew.intake.work import ERASED, UNVOUCHED
from clew.model import ContentState

WHY = {
    str(ContentState.PARTIAL): "some of its bytes are not there, or not right",
    str(ContentState.OVERWRITTEN_POSSIBLE): "it may hold bytes of another",
}
# Of each Item what says most of it: the best of what was read, with the weaker of two claims of that. Nearly all were
# read once: the others are put in order, or a million Items would take half a gigabyte.
_ROWS = """SELECT item, sha256, size, media_type, content_state FROM contents
WHERE exhibit=$exhibit AND item NOT IN (SELECT unnest($twice)) AND hash(item) {} (FROM several)"""
READ = f"""
WITH several AS MATERIALIZED (SELECT hash(item) FROM contents WHERE exhibit=$exhibit GROUP BY ALL HAVING count(*) > 1)
{_ROWS.format("NOT IN")}
UNION ALL
{_ROWS.format("IN")} QUALIFY row_number() OVER (
  PARTITION BY item ORDER BY content_state = 'partial', size DESC, content_state = 'complete', sha256) = 1
"""  # noqa: S608 - our own words
DAMAGED = "a picture of which parts could not be decoded: pixels, and the hash of them, are made up"
_DECODED = shards.newest("name = 'image.damaged'")
_DAMAGED = f"SELECT content FROM {_DECODED} WHERE integer = 1"  # noqa: S608 - our own words
DAMAGED_COUNTED = f"SELECT count(*) AS items FROM ({READ}) WHERE sha256 IN ({_DAMAGED})"  # noqa: S608 - ours
_NAMED = f"""
SELECT r.content_state, l.item, l.ref, l.path, r.size, l.size AS listed, l.name_state, l.found_by,
  lower(hex(r.sha256)) AS sha256, r.item IN (SELECT unnest($erased)) AS erased,
  r.item IN (SELECT unnest($unvouched)) AS unvouched, r.item IN (SELECT unnest($crossed)) AS crossed,
  r.sha256 IN ({_DAMAGED}) AS damaged
FROM ({READ}) r JOIN listings l USING (item)
WHERE coalesce(r.content_state, '') IN ('partial', 'overwritten possible') OR erased OR crossed OR damaged
ORDER BY r.content_state, l.path, l.item
"""  # noqa: S608 - our own words


def doubtful(case: Case, exhibit: str) -> Iterator[dict[str, Any]]:
    """One Exhibit's, by claim. `size` are the bytes that were read, `listed` those that its name claims; `erased`,
    `unvouched`, `crossed` and `damaged` (a picture) as the end report counts them; `why` in words.
    """
    crossed = _crossed(case, exhibit)
    sql = "SELECT id FROM items WHERE exhibit=? AND state='done' AND detail=?"
    asked: dict[str, Any] = {"exhibit": exhibit, "twice": sorted(taken_back(case, exhibit)), "crossed": list(crossed)}
    for name, why in (("erased", ERASED), ("unvouched", UNVOUCHED)):
        asked[name] = [row["id"] for row in case.read().execute(sql, (exhibit, why))]
    for chunk in shards.query(case, _NAMED, asked).to_batches():
        for row in chunk.to_pylist():
            claim = WHY.get(row["content_state"])
            claim = ERASED if row["erased"] else UNVOUCHED if row["unvouched"] else crossed.get(row["item"], claim)
            why = "; ".join(each for each in (claim, DAMAGED if row["damaged"] else None) if each)
            yield {**row, **named(row["path"]), "why": why}


def _crossed(case: Case, exhibit: str) -> dict[str, str]:
    """Which Items lie in clusters of others too, with the words that say of which."""
    sql = "SELECT id, detail FROM items WHERE exhibit=? AND state='done' AND substr(detail, 1, ?)=?"
    rows = case.read().execute(sql, (exhibit, len(CROSSED), CROSSED))
    return {row["id"]: row["detail"] for row in rows}
