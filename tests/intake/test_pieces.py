"""Seized files against piece hashes: libtorrent makes the torrents, the exhibit holds what it holds."""

import hashlib
import json
import random
import struct
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import libtorrent as lt
import pytest
from cases import sha256
from client_files import CORPUS, P2P
from Cryptodome.Hash import MD4
from hypothesis import given, settings
from hypothesis import strategies as st

from case_made import new_case
from clew.cli.main import main
from clew.core import shards
from clew.core.case import Case
from clew.intake import piece_plan, pieces, piecewise
from clew.intake.artefacts import _examples as made
from clew.intake.options import Options
from clew.intake.piece_plan import LEAST_LENGTH, Room, _parts
from clew.intake.piece_traits import Part
from clew.intake.pieces import MOST_CHECKS, Held, Told, _due, held_against
from clew.intake.run import intake
from facts_case import put

OPTIONS = Options(workers=1)
PIECE = 1 << 14
V1_ONLY, V2_ONLY, HYBRID = 64, 32, 0


def torrent(folder: Path, flags: int) -> bytes:
    storage = lt.file_storage()
    lt.add_files(storage, str(folder))
    creator = lt.create_torrent(storage, PIECE, flags)
    lt.set_piece_hashes(creator, str(folder.parent))
    return lt.bencode(creator.generate())


def bytes_of(size: int, seed: int) -> bytes:
    return random.Random(seed).randbytes(size)


ARTEFACTS = ("clew.intake.artefacts.torrent:PLUGIN", "clew.intake.artefacts.known_met:PLUGIN")
A, B, C = bytes_of(50_000, 1), bytes_of(70_001, 2), bytes_of(100, 3)
OTHER, BROKEN = bytes_of(50_000, 9), B[:40_000] + bytes([B[40_000] ^ 1]) + B[40_001:]
CARD, LAST = bytes(40_000), bytes(39_999) + b"\x01"
WHOLE = bytes(piecewise.PART)
BLUE = MD4.new(WHOLE).digest()
RED = MD4.new(BLUE + MD4.new().digest()).digest()


def known_met(hashed: bytes) -> bytes:
    record = bytearray(made.record("whole.bin", len(WHOLE)))
    record[4:20] = hashed
    return struct.pack("<BI", 0x0E, 1) + bytes(record)


@dataclass(frozen=True)
class Taken:
    """A case with one exhibit, whose files were held against its torrents once."""

    case: Case
    root: Path
    torrents: dict[int, bytes]
    done: Held

    def told(self, content: bytes, name: str = "pieces.verified", torrent: bytes | None = None) -> list[dict]:
        sql = "SELECT text FROM traits WHERE content=? AND name=? AND text IS NOT NULL"
        rows = shards.query(self.case, sql, (sha256(content), name)).to_pylist()
        found = [json.loads(row["text"]) for row in rows]
        return [each for each in found if torrent is None or each["torrent"] == sha256(torrent).hex()]


def take(folder: Path, files: dict[str, bytes]) -> tuple[Case, Path]:
    root = folder / "evidence"
    root.mkdir(parents=True)
    for name, data in files.items():
        (root / name).write_bytes(data)
    case = new_case(folder / "case")
    intake(case, path=root, label="A", options=Options(workers=1, extractors=ARTEFACTS))
    return case, root


@pytest.fixture(scope="module")
def taken(tmp_path_factory: pytest.TempPathFactory) -> Taken:
    cards = tmp_path_factory.mktemp("made") / "cards"
    cards.mkdir()
    for name, data in (("a.bin", A), ("b.bin", B), ("c.bin", C)):
        (cards / name).write_bytes(data)
    torrents = {flags: torrent(cards, flags) for flags in (V1_ONLY, V2_ONLY, HYBRID)}
    seized = {"x.jpg": A, "y.avi": B, "c": C, "other": OTHER, "broken": BROKEN, "card": CARD, "last": LAST, "w": WHOLE}
    seized |= {f"{flags}.torrent": data for flags, data in torrents.items()}
    seized |= {f"{n}.torrent": made.bencode({"info": i}) for n, i in enumerate((made.single(), made.folder()), 1)}
    seized |= {f"{n}.met": known_met(hashed) for n, hashed in enumerate((BLUE, RED, bytes(16)))}
    case, root = take(tmp_path_factory.mktemp("taken"), seized)
    return Taken(case, root, torrents, held_against(case, options=OPTIONS))


