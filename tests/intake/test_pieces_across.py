"""Pieces that lie in several files: libtorrent makes the torrents, and hashlib says by hand what each piece is."""

import hashlib
import io
import zipfile
from dataclasses import replace

import pytest
from cases import sha256
from seized_pieces import HYBRID, OPTIONS, PIECE, V2_ONLY, Seized, by_hand, bytes_of, photos, said, torrent

from clew.core import descriptors
from clew.core.engine import Pool
from clew.intake import across, across_plan, piece_layout
from clew.intake import pieces as looking
from clew.intake.artefacts import _examples as made
from clew.intake.pieces import held_against
from clew.model import Missing, Reason


def test_photos_that_are_smaller_than_a_piece_are_all_told_of(tmp_path, seized):
    files = photos()
    data = torrent(tmp_path, files)
    seized.take(files | {"x.torrent": data})
    done = seized.hold()
    hand = by_hand(data, list(files.values()))
    assert done.failed == {}
    assert (done.not_at_all, done.partly, done.not_checkable) == (0, 0, 0)
    assert done.across == done.across_fitting == len({number for _, number in hand})
    assert done.across_files == 40
    for index, content in enumerate(files.values()):
        assert seized.shown(content) == {number: said for (file, number), said in hand.items() if file == index}
        assert all(each["index"] == index and each["matching"] == each["checked"] for each in seized.told(content))
    covered = [sum(count for _, count, _ in seized.shown(content).values()) for content in files.values()]
    assert covered[:-1] == [len(content) for content in files.values()][:-1]  # the last one has a piece of its own
    assert done.whole == 1


def test_what_was_tried_is_not_tried_again_and_tells_the_same_wherever_it_is_done(tmp_path, seized):
    files = photos(12)
    seized.take(files | {"x.torrent": torrent(tmp_path, files)})
    assert seized.hold().across > 0
    rows = [seized.told(content) for content in files.values()]
    again = seized.hold()
    assert (again.torrents, again.contents, again.across, again.not_checkable, again.failed) == (0, 0, 0, 0, {})
    other = Seized(tmp_path / "other")
    other.take(files | {"x.torrent": torrent(tmp_path, files)})
    other.hold()
    assert [other.told(content) for content in files.values()] == rows


def test_files_under_other_names_fit_too(tmp_path, seized):
    files = photos(12)
    renamed = {f"f{n:05}.bin": data for n, data in enumerate(reversed(files.values()))}
    seized.take(renamed | {"x.torrent": torrent(tmp_path, files)})
    assert seized.hold().across_files == 12


def test_one_wrong_file_speaks_against_none_of_those_that_it_lies_with(tmp_path, seized):
    files = photos(12)
    data = torrent(tmp_path, files)
    name = "DCIM/IMG_0005.jpg"
    wrong = bytes_of(len(files[name]), 99)
    seized.take(files | {name: wrong, "x.torrent": data})
    done = seized.hold()
    broken = {number for file, number in by_hand(data, list(files.values())) if file == 5}
    assert done.across - done.across_fitting == len(broken)
    assert (done.failed, done.not_at_all) == ({}, 0)
    assert seized.shown(wrong) == {}
    assert seized.told(wrong)[0]["checked"] == len(broken)
    others = [content for content in files.values() if content != files[name]]
    assert all(not broken & seized.shown(content).keys() for content in others)
    assert any(seized.shown(content) for content in others)


def test_of_several_of_one_size_the_one_of_that_name_is_tried_first_and_then_a_few_others(tmp_path, seized):
    files = {f"set/{n}.bmp": bytes_of(6_000, n) for n in range(9)}
    data = torrent(tmp_path, files)
    decoys = {"set/4.bmp": bytes_of(6_000, 100), "lost/f1": files["set/4.bmp"]}
    seized.take(files | decoys | {"x.torrent": data})
    done = seized.hold()
    assert done.failed == {}
    hand = by_hand(data, list(files.values()))
    right = {n for n in range(9) if seized.shown(files[f"set/{n}.bmp"])}
    fitting = {number for n in right for number in seized.shown(files[f"set/{n}.bmp"])}
    assert fitting >= {number for _, number in hand} - {number for file, number in hand if file == 4}
    assert seized.shown(decoys["set/4.bmp"]) == {}


