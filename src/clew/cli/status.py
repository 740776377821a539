"""`clew status`: where a case stands."""

from pathlib import Path
from typing import Any

import click

from clew.cli._common import case_argument, emit, json_option, open_case
from clew.core import clock
from clew.core.case import Case

GROUPED = {
    "items": "SELECT state, count(*) FROM items GROUP BY state ORDER BY state",
    "missing": "SELECT reason, count(*) FROM items WHERE reason IS NOT NULL GROUP BY reason ORDER BY reason",
    "endpoints": "SELECT tier, count(*) FROM endpoints GROUP BY tier ORDER BY tier",
    "leads": "SELECT state, count(*) FROM leads GROUP BY state ORDER BY state",
    "hits": "SELECT kind || ', ' || state, count(*) FROM hits GROUP BY 1 ORDER BY 1",
    "grades": "SELECT state, count(*) FROM standing_grades GROUP BY state ORDER BY state",
}
COUNTED = (
    "mandates",
    "watches",
    "captures",
    "exhibits",
    "subjects",
    "series",
    "hashsets",
    "bundles",
    "received",
    "ledger",
)


def state_of(case: Case) -> dict[str, Any]:
    """Counts straight from case.db, leases that are held, open alarms, the last checkpoint."""
    read = case.read()
    data: dict[str, Any] = {name: dict(map(tuple, read.execute(sql))) for name, sql in GROUPED.items()}
    data |= {name: read.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in COUNTED}  # noqa: S608 - ours
    held = read.execute("SELECT stage, holder, pid, host, taken_ns FROM leases ORDER BY stage")
    data["running"] = [{**dict(row), "since": clock.iso(row["taken_ns"])} for row in held]
    data["open_alarms"] = read.execute("SELECT count(*) FROM alarms WHERE closed_ns IS NULL").fetchone()[0]
    last = read.execute("SELECT size, at_ns FROM checkpoints ORDER BY size DESC LIMIT 1").fetchone()
    data["last_checkpoint"] = {"size": last["size"], "at": clock.iso(last["at_ns"])} if last else None
    return data


@click.command("status", epilog="\b\nExample:\n  clew status cases/icarus --json")
@case_argument
@json_option
def status(case: Path, as_json: bool) -> None:
    """Show where the CASE stands, without changing it."""
    opened = open_case(case)
    data = state_of(opened)
    lines = [f"{opened.settings.operation}, held by {opened.settings.force}"]
    for name, value in data.items():
        if isinstance(value, dict):
            text = ", ".join(f"{key}: {count}" for key, count in value.items())
        elif isinstance(value, list):
            text = ", ".join(f"{r['stage']} by process {r['pid']} on {r['host']} since {r['since']}" for r in value)
        else:
            text = str(value) if value else ""
        lines.append(f"  {name.replace('_', ' '):24}{text or '-'}")
    emit(as_json, data, "\n".join(lines))


COMMAND = status
