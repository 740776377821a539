"""`clew intake`: an Exhibit into the case."""

from pathlib import Path

import click

from clew.cli._common import case_argument, emit, json_option, open_case
from clew.core.errors import Exit, Usage


@click.command(
    "intake",
    epilog="\b\nExamples:\n"
    "  clew intake cases/icarus /evidence/phone --label AT-17-A --seized-by 'Insp. Gruber' \\\n"
    "      --seized-where Graz --seized-at 2026-03-01T09:30:00Z\n"
    "  clew intake cases/icarus /evidence/disk.img --label AT-17-B\n"
    "  clew intake cases/icarus /evidence/disk.img --label AT-17-B --retry\n"
    "  clew intake cases/icarus /other/disk.img --label AT-17-B --moved\n"
    "  clew intake cases/icarus --label AT-17-B --report\n"
    "  clew intake cases/icarus --digest",
)
@case_argument
@click.argument("path", type=click.Path(path_type=Path), required=False)
@click.option("--label", help="The exhibit's number or name; run again with it to go on where a run was stopped.")
@click.option("--seized-by", default="", help="Who seized it.")
@click.option("--seized-where", default="", help="Where.")
@click.option("--seized-at", help="When, as 2026-03-01T09:30:00Z.")
@click.option("--seized-what", default="", help="What it is: make, model, serial number, colour.")
@click.option(
    "--digest-stated",
    "stated",
    multiple=True,
    metavar="NAME:HEX",
    help="A digest of the image in the seizure record (sha256:, sha1: or md5:), to be compared with what is read.",
)
@click.option("--workers", type=click.IntRange(0, 256), default=0, help="Parsers side by side; 0: one a processor.")
@click.option("--retry", is_flag=True, help="Afterwards try what could not be read or listed once more.")
@click.option(
    "--moved",
    is_flag=True,
    help="The exhibit lies at another PATH (a folder: or on another file system) than before; it must be the same one: "
    "an image is read once more for its digest.",
)
@click.option("--again-known-good", is_flag=True, help="Afterwards look at what known-good hash sets stopped, too.")
@click.option(
    "--ed2k", is_flag=True, help="Make every file's ed2k hash, not only where a seized client names its size."
)
@click.option("--accept-weak-isolation", is_flag=True, help="Go on where this system cannot lock parsers up fully.")
@click.option("--batch-items", type=click.IntRange(1), default=2_000, show_default=True, help="Items of one receipt.")
@click.option("--batch-mib", type=click.IntRange(1), default=256, show_default=True, help="MiB of one receipt.")
@click.option(
    "--report", is_flag=True, help="Only print the end report of the exhibit with that --label, as it stands."
)
@click.option("--digest", is_flag=True, help="Only print one SHA-256 over all facts of the case.")
@json_option
def intake(
    case: Path,
    path: Path | None,
    label: str | None,
    seized_by: str,
    seized_where: str,
    seized_at: str | None,
    seized_what: str,
    stated: tuple[str, ...],
    workers: int,
    retry: bool,
    moved: bool,
    again_known_good: bool,
    ed2k: bool,
    accept_weak_isolation: bool,
    batch_items: int,
    batch_mib: int,
    report: bool,
    digest: bool,
    as_json: bool,
) -> int:
    """Take a folder, a disk image or an archive at PATH into CASE: every file, with its hashes or the reason why not.

    It may be stopped at any time and run again: what was acknowledged is kept. With --retry, contents that failed are
    read once more; directories, volumes and archives that could not be listed, and a folder that has grown, are listed
    again. Exit status 3: all of it was gone through, but something could not be read, a folder is not as it was listed,
    an archive was not known as one when it was first read, a second count differs, or the image has no digest or is not
    what its container or --digest-stated says. Options hold for their run alone. What was not said of the seizure at
    first can be added by a later run; what was said stays.
    """
    from clew.core.mandate import parse_time
    from clew.core.progress import Progress
    from clew.intake import run
    from clew.intake import seizure as seizures
    from clew.intake.account import facts_digest
    from clew.intake.custody import find
    from clew.intake.listing import BatchSize
    from clew.intake.options import Options
    from clew.intake.report import report as report_of

    opened = open_case(case)
    if digest:
        facts = facts_digest(opened)
        emit(as_json, {"facts_sha256": facts}, facts)
        return Exit.DONE
    if report:
        held = find(opened, label or "")
        if held is None:
            raise Usage(f"no exhibit of this case has the label {label!r}", "see: clew show exhibits CASE")
        ended = report_of(opened, held.id)
    elif path is None or not label:
        raise Usage("give the PATH to take in and its --label", "see: clew intake --help")
    else:
        options = Options(
            workers=workers,
            retry=retry,
            again_known_good=again_known_good,
            moved=moved,
            ed2k=ed2k,
            accept_weak_isolation=accept_weak_isolation,
            batch=BatchSize(batch_items, batch_mib << 20),
            seizure=seizures.Seizure(
                by=seized_by,
                where=seized_where,
                at_ns=parse_time(seized_at) if seized_at else None,
                what=seized_what,
                digests=seizures.digests(stated),
            ),
        )
        bar = Progress(f"intake of {label}", quiet=as_json)
        ended = run.intake(opened, path=path, label=label, progress=bar, options=options)
    emit(as_json, ended.as_dict(), ended.words())
    return Exit.DONE if ended.complete else Exit.INCOMPLETE


COMMAND = intake