@pytest.mark.parametrize(("flags", "methods"), [(V1_ONLY, {"v1"}), (V2_ONLY, {"v2"}), (HYBRID, {"v1", "v2"})])
def test_whole_files_fit_and_others_of_their_size_do_not(taken, flags, methods):
    data = taken.torrents[flags]
    for content in (A, B):
        results = taken.told(content, torrent=data)
        assert {each["method"] for each in results} == methods
        assert all(each["matching"] == each["checked"] > 0 for each in results)
        assert {each["size"] for each in results} == {len(content)}
    assert all((each["failing"], each["first_wrong"] >= 0) == (1, True) for each in taken.told(BROKEN, torrent=data))
    assert len(taken.told(BROKEN, torrent=data)) == len(methods)
    assert all(each["matching"] == 0 for each in taken.told(OTHER, torrent=data))
    assert taken.done.failed == {}


def test_pieces_on_a_border_are_told_apart(taken):
    data = taken.torrents[V1_ONLY]
    info = lt.torrent_info(lt.bdecode(data))
    files, (each,) = info.files(), taken.told(B, torrent=data)
    start, end = files.file_offset(each["index"]), files.file_offset(each["index"]) + len(B)
    inner = [
        p for p in range(info.num_pieces()) if p * PIECE >= start and min((p + 1) * PIECE, info.total_size()) <= end
    ]
    assert each["checked"] == len(inner) > 0
    assert taken.told(C, torrent=data) == []
    (border,) = taken.told(C, "pieces.across", data)
    assert (border["matching"], border["pieces"][0][1:]) == (1, [0, len(C), 2, 1])
    assert taken.done.not_checkable == 0


def test_the_last_short_piece_and_a_pad_behind_it_are_checked(taken):
    for content, matching, first_wrong in ((CARD, 3, -1), (LAST, 2, 2)):
        results = taken.told(content)
        assert len(results) == 2
        assert {(e["checked"], e["matching"], e["first_wrong"]) for e in results} == {(3, matching, first_wrong)}


def test_known_met_is_held_against_by_both_conventions(taken):
    named = {each["artefact"] for each in taken.told(WHOLE, "ed2k.verified")}
    assert named == {sha256(known_met(BLUE)).hex(), sha256(known_met(RED)).hex()}
    assert (taken.done.ed2k, taken.done.ed2k_named) == (1, 1)


def test_what_was_told_is_not_read_again_and_what_changed_is_named_and_tried_again(tmp_path, taken):
    case, root = take(tmp_path, {"a": A, "b": B, "t.torrent": taken.torrents[V1_ONLY]})
    (root / "a").write_bytes(bytes_of(len(A), 77))
    done = held_against(case, options=OPTIONS)
    assert (done.contents, done.whole) == (1, 1)
    assert "changed since intake" in done.failed[sha256(A).hex()]
    (root / "a").write_bytes(A)
    done = held_against(case, options=OPTIONS)
    assert (done.contents, done.whole, done.failed) == (1, 1, {})
    assert held_against(case, options=OPTIONS).contents == 0


def test_a_file_that_was_read_in_part_before_a_retry_read_it_whole_is_held_against_them(tmp_path, taken):
    case, _ = take(tmp_path, {"a.jpg": A, "t.torrent": taken.torrents[V1_ONLY]})
    (row,) = shards.query(case, "SELECT * FROM contents WHERE sha256=?", (sha256(A),)).to_pylist()
    put(case, "contents", [row | {"sha256": b"\xff" * 32, "content_state": "partial"}], "intake")
    done = held_against(case, options=OPTIONS)
    assert done.contents == 1
    assert "more of them can be read than then" in done.failed.pop("ff" * 32)
    assert done.failed == {}


def test_what_an_earlier_version_told_is_asked_again(tmp_path, taken):
    case, _ = take(tmp_path, {"a": A, "t.torrent": taken.torrents[V1_ONLY], "w": WHOLE, "1.met": known_met(RED)})
    index = next(each["index"] for each in taken.told(A, torrent=taken.torrents[V1_ONLY]))
    wrong = {
        "torrent": sha256(taken.torrents[V1_ONLY]).hex(),
        "index": index,
        "size": len(A),
        "checked": 1,
        "matching": 0,
    }
    old = {"extractor": "pieces", "version": "1", "mode": "pieces"}
    put(case, "traits", [
        {"content": sha256(A), "name": "pieces.verified", "text": json.dumps(wrong), **old},
        {"content": sha256(WHOLE), "name": "ed2k", "data": bytes(16), **old},
    ], "intake")  # fmt: skip
    done = held_against(case, options=OPTIONS)
    assert (done.contents, done.whole, done.ed2k, done.ed2k_named) == (2, 1, 1, 1)
    assert held_against(case, options=OPTIONS).contents == 0


