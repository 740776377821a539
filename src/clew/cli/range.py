"""`clew range`: the training range by itself."""

import json
from pathlib import Path

import click

from clew.cli._common import case_argument, emit, json_option, open_case
from clew.core.errors import Usage
from clew.range.score import TITLE, rates
from clew.range.score import score as compare


@click.group("range", epilog="\b\nExample:\n  clew range score demo/case demo/truth.json")
def group() -> None:
    """The closed training range: compare a case with a truth."""


@group.command("score", epilog="\b\nExample:\n  clew range score demo/case demo/truth.json")
@case_argument
@click.argument("truth", type=click.Path(path_type=Path, dir_okay=False))
@json_option
def score(case: Path, truth: Path, as_json: bool) -> None:
    """Compare the leads of CASE with TRUTH (the truth.json that a demo wrote)."""
    try:
        known = json.loads(truth.read_text("utf-8"))
    except FileNotFoundError as error:
        raise Usage(f"there is no file {truth}", "a demo writes DIR/truth.json at its end") from error
    except ValueError as error:
        raise Usage(f"{truth} is not a truth file: {error}", "a demo writes DIR/truth.json at its end") from error
    opened = open_case(case)
    try:
        result = compare(opened, known)
    finally:
        opened.close()
    lines = [
        f"{result.planted} planted, {result.contactable} contactable, {result.found} found, {result.split} split",
        f"{result.leads} leads, {len(result.false)} false, {result.bystanders} on torrent-only claims of others",
        f"{TITLE}:",
    ]
    for rate in rates(result):
        most = "" if rate["at_most"] is None else f", at most {100 * rate['at_most']:.2f} % (one-sided 95 % bound)"
        lines.append(f"  {rate['name']}: {rate['n']} of {rate['of']}{most}")
    lines += [f"  missed: {each}" for each in result.missed] + [f"  false: {each}" for each in result.false]
    emit(as_json, result.as_dict(), "\n".join(lines))


COMMAND = group
