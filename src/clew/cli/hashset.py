"""`clew hashset`: known files, added once and immutable."""

from pathlib import Path
from typing import Any

import click

from clew.cli._common import case_argument, emit, json_option, open_case
from clew.core.case import Case
from clew.core.errors import Damaged, Exit

SIXTY_FOUR = "64 digits are read as SHA-256; PDQ hashes have as many: without pdq: before each they match nothing"


@click.group(
    "hashset",
    epilog="\b\nExample:\n  clew hashset add CASE alert.vics.json --name 'national 2026-11' --kind alert\n"
    "  clew hashset list CASE",
)
def hashset() -> None:
    """Sets of known files: alert, known-good or reference."""


@hashset.command(
    "add",
    epilog="\b\nExamples:\n  clew hashset add CASE alert.vics.json --name 'national 2026-11' --kind alert\n"
    "  clew hashset add CASE nsrl.txt --name nsrl --kind known-good --reader plainlist",
)
@case_argument
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--name", required=True, help="What people call it, e.g. with its date.")
@click.option(
    "--kind",
    required=True,
    type=click.Choice(["alert", "known-good", "reference"]),
    help="What a match means. Never guessed: known-good lists come in the same format as alert lists.",
)
@click.option("--reader", help="The format, where it is not recognised: vics or plainlist.")
@json_option
def add(case: Path, file: Path, name: str, kind: str, reader: str | None, as_json: bool) -> None:
    """Add a FILE of known hashes to CASE: VICS JSON, or a plain list, one hash a line.

    Of a plain list 32 digits are MD5, 40 SHA-1 and 64 SHA-256, as sha256sum prints them; a PDQ, which has 64 digits
    too, needs pdq: before it.
    """
    from clew.match.run import add_hashset, algorithms_of, dropped_of
    from clew.model import HashSetKind

    opened = open_case(case)
    made = add_hashset(opened, path=file, name=name, kind=HashSetKind(kind), reader=reader)
    dropped, algorithms = dropped_of(opened, made.id), algorithms_of(opened, made.id)
    notes = [SIXTY_FOUR] if made.reader == "plainlist" and set(algorithms) == {"sha256"} else []
    lines = [f"{made.entries:,} entries in {name!r} ({kind}, read as {made.reader}): {_counts(algorithms)}"]
    lines += [f"dropped: {count:,} x {reason}" for reason, count in dropped.items()]
    lines += [f"note: {each}" for each in notes]
    data = {"id": made.id, "name": name, "kind": kind, "reader": made.reader, "entries": made.entries}
    data |= {"source_sha256": made.source_sha256.hex(), "dropped": dropped, "algorithms": algorithms, "notes": notes}
    emit(as_json, data, "\n".join(lines))


@hashset.command("list", epilog="\b\nExample:\n  clew hashset list CASE --json")
@case_argument
@json_option
def listed(case: Path, as_json: bool) -> int:
    """List the hash sets of CASE, and how many hashes of which algorithm each holds.

    Exit status 3: one is damaged, and named; the same file, added again under the same name and kind, makes it anew.
    """
    opened = open_case(case)
    rows = opened.read().execute("SELECT id, name, kind, reader, entries FROM hashsets ORDER BY name")
    found = [dict(row) | _held(opened, row["id"]) for row in rows]
    lines = [
        f"{f['name']}  {f['kind']}  {f['entries']:,} entries  {f['reader']}: "
        + (_counts(f["algorithms"]) if f["damaged"] is None else f"NOT USABLE, {f['damaged']}")
        for f in found
    ]
    emit(as_json, {"hashsets": found}, "\n".join(lines) or "no hash sets; add one with: clew hashset add")
    return Exit.DONE if all(f["damaged"] is None for f in found) else Exit.INCOMPLETE


def _held(case: Case, hashset: str) -> dict[str, Any]:
    from clew.match.run import algorithms_of

    try:
        return {"algorithms": algorithms_of(case, hashset), "damaged": None}
    except Damaged as error:
        return {"algorithms": None, "damaged": error.message}


def _counts(algorithms: dict[str, int]) -> str:
    return ", ".join(f"{count:,} {algorithm}" for algorithm, count in algorithms.items())


COMMAND = hashset
