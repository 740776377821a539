"""`clew show clues`: which files say the same camera, person, document or place."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from clew.cli._common import case_argument, open_case, unlike_most
from clew.core.errors import Usage
from clew.core.printable import printable

EDITED = (
    "what files say of themselves can be edited, and one number may be that of many cameras: clues, not proof;"
    " times are as written, in no zone unless they say one"
)

DOUBTFUL = "complete at no place: what is said there may be another file's"


@click.command("clues", epilog="\b\nExamples:\n  clew show clues cases/icarus\n  clew show clues cases/icarus 3001234")
@case_argument
@click.argument("value", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
def clues(case: Path, value: str | None, as_json: bool) -> None:
    """Name what the files of CASE say of camera, person, document and place, and how many of which exhibits say it.

    What files of several exhibits say comes first. With VALUE, as it is printed: each file that says exactly it, and
    when it was taken.
    """
    from clew.identify.clues import clues as found
    from clew.identify.clues import saying

    opened, any_told = open_case(case), False
    for told in found(opened) if value is None else saying(opened, value):
        any_told = True
        lines = _counted(told) if value is None else _named(told)
        click.echo(json.dumps(told, sort_keys=True) if as_json else "\n".join(printable(line) for line in lines))
    if value is not None and not any_told:
        raise Usage(f"no file of this case says {value!r}", "give a whole value as printed by: clew show clues CASE")
    if not as_json:
        click.echo(EDITED if any_told else "no file that was read says anything of these")


def _counted(told: dict[str, Any]) -> Iterator[str]:
    yield f"{told['name']}  {told['value']}"
    times = "" if told["first"] is None else f", taken {told['first']}"
    times += "" if told["first"] == told["last"] else f" to {told['last']}"
    known = f", {told['known']:,} known to an alert set" if told["known"] else ""
    many = "1 content" if told["contents"] == 1 else f"{told['contents']:,} contents"
    doubtful = f"; {told['doubtful']:,} {DOUBTFUL}" if told["doubtful"] else ""
    yield f"  {many} in {', '.join(told['exhibits']) or 'no exhibit named'}{known}{times}{doubtful}"


def _named(told: dict[str, Any]) -> Iterator[str]:
    known = ", known to an alert set" if told["known"] else ""
    taken = f", taken {told['taken']}" if told["taken"] else ""
    yield f"{told['content'][:12]}  {told['exhibit']}  {told['path']}{unlike_most(told)}: {told['name']}{taken}{known}"
