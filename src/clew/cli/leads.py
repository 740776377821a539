"""`clew leads`: the ranked Leads, with everything that speaks for and against each."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from clew.cli._common import case_argument, emit, json_option, open_case


@click.command(
    "leads",
    epilog="\b\nExamples:\n  clew leads CASE --force AT\n  clew leads CASE --force coordinator --limit 5 --json",
)
@case_argument
@click.option("--force", help="Only those of this force; `coordinator` for those that stay with the coordinating one.")
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="How many to print.")
@json_option
def leads(case: Path, force: str | None, limit: int, as_json: bool) -> None:
    """List the Leads of CASE in order, with reasons, caveats and all that speaks against them."""
    from clew.attribute import listing

    found = listing.leads(open_case(case), force=force)
    words = "\n\n".join("\n".join(_words(lead)) for lead in found[:limit]) or "no leads; make them with: clew attribute"
    if len(found) > limit:
        words += f"\n\n{len(found) - limit} more; see them with --limit {len(found)}"
    emit(as_json, {"leads": found[:limit], "of": len(found)}, words)


def _words(lead: Mapping[str, Any]) -> Iterator[str]:
    holder = lead["force"] or "coordinating force"
    place = f"{lead['country'] or 'country unknown'}{' (uncertain)' if lead['uncertain'] else ''}"
    yield f"{holder} #{lead['rank']}  {lead['subject']}  {lead['tier']}  {place}  {lead['state']}"
    for i in lead["intervals"]:
        seen = f"{i['from']} to {i['to']}, {i['sightings']} sightings"
        yield f"  {i['watch']}: {i['address']} port {i['port']} {i['transport']}, {seen}, {i['tier']}"
    parts = (
        ("why here", "reasons"),
        ("caveat", "caveats"),
        ("against", "against"),
        ("possible link", "possible_links"),
    )
    for heading, key in parts:
        yield from (f"  {heading}: {line}" for line in lead[key])
    if beside := lead["artefacts"]:
        yield f"  artefacts of exhibits: {beside['outcome']}, as of {beside['at']} (clew corroborate)"
    yield f"  expires: {lead['expires']}"
    for known in lead["prior_knowledge"]:
        told = f"{known['statement']} (source: {known['source']}; {known['entered_by']}, {known['at']})"
        yield f"  entered by hand, not evidence from the network: {told}"


COMMAND = leads
