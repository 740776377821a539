"""What is tried again: nothing that was read is lost, nothing doubled, no other bytes are taken for a file's own."""

import os
import random
import zipfile
from collections import Counter
from dataclasses import replace

import pytest
from archive_world import TEXT, tarred, turned, zipped
from cases import sha256

from case_made import new_case
from clew.core import shards
from clew.intake import expand, work
from clew.intake.archives.opening import OTHERWISE
from clew.intake.listing import LISTED_SINCE, BatchSize
from clew.intake.options import Options
from clew.intake.run import intake
from clew.intake.telling import Telling
from clew.intake.work import CHANGED, HASHED, LESS, UNSURE, Record
from clew.model import Missing, Reason

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
    return sorted(
        ((row["path"].rpartition(b"!/")[2], row["sha256"], why[row["item"]]) for row in rows),
        key=lambda row: (row[0], row[1] or b""),
    )


DICE = random.Random(4)
SIX = [(name, DICE.randbytes(3000)) for name in "abcdef"]
PACKED = {
    "zip": zipped(SIX, zipfile.ZIP_STORED),
    "zip with its directory in another order": turned(zipped(SIX, zipfile.ZIP_STORED)),
    "tar": tarred(SIX),
    "tar.gz": tarred(SIX, "w:gz"),
    "zip in a zip": zipped([("in.zip", zipped(SIX, zipfile.ZIP_STORED))], zipfile.ZIP_STORED),
}


