"""How much of a batch lies in memory: Traits are written while it is read, and the facts are the same."""

import io

import pytest
from PIL import Image

from case_made import new_case
from clew.intake import work
from clew.intake.account import facts_digest
from clew.intake.options import Options
from clew.intake.run import intake


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
