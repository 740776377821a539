"""`clew capture`: captures and logs that others made, and a capture of our own runs as a check on them."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from clew.cli._common import case_argument, emit, json_option, open_case
from clew.core.errors import Exit

if TYPE_CHECKING:
    from clew.observe.comparing import Compared
    from clew.observe.taking import Taken

SHOWN = 20
NOTE = "No lead rests on these; absence from a capture is no evidence of absence."


@click.group("capture", epilog="\b\nExample:\n  clew capture list CASE")
def capture() -> None:
    """Captures and logs that others made. Shown and never counted: no lead rests on them."""


@capture.command(
    "import",
    epilog="\b\nExamples:\n"
    "  clew capture import CASE tap.pcapng --label AT-17-C --by 'Insp. Gruber' --vantage 'court-ordered tap, Graz'\n"
    "  clew capture import CASE log.csv --label AT-17-D --by 'Police of Elsewhere' --vantage 'their office'",
)
@case_argument
@click.argument("path", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--label", required=True, help="The file's number as an exhibit.")
@click.option("--by", required=True, help="Who recorded it, or handed it over.")
@click.option("--vantage", required=True, help="Where it was recorded.")
@click.option("--format", help="pcap, pcapng, csvlog or jsonlines. Default: what the file begins like.")
@click.option("--interval", type=click.FloatRange(min=0, min_open=True), default=300.0, show_default=True,
              help="Seconds between two claims that count as repeated; at least 300 beyond 127.0.0.0/8.")  # fmt: skip
@click.option("--accept-weak-isolation", is_flag=True, help="Go on where this system cannot lock the reader up fully.")
@json_option
def take(
    case: Path,
    path: Path,
    label: str,
    by: str,
    vantage: str,
    format: str | None,
    interval: float,
    accept_weak_isolation: bool,
    as_json: bool,
) -> int:
    """Take what the file at PATH says of the Watches of CASE; all else in it is counted and dropped.

    Payloads are never kept. The same file again adds nothing, unless a later version reads more of it. Exit status 3:
    something of it could not be read.
    """
    from clew.observe.handed import Given
    from clew.observe.taking import take

    given = Given(path, label, by, vantage)
    found = take(open_case(case), given, format=format, interval=interval, accept_weak=accept_weak_isolation)
    emit(as_json, found.as_dict(), _words(found))
    return Exit.INCOMPLETE if found.flaws else Exit.DONE


@capture.command("list", epilog="\b\nExample:\n  clew capture list CASE --json")
@case_argument
@json_option
def listed(case: Path, as_json: bool) -> None:
    """List the files that were taken into CASE, with what was read of them and what was not."""
    from clew.observe.told import all_of

    found = all_of(open_case(case))
    lines = [
        f"{each['label']}  {each['format']}, {each['size']} bytes, SHA-256 {each['sha256']}, by {each['given_by']}, "
        f"recorded at {each['vantage']}, taken {each['taken']}; {len(each['flaws'])} flaws"
        for each in found
    ]
    emit(as_json, {"captures": found}, "\n".join(lines) or "no file has been taken in")


@capture.command("show", epilog="\b\nExample:\n  clew capture show CASE AT-17-C")
@case_argument
@click.argument("label")
@json_option
def shown(case: Path, label: str, as_json: bool) -> None:
    """Print what the files taken into CASE under LABEL say, one line a sighting.

    clew show sighting CASE ID prints the proof of one.
    """
    from clew.observe.told import said_by

    found = said_by(open_case(case), label)
    lines = [
        f"{each['at']}  {each['tier']} {each['kind']}  {each['watch']}  {each['address']} port {each['port']} "
        f"{each['transport']}  {each['what']}; claims: {each['claim']}  ({each['id'][:12]})"
        for each in found
    ]
    emit(as_json, {"sightings": found, "note": NOTE}, "\n".join([*lines, NOTE]))


@capture.command(
    "compare",
    epilog="\b\nExample:\n  tcpdump -i eth0 -U -w run.pcap   (started by somebody else, before the run)\n"
    "  clew capture compare CASE run.pcap",
)
@case_argument
@click.argument("path", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--run", help="The run's id, or its beginning. Default: the last one.")
@click.option("--accept-weak-isolation", is_flag=True, help="Go on where this system cannot lock the reader up fully.")
@json_option
def compared(case: Path, path: Path, run: str | None, accept_weak_isolation: bool, as_json: bool) -> int:
    """Hold the transcripts of a run of CASE against a capture of it that another process made.

    Exit status 3: something differs, is missing, or is in the capture and in no record; or the capture has flaws.
    """
    from clew.observe.comparing import compare

    found = compare(open_case(case), path, run=run, accept_weak=accept_weak_isolation)
    emit(as_json, found.as_dict(), _verdict(found))
    return Exit.DONE if found.matches else Exit.INCOMPLETE


def _verdict(found: "Compared") -> str:
    lines = [f"run {found.run[:8]} against a capture with SHA-256 {found.sha256}"]
    for transport, states in sorted(found.states.items()):
        lines.append(f"  {transport:14} " + ", ".join(f"{state}: {number}" for state, number in sorted(states.items())))
    lines += [f"  {each['sighting'][:8]} {each['state']}: {each['why']}" for each in found.off[:SHOWN]]
    lines.append(f"{found.flows} flows of ours in the capture, {len(found.undisclosed)} that no record accounts for")
    lines += [f"  {each['at']} {each['address']}:{each['port']} {each['carrier']}: {each['why']}"
              for each in found.undisclosed[:SHOWN]]  # fmt: skip
    if found.forgotten_calls:
        lines.append(
            f"{found.forgotten} more are accounted for by number alone: {found.forgotten_calls} calls of this run that "
            "nobody answered were forgotten after 7 days, as they have to be. Compare within 7 days of a run."
        )
    lines += [f"Not read: {flaw}" for flaw in found.flaws]
    return "\n".join([*lines, "The capture matches." if found.matches else "The capture does NOT match."])


def _words(found: "Taken") -> str:
    if found.again:
        return f"{found.label}: this file was read for every Watch before; nothing was added"
    tiers = ", ".join(f"{name}: {number}" for name, number in sorted(found.tiers.items())) or "nothing of any Watch"
    lines = [f"{found.label}: {found.format}, SHA-256 {found.sha256}", f"Sightings: {tiers}", "What was read:"]
    lines += [f"  {number:>12,} {name}" for name, number in sorted(found.counts.items())]
    lines += [f"Not read: {flaw}" for flaw in found.flaws]
    return "\n".join([*lines, NOTE])


COMMAND = capture
