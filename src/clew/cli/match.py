"""`clew match`: what of the case is known."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from clew.cli._common import case_argument, emit, json_option, open_case
from clew.cli._show_hits import NAMED
from clew.core.errors import ClewError, Exit

if TYPE_CHECKING:
    from clew.match.api import Summary

NOT_SAID = "intake has no exact hash of the picture that it rests on"


@click.command(
    "match",
    epilog="\b\nExamples:\n  clew match CASE\n  clew match CASE --no-exact --json",
)
@case_argument
@click.option(
    "--exact/--no-exact",
    default=True,
    show_default=True,
    help="Hash near hits again in exact mode; without it they wait, and are shown as not yet computed exactly.",
)
@click.option("--accept-weak-isolation", is_flag=True, help="Go on where this system cannot lock parsers up fully.")
@json_option
def match(case: Path, exact: bool, accept_weak_isolation: bool, as_json: bool) -> int:
    """Match every Content of CASE with every hash set: exactly, and pictures within 31 bits.

    Exit status 3: some near hits wait, since their pictures could not be hashed again in exact mode. What matched is
    told also where none of them can be, which is an error all the same.
    """
    import os
    from collections import Counter

    from clew.match import run

    opened = open_case(case)
    summary, failed = run.match(opened), dict[str, str]()
    none: Exception | None = None
    if exact and summary.wants_exact:
        # a stage knows no other stage: the roof carries the question to intake, and its answer back
        from clew.intake.options import Options
        from clew.intake.run import exact as look_again

        options = Options(workers=os.cpu_count() or 1, accept_weak_isolation=accept_weak_isolation)
        try:
            why = look_again(opened, list(summary.wants_exact), options=options).failed
        except (ClewError, OSError) as error:
            none, why = error, {each.hex(): str(error) for each in summary.wants_exact}
        else:
            summary = run.confirm(opened)
        # of a file of several pictures one may have failed that nothing waits for, or only the one that a hit waits for
        failed = {each.hex(): why.get(each.hex(), NOT_SAID) for each in summary.wants_exact}
    counts = ", ".join(f"{count} {kind}" for kind, count in summary.contents_hit.items())
    counts = f"{counts} ({NAMED})" if counts else "none"
    states = ", ".join(f"{count} {state}" for state, count in summary.states.items()) or "none"
    excluded = ", ".join(f"{count} of {reason}" for reason, count in summary.near_excluded.items()) or "none"
    words = (
        f"{summary.contents:,} contents against {summary.hashsets} hash sets; contents hit: {counts}\n"
        f"hits by state: {states}\n"
        f"near matching: {summary.near_searched:,} pictures searched, left out: {excluded}\n"
        + _by_part(summary)
        + "".join(
            f"not hashed again, their near hits wait: contents {count:,}: {why}\n"
            for why, count in Counter(failed.values()).items()
        )
        + "\n".join(f"note: {line}" for line in summary.covered)
    )
    emit(as_json, summary.as_dict() | {"not_hashed_again": failed}, words)
    if none is not None:
        raise none
    return Exit.INCOMPLETE if failed else Exit.DONE


def _by_part(summary: "Summary") -> str:
    """Which matches are not of the picture that is shown of a file."""
    from clew.match.api import MOST_PARTS

    if not summary.by_part:
        return ""
    head = f"matched by another page or picture than the one that is shown of it: {summary.by_part:,} contents\n"
    more = f"  the first {MOST_PARTS} matches; all of them: clew show hits CASE\n"
    left = "" if len(summary.parts) < MOST_PARTS else more
    return head + "".join(f"  {each}\n" for each in summary.parts) + left


COMMAND = match
