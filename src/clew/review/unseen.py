"""Films and pictures that nobody can see on the page, since there is no stored picture of them: by name."""

from collections.abc import Iterator
from typing import Any

from clew.core import shards
from clew.core.case import Case
from clew.core.places import labels, named, standing

_LASTS = shards.newest("name = 'video.duration' AND missing IS NULL")
_LACKING = shards.newest("content IN (SELECT content FROM found)")
_UNSEEN = f"""
WITH typed AS (
  SELECT content FROM traits WHERE name IN ('type.again', 'type.second') AND regexp_matches(text, '^(image|video)/')
), found AS (
  SELECT DISTINCT c.sha256 AS content, c.exhibit, c.item, c.size, c.media_type,
    coalesce(l.path, ''::BLOB) AS path, l.name_state
  FROM contents c LEFT JOIN listings l ON l.item = c.item
  WHERE (regexp_matches(c.media_type, '^(image|video)/') OR c.sha256 IN (SELECT content FROM typed))
    AND c.sha256 NOT IN (SELECT content FROM traits WHERE name = 'thumbnail' AND octet_length(data) = 32)
), lacking AS (
  SELECT content, list_sort(list(DISTINCT concat_ws(': ', name, missing, detail))) AS missing
  FROM {_LACKING} WHERE missing IS NOT NULL GROUP BY content
)
SELECT f.*, d.seconds, m.missing FROM found f
LEFT JOIN (SELECT content, max(number) AS seconds FROM {_LASTS} GROUP BY content) d ON d.content = f.content
LEFT JOIN lacking m ON m.content = f.content
ORDER BY f.content, f.exhibit, f.path, f.item
"""  # noqa: S608 - our own words
_LISTED = (
    "SELECT EXISTS (SELECT 1 FROM hits WHERE content = ?1 AND kind = 'alert' AND state = 'stands' AND part = '')"
    " AS known,"
    " EXISTS (SELECT 1 FROM standing_grades WHERE content = ?1 AND state IN ('decided', 'confirmed')) AS graded"
)


def unseen(case: Case) -> Iterator[dict[str, Any]]:
    """Each place of each of them. `known` to an alert set, or `graded`, it is on the page in words; else nowhere."""
    exhibits = labels(case)
    found = (row for batch in shards.query(case, _UNSEEN).to_batches() for row in batch.to_pylist())
    for row in standing(case, found):
        listed = case.read().execute(_LISTED, (row["content"],)).fetchone()
        yield {
            "content": row["content"].hex(),
            "exhibit": exhibits.get(row["exhibit"], row["exhibit"]),
            **named(row["path"]),
            **{name: row[name] for name in ("size", "media_type", "name_state", "seconds")},
            "missing": row["missing"] or [],
            "known": bool(listed["known"]),
            "graded": bool(listed["graded"]),
        }
