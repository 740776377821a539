"""Series: near duplicates around the best of them, never chained, the same for the same evidence."""

import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clew.core import hamming
from clew.core.errors import Refused
from clew.core.pictures import Pictures
from clew.identify import series
from clew.identify.linkers.nearduplicate import PLUGIN
from clew.identify.run import identify


def sha(name):
    return hashlib.sha256(name.encode()).digest()


def bits(*positions):
    return sum(1 << p for p in positions).to_bytes(32, "little")


def picture(name, pdq, quality=100, mode="exact", width=100):
    same = {"content": sha(name), "mode": mode, "extractor": "pdq", "version": "1"}
    return [
        same | {"name": "pdq", "data": pdq}, same | {"name": "pdq.quality", "integer": quality},
        same | {"name": "image.width", "integer": width}, same | {"name": "image.height", "integer": 100},
    ]  # fmt: skip


def rows(case):
    found = case.read().execute(
        "SELECT s.label, s.representative, s.known, m.content, m.distance FROM series s "
        "JOIN series_members m ON m.series = s.id ORDER BY s.label, m.distance, m.content"
    )
    return [tuple(r) for r in found]


def hit(case, name, kind, algorithm="sha256", state="stands"):
    with case.write("match") as tx:
        tx.execute(
            "INSERT INTO hits (id, content, hashset, algorithm, distance, mode, kind, entry, state) "
            "VALUES (?,?,'h',?,0,'',?,'0',?)",
            (f"{name}{kind}{algorithm}", sha(name), algorithm, kind, state),
        )


def test_near_duplicates_form_a_series_around_the_best(case, put):
    put(case, "traits", picture("small", bits(1)) + picture("best", bits(), width=400)
        + picture("poor", bits(*range(31)), quality=60) + picture("far", bits(*range(100, 132))), "intake")  # fmt: skip
    summary = identify(case)
    assert rows(case) == [
        ("S-0001", sha("best"), 0, sha("best"), 0),
        ("S-0001", sha("best"), 0, sha("small"), 1),
        ("S-0001", sha("best"), 0, sha("poor"), 31),
    ]
    assert (summary.pictures, summary.series, summary.members, summary.alone, summary.largest) == (4, 1, 3, 1, 3)
    links = case.read().execute("SELECT first, second, linker, score, detail FROM links ORDER BY score").fetchall()
    assert [(link["first"], link["second"]) for link in links] == [
        (sha("best"), sha("poor")),
        (sha("best"), sha("small")),
    ]
    assert "PDQ distance 31" in links[0]["detail"]


def test_neighbours_do_not_chain(case, put):
    """Each lies 20 from the next; a chain would hold all eleven, though the ends lie 200 apart."""
    chain = [picture(f"p{n}", bits(*range(20 * n)), width=1000 - n) for n in range(11)]
    put(case, "traits", [row for one in chain for row in one], "intake")
    identify(case)
    assert all(distance <= 31 for *_, distance in rows(case))
    assert identify(case).largest <= 3, "a centre, and one neighbour on each side"


def test_a_member_belongs_to_its_nearest_centre_and_is_linked_to_both(case, put):
    put(case, "traits", picture("a", bits(), width=900) + picture("b", bits(*range(40)), width=800)
        + picture("between", bits(*range(25))), "intake")  # fmt: skip
    identify(case)
    assert [(r[1], r[3], r[4]) for r in rows(case)] == [(sha("b"), sha("b"), 0), (sha("b"), sha("between"), 15)]
    assert case.read().execute("SELECT count(*) FROM links").fetchone()[0] == 2


@pytest.mark.parametrize(
    ("kind", "state", "known"), [("alert", "stands", 1), ("alert", "wants exact", 0), ("reference", "stands", 0)]
)
def test_a_series_is_known_by_one_alert_hit_that_stands(case, put, kind, state, known):
    put(case, "traits", picture("a", bits()) + picture("b", bits(1)), "intake")
    hit(case, "b", kind, state=state)
    identify(case)
    assert {r[2] for r in rows(case)} == {known}


@pytest.mark.parametrize(("algorithm", "state", "left"), [("sha256", "stands", 0), ("md5", "listed", 2)])
def test_known_good_is_left_out_by_sha256_alone(case, put, algorithm, state, left):
    put(case, "traits", picture("a", bits()) + picture("b", bits(1)), "intake")
    hit(case, "b", "known-good", algorithm, state)
    summary = identify(case)
    assert len(rows(case)) == left
    assert summary.excluded == ({} if left else {"known-good by SHA-256": 1})


def test_low_quality_is_left_out_and_said(case, put):
    put(case, "traits", picture("a", bits()) + picture("b", bits(1), quality=49), "intake")
    summary = identify(case)
    assert rows(case) == []
    assert (summary.excluded, summary.alone) == ({"quality below 50": 1}, 1)


def test_the_exact_hash_is_taken_before_the_fast_one(case, put):
    put(case, "traits", picture("a", bits()) + picture("b", bits(*range(50)), mode="fast"), "intake")
    assert identify(case).series == 0
    put(case, "traits", picture("b", bits(1)), "intake")
    assert identify(case).series == 1


