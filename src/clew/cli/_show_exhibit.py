"""`clew show exhibits`, `exhibit` and what names Items of one: the seized things of a case, what became of each."""

import json
from pathlib import Path
from typing import Any

import click

from clew.cli._common import case_argument, emit, json_option, open_case
from clew.core.case import Case
from clew.core.errors import Usage
from clew.model import NameState


@click.command("exhibits", epilog="\b\nExample:\n  clew show exhibits cases/icarus")
@case_argument
@json_option
def exhibits(case: Path, as_json: bool) -> None:
    """List the exhibits of CASE."""
    sql = "SELECT label, kind, location, lower(hex(sha256)) AS sha256, size FROM exhibits ORDER BY added_ns, label"
    found = [dict(row) for row in open_case(case).read().execute(sql)]
    lines = [_plain(f"{each['label']}  {each['kind']}  {each['location']}") for each in found]
    emit(as_json, {"exhibits": found}, "\n".join(lines) or "no exhibits; take one in with: clew intake")


@click.command("exhibit", epilog="\b\nExample:\n  clew show exhibit cases/icarus AT-17-A")
@case_argument
@click.argument("label")
@json_option
def exhibit(case: Path, label: str, as_json: bool) -> None:
    """Tell the custody of the exhibit LABEL of CASE as a story: what happened to it, in order, from the ledger."""
    from clew.intake.story import story

    opened = open_case(case)
    events = story(opened, _id(opened, label))
    lines = [_plain(f"{each.at}  {each.said} ({each.actor}, entry {each.seq})") for each in events]
    told = [{"entry": each.seq, "at": each.at, "actor": each.actor, "said": each.said} for each in events]
    emit(as_json, {"label": label, "events": told}, "\n".join(lines))


@click.command("unreadable", epilog="\b\nExample:\n  clew show unreadable cases/icarus AT-17-A --json")
@case_argument
@click.argument("label")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
def unreadable(case: Path, label: str, as_json: bool) -> None:
    """Name what in the exhibit LABEL of CASE could not be read: at which stage, why, and how often it was tried."""
    from clew.intake.unreadable import unreadable as items

    opened = open_case(case)
    for item in items(opened, _id(opened, label)):
        why = f"{item['reason']}: {item['detail']}" if item["detail"] else item["reason"]
        _tell(item, f"{item['stage']}, tried {item['attempts']} times: {why}", as_json)


@click.command("unopened", epilog="\b\nExample:\n  clew show unopened cases/icarus AT-17-A --json")
@case_argument
@click.argument("label")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
def unopened(case: Path, label: str, as_json: bool) -> None:
    """Name what in the exhibit LABEL of CASE was not opened, or cannot be told from noise, and what can be done."""
    from clew.intake.unopened import unopened as items

    opened = open_case(case)
    for item in items(opened, _id(opened, label)):
        _tell(item, f"{item['size']:,} bytes: {item['what']}", as_json)


@click.command("doubtful", epilog="\b\nExample:\n  clew show doubtful cases/icarus AT-17-A --json")
@case_argument
@click.argument("label")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
def doubtful(case: Path, label: str, as_json: bool) -> None:
    """Name what in the exhibit LABEL of CASE was read, but is partial, erased or damaged, or may be another's."""
    from clew.intake.doubtful import doubtful as items

    opened = open_case(case)
    for item in items(opened, _id(opened, label)):
        size = f"{item['size']:,} of {item['listed']:,} bytes"
        _tell(item, f"{size}, {item['name_state']}, {item['content_state']}: {item['why']}", as_json)


@click.command(
    "items",
    epilog="\b\nExamples:\n  clew show items cases/icarus AT-17-A --only skipped\n"
    "  clew show items cases/icarus AT-17-A --only deleted --only pictures --json",
)
@case_argument
@click.argument("label")
@click.option(
    "--only", multiple=True, metavar="WORD", help="Only what the end report counts under WORD; repeated: under each."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
def items(case: Path, label: str, only: tuple[str, ...], as_json: bool) -> None:
    """Name every item in the exhibit LABEL of CASE: what became of it, how it was found, and what it holds by type."""
    from clew.intake.named import WORDS
    from clew.intake.named import items as named

    if unknown := sorted({*only} - {*WORDS}):
        raise Usage(f"nothing is counted under {unknown[0]!r}", f"one of: {', '.join(WORDS)}")
    opened = open_case(case)
    for item in named(opened, _id(opened, label), only):
        why = ": ".join(each for each in (item["reason"], item["detail"]) if each)
        found = "" if item["name_state"] == NameState.LIVE else f"by {item['found_by']}"
        holds = f"{item['content_state']}, {item['media_type'] or item['family']}" if item["family"] else ""
        holds += f", {item['type_again']} when read again" if item["type_again"] else ""
        told = (
            f"{item['size']:,} bytes",
            item["name_state"],
            found,
            item["state"] + (f" ({why})" if why else ""),
            holds,
        )
        _tell(item, ", ".join(each for each in told if each), as_json)


@click.command("unsaid", epilog="\b\nExample:\n  clew show unsaid cases/icarus AT-17-A --json")
@case_argument
@click.argument("label")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
def unsaid(case: Path, label: str, as_json: bool) -> None:
    """Name what in the exhibit LABEL of CASE an extractor could not read, or not all of, as of a damaged picture."""
    from clew.intake.unsaid import unsaid as items

    opened = open_case(case)
    for item in items(opened, _id(opened, label)):
        why = f"{item['missing']}: {item['detail']}" if item["detail"] else item["missing"]
        _tell(
            item,
            f"{item['extractor']} {'has nothing to say' if item['nothing'] else 'could not say all'}: {why}",
            as_json,
        )


def _tell(item: dict[str, Any], said: str, as_json: bool) -> None:
    click.echo(json.dumps(item, sort_keys=True) if as_json else _plain(f"{item['path']}  {said}"))


def _id(case: Case, label: str) -> str:
    row = case.read().execute("SELECT id FROM exhibits WHERE label=?", (label,)).fetchone()
    if row is None:
        raise Usage(f"no exhibit of this case has the label {label!r}", "see: clew show exhibits CASE")
    return str(row["id"])


def _plain(text: str) -> str:
    """Names of evidence are hostile: no terminal gets their controls."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
