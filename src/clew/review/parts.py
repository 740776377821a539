"""Matches of a file that rest on a page or picture of it which is not shown: here, page 1 or the main picture is.

They file nothing as known and hand no grade on, and are said in words beside what is shown.
"""

import sqlite3

from clew.core import hits
from clew.model import HashSetKind

MOST = 20
"""Lines about one Content; how many others there are is said."""

_LINKS = """
SELECT l.*,
  (SELECT s.label FROM series_members m JOIN series s ON s.id = m.series WHERE m.content = l.other) AS label FROM (
  SELECT second AS other, first_part AS part, second_part AS at, detail FROM links
  WHERE first = ?1 AND (first_part <> '' OR second_part <> '')
  UNION ALL
  SELECT first, second_part, first_part, detail FROM links WHERE second = ?1 AND (first_part <> '' OR second_part <> '')
) l ORDER BY part, other, at"""
_ALERTED = (
    f"SELECT part FROM hits WHERE content = ? AND part <> '' AND kind = '{HashSetKind.ALERT}'"  # noqa: S608
    " AND state = 'stands' GROUP BY part ORDER BY min(distance), part"
)
_IN_SERIES = (
    "SELECT count(DISTINCT h.content) FROM series_members m JOIN hits h ON h.content = m.content"  # noqa: S608
    f" WHERE m.series = ? AND h.part <> '' AND h.kind = '{HashSetKind.ALERT}' AND h.state = 'stands'"
)


def lines(conn: sqlite3.Connection, content: bytes) -> list[str]:
    """What pages and pictures that are not shown are near to, in words; and what this Content is near to there."""
    near = [f"{hit['part']} (not shown): {hits.words(hit)}" for hit in hits.of(conn, content) if hit["part"]]
    return cut(near + [_link(row) for row in conn.execute(_LINKS, (content,))])


def cut(found: list[str]) -> list[str]:
    """The first lines, and how many others there are."""
    left = len(found) - MOST
    return found[:MOST] + ([f"and {left:,} matches more"] if left > 0 else [])


def alerted(conn: sqlite3.Connection, content: bytes) -> list[str]:
    """Which of its pages and pictures that are not shown are near one of an alert set: "page 2", nearest first."""
    return [row["part"] for row in conn.execute(_ALERTED, (content,))]


def in_series(conn: sqlite3.Connection, series: str) -> int:
    """How many Contents of a Series have such a page or picture."""
    return int(conn.execute(_IN_SERIES, (series,)).fetchone()[0])


def _link(row: sqlite3.Row) -> str:
    mine = f"{row['part']} (not shown)" if row["part"] else "the picture shown"
    its = f"{row['at']} of " if row["at"] else ""
    where = f" in {row['label']}" if row["label"] else ""
    return f"{mine}: near {its}picture {bytes(row['other']).hex()[:8]}{where} ({row['detail'].partition(';')[0]})"