def test_of_a_torrent_the_newest_reading_counts(tmp_path, taken):
    data = taken.torrents[V1_ONLY]
    case, _ = take(tmp_path, {"a": A, "t.torrent": data})
    sql = "SELECT extractor, mode, text FROM traits WHERE name='p2p.entry.files'"
    (now,) = shards.query(case, sql).to_pylist()
    told = json.loads(now["text"])
    stale = json.dumps(told | {"files": [each | {"size": 7 + each["size"]} for each in told["files"]]})
    put(
        case,
        "traits",
        [{"content": sha256(data), "name": "p2p.entry.files", **now, "text": stale, "version": "1"}],
        "intake",
    )
    assert len(A) in piece_plan.files(case, Held())
    assert 7 + len(A) not in piece_plan.files(case, Held())


@pytest.mark.corpus
def test_what_amule_and_transmission_knew_is_verified_on_the_corpus(tmp_path, capsys):
    case = new_case(tmp_path / "case")
    intake(case, path=P2P, label="A", options=Options(workers=1, extractors=ARTEFACTS))
    with pytest.raises(SystemExit) as ended:
        main(["pieces", str(case.folder), "--workers", "1", "--json"])
    assert ended.value.code == 0
    done = json.loads(capsys.readouterr().out)
    assert (done["ed2k_named"], done["partly"], done["not_at_all"]) == (2, 0, 0)
    content = (P2P / "content/clew-test-a.bin").read_bytes()
    seen = Taken(case, CORPUS, {}, Held())
    assert {(e["checked"], e["matching"]) for e in seen.told(content)} == {(10, 10)}
    first, second = (p.read_bytes() for p in sorted((P2P / "content/set").iterdir()))
    assert {(e["checked"], e["matching"]) for e in seen.told(first)} == {(307_263 // 32_768,) * 2}
    assert {(e["checked"], e["matching"]) for e in seen.told(second)} == {(5, 5)}


def fed(runner: piecewise.Runner, data: bytes, cuts: list[int]) -> dict:
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    for start, stop in pairwise(edges):
        runner.feed(data[start:stop])
    return runner.end()


CUTS = st.lists(st.integers(0, 200_000), max_size=6)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 150_000), CUTS)
def test_the_root_of_a_tree_is_the_one_that_is_built_whole(size, cuts):
    data = bytes_of(size, size)
    layer = [hashlib.sha256(data[at : at + 16_384]).digest() for at in range(0, size, 16_384)]
    layer += [bytes(32)] * ((1 << (len(layer) - 1).bit_length()) - len(layer))
    while len(layer) > 1:
        layer = [hashlib.sha256(layer[n] + layer[n + 1]).digest() for n in range(0, len(layer), 2)]
    assert fed(piecewise.Tree(layer[0]), data, cuts)["matching"] == 1
    assert fed(piecewise.Tree(bytes(32)), data, cuts)["matching"] == 0


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 60_000), st.integers(0, 5_000), st.integers(1, 9_000), CUTS)
def test_pieces_are_those_cut_by_hand(size, first, length, cuts):
    data = bytes_of(size, 5)
    parts = [data[at : at + length] for at in range(first, size, length)]
    hashes = b"".join(hashlib.sha1(part).digest() for part in parts)
    said = fed(piecewise.Pieces(first, length, hashes, 0), data, cuts)
    assert (said["checked"], said["matching"], said["first_wrong"]) == (len(parts), len(parts), -1)
    if parts:
        wrong = bytes([hashes[0] ^ 1]) + hashes[1:]
        assert fed(piecewise.Pieces(first, length, wrong, 0), data, cuts)["first_wrong"] == 0


