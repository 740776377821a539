"""How every file of bench/ prints: a table for people, or with `--json` one line a claim."""

import argparse
import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True)
class Claim:
    """One comparison. `ratio` is how many times better ours is; `n` how many things were measured."""

    name: str
    ours: float
    peer: float
    ratio: float
    unit: str
    n: int
    command: str


def run(title: str, measure: Callable[[argparse.Namespace], Iterable[Claim]], parser: argparse.ArgumentParser) -> None:
    """Measures and prints; `parser` has the file's own options."""
    parser.add_argument("--json", action="store_true", help="one JSON object a claim instead of a table")
    options = parser.parse_args()
    claims = list(measure(options))
    if options.json:
        for claim in claims:
            print(json.dumps(asdict(claim)))
        return
    table = Table(title=title)
    for column in ("claim", "ours", "peer", "ratio", "unit", "n"):
        table.add_column(column, justify="left" if column in ("claim", "unit") else "right")
    for c in claims:
        table.add_row(c.name, f"{c.ours:,.4g}", f"{c.peer:,.4g}", f"{c.ratio:,.3g}", c.unit, f"{c.n:,}")
    Console().print(table)
