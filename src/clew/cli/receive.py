"""`clew receive`: takes a Bundle into the receiving force's own case."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from clew.cli._common import case_argument, emit, json_option, open_case
from clew.core.printable import printable

if TYPE_CHECKING:
    from clew.share.receive import Newer, Regraded

SHOWN = 20  # hashes that are named on the screen


@click.command(
    "receive",
    epilog="\b\nExamples:\n  clew receive cases/at AT-3f2a.tar.age\n"
    "  clew receive cases/at AT-3f2a.tar.age --identity at --sender-key fr.pub",
)
@case_argument
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option("--identity", "identity_name", help="Name of your age identity (default: the code of the case's force).")
@click.option("--sender-key", help="The sender's public key, from the sender itself: a .pub file or 64 hex digits.")
@json_option
def receive(case: Path, bundle: Path, identity_name: str | None, sender_key: str | None, as_json: bool) -> None:
    """Verify BUNDLE and take it into CASE, apart from the case's own facts. The annex stays sealed."""
    from clew.share.receive import receive as take_in

    opened = open_case(case)
    try:
        got = take_in(opened, bundle, identity_name=identity_name, sender_key=sender_key)
    finally:
        opened.close()
    lines = [
        *_newer(got.newer),
        *_taken_back(got.taken_back),
        *_regraded(got.regraded),
        *(f"ok  {name}: {found}" for name, found in got.checks),
    ]
    counts = got.counts
    lines.append(
        f"bundle {got.id} from {got.sender}: {counts['leads']} leads, {counts['sightings']} contacts, "
        f"{counts['known_hashes']} graded hashes"
    )
    lines.append(f"it lies in {got.folder}" if got.new else f"it was there already, in {got.folder}")
    pages = [f"{folder}/bag/data/summary.html" for folder in (*([got.newer.folder] if got.newer else []), got.folder)]
    lines.append(f"read first: {', then '.join(pages)}")
    if got.newer is not None:
        lines.append("match with the graded hashes of the newest alone: a grade that was undone is in no later bundle")
    elif counts["known_hashes"]:
        known = got.folder / "bag/data/known-hashes.vics.json"
        words = ["clew", "hashset", "add", case, known, "--name", f"{got.sender} {got.id[:8]}", "--kind", "reference"]
        lines.append(
            "to match your own exhibits, under a Mandate of yours for that (--kind alert, where each of these grades "
            "is of known abuse material):"
        )
        lines.append(f"  {shlex.join(map(str, words))}")
    emit(as_json, got.as_dict(), "\n".join(lines))


def _newer(newer: "Newer | None") -> list[str]:
    """That another Bundle counts where the two differ, and which leads of this one it takes back."""
    if newer is None:
        return []
    head = f"NOT THE NEWEST: bundle {newer.id} of the same case is here and is newer; where the two differ, it counts"
    return [head, *(_taken_back(newer.taken_back) if newer.taken_back is not None else [])]


def _regraded(found: "list[Regraded]") -> list[str]:
    """Which hashes of the bundle before do not stand as it gave them: a hash set that was made of them is as it was."""
    if not found:
        return []
    head = f"GRADED OTHERWISE OR NO MORE: {len(found)} hashes of the bundle {found[0].bundle}"
    lines = [f"{head}; a hash set that was made of it goes on to say what it said then"]
    for each in found[:SHOWN]:
        now = each.now or "the sender states no grade of it any more"
        lines.append(printable(f"  {each.sha256}: was {each.was}; now {now}"))
    return [*lines, *([f"  and {len(found) - SHOWN} more: --json names all"] if len(found) > SHOWN else [])]


def _taken_back(told: list[dict[str, Any]] | None) -> list[str]:
    """What must be read before anything else: which leads of earlier bundles do not stand as they left, and why."""
    if told is None:
        return ["this bundle is of an earlier clew, which took no lead back: it does not tell which ones do not stand"]
    from clew.core.sent import UNCOVERED

    back = [each for each in told if each["why"] != UNCOVERED]
    let_be = [each for each in told if each["why"] == UNCOVERED]
    return [
        *_listed("TAKEN BACK", back),
        *_listed("NOT FOLLOWED ANY FURTHER, and no less true for that", let_be),
    ]


def _listed(title: str, told: list[dict[str, Any]]) -> list[str]:
    lines = [f"{title}: {len(told)} leads of earlier bundles; why, stands beside each"] if told else []
    for each in told:
        places = ", ".join(sorted({f"{i['address']} port {i['port']}" for i in each["intervals"]}))
        copies = ", ".join(f"Lead {c['rank']} of {c['bundle']}" for c in each["bundles"])
        lines.append(printable(f"  {places} ({copies}; reference {each['lead']}): {each['why']}"))
    return lines


COMMAND = receive
