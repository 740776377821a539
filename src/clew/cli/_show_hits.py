"""`clew show hits`: what of a case hash sets know, and where it was found."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from clew.cli._common import case_argument, open_case, unlike_most
from clew.core.hits import state
from clew.core.printable import printable

NAMED = "which, and where, but for known-good: clew show hits CASE"


@click.command("hits", epilog="\b\nExample:\n  clew show hits cases/icarus --json")
@case_argument
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
def hits(case: Path, as_json: bool) -> None:
    """Name what alert and reference sets know of CASE, with a picture or without: by which hash, and at which places.

    What an alert set knows comes first. Of known-good sets it is counted how many contents each knows.
    """
    from clew.match.api import ASKED
    from clew.match.hits import hits as known
    from clew.match.hits import known_good

    opened, any_told = open_case(case), False
    for told in known(opened):
        any_told = True
        click.echo(json.dumps(told, sort_keys=True) if as_json else "\n".join(_lines(told)))
    for counted in known_good(opened):
        any_told = True
        click.echo(json.dumps(counted, sort_keys=True) if as_json else _counted(counted))
    if not as_json:
        click.echo(f"{'' if any_told else 'no hits; '}as the last clew match left it; {ASKED}")


def _lines(told: dict[str, Any]) -> Iterator[str]:
    size = "" if told["size"] is None else f"{told['size']:,} bytes"
    yield printable(f"{told['content']}  {', '.join(each for each in (told['media_type'], size) if each)}".rstrip())
    for hit in told["hits"]:
        yield printable(f"  {hit['part']}: {hit['said']}" if hit["part"] else f"  {hit['said']}")
    for place in told["places"]:
        yield printable(f"  {place['exhibit']}  {place['path']}{unlike_most(place)}")
    if not told["places"]:
        yield "  no place of it is recorded"


def _counted(counted: dict[str, Any]) -> str:
    how = ", ".join(each for each in (counted["algorithm"], state(counted["state"])) if each)
    return printable(
        f"{counted['kind']} · {counted['hashset']}: {counted['contents']:,} contents by {how}; not named one by one"
    )
