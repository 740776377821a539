"""A directory for which zeros stand at first: that it was not seen stays said, and once it is listed, what was claimed
of deleted files before is held against what lies in it.
"""

import io
import os
import subprocess
from pathlib import Path

import flaky_image
import pytest
from PIL import Image

from case_made import new_case
from clew.core import shards
from clew.core.case import Case
from clew.intake import run
from clew.intake.options import Options
from clew.intake.report import Report
from clew.intake.run import intake
from clew.intake.walk import UNSEEN
from clew.model import ContentState

SECTOR = 512


@pytest.fixture
def card(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A FAT volume with two deleted files that claim the same cluster, in which lies a whole picture of their size: one
    of them in the directory D, whose sector cannot be read at first.
    """
    image, held = tmp_path / "card.img", tmp_path / "held"
    image.write_bytes(bytes(4 << 20))

    def tool(*words: str | Path) -> None:
        subprocess.run(words, check=True, capture_output=True, env={**os.environ, "MTOOLS_SKIP_CHECK": "1"})

    def put(name: str, data: bytes) -> None:
        held.write_bytes(data)
        tool("mcopy", "-o", "-i", image, held, f"::/{name}")

    tool("/usr/sbin/mkfs.fat", "-F", "12", "-s", "4", image)
    Image.new("RGB", (9, 9)).save(picture := io.BytesIO(), "PNG")
    put("XX.TXT", picture.getvalue())
    put("LONG.BIN", bytes(range(256)) * 2048)
    tool("mmd", "-i", image, "::/D")
    put("D/YY.TXT", b"another")
    put("D/LIVE.TXT", b"live")
    tool("mdel", "-i", image, "::/XX.TXT", "::/D/YY.TXT")
    data = bytearray(image.read_bytes())
    first, second = (data.find(b"\xe5%c      TXT" % letter) for letter in b"XY")
    data[second + 26 : second + 32] = data[first + 26 : first + 32]  # its first cluster and size
    image.write_bytes(data)
    at = second // SECTOR * SECTOR
    flaky_image.spoil(image, (at, at + SECTOR))
    monkeypatch.setattr(run, "choose", lambda _path: flaky_image.Source("open_zeros"))
    return image


def take(case: Case, image: Path, *, retry: bool = False) -> Report:
    return intake(case, path=image, label="D", options=Options(workers=1, extractors=(), retry=retry))


def test_bytes_that_were_not_seen_stay_said_and_are_no_complete_account(tmp_path: Path, card: Path):
    """A run that retries from the beginning: its own worker still holds the zeros."""
    ended = take(new_case(tmp_path / "case"), card, retry=True)
    assert ended.account.notes[UNSEEN] >= SECTOR
    assert not ended.complete


def claimed(case: Case) -> dict[bytes, set[str]]:
    """What is claimed of the contents of deleted files, by path."""
    sql = "SELECT l.path, c.content_state FROM listings l JOIN contents c USING (item) WHERE l.name_state='deleted'"
    found: dict[bytes, set[str]] = {}
    for row in shards.query(case, sql).to_pylist():
        found.setdefault(row["path"], set()).add(row["content_state"])
    return found


def test_second_count_and_claims_are_made_anew_with_the_walk(tmp_path: Path, card: Path):
    case = new_case(tmp_path / "case")
    before = take(case, card)
    assert [each.theirs for each in before.account.recounts] == [1]
    assert (claimed(case), before.doubted) == ({b"_X.TXT": {ContentState.COMPLETE}}, 0)
    flaky_image.mend(card)
    again = take(case, card, retry=True)
    assert [(each.theirs, each.said) for each in again.account.recounts] == [(2, "they agree")]
    assert again.complete, again.words()
    assert claimed(case)[b"D/_Y.TXT"] == {ContentState.OVERWRITTEN_POSSIBLE}
    assert ContentState.OVERWRITTEN_POSSIBLE in claimed(case)[b"_X.TXT"]
    assert again.doubted == 2
