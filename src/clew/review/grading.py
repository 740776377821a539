"""Grades: decided by a person about exact bytes, proposed to near duplicates, confirmed or rejected, undone.

Rows are only added; undo marks the rows of a stroke. What stands of a Content is its newest row that was not undone
(the view `standing_grades`). Each function is one short transaction and works without the page.
"""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from clew.core import clock, mandate
from clew.core.case import Case, Transaction, new_id
from clew.core.errors import Refused, Usage
from clew.model import Category, GradeState
from clew.review.api import NEAR, Standing, Stroke

MOST_AT_ONCE = 500
"""Proposals that one stroke may confirm or reject: no more than a person can have had before their eyes."""


@dataclass(frozen=True, slots=True)
class _Row:
    """A grade about to be written."""

    content: bytes
    category: Category
    state: GradeState
    replaces: str | None
    inherited_from: bytes | None = None
    distance: int | None = None


def grade(case: Case, reviewer: str, content: bytes, category: Category) -> Stroke:
    """Records a person's decision about these bytes, and proposes it to the near duplicates in its series.

    Where `content` stands for its series, each member within 31 bits of it receives a proposal, unless a person's
    decision stands for that member. Raises Refused without a Mandate for review.
    """
    legal = _mandate(case)
    with case.write("review") as tx:
        before = standing(tx.conn, content)
        rows = [_Row(content, category, GradeState.DECIDED, before.grade if before else None)]
        rows += _proposals(tx.conn, content, category)
        stroke = _write(tx, reviewer, rows)
        done = Stroke(stroke[0], "graded", reviewer, stroke[1], content, proposed=len(rows) - 1)
        _record(tx, "grade.decided", done, rows, legal, category)
    return done


def confirm(case: Case, reviewer: str, proposals: Sequence[str]) -> Stroke:
    """Makes proposals (grade ids, as they were shown) this person's own decisions, all in one stroke.

    Raises Refused where any of them no longer stands, so that nobody confirms what they did not see.
    """
    return _answer(case, reviewer, proposals, GradeState.CONFIRMED)


def reject(case: Case, reviewer: str, proposals: Sequence[str]) -> Stroke:
    """Turns proposals down: those Contents stay without a grade until a person gives them one. Raises as `confirm`."""
    return _answer(case, reviewer, proposals, GradeState.REJECTED)


def undo(case: Case, reviewer: str) -> Stroke:
    """Takes back this reviewer's last stroke whole; what stood before it stands again.

    Raises Usage where there is none, and Refused where another person has meanwhile built on it.
    """
    legal = _mandate(case)
    with case.write("review") as tx:
        last = tx.execute(
            "SELECT stroke FROM grades WHERE reviewer = ? AND state <> 'undone' ORDER BY at_ns DESC LIMIT 1",
            (reviewer,),
        ).fetchone()
        if last is None:
            raise Usage("there is nothing to take back", "only your own strokes can be taken back")
        others = tx.execute(
            "SELECT count(*) FROM grades g JOIN grades n ON n.replaces = g.id AND n.content = g.content"
            " WHERE g.stroke = ? AND g.state = 'proposed' AND n.state <> 'undone' AND n.reviewer <> ?",
            (last["stroke"], reviewer),
        ).fetchone()[0]
        if others:
            raise Refused(
                f"another person has answered {others} of this stroke's proposals",
                "grade the picture anew; or they take back their answer first",
            )
        about = tx.execute(
            "SELECT coalesce(inherited_from, content) FROM grades WHERE stroke = ? LIMIT 1", (last["stroke"],)
        ).fetchone()[0]
        count = tx.execute("UPDATE grades SET state = 'undone' WHERE stroke = ?", (last["stroke"],)).rowcount
        done = Stroke(last["stroke"], "undone", reviewer, clock.now().utc_ns, bytes(about))
        tx.record(
            "grade.undone",
            subject={"reviewer": reviewer, "stroke": done.id},
            counts={"grades": count},
            mandate=legal,
        )
    return done


def standing(conn: sqlite3.Connection, content: bytes) -> Standing | None:
    """What stands of this Content; None where nobody graded it."""
    row = conn.execute("SELECT * FROM standing_grades WHERE content = ?", (content,)).fetchone()
    return None if row is None else as_standing(row)


