"""`clew leads`: the ranked Leads, with everything that speaks for and against each."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from clew.cli._common import case_argument, emit, json_option, open_case
from clew.core.printable import printable


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
    from clew.core import coverage

    opened = open_case(case)
    found, covered = listing.leads(opened, force=force), coverage.read(opened)
    told = ["\n".join(map(printable, words(lead))) for lead in found[:limit]]
    told = told or ["no leads; make them with: clew attribute"]
    if len(found) > limit:
        told.append(f"{len(found) - limit} more; see them with --limit {len(found)}")
    told.append("\n".join(printable(f"coverage: {line}") for line in covered.sentences()))
    data = {"leads": found[:limit], "of": len(found), "coverage": covered.as_dict()}
    emit(as_json, data, "\n\n".join(told))


def words(lead: Mapping[str, Any]) -> Iterator[str]:
    """One lead, line by line; `printable` is for the caller to apply."""
    holder = lead["force"] or "coordinating force"
    place = f"{lead['country'] or 'country unknown'}{' (uncertain)' if lead['uncertain'] else ''}"
    yield f"{holder} #{lead['rank']}  {lead['subject']}  {lead['tier']}  {place}  {lead['state']}"
    for i in lead["intervals"]:
        seen = f"{i['from']} to {i['to']}, {i['sightings']} sightings"
        yield f"  {i['watch']}: {i['address']} port {i['port']} {i['transport']}, {seen}, {i['tier']}"
    for each in lead["urgent"]:
        back = f", taken back {each['withdrawn']}: {each['withdrawn_reason']}" if each["withdrawn"] else ""
        yield f"  called urgent: {each['reason']} ({each['entered_by']}, {each['at']}){back}"
    parts = (
        ("why here", "reasons"),
        ("caveat", "caveats"),
        ("against", "against"),
        ("possible link", "possible_links"),
    )
    for heading, key in parts:
        yield from (f"  {heading}: {line}" for line in lead[key])
    yield from _beside(lead["beside"])
    if artefacts := lead["artefacts"]:
        but = "" if artefacts["stands"] else ", by statements, times of seizure or intervals that are others by now"
        yield f"  artefacts of exhibits: {artefacts['outcome']}, as of {artefacts['at']}{but} (clew corroborate)"
    yield f"  expires: {lead['expires']}"
    for known in lead["prior_knowledge"]:
        told = f"{known['statement']} (source: {known['source']}; {known['entered_by']}, {known['at']})"
        yield f"  entered by hand, not evidence from the network: {told}"


def _beside(beside: Mapping[str, Any]) -> Iterator[str]:
    """Contacts, apart from what they claimed."""
    over = ", ".join(f"{name} {count}" for name, count in beside["transports"])
    yield f"  contacts answered: {beside['contacts']}{f' ({over})' if over else ''}"
    failed = beside["failed"]
    if failed["count"]:
        yield f"  contacts failed: {failed['count']}, {failed['first']} to {failed['last']}"
    yield from (f"  contacts failed: {count} x {why}" for why, count in failed["reasons"])


COMMAND = leads
