"""Leads as the review page shows them: read only, with reasons, caveats and everything that speaks against them."""

import json
from dataclasses import dataclass

from clew.core import clock
from clew.core.case import Case
from clew.core.network_words import network_words

PAGE = 25


@dataclass(frozen=True, slots=True)
class LeadView:
    """One Lead in words. `watches` are labels, `reasons` (feature, weight) from the strongest down."""

    id: str
    rank: int
    label: str
    force: str
    country: str
    uncertain: bool
    tier: str
    network_kind: str
    score: float
    state: str
    watches: tuple[str, ...]
    reasons: tuple[tuple[str, float], ...]
    caveats: tuple[str, ...]
    against: tuple[str, ...]
    expires: str


def page(case: Case, after: tuple[int, str] = (-1, ""), limit: int = PAGE) -> tuple[list[LeadView], str | None]:
    """Leads in order of rank after (rank, id), and the key to go on with ("rank:id"), None at the end."""
    rows = (
        case.read()
        .execute(
            "SELECT l.*, s.label, s.watches FROM leads l JOIN subjects s ON s.id = l.subject"
            " WHERE (l.rank, l.id) > (?, ?) ORDER BY l.rank, l.id LIMIT ?",
            (*after, limit + 1),
        )
        .fetchall()
    )
    labels = {row["id"]: row["label"] for row in case.read().execute("SELECT id, label FROM watches")}
    views = [
        LeadView(
            id=row["id"],
            rank=row["rank"],
            label=row["label"],
            force=row["force"] or "coordinating force",
            country=row["country"],
            uncertain=bool(row["uncertain"]),
            tier=row["tier"] + (", torrent only" if row["torrent_only"] else ""),
            network_kind=network_words(row["network_kind"]),
            score=row["score"],
            state=row["state"],
            watches=tuple(labels.get(watch, watch) for watch in _texts(row["watches"])),
            reasons=_weights(row["features"]),
            caveats=_texts(row["caveats"]),
            against=_texts(row["against"]),
            expires=clock.iso(row["expires_ns"])[:10],
        )
        for row in rows[:limit]
    ]
    return views, f"{views[-1].rank}:{views[-1].id}" if len(rows) > limit else None


def _texts(stored: str) -> tuple[str, ...]:
    """A JSON list of sentences."""
    value = json.loads(stored)
    return tuple(str(each) for each in value) if isinstance(value, list) else (str(value),)


def _weights(stored: str) -> tuple[tuple[str, float], ...]:
    """A JSON object of numbers, the largest first."""
    value = json.loads(stored)
    found = [(str(k).replace("_", " "), float(v)) for k, v in value.items() if isinstance(v, int | float)]
    return tuple(sorted(found, key=lambda pair: -abs(pair[1])))
