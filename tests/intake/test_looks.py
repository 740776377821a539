"""Each time an Exhibit is opened again: recorded, with how its parsers were isolated and what that did to it."""

import json
import os
import random
import shutil
from contextlib import contextmanager

import libtorrent as lt
import pytest
from cases import copied, sha256

from case_made import new_case
from clew.core.engine import Pool
from clew.core.errors import ClewError, Refused
from clew.intake.again import at_hand
from clew.intake.options import Options
from clew.intake.pieces import held_against
from clew.intake.report import report
from clew.intake.run import exact, intake
from clew.intake.sources import folder as folders
from clew.intake.story import story
from facts_case import put

OPTIONS = Options(workers=1, extractors=("clew.intake.artefacts.torrent:PLUGIN",))
DATA = random.Random(1).randbytes(50_000)
PARTLY = {"landlock": {"reached": False, "detail": "this kernel has none"}, "seccomp": {"reached": True, "detail": ""}}


@pytest.fixture(scope="module")
def exhibits(tmp_path_factory):
    """ "client": a torrent; "files": what it names."""
    tmp_path = tmp_path_factory.mktemp("exhibits")
    for name in ("client", "files"):
        (tmp_path / name).mkdir()
    (tmp_path / "files" / "x.bin").write_bytes(DATA)
    storage = lt.file_storage()
    lt.add_files(storage, str(tmp_path / "files"))
    creator = lt.create_torrent(storage, 1 << 14, 0)
    lt.set_piece_hashes(creator, str(tmp_path))
    (tmp_path / "client" / "t.torrent").write_bytes(lt.bencode(creator.generate()))
    return tmp_path


@pytest.fixture(scope="module")
def with_files(exhibits, tmp_path_factory):
    """A case into which "files" was taken, closed, and what the run reported."""
    case = new_case(tmp_path_factory.mktemp("with-files") / "case")
    ended = take(case, exhibits, "files")
    case.close()
    return case.folder, ended


def take(case, exhibits, label):
    return intake(case, path=exhibits / label, label=label, options=OPTIONS)


def told(case, exhibit):
    return " ".join(event.said for event in story(case, exhibit))


def of_others(monkeypatch):
    """As where the folder is another user's: nobody but its owner may ask the system to leave access times alone."""
    real = os.open

    def refusing(path, flags, *more, **named):
        if flags & os.O_NOATIME:
            raise PermissionError
        return real(path, flags, *more, **named)

    monkeypatch.setattr(folders.os, "open", refusing)


def test_a_look_tells_what_it_touched_and_how_it_was_isolated(tmp_path, with_files, monkeypatch):
    case, ended = copied(with_files[0], tmp_path / "case"), with_files[1]
    assert ended.looks == []
    assert "access times" not in ended.words()
    with monkeypatch.context() as patched:
        of_others(patched)
        patched.setattr(Pool, "isolation", property(lambda _self: PARTLY))
        exact(case, [sha256(DATA)], options=OPTIONS)
    after = report(case, ended.exhibit)
    (look,) = after.looks
    assert look["look"] == "pdq, exact"
    assert look["effects"]["access_times_touched"] >= 2  # the folder, and the file
    assert look["weak"] == ["landlock"]
    assert look["seconds"] is not None
    words = after.words()
    assert f"{look['effects']['access_times_touched']} openings could not ask the system" in words
    assert "in one further look at least, isolation was weak: without landlock" in words
    assert "opened again 1 time, for: pdq, exact" in words
    said = told(case, ended.exhibit)
    assert "It was opened again (pdq, exact; clew" in said
    assert "its parsers isolated without landlock" in said
    assert f"{look['effects']['access_times_touched']} of its openings could not leave access times alone" in said
    assert (after.isolation, after.effects) == (ended.isolation, ended.effects)  # those of the run


