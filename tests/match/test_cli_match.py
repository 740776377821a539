"""The verbs hashset, match and identify, as a person types them."""

import hashlib
import json

import pytest

from clew.cli import match
from clew.intake import run as intake
from clew.intake.second import Looked
from facts_case import allow


@pytest.fixture
def full(case, put):
    names = {a: hashlib.new(a, b"x").digest() for a in ("sha256", "sha1", "md5")}
    put(case, "contents", [names | {"item": "i", "exhibit": "e", "size": 1}], "intake")
    traits = []
    for sha256, value in ((names["sha256"], bytes(32)), (b"\1" * 32, bytes(31) + b"\1")):
        same = {"content": sha256, "mode": "exact", "version": "1"}
        traits += [same | {"name": "pdq", "data": value}, same | {"name": "pdq.quality", "integer": 90}]
    put(case, "traits", traits, "intake")
    return case.folder


def test_add_match_identify(clew, full, tmp_path):
    known = tmp_path / "known.txt"
    known.write_text(f"{hashlib.md5(b'x').hexdigest()}\nd41d8cd98f00b204e9800998ecf8427e\n")
    status, out, _ = clew("hashset", "add", full, known, "--name", "n", "--kind", "alert")
    assert status == 0
    assert "1 entries" in out
    assert "dropped: 1 x hash of zero bytes" in out
    assert "n  alert" in clew("hashset", "list", full)[1]
    status, out, _ = clew("match", full, "--json")
    assert (status, json.loads(out)["contents_hit"]) == (0, {"alert": 1})
    assert "contents hit: 1 alert" in clew("match", full)[1]
    status, out, _ = clew("identify", full, "--json")
    assert (status, json.loads(out)["series"], json.loads(out)["known"]) == (0, 1, 1)
    assert "1 series of 2 pictures" in clew("identify", full)[1]


def test_near_hits_are_carried_to_intake_and_what_it_cannot_read_is_said(clew, full, case, put, tmp_path):
    """A Content that no Exhibit brings any more: intake cannot hash it again, so its near hit goes on waiting."""
    same = {"content": b"\2" * 32, "mode": "fast", "version": "1"}
    far = {"data": b"\xff" * 32}
    put(case, "traits", [same | {"name": "pdq"} | far, same | {"name": "pdq.quality", "integer": 90}], "intake")
    (tmp_path / "k").write_text(f"pdq:{'ff' * 32}\n")
    clew("hashset", "add", full, tmp_path / "k", "--name", "n", "--kind", "alert")
    status, out, _ = clew("match", full, "--json")
    assert (status, json.loads(out)["states"]) == (3, {"wants exact": 1})
    assert json.loads(out)["not_hashed_again"] == {"02" * 32: match.NOT_SAID}
    assert clew("match", full, "--no-exact")[0] == 0


def test_what_matched_is_told_while_the_exhibits_of_near_hits_lie_in_the_store(clew, full, case, put, tmp_path):
    """A new hash set, months after the disks were taken in."""
    allow(case)
    with case.write("intake") as tx:
        columns = "id, label, kind, location, seized_by, seized_where, acquisition, mandate, added_ns"
        values = ("away", "disk 1", "folder", str(tmp_path / "away"), "", "", "{}", "m", 1)
        tx.execute(f"INSERT INTO exhibits ({columns}) VALUES (?,?,?,?,?,?,?,?,?)", values)
    for n in (2, 3):
        content, item = bytes([n]) * 32, f"i{n}"
        name = {"item": item, "exhibit": "away", "ref": f"file/{n}", "path": b"x", "size": 1}
        put(case, "listings", [name | {"name_state": "live", "content_state": "complete"}], "intake")
        read = {"item": item, "exhibit": "away", "sha256": content, "size": 1, "content_state": "complete"}
        put(case, "contents", [read | {"sha1": content[:20], "md5": content[:16]}], "intake")
        same = {"content": content, "mode": "fast", "version": "1"}
        quality = {"name": "pdq.quality", "integer": 90}
        put(case, "traits", [same | {"name": "pdq", "data": b"\xff" * 31 + bytes([n])}, same | quality], "intake")
    (tmp_path / "k").write_text(f"{hashlib.md5(b'x').hexdigest()}\npdq:{'ff' * 32}\n")
    clew("hashset", "add", full, tmp_path / "k", "--name", "n", "--kind", "alert")
    status, out, err = clew("match", full)
    assert status == 1
    assert "contents hit: 3 alert" in out
    assert "near hits wait: contents 2: the exhibit at" in out
    assert "away is not there any more: nothing lies there" in err
    assert len(json.loads(clew("match", full, "--json")[1])["not_hashed_again"]) == 2


