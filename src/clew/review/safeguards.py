"""Alarms ("child at risk now"), the private counter of what one has seen, and the reminder to rest.

An alarm is never refused for want of a Mandate: a child at risk goes before everything else. It starts a clock that
stands on top of every page until a second person has acknowledged it and somebody has closed it with a reason.
"""

import sqlite3
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from clew.core import clock
from clew.core.case import Case, Transaction, new_id
from clew.core.errors import Refused, Usage

ABOUT = ("content", "series", "lead")
ALARMS = (
    "SELECT a.*, CASE about_kind WHEN 'series' THEN (SELECT label FROM series WHERE id = about)"
    " WHEN 'lead' THEN (SELECT label FROM subjects WHERE id = (SELECT subject FROM leads WHERE id = about)) END"
    " AS label FROM alarms a"
)
"""Each alarm, and what people call what it is about; NULL for a Content, and for what is no more."""
MOST_REASON = 2_000
SECOND = 1_000_000_000
BREAK_NS = 5 * 60 * SECOND
"""So long without a picture counts as a rest."""


@dataclass(frozen=True, slots=True)
class Alarm:
    """One "child at risk now", and how far it has come."""

    id: str
    about_kind: str
    about: str
    label: str
    reason: str
    raised_by: str
    raised_ns: int
    acknowledged_by: str | None
    acknowledged_ns: int | None


@dataclass(frozen=True, slots=True)
class Exposure:
    """What one reviewer has seen; shown to that reviewer alone. `working_ns` is the time since the last rest."""

    clear_today: int
    blurred_today: int
    clear_since_rest: int
    working_ns: int
    rest_due: bool


@dataclass(frozen=True, slots=True)
class RestRule:
    """When clew reminds of a rest: our judgement, not a proven limit. Both count from the last rest of 5 minutes."""

    minutes: int = 50
    pictures: int = 150


def same_person(first: str, second: str) -> bool:
    """Whether two pseudonyms are one, however they are typed."""
    return first.strip().casefold() == second.strip().casefold()


def raise_alarm(case: Case, reviewer: str, kind: str, about: str, reason: str) -> str:
    """Starts the safeguarding clock about a Content (its SHA-256), a Series or a Lead (their ids); returns its id.

    Raises Usage without a reason, or where there is no such thing in this case.
    """
    reason = reason.strip()
    if not 0 < len(reason) <= MOST_REASON:
        raise Usage("an alarm needs a reason", f"say in up to {MOST_REASON} characters what you saw")
    identity, now = new_id(), clock.now().utc_ns
    with case.write("review") as tx:
        _known(tx.conn, kind, about)
        tx.execute(
            "INSERT INTO alarms (id, about_kind, about, reason, raised_by, raised_ns) VALUES (?,?,?,?,?,?)",
            (identity, kind, about, reason, reviewer, now),
        )
        subject = {"alarm": identity, "kind": kind, "about": about, "reason": reason, "reviewer": reviewer}
        tx.record("alarm.raised", subject=subject)
    return identity


def acknowledge(case: Case, reviewer: str, alarm: str) -> None:
    """A second person says that they have taken the alarm up. Refused to whoever raised it."""
    with case.write("review") as tx:
        row = _open_alarm(tx, alarm)
        if same_person(row["raised_by"], reviewer):
            raise Refused(
                "you raised this alarm yourself", "a second person acknowledges it, under their own pseudonym"
            )
        if row["acknowledged_by"] is not None:
            raise Refused(f"{row['acknowledged_by']} has acknowledged it already", "nothing more is needed from you")
        tx.execute(
            "UPDATE alarms SET acknowledged_by = ?, acknowledged_ns = ? WHERE id = ?",
            (reviewer, clock.now().utc_ns, alarm),
        )
        tx.record("alarm.acknowledged", subject={"alarm": alarm, "reviewer": reviewer})


def close_alarm(case: Case, reviewer: str, alarm: str, reason: str) -> None:
    """Ends the clock, with a reason. Refused before a second person has acknowledged it."""
    reason = reason.strip()
    if not 0 < len(reason) <= MOST_REASON:
        raise Usage("closing an alarm needs a reason", "say what was done, or why it was no alarm")
    with case.write("review") as tx:
        row = _open_alarm(tx, alarm)
        if row["acknowledged_by"] is None:
            raise Refused("no second person has acknowledged this alarm", "it stays open until one has")
        tx.execute(
            "UPDATE alarms SET closed_ns = ?, closed_reason = ? WHERE id = ?", (clock.now().utc_ns, reason, alarm)
        )
        tx.record("alarm.closed", subject={"alarm": alarm, "reviewer": reviewer, "reason": reason})