@pytest.mark.parametrize(
    "wanted", [{}, {"pieces": "zz"}, {"pieces": "00", "first": 0, "length": 0, "zeros": 0}, 5, None]
)
def test_what_nobody_can_find_out_is_refused(wanted):
    with pytest.raises(ValueError, match="nothing"):
        piecewise.runner(wanted)


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 60_000),
    st.lists(
        st.tuples(st.sampled_from([0, 700]), st.sampled_from([4096, 9000]), st.integers(0, 9), st.booleans()),
        max_size=8,
    ),
    CUTS,
)
def test_torrents_that_cut_a_file_alike_share_one_pass_and_are_told_what_each_alone_is(size, torrents, cuts):
    data = bytes_of(size, 6)
    wanted = []
    for first, length, count, right in torrents:
        parts = [data[at : at + length] for at in range(first, size, length)][:count]
        hashes = b"".join(hashlib.sha1(part if right else b"").digest() for part in parts)
        wanted += [{"pieces": hashes.hex(), "first": first, "length": length, "zeros": 0}, {"root": "00" * 32}]
    together = piecewise.runners([*wanted, {"ed2k": True}])
    edges = [0, *sorted(min(cut, size) for cut in cuts), size]
    for start, stop in pairwise(edges):
        for each in together:
            each.feed(data[start:stop])
    alone = [fed(piecewise.runner(each), data, cuts) for each in [*wanted, {"ed2k": True}]]
    assert [each.end() for each in together] == alone
    passes = {id(each.cut) for each in together if isinstance(each, piecewise.Pieces)}
    assert len(passes) == len({torrent[:2] for torrent in torrents})


def test_a_content_is_hashed_once_for_all_torrents_that_cut_it_alike(monkeypatch):
    hashed = 0
    sha1 = hashlib.sha1

    class Counted:
        def __init__(self, **_how):
            self._hash = sha1(usedforsecurity=False)

        def update(self, data):
            nonlocal hashed
            hashed += len(data)
            self._hash.update(data)

        def digest(self):
            return self._hash.digest()

    monkeypatch.setattr(piecewise.hashlib, "sha1", Counted)
    wanted = [
        {"pieces": bytes([number]).hex() * 20 * 8, "first": 0, "length": PIECE, "zeros": 0} for number in range(100)
    ]
    for each in (made_of := piecewise.runners(wanted)):
        each.feed(bytes(8 * PIECE))
    assert hashed == 8 * PIECE
    assert {each.end()["checked"] for each in made_of} == {8}


def part(torrent, method, hashes=0):
    return Part(bytes([torrent]) * 32, 0, 9, 0, method, {"pieces": "00" * 20 * hashes} if hashes else {"root": ""})


def test_hashes_are_held_as_far_as_there_is_room_and_both_ways_to_check_a_file_or_none():
    room, done = Room(100), Held()
    assert room.taken([part(1, "v1", 4), part(1, "v2")], done) == [part(1, "v1", 4), part(1, "v2")]
    assert room.taken([part(2, "v1", 2), part(2, "v2")], done) == []
    assert room.taken([part(3, "v1", 1)], done) == [part(3, "v1", 1)]
    assert room.taken([], done) == []
    assert list(done.failed) == [(bytes([2]) * 32).hex()]


def test_torrents_whose_hashes_are_too_many_for_one_look_are_held_by_the_next(tmp_path, taken, monkeypatch):
    case, _ = take(tmp_path, {"a": A, **{f"{flags}.torrent": taken.torrents[flags] for flags in (V1_ONLY, HYBRID)}})
    monkeypatch.setattr(pieces, "MOST_HASHES", len(A) // PIECE * 20 + 20)
    first, second, third = (held_against(case, options=OPTIONS) for _ in range(3))
    assert (first.whole + second.whole, len(first.failed)) == (3, 1)
    assert (second.failed, third.contents) == ({}, 0)


@pytest.mark.parametrize("before", [0, 1])
def test_the_two_ways_to_check_a_file_are_not_parted_by_the_limit(before):
    several = [part(255, "v1", 1)] * before + [part(n, way) for n in range(150) for way in ("v1", "v2")]
    first = _due({9: [b"content"]}, several, set(), Told(), Held())[b"content"]
    assert len(first) == MOST_CHECKS - before
    told = Told(pieces={(b"content", each.torrent, each.index) for each in first})
    second = _due({9: [b"content"]}, several, set(), told, Held())[b"content"]
    assert len(first) + len(second) == len(several)


def test_pieces_that_are_too_small_are_said_and_the_root_is_held_all_the_same():
    said = {
        "index": 0,
        "size": 9000,
        "first": 0,
        "length": LEAST_LENGTH - 1,
        "zeros": 0,
        "offset": 0,
        "root": "11" * 32,
    }
    done = Held()
    assert [part.method for part in _parts(bytes(32), said, (bytes(60),), done)] == ["v2"]
    assert "pieces of 4,095 bytes" in done.failed[bytes(32).hex()]
    assert [part.method for part in _parts(bytes(32), said | {"length": LEAST_LENGTH}, (bytes(60),), Held())] == [
        "v1",
        "v2",
    ]
