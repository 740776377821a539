"""HashSets are compiled once, checked each time, and matched exactly; near hits wait for exact mode."""

import hashlib
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clew.core import sorted_keys
from clew.core.errors import Damaged, Refused, Usage
from clew.match import hashsets
from clew.match.api import HitState
from clew.match.run import add_hashset, confirm, dropped_of, entry_of, match
from clew.model import HashSetKind

CONTEXT = "http://github.com/VICSDATAMODEL/ProjectVic/DataModels/2.0.xml/US/$metadata#Media"
ALERT, GOOD, REFERENCE = HashSetKind.ALERT, HashSetKind.KNOWN_GOOD, HashSetKind.REFERENCE


def content(name):
    data = name.encode()
    hashed = {a: hashlib.new(a, data).digest() for a in ("sha256", "sha1", "md5")}
    return hashed | {"item": name, "exhibit": "e", "size": len(data), "content_state": "complete"}


def pdq_rows(name, value, quality=100, mode="fast"):
    sha256 = content(name)["sha256"]
    same = {"content": sha256, "mode": mode, "extractor": "pdq", "version": "1"}
    return [same | {"name": "pdq", "data": value}, same | {"name": "pdq.quality", "integer": quality}]


def bits(count):
    """A PDQ that lies `count` bits from zero."""
    return ((1 << count) - 1).to_bytes(32, "little")


@pytest.fixture
def add(case, tmp_path):
    def do(text, name="set", kind=ALERT, **options):
        path = tmp_path / f"{name}.txt"
        path.write_text(text if isinstance(text, str) else json.dumps({"@odata.context": CONTEXT, "value": text}))
        return add_hashset(case, path=path, name=name, kind=kind, **options)

    return do


def hits(case):
    sql = "SELECT * FROM hits ORDER BY hashset, content, algorithm, entry"
    return case.read().execute(sql).fetchall()


def hexes(name, *algorithms):
    return {a.upper(): content(name)[a].hex() for a in algorithms}


def test_an_exact_hit_carries_the_category_as_one_key(case, put, add):
    put(case, "contents", [content("a"), content("b")], "intake")
    made = add([{**hexes("a", "md5", "sha1"), "Category": 1, "Series": "x"}, {**hexes("c", "md5"), "Category": 2}])
    summary = match(case)
    (hit,) = hits(case)
    assert (hit["content"], hit["algorithm"], hit["state"]) == (content("a")["sha256"], "sha1", "stands")
    assert (hit["scheme"], hit["country"], hit["version"], hit["code"]) == ("VICS", "US", "2.0", "1")
    assert entry_of(case, made.id, hit["entry"])["verbatim"]["Series"] == "x"
    assert (summary.contents, summary.hits, summary.contents_hit) == (2, {"alert": 1}, {"alert": 1})


def test_each_pair_is_one_hit_by_its_strongest_algorithm(case, put, add):
    put(case, "contents", [content("a")], "intake")
    put(case, "traits", pdq_rows("a", bits(0), mode="exact"), "intake")
    both = {**hexes("a", "md5", "sha1"), "AlternativeHashes": [{"HashName": "PDQ", "HashValue": bits(0).hex()}]}
    add([both, hexes("a", "md5")])
    match(case)
    assert [(h["algorithm"], h["entry"]) for h in hits(case)] == [("md5", "1"), ("sha1", "0")]


def test_a_weak_hash_that_a_stronger_one_denies_is_contradicted(case, put, add):
    put(case, "contents", [content("a")], "intake")
    add([{**hexes("a", "md5"), **hexes("b", "sha1")}])
    match(case)
    assert [h["state"] for h in hits(case)] == [HitState.CONTRADICTED]


