"""Leads as people read them: what the case holds of each, with prior knowledge apart."""

import json
from typing import Any

from clew.attribute import prior, priority
from clew.core import clock, mandate
from clew.core.case import Case

COORDINATOR = "coordinator"


def leads(case: Case, *, force: str | None = None) -> list[dict[str, Any]]:
    """Every lead in order of force and rank; of one force, or of "coordinator", where `force` says so.

    Raises Refused without a Mandate for "attribute". That leads were read is recorded.
    """
    basis = mandate.require(case, purpose="attribute", at_ns=clock.now().utc_ns)
    sql = (
        "SELECT l.*, s.label, s.watches FROM leads l JOIN subjects s ON s.id = l.subject ORDER BY l.force, l.rank, l.id"
    )
    known = prior.all_of(case)
    labels = {row["id"]: row["label"] for row in case.read().execute("SELECT id, label FROM watches")}
    found = [_lead(case, row, known, labels) for row in case.read().execute(sql).fetchall() if _wanted(row, force)]
    with case.write("attribute") as tx:
        tx.record("leads.listed", subject={"force": force}, counts={"leads": len(found)}, mandate=basis.id)
    return found


def _wanted(row: Any, force: str | None) -> bool:
    return force is None or row["force"] == force or (force == COORDINATOR and row["force"] is None)


def _lead(case: Case, row: Any, known: list[prior.Prior], labels: dict[str, str]) -> dict[str, Any]:
    sql = "SELECT * FROM subject_intervals WHERE subject=? ORDER BY from_ns, watch"
    intervals = [
        {
            "address": i["address"],
            "port": i["port"],
            "transport": i["transport"],
            "from": clock.iso(i["from_ns"]),
            "to": clock.iso(i["to_ns"]),
            "tier": i["tier"],
            "watch": labels.get(i["watch"], i["watch"]),
            "sightings": len(json.loads(i["sightings"])),
        }
        for i in case.read().execute(sql, (row["subject"],))
    ]
    linked = "SELECT first, second, why FROM possible_links WHERE first=?1 OR second=?1 ORDER BY why, first, second"
    endpoints = {(i["address"], i["port"]) for i in intervals}
    beside = case.read().execute("SELECT outcome, at_ns FROM corroborations WHERE lead=?", (row["id"],)).fetchone()
    features = json.loads(row["features"])
    return {
        "id": row["id"],
        "subject": row["label"],
        "force": row["force"],
        "state": row["state"],
        "rank": row["rank"],
        "score": row["score"],
        "tier": row["tier"] + (", torrent only" if row["torrent_only"] else ""),
        "country": row["country"],
        "uncertain": bool(row["uncertain"]),
        "network_kind": row["network_kind"],
        "features": features,
        "reasons": priority.explain(features),
        "caveats": json.loads(row["caveats"]),
        "against": json.loads(row["against"]),
        "lookups": json.loads(row["lookups"]),
        "expires": clock.iso(row["expires_ns"]),
        "intervals": intervals,
        "possible_links": [link["why"] for link in case.read().execute(linked, (row["subject"],))],
        "artefacts": {"outcome": beside["outcome"], "at": clock.iso(beside["at_ns"])} if beside else None,
        "prior_knowledge": [
            {"statement": p.statement, "source": p.source, "entered_by": p.entered_by, "at": clock.iso(p.at_ns)}
            for p in prior.about(known, subject=row["subject"], endpoints=endpoints)
        ],
    }
