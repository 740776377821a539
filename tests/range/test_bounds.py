"""The bounds, against the binomial sum, against tables, and against how often they cover the truth."""

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clew.range.bounds import clustered, incomplete_beta, student, upper


@pytest.mark.parametrize(("count", "total"), [(0, 245), (2, 245), (0, 10), (5, 5), (0, 0), (7, 12), (40, 900)])
def test_the_bound_of_one_operation(count, total):
    most = upper(count, total)
    if total == 0:
        assert most is None
    elif count == total:
        assert most == 1.0
    else:
        tail = sum(math.comb(total, k) * most**k * (1 - most) ** (total - k) for k in range(count + 1))
        assert tail == pytest.approx(0.05, abs=0.0002)


@given(st.integers(1, 60), st.integers(1, 60), st.floats(0, 1))
def test_the_incomplete_beta_is_a_binomial_tail(a, b, x):
    """DLMF 8.17.5: with whole a and b, I_x(a, b) = P(Binomial(a + b - 1, x) >= a)."""
    n = a + b - 1
    tail = math.fsum(math.comb(n, k) * x**k * (1 - x) ** (n - k) for k in range(a, n + 1))
    assert incomplete_beta(a, b, x) == pytest.approx(tail, abs=1e-9)


@pytest.mark.parametrize(("degrees", "t"), [(1, 6.3138), (4, 2.1318), (19, 1.7291), (30, 1.6973), (1000, 1.6464)])
def test_student(degrees, t):
    """The 95% column of any printed table of Student's t."""
    assert student(0.95, degrees) == pytest.approx(t, abs=5e-5)


def by_hand(counts):
    """Korn and Graubard again, from the definition: jackknife-free, plain sums, the bound from the binomial tail."""
    n, of, k = sum(a for a, _ in counts), sum(b for _, b in counts), len(counts)
    p = n / of
    residuals = [a - p * b for a, b in counts]
    variance = k / (k - 1) * sum(r * r for r in residuals) / of**2
    effect = max(1.0, variance * of / (p * (1 - p)))
    worth = min(of, of / effect * (student(0.95, of - 1) / student(0.95, k - 1)) ** 2)
    low, high = 0.0, 1.0
    x, y = p * worth + 1, worth - p * worth
    for _ in range(60):
        middle = (low + high) / 2
        # P(Beta(x, y) <= middle) by Simpson's rule in the density
        steps = 2000
        grid = [middle * i / steps for i in range(steps + 1)]
        logs = math.lgamma(x + y) - math.lgamma(x) - math.lgamma(y)
        density = [
            math.exp(logs + (x - 1) * math.log(g) + (y - 1) * math.log1p(-g)) if 0 < g < 1 else 0.0 for g in grid
        ]
        weights = [1, *([4, 2] * (steps // 2))[: steps - 1], 1]
        mass = middle / steps / 3 * sum(w * d for w, d in zip(weights, density, strict=True))
        low, high = (middle, high) if mass < 0.95 else (low, middle)
    return effect, high


@pytest.mark.parametrize(
    "counts",
    [
        [(160, 240), (180, 240), (120, 240), (190, 240), (105, 240), (170, 240)],
        [(3, 10), (9, 11), (4, 12), (8, 9), (7, 13)],
        [(50, 100)] * 8,
    ],
)
def test_the_clustered_bound_against_an_independent_computation(counts):
    effect, most = by_hand(counts)
    found = clustered(counts)
    assert found.design_effect == pytest.approx(effect, rel=1e-3)
    assert most > 1 - 0.05 ** (1 / len(counts)), "otherwise this compares nothing"
    assert found.at_most == pytest.approx(most, abs=2e-4)
    assert found.at_most >= found.independent


def test_no_error_in_any_operation_is_counted_by_operations():
    found = clustered([(0, 240)] * 20)
    assert found.at_most == pytest.approx(1 - 0.05 ** (1 / 20), abs=1e-6)
    assert (found.n, found.of, found.operations, found.with_any) == (0, 4800, 20, 0)
    assert found.independent == pytest.approx(1 - 0.05 ** (1 / 4800), abs=1e-6)
    assert clustered([(0, 240)] * 59).at_most < 0.05
    assert clustered([(0, 0)] * 20 + [(0, 240)] * 20).operations == 20


def test_what_cannot_be_estimated():
    assert clustered([]).at_most is None
    assert clustered([(0, 0)]).at_most is None
    assert clustered([(3, 10)]).at_most == 1.0
    assert clustered([(10, 10)] * 20).at_most == 1.0
    assert clustered([(0, 10)]).at_most == pytest.approx(0.95)


@settings(max_examples=60)
@given(
    st.lists(
        st.integers(1, 300).flatmap(lambda of: st.tuples(st.integers(0, of), st.just(of))), min_size=2, max_size=25
    )
)
def test_it_is_never_below_the_rate_nor_below_what_no_error_would_give(counts):
    found = clustered(counts)
    assert found.at_most >= found.n / found.of - 1e-6
    assert found.at_most >= clustered([(0, of) for _, of in counts]).at_most
    assert 0 <= found.at_most <= 1


@pytest.mark.parametrize("hang_together", [False, True])
def test_it_covers_the_truth_as_often_as_it_says(hang_together):
    """150 sets of 20 operations of 50, rate 20%; with `hang_together` the rate itself differs by operation."""
    rng, rate, covered, naively = random.Random(5), 0.2, 0, 0
    for _ in range(150):
        rates = [rng.betavariate(1.0, 4.0) if hang_together else rate for _ in range(20)]
        found = clustered([(sum(rng.random() < r for _ in range(50)), 50) for r in rates])
        covered += found.at_most >= rate
        naively += found.independent >= rate
    assert covered >= 0.9 * 150
    assert (naively < 0.85 * 150) == hang_together, "why the operation is the cluster"
