"""`clew attribute`: Sightings to ranked Leads per force."""

from pathlib import Path

import click

from clew.cli._common import case_argument, emit, json_option, open_case
from clew.cli._registers import registers_option, spec


@click.command(
    "attribute",
    epilog="\b\nExamples:\n  clew attribute CASE --register mmdb:country.mmdb --register prefixes:vpn.csv\n"
    "  clew attribute CASE --register iptocc@2026-11-01 --stale-days 60 --json\n"
    "  clew attribute CASE --register mmdb:country.mmdb --grades grades.csv --rank plain_sum",
)
@case_argument
@registers_option("Where addresses are: mmdb:FILE, prefixes:FILE or iptocc. DATE where the register tells none.")
@click.option("--stale-days", default=30, show_default=True, help="How far a register may lie from a sighting.")
@click.option("--keep-days", default=180, show_default=True, help="How long after its last claim a lead is kept.")
@click.option("--rank", default="plain_sum", show_default=True, help="The ranking rule, a plug-in by its name.")
@click.option(
    "--grades",
    type=click.Path(path_type=Path, dir_okay=False),
    help="What a Watch's grade counts in the rank: a CSV file scheme,category,weight (0 to 10).",
)
@json_option
def attribute(
    case: Path,
    registers: tuple[str, ...],
    stale_days: int,
    keep_days: int,
    rank: str,
    grades: Path | None,
    as_json: bool,
) -> None:
    """Turn the Sightings of CASE into ranked Leads per force.

    Without a register that knows a country, or where registers disagree, leads stay with the coordinating force.
    """
    from clew.attribute import priority
    from clew.attribute.run import Policy
    from clew.attribute.run import attribute as run

    summary = run(
        open_case(case),
        registers=[spec(text) for text in registers],
        policy=Policy(stale_days=stale_days, keep_days=keep_days),
        rule=priority.rule(rank),
        weights=priority.weights_of(grades),
    )
    forces = ", ".join(f"{code} {count}" for code, count in summary.forces.items()) or "none"
    refused = ", ".join(f"{count} {reason}" for reason, count in summary.refused.items() if count) or "none"
    words = (
        f"{summary.leads} leads from {summary.subjects} subjects: {summary.assigned} with a force, "
        f"{summary.coordinator} with the coordinating force, {summary.expired} expired\n"
        f"by force: {forces}\n"
        f"E2, torrent only: {summary.torrent_only}; possible links (never counted): {summary.possible_links}\n"
        f"no lead: {refused}\n" + "\n".join(f"note: {line}" for line in summary.covered)
    )
    emit(as_json, summary.as_dict(), words)


COMMAND = attribute
