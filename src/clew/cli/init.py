"""`clew init`: a new case."""

from pathlib import Path

import click

from clew.cli._common import actor, emit, json_option
from clew.core.case import Case
from clew.core.errors import Usage


@click.command(
    "init",
    epilog="\b\nExample:\n  clew key new authority\n"
    "  clew init cases/icarus --operation Icarus --force AT --authority authority.pub",
)
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--operation", required=True, help="The operation's name.")
@click.option(
    "--force", required=True, help="Code of the force that holds this case, e.g. AT: letters, digits, . _ and -."
)
@click.option(
    "--authority",
    required=True,
    help="The public key that Mandates and Watches must be signed with: a .pub file, or 64 hexadecimal digits.",
)
@json_option
def init(folder: Path, operation: str, force: str, authority: str, as_json: bool) -> None:
    """Make a new case in FOLDER."""
    from clew.core.keys import read_public

    try:
        public = read_public(authority)
    except FileNotFoundError as error:
        raise Usage(f"there is no key file {authority}", "make a key with: clew key new authority") from error
    case = Case.create(folder, operation=operation, force=force, authority=public, actor=actor())
    emit(as_json, {"case": str(folder), "id": case.settings.id}, f"case {case.settings.id} is in {folder}")


COMMAND = init
