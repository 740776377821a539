"""What a Bundle says of its own limits: what was and was not covered, what a register answered, the build's mark."""

import json
from collections.abc import Collection
from typing import Any

from clew.core import coverage, sent, validated
from clew.core.case import Case
from clew.core.network_words import network_words
from clew.core.printable import printable
from clew.share.api import UNVALIDATED

HEARSAY = "who was only listed is hearsay, and is not in here"
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


def not_covered(case: Case, watches: Collection[str]) -> tuple[str, ...]:
    """What was and was not looked at: the statement that stands beside each lead (`core.coverage`), then the exhibits.

    One plain sentence for each thing, from the case itself; a tracker's own words may stand in it. Of single Watches
    only those with these labels are named.
    """
    covered = coverage.read(case).sentences(watches, every_gap=True)
    return tuple(map(printable, (*covered, HEARSAY, *_said(case), *_exhibits(case))))


def lookup_words(answer: dict[str, Any]) -> str:
    """One register's answer (a row of `leads.lookups`) as a line for people."""
    dated = f"of {answer['dated'][:10]}" if answer.get("dated") else "of unknown date"
    said = [answer.get("country") or "country unknown", answer.get("subdivision"), answer.get("network")]
    known = answer.get("kind") not in (None, "unknown")
    said.append(f"kind of network: {network_words(answer['kind'])}" if known else None)
    stale = f"; this register {answer['stale']}" if answer.get("stale") else ""
    return f"{answer.get('name', 'a register')} {dated}: {', '.join(s for s in said if s)}{stale}"


def reasons(features: dict[str, float]) -> tuple[str, ...]:
    """Each feature of a lead's rank as a sentence; what does not apply (0) is left out."""
    return tuple(FEATURES.get(name, f"{name}: {{}}").format(f"{value:g}") for name, value in features.items() if value)


def unlisted(case: Case, force: str) -> tuple[str, ...]:
    """A sentence on the Bundles for this force of which an earlier version kept no list of Leads."""
    count = sent.unlisted(case, force)
    words = f"earlier bundles for {force} of whose leads no list was kept, so that none of them is taken back by name"
    return (f"{words}: {count}; rely on the leads of the newest bundle alone",) if count else ()


def _said(case: Case) -> list[str]:
    """What each run of the observer said of its own limits, each sentence once."""
    said: dict[str, None] = {}
    for (text,) in case.read().execute("SELECT coverage FROM observe_runs ORDER BY number, started_ns, id"):
        line = json.loads(text).get("not_covered")
        said |= dict.fromkeys([line] if isinstance(line, str) else line or ())
    return list(said)


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
