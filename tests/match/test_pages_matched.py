"""Further pages and pictures of a file are matched too, and the match says on which of them it rests."""

import pytest
from test_match_run import ALERT, GOOD, bits, content, hits, pdq_rows

from clew.match.run import add_hashset, confirm, match

FAR = b"\xff" * 32


def further(name, number, value, quality=100, mode="fast", extractor="animation", version="2"):
    by = {"content": content(name)["sha256"], "mode": mode, "extractor": extractor, "version": version}
    return by | {"name": "video.pdq", "number": float(number), "data": value, "integer": quality}


@pytest.fixture
def known(case, tmp_path):
    path = tmp_path / "known.txt"
    path.write_text(f"pdq:{bits(0).hex()}\n")
    return add_hashset(case, path=path, name="known", kind=ALERT)


@pytest.fixture
def tiff(case, put):
    put(case, "contents", [content("t")], "intake")
    put(case, "traits", [*pdq_rows("t", FAR), further("t", 0, FAR)], "intake")


def found(case):
    return [(h["part"], h["distance"], h["mode"], h["state"]) for h in hits(case)]


def test_a_page_of_a_tiff_stands_and_is_named(case, put, known, tiff):
    put(case, "traits", [further("t", 1, bits(12)), further("t", 2, bits(32))], "intake")
    summary = match(case)
    assert found(case) == [("page 2", 12, "exact", "stands")], "pages are hashed alike in both modes"
    assert (summary.near_searched, summary.by_part, summary.wants_exact) == (3, 1, ())
    (part,) = summary.as_dict()["parts"]
    told = {"part": "page 2", "hashset": "known", "kind": "alert", "distance": 12}
    assert part == {"content": content("t")["sha256"].hex(), **told}


def test_a_further_picture_of_a_heif_waits_for_exact_mode(case, put, known):
    put(case, "contents", [content("h")], "intake")
    put(case, "traits", [*pdq_rows("h", FAR, mode="exact"), further("h", 3, bits(33), extractor="further")], "intake")
    assert match(case).wants_exact == (content("h")["sha256"],)
    waiting = hits(case)[0]["id"]
    assert found(case) == [("further picture 3", 33, "fast", "wants exact")]
    assert match(case).by_part == 0, "nobody is shown it yet"
    put(case, "traits", [further("h", 3, bits(31), mode="exact", extractor="further")], "intake")
    confirm(case)
    assert (hits(case)[0]["id"], found(case)) == (waiting, [("further picture 3", 31, "exact", "stands")])


@pytest.mark.parametrize(("main", "mode", "part"), [(20, "exact", ""), (20, "fast", "page 3"), (32, "exact", "page 3")])
def test_of_several_pictures_near_one_entry_one_hit_is_kept(case, put, known, main, mode, part):
    """The picture that is shown where it stands; else the nearest page, not one that stands after one that waits."""
    put(case, "contents", [content("t")], "intake")
    put(case, "traits", pdq_rows("t", bits(main), mode=mode), "intake")
    put(case, "traits", [further("t", n, bits(d)) for n, d in ((1, 9), (2, 3), (3, 3))], "intake")
    wants = match(case).wants_exact
    assert [(p, s) for p, _, _, s in found(case)] == [(part, "stands")]
    assert wants == ((content("t")["sha256"],) if mode == "fast" else ()), "what is shown may be known too"


def test_the_picture_that_is_shown_has_the_hit_once_it_is_computed_exactly(case, put, known):
    """A page that stood first kept it from being asked for: the file was filed as known no more."""
    put(case, "contents", [content("t")], "intake")
    put(case, "traits", [*pdq_rows("t", bits(20)), further("t", 1, bits(9))], "intake")
    assert match(case).by_part == 1
    put(case, "traits", pdq_rows("t", bits(21), mode="exact"), "intake")
    assert (confirm(case).wants_exact, found(case)) == ((), [("", 21, "exact", "stands")])


def test_an_earlier_hit_keeps_its_id_and_a_page_beside_it_changes_nothing(case, put, known, tiff):
    put(case, "traits", pdq_rows("t", bits(5), mode="exact"), "intake")
    match(case)
    before = [tuple(h) for h in hits(case)]
    put(case, "traits", [further("t", 1, bits(0))], "intake")
    match(case)
    assert [tuple(h) for h in hits(case)] == before


def test_frames_of_what_moves_are_no_pages(case, put, known):
    put(case, "contents", [content("g")], "intake")
    rows = [further("g", 0.5, bits(0)), further("g", 1, bits(0)), further("v", 1, bits(0), extractor="video")]
    rows.append({k: v for k, v in rows[0].items() if k not in ("data", "integer")} | {"name": "video.duration"})
    put(case, "traits", [*pdq_rows("g", FAR), *rows], "intake")
    assert match(case).near_searched == 1
    assert found(case) == []


def test_pages_that_carry_too_little_are_counted_apart(case, put, known, tiff):
    put(case, "traits", [further("t", 1, bits(0), quality=49)], "intake")
    assert match(case).near_excluded == {"further pages or pictures, quality below 50": 1}
    assert found(case) == []


def test_only_what_the_newest_version_says_is_a_page(case, put, known, tiff):
    put(case, "traits", [further("t", 1, bits(0))], "intake")
    later = {"content": content("t")["sha256"], "mode": "fast", "extractor": "animation", "version": "10"}
    put(case, "traits", [later | {"name": "video.pdq", "missing": "unparsable", "detail": "broken"}], "intake")
    match(case)
    assert found(case) == []


def test_a_first_page_that_is_not_the_picture_shown_is_read_too(case, put, known):
    put(case, "contents", [content("t")], "intake")
    put(case, "traits", [*pdq_rows("t", FAR), further("t", 0, bits(1))], "intake")
    match(case)
    assert found(case) == [("page 1", 1, "exact", "stands")]


def test_pages_make_nothing_known_good(case, put, tmp_path, tiff):
    (tmp_path / "good.txt").write_text(f"pdq:{bits(0).hex()}\n")
    add_hashset(case, path=tmp_path / "good.txt", name="good", kind=GOOD)
    put(case, "traits", [further("t", 1, bits(0))], "intake")
    match(case)
    assert found(case) == []