def as_standing(row: sqlite3.Row) -> Standing:
    """A row of `grades` as what stands."""
    return Standing(
        grade=row["id"],
        content=bytes(row["content"]),
        category=Category(row["scheme"], row["country"], row["version"], row["code"]),
        state=GradeState(row["state"]),
        reviewer=row["reviewer"],
        at_ns=row["at_ns"],
        inherited_from=None if row["inherited_from"] is None else bytes(row["inherited_from"]),
        distance=row["distance"],
    )


def _proposals(conn: sqlite3.Connection, content: bytes, category: Category) -> list[_Row]:
    members = conn.execute(
        "SELECT m.content, m.distance FROM series s JOIN series_members m ON m.series = s.id"
        " WHERE s.id = (SELECT series FROM series_members WHERE content = ?1) AND s.representative = ?1"
        " AND m.content <> ?1 AND m.distance BETWEEN 0 AND ?2",
        (content, NEAR),
    ).fetchall()
    rows = []
    for member in members:
        now = standing(conn, bytes(member["content"]))
        if now is None or not now.settled:
            replaces = now.grade if now else None
            neighbour = bytes(member["content"])
            rows.append(_Row(neighbour, category, GradeState.PROPOSED, replaces, content, member["distance"]))
    return rows


def _answer(case: Case, reviewer: str, proposals: Sequence[str], answer: GradeState) -> Stroke:
    if not 0 < len(proposals) <= MOST_AT_ONCE:
        raise Usage(f"{len(proposals)} proposals in one stroke", f"answer between 1 and {MOST_AT_ONCE} at once")
    legal = _mandate(case)
    with case.write("review") as tx:
        rows = [_answered(tx.conn, proposal, answer) for proposal in dict.fromkeys(proposals)]
        identity, at_ns = _write(tx, reviewer, rows)
        confirmed = len(rows) if answer is GradeState.CONFIRMED else 0
        done = Stroke(identity, str(answer), reviewer, at_ns, confirmed=confirmed, rejected=len(rows) - confirmed)
        _record(tx, f"grade.{answer}", done, rows, legal)
    return done


def _answered(conn: sqlite3.Connection, proposal: str, answer: GradeState) -> _Row:
    row = conn.execute("SELECT * FROM standing_grades WHERE id = ?", (proposal,)).fetchone()
    if row is None or row["state"] != GradeState.PROPOSED:
        raise Refused("a proposal that you were shown no longer stands", "look at the series again, then answer")
    was = as_standing(row)
    return _Row(was.content, was.category, answer, was.grade, was.inherited_from, was.distance)


def _write(tx: Transaction, reviewer: str, rows: Sequence[_Row]) -> tuple[str, int]:
    """Writes the rows as one stroke, later than all that stands before it, whatever the clock did meanwhile."""
    stroke, at_ns = new_id(), clock.now().utc_ns
    latest = [tx.execute("SELECT max(at_ns) FROM grades WHERE reviewer = ?", (reviewer,)).fetchone()[0] or 0]
    latest += [
        tx.execute("SELECT max(at_ns) FROM grades WHERE content = ?", (row.content,)).fetchone()[0] or 0 for row in rows
    ]
    at_ns = max(at_ns, max(latest) + 1)
    tx.executemany(
        "INSERT INTO grades VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?)",
        [_values(row, reviewer, at_ns, stroke) for row in rows],
    )
    return stroke, at_ns


def _values(row: _Row, reviewer: str, at_ns: int, stroke: str) -> tuple[object, ...]:
    kind = row.category
    return (
        *(new_id(), row.content, kind.scheme, kind.country, kind.version, kind.code, str(row.state), reviewer, at_ns),
        *(row.inherited_from, row.distance, row.replaces, stroke),
    )


def _record(
    tx: Transaction, action: str, stroke: Stroke, rows: Sequence[_Row], legal: str, category: Category | None = None
) -> None:
    """The ledger entry of a stroke. Its counts give nothing away; contents and codes stand in the committed subject."""
    subject: dict[str, object] = {"reviewer": stroke.reviewer, "stroke": stroke.id}
    if category is not None:
        subject["category"] = [category.scheme, category.country, category.version, category.code]
    subject["grades"] = [
        {"content": row.content.hex(), "state": str(row.state), "distance": row.distance, "code": row.category.code}
        for row in rows
    ]
    tx.record(action, subject=subject, counts={"grades": len(rows)}, mandate=legal)


def _mandate(case: Case) -> str:
    return mandate.require(case, purpose="review", at_ns=clock.now().utc_ns).id