def test_of_two_that_have_the_name_the_other_is_tried_where_the_first_does_not_fit(tmp_path, seized):
    files = photos(9)
    data = torrent(tmp_path, files)
    name = "DCIM/IMG_0004.jpg"
    wrong = bytes_of(len(files[name]), 99)
    seized.take(files | {name: wrong, "backup/IMG_0004.jpg": files[name], "x.torrent": data})
    done = seized.hold()
    assert done.across == done.across_fitting
    assert seized.shown(files[name])
    assert seized.shown(wrong) == {}
    again = seized.hold()
    assert (again.across, again.failed) == (0, {})


def test_of_many_that_have_the_name_those_are_looked_at_whose_paths_end_most_alike(tmp_path, seized, monkeypatch):
    files = {f"day{n:02}/a.bmp": bytes_of(6_000, n) for n in range(20)}
    seized.take({f"disk/{name}": data for name, data in files.items()} | {"x.torrent": torrent(tmp_path, files)})
    monkeypatch.setattr(across_plan, "MOST_PATHS", 2)
    monkeypatch.setattr(across_plan, "MOST_CANDIDATES", 1)
    done = seized.hold()
    assert (done.failed, done.across_files) == ({}, 20)
    assert done.across == done.across_fitting


def test_pads_are_zeros_and_need_no_content(tmp_path, seized):
    contents = {"a": bytes_of(20_000, 1), "b": bytes_of(9_000, 2), "c": bytes_of(3_000, 3)}
    laid = [("a", 20_000), (".pad/700", 700), (".pad/9", 9), ("b", 9_000), ("c", 3_000)]
    joined = contents["a"] + bytes(709) + contents["b"] + contents["c"]
    listed = [
        {"length": size, "path": name.split("/"), **({"attr": "p"} if name.startswith(".pad") else {})}
        for name, size in laid
    ]
    pieces = b"".join(hashlib.sha1(joined[at : at + PIECE]).digest() for at in range(0, len(joined), PIECE))
    info = {"name": "set", "piece length": PIECE, "files": listed, "pieces": pieces}
    seized.take(contents | {"x.torrent": made.bencode({"info": info})})
    done = seized.hold()
    assert (done.whole, done.across, done.across_fitting, done.failed) == (1, 1, 1, {})
    assert seized.shown(contents["a"]) == {1: (PIECE, 20_000 - PIECE, 3)}
    assert seized.shown(contents["b"]) == {1: (0, 9_000, 3)}


@pytest.mark.parametrize("flags", [V2_ONLY, HYBRID])
def test_of_v2_and_hybrids_nothing_is_tried_across_files(tmp_path, seized, flags):
    files = photos(6)
    seized.take(files | {"x.torrent": torrent(tmp_path, files, flags)})
    done = seized.hold()
    assert (done.across, done.not_checkable, done.failed) == (0, 0, {})
    assert done.whole >= 6
    assert all(seized.told(content) == [] for content in files.values())


def test_a_piece_of_which_a_file_was_not_seized_is_not_tried_and_that_is_told_once(tmp_path, seized):
    files = photos(3)
    data = torrent(tmp_path, files)
    held = dict(list(files.items())[:1])
    seized.take(held | {"x.torrent": data})
    done = seized.hold()
    assert (done.across, done.not_checkable) == (0, 1)
    (content,) = held.values()
    assert [(each["index"], each["pieces"]) for each in seized.told(content)] == [(None, [])]
    assert seized.hold().not_checkable == 0
    seized.take(files, "B")
    assert seized.hold().across_files == 3


def test_files_and_torrent_may_lie_in_two_exhibits(tmp_path, seized):
    files = photos(6)
    seized.take({"x.torrent": torrent(tmp_path, files)}, "T")
    seized.take(files, "B")
    assert seized.hold().across_files == 6


