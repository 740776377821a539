"""Leads as people read them: what the case holds of each, with prior knowledge apart."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from clew.attribute import grounds, prior, priority, urgency
from clew.attribute.beside import Beside
from clew.core import clock, mandate, since
from clew.core.case import Case

COORDINATOR = "coordinator"
LINKED = """
SELECT s.label, why FROM possible_links JOIN subjects s ON s.id = iif(first = ?1, second, first)
WHERE ?1 IN (first, second) ORDER BY why, s.label
"""
UNRANKED = {"rule": "of an earlier clew", "version": "", "features": []}
EARLIER = "ranked by an earlier clew, without its features: run clew attribute again"


def leads(case: Case, *, force: str | None = None) -> list[dict[str, Any]]:
    """Every lead in order of force and rank; of one force, or of "coordinator", where `force` says so.

    Raises Refused without a Mandate for "attribute". That leads were read is recorded.
    """
    sql = (
        "SELECT l.*, s.label, s.watches FROM leads l JOIN subjects s ON s.id = l.subject ORDER BY l.force, l.rank, l.id"
    )
    return _told(case, [row for row in case.read().execute(sql).fetchall() if _wanted(row, force)], {"force": force})


def lead(case: Case, named: str) -> dict[str, Any]:
    """One lead, by its id, its beginning, or its Subject's label. Raises Usage where there is none; else as `leads`."""
    row = urgency.find(case, named)
    return _told(case, [row], {"lead": row["id"]})[0]


def _told(case: Case, rows: Sequence[Any], about: dict[str, Any]) -> list[dict[str, Any]]:
    basis = mandate.require(case, purpose="attribute", at_ns=clock.now().utc_ns)
    known = prior.all_of(case)
    labels = {row["id"]: row["label"] for row in case.read().execute("SELECT id, label FROM watches")}
    later, stated = since.read(case), grounds.read(case.read())
    found = [_lead(case, row, known, labels, later) | {"artefacts": _artefacts(case, row, stated)} for row in rows]
    with case.write("attribute") as tx:
        tx.record("leads.listed", subject=about, counts={"leads": len(found)}, mandate=basis.id)
    return found


def _wanted(row: Any, force: str | None) -> bool:
    return force is None or row["force"] == force or (force == COORDINATOR and row["force"] is None)


def _lead(case: Case, row: Any, known: list[prior.Prior], labels: dict[str, str], later: since.Since) -> dict[str, Any]:
    intervals = _intervals(case, row["subject"], labels)
    endpoints = {(i["address"], i["port"]) for i in intervals}
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
        "features": json.loads(row["features"]),
        **_details(case, row["id"]),
        "urgent": [_decision(each) for each in urgency.history(case, row["id"])],
        "caveats": json.loads(row["caveats"]),
        "against": [*json.loads(row["against"]), *later.against(endpoints)],
        "lookups": json.loads(row["lookups"]),
        "expires": clock.iso(row["expires_ns"]),
        "intervals": intervals,
        "possible_links": [
            f"{link['label']}: {link['why']}" for link in case.read().execute(LINKED, (row["subject"],))
        ],
        "prior_knowledge": [
            {"statement": p.statement, "source": p.source, "entered_by": p.entered_by, "at": clock.iso(p.at_ns)}
            for p in prior.about(known, subject=row["subject"], endpoints=endpoints)
        ],
    }


def _artefacts(case: Case, row: Any, stated: grounds.Grounds) -> dict[str, Any] | None:
    """What artefacts said of a lead when they were last set beside it, and whether what that rested on still stands."""
    found = case.read().execute("SELECT * FROM corroborations WHERE lead=?", (row["id"],)).fetchone()
    if found is None:
        return None
    stands = stated.bear(row["subject"], found["findings"])
    return {"outcome": found["outcome"], "at": clock.iso(found["at_ns"]), "stands": stands}


def _intervals(case: Case, subject: str, labels: dict[str, str]) -> list[dict[str, Any]]:
    sql = "SELECT * FROM subject_intervals WHERE subject=? ORDER BY from_ns, watch"
    return [
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
        for i in case.read().execute(sql, (subject,))
    ]


def _details(case: Case, lead_id: str) -> dict[str, Any]:
    """How the lead was ranked, and what stands beside it; marked as unknown where an earlier clew made it."""
    row = case.read().execute("SELECT ranking, beside FROM lead_details WHERE lead=?", (lead_id,)).fetchone()
    beside = json.loads(row["beside"]) if row else asdict(Beside())
    times = {name: beside["failed"].pop(f"{name}_ns") for name in ("first", "last")}
    beside["failed"] |= {name: ns if ns is None else clock.iso(ns) for name, ns in times.items()}
    if row is None:
        return {"ranking": UNRANKED, "reasons": [EARLIER], "beside": beside}
    return {"ranking": json.loads(row["ranking"]), "reasons": priority.explain(row["ranking"]), "beside": beside}


def _decision(each: urgency.Urgency) -> dict[str, Any]:
    """One decision that a lead is urgent, as people read it."""
    return {
        "reason": each.reason,
        "entered_by": each.entered_by,
        "at": clock.iso(each.at_ns),
        "withdrawn_by": each.withdrawn_by,
        "withdrawn": None if each.withdrawn_ns is None else clock.iso(each.withdrawn_ns),
        "withdrawn_reason": each.withdrawn_reason,
    }
