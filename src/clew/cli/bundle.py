"""`clew bundle`: which Bundles a case has built and received."""

from pathlib import Path
from typing import Any

import click

from clew.cli._common import case_argument, emit, json_option, open_case
from clew.core import checkpoint, clock
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
    lines += [f"received  {r['received']}  {r['sender']}  {r['folder']}{_older(r['newer'])}" for r in received]
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


def _older(newer: str | None) -> str:
    return f"  (not the newest: bundle {newer} of the same case is)" if newer else ""


def _received(case: Case) -> list[dict[str, Any]]:
    """Each that came, and as `newer` the newest one of the same case of its sender, where it is another."""
    rows = list(case.read().execute("SELECT * FROM received ORDER BY received_ns, id"))
    notes = [checkpoint.parse(row["checkpoint"]) for row in rows]
    newest: dict[tuple[str, str], tuple[int, str]] = {}
    for row, note in zip(rows, notes, strict=True):
        whose = (row["sender"], note.origin)
        newest[whose] = max(newest.get(whose, (-1, "")), (note.size, row["id"]))
    return [
        {
            "id": row["id"],
            "sender": row["sender"],
            "folder": str(case.folder / row["folder"]),
            "sha256": bytes(row["sha256"]).hex(),
            "received": clock.iso(row["received_ns"]),
            "newer": newer if (newer := newest[row["sender"], note.origin][1]) != row["id"] else None,
        }
        for row, note in zip(rows, notes, strict=True)
    ]


COMMAND = bundle
