"""The order in which leads are shown. A suggestion with its reasons, never a verdict; swap `DEFAULT` for another Rule.

Rule "plain sum", version 1: every feature is a number, every point is shown, the score is their sum.

    feature           what it is                                                    points
    urgent            an open "child at risk now" alarm on this lead                1000
    watched_files     Watches with a claim of pieces inside the watched file        10 x log2(1 + n)
    days              different days (UTC) with such a claim                        6 x log2(1 + n)
    recency           0.5 ^ (days since the last claim / 14)                        10 x value
    claims            contacts that claimed                                         1 x log2(1 + n)
    torrent_only      nothing but torrent-only claims                               -20

What prior knowledge says is no feature, and no missing flag lowers a score.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from clew.attribute.merge import Draft
from clew.attribute.where import DAY_NS

HALF_LIFE_DAYS = 14


class Rule(Protocol):
    """A ranking rule: what it looks at, and how many points each feature gives."""

    @property
    def name(self) -> str:
        """Recorded with every run."""

    @property
    def version(self) -> str:
        """Recorded with every run."""

    def features(self, draft: Draft, *, now_ns: int, urgent: bool) -> dict[str, float]:
        """The numbers it looks at."""

    def points(self, features: Mapping[str, float]) -> dict[str, float]:
        """Points by feature; the score is their sum."""


@dataclass(frozen=True, slots=True)
class PlainSum:
    """The rule that stands above."""

    name: str = "plain sum"
    version: str = "1"

    def features(self, draft: Draft, *, now_ns: int, urgent: bool) -> dict[str, float]:
        """See Rule."""
        inside = [i for i in draft.intervals if not i.torrent_only]
        intervals = inside or draft.intervals
        counted = {s for i in intervals for s in i.sightings}
        times = [c.started_ns for c in draft.run if c.id in counted]
        since = max(0, now_ns - max(i.to_ns for i in intervals)) / DAY_NS
        return {
            "urgent": float(urgent),
            "watched_files": float(len({i.watch for i in inside})),
            "days": float(len({t // DAY_NS for t in times})),
            "recency": round(0.5 ** (since / HALF_LIFE_DAYS), 4),
            "claims": float(len(times)),
            "torrent_only": float(not inside),
        }

    def points(self, features: Mapping[str, float]) -> dict[str, float]:
        """See Rule."""
        weights = {
            "urgent": 1000 * features["urgent"],
            "watched_files": 10 * math.log2(1 + features["watched_files"]),
            "days": 6 * math.log2(1 + features["days"]),
            "recency": 10 * features["recency"],
            "claims": math.log2(1 + features["claims"]),
            "torrent_only": -20 * features["torrent_only"],
        }
        return {name: round(value, 2) for name, value in weights.items()}


DEFAULT: Rule = PlainSum()


def explain(features: Mapping[str, float], rule: Rule = DEFAULT) -> list[str]:
    """One sentence a feature that gave or took points, the weightiest first."""
    points = rule.points(features)
    names = sorted((n for n in points if points[n]), key=lambda n: (-abs(points[n]), n))
    return [f"{n.replace('_', ' ')} {features[n]:g}: {points[n]:+g} points" for n in names]
