"""Archives through a whole intake: members are Items with a parent, every budget and every break is in the account."""

import json
import os
import shutil
import struct
import subprocess
from pathlib import Path

import pytest
from archive_world import TEXT, rar5, tarred, zipped
from cases import sha256

from case_made import new_case
from clew.core import shards
from clew.core.case import Case
from clew.intake import expand
from clew.intake.account import Account
from clew.intake.archives.budget import Budgets
from clew.intake.options import Options
from clew.intake.refs import chain_of, member_ref, names_of, otherwise_numbered, quote, starts_of, unnumbered
from clew.intake.run import exact, intake

PLAIN = Options(extractors=())


def take(case: Case, path: Path, **budget: int) -> Account:
    options = Options(extractors=(), budgets=Budgets(**budget)) if budget else PLAIN
    return intake(case, path=path, label="X", workers=1, options=options).account


def rows(case: Case) -> dict[str, dict[str, object]]:
    """Every Item by its ref: listing, content and state."""
    sql = """SELECT l.*, c.sha256, c.media_type, c.size AS got, c.content_state AS as_read
             FROM listings l LEFT JOIN contents c USING (item)"""
    states = {row["id"]: dict(row) for row in case.read().execute("SELECT id, state, reason, detail FROM items")}
    found = {row["ref"]: row | states.pop(row["item"]) for row in shards.query(case, sql).to_pylist()}
    assert not states
    return found


def tree(folder: Path, files: dict[str, bytes]) -> Path:
    folder.mkdir()
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return folder


def test_members_are_items_with_their_archive_as_parent(tmp_path):
    inner = tarred([("deep.txt", TEXT), ("../../outside", b"2")], "w:xz")
    files = {"a.zip": zipped([("one", b"1"), ("same", b"s"), ("same", b"t"), ("in.txz", inner)]), "plain!#0": b"p"}
    case = new_case(tmp_path / "case")
    found = take(case, tree(tmp_path / "x", files))
    assert found.complete, found.words()
    by_ref = rows(case)
    nested = "file/a.zip!in.txz#3"
    assert {ref: row["sha256"] for ref, row in by_ref.items() if "deep" in ref or "out" in ref or "same" in ref} == {
        f"{nested}!deep.txt#0": sha256(TEXT),
        f"{nested}!../../outside#1": sha256(b"2"),
        "file/a.zip!same#1": sha256(b"s"),
        "file/a.zip!same#2": sha256(b"t"),
    }
    row = by_ref[f"{nested}!../../outside#1"]
    assert row["path"] == b"a.zip!/in.txz!/../../outside"
    assert row["parent"] == by_ref[nested]["item"]
    assert row["times_source"] == "tar header, UTC"
    assert row["modified_ns"] == 800_000_000 * 10**9
    assert by_ref["file/plain%21#0"]["sha256"] == sha256(b"p")
    assert not (tmp_path / "outside").exists()
    exact(case, [])  # opens no pool


def test_what_an_earlier_version_listed_stays_as_it_is(tmp_path, monkeypatch):
    case, folder = new_case(tmp_path / "case"), tree(tmp_path / "x", {"a.zip": zipped([("one", b"1")])})
    monkeypatch.setattr(expand, "VERSION", "1")
    take(case, folder)
    before, receipts = rows(case), "SELECT count(*) FROM receipts"
    assert before["file/a.zip!one#0"]["found_by"] == "folder 1: archive 1, zip"
    count = case.read().execute(receipts).fetchone()[0]
    monkeypatch.undo()
    (folder / "b.zip").write_bytes(zipped([("two", b"2")]))
    take(case, folder)
    assert rows(case) == before
    assert case.read().execute(receipts).fetchone()[0] == count
    other = new_case(tmp_path / "other")
    take(other, folder)
    assert rows(other)["file/b.zip!two#0"]["found_by"] == "folder 1: archive 6, zip"


def test_refs_tell_members_from_names_that_look_like_them():
    assert quote(b"a!b#3") == "a%21b#3"
    ref = member_ref(member_ref("file/a", b"b!c#1", 3), b"\xff", 0)
    assert chain_of(ref) == (["file/a", "file/a!b%21c#1#3"], [3, 0])
    assert chain_of("file/a%21b#3") == ([], [])
    placed = member_ref("file/a", b"b@1#2", 3, 4096)
    assert (chain_of(placed), names_of(placed), starts_of(placed)) == ((["file/a"], [3]), [b"b@1#2"], [4096])
    assert (starts_of(ref), unnumbered(ref)) == ([None, None], None)
    assert unnumbered(placed) == unnumbered(member_ref("file/a", b"b@1#2", 7, 4096))
    nameless = otherwise_numbered("file/a", 3)
    assert nameless != member_ref("file/a", b"", 3)
    assert (chain_of(nameless), names_of(nameless)) == ((["file/a"], [3]), [b""])


