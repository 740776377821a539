"""`clew unlock`: takes a lease from a machine that is gone."""

from pathlib import Path

import click

from clew.cli._common import case_argument, emit, json_option, open_case
from clew.core.errors import Usage

LEASES = "SELECT stage, subject, holder, pid, host FROM leases"


@click.command("unlock", epilog="\b\nExamples:\n  clew unlock cases/icarus\n  clew unlock cases/icarus --yes --json")
@case_argument
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
def unlock(case: Path, yes: bool, as_json: bool) -> None:
    """Drop every lease on the CASE. Only where the machine that holds it is gone for good: two runs at once do harm.

    With --json nobody is asked: it drops them with --yes alone.
    """
    if as_json and not yes:
        raise Usage("--json does not ask whether the machine is gone", "look with `clew status`, and add --yes")
    opened = open_case(case)
    held = opened.read().execute(LEASES).fetchall()
    for row in () if as_json else held:
        whose = f"process {row['pid']} on {row['host']} ({row['holder']})"
        click.echo(f"{row['stage']} of {row['subject']}: {whose}")
    if held and (yes or click.confirm("Are these gone for good?", abort=True)):
        with opened.write("core") as tx, tx.gate.core():
            held = tx.execute(LEASES).fetchall()  # all that are dropped
            tx.execute("DELETE FROM leases")
            leases = [[row[name] for name in ("stage", "holder", "pid", "host")] for row in held]
            tx.record("lease.dropped", subject={"leases": leases}, counts={"leases": len(held)})
    words = "dropped, and written to the ledger" if held else "no lease is held"
    emit(as_json, {"dropped": [dict(row) for row in held]}, words)


COMMAND = unlock
