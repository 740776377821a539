"""Every capture plug-in: its benign examples, its examples damaged in any way, and junk."""

import io
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clew.core import plugins
from clew.observe.captures._carry import read_finding, written
from clew.observe.taken import Account, Example, Finding, Source, Watchlist

PACKAGE = "clew.observe.captures"
SOURCES: dict[str, Source] = plugins.load_all(PACKAGE)
EXAMPLES = [(name, each) for name, source in SOURCES.items() for each in source.examples]
IDS = [f"{name}: {each.name}" for name, each in EXAMPLES]


def read(name: str, example: Example, data: bytes) -> tuple[list[Finding], Account]:
    account = Account()
    return list(SOURCES[name].read(io.BytesIO(data), Watchlist(example.watched), account)), account


def value(found: Finding, name: str) -> Any:
    return getattr(found if name in Finding.__slots__ else found.contact, name)


@pytest.mark.parametrize(("name", "example"), EXAMPLES, ids=IDS)
def test_an_example_says_what_it_should(name: str, example: Example) -> None:
    found, account = read(name, example, example.data)
    assert not account.flaws
    assert len(found) == len(example.expect)
    for each, wanted in zip(found, example.expect, strict=True):
        assert {field: value(each, field) for field in wanted} == wanted


@pytest.mark.parametrize(("name", "example"), EXAMPLES, ids=IDS)
def test_an_example_is_recognised_by_its_plugin_alone(name: str, example: Example) -> None:
    assert [each for each, source in SOURCES.items() if source.recognises(example.data[:4096])] == [name]


@pytest.mark.parametrize(("name", "example"), EXAMPLES, ids=IDS)
def test_a_finding_passes_out_of_the_worker_unchanged(name: str, example: Example) -> None:
    for found in read(name, example, example.data)[0]:
        assert read_finding(written(found), found.transcript, Watchlist(example.watched)) == found


@pytest.mark.parametrize(("name", "example"), EXAMPLES, ids=IDS)
def test_cut_anywhere_it_ends_and_says_nothing_that_the_whole_does_not(name: str, example: Example) -> None:
    whole = {(f.address, f.port, f.source) for f in read(name, example, example.data)[0]}
    for end in range(0, len(example.data), 7):
        found, _ = read(name, example, example.data[:end])
        assert {(f.address, f.port, f.source) for f in found} <= whole


@settings(max_examples=300)
@given(st.data())
def test_damaged_in_any_way_it_ends_and_what_it_says_can_be(data: st.DataObject) -> None:
    name, example = data.draw(st.sampled_from(EXAMPLES))
    damaged = bytearray(example.data)
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(damaged)))
        kind = data.draw(st.sampled_from(("set", "insert", "cut", "repeat")))
        some = data.draw(st.binary(max_size=8))
        if kind == "set":
            damaged[at : at + len(some)] = some
        elif kind == "insert":
            damaged[at:at] = some
        elif kind == "cut":
            del damaged[at : at + data.draw(st.integers(1, 64))]
        else:
            damaged[at:at] = damaged[at : at + 80]
    found, _ = read(name, example, bytes(damaged))
    watchlist = Watchlist(example.watched)
    assert all(read_finding(written(each), each.transcript, watchlist) == each for each in found)


@settings(max_examples=200)
@given(st.sampled_from(sorted(SOURCES)), st.binary(max_size=400))
def test_junk_is_no_finding(name: str, junk: bytes) -> None:
    example = SOURCES[name].examples[0]
    head = example.data[: 24 if name == "pcap" else 28 if name == "pcapng" else 0]
    for data in (junk, head + junk):
        assert read(name, example, data)[0] == []
