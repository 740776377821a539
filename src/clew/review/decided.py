"""What people decided, for who asks without the page: the grades that stand, and every alarm, open or closed."""

from collections.abc import Iterator
from typing import Any

from clew.core.case import Case
from clew.core.clock import iso
from clew.review.safeguards import ALARMS

_GRADES = (
    "SELECT g.*, s.label FROM standing_grades g LEFT JOIN series_members m ON m.content = g.content"
    " LEFT JOIN series s ON s.id = m.series ORDER BY s.label IS NULL, s.label, g.content"
)

_TIMES = ("raised", "acknowledged", "closed")


def grades(case: Case) -> Iterator[dict[str, Any]]:
    """What stands of each Content that was graded, or has a proposal: in order of its Series, the others behind."""
    for row in case.read().execute(_GRADES):
        by = row["inherited_from"]
        yield {
            "content": bytes(row["content"]).hex(),
            "series": row["label"],
            "scheme": f"{row['scheme']} {row['country']} {row['version']}",
            **{name: row[name] for name in ("code", "state", "reviewer", "distance")},
            "at": iso(row["at_ns"]),
            "inherited_from": None if by is None else bytes(by).hex(),
        }


def alarms(case: Case) -> Iterator[dict[str, Any]]:
    """Every alarm, those that are open first, then the newest."""
    for row in case.read().execute(f"{ALARMS} ORDER BY closed_ns IS NOT NULL, raised_ns DESC, id"):
        times = {name: None if row[f"{name}_ns"] is None else iso(row[f"{name}_ns"]) for name in _TIMES}
        told = {name: row[name] for name in ("id", "about", "label", "reason", "raised_by", "acknowledged_by")}
        yield told | times | {"kind": row["about_kind"], "closed_reason": row["closed_reason"]}
