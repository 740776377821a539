"""The pass that asks exiftool: only about maker notes that our reader does not know; its absence is said."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import tiffs
from cases import sha256, traits
from PIL import Image
from tiffs import ASCII, LONG, UNDEFINED, Block, Ifd

from case_made import new_case
from clew.core import external
from clew.core.case import Case
from clew.intake import exiftool
from clew.intake.custody import find
from clew.intake.options import Options
from clew.intake.run import intake
from clew.intake.story import story
from clew.intake.tools import extractors

OPTIONS = Options(workers=1)


def olympus(serial: str = "E42", tag: int = 0x0404) -> bytes:
    """An old Olympus note: a heading of eight bytes, a directory, and a serial number that fits into its field."""
    note = Block("<", header=False)
    note.out += b"OLYMP\x00\x01\x00"
    note.add(Ifd({tag: (ASCII, serial)}))
    block = Ifd(
        {0x010F: (ASCII, "OLYMPUS OPTICAL CO.,LTD"), 0x8769: (LONG, Ifd({0x927C: (UNDEFINED, bytes(note.out))}))}
    )
    return tiffs.jpeg(Image.new("L", (64, 48), 90), tiffs.tiff(block))


@pytest.fixture
def taken(tmp_path: Path) -> Case:
    root = tmp_path / "evidence"
    root.mkdir()
    (root / "noted.jpg").write_bytes(olympus())
    (root / "plain.jpg").write_bytes(tiffs.jpeg(Image.new("L", (64, 48), 20)))
    case = new_case(tmp_path / "case")
    intake(case, path=root, label="P", options=Options(workers=1, extractors=extractors()))
    return case


def test_it_is_asked_about_unknown_maker_notes_alone(taken: Case) -> None:
    noted = sha256(olympus())
    assert exiftool.wanted(taken) == [noted]
    told = exiftool.ask(taken, OPTIONS)
    assert (told.looked.done, told.looked.failed) == (1, {})
    found = traits(taken, noted)["exiftool.SerialNumber", "fast"]
    assert found["text"] == "E42"
    assert "exiftool 1" in found["version"]
    assert all(layer["reached"] for layer in told.isolation["exiftool"].values())
    (row,) = taken.read().execute("SELECT isolation FROM intake_looks").fetchall()
    recorded = json.loads(row["isolation"])
    assert set(recorded) == {"workers", "exiftool"}
    assert recorded["exiftool"] == told.isolation["exiftool"]
    sql = "SELECT id FROM exhibits"
    words = " ".join(each.said for each in story(taken, taken.read().execute(sql).fetchone()["id"]))
    assert f"In it exiftool was isolated by all {len(recorded['exiftool'])} layers." in words
    assert exiftool.wanted(taken) == []


def test_a_number_that_is_cut_says_so() -> None:
    first, second = exiftool._columns("exiftool.OwnerName", "a" * 5_000)
    assert first == {"name": "exiftool.OwnerName", "text": "a" * 4_096}
    assert (second["name"], second["missing"]) == ("exiftool.OwnerName.cut", "limit reached")
    assert len(list(exiftool._columns("exiftool.OwnerName", "a" * 4_096))) == 1


def test_where_it_is_not_installed_the_difference_is_said(taken: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(external, "installed", lambda _name: None)
    told = exiftool.ask(taken, OPTIONS)
    assert told.looked.asked == 0
    (said,) = exiftool.not_asked(taken, find(taken, "P").id)
    assert exiftool.not_asked(taken, "another") == []
    assert said.startswith("exiftool is not installed: 1 pictures have a maker note")


def test_an_apple_note_that_is_read_by_now_is_not_asked_about(taken: Case, put: Callable[..., None]) -> None:
    """An earlier version of our reader had left it to exiftool."""
    noted = {"content": bytes(32), "extractor": "exif", "mode": "fast"}
    put(taken, "traits", [noted | {"version": "3", "name": "makernote", "missing": "unknown"}], "intake")
    assert bytes(32) in exiftool.wanted(taken)
    put(taken, "traits", [noted | {"version": "4", "name": "note.version", "integer": 14}], "intake")
    assert exiftool.wanted(taken) == [sha256(olympus())]
