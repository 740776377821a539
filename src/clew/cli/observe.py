"""`clew observe`: contacts those who are listed for a Watch and keeps proof of what they claim."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from clew.cli._common import case_argument, emit, json_option, open_case
from clew.core.errors import Exit

if TYPE_CHECKING:
    from clew.observe.account import Summary


@click.command(
    "observe",
    epilog="\b\nExamples:\n  clew observe cases/icarus\n  clew observe cases/icarus --seconds 3600 --interval 900",
)
@case_argument
@click.option("--seconds", type=click.FloatRange(min=0), help="Stop after so long. Default: when everybody is settled.")
@click.option(
    "--interval", type=float, help="Seconds between two visits; at least 300 beyond 127.0.0.0/8. Default 300."
)
@click.option("--bind", help="Our own address for connections inside 127.0.0.0/8. Default 127.9.0.1.")
@click.option(
    "--tracker", "trackers", multiple=True, help="Ask this tracker alone (may be repeated). Default: the Mandates'."
)
@click.option("--allow", multiple=True, help="A network that may be contacted (may be repeated). Default 127.0.0.0/8.")
@click.option("--rate", type=float, help="New connections a second at most. Default 200.")
@json_option
def observe(
    case: Path,
    seconds: float | None,
    interval: float | None,
    bind: str | None,
    trackers: tuple[str, ...],
    allow: tuple[str, ...],
    rate: float | None,
    as_json: bool,
) -> int:
    """Observe every Watch of CASE: who is listed, who answers, who claims pieces of the watched file, twice.

    Nothing is ever requested, downloaded or shared. A signed Mandate is needed; Ctrl-C ends the run in order, and the
    same command goes on where it ended. Exit status 3: a tracker gave no usable reply.
    """
    from clew.observe.policy import Policy
    from clew.observe.run import observe as run

    usual = Policy()
    policy = Policy(
        allow=allow or usual.allow,
        revisit=usual.revisit if interval is None else interval,
        per_second=usual.per_second if rate is None else rate,
        bind=bind or usual.bind,
    )
    summary = run(
        open_case(case),
        trackers=list(trackers) or None,
        seconds=seconds,
        policy=policy,
        progress=None if as_json else _progress,
    )
    emit(as_json, summary.as_dict(), _words(summary))
    silent = [url for url, counts in summary.trackers.items() if counts.get("failed") and "listed" not in counts]
    return Exit.INCOMPLETE if silent or not summary.trackers else Exit.DONE


def _progress(state: dict[str, Any]) -> None:
    """One line a second on standard error, where a person looks."""
    if not sys.stderr.isatty():
        return
    tiers = ", ".join(f"{number} {tier}" for tier, number in state["places"].items())
    line = f"{state['seconds']} s: {tiers}; {state['contacts']} contacts, {state['in_flight']} under way; safe to stop"
    click.echo(f"\r{line}\x1b[K", err=True, nl=False)


def _words(found: "Summary") -> str:
    ourselves = found.ourselves
    lines = [
        f"{found.seconds} s, stopped: {found.stopped}. {found.watches} Watches; "
        f"{found.coverage['listed']} addresses and ports listed, {found.coverage['answered']} answered.",
        "Highest tier: " + ", ".join(f"{tier} {number}" for tier, number in found.places.items()),
        f"{found.contacts} contacts, {found.controls} control probes, {found.announces} announces; "
        f"we ourselves were listed {ourselves['times']} times, {ourselves['seconds']} s in all.",
    ]
    if found.interrupted_before:
        lines.append(f"An earlier run was cut off: {found.interrupted_before} dials are recorded as interrupted.")
    lines += [f"  {number:6d}  {kind}" for kind, number in sorted(found.errors.items(), key=lambda pair: -pair[1])]
    lines.append(f"Nobody was watching for {found.coverage['downtime_seconds']:.0f} s. {found.coverage['not_covered']}")
    return "\n".join(lines)


COMMAND = observe
