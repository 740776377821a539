"""Why a contactable subject has no lead: how far the case came with it, from its own sightings."""

from collections.abc import Sequence
from typing import Any

from clew.core import shards
from clew.core.case import Case
from clew.range.judge import Party
from clew.range.leads import EARLY

SQL = """
SELECT address, port, kind, tier, claim, started_ns FROM sightings
WHERE list_contains(?, address) ORDER BY started_ns
"""
CLAIM = "watched file"


def why_missed(case: Case, parties: Sequence[Party], revisit_ns: int) -> dict[str, str]:
    """One sentence a party: the last step that was reached with it."""
    if not parties:
        return {}
    addresses = sorted({stay["address"] for party in parties for stay in party["intervals"]})
    rows = shards.query(case, SQL, [addresses]).to_pylist()
    by_endpoint: dict[tuple[str, int], list[dict[str, Any]]] = {}
    for row in rows:
        by_endpoint.setdefault((row["address"], row["port"]), []).append(row)
    found = {}
    for party in parties:
        seen = [
            row
            for stay in party["intervals"]
            for row in by_endpoint.get((stay["address"], stay["port"]), ())
            if stay["from_ns"] <= row["started_ns"] <= stay["to_ns"]
        ]
        found[party["id"]] = _step(seen, revisit_ns)
    return found


def _step(seen: Sequence[dict[str, Any]], revisit_ns: int) -> str:
    contacts = [row for row in seen if row["kind"] == "contact"]
    answered = [row for row in contacts if row["tier"] != "E0"]
    claims = [row["started_ns"] for row in answered if row["claim"] == CLAIM]
    if not seen:
        return "never heard of"
    if not contacts:
        return "heard of, never contacted"
    if not answered:
        return "contacted, never answered"
    if not claims:
        return "answered, no claim of the watched file was read"
    if claims[-1] - claims[0] < EARLY * revisit_ns:
        return "claimed, not twice the revisit interval apart"
    return "claimed twice, no lead was made of it"
