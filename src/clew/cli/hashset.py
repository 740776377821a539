"""`clew hashset`: known files, added once and immutable."""

from pathlib import Path

import click

from clew.cli._common import case_argument, emit, json_option, open_case


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
    """Add a FILE of known hashes to CASE."""
    from clew.match.run import add_hashset, dropped_of
    from clew.model import HashSetKind

    opened = open_case(case)
    made = add_hashset(opened, path=file, name=name, kind=HashSetKind(kind), reader=reader)
    dropped = dropped_of(opened, made.id)
    lines = [f"{made.entries:,} entries in {name!r} ({kind}, read as {made.reader})"]
    lines += [f"dropped: {count:,} x {reason}" for reason, count in dropped.items()]
    data = {"id": made.id, "name": name, "kind": kind, "reader": made.reader, "entries": made.entries}
    emit(as_json, data | {"source_sha256": made.source_sha256.hex(), "dropped": dropped}, "\n".join(lines))


@hashset.command("list", epilog="\b\nExample:\n  clew hashset list CASE --json")
@case_argument
@json_option
def listed(case: Path, as_json: bool) -> None:
    """List the hash sets of CASE."""
    rows = open_case(case).read().execute("SELECT id, name, kind, reader, entries FROM hashsets ORDER BY name")
    found = [dict(row) for row in rows]
    lines = [f"{f['name']}  {f['kind']}  {f['entries']:,} entries  {f['reader']}" for f in found]
    emit(as_json, {"hashsets": found}, "\n".join(lines) or "no hash sets; add one with: clew hashset add")


COMMAND = hashset
