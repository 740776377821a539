"""Registers as a person names them on the command line: PLUGIN[:FILE][@DATE]."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from clew.core.errors import Usage

if TYPE_CHECKING:
    from clew.attribute.api import RegisterSpec


def registers_option(about: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The option `--register`, which may be repeated."""
    return click.option("--register", "registers", multiple=True, metavar="PLUGIN[:FILE][@DATE]", help=about)


def spec(text: str) -> "RegisterSpec":
    """PLUGIN[:FILE][@DATE]; a file's name may hold an @, so only a date after the last one counts as one."""
    from clew.attribute.api import RegisterSpec

    before, at, date = text.rpartition("@")
    dated_ns = _date(date) if at else None
    plugin, _, path = (before if dated_ns is not None else text).partition(":")
    if not plugin:
        raise Usage(f"{text!r} names no register", "write it as: --register mmdb:FILE")
    return RegisterSpec(plugin, Path(path) if path else None, dated_ns)


def _date(text: str) -> int | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
    return int(moment.timestamp()) * 1_000_000_000
