"""What hash sets say of one Content: read, and put into words alike on the command line and on the review page."""

import sqlite3
from typing import Any

_OF = (
    "SELECT h.*, s.name FROM hits h JOIN hashsets s ON s.id = h.hashset WHERE h.content = ?"
    " ORDER BY h.kind, h.state <> 'stands', h.distance, s.name, h.algorithm, CAST(h.entry AS INTEGER)"
)
_STATES = {
    "stands": "",
    "wants exact": "not yet computed exactly",
    "listed": "listed, and stops nothing",
    "contradicted": "contradicted by a stronger hash of the same entry",
}


def of(conn: sqlite3.Connection, content: bytes) -> list[dict[str, Any]]:
    """Its Hits, with the `name` of each HashSet: alert sets first, in each kind what stands, then the nearest."""
    return [dict(row) for row in conn.execute(_OF, (content,))]


def words(hit: dict[str, Any]) -> str:
    """As "alert · national 2026-11 (md5, exact, VICS US 2.0: 1)"; of which page or picture it is, is not in it."""
    near = f"near, distance {hit['distance']}" if hit["algorithm"] == "pdq" else "exact"
    kind = "" if hit["code"] is None else f"{hit['scheme']} {hit['country']} {hit['version']}: {hit['code']}"
    told = ", ".join(each for each in (hit["algorithm"], near, state(hit["state"]), kind) if each)
    return f"{hit['kind']} · {hit['name']} ({told})"


def state(name: str) -> str:
    """What a Hit's state means to who reads it; "" where it stands."""
    return _STATES[name]
