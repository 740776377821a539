"""`clew`: the roof. Verbs are the files of this folder; each ends with `COMMAND`, a click command.

A verb is imported when it is called or its help is asked for, so that `clew --help` stays quick.
"""

import sqlite3
import sys
from importlib import import_module, resources
from typing import Any

import click

from clew import __version__
from clew.core.errors import ClewError, Exit
from clew.core.printable import printable

ORDER = ("demo", "init", "key", "mandate", "watch", "force", "hashset", "observe", "capture", "attribute", "leads",
         "lead", "provider", "intake", "pieces", "match", "dense", "identify", "review", "statement", "corroborate",
         "share", "receive")  # fmt: skip


def verbs() -> list[str]:
    """The verbs in the order of the flow, then by name; found by listing this folder."""
    found = {f.name[:-3] for f in resources.files("clew.cli").iterdir() if f.name.endswith(".py")}
    found -= {name for name in found if name.startswith("_") or name == "main"}
    return [v for v in ORDER if v in found] + sorted(found - set(ORDER))


class Verbs(click.Group):
    """The click group over the files of this folder."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        """Every verb."""
        return verbs()

    def get_command(self, _ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The verb of that name, imported now."""
        if cmd_name not in verbs():
            return None
        command: click.Command = import_module(f"clew.cli.{cmd_name}").COMMAND
        return command


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="clew")
def cli() -> None:
    """clew: an investigation workbench for police units that protect children online.

    \b
    Try it on a closed training operation:   clew demo --out DIR
    Begin with your own evidence:            clew init CASE, then clew mandate add, intake,
                                             hashset add, match, identify, review

    Exit status: 0 done, 1 fatal, 2 usage, 3 done but something could not be read,
    4 done, but the training range saw what no observer may do or keep.
    """  # noqa: D301 - click reads the character itself


def main(argv: list[str] | None = None) -> Any:
    """Runs one command; errors become `clew: error:` and `clew: hint:` on standard error."""
    try:
        status = cli.main(args=argv, prog_name="clew", standalone_mode=False)
    except ClewError as error:
        _complain(error.message, error.hint)
        status = error.status
    except (OSError, sqlite3.OperationalError) as error:  # a full disk, a folder without permission
        _complain(str(error), "what was acknowledged is kept; once this is put right, run the same command again")
        status = Exit.FATAL
    except click.ClickException as error:
        _complain(error.format_message(), "see the command's --help")
        status = Exit.USAGE
    except (click.Abort, KeyboardInterrupt):
        _complain("interrupted", "what was acknowledged is kept; run the same command again to go on")
        status = Exit.FATAL
    sys.exit(int(status) if isinstance(status, int) else 0)


def _complain(message: str, hint: str) -> None:
    click.echo(f"clew: error: {printable(message)}", err=True)
    if hint:
        click.echo(f"clew: hint: {printable(hint)}", err=True)
