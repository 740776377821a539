"""Seized files that have the size of one in a seized torrent, and were not held against its pieces yet.

Whether they are held is for a person to ask (`clew pieces`): nothing is concluded from what nobody asked.
"""

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

from clew.core import shards
from clew.core.case import Case

SAID = shards.newest("starts_with(name, 'p2p.')")
FILES = f"""
SELECT DISTINCT content, text FROM {SAID} WHERE name='p2p.entry.files' AND text IS NOT NULL AND content IN
(SELECT content FROM traits WHERE name='p2p.artefact' AND text='torrent metainfo')
AND ($apart IS NULL OR content IN (SELECT sha256 FROM contents WHERE exhibit <> $apart)) ORDER BY content
"""  # noqa: S608 - ours
COUNTED = """
WITH about AS (SELECT DISTINCT unnest($torrents) AS torrent, unnest($numbers) AS file, unnest($sizes) AS size),
asked AS (SELECT torrent, size, count(*) AS files FROM about GROUP BY ALL),
here AS (
  SELECT DISTINCT exhibit, item, sha256, size FROM contents
  WHERE size IN (SELECT size FROM about) AND ($exhibit IS NULL OR exhibit = $exhibit)
),
said AS (
  SELECT DISTINCT content, regexp_extract(text, '"torrent": ?"([0-9a-f]+)', 1) AS torrent,
    try_cast(regexp_extract(text, '"index": ?([0-9]+)', 1) AS BIGINT) AS file
  FROM traits WHERE name IN ('pieces.verified', 'pieces.across') AND text IS NOT NULL
    AND content IN (SELECT sha256 FROM here)
),
held AS (  -- one of no file in particular is of all that have this size
  SELECT content, size, torrent FROM said JOIN (SELECT DISTINCT sha256 AS content, size FROM here) USING (content)
  JOIN asked USING (torrent, size) LEFT JOIN about USING (torrent, size, file)
  GROUP BY content, size, torrent, files
  HAVING bool_or(said.file IS NULL) OR count(DISTINCT about.file) = files
),
whole AS (SELECT content AS sha256, size, count(*) AS torrents FROM held GROUP BY ALL)
SELECT exhibit, count(*) AS files FROM here
ANTI JOIN (SELECT * FROM whole JOIN (SELECT size, count(*) AS torrents FROM asked GROUP BY size) USING (size, torrents))
USING (sha256, size) GROUP BY exhibit
"""
WRONG = (KeyError, TypeError, ValueError, AttributeError)


def sized(case: Case, apart: str | None = None) -> Iterator[tuple[bytes, list[tuple[int, int]] | None]]:
    """Torrent by torrent, in parts: number and size of its files; pads and empty files are none. None where a Trait
    does not say what it must. Of other exhibits than `apart`, where one is given.
    """
    for row in shards.query(case, FILES, {"apart": apart}).to_pylist():
        try:
            files = json.loads(row["text"])["files"]
            real = [each for each in files if each["size"] and not each.get("pad")]
            yield row["content"], [(number(each["index"]), number(each["size"])) for each in real]
        except WRONG:
            yield row["content"], None


def counted(case: Case, exhibit: str | None = None) -> Counter[str]:
    """How many such files each Exhibit has; of one alone, where it is given."""
    about = [(torrent.hex(), *file) for torrent, files in sized(case) for file in files or ()]
    if not about:
        return Counter()
    torrents, numbers, sizes = zip(*about, strict=True)
    asked = {"torrents": list(torrents), "numbers": list(numbers), "sizes": list(sizes), "exhibit": exhibit}
    return Counter({row["exhibit"]: row["files"] for row in shards.query(case, COUNTED, asked).to_pylist()})


def words(count: int) -> str:
    """As a sentence."""
    files = "1 file has" if count == 1 else f"{count:,} files have"
    were = "was" if count == 1 else "were"
    return f"{files} the size of one in a seized torrent and {were} not held against its pieces: run `clew pieces CASE`"


def number(value: Any) -> int:
    """A number of a worker or a Trait. Raises ValueError for anything else."""
    if type(value) is not int or not 0 <= value < 1 << 63:
        raise ValueError("no number")
    return value
