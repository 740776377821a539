"""`clew unlock`: takes a lease from a machine that is gone."""

from pathlib import Path

import click

from clew.cli._common import case_argument, open_case


@click.command("unlock", epilog="\b\nExample:\n  clew unlock cases/icarus")
@case_argument
@click.option("--yes", is_flag=True, help="Do not ask.")
def unlock(case: Path, yes: bool) -> None:
    """Drop every lease on the CASE. Only where the machine that holds it is gone for good: two runs at once do harm."""
    opened = open_case(case)
    held = opened.read().execute("SELECT stage, holder, pid, host FROM leases").fetchall()
    for row in held:
        click.echo(f"{row['stage']}: process {row['pid']} on {row['host']} ({row['holder']})")
    if not held:
        click.echo("no lease is held")
    elif yes or click.confirm("Are these gone for good?", abort=True):
        with opened.write("core") as tx, tx.gate.core():
            tx.execute("DELETE FROM leases")
            tx.record("lease.dropped", subject={"leases": [list(row) for row in held]}, counts={"leases": len(held)})
        click.echo("dropped, and written to the ledger")


COMMAND = unlock