def test_known_good_stands_by_sha256_alone(case, put, add):
    put(case, "contents", [content("a"), content("b"), content("c")], "intake")
    put(case, "traits", pdq_rows("c", bits(3), mode="exact"), "intake")
    lines = [
        content("a")["sha256"].hex(),
        content("b")["md5"].hex(),
        content("b")["sha1"].hex(),
        f"pdq:{bits(3).hex()}",
    ]
    add("\n".join(lines), kind=GOOD)
    match(case)
    states = {(bytes(h["content"]), h["algorithm"], h["state"]) for h in hits(case)}
    assert states == {
        (content("a")["sha256"], "sha256", "stands"),
        (content("b")["sha256"], "md5", "listed"),
        (content("b")["sha256"], "sha1", "listed"),
    }, "near matching makes nothing known-good"


def test_empty_files_never_match(case, put, add):
    put(case, "contents", [content("")], "intake")
    made = add([hexes("", "md5"), hexes("a", "md5")])
    assert made.entries == 1
    assert dropped_of(case, made.id) == {"hash of zero bytes": 1, "no usable hash": 1}
    assert match(case).hits == {}


@pytest.mark.parametrize(("apart", "mode", "state"), [
    (31, "exact", "stands"), (32, "exact", None), (31, "fast", "wants exact"), (41, "fast", "wants exact"),
    (42, "fast", None)])  # fmt: skip
def test_near_hits_at_the_edge(case, put, add, apart, mode, state):
    put(case, "contents", [content("a")], "intake")
    put(case, "traits", pdq_rows("a", bits(apart), mode=mode), "intake")
    add(f"pdq:{bits(0).hex()}")
    summary = match(case)
    found = [(h["algorithm"], h["distance"], h["mode"], h["state"]) for h in hits(case)]
    assert found == ([("pdq", apart, mode, state)] if state else [])
    assert summary.wants_exact == ((content("a")["sha256"],) if state == "wants exact" else ())


@pytest.mark.parametrize(("apart", "stands"), [(29, True), (31, True), (32, False)])
def test_exact_mode_decides_what_fast_mode_found(case, put, add, apart, stands):
    put(case, "contents", [content("a")], "intake")
    put(case, "traits", pdq_rows("a", bits(33)), "intake")
    add(f"pdq:{bits(0).hex()}")
    match(case)
    waiting = hits(case)[0]["id"]
    assert confirm(case).states == {"wants exact": 1}, "what intake could not hash again goes on waiting"
    put(case, "traits", pdq_rows("a", bits(apart), mode="exact"), "intake")
    summary = confirm(case)
    found = [(h["id"], h["distance"], h["mode"], h["state"]) for h in hits(case)]
    assert found == ([(waiting, apart, "exact", "stands")] if stands else [])
    assert summary.wants_exact == ()


@pytest.mark.parametrize(("quality", "searched"), [(49, 0), (50, 1), (None, 0)])
def test_pictures_of_low_or_unknown_quality_are_left_out_and_said(case, put, add, quality, searched):
    put(case, "contents", [content("a")], "intake")
    rows = pdq_rows("a", bits(0), quality, "exact")
    put(case, "traits", rows if quality is not None else rows[:1], "intake")
    add(f"pdq:{bits(0).hex()}")
    summary = match(case)
    assert summary.near_searched == len(hits(case)) == searched
    assert sum(summary.near_excluded.values()) == 1 - searched


def test_fast_hashes_of_middling_quality_are_said_to_be_able_to_miss(case, put, add):
    put(case, "traits", pdq_rows("a", bits(0), 79), "intake")
    assert any("can be missed" in line for line in match(case).covered)
    put(case, "traits", pdq_rows("a", bits(0), 79, "exact"), "intake")
    assert not any("can be missed" in line for line in match(case).covered)


def test_a_second_run_writes_the_same_and_a_grown_case_adds(case, put, add):
    put(case, "contents", [content("a")], "intake")
    add("\n".join(content(n)["sha256"].hex() for n in "ab"))
    match(case)
    first = [tuple(h) for h in hits(case)]
    match(case)
    assert [tuple(h) for h in hits(case)] == first
    put(case, "contents", [content("b")], "intake")
    match(case)
    assert set(first) < {tuple(h) for h in hits(case)}


