"""`clew compact`: few large shards in place of many small ones."""

from pathlib import Path

import click

from clew.cli._common import case_argument, emit, json_option, open_case


@click.command("compact", epilog="\b\nExample:\n  clew compact cases/icarus")
@case_argument
@json_option
def compact(case: Path, as_json: bool) -> None:
    """Merge the small shards of CASE into larger ones; the facts stay the same, and reading them gets quicker.

    Intake, observe and attribute do so by themselves where there are many. It may be stopped at any time.
    """
    from clew.core import compact as core

    done = core.compact(open_case(case), enough=2)
    words = f"{done.before:,} shards became {done.after:,}" if done.before else "there was nothing to merge"
    emit(as_json, {"before": done.before, "after": done.after}, words)


COMMAND = compact
