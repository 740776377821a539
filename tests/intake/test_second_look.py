"""The second look: an exact picture hash for Contents that are in the case, with a receipt of its own."""

from pathlib import Path

import hostile
import pytest
from cases import sha256, traits

from case_made import new_case
from clew.core.case import Case
from clew.intake.options import Options
from clew.intake.run import exact, intake

OPTIONS = Options(workers=1)


@pytest.fixture
def taken(tmp_path: Path) -> tuple[Case, Path]:
    root = tmp_path / "evidence"
    root.mkdir()
    for number in range(3):
        hostile.good_picture(root / f"{number}.jpg", number)
    (root / "twin.jpg").write_bytes((root / "0.jpg").read_bytes())
    case = new_case(tmp_path / "case")
    intake(case, path=root, label="P", workers=1)
    return case, root


def receipts(case: Case) -> int:
    count: int = case.read().execute("SELECT count(*) FROM receipts").fetchone()[0]
    return count


def test_named_contents_get_an_exact_hash_and_others_do_not(taken):
    case, root = taken
    named, other = (sha256((root / name).read_bytes()) for name in ("0.jpg", "1.jpg"))
    before = receipts(case)
    looked = exact(case, [named], options=OPTIONS)
    assert (looked.asked, looked.done, looked.failed) == (1, 1, {})
    assert len(traits(case, named)["pdq", "exact"]["data"]) == 32
    assert len(traits(case, named)["pdq", "fast"]["data"]) == 32
    assert ("pdq", "exact") not in traits(case, other)
    assert receipts(case) == before + 1


def test_who_has_it_is_left_alone(taken):
    case, root = taken
    named = sha256((root / "0.jpg").read_bytes())
    exact(case, [named], options=OPTIONS)
    before = receipts(case)
    assert exact(case, [named], options=OPTIONS).done == 0
    assert receipts(case) == before


def test_bytes_that_changed_since_are_a_missing_and_no_hash(taken):
    case, root = taken
    content = sha256((root / "1.jpg").read_bytes())
    hostile.good_picture(root / "1.jpg", 77)
    looked = exact(case, [content], options=OPTIONS)
    assert looked.done == 0
    assert "changed since intake" in looked.failed[content.hex()]
    assert traits(case, content)["pdq", "exact"]["data"] is None
    assert traits(case, content)["pdq", "exact"]["missing"] == "unreadable"


def test_a_content_that_is_gone_says_so(taken):
    case, root = taken
    content = sha256((root / "2.jpg").read_bytes())
    (root / "2.jpg").unlink()
    assert "could not be opened" in exact(case, [content], options=OPTIONS).failed[content.hex()]