def test_broken_and_closed_archives_are_in_the_account(tmp_path):
    whole = tarred([("a", TEXT), ("b", os.urandom(50_000)), ("c", TEXT)], "w:gz")
    crc = bytearray(zipped([("bad", TEXT), ("good", TEXT)]))
    crc[crc.find(b"PK\x01\x02") + 16] ^= 1
    files = {
        "cut.tgz": whole[:20_000],
        "crc.zip": bytes(crc),
        "cut.zip": zipped([("a", TEXT), ("b", TEXT)])[:-60],
        "closed.rar": rar5([(b"a", bytes(16))], closed=True),
        "hidden.rar": rar5([], hidden=True),
    }
    case = new_case(tmp_path / "case")
    found = take(case, tree(tmp_path / "x", files))
    assert found.balanced
    assert not found.complete
    assert found.notes == {"zip archives read by their local headers, as their directory could not be read": 1}
    assert not found.parts_open
    by_ref = rows(case)
    assert by_ref["file/cut.tgz!a#0"]["state"] == "done"
    assert by_ref["file/cut.tgz!b#1"]["state"] == "unreadable"
    assert by_ref["file/cut.tgz!b#1"]["as_read"] == "partial"
    rest = by_ref["file/cut.tgz!#2"]
    assert (rest["state"], rest["reason"]) == ("unreadable", "unparsable")
    assert "the rest of this archive, after 2 members" in rest["detail"]
    bad, good = by_ref["file/crc.zip!bad#0"], by_ref["file/crc.zip!good#1"]
    assert (bad["state"], bad["as_read"], bad["sha256"]) == ("unreadable", "partial", sha256(TEXT))
    assert "hashed, but then: its CRC-32" in bad["detail"]
    assert (good["state"], good["as_read"]) == ("done", "complete")
    assert by_ref["file/closed.rar!a#0"]["reason"] == "encrypted"
    assert by_ref["file/hidden.rar!#0"]["reason"] == "encrypted"
    assert next(row["state"] for ref, row in by_ref.items() if ref.startswith("file/cut.zip!b#1@")) == "done"
    assert "it has no directory" in by_ref["file/cut.zip!#2"]["detail"]
    assert found.unreadable_by_reason == {"unparsable": 4, "encrypted": 2}


def russian_doll() -> bytes:
    """An archive in an archive in an archive: as a quine would be, only that this one has an end."""
    data = TEXT
    for level in range(14):
        data = zipped([(f"level-{level}", data)])
    return data


def test_every_budget_is_said_where_it_ends_something(tmp_path):
    files = {
        "deep.zip": russian_doll(),
        "bomb.zip": zipped([("small", TEXT), ("zeros", bytes(8 << 20)), ("after", TEXT)]),
        "many.tar": tarred([(f"{number}", b"x") for number in range(60)]),
    }
    case = new_case(tmp_path / "case")
    found = take(case, tree(tmp_path / "x", files), depth=3, members=50, least=1 << 20, ratio=10, large_ratio=1)
    assert found.balanced
    by_ref = rows(case)
    assert by_ref["file/bomb.zip!small#0"]["state"] == by_ref["file/bomb.zip!after#2"]["state"] == "done"
    bomb = by_ref["file/bomb.zip!zeros#1"]
    assert (bomb["state"], bomb["reason"], bomb["size"]) == ("unreadable", "limit reached", 8 << 20)
    assert sum(ref.startswith("file/many.tar!") for ref in by_ref) == 51
    assert by_ref["file/many.tar!#50"]["reason"] == "limit reached"
    deepest = max((ref for ref in by_ref if ref.startswith("file/deep")), key=len)
    assert deepest.count("!") == 4
    assert by_ref[deepest]["reason"] == "limit reached"
    assert "archives" in by_ref[deepest]["detail"]
    assert found.unreadable_by_reason == {"limit reached": 3}
    config = json.loads(case.read().execute("SELECT config FROM intake_runs").fetchone()["config"])
    assert (config["archives"]["depth"], config["archives"]["members"]) == (3, 50)


