"""`clew bundle`: which Bundles a case has built and received."""

from pathlib import Path
from typing import Any

import click

from clew.cli._common import case_argument, emit, json_option, open_case
from clew.core import clock
from clew.core.case import Case


@click.command("bundle", epilog="\b\nExample:\n  clew bundle cases/icarus")
@case_argument
@json_option
def bundle(case: Path, as_json: bool) -> None:
    """List the bundles that CASE has built for others and received from them."""
    opened = open_case(case)
    try:
        built, received = _built(opened), _received(opened)
    finally:
        opened.close()
    lines = [f"built     {b['created']}  {b['force']}  {b['path']}{'  (gone)' * b['gone']}" for b in built]
    lines += [f"received  {r['received']}  {r['sender']}  {r['folder']}" for r in received]
    emit(as_json, {"built": built, "received": received}, "\n".join(lines) or "no bundle was built or received")


def _built(case: Case) -> list[dict[str, Any]]:
    return [
        {
            "id": row["id"],
            "force": row["force"],
            "path": row["path"],
            "sha256": bytes(row["sha256"]).hex(),
            "checkpoint": row["checkpoint"],
            "created": clock.iso(row["created_ns"]),
            "gone": not Path(row["path"]).is_file(),
        }
        for row in case.read().execute("SELECT * FROM bundles ORDER BY created_ns, id")
    ]


def _received(case: Case) -> list[dict[str, Any]]:
    return [
        {
            "id": row["id"],
            "sender": row["sender"],
            "folder": str(case.folder / row["folder"]),
            "sha256": bytes(row["sha256"]).hex(),
            "received": clock.iso(row["received_ns"]),
        }
        for row in case.read().execute("SELECT * FROM received ORDER BY received_ns, id")
    ]


COMMAND = bundle
