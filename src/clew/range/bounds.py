"""Upper bounds of error rates: of one operation, and over several, where the operation is the cluster.

One operation: Clopper and Pearson, subjects taken as independent. Over several operations they are not: what goes wrong
once in an operation (a lost tracker reply, a loaded machine) goes wrong for many of its subjects. Two bounds hold then,
and the larger one is printed:

* Korn and Graubard, Survey Methodology 24 (1998): Clopper-Pearson with the effective sample size, which is the sample
  size divided by the design effect (ratio estimator's variance between operations over the binomial one, never below
  1) and by the square of the ratio of Student's t with `operations - 1` degrees of freedom to the one without clusters.
* Without any assumption on how errors hang together: in `operations` independent ones the share of operations with any
  error is at most 1 - 0.05^(1/operations) where none had one (3/n of the "rule of three", by operations), and no error
  rate is above that share. An operation with an error may not lead to a lower bound than one without, so that this one
  is the least that is ever printed: 13.9 % for 20 operations, 5 % for 59, 1 % for 299.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

CONFIDENCE = 0.95
STEPS = 80  # of bisection: more than a float has bits
TINY = 1e-300
PRECISION = 1e-15


@dataclass(frozen=True, slots=True)
class Clustered:
    """`n` errors of `of`, over `operations` that had anything to err about; `with_any` of them had an error.

    `at_most` is the bound by operations; `independent` the one that would hold if nothing hung together. None: of 0.
    """

    n: int
    of: int
    operations: int
    with_any: int
    design_effect: float | None
    at_most: float | None
    independent: float | None


def upper(count: float, total: float, confidence: float = CONFIDENCE) -> float | None:
    """Upper one-sided Clopper-Pearson bound of a proportion; None where there is nothing to divide by."""
    if total == 0:
        return None
    if count >= total:
        return 1.0
    return round(_solve(lambda p: incomplete_beta(count + 1, total - count, p), confidence, 1.0), 6)


def clustered(counts: Sequence[tuple[int, int]], confidence: float = CONFIDENCE) -> Clustered:
    """The bound over operations, each given as (errors, of how many)."""
    counted = [(n, of) for n, of in counts if of]
    n, of, operations = sum(a for a, _ in counted), sum(b for _, b in counted), len(counted)
    if not of:
        return Clustered(0, 0, 0, 0, None, None, None)
    effect = _design_effect(counted, n, of)
    least = 1 - (1 - confidence) ** (1 / operations)
    if n == 0:
        most: float | None = least
    elif effect is None:
        most = 1.0
    else:
        worth = min(of, of / effect * _degrees(of, operations, confidence))
        most = max(least, upper(n / of * worth, worth, confidence) or 0.0)
    with_any = sum(a > 0 for a, _ in counted)
    return Clustered(n, of, operations, with_any, effect, round(most or 0.0, 6), upper(n, of, confidence))


def _design_effect(counts: Sequence[tuple[int, int]], n: int, of: int) -> float | None:
    """Variance of the ratio n/of between operations over the binomial one; None where it cannot be estimated."""
    operations, rate = len(counts), n / of
    if operations < 2 or not 0 < rate < 1:
        return None
    between = operations / (operations - 1) * sum((a - rate * b) ** 2 for a, b in counts) / of**2
    return round(max(1.0, between / (rate * (1 - rate) / of)), 4)


def _degrees(of: int, operations: int, confidence: float) -> float:
    """Korn and Graubard's correction for few clusters."""
    return (student(confidence, max(1, of - 1)) / student(confidence, operations - 1)) ** 2


def student(confidence: float, degrees: int) -> float:
    """The one-sided quantile of Student's t."""

    def below(t: float) -> float:
        return 1 - 0.5 * incomplete_beta(degrees / 2, 0.5, degrees / (degrees + t * t))

    return _solve(below, confidence, 1e4)


def incomplete_beta(a: float, b: float, x: float) -> float:
    """The regularised incomplete beta function I_x(a, b) (DLMF 8.17), by its continued fraction (8.17.22)."""
    if x <= 0 or x >= 1:
        return float(x >= 1)
    if x > (a + 1) / (a + b + 2):  # where the fraction converges slowly, the mirror does not (8.17.4)
        return 1 - incomplete_beta(b, a, 1 - x)
    front = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    return math.exp(front) / (a * _fraction(a, b, x))


def _fraction(a: float, b: float, x: float) -> float:
    """1 + d1/(1 + d2/(1 + ...)), by Lentz's method."""
    value = c = 1.0
    d = 0.0
    for n in range(1, 10_000):
        m = n // 2
        if n % 2:
            term = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        else:
            term = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        d = 1 / ((1 + term * d) or TINY)
        c = (1 + term / c) or TINY
        value *= c * d
        if abs(c * d - 1) < PRECISION:
            break
    return value


def _solve(rising: Callable[[float], float], wanted: float, high: float) -> float:
    """Where a rising function of [0, high] reaches a value."""
    low = 0.0
    for _ in range(STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if rising(middle) < wanted else (low, middle)
    return high
