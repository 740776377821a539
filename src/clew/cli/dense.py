"""`clew dense`: every frame of a video."""

from pathlib import Path

import click

from clew.cli._common import case_argument, emit, json_option, open_case
from clew.core.errors import Exit


@click.command(
    "dense",
    epilog="\b\nExamples:\n  clew dense CASE 5f0c3a DCIM/100/clip.mp4\n  clew dense CASE 5f0c3a --every 0.5 --json",
)
@case_argument
@click.argument("contents", metavar="CONTENT...", nargs=-1, required=True)
@click.option("--every", type=click.FloatRange(0), default=0.0, help="Seconds between two frames; 0: all.")
@click.option("--workers", type=click.IntRange(0, 256), default=0, help="Parsers side by side; 0: one a processor.")
@click.option("--accept-weak-isolation", is_flag=True, help="Go on where this system cannot lock parsers up fully.")
@json_option
def dense(
    case: Path, contents: tuple[str, ...], every: float, workers: int, accept_weak_isolation: bool, as_json: bool
) -> int:
    """Read videos of CASE again and hash the picture of each frame.

    CONTENT is a path as it is listed, or 6 or more digits of a content's SHA-256. What is hashed already is left. Exit
    status 3: something could not be read; it is named.
    """
    import os

    from clew.intake.dense import dense as look
    from clew.intake.dense import named
    from clew.intake.options import Options

    opened = open_case(case)
    wanted = list(dict.fromkeys(named(opened, name) for name in contents))
    options = Options(workers=workers or os.cpu_count() or 1, accept_weak_isolation=accept_weak_isolation)
    looked = look(opened, wanted, every=every, options=options)
    had = looked.asked - looked.done - len(looked.failed)
    words = f"{looked.done:,} of {looked.asked:,} contents looked at; {had:,} had their frames hashed already\n"
    words += "".join(f"{name}: {why}\n" for name, why in looked.failed.items())
    words += (
        "that frames match nothing is no statement: see what `video.pdq.dense` and `video.dense.damaged` say of each"
    )
    result = {"asked": looked.asked, "done": looked.done, "had": had, "failed": looked.failed}
    emit(as_json, result, words)
    return Exit.INCOMPLETE if looked.failed else Exit.DONE


COMMAND = dense
