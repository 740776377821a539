"""docs/error-rates.md, from the table that `error_rates` makes."""

from collections.abc import Mapping, Sequence
from typing import Any

METHOD = """\
Each row is a numerator, a denominator, and an upper bound: with 95% confidence the rate on this range, with this
scenario, is not above it. The bound is one-sided and **clustered by operation**: subjects and leads of one operation do
not err independently, so that the operation, not the lead, is what is counted. It is the larger of two:

1. Korn and Graubard's bound (Survey Methodology 24, 1998): Clopper-Pearson with the effective sample size, that is
   the sample divided by the design effect (the ratio's variance between operations over the binomial one, never below
   1), corrected for the number of operations by Student's t.
2. A bound that assumes nothing about how errors hang together: 1 - 0.05^(1/operations), the rule of three by
   operations. If no operation of {operations} shows an error, that alone says "at most {least}". It needs more
   operations to fall: 59 for 5%, 299 for 1%.

"If independent" is the Clopper-Pearson bound that would hold if every subject or lead were an independent trial. It is
printed to be compared, not to be relied upon.

Every operation counts. Of one that failed, all contactable subjects count as missed: they stand under "errors" and
under "of". It has no lead that could be looked at, so that it adds nothing to the false leads, neither to "errors" nor
to "of": the rates of false leads and their bounds rest on the operations that have a lead, as many as "operations with
any" says. An attempt that was interrupted from outside (a killed process, a machine that was switched off) is made
again with the same seed, and counted under "attempts". Seeds are the first 31 bits of SHA-256 of "clew error rates
BUILD NUMBER", so that nobody chooses them."""


def page(table: Mapping[str, Any]) -> str:
    """The Markdown page."""
    operations = table["operations"]
    least = _percent(1 - 0.05 ** (1 / len(operations)))
    return "\n".join(
        [
            f"# {table['title']}",
            "",
            "Written by `make error-rates`; not by hand.",
            "",
            f"This holds for clew {table['version']}, build `{table['build']}` (SHA-256 over the files of",
            f"`src/clew`, see formats.md), and the scenario `{table['scenario']['name']}`, SHA-256",
            f"`{table['scenario']['sha256']}`. Any other build marks its exports UNVALIDATED BUILD.",
            "",
            "What happens on the range is not what happens in the field: there, nobody knows the truth, and no rate.",
            "",
            METHOD.format(operations=len(operations), least=least),
            "",
            *_section("All operations together", "rate", table["rates"]),
            f"Further leads of a subject that has one already (splits, no failure): {table['split']}.",
            "",
            *_section("False leads by kind, of all leads", "kind", table["false_by_kind"]),
            *_groups("By class of peer", "class", table["by_class"]),
            *_groups("By country", "country", table["by_country"]),
            *_ranking(table["ranking"]),
            *_operations(operations),
        ]
    )


def _section(title: str, name: str, rates: Mapping[str, Mapping[str, Any]]) -> list[str]:
    head = (name, "errors", "of", "at most", "operations with any", "design effect", "if independent")
    rows = [(key, *_rate(rate)) for key, rate in rates.items()]
    return [f"## {title}", "", *_table(head, rows), ""]


def _rate(rate: Mapping[str, Any]) -> tuple[str, ...]:
    effect = "" if rate["design_effect"] is None else f"{rate['design_effect']:.2f}"
    with_any = f"{rate['with_any']} of {rate['operations']}"
    bounds = _percent(rate["at_most"]), _percent(rate["independent"])
    return str(rate["n"]), str(rate["of"]), bounds[0], with_any, effect, bounds[1]


def _groups(title: str, name: str, groups: Mapping[str, Mapping[str, Any]]) -> list[str]:
    head = (
        name,
        "planted",
        "missed",
        "of contactable",
        "at most",
        "false",
        "of leads",
        "at most",
        "E2: median s",
        "p90",
    )
    rows = []
    for key, group in groups.items():
        missed, false, delay = group["missed"], group["false"], group["delay"]
        rates = [(str(r["n"]), str(r["of"]), _percent(r["at_most"])) for r in (missed, false)]
        times = ("" if delay[q] is None else f"{delay[q]:.1f}" for q in ("median", "p90"))
        rows.append((key, str(group["planted"]), *rates[0], *rates[1], *times))
    return [f"## {title}", "", *_table(head, rows), ""]


def _ranking(found: Mapping[str, Any]) -> list[str]:
    lines = [
        "## Ranking",
        "",
        "True: not false, and of a planted subject. Chance would put half of the pairs right.",
        "",
    ]
    if found["pairs"]:
        low, high = found["area_of_one_operation"]
        lines.append(
            f"Pairs in which the true lead stands higher: {found['higher']:g} of {found['pairs']}"
            f" ({found['higher'] / found['pairs']:.3f}; single operations {low:.3f} to {high:.3f})."
        )
    rows = [(f"{at}", str(true), str(leads)) for at, (true, leads) in enumerate(found["tenths"], 1)]
    return [*lines, "", *_table(("tenth, the highest first", "true", "of leads"), rows), ""]


def _operations(operations: Sequence[Mapping[str, Any]]) -> list[str]:
    keys = ("number", "seed", "state", "attempts", "planted", "contactable", "found", "split", "leads", "false")
    head = (*keys, "forbidden messages", "canary bytes", "why")
    rows = [
        (*(str(o[key]) for key in keys), _known(o["forbidden"]), _known(o["canary_bytes"]), o["why"])
        for o in operations
    ]
    return ["## Every operation", "", *_table(head, rows), ""]


def _known(count: int | None) -> str:
    return "unknown" if count is None else str(count)


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.2f}%"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    cells = [[cell.replace("|", "/").replace("\n", " ") for cell in row] for row in rows]
    return [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}", *(f"| {' | '.join(row)} |" for row in cells)]
