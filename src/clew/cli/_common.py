"""What the verbs share: the case argument, `--json`, and how a result is printed."""

import getpass
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click

from clew.core.case import Case
from clew.core.errors import Usage

F = TypeVar("F", bound=Callable[..., Any])


def case_argument(function: F) -> F:
    """The CASE argument: the case's folder, as a Path named `case`."""
    return click.argument("case", type=click.Path(path_type=Path, file_okay=False))(function)


def json_option(function: F) -> F:
    """`--json`: one JSON object on standard output instead of words, as `as_json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of words.")(function)


def actor() -> str:
    """Who acts, for the ledger: CLEW_ACTOR (a pseudonym), else the login name."""
    return os.environ.get("CLEW_ACTOR") or getpass.getuser()


def open_case(folder: Path) -> Case:
    """Opens the case as the acting person."""
    return Case.open(folder, actor=actor())


def emit(as_json: bool, data: Mapping[str, Any], words: str) -> None:
    """Prints `data` as one JSON object, or `words`."""
    click.echo(json.dumps(data, sort_keys=True, ensure_ascii=False) if as_json else words)


def write_new(path: Path, text: str) -> None:
    """Writes a new file that only its owner reads: it holds addresses. Raises Usage where something is there."""
    try:
        with path.open("x", encoding="utf-8") as file:
            path.chmod(0o600)
            file.write(text)
    except FileExistsError as error:
        raise Usage(f"{path} is there already", "name a new file") from error


def unlike_most(place: Mapping[str, Any]) -> str:
    """The states of a place in brackets, where they are not those of a whole file in use."""
    states = [place[name] for name in ("name_state", "content_state") if place[name] not in (None, "live", "complete")]
    return f" ({', '.join(states)})" if states else ""
