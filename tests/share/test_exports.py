"""Exports against readers of another hand: case_validate, the VICS reader of `match`, an HTML parser."""

import base64
import hashlib
import io
import json
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from share_world import World

from clew.core import clock, plugins
from clew.core import coverage as covered
from clew.model import HashSetKind
from clew.share import coverage
from clew.share.api import UNVALIDATED, Package
from clew.share.examples import empty, package
from clew.share.exporters.vics import context

SHAPES = str(resources.files("clew.share.exporters") / "clew-shapes.ttl")
Graph = list[dict[str, Any]]


def exported(name: str, given: Package) -> bytes:
    return b"".join(plugins.load("clew.share.exporters", name).export(given))


def validated(folder: Path, given: Package, change: Callable[[Graph], None] = lambda graph: None) -> tuple[int, str]:
    """What case_validate says of it, with clew's own shapes beside CASE 1.5."""
    body = json.loads(exported("case_uco", given))
    change(body["@graph"])
    path = folder / "leads.jsonld"
    path.write_text(json.dumps(body))
    command = [str(Path(sys.executable).parent / "case_validate"), "--built-version", "case-1.5.0"]
    done = subprocess.run(
        [*command, "--ontology-graph", SHAPES, str(path)], capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("given", [package(), empty()])
def test_case_validate_accepts_ours(tmp_path: Path, given: Package) -> None:
    status, said = validated(tmp_path, given)
    assert status == 0, said
    assert "Conforms: True" in said


def lead_of(graph: Graph) -> dict[str, Any]:
    return next(node for node in graph if "clew:Lead" in node["@type"])


def contact_of(graph: Graph) -> dict[str, Any]:
    return next(node for node in graph if "clew:Sighting" in node["@type"])


def test_a_lead_that_leaves_something_out_does_not_conform(tmp_path: Path) -> None:
    def change(graph: Graph) -> None:
        lead_of(graph)["uco-core:description"] = ["without the statement"]
        contact_of(graph).update({"clew:tier": "E0", "uco-action:startTime": "yesterday"})

    status, said = validated(tmp_path, package(), change)
    assert status != 0
    for path in ("core:description", "clew:tier", "action:startTime"):  # each by itself
        assert re.search(rf"Result Path: {path}$", said, re.MULTILINE), said


def test_what_is_taken_back_is_said_of_the_lead_that_left() -> None:
    """By the ids that the earlier Bundle has for itself and for the Lead; who has not read that meets no Lead by it."""
    (back,) = package().taken_back
    (copy,) = back.copies
    graph = json.loads(exported("case_uco", package()))["@graph"]
    (note,) = [node for node in graph if "clew:TakenBack" in node["@type"]]
    assert {"@id": note["@id"]} in graph[0]["uco-core:object"]
    gone = replace(package().leads[0], id=back.lead)
    before = json.loads(exported("case_uco", replace(package(), bundle=copy.bundle, leads=(gone,), taken_back=())))
    assert note["clew:leftIn"] == [{"@id": before["@graph"][0]["@id"]}]
    assert note["uco-core:object"] == [{"@id": lead_of(before["@graph"])["@id"]}]
    assert note["uco-core:statement"] == [f"taken back: {back.why}"]
    assert note["clew:doesNotStand"][0].startswith("192.0.2.9 port 51413 (tcp), ")
    (named,) = [node for node in graph if {"@id": node["@id"]} in note["uco-core:object"]]
    assert named["@type"] == "uco-core:UcoObject"
    there = replace(package(), taken_back=(replace(back, lead=package().leads[0].id),))
    ids = [node["@id"] for node in json.loads(exported("case_uco", there))["@graph"]]
    assert len(ids) == len(set(ids))


def test_ids_are_of_the_case_and_the_fact() -> None:
    """The same lead has the same id in every bundle of a case, and another one in another case."""
    first = lead_of(json.loads(exported("case_uco", package()))["@graph"])["@id"]
    later = lead_of(json.loads(exported("case_uco", replace(package(), bundle="d" * 32, created_ns=1)))["@graph"])[
        "@id"
    ]
    other = lead_of(json.loads(exported("case_uco", replace(package(), case="d" * 32)))["@graph"])["@id"]
    assert first == later != other


def test_an_unmeasured_clock_is_said_and_no_question_to_a_provider_is_printed() -> None:
    plain = package()
    unmeasured = tuple(replace(s, clock_offset_ns=None, clock_error_ns=None) for s in plain.sightings)
    contact = contact_of(json.loads(exported("case_uco", replace(plain, sightings=unmeasured)))["@graph"])
    assert contact["clew:clockQuality"] == "unmeasured"
    assert "clew:clockErrorNs" not in contact
    asked, not_asked = exported("html_summary", plain), exported("html_summary", replace(plain, sightings=unmeasured))
    assert b"Who used the address" in asked
    assert b"Who used the address" not in not_asked
    assert b"was not measured for 4 of 4" in not_asked


def test_one_contact_by_an_unmeasured_clock_takes_no_question_to_a_provider_away() -> None:
    plain = package()
    asked = exported("html_summary", plain)
    *others, last = sorted(plain.sightings, key=lambda s: (s.started_ns, s.id))
    mixed = replace(plain, sightings=(*others, replace(last, clock_error_ns=None)))
    told = exported("html_summary", mixed)
    assert told.count(b"Who used the address") == asked.count(b"Who used the address") > 0
    assert clock.iso(last.started_ns)[:23].replace("T", " ").encode() + b" UTC (our clock" not in told


@pytest.mark.parametrize(("transport", "told"), [("mse-rc4/tcp", "TCP"), ("mse-rc4/utp", "UDP"), ("utp", "UDP")])
def test_a_provider_is_asked_by_the_protocol_that_its_records_name(transport: str, told: str) -> None:
    plain = package()
    given = replace(plain, sightings=tuple(replace(s, transport=transport) for s in plain.sightings))
    assert f", port 51413 ({told}), on ".encode() in exported("html_summary", given)


def test_how_wrong_the_clock_was_at_most_counts_the_offset_and_is_rounded_up() -> None:
    plain = package()
    off = tuple(replace(s, clock_offset_ns=-7_000_001, clock_error_ns=2_000_000) for s in plain.sightings)
    assert b"wrong by at most 9.001 milliseconds" in exported("html_summary", replace(plain, sightings=off))
    half = tuple(replace(s, clock_offset_ns=None) for s in plain.sightings)
    assert b"was not measured for 4 of 4" in exported("html_summary", replace(plain, sightings=half))


def test_a_category_is_never_translated() -> None:
    plain = package()
    uk = tuple(replace(k, category=replace(k.category, country="GB")) for k in plain.known)
    mixed = (plain.known[0], uk[1])
    training = tuple(
        replace(k, category=replace(k.category, country="ZZ", version="1", code="A1")) for k in plain.known
    )
    assert "/US/" in context(plain)
    assert "/UK/" in context(replace(plain, known=uk))
    assert "/CUSTOM/" in context(replace(plain, known=mixed))
    assert "/CUSTOM/" in context(replace(plain, known=training))
    values = json.loads(exported("vics", replace(plain, known=training)))["value"]
    assert [v["Category"] for v in values] == ["A1", "A1"]
    assert "country ZZ, version 1" in values[0]["Comments"]


def test_our_reader_of_hash_sets_takes_what_we_write() -> None:
    """The reader of `match` is written by another hand: it must find each hash under its category."""
    reader = plugins.load("clew.match.readers", "vics")
    entries = list(reader.read(io.BytesIO(exported("vics", package())), HashSetKind.ALERT))
    assert {e.hashes["md5"] for e in entries} == {k.md5 for k in package().known}
    assert {e.category.code for e in entries} == {"1"}


class Page(HTMLParser):
    """Tags, and everything that could load or run something."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.loads: list[tuple[str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.loads += [(n, v) for n, v in attrs if n in ("src", "href", "action", "style") or n.startswith("on")]


def test_the_summary_loads_and_runs_nothing() -> None:
    text = exported("html_summary", package()).decode()
    page = Page()
    page.feed(text)
    assert page.loads == []
    assert not {"script", "iframe", "img", "link", "form", "object"} & set(page.tags)
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', text)[1]
    style = re.search(r"<style>(.*?)</style>", text, flags=re.S)[1]
    allowed = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert policy == f"default-src 'none'; style-src 'sha256-{allowed}'; base-uri 'none'; form-action 'none'"


def test_what_was_not_covered_comes_from_the_case(world: World) -> None:
    hour, said = 3_600 * 10**9, json.dumps({"not_covered": "uTP is not asked.", "downtime_seconds": 7200})
    with world.case.write("observe") as tx:
        for n, (start, end) in enumerate(((0, 5), (7, None), (12, 13)), 1):
            run = (f"r{n}", start * hour, end and end * hour, '{"quiet_hours": [22, 6]}', "Vienna", world.mandate, said)
            tx.execute("INSERT INTO observe_runs VALUES (?,?,?,?,?,?,?,'',0,?)", (*run, n))
        dial = ("d", "r2", 1, "w", "192.0.2.9", 1, "contact", "tcp", 9 * hour, "interrupted", None, None)
        tx.execute("INSERT INTO dials VALUES (?,?,?,?,?,?,?,?,?,?,?,?)", dial)
        for start, end, why in ((1, 2, "this machine had no network"), (3, 4, "the clock was set 3600.000 s forward")):
            tx.execute("INSERT INTO observe_gaps VALUES (?,?,?,?)", ("r1", start * hour, end * hour, why))
        for number, tier in enumerate(("E0", "E0", "E2")):
            sql = "INSERT INTO endpoints (watch, address, port, first_listed_ns, last_listed_ns, source, tier)"
            tx.execute(f"{sql} VALUES ('w', '192.0.2.9', ?, 1, 1, 'tracker', ?)", (number, tier))
    with world.case.write("intake") as tx:
        tx.execute("INSERT INTO items VALUES (?,?,?,?,?,?,?,?)", ("i", "e", "b", "unreadable", "encrypted", "", 1, 0))
    lines = coverage.not_covered(world.case, {"W-17"})
    assert set(covered.read(world.case).sentences({"W-17"})) < set(lines), "all that stands beside each lead"
    text = "\n".join(lines)
    for told in (
        "seen from: ", "quiet hours in which nobody was called: 22:00 to 06:00 UTC", "no estimate",
        "gap 1: nobody watched from 1970-01-01T01:00:00.000Z to 1970-01-01T02:00:00.000Z (1.00 h)",
        "gap 2: nobody watched from 1970-01-01T05:00:00.000Z to 1970-01-01T07:00:00.000Z (2.00 h)",
        "gap 3: nobody watched from 1970-01-01T09:00:00.000Z to 1970-01-01T12:00:00.000Z (3.00 h)",
        "(1.00 h): this machine had no network", "(3.00 h): no run was under way",
        "the clock was set 3600.000 s forward while a run went on: ", "listed by: tracker", "contacts over: ",
        "1 of 3 listed addresses with port (33.3%) could be contacted", "who was only listed is hearsay",
    ):  # fmt: skip
        assert told in text, told
    assert "gap 4" not in text
    assert lines.count("uTP is not asked.") == 1
    assert "Files of the seized exhibits that are unreadable (encrypted): 1." in lines


@pytest.mark.parametrize(("validated_build", "mark"), [(False, UNVALIDATED), (True, "")])
def test_the_mark_stands_where_the_build_has_no_error_rates_of_its_own(
    monkeypatch: pytest.MonkeyPatch, validated_build: bool, mark: str
) -> None:
    monkeypatch.setattr(coverage.validated, "is_validated", lambda: validated_build)
    assert coverage.build_mark() == mark