def test_members_without_a_name_count_like_others(tmp_path):
    files = {"many.tar": tarred([("", b"x" * 600)] * 60), "large.tar": tarred([("", bytes(8 << 20))] * 3)}
    case = new_case(tmp_path / "case")
    take(case, tree(tmp_path / "x", files), members=50, least=10 << 20, ratio=0, large_ratio=0)
    by_ref = rows(case)
    assert sum(ref.startswith("file/many.tar!") for ref in by_ref) == 51
    assert by_ref["file/many.tar!#50"]["reason"] == "limit reached"
    assert [by_ref[f"file/large.tar!#{number}"]["state"] for number in range(3)] == ["done", "unreadable", "unreadable"]


def test_a_damaged_header_of_a_tar_is_in_the_account(tmp_path):
    data = bytearray(tarred([("a", TEXT), ("b", TEXT), ("c", TEXT)]))
    data[data.find(b"b\0\0\0") + 150] ^= 1  # its checksum
    case = new_case(tmp_path / "case")
    found = take(case, tree(tmp_path / "x", {"a.tar": bytes(data)}))
    assert not found.complete
    by_ref = rows(case)
    assert by_ref["file/a.tar!c#2"]["sha256"] == sha256(TEXT)
    assert "members may be lost" in by_ref["file/a.tar!#1"]["detail"]
    assert len(by_ref) == 4


def test_a_member_that_goes_on_behind_its_size_is_cut(tmp_path):
    data = bytearray(zipped([("a", bytes(4 << 20))]))
    at = data.find(b"PK\x01\x02")
    data[at + 24 : at + 28] = struct.pack("<I", 10)
    case = new_case(tmp_path / "case")
    take(case, tree(tmp_path / "x", {"a.zip": bytes(data)}), overrun=1 << 20)
    row = rows(case)["file/a.zip!a#0"]
    assert (row["state"], row["reason"], row["size"], row["got"]) == ("unreadable", "limit reached", 10, (1 << 20) + 10)


def test_what_is_larger_than_is_held_is_streamed_or_said(tmp_path, monkeypatch):
    """Archives in archives above what a worker holds: tar goes on as a stream, 7z says what to do."""
    from clew.core.absent import Absent
    from clew.intake.archives import opening

    monkeypatch.setattr(opening, "HOLD", 1000)
    path = tmp_path / "outer.tgz"
    inner = tarred([("a", TEXT), ("b", TEXT * 2)])
    path.write_bytes(tarred([("x", b"x"), ("inner.tar", inner), ("i.7z", b"7z\xbc\xaf\x27\x1c" + bytes(2000))], "w:gz"))
    place = {
        "outer": {"opener": "clew.intake.sources.folder:file"},
        "key": "k",
        "stems": ["", ""],
        "starts": [None, None],
    }
    descriptor = os.open(path, os.O_RDONLY)
    try:
        tar = {**place, "kinds": ["application/gzip", "application/x-tar"], "members": [1, 1]}
        tar["names"] = [b"inner.tar".hex(), b"b".hex()]
        member = opening.member({"place": tar, "size": len(TEXT) * 2, "overrun": 0}, [descriptor])
        assert member.read(0, 1 << 20) == TEXT * 2
        seven = {**place, "kinds": ["application/gzip", "application/x-7z-compressed"], "members": [2, 0]}
        seven["names"] = [b"i.7z".hex(), b"".hex()]
        with pytest.raises(Absent, match=r"too large: a 7z archive .* take it in as an exhibit of its own"):
            opening.member({"place": seven, "size": 1, "overrun": 0}, [descriptor])
        said = opening.listing(
            {"place": {**seven, "members": [2]}, "first": 0, "most": 9, "span": 9, "room": 9, "again": False},
            [descriptor],
        )
        assert said.value["missing"]["reason"] == "too large"
    finally:
        os.close(descriptor)
        opening._cut(0)


