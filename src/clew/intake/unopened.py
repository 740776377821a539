"""Every Item that holds others and is not opened, or cannot be told from noise: how many of each kind, and by name."""

from collections.abc import Iterator
from typing import Any

from clew.core import shards
from clew.core.case import Case
from clew.core.places import named
from clew.intake.relist import taken_back

_WHAT = "if(t.name = 'p2p.unread', 'of a peer-to-peer client, which is not read: ', '') || t.text"
_SAID = shards.newest("name IN ('unopened', 'p2p.unread', 'entropy.unexplained') AND text IS NOT NULL")
_ITEMS = f"""
SELECT c.item, {_WHAT} AS what, arg_max(c.sha256, c.size) AS sha256
FROM {_SAID} t JOIN contents c ON c.sha256 = t.content
WHERE c.exhibit=$exhibit AND c.item NOT IN (SELECT unnest($twice)) GROUP BY ALL
"""  # noqa: S608 - our own words
_COUNTED = f"SELECT what, count(*) AS items FROM ({_ITEMS}) GROUP BY ALL ORDER BY ALL"  # noqa: S608 - our own words
_NAMED = f"""
SELECT n.what, l.item, l.ref, l.path, l.size, l.name_state, lower(hex(n.sha256)) AS sha256
FROM ({_ITEMS}) n JOIN listings l USING (item) ORDER BY n.what, l.path, l.item
"""  # noqa: S608 - our own words


def counted(case: Case, exhibit: str) -> list[dict[str, Any]]:
    """One Exhibit's: `what` they are and what can be done, and how many `items`."""
    found: list[dict[str, Any]] = shards.query(case, _COUNTED, _asked(case, exhibit)).to_pylist()
    return found


def unopened(case: Case, exhibit: str) -> Iterator[dict[str, Any]]:
    """One Exhibit's by name, each kind behind the other."""
    for chunk in shards.query(case, _NAMED, _asked(case, exhibit)).to_batches():
        for row in chunk.to_pylist():
            yield {**row, **named(row["path"])}


def _asked(case: Case, exhibit: str) -> dict[str, Any]:
    return {"exhibit": exhibit, "twice": sorted(taken_back(case, exhibit))}
