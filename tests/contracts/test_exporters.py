"""Every exporter, on its own benign examples and on junk: pure, deterministic, honest, and readable by others."""

import json
import re
from dataclasses import replace
from pathlib import PurePosixPath

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clew.core import plugins
from clew.share.api import STATEMENT, Exporter, LeadPart, Package, SightingPart, WatchPart
from clew.share.examples import package
from clew.share.sweep import RUN

PACKAGE = "clew.share.exporters"
NAMES = plugins.names(PACKAGE)
CASES = [(name, number) for name in NAMES for number in range(len(plugins.load(PACKAGE, name).examples))]


def exported(exporter: Exporter, given: Package) -> bytes:
    return b"".join(exporter.export(given))


@pytest.mark.parametrize(("name", "number"), CASES)
def test_the_same_package_gives_the_same_bytes(name: str, number: int) -> None:
    exporter = plugins.load(PACKAGE, name)
    first, second = exported(exporter, exporter.examples[number]), exported(exporter, exporter.examples[number])
    assert first == second


@pytest.mark.parametrize("name", NAMES)
def test_a_file_of_its_own_inside_the_payload(name: str) -> None:
    exporter = plugins.load(PACKAGE, name)
    path = PurePosixPath(exporter.filename)
    assert exporter.name == name
    assert not path.is_absolute()
    assert ".." not in path.parts
    assert re.fullmatch("[a-z0-9./-]+", exporter.filename)
    others = [plugins.load(PACKAGE, other).filename for other in NAMES if other != name]
    assert exporter.filename not in [*others, "annex.age"]
    assert not exporter.filename.startswith("ledger/")


@pytest.mark.parametrize("name", NAMES)
def test_examples_are_there_and_hold_nothing_real(name: str) -> None:
    exporter = plugins.load(PACKAGE, name)
    assert exporter.examples
    for example in exporter.examples:
        assert all(s.address.startswith(("192.0.2.", "2001:db8:")) for s in example.sightings)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=25, deadline=None)
@given(text=st.text(st.characters(exclude_categories=["Cs"]), max_size=60))
def test_text_that_somebody_else_wrote_breaks_nothing(name: str, text: str) -> None:
    """Caveats, names and clients come from files and peers: whatever they hold, the file stays what it is."""
    exporter = plugins.load(PACKAGE, name)
    data = exported(exporter, written_by_others(text)).decode("utf-8")
    if exporter.filename.endswith((".json", ".jsonld")):
        json.loads(data)
    elif exporter.filename.endswith(".jsonl"):
        lines = [json.loads(line) for line in data.removesuffix("\n").split("\n")]
        assert {line["why" if name == "taken_back" else "client"] for line in lines} == {text}
    else:
        tags = re.compile(r"<[a-zA-Z!/][^>]*>")
        assert tags.findall(data) == tags.findall(exported(exporter, written_by_others("x")).decode()), "became markup"


def written_by_others(text: str) -> Package:
    plain = package()
    lead = replace(plain.leads[0], caveats=(text,), against=(text,), lookups=(text,), reasons=(text,))
    return replace(
        plain,
        operation=text,
        leads=(lead, *plain.leads[1:]),
        taken_back=tuple(replace(each, why=text) for each in plain.taken_back),
        sightings=tuple(replace(s, client=text) for s in plain.sightings),
        sender=replace(plain.sender, name=text),
    )


@pytest.mark.parametrize("name", NAMES)
def test_an_infohash_is_never_asked_for(name: str) -> None:
    """A Package has no place for one: no field of it, and so no exporter, can hold an infohash."""
    assert not [f for part in (Package, SightingPart, WatchPart, LeadPart) for f in part.__slots__ if "infohash" in f]
    words = {w for w in RUN.findall(exported(plugins.load(PACKAGE, name), package()).lower()) if len(w) == 40}
    assert words <= {known.sha1.hex().encode() for known in package().known}


def test_what_concerns_leads_says_what_they_are_not() -> None:
    for name in ("case_uco", "html_summary"):
        text = exported(plugins.load(PACKAGE, name), package()).decode()
        assert STATEMENT in text
        assert "UNVALIDATED BUILD" in text