def test_an_archive_kept_open_reads_from_the_task_in_hand(tmp_path):
    """The descriptor of the task before is closed, and its number may stand for another file by now."""
    from clew.intake.archives import opening

    data = zipped([(f"{number}", b"%d" % number * 5) for number in range(4)])
    (tmp_path / "a.zip").write_bytes(data)
    (tmp_path / "other").write_bytes(bytes(len(data)))
    place = {
        "outer": {"opener": "clew.intake.sources.folder:file"},
        "key": "k",
        "stems": [""],
        "starts": [None],
        "kinds": ["application/zip"],
    }
    for number in range(4):
        descriptor = os.open(tmp_path / "a.zip", os.O_RDONLY)
        here = {**place, "members": [number], "names": [f"{number}".encode().hex()]}
        member = opening.member({"place": here, "size": 5, "overrun": 0}, [descriptor])
        assert member.read(0, 99) == b"%d" % number * 5
        os.close(descriptor)
        reused = os.open(tmp_path / "other", os.O_RDONLY)
        assert reused == descriptor
        os.close(reused)
    opening._cut(0)


def test_a_worker_that_dies_in_one_member_costs_that_member(tmp_path):
    """Through the extractor of the tests that ends its process on one content."""
    files = [(f"{number}.txt", b"NASTY:crash" if number == 2 else b"text %d" % number) for number in range(5)]
    case = new_case(tmp_path / "case")
    options = Options(extractors=("nasty_extractor:PLUGIN",))
    x = tree(tmp_path / "x", {"a.tgz": tarred(files, "w:gz")})
    found = intake(case, path=x, label="X", workers=1, options=options).account
    assert found.balanced
    by_ref = rows(case)
    assert {ref: row["state"] for ref, row in by_ref.items() if "!" in ref} == {
        f"file/a.tgz!{number}.txt#{number}": "unreadable" if number == 2 else "done" for number in range(5)
    }


def test_members_in_a_disk_image_are_found_too(tmp_path):
    image, archive = tmp_path / "image.raw", tmp_path / "A.ZIP"
    archive.write_bytes(zipped([("inside", TEXT)]))
    with image.open("wb") as out:
        out.truncate(4 << 20)
    subprocess.run(["/usr/sbin/mkfs.fat", image], check=True, capture_output=True)
    subprocess.run(["mcopy", "-i", image, archive, "::/"], check=True, capture_output=True)
    case = new_case(tmp_path / "case")
    take(case, image)
    row = next(row for row in rows(case).values() if row["path"].endswith(b"A.ZIP!/inside"))
    assert (row["state"], row["sha256"]) == ("done", sha256(TEXT))


@pytest.mark.corpus
def test_the_bombs_of_the_corpus_end(tmp_path):
    folder = Path(os.environ["CLEW_CORPUS"]) / "generated/archives"
    x = tmp_path / "x"
    x.mkdir()
    for path in folder.iterdir():
        shutil.copy(path, x)
    case = new_case(tmp_path / "case")
    found = take(case, x, least=64 << 20, ratio=50)
    assert found.balanced
    by_ref = rows(case)
    flat = by_ref["file/flat_bomb.zip!zero.bin#0"]
    assert (flat["reason"], flat["size"]) == ("limit reached", 1 << 30)
    assert found.unreadable_by_reason == {"limit reached": 1001}


def test_what_the_directory_of_a_zip_leaves_out_is_an_orphan_of_that_archive(tmp_path):
    """A zip before a zip, inside another: read, expanded, and found again by its number."""
    inner = zipped([("deep", TEXT)])
    files = {"a.zip": zipped([("hidden.zip", inner)]) + zipped([("shown", b"1")]), "b.zip": zipped([("other", b"2")])}
    case = new_case(tmp_path / "case")
    found = take(case, tree(tmp_path / "x", files))
    assert found.complete, found.words()
    by_ref = rows(case)
    orphan, deep = by_ref["file/a.zip!hidden.zip#1"], by_ref["file/a.zip!hidden.zip#1!deep#0"]
    assert (orphan["name_state"], orphan["sha256"]) == ("orphan", sha256(inner))
    assert (deep["name_state"], deep["sha256"]) == ("orphan", sha256(TEXT))
    assert {row["name_state"] for ref, row in by_ref.items() if "hidden" not in ref} == {"live"}


def test_bytes_behind_a_zip_are_said_of_that_zip(tmp_path):
    case = new_case(tmp_path / "case")
    files = {"a.zip": zipped([("one", b"1")]) + b"something else", "b.zip": zipped([("two", b"2")])}
    found = take(case, tree(tmp_path / "x", files))
    assert not found.complete
    (row,) = [row for row in rows(case).values() if row["state"] == "unreadable"]
    assert row["path"] == b"a.zip!/"
    assert "bytes follow its end at byte" in row["detail"]