def test_adding_the_same_file_again_changes_nothing(case, add):
    first = add(content("a")["sha256"].hex())
    assert add(content("a")["sha256"].hex()) == first
    assert case.read().execute("SELECT count(*) FROM hashsets").fetchone()[0] == 1
    with pytest.raises(Usage, match="another hash set"):
        add(content("b")["sha256"].hex())


def test_the_kind_is_held_against_the_file(case, add):
    with pytest.raises(Refused):
        add([{**hexes("a", "md5"), "Category": 1}], kind=GOOD)
    assert case.read().execute("SELECT count(*) FROM hashsets").fetchone()[0] == 0
    assert list((case.folder / "hashsets").iterdir()) == [], "a refusal leaves nothing behind"


@pytest.mark.parametrize("text", ["", "hello\n", "# nothing but comments\n"])
def test_a_file_that_nobody_knows_is_refused(add, text):
    with pytest.raises(Usage):
        add(text)


def test_a_changed_set_is_refused_naming_the_file(case, put, add):
    put(case, "contents", [content("a")], "intake")
    made = add(content("a")["sha256"].hex())
    folder = case.folder / "hashsets" / made.id
    for path in sorted(p for p in folder.rglob("*") if p.is_file() and p.stat().st_size):
        good = path.read_bytes()
        path.write_bytes(bytes([good[0] ^ 1]) + good[1:])
        with pytest.raises(Damaged, match=path.name):
            match(case)
        path.write_bytes(good)
    match(case)
    assert len(hits(case)) == 1


def test_without_a_mandate_nothing_is_added_or_matched(bare_case, tmp_path, allow):
    path = tmp_path / "x.txt"
    path.write_text(content("a")["sha256"].hex())
    allow(bare_case, purposes=["intake"])
    with pytest.raises(Refused):
        add_hashset(bare_case, path=path, name="x", kind=ALERT)
    with pytest.raises(Refused):
        match(bare_case)


def test_many_keys_are_sorted_in_buckets_as_few_are_in_one(case, add, put, monkeypatch):
    names = [f"f{n}" for n in range(3_000)]
    text = "\n".join(content(n)["sha256"].hex() for n in [*names, *names[:10]])
    plain = hashsets.load(case.folder / "hashsets" / add(text).id)
    monkeypatch.setattr(hashsets, "BUCKETS_FROM", 100)
    monkeypatch.setattr(hashsets, "CHUNK", 700)
    cut = hashsets.load(case.folder / "hashsets" / add(text, name="other").id)
    assert plain.keys["sha256"].tobytes() == cut.keys["sha256"].tobytes()
    assert plain.rows["sha256"].tobytes() == cut.rows["sha256"].tobytes()
    put(case, "contents", [content(n) for n in [*names[:20], "no"]], "intake")
    assert match(case).hits == {"alert": 2 * 30}


MD5S = st.binary(min_size=16, max_size=16) | st.sampled_from([bytes(16), bytes(15) + b"\1", b"\1" + bytes(15)])


@given(
    keys=st.lists(MD5S, max_size=40),
    queries=st.lists(st.integers(0, 60), max_size=40),
    strange=st.lists(MD5S, max_size=5),
)
@settings(max_examples=200, deadline=None)
def test_lookup_finds_every_equal_pair_and_no_other(keys, queries, strange):
    ordered = sorted(keys)
    asked = [ordered[q] for q in queries if q < len(ordered)] + strange
    as_array = np.frombuffer(b"".join(asked), np.uint8).reshape(-1, 16)
    held = np.frombuffer(b"".join(ordered), "S16") if ordered else np.zeros(0, "S16")
    found = sorted_keys.lookup(held, as_array)
    pairs = sorted(zip(found.query.tolist(), found.at.tolist(), strict=True))
    assert pairs == [(q, k) for q, wanted in enumerate(asked) for k, key in enumerate(ordered) if key == wanted]
