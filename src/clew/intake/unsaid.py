"""What Extractors could not say, or not all of: of how many Contents, and by name, such as of each damaged picture."""

from collections.abc import Iterator
from typing import Any

from clew.core import shards
from clew.core.case import Case
from clew.core.places import named, standing

_LACKING = shards.newest(
    "content IN (SELECT sha256 FROM contents WHERE exhibit=$exhibit)"
    " AND (content, extractor) IN (SELECT content, extractor FROM traits WHERE missing IS NOT NULL)"
)
_LIMITS = f"""
  WITH said AS (
    SELECT content, extractor, missing, detail FROM {_LACKING}
    WHERE missing IS NULL OR name <> 'type.second' OR content NOT IN (
      SELECT content FROM traits WHERE name = 'type.second' AND missing IS NULL)  -- a retry had it
  ),
  alone AS (SELECT content, extractor, bool_and(missing IS NOT NULL) AS nothing FROM said GROUP BY ALL)
  SELECT extractor, missing, nothing, content, detail FROM said JOIN alone USING (content, extractor)
  WHERE missing IS NOT NULL
"""  # noqa: S608 - our own words
_COUNTED = f"""
SELECT extractor, missing, nothing, count(DISTINCT content) AS contents FROM ({_LIMITS}) GROUP BY ALL ORDER BY ALL
"""  # noqa: S608 - our own words
_NAMED = f"""
SELECT DISTINCT s.extractor, s.missing, s.nothing, s.content, s.detail, l.exhibit, l.item, l.ref, l.path, l.size,
  l.name_state, lower(hex(s.content)) AS sha256
FROM ({_LIMITS}) s JOIN contents c ON c.sha256 = s.content JOIN listings l USING (item) WHERE c.exhibit=$exhibit
ORDER BY s.extractor, s.missing, s.nothing, s.content, l.path, l.item, s.detail
"""  # noqa: S608 - our own words


def counted(case: Case, exhibit: str) -> list[dict[str, Any]]:
    """One Exhibit's: `extractor`, the reason `missing`, whether `nothing` else was said, of how many `contents`."""
    found: list[dict[str, Any]] = shards.query(case, _COUNTED, {"exhibit": exhibit}).to_pylist()
    return found


def unsaid(case: Case, exhibit: str) -> Iterator[dict[str, Any]]:
    """The same by name, with each place of each Content, and in `detail` what the Extractor said of it."""
    rows = shards.query(case, _NAMED, {"exhibit": exhibit})
    told = (row for chunk in rows.to_batches(max_chunksize=10_000) for row in chunk.to_pylist())
    for row in standing(case, told):
        del row["content"], row["exhibit"]
        yield {**row, **named(row["path"])}
