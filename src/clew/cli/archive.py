"""`clew archive`: a consistent copy of a case."""

from pathlib import Path

import click

from clew.cli._common import case_argument, emit, json_option, open_case
from clew.core.archive import archive as copy


@click.command("archive", epilog="\b\nExample:\n  clew archive cases/icarus /archive/icarus-2026-11-24")
@case_argument
@click.argument("target", type=click.Path(path_type=Path))
@json_option
def archive(case: Path, target: Path, as_json: bool) -> None:
    """Copy the CASE to the new folder TARGET, consistent as of now, and verify the copy. Others may go on working."""
    report = copy(open_case(case), target)
    words = f"{target} holds a verified copy: " + ", ".join(f"{count:,} {name}" for name, count in report.checks)
    emit(as_json, {"archive": str(target), "root": report.root.hex(), **dict(report.checks)}, words)


COMMAND = archive
