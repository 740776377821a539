"""What is tried again: nothing that was read is lost, nothing doubled, no other bytes are taken for a file's own."""

import zipfile
from collections import Counter
from dataclasses import replace

import pytest
from archive_world import TEXT, turned, zipped
from cases import sha256

from case_made import new_case
from clew.core import shards
from clew.intake import work
from clew.intake.archives.opening import OTHERWISE
from clew.intake.options import Options
from clew.intake.run import intake
from clew.intake.telling import Telling
from clew.intake.work import CHANGED, HASHED, LESS, UNSURE, Record

WHOLE = bytes(at * at % 251 for at in range(300_000))
PART = WHOLE[:100_000]
OPTIONS = Options(workers=1, extractors=("clew.intake.extractors.entropy:PLUGIN",))


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "x" / "f"
    path.parent.mkdir()
    return path


def take(case, file, *, retry=False):
    return intake(case, path=file.parent, label="X", options=replace(OPTIONS, retry=retry))


def cut_short(case, file, monkeypatch, listed, read):
    """Takes in a file that is shorter when it is read than when it was listed."""
    file.write_bytes(listed)
    with monkeypatch.context() as short:
        short.setattr(Telling, "listed", lambda *_: file.write_bytes(read))
        assert not take(case, file).complete


def contents(case):
    rows = shards.query(case, "SELECT sha256, size, content_state FROM contents ORDER BY size").to_pylist()
    return [(row["sha256"], row["size"], row["content_state"]) for row in rows]


def item(case):
    return tuple(case.read().execute("SELECT state, reason, detail FROM items").fetchone())


def traits(case):
    rows = shards.query(case, "SELECT content, name FROM traits").to_pylist()
    return Counter((row["content"], row["name"]) for row in rows)


def test_what_is_whole_when_it_is_tried_again_is_taken_in_beside_the_part(tmp_path, monkeypatch, file):
    case = new_case(tmp_path / "case")
    cut_short(case, file, monkeypatch, WHOLE, PART)
    assert contents(case) == [(sha256(PART), len(PART), "partial")]
    file.write_bytes(WHOLE)
    ended = take(case, file, retry=True)
    assert ended.complete
    assert item(case) == ("done", None, None)
    both = [(sha256(PART), len(PART), "partial"), (sha256(WHOLE), len(WHOLE), "complete")]
    assert contents(case) == both
    assert (ended.partial, sum(ended.families.values())) == (0, 1)  # one file, and it is whole
    before = traits(case)
    assert take(case, file, retry=True).complete
    assert (contents(case), traits(case)) == (both, before)


def test_what_fails_in_the_same_way_again_is_not_doubled(tmp_path, monkeypatch, file):
    case = new_case(tmp_path / "case")
    cut_short(case, file, monkeypatch, WHOLE, PART)
    before = traits(case)
    assert not take(case, file, retry=True).complete
    assert contents(case) == [(sha256(PART), len(PART), "partial")]
    assert set(traits(case)) == set(before)


def test_more_of_it_is_taken_in_and_less_is_not(tmp_path, monkeypatch, file):
    case = new_case(tmp_path / "case")
    cut_short(case, file, monkeypatch, WHOLE, PART)
    file.write_bytes(WHOLE[:50_000])
    assert not take(case, file, retry=True).complete
    assert item(case) == ("unreadable", "unreadable", HASHED + LESS.detail)
    file.write_bytes(WHOLE[:200_000])
    assert not take(case, file, retry=True).complete
    assert "only 200,000 of the 300,000 bytes" in item(case)[2]
    assert [size for _, size, _ in contents(case)] == [100_000, 200_000]
    file.write_bytes(WHOLE)
    assert take(case, file, retry=True).complete
    assert [size for _, size, _ in contents(case)] == [100_000, 200_000, 300_000]


def test_what_cannot_be_read_at_all_any_more_keeps_what_was_hashed(tmp_path, monkeypatch, file):
    case = new_case(tmp_path / "case")
    cut_short(case, file, monkeypatch, WHOLE, PART)
    file.rename(tmp_path / "away")
    assert not take(case, file, retry=True).complete
    assert item(case)[2].startswith(HASHED)
    assert contents(case) == [(sha256(PART), len(PART), "partial")]
    (tmp_path / "away").rename(file)
    file.write_bytes(WHOLE)
    assert take(case, file, retry=True).complete


