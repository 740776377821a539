"""`clew statement`: what people state about an Exhibit; never evidence."""

import re
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from clew.cli._common import case_argument, emit, json_option, open_case
from clew.core.errors import Usage
from clew.core.places import labels

DURATION = re.compile(r"([+-]?\d{1,9}(?:\.\d{1,9})?)(ms|s|m|h|d)")
UNITS = {"ms": 1e6, "s": 1e9, "m": 60e9, "h": 3600e9, "d": 86_400e9}


@click.group("statement", epilog="\b\nExample:\n  clew statement list CASE")
def statement() -> None:
    """What people state about an Exhibit: to whom it belongs, how its clock was off. Never evidence."""


@statement.command(
    "belongs",
    epilog="\b\nExample:\n  clew statement belongs CASE --exhibit AT-17-A --subject SUB-3fa9c2d104 "
    "--statement 'seized at the address that the provider named' --source 'report 4/2026'",
)
@case_argument
@click.option("--exhibit", required=True, help="The Exhibit's label.")
@click.option("--subject", required=True, help="The Subject's label (SUB-...) or id.")
@click.option("--statement", "words", required=True, help="Why it belongs there.")
@click.option("--source", required=True, help="From where that is known.")
@json_option
def belongs(case: Path, exhibit: str, subject: str, words: str, source: str, as_json: bool) -> None:
    """State that an Exhibit belongs to a Subject, so that its artefacts are set beside that lead."""
    from clew.attribute import statements

    made = statements.belongs(open_case(case), exhibit=exhibit, subject=subject, statement=words, source=source)
    emit(as_json, asdict(made), f"entered as {made.id}; take it back with: clew statement withdraw CASE {made.id}")


@statement.command(
    "clock",
    epilog="\b\nExample:\n  clew statement clock CASE --exhibit AT-17-A --offset +90s --error 2s "
    "--statement 'compared at the seizure' --source 'report 4/2026'",
)
@case_argument
@click.option("--exhibit", required=True, help="The Exhibit's label.")
@click.option("--offset", required=True, help="What its clock showed minus the true time: +90s, -2h, 0s.")
@click.option("--error", required=True, help="How far that may be wrong, over all the time that is compared: 2s.")
@click.option("--statement", "words", required=True, help="How it was measured.")
@click.option("--source", required=True, help="Where that is written down.")
@json_option
def clock(case: Path, exhibit: str, offset: str, error: str, words: str, source: str, as_json: bool) -> None:
    """State how an Exhibit's clock was off. Without it, times of its artefacts contradict nothing."""
    from clew.attribute import statements

    made = statements.clock_was_off(
        open_case(case),
        exhibit=exhibit,
        offset_ns=_duration(offset),
        error_ns=_duration(error),
        statement=words,
        source=source,
    )
    emit(as_json, asdict(made), f"entered as {made.id}; take it back with: clew statement withdraw CASE {made.id}")


@statement.command("withdraw", epilog="\b\nExample:\n  clew statement withdraw CASE 5f0c…")
@case_argument
@click.argument("identity", metavar="ID")
@json_option
def withdraw(case: Path, identity: str, as_json: bool) -> None:
    """Take a statement back. It stays in CASE, marked."""
    from clew.attribute import statements

    statements.withdraw(open_case(case), identity)
    emit(as_json, {"withdrawn": identity}, "withdrawn; run clew corroborate again")


@statement.command("list", epilog="\b\nExample:\n  clew statement list CASE --json")
@case_argument
@json_option
def listed(case: Path, as_json: bool) -> None:
    """List the statements that stand."""
    from clew.attribute import statements
    from clew.attribute.run import label

    opened = open_case(case)
    exhibits = labels(opened)
    found = [
        asdict(each) | {"exhibit": exhibits.get(each.exhibit), "subject": each.subject and label(each.subject)}
        for each in statements.standing(opened)
    ]
    emit(
        as_json, {"statements": found, "note": statements.HEADING}, "\n".join([statements.HEADING, *map(_line, found)])
    )


def _line(each: Mapping[str, Any]) -> str:
    if each["subject"] is not None:
        said = f"belongs to {each['subject']}"
    else:
        said = f"clock off by {each['offset_ns'] / 1e9:+.3f} s, give or take {each['error_ns'] / 1e9:.3f} s"
    return (
        f"{each['id']}  {each['exhibit']} {said}: {each['statement']} (source: {each['source']}; {each['entered_by']})"
    )


def _duration(text: str) -> int:
    """Nanoseconds of a text such as +90s. Raises Usage for any other."""
    found = DURATION.fullmatch(text)
    if found is None:
        raise Usage(f"{text!r} is no duration", "write it as 90s, +1.5h or -2d; units are ms, s, m, h, d")
    return round(float(found[1]) * UNITS[found[2]])


COMMAND = statement
