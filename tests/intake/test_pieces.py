"""Seized files against piece hashes: libtorrent makes the torrents, the exhibit holds what it holds."""

import hashlib
import json
import os
import random
import struct
from pathlib import Path

import libtorrent as lt
import pytest
from cases import new_case, sha256
from Cryptodome.Hash import MD4
from hypothesis import given, settings
from hypothesis import strategies as st

from clew.cli.main import main
from clew.core import shards
from clew.core.case import Case
from clew.intake import piecewise
from clew.intake.artefacts import _examples as made
from clew.intake.pieces import held_against
from clew.intake.run import intake
from clew.intake.summary import Options

OPTIONS = Options(workers=1)
PIECE = 1 << 14
V1_ONLY, V2_ONLY, HYBRID = 64, 32, 0
CORPUS = Path(os.environ.get("CLEW_CORPUS", "/nonexistent"))


def torrent(folder: Path, flags: int) -> bytes:
    storage = lt.file_storage()
    lt.add_files(storage, str(folder))
    creator = lt.create_torrent(storage, PIECE, flags)
    lt.set_piece_hashes(creator, str(folder.parent))
    return lt.bencode(creator.generate())


def bytes_of(size: int, seed: int) -> bytes:
    return random.Random(seed).randbytes(size)


def taken(tmp_path: Path, files: dict[str, bytes]) -> Case:
    for name, data in files.items():
        path = tmp_path / "evidence" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    case = new_case(tmp_path / "case")
    intake(case, path=tmp_path / "evidence", label="A", workers=1)
    return case


def told(case: Case, content: bytes, name: str = "pieces.verified") -> list[dict]:
    rows = shards.query(case, "SELECT text FROM traits WHERE content=? AND name=?", (sha256(content), name)).to_pylist()
    return sorted((json.loads(row["text"]) for row in rows), key=lambda each: (each.get("index"), each.get("method")))


@pytest.fixture
def cards(tmp_path: Path) -> tuple[Path, dict[str, bytes]]:
    contents = {"a.bin": bytes_of(50_000, 1), "b.bin": bytes_of(70_001, 2), "c.bin": bytes_of(100, 3)}
    folder = tmp_path / "made" / "cards"
    folder.mkdir(parents=True)
    for name, data in contents.items():
        (folder / name).write_bytes(data)
    return folder, contents


@pytest.mark.parametrize(("flags", "methods"), [(V1_ONLY, ["v1"]), (V2_ONLY, ["v2"]), (HYBRID, ["v1", "v2"])])
def test_whole_files_fit_and_others_of_their_size_do_not(tmp_path, cards, flags, methods):
    folder, contents = cards
    other, broken = bytes_of(50_000, 9), bytearray(contents["b.bin"])
    broken[40_000] ^= 1
    data = torrent(folder, flags)
    seized = {"x.jpg": contents["a.bin"], "y.avi": contents["b.bin"], "other": other, "broken": bytes(broken)}
    case = taken(tmp_path, {**seized, "t/cards.torrent": data})
    done = held_against(case, options=OPTIONS)
    assert done.failed == {}
    assert (done.torrents, done.contents, done.whole) == (1, 4, 2 * len(methods))
    for name, content in (("a.bin", contents["a.bin"]), ("b.bin", contents["b.bin"])):
        results = told(case, content)
        assert [each["method"] for each in results] == methods
        for each in results:
            assert each["matching"] == each["checked"] > 0
            assert each["torrent"] == sha256(data).hex()
            assert each["size"] == len(contents[name])
    for each in told(case, bytes(broken)):
        assert (each["failing"], each["first_wrong"] >= 0) == (1, True)
    assert all(each["matching"] == 0 for each in told(case, other))


