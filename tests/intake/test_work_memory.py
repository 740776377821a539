"""How much of a batch lies in memory: Traits are written while it is read, and the facts are the same."""

import io
from dataclasses import replace

import pytest
from PIL import Image

from case_made import new_case
from clew.intake import work
from clew.intake.account import facts_digest
from clew.intake.options import Options
from clew.intake.run import intake
from clew.intake.telling import Telling


@pytest.fixture
def pictures(tmp_path):
    folder = tmp_path / "x"
    folder.mkdir()
    for number in range(6):
        out = io.BytesIO()
        Image.new("RGB", (40 + number // 2, 30)).save(out, "PNG")
        (folder / f"{number}.png").write_bytes(out.getvalue())
    return folder


def take(case, folder, **more):
    options = Options(workers=1, extractors=("clew.intake.extractors.dimensions:PLUGIN",), **more)
    assert intake(case, path=folder, label="X", options=options).complete
    shards = case.read().execute("SELECT count(*) AS n FROM shards WHERE kind='traits'").fetchone()["n"]
    return facts_digest(case), shards


def test_traits_are_written_before_their_batch_is_over(tmp_path, monkeypatch, pictures):
    facts, together = take(new_case(tmp_path / "a"), pictures)
    assert together == 1
    monkeypatch.setattr(work, "MOST_HELD", 0)
    assert take(new_case(tmp_path / "b"), pictures) == (facts, 3)  # of six files, two by two alike


def test_what_was_partial_before_is_not_called_changed(tmp_path, monkeypatch):
    """It was short when it was read, and is whole when it is read again."""
    file = tmp_path / "x" / "f"
    file.parent.mkdir()
    file.write_bytes(b"a" * 100)
    case, options = new_case(tmp_path / "case"), Options(workers=1, extractors=())
    with monkeypatch.context() as short:
        short.setattr(Telling, "listed", lambda *_: file.write_bytes(b"a" * 50))
        assert not intake(case, path=file.parent, label="X", options=options).complete
    file.write_bytes(b"a" * 100)
    assert not intake(case, path=file.parent, label="X", options=replace(options, retry=True)).complete
    (detail,) = (row["detail"] for row in case.read().execute("SELECT detail FROM items"))
    assert detail == work.MORE.detail
