"""What was read but is partial, may hold bytes of another or reads as erased is counted, and all of it is named."""

import hashlib
import io
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from exfat_image import File, make
from PIL import Image

from case_made import new_case
from clew.cli.main import cli
from clew.core.case import Case
from clew.core.places import NAMED_SINCE
from clew.intake import doubtful
from clew.intake.report import report
from clew.intake.run import intake
from clew.intake.work import ERASED, UNVOUCHED
from facts_case import put

CLUSTER = 4096


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return new_case(tmp_path / "case")


def shown(case: Case, *more: str) -> list[str]:
    found = CliRunner().invoke(cli, ["show", "doubtful", str(case.folder), "D", *more], standalone_mode=False)
    assert found.exception is None, found.exception
    return found.output.splitlines()


def test_what_a_drive_erased_is_named(case, tmp_path):
    listed = [
        File("gone.bin", bytes(3 * CLUSTER), [100, 101, 102], deleted=True),
        File("part.bin", bytes(3 * CLUSTER), [110, 111, 112], deleted=True, written=10),
        File("text.bin", b"text" * 1000, [120], deleted=True),
    ]
    ended = intake(case, path=make(tmp_path / "card.img", listed), label="D", workers=1)
    assert (ended.doubted, ended.erased, ended.unvouched, ended.partial) == (3, 2, 1, 0)
    same = f"12,288 of 12,288 bytes, deleted, overwritten possible: {ERASED}"
    other = f"text.bin  4,000 of 4,000 bytes, deleted, overwritten possible: {UNVOUCHED}"
    assert shown(case) == [*(f"{name}  {same}" for name in ("gone.bin", "part.bin")), other]
    rows = [json.loads(line) for line in shown(case, "--json")]
    assert [(row["erased"], row["unvouched"]) for row in rows] == [(True, False), (True, False), (False, True)]
    assert rows[0]["sha256"] == hashlib.sha256(bytes(3 * CLUSTER)).hexdigest()


def lay(case: Case, exhibit: str, path: bytes, *read: tuple[int, str], detail: str | None = None) -> None:
    """An Item of 9 bytes, of which attempts read so much, with that claim."""
    item = hashlib.sha256(path).hexdigest()[:32]
    with case.write("intake") as tx:
        state = "skipped" if detail == NAMED_SINCE else "done"
        tx.execute("INSERT INTO items VALUES (?,?,'b',?,NULL,?,9,1)", (item, exhibit, state, detail))
    put(
        case,
        "listings",
        [{"item": item, "exhibit": exhibit, "path": path, "size": 9, "name_state": "deleted"}],
        "intake",
    )
    rows: list[dict[str, Any]] = [
        {"item": item, "exhibit": exhibit, "sha256": bytes(32), "size": size, "content_state": claim}
        for size, claim in read
    ]
    put(case, "contents", rows, "intake")


def test_each_item_is_named_once_by_the_claim_that_it_is_counted_by(case, tmp_path):
    (tmp_path / "x").mkdir()
    exhibit = intake(case, path=tmp_path / "x", label="D", workers=1).exhibit
    lay(case, exhibit, b"whole", (9, "complete"))
    lay(case, exhibit, b"cut\x1b\xff", (4, "partial"), (7, "partial"))
    lay(case, exhibit, b"whole since", (4, "partial"), (9, "complete"))
    lay(case, exhibit, b"weaker", (9, "complete"), (9, "overwritten possible"))
    lay(case, exhibit, b"named since", (4, "partial"), detail=NAMED_SINCE)
    found = report(case, exhibit)
    assert (found.partial, found.doubted, found.erased) == (1, 1, 0)
    assert shown(case) == [
        "weaker  9 of 9 bytes, deleted, overwritten possible: it may hold bytes of another",
        "cut\N{REPLACEMENT CHARACTER}\\xff  7 of 9 bytes, deleted, partial: "
        "some of its bytes are not there, or not right",
    ]
    rows = [json.loads(line) for line in shown(case, "--json")]
    assert bytes.fromhex(rows[1]["path_hex"]) == b"cut\x1b\xff"
    names = {"item", "path", "path_hex", "ref", "size", "listed", "name_state", "found_by", "content_state"}
    assert set(rows[0]) == names | {"erased", "unvouched", "crossed", "damaged", "sha256", "why"}


def test_a_picture_whose_decoder_made_up_pixels_is_counted_and_named(case, tmp_path):
    root, out = tmp_path / "seized", io.BytesIO()
    root.mkdir()
    Image.effect_noise((300, 200), 60).save(out, "JPEG")
    (root / "whole.jpg").write_bytes(out.getvalue())
    (root / "cut.jpg").write_bytes(out.getvalue()[: out.tell() // 2])
    ended = intake(case, path=root, label="D", workers=1)
    assert (ended.damaged, ended.partial, ended.doubted) == (1, 0, 0)
    assert "1 picture could not be decoded whole: what is missing is made up" in ended.words()
    size = f"{out.tell() // 2:,}"
    assert shown(case) == [f"cut.jpg  {size} of {size} bytes, live, complete: {doubtful.DAMAGED}"]
    (row,) = [json.loads(line) for line in shown(case, "--json")]
    assert (row["damaged"], row["erased"]) == (True, False)
