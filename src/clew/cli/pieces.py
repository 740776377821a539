"""`clew pieces`: seized files against the piece hashes of seized torrents."""

from pathlib import Path

import click

from clew.cli._common import case_argument, emit, json_option, open_case
from clew.core.errors import Exit


@click.command("pieces", epilog="\b\nExamples:\n  clew pieces CASE\n  clew pieces CASE --workers 2 --json")
@case_argument
@click.option("--workers", type=click.IntRange(0, 256), default=0, help="Readers side by side; 0: one a processor.")
@click.option("--accept-weak-isolation", is_flag=True, help="Go on where this system cannot lock parsers up fully.")
@json_option
def pieces(case: Path, workers: int, accept_weak_isolation: bool, as_json: bool) -> int:
    """Hold seized files of CASE against the piece hashes of seized .torrent files, and against ed2k hashes.

    Only files of the right size are read again. A piece that lies in several files is held against contents of one
    exhibit that may be these files; where none fit together, that says nothing of any of them. Results are Traits,
    which `clew corroborate` uses. Exit status 3: something could not be read; it is named.
    """
    import os

    from clew.intake.options import Options
    from clew.intake.pieces import held_against

    options = Options(workers=workers or os.cpu_count() or 1, accept_weak_isolation=accept_weak_isolation)
    done = held_against(open_case(case), options=options)
    lines = [
        f"{done.torrents} torrents asked; {done.contents} contents of a fitting size read",
        f"checks that fitted whole: {done.whole}, partly: {done.partly}, not at all: {done.not_at_all}",
        f"pieces that lie in several files, with a content for each: {done.across}; fitting: {done.across_fitting}, "
        f"which tells of {done.across_files} files",
        *(
            [f"left out: {crowded} pieces that lie in too many files or pads"]
            if (crowded := done.across_crowded)
            else []
        ),
        f"files of a fitting size of which no content was checked: {done.not_checkable}",
        f"ed2k hashes made: {done.ed2k}; named by a known.met or part.met: {done.ed2k_named}",
        *(f"not done: content {content}: {why}" for content, why in done.failed.items()),
    ]
    emit(as_json, done.as_dict(), "\n".join(lines))
    return Exit.INCOMPLETE if done.failed else Exit.DONE


COMMAND = pieces
