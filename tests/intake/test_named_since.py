"""A file that a retry could name: where it lay is told once, by its name, wherever places are told."""

import hashlib
from pathlib import Path

import flaky_image
import pytest
from test_relist import ONCE, RETRY, block_of, volume

from case_made import new_case
from clew.attribute import artefacts
from clew.core.case import Case
from clew.core.places import NAMED_SINCE
from clew.identify import clues
from clew.intake import named, run
from clew.intake.account import account
from clew.intake.report import report
from clew.intake.run import intake
from clew.match import hits
from clew.match.run import add_hashset
from clew.match.run import match as matched
from clew.model import HashSetKind, NameState
from clew.review import facts, unseen

LOST = b"lost/two" * 500
CONTENT = hashlib.sha256(LOST).digest()


@pytest.fixture
def case(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Case:
    """A case whose disk was read while a directory of it could not be, and again when it could."""
    monkeypatch.setattr(run, "choose", lambda _path: flaky_image.Source())
    case, image = new_case(tmp_path / "case", purposes=["intake", "match"]), volume(tmp_path)
    at = block_of(image, "/lost") * 1024
    flaky_image.spoil(image, (at, at + 1024))
    intake(case, path=image, label="D", options=ONCE)
    flaky_image.mend(image)
    intake(case, path=image, label="D", options=RETRY)
    return case


def test_a_hit_is_told_with_the_one_place_that_has_its_name(case, tmp_path):
    (tmp_path / "known.txt").write_text(hashlib.sha256(LOST).hexdigest())
    add_hashset(case, path=tmp_path / "known.txt", name="known", kind=HashSetKind.ALERT)
    matched(case)
    (told,) = hits.hits(case)
    assert [place["path"] for place in told["places"]] == ["lost/two"]


def test_what_stood_for_it_is_named_as_what_it_is_and_counted_under_no_other_word(case):
    (row,) = case.read().execute("SELECT id FROM exhibits")
    assert len(list(named.items(case, row["id"], ["skipped"]))) == account(case, row["id"]).skipped
    (told,) = [each for each in named.items(case, row["id"]) if each["path"] == "$OrphanFiles/inode-17"]
    assert (told["state"], told["detail"], told["name_state"]) == ("skipped", NAMED_SINCE, "unattached")
    counts = {word: len(list(named.items(case, row["id"], [word]))) for word in named.WORDS}
    assert {word: count for word, count in counts.items() if word in set(NameState) and count} == report(
        case, row["id"]
    ).names


def test_the_page_and_the_artefacts_know_of_that_one_alone(case):
    told = facts.of(case, CONTENT)
    assert (told["found"], told["places"]) == (1, [{"path": "lost/two", "state": "live"}])
    assert [place.path for place in artefacts._places(case, {CONTENT})[CONTENT]] == [b"lost/two"]


def test_clues_and_what_nobody_sees_know_of_that_one_alone(case, put):
    by = {"content": CONTENT, "extractor": "exif", "mode": "fast", "version": "1"}
    rows = [{**by, "name": "artist", "text": "A. Example"}, {**by, "name": "type.again", "text": "image/heic"}]
    put(case, "traits", rows, "intake")
    assert [place["path"] for place in clues.saying(case, "A. Example")] == ["lost/two"]
    assert [place["path"] for place in unseen.unseen(case)] == ["lost/two"]
