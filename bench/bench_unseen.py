"""How many peers were not seen? Whether any estimate keeps its promise: 95% intervals against known truth.

The rule: clew prints an estimate of the unseen only if, over at least 100 operations with dependent sources, its 95%
interval covers the truth at least 90% of the time. Here are N operations as an observer meets them (trackers, DHT,
PEX), the standard estimators of capture-recapture, and how often each interval holds the number of peers that no
source listed. An operation is who is listed where; nothing is connected. In `dependent` ones how long a peer stays and
its settings act on all lists, and PEX tells of whom the others told; in `mild` ones the same at a quarter of the
strength; `independent` ones check the estimators: there those that suppose no more must reach what they promise.

Estimators, for the three lists tracker, DHT, PEX:
  chapman tracker/DHT   Chapman (1951), two lists, with the variance of Seber (1982), section 3.1
  chapman tracker/PEX   the same for the other pair
  chao2                 Chao (1987), from those listed once and twice; supposes lists of equal reach
  log-linear 1          lists independent: Fienberg (1972), fitted by maximum likelihood
  log-linear 2          every pair may depend, not all three: closed form of Fienberg (1972)
  chosen by AIC         log-linear 1, the three models with one dependent pair, or log-linear 2, by Akaike's criterion
"""

import argparse
import json
import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table

LEAST_OPERATIONS, LEAST_COVERED = 100, 0.90
Z = 1.959964  # the 97.5% quantile of the normal distribution
Lists = npt.NDArray[np.bool_]  # one row a peer, columns tracker, DHT, PEX
Interval = tuple[float, float]


@dataclass(frozen=True)
class Kept:
    """How one estimator did over all operations of one kind. `width` is the median width over the truth."""

    operations: str
    estimator: str
    covered: int
    of: int
    share: float
    too_low: int
    too_high: int
    failed: int
    width: float
    passes: bool
    command: str


def dependent(rng: np.random.Generator, strength: float = 1.0) -> Lists:
    """One operation: what lists a peer depends on how long it stays, on its settings, and on who else is listed.

    At `strength` 0 every peer is alike and every list by itself; 1 is what swarms are like.
    """
    peers = int(rng.integers(200, 5_000))
    shape = rng.uniform(0.4, 1.5) / strength**2  # some come for minutes, some for days: that lifts every list
    stays = rng.gamma(shape, 1 / shape, peers)
    slower = 1 - strength * rng.uniform(0, 0.5) * (rng.random(peers) < rng.uniform(0.3, 0.7))  # behind NAT
    trackerless = rng.random(peers) < strength * rng.uniform(0.05, 0.3)  # added without trackers: DHT and PEX alone
    without_dht = rng.random(peers) < strength * rng.uniform(0.1, 0.4)  # a client's setting; in some it ends PEX too
    without_pex = without_dht & (rng.random(peers) < rng.uniform(0.3, 0.8))
    tracker = _heard(rng, stays * rng.uniform(0.5, 3.0)) & ~trackerless
    dht = _heard(rng, stays * slower * rng.uniform(0.5, 3.0)) & ~without_dht
    met = 1 - strength * rng.uniform(0.5, 0.9) * ~(
        tracker | dht
    )  # PEX is told by peers, of whom they met by the others
    pex = _heard(rng, stays * slower * met * rng.uniform(0.5, 3.0)) & ~without_pex
    return np.stack([tracker, dht, pex], axis=1)


def mild(rng: np.random.Generator) -> Lists:
    """The same at a quarter of the strength."""
    return dependent(rng, 0.25)


def independent(rng: np.random.Generator) -> Lists:
    """Every peer alike, every list by itself: what the estimators suppose."""
    return rng.random((int(rng.integers(200, 5_000)), 3)) < rng.uniform(0.3, 0.8, 3)


