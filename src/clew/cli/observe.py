"""`clew observe`: contacts those who are listed for a Watch and keeps proof of what they claim."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from clew.cli._common import case_argument, emit, json_option, open_case
from clew.cli._registers import registers_option, spec
from clew.core import questions
from clew.core.errors import Exit, Usage

if TYPE_CHECKING:
    from clew.observe.account import Summary

GAPS_SHOWN = 5


@click.command(
    "observe",
    epilog="\b\nExamples:\n  clew observe cases/icarus\n  clew observe cases/icarus --seconds 3600 --interval 900\n"
    "  clew observe cases/icarus --go-on --quiet 22-6 --transport mse/tcp --transport mse/utp",
)
@case_argument
@click.option("--seconds", type=click.FloatRange(min=0), help="Stop after so long. Default: when everybody is settled.")
@click.option("--go-on", is_flag=True, help="Do not stop when everybody is settled, but visit them again until Ctrl-C.")
@click.option(
    "--interval",
    type=float,
    help="Seconds between two visits; at least 300 beyond 127.0.0.0/8, and 900 by default; 300 inside.",
)
@click.option(
    "--bind", help="Our own address for connections inside 127.0.0.0/8, or beyond. Default 127.9.0.1, inside alone."
)
@click.option(
    "--tracker",
    "trackers",
    multiple=True,
    help="Ask this tracker or DHT node (http, udp, dht) alone; may be repeated. Default: the Mandates'.",
)
@click.option("--allow", multiple=True, help="A network that may be contacted (may be repeated). Default 127.0.0.0/8.")
@click.option("--gossip", is_flag=True, help="Ask peers whom they know (PEX); the Mandate has to permit it.")
@click.option("--rate", type=float, help="New connections a second at most. Default 200.")
@click.option("--concurrent", type=int, help="Connections open at once at most. Default 200.")
@click.option("--bandwidth", type=float, help="Bytes a second both ways before new connections wait. Default 4000000.")
@click.option("--hold", type=float, help="Seconds that one contact may last at most. Default 20.")
@click.option(
    "--transport",
    "transports",
    multiple=True,
    help="Use this transport (may be repeated, in this order): mse/tcp, tcp, mse/utp, utp. Default all.",
)
@registers_option("Whose countries the live view shows: mmdb:FILE or iptocc. Default: those of `clew attribute`.")
@click.option("--quiet", "quiet", metavar="FROM-TO", help="Hours (UTC) in which nobody is called, such as 22-6.")
@json_option
def observe(
    case: Path,
    seconds: float | None,
    go_on: bool,
    interval: float | None,
    bind: str | None,
    trackers: tuple[str, ...],
    allow: tuple[str, ...],
    gossip: bool,
    rate: float | None,
    concurrent: int | None,
    bandwidth: float | None,
    hold: float | None,
    transports: tuple[str, ...],
    registers: tuple[str, ...],
    quiet: str | None,
    as_json: bool,
) -> int:
    """Observe every Watch of CASE: who is listed, who answers, who claims pieces of the watched file, twice.

    Nothing is ever requested, downloaded or shared. A signed Mandate is needed; Ctrl-C ends the run in order, and the
    same command goes on where it ended. Exit status 3: a tracker gave no usable reply, or none was asked.
    """
    from clew.core.long_run import settle_in, spare_arrow

    settle_in()  # before all that loads Arrow
    spare_arrow()

    from clew.cli._countries import Countries
    from clew.cli._live import LiveView, waiting_lines
    from clew.observe.policy import Policy, usual_revisit
    from clew.observe.run import observe as run
    from clew.observe.standing import standing

    usual = Policy()
    given = {
        "per_second": rate,
        "concurrent": concurrent,
        "bytes_per_second": bandwidth,
        "hold": hold,
        "bind": bind,
        "quiet_hours": _hours(quiet),
        "revisit": usual_revisit(allow or usual.allow) if interval is None else interval,
    }
    set_fields: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    policy = Policy(allow=allow or usual.allow, transports=transports, gossip=gossip, **set_fields)
    opened = open_case(case)
    countries = Countries(opened, [spec(text) for text in registers])
    with LiveView(opened, countries=countries) as view:
        summary = run(
            opened,
            trackers=list(trackers) or None,
            seconds=seconds,
            go_on=go_on,
            policy=policy,
            progress=None if as_json else view.take,
        )
    emit(as_json, summary.as_dict(), "\n".join([_words(summary), *waiting_lines(standing(opened))]))
    silent = [url for url, counts in summary.trackers.items() if counts.get("failed") and "listed" not in counts]
    return Exit.INCOMPLETE if silent or not summary.trackers else Exit.DONE


def _hours(text: str | None) -> tuple[int, int] | None:
    """FROM-TO as hours of a day; Policy refuses those that no day has."""
    if text is None:
        return None
    begin, _, end = text.partition("-")
    if not (begin.isdecimal() and end.isdecimal()):
        raise Usage(f"{text!r} are no quiet hours", "write them as 22-6, in UTC")
    return int(begin), int(end)


def _words(found: "Summary") -> str:
    ourselves = found.ourselves
    lines = [
        f"{found.seconds} s, stopped: {found.stopped}. {found.watches} Watches; "
        f"{found.coverage['listed']} addresses and ports listed, {found.coverage['answered']} answered.",
        "Highest tier: " + ", ".join(f"{tier} {number}" for tier, number in found.places.items()),
        f"{found.contacts} contacts, {found.controls} control probes, {found.announces} announces; "
        f"we ourselves were listed {ourselves['times']} times, {ourselves['seconds']} s in all.",
        f"Peers named us {ourselves['gossiped']} times in gossip, trackers and nodes {ourselves['listed']} times; "
        f"{ourselves['presumed']} times somebody named an address that peers take for ours.",
    ]
    if found.interrupted_before:
        lines.append(f"An earlier run was cut off: {found.interrupted_before} dials are recorded as interrupted.")
    lines += [f"  {number:6d}  {kind}" for kind, number in sorted(found.errors.items(), key=lambda pair: -pair[1])]
    covered = found.coverage
    lines.append(
        f"Since observing began in this case, nobody was watching for {covered['downtime_seconds']:.0f} s; gaps: "
        f"{len(covered['gaps'])}{', the last of them:' if covered['gaps'] else ''}"
    )
    lines += [f"  {each['from']} to {each['to']}: {each['why']}" for each in covered["gaps"][-GAPS_SHOWN:]]
    clock_set = covered["clock_set"][-GAPS_SHOWN:]
    lines += [f"{each['why']}: it read {each['from']}, then {each['to']}" for each in clock_set]
    for one in questions.of([found.questions]):
        lines += [str(one)] if one.failed or one.silent else []
        lines += one.of_watches()
    lines.append(covered["not_covered"])
    return "\n".join(lines)


COMMAND = observe
