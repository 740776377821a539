"""Every ranking rule: its own examples hold, it says the same twice, and what a person calls urgent comes first."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clew.attribute.api import Graded, Known
from clew.core import plugins

PACKAGE = "clew.attribute.ranks"
NAMES = plugins.names(PACKAGE)
COUNTS = st.integers(0, 1 << 20)
GRADED = st.builds(Graded, st.text(max_size=9), st.text(max_size=9), st.text(max_size=9), st.none() | st.floats(0, 10))
KNOWN = st.builds(
    Known, COUNTS, COUNTS, COUNTS, st.floats(0, 1e5), st.booleans(), st.lists(GRADED, max_size=4).map(tuple)
)


def score(rule, known):
    return sum(each.points for each in rule.features(known))


@pytest.mark.parametrize("name", NAMES)
def test_its_examples_hold(name):
    rule = plugins.load(PACKAGE, name)
    assert rule.name == name
    assert rule.what
    assert rule.version
    assert rule.examples
    for known, expected in rule.examples:
        assert score(rule, known) == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize("name", NAMES)
@given(known=KNOWN)
def test_it_says_the_same_twice_and_says_it_in_full(name, known):
    rule = plugins.load(PACKAGE, name)
    features = rule.features(known)
    assert features == rule.features(replace(known))
    assert len({each.name for each in features}) == len(features)
    for each in features:
        assert each.says
        assert each.how
        assert math.isfinite(each.points)
        assert each.points == pytest.approx(each.weight * each.measure, abs=0.01)


@pytest.mark.parametrize("name", NAMES)
@given(one=KNOWN, other=KNOWN)
def test_urgent_comes_before_all_that_is_not(name, one, other):
    rule = plugins.load(PACKAGE, name)
    assert score(rule, replace(one, urgent=("a reason",))) > score(rule, other)
    assert any("a reason" in each.says for each in rule.features(replace(one, urgent=("a reason",))))
