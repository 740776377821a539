"""`clew status`: where a case stands."""

from pathlib import Path
from typing import Any

import click

from clew.cli._common import case_argument, emit, json_option, open_case
from clew.cli._countries import Countries
from clew.cli._live import next_lines
from clew.cli._show_hits import NAMED
from clew.core import clock
from clew.core.case import Case
from clew.core.lease import held
from clew.core.printable import printable
from clew.core.unfinished import unfinished
from clew.observe.standing import Standing, lately, standing

GROUPED = {
    "items": "SELECT state, count(*) FROM items GROUP BY state ORDER BY state",
    "missing": "SELECT reason, count(*) FROM items WHERE reason IS NOT NULL GROUP BY reason ORDER BY reason",
    "endpoints": "SELECT tier, count(*) FROM endpoints GROUP BY tier ORDER BY tier",
    "leads": "SELECT state, count(*) FROM leads GROUP BY state ORDER BY state",
    "hits": "SELECT kind || ', ' || state, count(*) FROM hits GROUP BY 1 ORDER BY 1",
    "grades": "SELECT state, count(*) FROM standing_grades GROUP BY state ORDER BY state",
}
WHICH = {"hits": NAMED, "grades": "which: clew show grades CASE", "open_alarms": "which: clew show alarms CASE"}
GO_ON = "not at their end: clew intake CASE PATH --label LABEL goes on"
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
    """Counts straight from case.db, leases whose holder is not gone, open alarms, the last checkpoint."""
    read = case.read()
    data: dict[str, Any] = {name: dict(map(tuple, read.execute(sql))) for name, sql in GROUPED.items()}
    data |= {name: read.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in COUNTED}  # noqa: S608 - ours
    data["exhibits_open"] = unfinished(case)
    told = "stage", "holder", "pid", "host", "taken_ns"
    data["running"] = [{name: row[name] for name in told} | {"since": clock.iso(row["taken_ns"])} for row in held(case)]
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
        elif name == "exhibits_open":
            text = ", ".join(map(printable, value)) + (f" ({GO_ON})" if value else "")
        elif isinstance(value, list):
            text = ", ".join(f"{r['stage']} by process {r['pid']} on {r['host']} since {r['since']}" for r in value)
        else:
            text = str(value) if value else ""
        text += f" ({WHICH[name]})" if value and name in WHICH else ""
        lines.append(f"  {name.replace('_', ' '):24}{text or '-'}")
    observing, countries, called = standing(opened), Countries(opened).by_tier(), lately(opened)
    data["observing"] = observing.as_dict() | {"countries": countries, "called_last_minute": called}
    emit(as_json, data, "\n".join(lines + _observing(observing, countries, called)))


def _observing(found: Standing, countries: dict[str, dict[str, int]], called: dict[str, int]) -> list[str]:
    """How the observing stands, of a run under way or of the last one; nothing where there was none."""
    if found.last_run is None:
        return []
    run = found.last_run
    lines = [f"observing: {found.runs} runs, the last from {run['began']}"]
    if run["cut_off"]:  # killed, or the machine went out: the same command goes on
        lines[0] += f"; nothing runs now: it was cut off, its last call at {run['cut_off']}"
    else:
        lines[0] += f" to {run['ended'] or 'now'}"
    lines += [f"  {tier:24}" + ", ".join(f"{c}: {n}" for c, n in told.items()) for tier, told in countries.items()]
    transports = ", ".join(f"{name}: {count}" for name, count in found.transports.items())
    oldest = f", the oldest for {found.oldest_s:.0f} s" if found.oldest_s is not None and not run["cut_off"] else ""
    told = ", ".join(f"{kind}: {count}" for kind, count in called.items())
    lines.append(f"  {'called in a minute':24}{told or '-'}")
    lines.append(f"  {'answered over':24}{transports or '-'}")
    lines.append(f"  {'calls cut off' if run['cut_off'] else 'in hand':24}{found.in_hand}{oldest}")
    us = found.named_us
    named = f"peers: {us['gossiped']}, trackers and nodes: {us['listed']}, by a presumed address: {us['presumed']}"
    lines.append(f"  {'named us':24}{named}")
    lines += [f"  {line}" for line in next_lines(found)]
    return lines + [f"  {count:6d}  {printable(why)}" for why, count in found.failures.items()]


COMMAND = status
