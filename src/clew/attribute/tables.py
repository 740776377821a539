"""A CSV table that the operator gives: its rows, each with its line."""

import csv
from collections.abc import Mapping
from pathlib import Path

from clew.core.errors import Damaged, Usage

Row = Mapping[str, str | None]


def rows(path: Path, what: str) -> list[tuple[int, Row]]:
    """Each row below the first one, which names the columns, and the line it ends in.

    Raises Usage where there is no such file, `what` being the words for it, Damaged where it is no CSV.
    """
    try:
        reader = csv.DictReader(path.read_text("utf-8-sig").splitlines())
        return [(reader.line_num, row) for row in reader]
    except FileNotFoundError as error:
        raise Usage(f"there is no {what} {path}", "give the path of a CSV file") from error
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise Damaged(f"{path} cannot be read as CSV: {error}", "save it as UTF-8 CSV") from error