def open_alarms(case: Case) -> list[Alarm]:
    """Every alarm that is not closed: those that nobody took up first, then the oldest."""
    rows = case.read().execute(f"{ALARMS} WHERE closed_ns IS NULL ORDER BY acknowledged_ns IS NOT NULL, raised_ns")
    return [
        Alarm(
            *(row["id"], row["about_kind"], row["about"], row["label"] or row["about"][:12], row["reason"]),
            *(row["raised_by"], row["raised_ns"], row["acknowledged_by"], row["acknowledged_ns"]),
        )
        for row in rows
    ]


def record_views(case: Case, reviewer: str, views: Sequence[tuple[bytes, str]], legal: str) -> None:
    """Writes down pictures that are about to be shown: (Content, "blurred" or "clear"). Call before a byte leaves.

    One transaction and one ledger entry for all that were asked for at once.
    """
    now = clock.now().utc_ns
    unique = list(dict.fromkeys(views))
    with case.write("review") as tx:
        tx.executemany(
            "INSERT OR IGNORE INTO exposure (reviewer, content, at_ns, how) VALUES (?,?,?,?)",
            [(reviewer, content, now, how) for content, how in unique],
        )
        counts = {how: sum(1 for _, h in unique if h == how) for how in ("blurred", "clear")}
        seen = [{"content": content.hex(), "how": how} for content, how in unique]
        tx.record("picture.viewed", subject={"reviewer": reviewer, "pictures": seen}, counts=counts, mandate=legal)


def record_opening(case: Case, reviewer: str, isolation: dict[str, Any]) -> None:
    """Writes down that the page was opened, and how well the worker that decodes its pictures is locked up."""
    reached = sum(bool(layer["reached"]) for layer in isolation.values())
    with case.write("review") as tx:
        subject = {"reviewer": reviewer, "isolation": isolation}
        tx.record("review.opened", subject=subject, counts={"layers": len(isolation), "reached": reached})


def exposure(case: Case, reviewer: str, rule: RestRule, now_ns: int) -> Exposure:
    """What this reviewer has seen today (local day) and since the last rest."""
    rows = case.read().execute(
        "SELECT at_ns, how, content FROM exposure WHERE reviewer = ? AND at_ns > ? ORDER BY at_ns DESC",
        (reviewer, now_ns - 24 * 3600 * SECOND),
    )
    midnight, later, begun = _midnight(now_ns), now_ns, now_ns
    today: dict[str, set[bytes]] = {"clear": set(), "blurred": set()}
    since_rest: set[bytes] = set()
    rested = False
    for at_ns, how, content in rows:
        rested = rested or later - at_ns >= BREAK_NS
        later = at_ns
        if at_ns >= midnight:
            today[how].add(content)
        if not rested:
            begun = at_ns
            if how == "clear":
                since_rest.add(content)
    working = now_ns - begun
    due = working >= rule.minutes * 60 * SECOND or len(since_rest) >= rule.pictures
    return Exposure(len(today["clear"]), len(today["blurred"]), len(since_rest), working, due)


def _midnight(now_ns: int) -> int:
    local = time.localtime(now_ns // SECOND)
    return int(time.mktime((local.tm_year, local.tm_mon, local.tm_mday, 0, 0, 0, 0, 0, -1))) * SECOND


def _open_alarm(tx: Transaction, alarm: str) -> sqlite3.Row:
    row: sqlite3.Row | None = tx.execute("SELECT * FROM alarms WHERE id = ? AND closed_ns IS NULL", (alarm,)).fetchone()
    if row is None:
        raise Usage("there is no such open alarm", "it may have been closed meanwhile")
    return row


def _known(conn: sqlite3.Connection, kind: str, about: str) -> None:
    """Raises Usage where the case holds no such thing. Of a Content only the form is checked: nothing may delay it."""
    if kind == "content":
        there = len(about) == 64 and set(about) <= set("0123456789abcdef")
    elif kind == "series":
        there = conn.execute("SELECT 1 FROM series WHERE id = ?", (about,)).fetchone() is not None
    elif kind == "lead":
        there = conn.execute("SELECT 1 FROM leads WHERE id = ?", (about,)).fetchone() is not None
    else:
        raise Usage(f"an alarm cannot be about a {kind}", f"it can be about: {', '.join(ABOUT)}")
    if not there:
        raise Usage(f"this case holds no such {kind}", "reload the page; it may have been grouped anew")
