"""The picture hashes of a case: of each Content the one that is shown, and of a TIFF's further pages and a HEIF's
further pictures; each in exact mode where it was computed, else in fast mode.

PDQ says of pictures of a quality below 50 that they do not carry enough to compare
(https://github.com/facebook/ThreatExchange/tree/main/pdq); they are set aside and counted, as are those of unknown
quality.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from clew.core import columns, shards
from clew.core.case import Case

LEAST_QUALITY = 50
RADIUS = 31

# What moves has a duration, the pages of a TIFF have none: these count from 0 in a Trait, and are hashed from all their
# pixels in both modes, as exact mode asks.
_FURTHER = shards.newest(
    "name = 'video.pdq' AND (extractor = 'further' OR extractor = 'animation' AND content NOT IN"
    " (SELECT content FROM traits WHERE name = 'video.duration' AND content IS NOT NULL))"
)
_SQL = f"""
WITH hashes AS (
  SELECT content, data, mode, row_number() OVER (
    PARTITION BY content ORDER BY CASE mode WHEN 'exact' THEN 0 ELSE 1 END, version DESC, data) AS n
  FROM traits WHERE name = 'pdq' AND octet_length(data) = 32
), qualities AS (
  SELECT content, integer, row_number() OVER (
    PARTITION BY content ORDER BY CASE mode WHEN 'exact' THEN 0 ELSE 1 END, version DESC, integer) AS n
  FROM traits WHERE name = 'pdq.quality' AND integer IS NOT NULL
), sizes AS (
  SELECT content,
    max(CASE name WHEN 'image.width' THEN integer END) * max(CASE name WHEN 'image.height' THEN integer END) AS pixels
  FROM traits WHERE name IN ('image.width', 'image.height') AND integer BETWEEN 0 AND 2147483647 GROUP BY content
), further AS (
  SELECT content, data, extractor = 'animation' AS page, CAST(number AS BIGINT) AS number,
    extractor = 'animation' OR coalesce(mode = 'exact', false) AS exact, coalesce(integer, -1) AS quality, row_number()
      OVER (PARTITION BY content, extractor, number ORDER BY CASE mode WHEN 'exact' THEN 0 ELSE 1 END, data) AS n
  FROM {_FURTHER} WHERE octet_length(data) = 32 AND number BETWEEN 0 AND 2147483647
)
SELECT h.content, h.data AS pdq, coalesce(h.mode = 'exact', false) AS exact, coalesce(q.integer, -1) AS quality,
  coalesce(s.pixels, 0) AS pixels, 0 AS part, false AS page
FROM hashes h LEFT JOIN qualities q ON q.content = h.content AND q.n = 1 LEFT JOIN sizes s ON s.content = h.content
WHERE h.n = 1
UNION ALL
SELECT f.content, f.data, f.exact, f.quality, 0, CASE WHEN f.page THEN f.number + 1 ELSE f.number END, f.page
FROM further f LEFT JOIN hashes h ON h.content = f.content AND h.n = 1
WHERE f.n = 1 AND NOT (f.page AND f.number = 0 AND f.data IS NOT DISTINCT FROM h.data)
ORDER BY content, part
"""  # noqa: S608 - our own words

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Pictures:
    """Row i of every array is one picture, in order of the SHA-256 of its Content and of `part`: 0 is the picture that
    stands for the Content, which is shown; others are numbered from 1, as pages where `page` says so. `excluded` counts
    those set aside, by reason.
    """

    content: Array
    pdq: Array
    exact: Array
    quality: Array
    pixels: Array
    part: Array
    page: Array
    excluded: dict[str, int]

    def __len__(self) -> int:
        return len(self.content)

    def said(self, row: int) -> str:
        """Which picture of its Content this is: "page 2", "further picture 1"; "" for the one that is shown."""
        part = int(self.part[row])
        return "" if not part else f"page {part}" if self.page[row] else f"further picture {part}"

    def chosen(self, rows: Array) -> "Pictures":
        """These rows alone, by a mask."""
        names = ("content", "pdq", "exact", "quality", "pixels", "part", "page")
        return replace(self, **{name: getattr(self, name)[rows] for name in names})


def read(case: Case) -> Pictures:
    """Every picture of the case whose hash can be compared."""
    table = shards.query(case, _SQL)
    found = Pictures(
        content=columns.fixed(table["content"], 32),
        pdq=columns.fixed(table["pdq"], 32),
        exact=_flags(table, "exact"),
        quality=_numbers(table, "quality"),
        pixels=_numbers(table, "pixels"),
        part=_numbers(table, "part"),
        page=_flags(table, "page"),
        excluded={},
    )
    low, main = found.quality < LEAST_QUALITY, found.part == 0
    unknown = found.quality < 0
    reasons = {
        f"quality below {LEAST_QUALITY}": low & ~unknown & main,
        "quality unknown": unknown & main,
        f"further pages or pictures, quality below {LEAST_QUALITY}": low & ~main,
    }
    excluded = {reason: int(rows.sum()) for reason, rows in reasons.items() if rows.any()}
    return replace(found.chosen(~low), excluded=excluded)


def _flags(table: pa.Table, name: str) -> Array:
    return np.asarray(table[name].to_numpy(zero_copy_only=False), bool)


def _numbers(table: pa.Table, name: str) -> Array:
    return np.asarray(table[name].to_numpy(zero_copy_only=False), np.int64)