def test_a_look_that_was_taken_over_from_a_dead_process_is_told(tmp_path, with_files):
    case, ended = copied(with_files[0], tmp_path / "case"), with_files[1]
    values = ("intake", "files, second look", "x", 1, os.uname().nodename, "another boot", "1", 1)
    with case.write("core") as tx, tx.gate.core():
        tx.execute("INSERT INTO leases VALUES (?,?,?,?,?,?,?,?)", values)
    exact(case, [sha256(DATA)], options=OPTIONS)
    assert "ended without a word (process 1) was taken over" in told(case, ended.exhibit)


def test_a_look_that_failed_is_told_too(tmp_path, with_files, monkeypatch):
    case, ended = copied(with_files[0], tmp_path / "case"), with_files[1]
    with monkeypatch.context() as patched:
        of_others(patched)
        patched.setattr("clew.intake.second._read", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            exact(case, [sha256(DATA)], options=OPTIONS)
    assert report(case, ended.exhibit).looks[0]["effects"]["access_times_touched"] == 1  # of what was looked at


def test_a_torrent_that_is_read_again_for_another_exhibit_is_told_of_its_own(tmp_path, exhibits):
    case = new_case(tmp_path / "case")
    client = take(case, exhibits, "client").exhibit
    files = take(case, exhibits, "files").exhibit
    assert [look["look"] for look in report(case, client).looks] == ["torrents, for their piece hashes"]
    assert report(case, files).looks == []
    assert "It was opened again, while another exhibit was taken in (torrents, for their piece" in told(case, client)
    sql = "SELECT opening FROM ledger JOIN ledger_openings USING (seq) WHERE line LIKE '%look.started%'"
    (about,) = [json.loads(row["opening"]) for row in case.read().execute(sql)]
    assert (about["exhibit"], about["behalf"]) == (client, files)


def test_pieces_are_part_of_the_story(tmp_path, exhibits, with_files):
    case, files = copied(with_files[0], tmp_path / "case"), with_files[1].exhibit  # before the torrent that names them
    client = take(case, exhibits, "client").exhibit
    held_against(case, options=OPTIONS)
    assert "1 contents were held against piece hashes and ed2k hashes." in told(case, files)
    assert "It was opened again (pieces; clew" in told(case, files)
    assert "It was opened again (torrents, for their piece hashes; clew" in told(case, client)


def test_an_exhibit_in_whose_place_another_lies_was_not_opened_again(tmp_path, exhibits):
    """Two disks, one after the other, at one mount point: the first was in the store while the second was taken in."""
    case, mount = new_case(tmp_path / "case"), tmp_path / "mount"
    shutil.copytree(exhibits / "client", mount)
    first = intake(case, path=mount, label="first", options=OPTIONS).exhibit
    mount.rename(tmp_path / "store")
    shutil.copytree(exhibits / "files", mount)
    ended = intake(case, path=mount, label="second", options=OPTIONS)
    assert "left to `clew pieces`: 1 torrents or lists" in ended.words()
    with pytest.raises(Refused, match="does not hold 'first' just now"):
        held_against(case, options=OPTIONS)
    assert report(case, first).looks == []
    assert "opened again" not in told(case, first)


def test_an_image_in_whose_place_another_lies_is_not_read(tmp_path):
    case, image = new_case(tmp_path / "case"), tmp_path / "disk.img"
    image.write_bytes(random.Random(3).randbytes(60_000))
    first = intake(case, path=image, label="first", options=OPTIONS).exhibit
    lies(case, first)
    image.write_bytes(random.Random(4).randbytes(60_000))
    with pytest.raises(Refused, match="is not the exhibit that was taken in as 'first'"):
        exact(case, [sha256(DATA)], options=OPTIONS)
    assert report(case, first).looks == []


def test_a_look_records_nothing_of_what_an_exhibit_is_known_by(tmp_path):
    """Of an exhibit of an older case that is not recorded: what lies there now may be another one."""
    case, image = new_case(tmp_path / "case"), tmp_path / "disk.img"
    image.write_bytes(random.Random(3).randbytes(60_000))
    lies(case, intake(case, path=image, label="first", options=OPTIONS).exhibit)
    with case.write("intake") as tx:
        tx.execute("UPDATE exhibits SET identity=NULL")
    exact(case, [sha256(DATA)], options=OPTIONS)
    assert case.read().execute("SELECT identity FROM exhibits").fetchone()["identity"] is None


def lies(case, exhibit, data=DATA):
    """What a further look finds its way by, as a listing and a reading would have left it."""
    item = f"{exhibit} {len(data)}"
    name = {"ref": "file/x", "name_state": "live", "content_state": "complete"}
    put(case, "listings", [{"item": item, "exhibit": exhibit, "path": b"x", "size": len(data), **name}], "intake")
    content = {"sha256": sha256(data), "size": len(data), "content_state": "complete"}
    put(case, "contents", [{"item": item, "exhibit": exhibit, **content}], "intake")


def test_an_exhibit_that_is_not_at_hand_is_told_as_that(tmp_path, with_files):
    case = copied(with_files[0], tmp_path / "case")
    with case.write("intake") as tx:
        tx.execute("UPDATE exhibits SET location=?", (str(tmp_path / "unplugged"),))
    with pytest.raises(ClewError, match="unplugged is not there any more: nothing lies there"):
        exact(case, [sha256(DATA)], options=OPTIONS)
    assert report(case, with_files[1].exhibit).looks == []


@pytest.fixture
def stored(case):
    """A case with the exhibits "a" and "b": of three contents the second lies in both."""
    with case.write("intake") as tx:
        for exhibit in "ab":
            columns = "id, label, kind, location, seized_by, seized_where, acquisition, mandate, added_ns"
            values = (exhibit, f"disk {exhibit}", "folder", f"/{exhibit}", "", "", "{}", "m", 1)
            tx.execute(f"INSERT INTO exhibits ({columns}) VALUES (?,?,?,?,?,?,?,?,?)", values)
    for exhibit, contents in {"a": (b"1", b"22"), "b": (b"22", b"333")}.items():
        for data in contents:
            lies(case, exhibit, data)
    return case


def looked_in(case, contents, away, **more):
    """Which contents are read in which exhibit, while those `away` cannot be opened; why others are not, and the error
    of who could read nothing.
    """
    read, failed = {}, {}

    @contextmanager
    def opening(exhibit):
        if exhibit in away:
            raise Refused(f"{exhibit} is in the store")
        yield exhibit

    def use(opened, exhibit, rows):
        assert opened == exhibit
        read.setdefault(exhibit, set()).update(row["sha256"] for row in rows)

    none = at_hand(case, [sha256(each) for each in contents], opening, use, failed, **more)
    return read, failed, none


@pytest.mark.parametrize(
    ("away", "read", "left"),
    [
        ("", {"a": [b"1", b"22"], "b": [b"333"]}, {}),
        ("a", {"b": [b"22", b"333"]}, {b"1": "disk a: a is in the store"}),
        ("b", {"a": [b"1", b"22"]}, {b"333": "disk b: b is in the store"}),
    ],
)
def test_an_exhibit_in_the_store_keeps_nobody_from_those_at_hand(stored, away, read, left):
    """A new hash set, months later: what is near it lies in several exhibits, of which some are connected."""
    found, failed, none = looked_in(stored, (b"1", b"22", b"333"), away)
    assert found == {exhibit: {sha256(each) for each in contents} for exhibit, contents in read.items()}
    assert failed == {sha256(content).hex(): why for content, why in left.items()}
    assert none is None


def test_where_none_can_be_opened_the_first_error_is_handed_back(stored):
    found, failed, none = looked_in(stored, (b"1", b"22", b"333"), "ab")
    assert (found, sorted(failed)) == ({}, sorted(sha256(each).hex() for each in (b"1", b"22", b"333")))
    assert isinstance(none, Refused)
    assert looked_in(stored, (b"22",), "", apart=["a"])[0] == {"b": {sha256(b"22")}}
    assert looked_in(stored, (b"22",), "b", exhibit="b")[0] == {}
    assert looked_in(stored, (), "ab") == ({}, {}, None)
