"""`clew ledger`: what was done, by whom, under which Mandate."""

from pathlib import Path

import click

from clew.cli._common import case_argument, emit, json_option, open_case
from clew.core import checkpoint as checkpoints
from clew.core import keys
from clew.core.errors import Usage
from clew.core.files import whole, write_durably


@click.group(
    "ledger",
    epilog="\b\nExamples:\n  clew ledger export CASE --out ledger.jsonl\n"
    "  clew ledger checkpoint CASE --key at --out checkpoint.note",
)
def ledger() -> None:
    """Export the Ledger, sign where it stands, countersign for a partner."""


@ledger.command(epilog="\b\nExample:\n  clew ledger export cases/icarus --out ledger.jsonl")
@case_argument
@click.option("--out", type=click.Path(path_type=Path), required=True, help="A new file for the JSON lines.")
def export(case: Path, out: Path) -> None:
    """Write the CASE's Ledger as JSON lines: it holds no name, address, path or hash of content."""
    count = 0
    with whole(_new(out)) as file:
        for (line,) in open_case(case).read().execute("SELECT line FROM ledger ORDER BY seq"):
            file.write(line.encode() + b"\n")
            count += 1
    click.echo(f"{out}: {count} entries")


@ledger.command(epilog="\b\nExample:\n  clew ledger checkpoint cases/icarus --key at --out checkpoint.note")
@case_argument
@click.option("--key", "name", required=True, help="Your signing key.")
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="A new file; FILE.sig gets the raw signature."
)
@json_option
def checkpoint(case: Path, name: str, out: Path, as_json: bool) -> None:
    """Sign where the CASE's Ledger stands. Keep the file elsewhere: it shows a cut or rewritten Ledger later."""
    raw = _new(_new(out).with_name(f"{out.name}.sig"))
    made = checkpoints.checkpoint(open_case(case), keys.signing_key(name), name)
    write_durably(out, made.note.encode())
    write_durably(raw, made.signature)
    emit(as_json, {"size": made.size, "root": made.root.hex()}, f"{out}: {made.size} entries, root {made.root.hex()}")


@ledger.command(epilog="\b\nExample:\n  clew ledger countersign checkpoint.note --key be")
@click.argument("note", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--key", "name", required=True, help="Your signing key.")
def countersign(note: Path, name: str) -> None:
    """Add your signature to a partner's checkpoint NOTE: that you saw it, now."""
    text = checkpoints.countersign(note.read_text("utf-8"), keys.signing_key(name), name)
    write_durably(note, text.encode())
    click.echo(f"{note} bears {len(checkpoints.parse(text).signatures)} signatures")


@ledger.command(epilog="\b\nExample:\n  clew ledger keep cases/icarus checkpoint.note")
@case_argument
@click.argument("note", type=click.Path(path_type=Path, exists=True, dir_okay=False))
def keep(case: Path, note: Path) -> None:
    """Take a countersigned checkpoint NOTE of the CASE back into it."""
    kept = checkpoints.keep(open_case(case), note.read_text("utf-8"))
    click.echo(f"checkpoint {kept.size} bears {len(kept.signatures)} signatures")


def _new(path: Path) -> Path:
    if path.exists():
        raise Usage(f"{path} is there already", "name a new file")
    return path


COMMAND = ledger
