"""How every file of bench/ prints: a table for people with the commands that repeat it, or with `--json` one line a
claim. Status 1 where one does not hold.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True)
class Claim:
    """One comparison. `ratio` is how many times better ours is; `n` how many things were measured. Where clew claims
    something of the ratio, that it is at `least` or at `most` so much.
    """

    name: str
    ours: float
    peer: float
    ratio: float
    unit: str
    n: int
    command: str
    least: float | None = None
    most: float | None = None

    @property
    def holds(self) -> bool:
        """Whether the ratio is what clew claims of it."""
        return (self.least is None or self.ratio >= self.least) and (self.most is None or self.ratio <= self.most)

    @property
    def verdict(self) -> str:
        """What is claimed of the ratio, and whether it holds."""
        bounds = [f"at least {self.least:.3g}"] if self.least is not None else []
        bounds += [f"at most {self.most:.3g}"] if self.most is not None else []
        return f"{' and '.join(bounds)}: {'holds' if self.holds else 'MISSED'}" if bounds else ""


def run(title: str, measure: Callable[[argparse.Namespace], Iterable[Claim]], parser: argparse.ArgumentParser) -> None:
    """Measures and prints; `parser` has the file's own options. Ends with status 1 where a claim does not hold."""
    parser.add_argument("--json", action="store_true", help="one JSON object a claim instead of a table")
    options = parser.parse_args()
    claims = list(measure(options))
    if options.json:
        for claim in claims:
            print(json.dumps({**asdict(claim), "holds": claim.holds}))
    else:
        _show(title, claims)
    if not all(claim.holds for claim in claims):
        sys.exit(1)


def _show(title: str, claims: list[Claim]) -> None:
    """The table, and under it each command with the lines of the table that it repeats."""
    table = Table(title=title)
    for column in ("line", "claim", "ours", "peer", "ratio", "claimed", "unit", "n"):
        table.add_column(column, justify="left" if column in ("claim", "claimed", "unit") else "right")
    for number, c in enumerate(claims, 1):
        figures = f"{c.ours:,.4g}", f"{c.peer:,.4g}", f"{c.ratio:,.3g}"
        table.add_row(str(number), c.name, *figures, c.verdict, c.unit, f"{c.n:,}")
    Console().print(table)
    for command in dict.fromkeys(c.command for c in claims):
        lines = ", ".join(str(number) for number, c in enumerate(claims, 1) if c.command == command)
        print(f"line {lines}: {command}")
