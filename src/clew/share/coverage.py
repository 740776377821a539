"""What a Bundle says about its own limits: what was not covered, what a register answered, and the build's mark."""

import json
import sqlite3
from typing import Any

from clew.core import validated
from clew.core.case import Case
from clew.share.api import UNVALIDATED

FEATURES = {
    "urgent": "a person has put it first (\u201curgent\u201d, or the alarm \u201cchild at risk now\u201d)",
    "watched_files": "number of watched files that it claimed parts of: {}",
    "days": "different days (UTC) on which it did so: {}",
    "recency": "how fresh the last claim is: {} (1 is today; halves every 14 days)",
    "claims": "contacts in which it claimed parts: {}",
    "grade": "weight of the gravest grade among these files, by the sender\u2019s table of grades: {} (of 10)",
    "torrent_only": "ranked lower: no claimed part is known to lie wholly inside a watched file",
}


def build_mark() -> str:
    """UNVALIDATED BUILD, unless this build carries the error rates measured on itself (`core.validated`)."""
    return "" if validated.is_validated() else UNVALIDATED


def not_covered(case: Case) -> tuple[str, ...]:
    """One plain sentence for each thing that was not looked at or could not be seen, from the case itself."""
    lines = [*_network(case), *_exhibits(case)]
    if not case.read().execute("SELECT count(*) FROM observe_runs").fetchone()[0]:
        lines.append("No network was observed in this case.")
    return tuple(lines)


def lookup_words(answer: dict[str, Any]) -> str:
    """One register's answer (a row of `leads.lookups`) as a line for people."""
    dated = f"of {answer['dated'][:10]}" if answer.get("dated") else "of unknown date"
    said = [answer.get("country") or "country unknown", answer.get("subdivision"), answer.get("network")]
    said.append(f"kind of network: {answer['kind']}" if answer.get("kind") not in (None, "unknown") else None)
    stale = f"; this register {answer['stale']}" if answer.get("stale") else ""
    return f"{answer.get('name', 'a register')} {dated}: {', '.join(s for s in said if s)}{stale}"


def reasons(features: dict[str, float]) -> tuple[str, ...]:
    """Each feature of a lead's rank as a sentence; what does not apply (0) is left out."""
    return tuple(FEATURES.get(name, f"{name}: {{}}").format(f"{value:g}") for name, value in features.items() if value)


def _network(case: Case) -> list[str]:
    conn, lines = case.read(), []
    row = conn.execute(
        "SELECT count(*) AS listed, sum(tier = 'E0') AS silent FROM (SELECT min(tier) AS tier FROM"
        " (SELECT address, port, max(tier) AS tier FROM endpoints GROUP BY address, port) GROUP BY address, port)"
    ).fetchone()
    if row["silent"]:
        lines.append(
            f"{row['silent']} of {row['listed']} listed addresses and ports never answered; being listed is hearsay "
            "and is not in here."
        )
    broken = conn.execute("SELECT count(*) FROM dials WHERE state = 'interrupted'").fetchone()[0]
    if broken:
        lines.append(f"Contacts that were interrupted, and are not counted: {broken}.")
    said: dict[str, None] = {}
    for (text,) in conn.execute("SELECT coverage FROM observe_runs ORDER BY started_ns, id"):
        coverage = json.loads(text)
        line = coverage.get("not_covered")
        said |= dict.fromkeys([line] if isinstance(line, str) else line or ())
        if hours := coverage.get("downtime_seconds", 0) / 3600:
            lines.append(f"For {hours:.1f} hours since observing began, no observation was under way.")
    return lines + _gaps(conn) + list(said)


def _gaps(conn: sqlite3.Connection) -> list[str]:
    """Times inside a run in which it saw nothing or its clock was set, each reason with its number and sum."""
    rows = conn.execute(
        "SELECT why, count(*) AS n, sum(max(0, to_ns - from_ns)) AS ns FROM observe_gaps GROUP BY why ORDER BY why"
    )
    return [f"While observing ({row['n']} times, {row['ns'] / 1e9 / 3600:.2f} hours): {row['why']}." for row in rows]


def _exhibits(case: Case) -> list[str]:
    rows = case.read().execute(
        "SELECT state, coalesce(reason, '') AS reason, count(*) AS n FROM items WHERE state <> 'done'"
        " GROUP BY state, reason ORDER BY state, reason"
    )
    lines = []
    for row in rows:
        why = f" ({row['reason']})" if row["reason"] else ""
        lines.append(f"Files of the seized exhibits that are {row['state']}{why}: {row['n']}.")
    return lines
