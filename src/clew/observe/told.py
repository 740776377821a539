"""What was taken in from others, for people: which files, and what they say."""

import json
from typing import Any

from clew.core import clock, shards, watch
from clew.core.case import Case
from clew.core.errors import Usage

SAID = """
SELECT id, kind, tier, watch, claim, address, port, transport, listen_port, client, started_ns, missing_detail,
       split_part(source, ': ', 2) AS what
FROM sightings WHERE kind IN ('captured', 'imported') AND split_part(split_part(source, ': ', 1), ' ', 2)
IN (SELECT unnest(?)) ORDER BY sightings.started_ns, id
"""


def all_of(case: Case) -> list[dict[str, Any]]:
    """Every file that was taken in, oldest first, as JSON."""
    rows = case.read().execute("SELECT * FROM captures ORDER BY taken_ns, id").fetchall()
    parsed = ("watches", "counts", "flaws", "isolation")
    return [
        {name: row[name] for name in row.keys() if name not in (*parsed, "sha256", "taken_ns")}  # noqa: SIM118 - a Row
        | {name: json.loads(row[name]) for name in parsed}
        | {"sha256": row["sha256"].hex(), "taken": clock.iso(row["taken_ns"])}
        for row in rows
    ]


def said_by(case: Case, label: str) -> list[dict[str, Any]]:
    """What the files taken in under this label say, in the order of their times, without transcripts; as JSON.

    Raises Usage where no file has the label.
    """
    digests = [row["sha256"].hex() for row in case.read().execute("SELECT * FROM captures WHERE label=?", (label,))]
    if not digests:
        raise Usage(f"no file was taken in under the label {label!r}", "see: clew capture list CASE")
    labels = {each.id: each.label for each in watch.all_of(case)}
    found = shards.query(case, SAID, (digests,)).to_pylist()
    return [
        {**row, "watch": labels.get(row["watch"], row["watch"]), "at": clock.iso(row["started_ns"])} for row in found
    ]