def test_bytes_of_which_the_part_is_not_the_beginning_are_not_taken_for_the_same_file(tmp_path, monkeypatch, file):
    case = new_case(tmp_path / "case")
    cut_short(case, file, monkeypatch, WHOLE, PART)
    other = b"\xff" + WHOLE[1:]
    file.write_bytes(other)
    assert not take(case, file, retry=True).complete
    assert item(case) == ("unreadable", "unreadable", HASHED + CHANGED.detail)
    assert contents(case) == [(sha256(PART), len(PART), "partial")]
    assert all(content == sha256(PART) for content, _ in traits(case))


def test_an_archive_that_is_whole_now_is_opened_whole(tmp_path, monkeypatch, file):
    monkeypatch.setattr(work, "MOST_HELD", 0)
    case, packed = new_case(tmp_path / "case"), zipped([("a", TEXT), ("b", TEXT * 2)])
    cut_short(case, file, monkeypatch, packed, packed[:-30])
    file.write_bytes(packed)
    take(case, file, retry=True)
    assert {sha256(packed), sha256(TEXT), sha256(TEXT * 2)} <= {each[0] for each in contents(case)}


def by_path(case):
    """Of each member its path, what was hashed, and why that is not all."""
    sql = "SELECT l.item, l.path, c.sha256 FROM listings l LEFT JOIN contents c USING (item) WHERE contains(ref, '!')"
    why = {row["id"]: row["detail"] for row in case.read().execute("SELECT id, detail FROM items")}
    rows = shards.query(case, sql).to_pylist()
    return [(row["path"].rpartition(b"!/")[2], row["sha256"], why[row["item"]]) for row in rows]


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize(("names", "size"), [("ab", len(TEXT)), ("ab", 1000), ("bb", 1000)])
def test_a_member_of_a_cut_zip_is_not_given_what_the_whole_one_has_under_its_number(
    tmp_path, monkeypatch, file, names, size
):
    """Its directory may have another order than its local headers, by which it is listed as long as it is cut."""
    other = b"x" * size
    packed = turned(zipped([(names[0], other), (names[1], TEXT)], zipfile.ZIP_STORED))
    case = new_case(tmp_path / "case")
    cut_short(case, file, monkeypatch, packed, packed[: packed.find(TEXT)])
    assert (names[1].encode(), None) in {(path, content) for path, content, _ in by_path(case)}
    file.write_bytes(packed)
    take(case, file, retry=True)
    found = by_path(case)
    assert {content for _, content, _ in found} == {sha256(other), None}  # the first one, read by its local header
    assert (names[1].encode(), None, OTHERWISE.detail) in found


def row(size, state, name=b"x"):
    return {"sha256": sha256(name), "size": size, "content_state": state}


@pytest.mark.parametrize(
    ("before", "now", "beginning", "image", "why"),
    [
        ([], row(9, "complete"), None, False, None),
        ([row(9, "partial")], row(9, "partial"), None, False, None),  # the same once more
        ([row(9, "partial", b"zeros")], row(9, "complete"), None, True, None),  # zeros stood for what is there now
        ([row(9, "partial", b"wrong")], row(9, "complete"), None, False, UNSURE),
        ([row(9, "complete", b"whole")], row(5, "partial"), None, True, LESS),
        ([row(5, "partial", b"part"), row(9, "complete", b"whole")], row(7, "partial"), sha256(b"part"), False, LESS),
        ([row(9, "complete", b"whole")], row(9, "complete"), None, True, CHANGED),
        ([row(5, "partial", b"part")], row(9, "complete"), sha256(b"part"), False, None),
        ([row(5, "partial", b"part")], row(9, "complete"), sha256(b"other"), True, CHANGED),
    ],
)
def test_what_counts_as_more_of_the_same(before, now, beginning, image, why):
    record = Record({}, now, earlier=before, beginning=beginning)
    assert work._not_taken(record, recognised=image) is why


@pytest.mark.parametrize(
    ("before", "now", "had"),
    [
        ([], "complete", False),
        (["partial"], "partial", True),
        (["partial"], "complete", False),  # the zeros that stood there were right
        (["complete"], "partial", True),
        (["partial", "complete"], "complete", True),
    ],
)
def test_the_same_bytes_are_in_the_case_once_but_for_what_is_known_of_them(before, now, had):
    record = Record({}, row(9, now), earlier=[row(9, state) for state in before])
    assert work._in_the_case(record) is had