def test_members_of_an_archive_fit_too(tmp_path, seized):
    files = {"long.avi": bytes_of(3 * PIECE + 5, 100)} | photos(6)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in list(files.items())[:4]:
            archive.writestr(name, data)
        archive.writestr("x.torrent", torrent(tmp_path, files))
    loose = dict(list(files.items())[4:])
    seized.take(loose | {"photos.zip": packed.getvalue()})
    done = seized.hold()
    assert (done.failed, done.torrents, done.whole, done.across_files) == ({}, 1, 1, 7)


def test_a_file_that_changed_is_named_and_costs_only_the_pieces_that_it_lies_in(tmp_path, seized):
    files = photos(12)
    data = torrent(tmp_path, files)
    name = "DCIM/IMG_0005.jpg"
    root = seized.take(files | {"x.torrent": data})
    (root / name).write_bytes(bytes_of(len(files[name]), 77))
    done = seized.hold()
    assert "changed since intake" in done.failed[sha256(files[name]).hex()]
    assert seized.told(files[name]) == []
    assert 0 < done.across_files < 12
    (root / name).write_bytes(files[name])
    done = seized.hold()
    assert done.failed == {}
    assert all(seized.shown(content) for content in files.values())


def test_few_at_a_time_tells_the_same(tmp_path, seized, monkeypatch):
    files = photos(20)
    seized.take(files | {"x.torrent": torrent(tmp_path, files)})
    monkeypatch.setattr(across_plan, "MOST_OPEN", 5)
    done = seized.hold()
    assert (done.across_files, done.across) == (20, done.across_fitting)


def test_room_is_made_for_the_files_that_all_workers_have_open(tmp_path, seized, monkeypatch):
    files, asked = photos(3), list[int]()
    seized.take({"a": b"of no torrent", "x.torrent": torrent(tmp_path, files)})
    monkeypatch.setattr(descriptors, "room_for", lambda count, *_: asked.append(count))
    seized.hold()
    assert asked == []
    seized.take(files, "B")
    held_against(seized.case, options=replace(OPTIONS, workers=3))
    assert asked == [3 * 2 * 64]


def test_a_look_that_was_stopped_midway_goes_on_and_tells_the_same(tmp_path, seized, monkeypatch):
    files = photos(20)
    seized.take(files | {"x.torrent": torrent(tmp_path, files)})
    monkeypatch.setattr(across_plan, "MOST_OPEN", 5)
    monkeypatch.setattr(across, "MOST_GROUPS", 1)
    kept, commit = list[int](), across.commit

    def stopped(*args):
        if len(kept) == 2:
            raise KeyboardInterrupt
        kept.append(1)
        commit(*args)

    monkeypatch.setattr(across, "commit", stopped)
    with pytest.raises(KeyboardInterrupt):
        seized.hold()
    monkeypatch.setattr(across, "commit", commit)
    tried = {number for content in files.values() for number in seized.shown(content)}
    done = seized.hold()
    hand = by_hand(torrent(tmp_path / "again", files), list(files.values()))
    assert 0 < len(tried) == len({number for _, number in hand}) - done.across
    for index, content in enumerate(files.values()):
        assert seized.shown(content) == {number: said for (file, number), said in hand.items() if file == index}


def test_where_a_worker_fails_its_pieces_are_tried_one_by_one(tmp_path, seized, monkeypatch):
    files = photos(12)
    name = "DCIM/IMG_0005.jpg"
    data = torrent(tmp_path, files)
    seized.take(files | {"x.torrent": data})
    tried, run = list[int](), Pool.run

    def failing(pool, tasks):
        for outcome in run(pool, tasks):
            if outcome.task.entry == across.ACROSS:
                tried.append(len(outcome.task.payload["pieces"]))
                hit = sha256(files[name]).hex() in outcome.task.payload["contents"]
                yield replace(outcome, reply=Missing(Reason.LIMIT_REACHED, "memory")) if hit else outcome
            else:
                yield outcome

    monkeypatch.setattr(Pool, "run", failing)
    done = seized.hold()
    hand = by_hand(data, list(files.values()))
    broken = {number for file, number in hand if file == 5}
    assert tried == [len({number for _, number in hand})] + [1] * tried[0]
    assert done.across == done.across_fitting == tried[0] - len(broken)
    assert "memory" in done.failed[sha256(files[name]).hex()]


