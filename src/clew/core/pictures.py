"""The picture hashes of a case, one per Content: in exact mode where it was computed, else in fast mode.

PDQ says of pictures of a quality below 50 that they do not carry enough to compare
(https://github.com/facebook/ThreatExchange/tree/main/pdq); they are set aside and counted, as are those of unknown
quality.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from clew.core import columns, shards
from clew.core.case import Case

LEAST_QUALITY = 50
RADIUS = 31

_SQL = """
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
)
SELECT h.content, h.data AS pdq, coalesce(h.mode = 'exact', false) AS exact, coalesce(q.integer, -1) AS quality,
  coalesce(s.pixels, 0) AS pixels
FROM hashes h LEFT JOIN qualities q ON q.content = h.content AND q.n = 1 LEFT JOIN sizes s ON s.content = h.content
WHERE h.n = 1 ORDER BY h.content
"""

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Pictures:
    """Row i of every array is one Content, in order of SHA-256. `excluded` counts those set aside, by reason."""

    content: Array
    pdq: Array
    exact: Array
    quality: Array
    pixels: Array
    excluded: dict[str, int]

    def __len__(self) -> int:
        return len(self.content)


def read(case: Case) -> Pictures:
    """Every Content whose picture hash can be compared."""
    table = shards.query(case, _SQL)
    quality = _numbers(table, "quality")
    fits = quality >= LEAST_QUALITY
    unknown = int((quality < 0).sum())
    low = int((~fits).sum()) - unknown
    excluded = {f"quality below {LEAST_QUALITY}": low, "quality unknown": unknown}
    return Pictures(
        content=columns.fixed(table["content"], 32)[fits],
        pdq=columns.fixed(table["pdq"], 32)[fits],
        exact=table["exact"].to_numpy(zero_copy_only=False).astype(bool)[fits],
        quality=quality[fits],
        pixels=_numbers(table, "pixels")[fits],
        excluded={reason: count for reason, count in excluded.items() if count},
    )


def _numbers(table: pa.Table, name: str) -> Array:
    return np.asarray(table[name].to_numpy(zero_copy_only=False), np.int64)
