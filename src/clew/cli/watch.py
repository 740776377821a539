"""`clew watch`: known files, lawfully supplied."""

import json
from pathlib import Path

import click

from clew.cli._common import case_argument, emit, json_option, open_case
from clew.core import clock
from clew.core import watch as watches
from clew.core.case import new_id
from clew.core.errors import Usage
from clew.core.lease import held_since

UNDER_WAY = "A run of clew observe is under way, and goes on without them: they are observed from the next run on."
AT_WORK = (
    "clew capture import is at work, or clew observe has just begun, and goes on without them: import that capture "
    "once more; they are observed from the next run on."
)
RUNS = "SELECT 1 FROM observe_runs WHERE ended_ns IS NULL AND started_ns >= ?"


@click.group("watch", epilog="\b\nExample:\n  clew watch add CASE W-17.json\n  clew watch list CASE")
def watch() -> None:
    """Draft Watches, add signed ones to a case, list them by label.

    A Watch is one known file in one torrent, supplied by those who may supply it. clew has no way to search for one.
    """


@watch.command(epilog="\b\nExample:\n  clew watch draft --label W-17 --mandate ID --out draft.json")
@click.option("--label", required=True, help="What it is called everywhere, e.g. W-17.")
@click.option("--mandate", required=True, help="The id of the Mandate that it stands under.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Where the draft goes.")
def draft(label: str, mandate: str, out: Path) -> None:
    """Write a draft to be filled in (infohash, place of the file) and signed by the authority."""
    if out.exists():
        raise Usage(f"{out} is there already", "name a new file")
    body = {
        "id": new_id(),
        "label": label,
        "infohash_v1": None,
        "infohash_v2": None,
        **dict.fromkeys(watches.NUMBERS),
        "scheme": "",
        "category": "",
        "graded_by": "",
        "graded": clock.iso(clock.now().utc_ns),
        "mandate": mandate,
    }
    out.write_text(json.dumps(body, indent=2) + "\n", "utf-8")
    click.echo(f"{out} is a draft; fill it in, then: clew key sign watch {out} --key NAME --out FILE")


@watch.command(epilog="\b\nExample:\n  clew watch add cases/icarus W-17.json")
@case_argument
@click.argument("documents", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True, dir_okay=False))
@json_option
def add(case: Path, documents: tuple[Path, ...], as_json: bool) -> None:
    """Take signed Watches into the CASE."""
    opened = open_case(case)
    labels = [watches.add(opened, document.read_bytes()).label for document in documents]
    since_ns = held_since(opened, "observe")  # an import of a capture has that lease too
    under_way = since_ns is not None and opened.read().execute(RUNS, (since_ns,)).fetchone() is not None
    notes = [] if since_ns is None else [UNDER_WAY if under_way else AT_WORK]
    data = {"watches": labels, "run_under_way": under_way, "notes": notes}
    emit(as_json, data, "\n".join([f"added: {', '.join(labels)}", *notes]))


@watch.command("list", epilog="\b\nExample:\n  clew watch list cases/icarus")
@case_argument
@json_option
def list_(case: Path, as_json: bool) -> None:
    """List the Watches of the CASE by label; each signature is checked now. Infohashes are not shown."""
    found = watches.all_of(open_case(case))
    rows = [{"label": w.label, "piece_map": bool(w.inner_pieces()), "category": [w.scheme, w.category]} for w in found]
    lines = [
        f"{w.label}  {w.scheme} {w.category}, graded by {w.graded_by}"
        + ("" if w.inner_pieces() else "; no piece map: claims stay 'torrent only'")
        for w in found
    ]
    emit(as_json, {"watches": rows}, "\n".join(lines) or "no Watch in this case")


COMMAND = watch
