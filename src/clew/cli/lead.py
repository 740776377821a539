"""`clew lead`: one Lead: its page, and a person's decision that it is urgent."""

from pathlib import Path

import click

from clew.cli._common import case_argument, emit, json_option, open_case, write_new
from clew.cli.leads import words
from clew.core.printable import printable


@click.group("lead", epilog="\b\nExample:\n  clew lead show CASE SUB-3fa9c2d104 --out lead.html")
def lead() -> None:
    """One Lead: everything about it, and whether it comes first."""


@lead.command(
    "show",
    epilog="\b\nExamples:\n  clew lead show CASE SUB-3fa9c2d104\n  clew lead show CASE SUB-3fa9c2d104 --out lead.html",
)
@case_argument
@click.argument("named", metavar="LEAD")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Write it as a page (HTML) to this file.")
@json_option
def show(case: Path, named: str, out: Path | None, as_json: bool) -> None:
    """Print all that CASE holds of LEAD (its id or its subject's label), or write it as a page for a person."""
    from clew.attribute import lead_page, listing
    from clew.core import coverage

    opened = open_case(case)
    found, covered = listing.lead(opened, named), coverage.read(opened)
    if out is not None:
        write_new(out, lead_page.page(opened, found, covered))
        emit(as_json, {"lead": found["id"], "out": str(out)}, f"{found['subject']}: {out}")
        return
    told = [*words(found), "", *(f"coverage: {line}" for line in covered.sentences())]
    emit(as_json, {"lead": found, "coverage": covered.as_dict()}, "\n".join(map(printable, told)))


@lead.command(
    "urgent",
    epilog="\b\nExamples:\n  clew lead urgent CASE SUB-3fa9c2d104 --reason 'a child lives there, report 7/2026'\n"
    "  clew lead urgent CASE SUB-3fa9c2d104 --withdraw --reason 'another family, report 9/2026'",
)
@case_argument
@click.argument("named", metavar="LEAD")
@click.option("--reason", required=True, help="Why; shown with the lead.")
@click.option("--withdraw", is_flag=True, help="Take it back. What was said stays in CASE, marked.")
@json_option
def urgent(case: Path, named: str, reason: str, withdraw: bool, as_json: bool) -> None:
    """Put LEAD first, by a person's decision, or take that back. Both stand in the Ledger."""
    from clew.attribute import listing, urgency

    opened = open_case(case)
    (urgency.withdraw if withdraw else urgency.declare)(opened, lead=named, reason=reason)
    found = listing.lead(opened, named)
    said = "no longer called urgent" if withdraw else "called urgent"
    emit(as_json, {"lead": found}, f"{found['subject']} is {said}; its rank is now {found['rank']}")


COMMAND = lead
