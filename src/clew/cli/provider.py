"""`clew provider`: the page that asks an internet provider who held an address and port."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from clew.cli._common import case_argument, emit, json_option, open_case, write_new
from clew.core.errors import Usage

if TYPE_CHECKING:
    from clew.attribute.ask_by import Period
    from clew.core.case import Case


@click.command(
    "provider",
    epilog="\b\nExamples:\n  clew provider CASE SUB-3fa9c2d104 --out ask.html --retention periods.csv\n"
    "  clew provider CASE SUB-3fa9c2d104 --out ask.html --retention-days 90\n"
    "  clew provider CASE SUB-3fa9c2d104 --json",
)
@case_argument
@click.argument("named", metavar="LEAD")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Where to write the page (HTML).")
@click.option("--retention-days", type=int, help="How many days providers there keep such records.")
@click.option(
    "--retention",
    type=click.Path(path_type=Path, dir_okay=False),
    help="A CSV file of such periods: country,days,source,dated.",
)
@json_option
def provider(
    case: Path, named: str, out: Path | None, retention_days: int | None, retention: Path | None, as_json: bool
) -> None:
    """Write the page that asks a provider who held the address and port of LEAD, line by line.

    Contacts at which the observing machine's clock was not measured are left out; refused where none is left.
    Without a period of retention: "ask at once".
    """
    from clew.attribute import provider as asking

    if out is None and not as_json:
        raise Usage("nowhere to write the page to", "give --out FILE, or --json to see what stands in it")
    opened = open_case(case)
    asked = asking.question(opened, named, _period(opened, named, retention_days, retention))
    if out is not None:
        write_new(out, asking.page(opened, asked))
    by = f"ask by {asked.ask_by}" if asked.ask_by else "how long it is kept there is unknown: ask at once"
    left = f", {asked.left_out} contacts left out (the clock was not measured)" if asked.left_out else ""
    emit(as_json, asked.as_dict(), f"{asked.reference}: {len(asked.lines)} lines{left}, {by}: {out}")


def _period(case: "Case", named: str, days: int | None, file: Path | None) -> "Period | None":
    """What the operator gave; the country's in a file only where the lead's country is certain."""
    from clew.attribute import ask_by, urgency

    if days is not None and file is not None:
        raise Usage("both a number of days and a file of periods", "give one of them")
    if days is not None:
        return ask_by.by_hand(days)
    row = urgency.find(case, named)
    return None if file is None or row["uncertain"] else ask_by.of_country(file, row["country"])


COMMAND = provider