def test_pieces_on_a_border_are_not_counted(tmp_path, cards):
    folder, contents = cards
    case = taken(tmp_path, {"b": contents["b.bin"], "c": contents["c.bin"], "t.torrent": torrent(folder, V1_ONLY)})
    done = held_against(case, options=OPTIONS)
    info = lt.torrent_info(str(tmp_path / "evidence/t.torrent"))
    files = info.files()
    (each,) = told(case, contents["b.bin"])
    start, end = files.file_offset(each["index"]), files.file_offset(each["index"]) + 70_001
    inner = [
        p for p in range(info.num_pieces()) if p * PIECE >= start and min((p + 1) * PIECE, info.total_size()) <= end
    ]
    assert each["checked"] == len(inner) > 0
    assert told(case, contents["c.bin"]) == []
    assert done.not_checkable == 1


def test_the_last_short_piece_and_a_pad_behind_it_are_checked(tmp_path):
    content = bytes(40_000)
    last = bytearray(content)
    last[-1] = 1
    for number, info in enumerate((made.single(), made.folder())):
        case = taken(
            tmp_path / str(number), {"card": content, "t.torrent": made.bencode({"info": info}), "x": bytes(last)}
        )
        held_against(case, options=OPTIONS)
        (each,) = told(case, content)
        assert (each["checked"], each["matching"]) == (3, 3)
        (each,) = told(case, bytes(last))
        assert (each["checked"], each["matching"], each["first_wrong"]) == (3, 2, 2)


def test_what_was_told_is_not_read_again(tmp_path, cards):
    folder, contents = cards
    case = taken(tmp_path, {"a": contents["a.bin"], "t.torrent": torrent(folder, V1_ONLY)})
    assert held_against(case, options=OPTIONS).contents == 1
    assert held_against(case, options=OPTIONS).contents == 0
    assert len(told(case, contents["a.bin"])) == 1


def test_a_file_that_changed_since_is_named_and_tried_again(tmp_path, cards):
    folder, contents = cards
    case = taken(tmp_path, {"a": contents["a.bin"], "t.torrent": torrent(folder, V1_ONLY)})
    (tmp_path / "evidence/a").write_bytes(bytes_of(50_000, 77))
    done = held_against(case, options=OPTIONS)
    assert "changed since intake" in done.failed[sha256(contents["a.bin"]).hex()]
    (tmp_path / "evidence/a").write_bytes(contents["a.bin"])
    assert held_against(case, options=OPTIONS).whole == 1


@pytest.mark.corpus
def test_what_amule_and_transmission_knew_is_verified_on_the_corpus(tmp_path, capsys):
    case = new_case(tmp_path / "case")
    intake(case, path=CORPUS / "generated/p2p", label="A", workers=1)
    with pytest.raises(SystemExit) as ended:
        main(["pieces", str(case.folder), "--workers", "1", "--json"])
    assert ended.value.code == 0
    done = json.loads(capsys.readouterr().out)
    assert (done["ed2k_named"], done["partly"], done["not_at_all"]) == (2, 0, 0)
    content = (CORPUS / "generated/p2p/content/clew-test-a.bin").read_bytes()
    assert {(e["checked"], e["matching"]) for e in told(case, content)} == {(10, 10)}
    first, second = (p.read_bytes() for p in sorted((CORPUS / "generated/p2p/content/set").iterdir()))
    assert told(case, first)[0]["matching"] == told(case, first)[0]["checked"] == 307_263 // 32_768
    assert told(case, second)[0]["matching"] == told(case, second)[0]["checked"] > 0


def test_known_met_is_held_against_by_both_conventions(tmp_path):
    whole = bytes(piecewise.PART)
    blue = MD4.new(whole).digest()
    red = MD4.new(blue + MD4.new().digest()).digest()
    for number, hashed in enumerate((blue, red, bytes(16))):
        record = bytearray(made.record("whole.bin", len(whole)))
        record[4:20] = hashed
        case = taken(tmp_path / str(number), {"w": whole, "known.met": struct.pack("<BI", 0x0E, 1) + bytes(record)})
        done = held_against(case, options=OPTIONS)
        assert (done.ed2k, done.ed2k_named) == (1, int(any(hashed)))
        assert len(told(case, whole, "ed2k.verified")) == int(any(hashed))


def fed(runner: piecewise.Runner, data: bytes, cuts: list[int]) -> dict:
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    for start, stop in zip(edges, edges[1:], strict=False):
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
    with pytest.raises(ValueError, match="."):
        piecewise.runner(wanted)