def test_no_content_is_read_for_any_number_of_torrents_in_one_look(tmp_path, seized, monkeypatch):
    files = photos(4)
    data = torrent(tmp_path, files)
    others = {f"{n}.torrent": b"d8:announce1:%d" % n + data[1:] for n in range(3)}
    seized.take(files | others)
    monkeypatch.setattr(across, "MOST_READS", 2)
    looks = [seized.hold() for _ in range(3)]
    assert [(each.across > 0, bool(each.failed)) for each in looks] == [(True, True), (True, False), (False, False)]
    assert all(len(seized.told(content)) == 3 for content in files.values())


def test_pieces_of_too_many_files_are_left_and_counted(tmp_path, seized, monkeypatch):
    files = {f"{n:03}": bytes_of(300 + n, n) for n in range(60)}
    data = torrent(tmp_path, files)
    monkeypatch.setattr(piece_layout, "MOST_FILES", 30)
    seized.take(files | {"x.torrent": data})
    done = seized.hold()
    assert (done.across_crowded, done.across, done.failed) == (1, 1, {})


@pytest.mark.parametrize(("limit", "most"), [("MOST_ZEROS", 708), ("MOST_FILES", 1)])
def test_pieces_with_too_much_of_pads_are_left_and_counted(tmp_path, seized, monkeypatch, limit, most):
    contents = {"a": bytes_of(20_000, 1), "b": bytes_of(9_000, 2)}
    laid = [("a", 20_000), (".pad/700", 700), (".pad/9", 9)] + ([("b", 9_000)] if limit == "MOST_ZEROS" else [])
    joined = b"".join(contents.get(name, bytes(size)) for name, size in laid)
    listed = [
        {"length": size, "path": name.split("/"), **({"attr": "p"} if name.startswith(".pad") else {})}
        for name, size in laid
    ]
    pieces = b"".join(hashlib.sha1(joined[at : at + PIECE]).digest() for at in range(0, len(joined), PIECE))
    info = {"name": "set", "piece length": PIECE, "files": listed, "pieces": pieces}
    monkeypatch.setattr(piece_layout, limit, most)
    seized.take(contents | {"x.torrent": made.bencode({"info": info})})
    done = seized.hold()
    assert (done.whole, done.across, done.across_crowded, done.failed) == (1, 0, 1, {})


def test_of_any_number_of_torrents_it_is_told_at_once_that_they_were_not_tried(tmp_path, seized, monkeypatch):
    files = photos(3)
    data = torrent(tmp_path, files)
    held = dict(list(files.items())[:1])
    seized.take(held | {f"{n}.torrent": b"d8:announce1:%d" % n + data[1:] for n in range(4)})
    monkeypatch.setattr(looking, "MOST_CHECKS", 2)
    monkeypatch.setattr(looking, "MOST_UNTRIED", 3)
    done = seized.hold()
    assert (done.across, done.not_checkable, done.failed) == (0, 4, {})
    (content,) = held.values()
    assert [(each["index"], each["pieces"]) for each in seized.told(content)] == [(None, [])] * 4
    assert said(seized.case) == (0, [])
    assert seized.hold().not_checkable == 0


@pytest.mark.parametrize("most", [3, 25])
def test_torrents_with_many_such_pieces_are_tried_in_lots_and_none_is_left(tmp_path, seized, monkeypatch, most):
    files = photos(12)
    data = torrent(tmp_path, files)
    others = {f"{n}.torrent": b"d8:announce1:%d" % n + data[1:] for n in range(3)}
    seized.take(files | others)
    monkeypatch.setattr(piece_layout, "MOST_ACROSS", most)
    done = seized.hold()
    hand = by_hand(data, list(files.values()))
    assert (done.failed, done.across_files) == ({}, 36)
    assert done.across == done.across_fitting == 3 * len({number for _, number in hand})
    again = seized.hold()
    assert (again.across, again.torrents, again.failed) == (0, 0, {})
