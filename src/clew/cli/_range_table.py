"""A score as words for people: `clew range score` and `clew range run`."""

from collections.abc import Mapping, Sequence
from typing import Any

from clew.range.score import TITLE, Score, Tally, rates, spread

COLUMNS = ("", "planted", "contactable", "found", "split", "leads", "false", "E2 after s: median", "p90")


def words(result: Score) -> str:
    """Everything that `--json` holds, as lines."""
    return "\n".join(
        [
            f"{result.planted} planted, {result.contactable} contactable, {result.found} found, {result.split} split",
            f"{result.leads} leads, {len(result.false)} false, {result.bystanders} on torrent-only claims of others",
            "",
            *_table("class", result.by_class),
            "",
            *_table("country", result.by_country),
            "",
            *_false(result),
            *_ranking(result),
            *_misses(result),
            f"{TITLE}:",
            *(f"  {_rate(rate)}" for rate in rates(result)),
            *(f"  false: {each}" for each in result.false),
            *(f"  misplaced: {each}" for each in result.misplaced),
        ]
    )


def _table(name: str, tallies: Mapping[str, Tally]) -> list[str]:
    rows = [(name, *COLUMNS[1:]), *(_row(key, tally) for key, tally in sorted(tallies.items()))]
    widths = [max(len(row[at]) for row in rows) for at in range(len(COLUMNS))]
    return ["  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in rows]


def _row(key: str, tally: Tally) -> tuple[str, ...]:
    delays = spread(tally.delays)
    counts = (tally.planted, tally.contactable, tally.found, tally.split, tally.leads, sum(tally.false.values()))
    return (key, *map(str, counts), *("" if delays[q] is None else f"{delays[q]:.1f}" for q in ("median", "p90")))


def _false(result: Score) -> list[str]:
    return ["false leads by kind:", *(f"  {kind}: {count}" for kind, count in result.false_by_kind.items()), ""]


def _ranking(result: Score) -> list[str]:
    found = result.calibration
    share = f", {found.higher / found.pairs:.3f} (chance: 0.5)" if found.pairs else ""
    tenths = [f"  places {t.first} to {t.last}: {t.true} of {t.leads} true" for t in found.tenths]
    return [
        "ranking, the highest leads first (true: not false, and of a planted subject):",
        *tenths,
        f"  pairs in which the true lead stands higher: {found.higher:g} of {found.pairs}{share}",
        "",
    ]


def _misses(result: Score) -> list[str]:
    found = result.found + result.found_beyond
    lines = [f"found of all planted: {found} of {result.planted}; of the others:"]
    for contactable, name in ((True, "contactable, missed"), (False, "not contactable by the scenario")):
        lines += [f"  {name}: {miss}" for miss in _of(result, contactable)]
    return [*lines, ""]


def _of(result: Score, contactable: bool) -> Sequence[Any]:
    return [miss for miss in result.misses if miss.contactable is contactable]


def _rate(rate: Mapping[str, Any]) -> str:
    most = "" if rate["at_most"] is None else f", at most {100 * rate['at_most']:.2f} % (one-sided 95 % bound)"
    return f"{rate['name']}: {rate['n']} of {rate['of']}{most}"