def test_a_picture_of_a_file_that_nothing_waits_for_may_fail(clew, full, case, put, tmp_path, monkeypatch):
    """The main picture of a HEIF cannot be decoded; a further one is near, and is hashed again."""
    further = {"content": b"\2" * 32, "extractor": "further", "version": "1", "name": "video.pdq", "number": 1.0}
    further |= {"data": b"\xff" * 32, "integer": 90}
    put(case, "traits", [further | {"mode": "fast"}], "intake")

    def again(opened, contents, options):
        weak.append(options.accept_weak_isolation)
        put(opened, "traits", [further | {"mode": "exact"}], "intake")
        return Looked(2, 1, {contents[0].hex(): "unparsable"})

    weak: list[bool] = []
    monkeypatch.setattr(intake, "exact", again)
    (tmp_path / "k").write_text(f"pdq:{'ff' * 32}\n")
    clew("hashset", "add", full, tmp_path / "k", "--name", "n", "--kind", "alert")
    status, out, _ = clew("match", full, "--json", "--accept-weak-isolation")
    assert weak == [True]
    assert (status, json.loads(out)["states"], json.loads(out)["not_hashed_again"]) == (0, {"stands": 1}, {})


def test_a_hash_set_says_which_hashes_it_holds_and_that_64_digits_may_be_pdq(clew, full, tmp_path):
    """Partners hand PDQ hashes over as 64 digits a line; read as SHA-256 they match nothing."""
    digits = "ab" * 32
    for name, text, counts, noted in (
        ("bare", f"{digits}\n", "1 sha256", True),
        ("pdq", f"pdq:{digits}\n", "1 pdq", False),
        ("mixed", f"{digits}\n{'cd' * 16}\n{'cd' * 20}\n", "1 sha256, 1 sha1, 1 md5", False),
    ):
        (tmp_path / name).write_text(text)
        _, out, _ = clew("hashset", "add", full, tmp_path / name, "--name", name, "--kind", "alert")
        assert f"(alert, read as plainlist): {counts}\n" in out
        assert ("without pdq: before each" in out) == noted
        assert f"plainlist 1: {counts}\n" in clew("hashset", "list", full)[1]
    listed = json.loads(clew("hashset", "list", full, "--json")[1])["hashsets"]
    assert [each["algorithms"] for each in listed] == [{"sha256": 1}, {"sha256": 1, "sha1": 1, "md5": 1}, {"pdq": 1}]


def test_a_hash_set_that_is_damaged_is_named_and_hides_no_other(clew, full, tmp_path):
    made = {}
    for name, digits in (("lost", "ab"), ("whole", "cd")):
        (tmp_path / name).write_text(digits * 16)
        out = clew("hashset", "add", full, tmp_path / name, "--name", name, "--kind", "alert", "--json")[1]
        made[name] = full / "hashsets" / json.loads(out)["id"]
    (made["lost"] / "md5.keys").unlink()
    status, out, _ = clew("hashset", "list", full)
    lost, whole = out.splitlines()
    assert (status, whole) == (3, "whole  alert  1 entries  plainlist 1: 1 md5")
    assert lost.startswith(f"lost  alert  1 entries  plainlist 1: NOT USABLE, {made['lost'] / 'md5.keys'} cannot be")
    told = json.loads(clew("hashset", "list", full, "--json")[1])["hashsets"]
    assert [(each["algorithms"], each["damaged"] is None) for each in told] == [(None, False), ({"md5": 1}, True)]
    assert clew("hashset", "add", full, tmp_path / "lost", "--name", "lost", "--kind", "alert")[0] == 0
    assert (clew("hashset", "list", full)[0], clew("match", full)[0]) == (0, 0)


def test_exhibits_that_are_not_at_their_end_are_named(clew, full, case):
    said = "note: not at their end, so that what they still hold was not matched: E-1\n"
    assert said not in clew("match", full)[1]
    with case.write("intake") as tx:
        columns = "id, label, kind, location, seized_by, seized_where, mandate, added_ns"
        tx.execute(f"INSERT INTO exhibits ({columns}) VALUES ('1', 'E-1', 'folder', 'x', '', '', 'm', 1)")
        columns = "id, exhibit, started_ns, ended_ns, config, isolation, mandate"
        tx.execute(f"INSERT INTO intake_runs ({columns}) VALUES ('r', '1', 1, NULL, '', '', 'm')")
    assert said in clew("match", full)[1]
    with case.write("intake") as tx:
        tx.execute("UPDATE intake_runs SET ended_ns=2")
        tx.execute("INSERT INTO exhibit_runs VALUES ('1', 'tree', '', NULL, '{}')")
    assert said in clew("match", full)[1]
    with case.write("intake") as tx:
        tx.execute("UPDATE exhibit_runs SET done_ns=2")
    assert said not in clew("match", full)[1]


def test_the_kind_must_be_said(clew, full, tmp_path):
    (tmp_path / "k").write_text(hashlib.md5(b"x").hexdigest())
    status, _, err = clew("hashset", "add", full, tmp_path / "k", "--name", "n")
    assert status == 2
    assert "--kind" in err


@pytest.mark.parametrize("verb", [["hashset", "add"], ["hashset", "list"], ["match"], ["identify"]])
def test_help_shows_an_example(clew, verb):
    status, out, _ = clew(*verb, "--help")
    assert status == 0
    assert f"clew {' '.join(verb)} CASE" in out
