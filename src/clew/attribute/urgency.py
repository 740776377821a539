"""What puts a lead first: a person's decision with its reason, or an open "child at risk now" alarm.

A decision is withdrawn, never deleted; each step stands in the Ledger, and the ranks follow at once.
"""

import json
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from clew.attribute import priority
from clew.core import clock, mandate
from clew.core.case import Case, Transaction, new_id
from clew.core.errors import Usage
from clew.core.lease import lease


@dataclass(frozen=True, slots=True)
class Urgency:
    """One decision that a lead is urgent, and who made it; `withdrawn_*` are None while it stands."""

    id: str
    lead: str
    reason: str
    entered_by: str
    at_ns: int
    withdrawn_by: str | None = None
    withdrawn_ns: int | None = None
    withdrawn_reason: str | None = None


def declare(case: Case, *, lead: str, reason: str) -> Urgency:
    """Calls a lead (by id, its beginning, or its Subject's label) urgent.

    Raises Usage where there is no such lead, no reason, or it is urgent already; Refused without a Mandate, Held while
    the leads are being made.
    """
    if not reason.strip():
        raise Usage("urgent needs a reason", "say why with --reason")
    now_ns = clock.now().utc_ns
    basis = mandate.require(case, purpose="attribute", at_ns=now_ns)
    with lease(case, "attribute", case.settings.id), case.write("attribute") as tx:
        row = find(case, lead)
        if any(each.withdrawn_ns is None for each in history(case, row["id"])):
            raise Usage(f"{row['label']} is called urgent already", "take that back first: clew lead urgent --withdraw")
        made = Urgency(new_id(), row["id"], reason.strip(), case.actor, now_ns)
        tx.execute(
            "INSERT INTO urgencies (id, lead, reason, entered_by, at_ns) VALUES (?,?,?,?,?)",
            (made.id, made.lead, made.reason, made.entered_by, made.at_ns),
        )
        _rank_again(tx, row)
        tx.record("lead.urgent", subject={"lead": made.lead, "reason": made.reason}, mandate=basis.id)
    return made


def withdraw(case: Case, *, lead: str, reason: str) -> None:
    """Takes it back, with a reason. Raises as `declare`, and Usage where the lead is not called urgent."""
    if not reason.strip():
        raise Usage("to take it back needs a reason too", "say why with --reason")
    now_ns = clock.now().utc_ns
    basis = mandate.require(case, purpose="attribute", at_ns=now_ns)
    with lease(case, "attribute", case.settings.id), case.write("attribute") as tx:
        row = find(case, lead)
        sql = (
            "UPDATE urgencies SET withdrawn_by=?, withdrawn_ns=?, withdrawn_reason=? WHERE lead=? AND withdrawn_ns "
            "IS NULL"
        )
        if not tx.execute(sql, (case.actor, now_ns, reason.strip(), row["id"])).rowcount:
            raise Usage(f"nobody has called {row['label']} urgent", "see it with: clew lead show CASE LEAD")
        _rank_again(tx, row)
        tx.record("lead.urgent.withdrawn", subject={"lead": row["id"], "reason": reason.strip()}, mandate=basis.id)


def history(case: Case, lead: str) -> list[Urgency]:
    """Every decision about one lead, oldest first, those that were taken back too."""
    rows = case.read().execute("SELECT * FROM urgencies WHERE lead=? ORDER BY at_ns, id", (lead,))
    return [Urgency(**{name: row[name] for name in Urgency.__slots__}) for row in rows]


def reasons(case: Case | Transaction) -> dict[str, list[str]]:
    """What stands, by the id of a lead or Subject: people's reasons, and open alarms."""
    run = case.read().execute if isinstance(case, Case) else case.execute
    found: dict[str, list[str]] = defaultdict(list)
    for row in run("SELECT lead, reason FROM urgencies WHERE withdrawn_ns IS NULL ORDER BY at_ns, id"):
        found[row["lead"]].append(str(row["reason"]))
    sql = (
        "SELECT about, reason FROM alarms WHERE about_kind IN ('lead', 'subject') AND closed_ns IS NULL "
        "ORDER BY raised_ns, id"
    )
    for row in run(sql):
        found[row["about"]].append(f"child at risk now: {row['reason']}")
    return dict(found)


def find(case: Case, named: str) -> Any:
    """The row of one lead with its Subject's label, by the lead's id or its beginning, or by the Subject's label.

    Raises Usage where there is none, or more than one.
    """
    sql = (
        "SELECT l.*, s.label FROM leads l JOIN subjects s ON s.id = l.subject "
        "WHERE l.id = ?1 OR s.label = ?1 OR (length(?1) >= 4 AND substr(l.id, 1, length(?1)) = ?1) ORDER BY l.id"
    )
    rows = case.read().execute(sql, (named,)).fetchmany(2)
    if len(rows) != 1:
        raise Usage(
            f"{'more than one lead begins with' if rows else 'there is no lead'} {named!r}",
            "give its id or its subject's label (SUB-...), as clew leads CASE lists them; one that came in a Bundle "
            "stands on its summary.html (clew bundle CASE)",
        )
    return rows[0]


def _rank_again(tx: Transaction, row: Any) -> None:
    """Asks the rule about this lead once more, and puts all leads in their new order."""
    held = tx.execute("SELECT ranking FROM lead_details WHERE lead=?", (row["id"],)).fetchone()
    if held is None:
        raise Usage("the ranks of this case were made by an earlier clew", "run clew attribute again")
    standing = reasons(tx)
    ranking = priority.again(held["ranking"], [*standing.get(row["id"], ()), *standing.get(row["subject"], ())])
    values = (ranking.score, json.dumps(ranking.values()), row["id"])
    tx.execute("UPDATE leads SET score=?, features=? WHERE id=?", values)
    tx.execute("UPDATE lead_details SET ranking=? WHERE lead=?", (ranking.text(), row["id"]))
    priority.reorder(tx)
