"""`clew mandate`: the legal basis of a case."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click

from clew.cli._common import case_argument, emit, json_option, open_case
from clew.core import clock
from clew.core import mandate as mandates
from clew.core.case import new_id
from clew.core.errors import Usage


@click.group(
    "mandate",
    epilog="\b\nExamples:\n  clew mandate draft --operation Icarus --out draft.json\n"
    "  clew mandate add CASE mandate.json",
)
def mandate() -> None:
    """Draft Mandates, add signed ones to a case, list them.

    Nothing is dialled, read, graded or sent without a Mandate that covers it.
    """


@mandate.command(epilog="\b\nExample:\n  clew mandate draft --operation Icarus --exhibit E-1 --out draft.json")
@click.option("--operation", required=True, help="The operation's name.")
@click.option("--authority", default="(name of the authority)", help="Who grants it, in words.")
@click.option(
    "--purpose", "purposes", multiple=True, type=click.Choice(mandates.PURPOSES), help="Default: all of them."
)
@click.option("--exhibit", "exhibits", multiple=True, help="Labels of exhibits it covers; default: all of the case.")
@click.option("--tracker", "trackers", multiple=True, help="Tracker addresses it covers; default: none.")
@click.option(
    "--address", "addresses", multiple=True, help="Networks that may be dialled; default: this machine's own."
)
@click.option(
    "--country", "countries", multiple=True, help="Countries it covers, ISO 3166-1 alpha-2 (AT); default: all."
)
@click.option(
    "--permit",
    "permits",
    multiple=True,
    type=click.Choice(mandates.PERMITS),
    help="What it permits besides (may be repeated): each shows interest, or lists us. Default: none.",
)
@click.option("--days", default=90, show_default=True, help="For how long from now.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Where the draft goes.")
def draft(
    operation: str,
    authority: str,
    purposes: tuple[str, ...],
    exhibits: tuple[str, ...],
    trackers: tuple[str, ...],
    addresses: tuple[str, ...],
    countries: tuple[str, ...],
    permits: tuple[str, ...],
    days: int,
    out: Path,
) -> None:
    """Write a draft for the authority to read, change and sign."""
    if out.exists():
        raise Usage(f"{out} is there already", "name a new file")
    now = datetime.now(UTC).replace(microsecond=0)
    body = {
        "id": new_id(),
        "operation": operation,
        "authority": authority,
        "purposes": list(purposes or mandates.PURPOSES),
        "networks": ["bittorrent"],
        "addresses": list(addresses or ["127.0.0.0/8"]),
        "countries": list(countries or ["*"]),
        "trackers": list(trackers),
        "exhibits": list(exhibits or ["*"]),
        "permits": list(permits),
        "not_before": now.isoformat(),
        "not_after": (now + timedelta(days=days)).isoformat(),
    }
    mandates.from_draft(body)
    out.write_text(json.dumps(body, indent=2) + "\n", "utf-8")
    click.echo(f"{out} is a draft; an authority signs it: clew key sign mandate {out} --key NAME --out FILE")


@mandate.command(epilog="\b\nExample:\n  clew mandate add cases/icarus mandate.json")
@case_argument
@click.argument("document", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@json_option
def add(case: Path, document: Path, as_json: bool) -> None:
    """Take a signed Mandate into the CASE."""
    added = mandates.add(open_case(case), document.read_bytes())
    words = f"Mandate {added.id[:8]} for {', '.join(added.purposes)}, until {clock.iso(added.not_after_ns)}"
    emit(as_json, {"mandate": added.id, "not_after": clock.iso(added.not_after_ns)}, words)


@mandate.command("list", epilog="\b\nExample:\n  clew mandate list cases/icarus")
@case_argument
@json_option
def list_(case: Path, as_json: bool) -> None:
    """List the Mandates of the CASE; each signature is checked now."""
    found = mandates.all_of(open_case(case))
    rows = [
        {"mandate": m.id, "operation": m.operation, "purposes": m.purposes, "not_after": clock.iso(m.not_after_ns)}
        for m in found
    ]
    lines = [f"{m.id[:8]}  {m.operation}: {', '.join(m.purposes)}; until {clock.iso(m.not_after_ns)}" for m in found]
    emit(as_json, {"mandates": rows}, "\n".join(lines) or "no Mandate: nothing may be done in this case yet")


COMMAND = mandate
