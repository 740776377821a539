"""Whether the ranking tells anything: do leads that stand higher hold more true ones?

A true lead is one that is not false and whose owner was planted. All leads of a case are put in order of their points;
tenths of that order are compared, and `higher` of `pairs` (one true lead, one that is not) have the true one higher, a
tie counting half: the Mann-Whitney statistic, which is the area under the ROC curve where it is divided.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

TENTHS = 10


@dataclass(frozen=True, slots=True)
class Tenth:
    """One tenth of the order, the highest first: places `first` to `last` (from 1), and how many leads are true."""

    first: int
    last: int
    true: int
    leads: int


@dataclass(frozen=True, slots=True)
class Calibration:
    """`higher` of `pairs` have the true lead above the other; 0.5 of them is what chance gives."""

    tenths: tuple[Tenth, ...]
    higher: float
    pairs: int

    def as_dict(self) -> dict[str, Any]:
        """As JSON; `area` is None where there is nothing to divide."""
        return {**asdict(self), "area": round(self.higher / self.pairs, 4) if self.pairs else None}


def calibrate(judged: Sequence[tuple[float, bool]]) -> Calibration:
    """Of (points, whether it is true), the best ranked first."""
    true = sorted(points for points, is_true in judged if is_true)
    other = sorted(points for points, is_true in judged if not is_true)
    below = sum(bisect_left(other, points) for points in true)
    not_above = sum(bisect_right(other, points) for points in true)
    return Calibration(_tenths([is_true for _, is_true in judged]), (below + not_above) / 2, len(true) * len(other))


def _tenths(order: Sequence[bool]) -> tuple[Tenth, ...]:
    edges = [len(order) * n // TENTHS for n in range(TENTHS + 1)]
    parts = ((a, b) for a, b in pairwise(edges) if b > a)
    return tuple(Tenth(a + 1, b, sum(order[a:b]), b - a) for a, b in parts)