def _heard(rng: np.random.Generator, rate: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Whether a peer that is listed at this rate was listed at least once."""
    return rng.random(len(rate)) < 1 - np.exp(-rate)


def chapman(first: int, second: int) -> Callable[[Lists], Interval]:
    def estimate(lists: Lists) -> Interval:
        n, m = int(lists[:, first].sum()), int(lists[:, second].sum())
        both, seen = int((lists[:, first] & lists[:, second]).sum()), int(lists.any(axis=1).sum())
        of_both = int((lists[:, first] | lists[:, second]).sum())
        total = (n + 1) * (m + 1) / (both + 1) - 1
        variance = (n + 1) * (m + 1) * (n - both) * (m - both) / ((both + 1) ** 2 * (both + 2))
        low, high = _interval(total - of_both, variance)
        return max(0.0, low - (seen - of_both)), max(0.0, high - (seen - of_both))

    return estimate


def chao2(lists: Lists) -> Interval:
    times = lists.sum(axis=1)
    once, twice = int((times == 1).sum()), int((times == 2).sum())
    if not twice:
        raise ArithmeticError("nobody was listed twice")
    ratio, lists_share = once / twice, 2 / 3  # (lists - 1) / lists, the form for counts of lists
    variance = twice * (lists_share * ratio**2 / 2 + lists_share**2 * ratio**3 + lists_share**2 * ratio**4 / 4)
    return _interval(lists_share * once * ratio / 2, variance)


def log_linear(*pairs: tuple[int, int]) -> Callable[[Lists], Interval]:
    """The model in which these pairs of lists depend; a pair is two columns."""

    def estimate(lists: Lists) -> Interval:
        unseen, variance, _ = _fit(_cells(lists), pairs)
        return _interval(unseen, variance)

    return estimate


def by_aic(lists: Lists) -> Interval:
    models = [(), ((0, 1),), ((0, 2),), ((1, 2),), ((0, 1), (0, 2), (1, 2))]
    unseen, variance, _ = min((_fit(_cells(lists), pairs) for pairs in models), key=lambda fit: fit[2])
    return _interval(unseen, variance)


PATTERNS = np.array([[a, b, c] for a in (0, 1) for b in (0, 1) for c in (0, 1)][1:], dtype=np.float64)


def _cells(lists: Lists) -> npt.NDArray[np.float64]:
    """How many peers are on exactly these lists, for each of PATTERNS."""
    return np.bincount(lists @ np.array([4, 2, 1]), minlength=8)[1:].astype(np.float64)


def _fit(cells: npt.NDArray[np.float64], pairs: tuple[tuple[int, int], ...]) -> tuple[float, float, float]:
    """The unseen, its variance and Akaike's criterion, by Newton's method for a Poisson model with a logarithmic link.

    The unseen cell is exp(intercept): its variance is that of the intercept times its square (delta method), and that
    of a Poisson count, since a number of peers is asked for and not its expectation.
    """
    design = np.column_stack([np.ones(7), PATTERNS, *(PATTERNS[:, a] * PATTERNS[:, b] for a, b in pairs)])
    fitted = cells + 0.5
    for _ in range(30):
        eta = np.log(fitted)
        weighted = design.T * fitted
        beta = np.linalg.solve(weighted @ design, weighted @ (eta + (cells - fitted) / fitted))
        fitted = np.exp(np.clip(design @ beta, -20, 20))
    information = (design.T * fitted) @ design
    variance = np.linalg.inv(information)[0, 0]
    likelihood = float((cells * np.log(fitted) - fitted).sum())
    unseen = math.exp(min(float(beta[0]), 20.0))
    return unseen, unseen**2 * float(variance) + unseen, 2 * design.shape[1] - 2 * likelihood


def _interval(unseen: float, variance: float) -> Interval:
    """The 95% interval of a number that cannot be negative: lognormal, as Chao (1987) has it."""
    if unseen <= 0:
        return 0.0, Z * math.sqrt(max(variance, 0.0))
    factor = math.exp(Z * math.sqrt(math.log1p(max(variance, 0.0) / unseen**2)))
    return unseen / factor, unseen * factor


ESTIMATORS: dict[str, Callable[[Lists], Interval]] = {
    "chapman tracker/DHT": chapman(0, 1),
    "chapman tracker/PEX": chapman(0, 2),
    "chao2": chao2,
    "log-linear 1": log_linear(),
    "log-linear 2": log_linear((0, 1), (0, 2), (1, 2)),
    "chosen by AIC": by_aic,
}
KINDS: dict[str, Callable[[np.random.Generator], Lists]] = {
    "independent": independent,
    "mild": mild,
    "dependent": dependent,
}


def measure(operations: int, seed: int) -> Iterator[Kept]:
    command = f"python bench/bench_unseen.py --operations {operations} --seed {seed}"
    for number, (kind, play) in enumerate(KINDS.items()):
        rngs = [np.random.default_rng((seed, number, each)) for each in range(operations)]
        played = [play(rng) for rng in rngs]
        for name, estimate in ESTIMATORS.items():
            yield _kept(kind, name, estimate, played, command)


def _kept(kind: str, name: str, estimate: Callable[[Lists], Interval], played: list[Lists], command: str) -> Kept:
    covered = low = high = failed = 0
    widths = []
    for lists in played:
        truth = int((~lists.any(axis=1)).sum())
        try:
            bottom, top = estimate(lists)
        except (ArithmeticError, np.linalg.LinAlgError):
            failed += 1
            continue
        covered += bottom <= truth <= top
        low += top < truth
        high += bottom > truth
        widths.append((top - bottom) / max(truth, 1))
    share = covered / len(played)
    passes = len(played) >= LEAST_OPERATIONS and share >= LEAST_COVERED
    width = float(np.median(widths)) if widths else math.nan
    return Kept(kind, name, covered, len(played), round(share, 3), low, high, failed, round(width, 2), passes, command)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--operations", type=int, default=400, help="of each kind")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="one JSON object an estimator instead of a table")
    options = parser.parse_args()
    kept = list(measure(options.operations, options.seed))
    if options.json:
        for each in kept:
            print(json.dumps(asdict(each)))
        return
    table = Table(title=f"95% intervals that held the truth, {options.operations} operations of each kind")
    for column in ("operations", "estimator", "covered", "of", "share", "too low", "too high", "width/truth", "passes"):
        table.add_column(column, justify="left" if column in ("operations", "estimator") else "right")
    for each in kept:
        counts = (each.covered, each.of, f"{each.share:.3f}", each.too_low, each.too_high, each.width)
        table.add_row(each.operations, each.estimator, *map(str, counts), "yes" if each.passes else "no")
    Console(width=110).print(table)
    print(*dict.fromkeys(each.command for each in kept), sep="\n")


if __name__ == "__main__":
    main()
