"""`clew identify`: near duplicates and Series."""

from pathlib import Path

import click

from clew.cli._common import case_argument, emit, json_option, open_case


@click.command("identify", epilog="\b\nExamples:\n  clew identify CASE\n  clew identify CASE --json")
@case_argument
@json_option
def identify(case: Path, as_json: bool) -> None:
    """Link the near duplicates of CASE and group them into Series."""
    from clew.identify.run import identify as run

    summary = run(open_case(case))
    excluded = ", ".join(f"{count} of {reason}" for reason, count in summary.excluded.items()) or "none"
    words = (
        f"{summary.series:,} series of {summary.members:,} pictures ({summary.known:,} hold something known), "
        f"the largest of {summary.largest:,}; {summary.alone:,} pictures stand alone\n"
        f"links: {summary.links:,}; left out: {excluded}\n" + "\n".join(f"note: {line}" for line in summary.covered)
    )
    emit(as_json, summary.as_dict(), words)


COMMAND = identify
