"""Statements by people about an Exhibit: to which Subject it belongs, and how far its clock was off when it was seized.

clew never decides either. An Exhibit that nobody has spoken for is set beside no Lead. Statements are withdrawn, not
deleted, and each step stands in the Ledger.
"""

from dataclasses import dataclass

from clew.attribute import grounds
from clew.core import clock, mandate
from clew.core.case import Case, new_id
from clew.core.errors import Usage

BELONGS, CLOCK = "belongs", "clock"
HEADING = "stated by people; not evidence"


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement. `offset_ns` is what the Exhibit's clock showed minus the true time, give or take `error_ns`."""

    id: str
    kind: str
    exhibit: str
    subject: str | None
    offset_ns: int | None
    error_ns: int | None
    statement: str
    source: str
    entered_by: str
    at_ns: int


@dataclass(frozen=True, slots=True)
class Clock:
    """How an Exhibit's clock was measured; `statement` is the id of the statement that says so."""

    offset_ns: int
    error_ns: int
    statement: str


def belongs(case: Case, *, exhibit: str, subject: str, statement: str, source: str) -> Statement:
    """States that an Exhibit (by its label) belongs to a Subject (by label or id). Raises Usage where either is not
    there, Refused without a Mandate for "attribute" that covers the Exhibit.
    """
    row = case.read().execute("SELECT id FROM subjects WHERE id=? OR label=?", (subject, subject)).fetchone()
    if row is None:
        raise Usage(f"there is no subject {subject!r}", "see them with: clew leads CASE")
    return _enter(case, BELONGS, exhibit, statement, source, subject=str(row["id"]))


def clock_was_off(case: Case, *, exhibit: str, offset_ns: int, error_ns: int, statement: str, source: str) -> Statement:
    """States how an Exhibit's clock was off: what it showed minus the true time, and how wrong that may be.

    Raises Usage for an error below 0 or where this Exhibit's clock is stated already, Refused as `belongs`.
    """
    if error_ns < 0:
        raise Usage("an error is not negative", "give how far the measured offset may be wrong, as --error 2s")
    known = [each for each in standing(case) if each.kind == CLOCK and each.exhibit == _exhibit(case, exhibit)]
    if known:
        raise Usage(
            f"the clock of {exhibit} is stated already", f"withdraw that first: clew statement withdraw {known[0].id}"
        )
    return _enter(case, CLOCK, exhibit, statement, source, offset_ns=offset_ns, error_ns=error_ns)


def withdraw(case: Case, identity: str) -> None:
    """Takes a statement back; it stays in the case, marked. Raises Usage where there is none that stands."""
    now_ns = clock.now().utc_ns
    basis = mandate.require(case, purpose="attribute", at_ns=now_ns)
    with case.write("attribute") as tx:
        sql = "UPDATE statements SET withdrawn_by=?, withdrawn_ns=? WHERE id=? AND withdrawn_ns IS NULL"
        if not tx.execute(sql, (case.actor, now_ns, identity)).rowcount:
            raise Usage(f"no statement {identity!r} stands", "see them with: clew statement list CASE")
        grounds.restate(tx)
        tx.record("statement.withdrawn", subject={"statement": identity}, mandate=basis.id)


def standing(case: Case) -> list[Statement]:
    """Every statement that was not withdrawn, oldest first."""
    rows = case.read().execute("SELECT * FROM statements WHERE withdrawn_ns IS NULL ORDER BY at_ns, id")
    return [Statement(**{key: row[key] for key in Statement.__slots__}) for row in rows]


def clocks(stated: list[Statement]) -> dict[str, Clock]:
    """Exhibit id -> how its clock was off."""
    return {
        each.exhibit: Clock(each.offset_ns, each.error_ns, each.id)
        for each in stated
        if each.offset_ns is not None and each.error_ns is not None
    }


def _enter(
    case: Case,
    kind: str,
    label: str,
    statement: str,
    source: str,
    *,
    subject: str | None = None,
    offset_ns: int | None = None,
    error_ns: int | None = None,
) -> Statement:
    if not statement.strip() or not source.strip():
        raise Usage("a statement needs words and a source", "give --statement, and from where with --source")
    exhibit = _exhibit(case, label)
    now_ns = clock.now().utc_ns
    basis = mandate.require(case, purpose="attribute", at_ns=now_ns, exhibit=label)
    made = Statement(new_id(), kind, exhibit, subject, offset_ns, error_ns, statement, source, case.actor, now_ns)
    values = tuple(getattr(made, name) for name in Statement.__slots__)
    with case.write("attribute") as tx:
        tx.execute(
            f"INSERT INTO statements ({', '.join(Statement.__slots__)}) VALUES (?,?,?,?,?,?,?,?,?,?)",  # noqa: S608 - our own names
            values,
        )
        grounds.restate(tx)
        about = dict(zip(Statement.__slots__, values, strict=True))
        tx.record(f"statement.{kind}", subject=about, mandate=basis.id)
    return made


def _exhibit(case: Case, label: str) -> str:
    row = case.read().execute("SELECT id FROM exhibits WHERE label=?", (label,)).fetchone()
    if row is None:
        raise Usage(f"there is no exhibit {label!r}", "see them with: clew status CASE")
    return str(row["id"])
