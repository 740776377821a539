"""`clew corroborate`: seized artefacts beside the Leads."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from clew.cli._common import case_argument, emit, json_option, open_case

if TYPE_CHECKING:
    from clew.attribute.corroborate import Corroborated
    from clew.attribute.finding import Finding

SHOWN = 12  # findings of one lead


@click.command(
    "corroborate",
    epilog="\b\nExamples:\n  clew corroborate CASE\n  clew corroborate CASE --lead SUB-3fa9c2d104 --json",
)
@case_argument
@click.option("--lead", help="Only this one: its id, or its Subject's label (SUB-...).")
@json_option
def corroborate(case: Path, lead: str | None, as_json: bool) -> None:
    """Set the peer-to-peer artefacts of seized Exhibits beside the Leads of CASE.

    Says of each lead: supported, contradicted or silent, with the bytes that show it. Never a verdict on a person. An
    Exhibit counts for a lead once somebody states that it belongs to its Subject (clew statement belongs).
    """
    from clew.attribute.corroborate import corroborate as run

    report = run(open_case(case), lead=lead)
    counts = ", ".join(f"{count} {outcome}" for outcome, count in report.counts().items())
    lines = [line for each in report.leads for line in _words(each)]
    for label, watches in report.unlinked.items():
        stated = "there is no lead on the subject that it is stated to belong to"
        why = stated if label in report.gone else "nobody has stated to whom it belongs"
        lines.append(f"{label} holds {', '.join(watches)}, and {why}: it counts for no lead")
    for label, subjects in report.gone.items():
        lines.append(
            f"{label} is stated to belong to {', '.join(subjects)}, on whom there is no lead now: withdraw that, "
            "or state anew to whom it belongs (clew statement list)"
        )
    lines += [*report.refused, *(f"not covered: {each}" for each in report.covered)]
    emit(as_json, report.as_dict(), "\n".join([f"{len(report.leads)} leads: {counts}", *lines]))


def _words(lead: "Corroborated") -> Iterator[str]:
    agree = f" ({', '.join(lead.matches)})" if lead.matches else ""
    yield f"{lead.force or 'coordinating force'}  {lead.subject}  {lead.outcome.upper()}{agree}"
    for watch, outcome in lead.by_watch.items():
        yield f"  {watch}: {outcome}"
    for each in lead.findings[:SHOWN]:
        yield from _finding(each)
    if len(lead.findings) > SHOWN:
        yield f"  {len(lead.findings) - SHOWN} more findings; see them all with --json"
    yield from (f"  covered: {line}" for line in lead.covered)


def _finding(found: "Finding") -> Iterator[str]:
    whose = "" if found.linked else ", which nobody states to belong to it"
    agree = f": {', '.join(found.matches)}" if found.matches else ""
    yield f"  {found.says}{agree} ({found.watch}; exhibit {found.exhibit}{whose})"
    yield f"    {found.kind}, {found.item}{'' if found.live else ' (deleted)'}, content {found.content}"
    yield from (f"    {what}: {length} bytes from byte {at}" for what, (at, length) in found.shown.items())
    yield from (f"    {line}" for line in found.why)


COMMAND = corroborate
