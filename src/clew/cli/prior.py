"""`clew prior`: prior knowledge, entered by hand and kept apart from evidence."""

from dataclasses import asdict
from pathlib import Path

import click

from clew.cli._common import case_argument, emit, json_option, open_case


@click.group("prior", epilog="\b\nExample:\n  clew prior list CASE")
def prior() -> None:
    """Prior knowledge about an address or a Subject: entered by hand, never evidence from the network."""


@prior.command(
    "add",
    epilog="\b\nExamples:\n  clew prior add CASE --address 192.0.2.1 --port 6881 --statement 'earlier case' "
    "--source 'file 12/2025'\n  clew prior add CASE --subject SUB-3fa9c2d104 --statement '...' --source '...'",
)
@case_argument
@click.option("--address", help="The IP address that it is about.")
@click.option("--port", type=int, help="The port, where it is about one alone.")
@click.option("--subject", help="The Subject that it is about: its label (SUB-...) or id.")
@click.option("--statement", required=True, help="What is known.")
@click.option("--source", required=True, help="From where.")
@json_option
def add(
    case: Path, address: str | None, port: int | None, subject: str | None, statement: str, source: str, as_json: bool
) -> None:
    """Enter what is known about an address or a Subject."""
    from clew.attribute.prior import add as enter

    entered = enter(open_case(case), address=address, port=port, subject=subject, statement=statement, source=source)
    emit(as_json, asdict(entered), f"entered as {entered.id}; it is shown apart from evidence, and ranks nothing")


@prior.command("list", epilog="\b\nExample:\n  clew prior list CASE --json")
@case_argument
@json_option
def listed(case: Path, as_json: bool) -> None:
    """List what was entered."""
    from clew.attribute.prior import HEADING, all_of, unshown

    opened = open_case(case)
    alone = {p.id for p in unshown(opened)}
    known = [asdict(p) | {"beside_a_lead": p.id not in alone} for p in all_of(opened)]
    lines = [
        f"{p['subject'] or p['address']}{':' + str(p['port']) if p['port'] else ''}  {p['statement']}  "
        f"(source: {p['source']}; {p['entered_by']}){'' if p['beside_a_lead'] else '  beside no lead now'}"
        for p in known
    ]
    emit(as_json, {"prior_knowledge": known, "note": HEADING}, "\n".join([HEADING, *lines]))


COMMAND = prior