def test_a_second_run_writes_the_same_and_labels_stay(case, put):
    put(case, "traits", picture("a", bits()) + picture("b", bits(1)), "intake")
    identify(case)
    first = rows(case)
    identify(case)
    assert rows(case) == first
    more = [picture(f"{n}{k}", bits(*range(50 * n, 50 * n + 40), 255 - k)) for n in range(1, 5) for k in range(2)]
    put(case, "traits", [row for one in more for row in one], "intake")
    assert identify(case).series == 5
    assert [r for r in rows(case) if r[0] == "S-0001"] == first
    assert sorted({r[0] for r in rows(case)}) == [f"S-{n:04d}" for n in range(1, 6)]


def pages(name, *values):
    """The pages of a TIFF from the second on."""
    same = {"content": sha(name), "mode": "fast", "extractor": "animation", "version": "2", "name": "video.pdq"}
    return [same | {"number": float(n), "data": value, "integer": 100} for n, value in enumerate(values, 1)]


def links(case):
    found = case.read().execute("SELECT * FROM links ORDER BY first_part, second_part")
    return {
        (link["first"], link["second"]): (link["first_part"], link["second_part"], link["detail"]) for link in found
    }


@pytest.fixture
def tiffs(case, put):
    put(case, "traits", picture("t", bits(*range(50, 90))) + picture("u", bits(*range(150, 190))), "intake")


def test_a_page_is_linked_to_what_it_is_near_and_moves_nothing_into_a_series(case, put, tiffs):
    put(case, "traits", picture("a", bits(), width=400) + picture("b", bits(1)), "intake")
    before = (identify(case), rows(case))
    put(
        case,
        "traits",
        pages("t", bits(*range(200, 240)), bits(*range(9))) + pages("u", bits(*range(201, 240))),
        "intake",
    )
    summary = identify(case)
    assert rows(case) == before[1] == [("S-0001", sha("a"), 0, sha("a"), 0), ("S-0001", sha("a"), 0, sha("b"), 1)]
    found = links(case)
    assert found[sha("a"), sha("t")] == ("", "page 3", "PDQ distance 9; page 3 of the second")
    (between,) = (said for pair, said in found.items() if set(pair) == {sha("t"), sha("u")})
    assert between[:2] == ("page 2", "page 2")
    assert (summary.pictures, summary.alone, summary.series) == (7, before[0].alone, 1)


def test_of_two_contents_the_link_of_what_is_shown_is_kept_else_the_nearest(case, put, tiffs):
    put(case, "traits", picture("a", bits(), width=400) + pages("t", bits(*range(20)), bits(1)), "intake")
    assert identify(case).links == 1, "as many as there are to see"
    assert links(case) == {(sha("a"), sha("t")): ("", "page 3", "PDQ distance 1; page 3 of the second")}
    put(case, "traits", picture("a2", bits(*range(50, 85)), width=900) + pages("t", bits(*range(50, 86))), "intake")
    identify(case)
    assert links(case)[sha("a2"), sha("t")] == ("", "", "PDQ distance 5")


def test_pages_of_one_file_are_not_linked_with_one_another(case, put, tiffs):
    put(case, "traits", pages("t", bits(1), bits(1, 2), bits(*range(50, 89))), "intake")
    identify(case)
    assert links(case) == {}


def test_a_known_page_makes_no_series_known(case, put, tiffs):
    put(case, "traits", picture("t2", bits(*range(51, 90))), "intake")
    hit(case, "t2", "alert", "pdq")
    with case.write("match") as tx:
        tx.execute("UPDATE hits SET part='page 2'")
    identify(case)
    assert {row[2] for row in rows(case)} == {0}


def test_without_a_mandate_nothing_is_grouped(bare_case, put, allow):
    put(bare_case, "traits", picture("a", bits()) + picture("b", bits(1)), "intake")
    allow(bare_case, purposes=["match"])
    with pytest.raises(Refused):
        identify(bare_case)
    assert rows(bare_case) == []


@given(st.integers(0, 2**32 - 1), st.integers(0, 120), st.sampled_from([0.02, 0.06, 0.12]))
@settings(max_examples=40, deadline=None)
def test_any_set_gives_stars(seed, n, noise):
    """Members lie within 31 of their centre, which is the nearest; centres lie farther apart; nobody is left out."""
    rng = np.random.default_rng(seed)
    centres = rng.integers(0, 256, (4, 32), dtype=np.uint8)
    pdq = centres[rng.integers(0, 4, n)] ^ np.packbits(rng.random((n, 256)) < noise, axis=1)
    content = np.array(sorted(rng.bytes(32) for _ in range(n)), "S32")
    rows_of = np.frombuffer(content.tobytes(), np.uint8).reshape(-1, 32)
    numbers = rng.integers(50, 101, n)
    pictures = Pictures(rows_of, pdq, np.ones(n, bool), numbers, rng.integers(1, 9, n), numbers * 0, numbers < 0, {})
    found = series.groups(pictures, PLUGIN.link(pictures))
    where = {c.tobytes(): i for i, c in enumerate(rows_of)}
    apart = lambda a, b: hamming.distance(pdq[where[a]].tobytes(), pdq[where[b]].tobytes())  # noqa: E731
    grouped = [m for g in found for m in g.members]
    assert len(grouped) == len(set(grouped))
    middles = [g.representative for g in found]
    for group in found:
        assert all(d == apart(group.representative, m) <= 31 for m, d in group.members.items())
        assert all(d <= min(apart(c, m) for c in middles) for m, d in group.members.items())
    assert all(apart(a, b) > 31 for a in middles for b in middles if a != b)
    for left in set(where) - set(grouped):
        near = [o for o in where if o != left and apart(left, o) <= 31]
        assert all(o in grouped and o not in middles for o in near)