@pytest.mark.parametrize("packed", PACKED.values(), ids=PACKED)
def test_an_archive_that_was_cut_and_is_whole_now_is_listed_again(tmp_path, monkeypatch, file, packed):
    case = new_case(tmp_path / "case")
    cut_short(case, file, monkeypatch, packed, packed[: len(packed) // 2])
    some = {content for _, content, _ in by_path(case)}
    assert sha256(SIX[0][1]) in some
    assert sha256(SIX[5][1]) not in some
    file.write_bytes(packed)
    ended = take(case, file, retry=True)
    assert ended.complete, by_path(case)
    once = Counter(row["path"] for row in shards.query(case, "SELECT path FROM listings").to_pylist())
    assert set(once.values()) == {1}
    found = {path: content for path, content, _ in by_path(case) if content in {sha256(data) for _, data in SIX}}
    assert found == {name.encode(): sha256(data) for name, data in SIX}
    rests = [why for path, _, why in by_path(case) if not path]
    assert rests == [LISTED_SINCE] * len(rests)
    assert rests
    before = by_path(case)
    assert take(case, file, retry=True).complete
    assert by_path(case) == before


def test_more_of_an_archive_that_stays_cut_is_listed_too(tmp_path, monkeypatch, file):
    packed, case = PACKED["tar"], new_case(tmp_path / "case")
    cut_short(case, file, monkeypatch, packed, packed[: len(packed) // 3])
    names = {path for path, _, _ in by_path(case)}
    file.write_bytes(packed[: len(packed) // 3 * 2])
    assert not take(case, file, retry=True).complete
    assert names < {path for path, _, _ in by_path(case)}
    assert LISTED_SINCE not in {why for _, _, why in by_path(case)}


@pytest.mark.parametrize(
    ("kind", "heard"), [("tar", 0), ("zip with its directory in another order", 1), ("zip in a zip", 1)]
)
def test_an_archive_whose_listing_failed_is_listed_again_once_a_retry(tmp_path, monkeypatch, file, kind, heard):
    """Its content was read whole; then a read error, or the end of a worker."""
    case, listings, whole = new_case(tmp_path / "case"), [], expand.Expansion._hear

    def hear(self, first, most):
        if self.known.ref.count("!") == (kind == "zip in a zip"):
            listings.append(first)
            if first >= heard:
                return Missing(Reason.UNREADABLE, "read error in the archive: Input/output error")
        return whole(self, first, min(most, 1))

    file.write_bytes(PACKED[kind])
    with monkeypatch.context() as failing:
        failing.setattr(expand.Expansion, "_hear", hear)
        assert not take(case, file).complete
        before, tried = by_path(case), len(listings)
        assert not take(case, file).complete
        assert len(listings) == tried  # nobody asked for it
        assert not take(case, file, retry=True).complete
        assert (len(listings), by_path(case)) == (2 * tried, before)
    assert take(case, file, retry=True).complete, by_path(case)
    found = [(path, content) for path, content, _ in by_path(case) if content in {sha256(data) for _, data in SIX}]
    assert found == [(name.encode(), sha256(data)) for name, data in SIX]
    assert [why for path, _, why in by_path(case) if not path] == [LISTED_SINCE]
    monkeypatch.setattr(expand.Expansion, "_hear", None)
    assert take(case, file, retry=True).complete  # it was listed to its end


def test_what_breaks_off_as_before_is_noted_once(tmp_path, file):
    case = new_case(tmp_path / "case")
    file.write_bytes(PACKED["zip"][:-60])
    first = take(case, file)
    assert first.account.notes
    again = take(case, file, retry=True)
    assert (again.account.notes, again.account.discovered) == (first.account.notes, first.account.discovered)


def test_a_listing_again_that_was_killed_goes_on(tmp_path, monkeypatch, file):
    packed, case = PACKED["tar"], new_case(tmp_path / "case")
    file.write_bytes(packed)
    with monkeypatch.context() as failing:
        failing.setattr(expand.Expansion, "_hear", lambda *_: Missing(Reason.UNREADABLE, "the worker ended"))
        assert not take(case, file).complete
    with monkeypatch.context() as killed:
        few = replace(OPTIONS, retry=True, batch=BatchSize(items=2))
        heard = iter([True, True, False])
        monkeypatch.setattr(expand, "MOST", 2)
        real = expand.Expansion._hear
        killed.setattr(expand.Expansion, "_hear", lambda self, *at: real(self, *at) if next(heard) else 1 / 0)
        with pytest.raises(ZeroDivisionError):
            intake(case, path=file.parent, label="X", options=few)
    assert take(case, file).complete
    assert {sha256(data) for _, data in SIX} <= {content for _, content, _ in by_path(case)}


def test_a_member_without_a_name_where_the_rest_began_is_listed_too(tmp_path, monkeypatch, file):
    packed = tarred([("a", b"1" * 600), ("", b"2" * 600), ("", b"3" * 600)])
    case = new_case(tmp_path / "case")
    cut_short(case, file, monkeypatch, packed, packed[: packed.find(b"1") + 600])
    file.write_bytes(packed)
    assert take(case, file, retry=True).complete
    assert {sha256(each * 600) for each in (b"1", b"2", b"3")} <= {content for _, content, _ in by_path(case)}


def test_a_part_that_does_not_say_by_which_content_it_was_listed_is_taken_for_the_first(tmp_path, monkeypatch, file):
    """As a case of an earlier version."""
    packed, case = PACKED["tar"], new_case(tmp_path / "case")
    cut_short(case, file, monkeypatch, packed, packed[: len(packed) // 2])
    with case.write("intake") as tx:
        tx.execute("UPDATE exhibit_runs SET detail=json_remove(detail, '$.contents')")
    file.write_bytes(packed)
    assert take(case, file, retry=True).complete
    assert sha256(SIX[5][1]) in {content for _, content, _ in by_path(case)}


def by_ref(case):
    """Of each member that was read the number in its ref, and what was hashed."""
    sql = "SELECT l.ref, c.sha256 FROM listings l JOIN contents c USING (item) WHERE contains(ref, '!')"
    return {
        row["ref"].rpartition("#")[2].partition("@")[0]: row["sha256"] for row in shards.query(case, sql).to_pylist()
    }


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize(("names", "size"), [("ab", len(TEXT)), ("ab", 1000), ("bb", 1000), ("bb", len(TEXT))])
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
    assert take(case, file, retry=True).complete
    assert by_ref(case) == {"0": sha256(other), "1": sha256(TEXT)}


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_number_of_a_directory_says_nothing_where_that_cannot_be_read(tmp_path, monkeypatch, file):
    """Two of one name and size, in a zip that is cut between its listing and the reading of its members."""
    packed = turned(zipped([("b", b"x" * len(TEXT)), ("b", TEXT)], zipfile.ZIP_STORED))
    file.write_bytes(packed)
    written_ns = file.stat().st_mtime_ns
    case, listings = new_case(tmp_path / "case"), []

    def cut(_self, items, _size):
        listings.extend([items] if items else [])
        if len(listings) == 2:
            file.write_bytes(packed[:-60])

    with monkeypatch.context() as short:
        short.setattr(Telling, "listed", cut)
        assert not take(case, file).complete
    assert by_path(case) == [(b"b", None, OTHERWISE.detail)] * 2
    file.write_bytes(packed)
    os.utime(file, ns=(written_ns, written_ns))  # otherwise it is one that was written to since it was listed
    assert take(case, file, retry=True).complete
    assert by_ref(case) == {"0": sha256(TEXT), "1": sha256(b"x" * len(TEXT))}


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
        (["complete"], "overwritten possible", False),  # as by a version that knows why to doubt
        (["complete", "overwritten possible"], "overwritten possible", True),
        (["overwritten possible"], "complete", True),
    ],
)
def test_the_same_bytes_are_in_the_case_once_but_for_what_is_known_of_them(before, now, had):
    record = Record({}, row(9, now), earlier=[row(9, state) for state in before])
    assert work._in_the_case(record) is had
