"""The contract of every extractor: its own examples come out as it says, in both modes, and junk is never more than a
Missing. A new file in clew/intake/extractors or clew/intake/artefacts is run here without a line being added.
"""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clew.core import plugins
from clew.intake import reading
from clew.intake.api import EXACT, FAST, Example, Extractor, Probe
from clew.intake.tools import ARTEFACTS, EXTRACTORS

FOUND: dict[str, Extractor] = plugins.load_all(EXTRACTORS) | plugins.load_all(ARTEFACTS)
EXAMPLES = [(name, example) for name, plugin in FOUND.items() for example in plugin.examples()]
FIRST = {name: next(iter(plugin.examples())) for name, plugin in FOUND.items()}
NAMES = [f"{name}-{example.name}" for name, example in EXAMPLES]


def run(extractor: Extractor, data: bytes, media_type: str, mode: str = FAST) -> dict[str, dict]:
    """The rows as the worker would send them."""
    probe = Probe(memoryview(data), len(data), media_type, mode)
    return {row["name"]: row for reply in reading._traits(extractor, probe) for row in reply.value["traits"]}


@pytest.mark.parametrize("name", FOUND)
def test_it_says_who_it_is_and_carries_examples(name: str) -> None:
    plugin = FOUND[name]
    assert plugin.name == name
    assert plugin.version
    assert list(plugin.examples())


@pytest.mark.parametrize("mode", [FAST, EXACT])
@pytest.mark.parametrize(("name", "example"), EXAMPLES, ids=NAMES)
def test_its_examples_come_out(name: str, example: Example, mode: str) -> None:
    plugin = FOUND[name]
    assert plugin.wants(example.media_type)
    rows = run(plugin, example.data, example.media_type, mode)
    for trait, value in example.expect.items():
        assert "missing" not in rows[trait], rows[trait]
        if value is not None:
            assert value in rows[trait].values()


@pytest.mark.parametrize(("name", "example"), EXAMPLES, ids=NAMES)
def test_the_same_bytes_say_the_same_twice(name: str, example: Example) -> None:
    first, second = (run(FOUND[name], example.data, example.media_type) for _ in range(2))
    assert first == second


@pytest.mark.parametrize(("name", "example"), EXAMPLES, ids=NAMES)
def test_cut_and_flipped_examples_cost_no_more_than_themselves(name: str, example: Example) -> None:
    size = len(example.data)
    for cut in (0, 1, size // 3, size - 1):
        run(FOUND[name], example.data[:cut], example.media_type)
    for at in range(0, size, max(1, size // 40)):
        flipped = bytearray(example.data)
        flipped[at] ^= 0xFF
        run(FOUND[name], bytes(flipped), example.media_type)


@pytest.mark.parametrize("name", FOUND)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(junk=st.binary(max_size=400))
def test_junk_is_a_missing(name: str, junk: bytes) -> None:
    example = FIRST[name]
    run(FOUND[name], junk, example.media_type)
    run(FOUND[name], example.data[:24] + junk, example.media_type)


@pytest.mark.parametrize("name", FOUND)
def test_what_was_too_large_to_hold_is_said(name: str) -> None:
    example = next(iter(FOUND[name].examples()))
    replies = reading._traits(FOUND[name], Probe(None, 10**12, example.media_type))
    assert [row for reply in replies for row in reply.value["traits"] if row.get("missing") == "too large"]
