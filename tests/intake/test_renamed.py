"""Directories of FAT that an earlier version listed by names that are not their files' own are listed again by the next
run: nothing doubled, and what had another name is taken back.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from cases import sha256
from recovery import tool

from case_made import new_case
from clew.core import shards
from clew.core.case import Case
from clew.core.places import OWN_NAME_SINCE
from clew.intake.api import Found, Part
from clew.intake.options import Options
from clew.intake.relist import NAMES
from clew.intake.report import Report
from clew.intake.run import intake
from clew.intake.sources import _listed, _said
from clew.intake.sources.rawdisk import PLUGIN
from clew.intake.story import story

LONG, CUT = "c" * 200 + "_one.jpg", "c" * 195
ONCE = Options(workers=1, extractors=())


def taken(case: Case, image: Path) -> Report:
    return intake(case, path=image, label="D", workers=1, options=ONCE)


def as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names of more than 195 letters were cut."""
    own, parts = _said.stretch, _listed.parts

    def stretch(answer: object) -> object:
        heard = own(answer)
        events = [
            each._replace(path=each.path.replace(LONG.encode(), CUT.encode()), ref=each.ref.replace(LONG, CUT))
            if isinstance(each, Found)
            else each
            for each in heard.events
        ]
        return replace(heard, events=events)

    def unmarked(*given: object, **more: object) -> Iterator[Part]:
        for part in parts(*given, **more):
            yield replace(part, detail={key: value for key, value in part.detail.items() if key != NAMES})

    monkeypatch.setattr(_said, "stretch", stretch)
    monkeypatch.setattr(_listed, "parts", unmarked)
    monkeypatch.setattr(PLUGIN, "version", "6")


def test_names_of_an_earlier_version(tmp_path, monkeypatch):
    image, case = tmp_path / "card.img", new_case(tmp_path / "case")
    image.write_bytes(bytes(8 << 20))
    tool("mkfs.fat", "-F", "16", "-s", "1", image)
    for name in (LONG, "SHORT.TXT", "gone.txt"):
        (tmp_path / name).write_text(name)
        tool("mcopy", "-i", image, tmp_path / name, "::/")
    tool("mdel", "-i", image, "::/gone.txt")
    with monkeypatch.context() as before:
        as_before(before)
        taken(case, image)
    assert {row["path"] for row in listed(case)} == {CUT.encode(), b"SHORT.TXT", b"_one.txt"}
    for _ in range(2):
        summary = taken(case, image)
        rows = {row["path"]: row["item"] for row in listed(case)}
        assert rows.keys() == {CUT.encode(), LONG.encode(), b"SHORT.TXT", b"_one.txt"}
        sql = "SELECT id, state, detail FROM items"
        states = {row["id"]: (row["state"], row["detail"]) for row in case.read().execute(sql)}
        assert states[rows[CUT.encode()]] == ("skipped", OWN_NAME_SINCE)
        assert [states[rows[path]][0] for path in (LONG.encode(), b"SHORT.TXT")] == ["done", "done"]
        assert sorted(state for state, _ in states.values()) == ["done", "done", "done", "skipped"]
        assert "they agree" in summary.words()
    contents = shards.query(case, "SELECT item, sha256 FROM contents").to_pylist()
    assert {row["sha256"] for row in contents if row["item"] == rows[LONG.encode()]} == {sha256(LONG.encode())}
    told = "\n".join(event.said for event in story(case, summary.exhibit))
    assert told.count("may have misread names") == 1


def listed(case: Case) -> list[dict]:
    return shards.query(case, "SELECT item, path FROM listings").to_pylist()
