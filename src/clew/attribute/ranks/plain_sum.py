"""The default order of leads: every feature is a number, every point is shown, the score is their sum.

    feature         value                                                    measure        weight
    urgent          reasons of people for which it comes first               1 if any         1000
    watched_files   Watches with a claim of pieces inside the watched file   log2(1 + n)        10
    days            different days (UTC) with such a claim                   log2(1 + n)         6
    recency         0.5 ^ (days since the last claim / 14)                   n                  10
    claims          contacts that claimed                                    log2(1 + n)         1
    grade           the highest weight in the operator's table, 0 to 10      n                   1
    torrent_only    1 if nothing but claims of the torrent                   n                 -20

Counts are taken by their logarithm: the second file or day tells more than the twentieth. The numbers are chosen, not
measured; whoever needs others copies this file. What is not known (a grade without a weight) gives no points and takes
none. The points other than `urgent` stay under 1000 for any lead that a case can hold: 2^20 claims on as many days for
as many files would give 350.
"""

import math

from clew.attribute.api import Feature, Graded, Known, Rule

HALF_LIFE_DAYS = 14
LOGARITHM = "log2(1 + value)"


class PlainSum:
    """The rule that stands above."""

    name = "plain_sum"
    version = "2"
    what = "watched files, days, recency, claims and grade, each with a fixed weight; urgent leads first"
    examples: tuple[tuple[Known, float], ...] = (
        (Known(watched_files=1, days=1, claims=3, idle_days=14, torrent_only=False), 23.0),
        (Known(watched_files=0, days=1, claims=1, idle_days=14, torrent_only=True), -8.0),
        (Known(1, 1, 3, 14, False, (Graded("W-1", "Training scheme", "1", 4.0),), ("a child may be at risk",)), 1027.0),
    )

    def features(self, known: Known) -> tuple[Feature, ...]:
        """See Rule."""
        return (
            _urgent(known),
            _count("watched_files", known.watched_files, 10, "watched files that it claimed parts of"),
            _count("days", known.days, 6, "different days (UTC) on which it did so"),
            _recency(known),
            _count("claims", known.claims, 1, "contacts in which it claimed parts"),
            _grade(known.graded),
            _torrent_only(known),
        )


def _urgent(known: Known) -> Feature:
    says = "put first by a person: " + "; ".join(known.urgent) if known.urgent else "nobody has called it urgent"
    return Feature("urgent", len(known.urgent), "1 if any", float(bool(known.urgent)), 1000, says)


def _count(name: str, value: int, weight: float, words: str) -> Feature:
    return Feature(name, value, LOGARITHM, math.log2(1 + value), weight, f"{words}: {value}")


def _recency(known: Known) -> Feature:
    measure = 0.5 ** (known.idle_days / HALF_LIFE_DAYS)
    says = f"days since it last did so: {known.idle_days:.1f} (the weight halves every {HALF_LIFE_DAYS} days)"
    return Feature("recency", round(measure, 4), "value", measure, 10, says)


def _grade(graded: tuple[Graded, ...]) -> Feature:
    weighed = [each for each in graded if each.weight is not None]
    worst = max((each.weight or 0.0 for each in weighed), default=0.0)
    told = ", ".join(f"{g.watch} is {g.category} ({g.scheme})" for g in graded) or "no Watch of it is known"
    rest = len(graded) - len(weighed)
    says = f"grade of its Watches: {told}" + (f"; {rest} of them without a weight in the table of grades" * bool(rest))
    return Feature("grade", worst, "value", worst, 1, says)


def _torrent_only(known: Known) -> Feature:
    only = float(known.torrent_only)
    says = "no claimed part is known to lie inside a watched file" if only else "a claimed part lies in a watched file"
    return Feature("torrent_only", only, "value", only, -20, says)


PLUGIN: Rule = PlainSum()
