"""`clew show`: what is recorded of one thing, for a person."""

from pathlib import Path
from typing import Any

import click

from clew.cli._common import case_argument, emit, json_option, open_case
from clew.cli._show_clues import clues
from clew.cli._show_exhibit import doubtful, exhibit, exhibits, items, unopened, unreadable, unsaid
from clew.cli._show_hits import hits
from clew.cli._show_review import alarms, grades, unseen
from clew.core.errors import Usage

HIDDEN = ("transcript", "infohash_sent", "infohash_echoed", "missing_detail")


@click.group(
    "show",
    epilog="\b\nExamples:\n  clew show sighting cases/icarus 5f0c…\n  clew show exhibit cases/icarus AT-17-A\n"
    "  clew show unreadable cases/icarus AT-17-A\n  clew show unopened cases/icarus AT-17-A\n"
    "  clew show doubtful cases/icarus AT-17-A\n  clew show items cases/icarus AT-17-A\n"
    "  clew show unsaid cases/icarus AT-17-A\n  clew show hits cases/icarus\n"
    "  clew show clues cases/icarus\n  clew show unseen cases/icarus\n"
    "  clew show grades cases/icarus\n  clew show alarms cases/icarus",
)
def show() -> None:
    """Show what is recorded of one thing, with its proof."""


SHOWN = (exhibits, exhibit, items, unreadable, unopened, doubtful, unsaid, hits, clues, unseen, grades, alarms)
for each in SHOWN:
    show.add_command(each)


@show.command("sighting", epilog="\b\nExample:\n  clew show sighting cases/icarus 5f0c…")
@case_argument
@click.argument("identity", metavar="ID")
@json_option
def sighting(case: Path, identity: str, as_json: bool) -> None:
    """Print the sighting ID of CASE and its transcript, decoded line by line. ID may be its beginning.

    Infohashes appear as the label of their Watch.
    """
    from clew.core import plugins, shards, watch
    from clew.observe.announces import infohashes
    from clew.observe.run import NETWORKS

    opened = open_case(case)
    if not identity or set(identity) - set("0123456789abcdef"):
        raise Usage(f"{identity!r} is no id", "give the hexadecimal digits of a sighting's id")
    sql = "SELECT * FROM sightings WHERE starts_with(id, ?) ORDER BY id LIMIT 2"
    rows = shards.query(opened, sql, (identity,)).to_pylist()
    if len(rows) != 1:
        raise Usage(
            f"{'no' if not rows else 'more than one'} sighting begins with {identity}",
            "give a whole id of this case's own; of a contact that came in a Bundle see docs/check-a-sighting.md",
        )
    row = rows[0]
    known = watch.get(opened, row["watch"])
    network = plugins.load(NETWORKS, _network(row["tool"]))
    secrets = {row["infohash_sent"]: "of a control probe"}
    secrets |= {infohash: known.label for infohash, _ in infohashes(known)}
    lines = network.describe(row["transcript"], secrets)
    fields = _plain(row, known.label)
    emit(as_json, {**fields, "transcript": lines}, "\n".join([*_table(fields), "", *lines]))


def _network(tool: str) -> str:
    """The plug-in that a sighting's `tool` names: "clew VERSION NETWORK VERSION"."""
    return tool.split(" ")[2]


def _plain(row: dict[str, Any], label: str) -> dict[str, Any]:
    from clew.core.clock import iso

    fields = {name: value for name, value in row.items() if name not in HIDDEN and value is not None}
    for name, value in fields.items():
        if isinstance(value, bytes):
            fields[name] = value.hex()
        elif name in ("started_ns", "ended_ns"):
            fields[name] = iso(value)
    echoed = row["infohash_echoed"]
    fields["watch"] = label
    fields["answered with"] = (
        None if echoed is None else "the infohash sent" if echoed == row["infohash_sent"] else "its twin"
    )
    if row["missing"]:
        fields["missing"] = f"{row['missing']}: {row['missing_detail']}"
    return fields


def _table(fields: dict[str, Any]) -> list[str]:
    return [f"{name.removesuffix('_ns'):16s} {value}" for name, value in fields.items()]


COMMAND = show
