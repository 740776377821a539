"""Every Item that could not be read, by name: at which stage it failed, why, and how often it was tried."""

from collections.abc import Iterator
from typing import Any

from clew.core.case import Case
from clew.core.places import named
from clew.intake.batches import members
from clew.intake.work import HASHED
from clew.model import ItemState


def unreadable(case: Case, exhibit: str) -> Iterator[dict[str, Any]]:
    """One Exhibit's, batch by batch. `stage` is "listing", "reading", or "after hashing": then the hashes are known."""
    sql = "SELECT DISTINCT batch FROM items WHERE exhibit=? AND state='unreadable' ORDER BY batch"
    for row in case.read().execute(sql, (exhibit,)).fetchall():
        for item in members(case, row["batch"], {ItemState.UNREADABLE}):
            yield _told(item)


def _told(item: dict[str, Any]) -> dict[str, Any]:
    detail = item["detail"] or ""
    stage = "listing" if not item["attempts"] else "after hashing" if detail.startswith(HASHED) else "reading"
    told = {name: item[name] for name in ("item", "ref", "size", "name_state", "reason", "attempts")}
    return {**named(item["path"]), "stage": stage, "detail": detail.removeprefix(HASHED), **told}
