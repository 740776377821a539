"""`clew share`: a Bundle for one force, or for each."""

from dataclasses import asdict
from pathlib import Path

import click

from clew.cli._common import case_argument, emit, json_option, open_case
from clew.core.errors import Usage


@click.command(
    "share",
    epilog="\b\nExamples:\n  clew share cases/icarus --force AT --out bundles --key fr\n"
    "  clew share cases/icarus --all --out bundles --key fr",
)
@case_argument
@click.option("--force", "force_code", help="Code of the force that it is for, e.g. AT.")
@click.option("--all", "everyone", is_flag=True, help="One bundle for every other force of the case.")
@click.option("--out", required=True, type=click.Path(path_type=Path, file_okay=False), help="Folder to write into.")
@click.option("--key", "key_name", required=True, help="Name of this force's signing key (clew key new NAME).")
@json_option
def share(case: Path, *, force_code: str | None, everyone: bool, out: Path, key_name: str, as_json: bool) -> None:
    """Build encrypted, signed bundles: each force receives its leads, graded hashes and how to check them.

    A bundle also takes back what earlier ones gave that force and does not stand any more as it left. Nothing is sent:
    hand over the .tar.age file by your own channel, and your public key by another one.
    """
    from clew.core import sent
    from clew.share.coverage import unlisted
    from clew.share.run import build, build_all

    if everyone == (force_code is not None):
        raise Usage("name one force with --force, or take --all", "clew force list CASE shows the codes")
    opened = open_case(case)
    left = sent.Left(opened)
    try:
        if force_code is None:
            made = build_all(opened, out=out, key_name=key_name, left=left)
        else:
            made = [build(opened, force_code=force_code, out=out, key_name=key_name, left=left)]
        mine = {b.force for b in made}
        back = [each for each in sent.told(left.all()) if each.force in mine]
        still = [each for each in sent.changed(opened, left.all()) if not each.told]
        notes = [line for b in made for line in unlisted(opened, b.force)]
    finally:
        opened.close()
    rows = [{"id": b.id, "force": b.force, "path": b.path, "sha256": b.sha256.hex()} for b in made]
    lines = [f"{row['force']}  {row['path']}\n    SHA-256 {row['sha256']}" for row in rows]
    lines += [f"taken back: {each.words()}" for each in back]
    lines += [f"NOT TOLD YET: {each.words()}; clew share CASE --force {each.force}" for each in still]
    data = {"bundles": rows, "notes": notes, "taken_back": [*map(asdict, back)], "not_told_yet": [*map(asdict, still)]}
    emit(as_json, data, "\n".join([*lines, *(f"note: {line}" for line in notes)]))


COMMAND = share
