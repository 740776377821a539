"""`clew range`: the training range by itself."""

import json
import secrets
from collections import Counter
from pathlib import Path
from typing import Any

import click

from clew.cli._common import case_argument, emit, json_option, open_case
from clew.cli._range_table import words
from clew.core.errors import Exit, Usage
from clew.range import scenario_file
from clew.range.cast import make_scenario
from clew.range.classes import BYSTANDERS, SUBJECTS
from clew.range.scenario import Scenario
from clew.range.score import score as compare
from clew.range.truth import FORMAT

SHOWN_PORTS = tuple(range(6881, 6921))  # a scenario that is only shown opens none
HINT = "a demo writes DIR/truth.json at its end"


@click.group(
    "range",
    epilog="\b\nExamples:\n  clew range show full\n  clew range run small --out operation\n"
    "  clew range score demo/case demo/truth.json",
)
def group() -> None:
    """The closed training range: what a scenario plants, one operation of it, and a case against the truth."""


@group.command("show", epilog="\b\nExamples:\n  clew range show full\n  clew range show mine.toml --seed 7 --json")
@click.argument("scenario")
@click.option("--seed", type=click.IntRange(0, 2**31 - 1), default=0, help="Which operation (default: 0).")
@json_option
def show(scenario: str, seed: int, as_json: bool) -> None:
    """Show what SCENARIO (a TOML file, or full, small, large, light50k, nameless) plants. Nothing is started."""
    text = scenario_file.text_of(scenario)
    made = make_scenario(seed, scenario_file.parse(text), ports=SHOWN_PORTS, real_port=SHOWN_PORTS[-1] + 1)
    classes = [*_rows(made, planted=True), *_rows(made, planted=False)]
    lines = [f"{row['parties']:>6}  {row['contactable']:>6}  {row['class']}: {row['says']}" for row in classes]
    head = "parties, contactable ones, class ('bystander' is not planted):"
    emit(as_json, {"classes": classes, "seed": seed, "text": text}, "\n".join([text, head, *lines]))


def _rows(made: Scenario, *, planted: bool) -> list[dict[str, Any]]:
    parties = [p for p in made.parties if p.planted is planted]
    counts, contactable = Counter(p.kind for p in parties), Counter(p.kind for p in parties if made.contactable(p))
    says = {k: c.says for k, c in SUBJECTS.items()} if planted else {k: c.says for k, c in BYSTANDERS.items()}
    name = "" if planted else "bystander "
    return [
        {"class": f"{name}{kind}", "contactable": contactable[kind], "parties": counts[kind], "says": said}
        for kind, said in says.items()
        if counts[kind]
    ]


@group.command(
    "run",
    epilog="\b\nExamples:\n  clew range run small --out operation\n  clew range run mine.toml --out operation --seed 7",
)
@click.argument("scenario")
@click.option("--out", required=True, type=click.Path(path_type=Path, file_okay=False), help="A new folder.")
@click.option("--seed", type=click.IntRange(0, 2**31 - 1), help="Which operation (default: a fresh one, printed).")
@json_option
def run(scenario: str, out: Path, seed: int | None, as_json: bool) -> int:
    """Observe and attribute one operation of SCENARIO, without a disk and without bundles, and score it.

    OUT holds the case, truth.json and score.json afterwards. Exit status 4: a forbidden message was seen, or a canary
    byte lies in the case; score.json counts them. Needs the extra "range".
    """
    from clew.cli._range_run import play

    text = scenario_file.text_of(scenario)
    scenario_file.parse(text)
    seed = secrets.randbelow(2**31) if seed is None else seed
    played = play(out, seed, text, lambda line: click.echo(line, err=True))
    conduct = f"{played.forbidden} forbidden messages, {played.canary_bytes} canary bytes in the case"
    emit(as_json, played.as_dict(), "\n".join([words(played.score), conduct, *played.examples]))
    return Exit.FORBIDDEN if played.forbidden or played.canary_bytes else Exit.DONE


@group.command("score", epilog="\b\nExample:\n  clew range score demo/case demo/truth.json")
@case_argument
@click.argument("truth", type=click.Path(path_type=Path, dir_okay=False))
@json_option
def score(case: Path, truth: Path, as_json: bool) -> None:
    """Compare the leads of CASE with TRUTH (the truth.json that a demo or `clew range run` wrote).

    Per class of peer and per country: found, false by kind, split, delay to E2; each miss with its reason; and whether
    higher-ranked leads hold more true ones.
    """
    known = _truth(truth)
    opened = open_case(case)
    try:
        result = compare(opened, known)
    finally:
        opened.close()
    emit(as_json, result.as_dict(), words(result))


def _truth(path: Path) -> dict[str, Any]:
    try:
        known: dict[str, Any] = json.loads(path.read_text("utf-8"))
    except FileNotFoundError as error:
        raise Usage(f"there is no file {path}", HINT) from error
    except ValueError as error:
        raise Usage(f"{path} is not a truth file: {error}", HINT) from error
    if not isinstance(known, dict) or known.get("format") != FORMAT:
        raise Usage(f"{path} is no truth file of the form {FORMAT!r}", "score it with the clew that wrote it")
    return known


COMMAND = group
