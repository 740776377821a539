"""The order in which leads are shown: what a rule is told of each, what it answers, and the ranks that follow.

The rule is a plug-in (`ranks/`), chosen by name. What it was told is kept beside each lead, so that anyone can ask the
same rule again, and a person's "urgent" moves a lead at once without a new run.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from clew.attribute import tables
from clew.attribute.api import Feature, Graded, Known, Rule
from clew.attribute.merge import Draft
from clew.attribute.where import DAY_NS
from clew.core import plugins
from clew.core.case import Transaction
from clew.core.errors import Damaged, Usage
from clew.model import Watch

PACKAGE = "clew.attribute.ranks"
DEFAULT = "plain_sum"
MOST_WEIGHT = 10.0
Weights = Mapping[tuple[str, str], float]


@dataclass(frozen=True, slots=True)
class Ranking:
    """One lead's features by one rule, with what the rule was told."""

    rule: str
    version: str
    known: Known
    features: tuple[Feature, ...]

    @property
    def score(self) -> float:
        """The sum of the points."""
        return round(sum(each.points for each in self.features), 2)

    def values(self) -> dict[str, float]:
        """Each feature's value by name."""
        return {each.name: each.value for each in self.features}

    def text(self) -> str:
        """As JSON, for the case."""
        shown = [asdict(each) | {"points": each.points} for each in self.features]
        told = {"rule": self.rule, "version": self.version, "known": asdict(self.known), "features": shown}
        return json.dumps(told, sort_keys=True)


def rule(name: str = DEFAULT) -> Rule:
    """A rule by its name. Raises Usage, naming those that are there, for any other."""
    found: Rule = plugins.load(PACKAGE, name)
    return found


def rank(by: Rule, known: Known) -> Ranking:
    """Asks a rule."""
    return Ranking(by.name, by.version, known, by.features(known))


def again(text: str, urgent: Sequence[str]) -> Ranking:
    """Asks the rule that made `text` once more, with other reasons for urgency and all else as it was.

    Raises Usage where that rule is no plug-in of this clew, or another version of it.
    """
    held = json.loads(text)
    found = rule(held["rule"])
    if found.version != held["version"]:
        raise Usage(
            f"the ranks were made by {held['rule']} {held['version']}, this clew has version {found.version}",
            "run clew attribute again",
        )
    graded = tuple(Graded(**each) for each in held["known"]["graded"])
    return rank(found, Known(**held["known"] | {"graded": graded, "urgent": tuple(urgent)}))


def known(draft: Draft, *, now_ns: int, urgent: Sequence[str], watches: Mapping[str, Watch], weights: Weights) -> Known:
    """What a rule is told of one Subject in the making."""
    inside = [i for i in draft.intervals if not i.torrent_only]
    intervals = inside or draft.intervals
    counted = {s for i in intervals for s in i.sightings}
    times = [c.started_ns for c in draft.run if c.id in counted]
    claimed = sorted({i.watch for i in intervals})
    return Known(
        watched_files=len({i.watch for i in inside}),
        days=len({t // DAY_NS for t in times}),
        claims=len(times),
        idle_days=max(0, now_ns - max(i.to_ns for i in intervals)) / DAY_NS,
        torrent_only=not inside,
        graded=tuple(_graded(watches[each], weights) for each in claimed if each in watches),
        urgent=tuple(urgent),
    )


def _graded(watch: Watch, weights: Weights) -> Graded:
    return Graded(watch.label, watch.scheme, watch.category, weights.get((watch.scheme, watch.category)))


def weights_of(path: Path | None) -> Weights:
    """The operator's table of grades: a CSV file `scheme,category,weight`, weights from 0 to 10.

    clew has none of its own: how grave a category is, is for the force to say, and schemes are never remapped.
    Raises Usage where there is no such file, Damaged where it is no CSV, and, naming the line, where it does not say
    what it must.
    """
    if path is None:
        return {}
    return dict(_weight(row, path, number) for number, row in tables.rows(path, "table of grades"))


def _weight(row: tables.Row, path: Path, number: int) -> tuple[tuple[str, str], float]:
    try:
        scheme, category, weight = (str(row[name]).strip() for name in ("scheme", "category", "weight"))
        value = float(weight)
    except (KeyError, ValueError) as error:
        raise Damaged(f"{path} line {number} is no weight of a grade", "its columns: scheme,category,weight") from error
    if not 0 <= value <= MOST_WEIGHT:
        raise Damaged(f"{path} line {number}: {weight} is not from 0 to {MOST_WEIGHT:g}", "give a weight in that range")
    return (scheme, category), value


def reorder(tx: Transaction) -> None:
    """Ranks every lead from 1 among those of its force and state: by score, then id, so that equals stay in order."""
    counts: Counter[tuple[Any, Any]] = Counter()
    ranks = []
    for row in tx.execute("SELECT id, force, state FROM leads ORDER BY score DESC, id").fetchall():
        counts[row["force"], row["state"]] += 1
        ranks.append((counts[row["force"], row["state"]], row["id"]))
    tx.executemany("UPDATE leads SET rank=? WHERE id=?", ranks)


def explain(text: str) -> list[str]:
    """One sentence a feature of a stored ranking, the weightiest first; those without points last."""
    features = sorted(json.loads(text)["features"], key=lambda each: (-abs(each["points"]), each["name"]))
    return [f"{each['says']}: {each['points']:+g} points ({_weighed(each)})" for each in features]


def _weighed(each: Mapping[str, Any]) -> str:
    return f"{each['name'].replace('_', ' ')} {each['value']:g}, weight {each['weight']:g} x {each['how']}"
