"""Until when a provider can be asked: how long providers of a country keep who used an address.

clew knows no such period: they differ by law, by kind of record and by provider, and they change. The operator gives
one, with where it is from; without it the answer is "unknown: ask at once".
"""

from dataclasses import dataclass
from datetime import date
from pathlib import Path

from clew.attribute import tables
from clew.attribute.where import DAY_NS
from clew.core.errors import Damaged, Usage

COLUMNS = ("country", "days", "source", "dated")
BY_HAND = "given by the operator on the command line"
MOST_DAYS = 3_650


@dataclass(frozen=True, slots=True)
class Period:
    """How many days such records are kept, who says so, and as of which day (None: not told)."""

    days: int
    source: str
    dated: str | None = None

    def until_ns(self, from_ns: int) -> int:
        """When the record of something that began at `from_ns` may be gone: counted from its beginning, the earlier."""
        return from_ns + self.days * DAY_NS


def by_hand(days: int) -> Period:
    """A period that the operator states. Raises Usage where it is none."""
    if not 0 < days <= MOST_DAYS:
        raise Usage(f"{days} days is no period of retention", f"give 1 to {MOST_DAYS}")
    return Period(days, BY_HAND)


def of_country(path: Path, country: str) -> Period | None:
    """The period of one country (ISO 3166-1 alpha-2) in a CSV file `country,days,source,dated`; None without a row.

    Raises Usage where there is no such file, Damaged where it is no CSV, and, naming the line, for a row that does not
    say what it must (every period needs its source and its day) or a country that stands there twice.
    """
    found: dict[str, Period] = {}
    for number, row in tables.rows(path, "file of periods"):
        code, period = _row(row, path, number)
        if code in found:
            raise Damaged(f"{path} line {number}: {code} stands there twice", "keep one row a country")
        found[code] = period
    return found.get(country.upper())


def _row(row: tables.Row, path: Path, number: int) -> tuple[str, Period]:
    try:
        code, days, source, dated = ((row[name] or "").strip() for name in COLUMNS)
        period = Period(int(days), source, date.fromisoformat(dated).isoformat())
    except (KeyError, ValueError) as error:
        raise Damaged(f"{path} line {number} is no period: {error}", f"its columns: {','.join(COLUMNS)}") from error
    if len(code) != 2 or not source or not 0 < period.days <= MOST_DAYS:
        raise Damaged(
            f"{path} line {number} lacks its country, days or source",
            "write for example: AT,90,the law and section that says so,2026-11-01",
        )
    return code.upper(), period
