"""`clew show grades`, `alarms`, `unseen`: what people decided of a case, each "child at risk now", what nobody sees."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click

from clew.cli._common import case_argument, open_case
from clew.core.printable import printable


@click.command("grades", epilog="\b\nExample:\n  clew show grades cases/icarus --json")
@case_argument
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
def grades(case: Path, as_json: bool) -> None:
    """Name each content of CASE that was graded, or has a proposal: how, in which scheme, by whom and when."""
    from clew.review.decided import grades as standing

    _tell(standing(open_case(case)), _grade, as_json, "no grades; people give them in: clew review CASE")


@click.command("alarms", epilog="\b\nExample:\n  clew show alarms cases/icarus")
@case_argument
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
def alarms(case: Path, as_json: bool) -> None:
    """Tell of every "child at risk now" of CASE, closed ones too: about what, why, who took it up, how it ended.

    Those that are open come first.
    """
    from clew.review.decided import alarms as raised

    _tell(raised(open_case(case)), _alarm, as_json, "nobody raised an alarm in this case")


@click.command("unseen", epilog="\b\nExample:\n  clew show unseen cases/icarus --json")
@case_argument
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
def unseen(case: Path, as_json: bool) -> None:
    """Name the films and pictures of CASE that clew review shows no picture of, and what could not be had of each.

    Where an alert set knows one, or a person graded it, the page lists it in words; the others stand on no page.
    """
    from clew.review.unseen import unseen as without

    _tell(without(open_case(case)), _film, as_json, "there is a picture of every film and picture that was read")


def _tell(
    found: Iterator[dict[str, Any]], words: Callable[[dict[str, Any]], list[str]], as_json: bool, nothing: str
) -> None:
    any_told = False
    for told in found:
        any_told = True
        click.echo(json.dumps(told, sort_keys=True) if as_json else "\n".join(printable(each) for each in words(told)))
    if not any_told and not as_json:
        click.echo(nothing)


def _film(told: dict[str, Any]) -> list[str]:
    lasts = "" if told["seconds"] is None else f", {told['seconds']:,.1f} s"
    state = "" if told["name_state"] in (None, "live") else f" ({told['name_state']})"
    on_page = [name for name in ("known", "graded") if told[name]]
    where = f"{', '.join(on_page)}: on the page in words" if on_page else "on no page"
    line = f"{told['exhibit']}  {told['path']}{state}: {told['media_type']}, {told['size']:,} bytes{lasts}; {where}"
    return [f"{told['content'][:12]}  {line}", *(f"  {each}" for each in told["missing"])]


def _grade(told: dict[str, Any]) -> list[str]:
    near = (
        ""
        if told["distance"] is None
        else f", inherited of {told['inherited_from'][:8]} at distance {told['distance']}"
    )
    series = f" ({told['series']})" if told["series"] else ""
    who = f"by {told['reviewer']} at {told['at']}{near}"
    return [f"{told['content']}{series}  {told['code']} in {told['scheme']}, {told['state']} {who}"]


def _alarm(told: dict[str, Any]) -> list[str]:
    taken = (
        f"taken up by {told['acknowledged_by']} at {told['acknowledged']}" if told["acknowledged"] else "NOT TAKEN UP"
    )
    ended = f"closed at {told['closed']}: {told['closed_reason']}" if told["closed"] else "OPEN"
    return [
        f"{told['kind']} {told['label'] or told['about']}: {told['reason']}",
        f"  raised by {told['raised_by']} at {told['raised']}; {taken}; {ended}",
    ]
