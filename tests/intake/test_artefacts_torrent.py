"""Torrents, held against libtorrent's own reader; one that breaks off or contradicts itself says so."""

import hashlib
import random
from pathlib import Path

import libtorrent as lt
import pytest
from client_files import real

from artefacts_here import entries, listed, one, rows
from clew.intake.artefacts import _examples as made
from clew.intake.artefacts import _metainfo
from clew.intake.piece_check import inner_pieces

PIECE = made.PIECE


def as_libtorrent_says(data: bytes) -> tuple[dict, list[tuple[str, int, int, bool]]]:
    info = lt.torrent_info(lt.bdecode(data))
    files, hashes = info.files(), info.info_hashes()
    fields = {"name": info.name(), "piece_length": info.piece_length()}
    fields |= {"infohash_v1": str(hashes.v1)} if hashes.has_v1() else {}
    fields |= {"infohash_v2": str(hashes.v2)} if hashes.has_v2() else {}
    flags = lt.file_flags_t.flag_pad_file
    told = [
        (files.file_path(n), files.file_size(n), files.file_offset(n), bool(files.file_flags(n) & flags))
        for n in range(files.num_files())
    ]
    return fields, told


def assert_as_libtorrent_says(data: bytes) -> None:
    found = rows(data, "torrent")
    (entry,) = entries(found)
    fields, told = as_libtorrent_says(data)
    assert {name: entry[name] for name in fields} == fields
    assert ("infohash_v1" in entry, "infohash_v2" in entry) == ("infohash_v1" in fields, "infohash_v2" in fields)
    ours = [each for each in listed(found, "files") if not each.get("pad")]  # libtorrent adds pads to v2, in memory
    for each, (path, size, offset) in zip(ours, [file[:3] for file in told if not file[3]], strict=True):
        assert path in (each["path"], f"{entry['name']}/{each['path']}")
        assert (each["size"], each.get("offset", offset)) == (size, offset)


@pytest.mark.corpus
@pytest.mark.parametrize("path", real("*.torrent"), ids=str)
def test_torrents_of_real_clients(path: Path) -> None:
    assert_as_libtorrent_says(path.read_bytes())


V1_ONLY, V2_ONLY = 64, 32  # libtorrent/create_torrent.hpp; its Python names only one of them


@pytest.mark.parametrize("flags", [V1_ONLY, V2_ONLY, 0])
@pytest.mark.parametrize("several", [False, True])
def test_torrents_that_libtorrent_makes(tmp_path: Path, flags: int, several: bool) -> None:
    root = tmp_path / "cards"
    names = ["a.bin", "deep/er/b.bin", "deep/c.bin", "z.txt"] if several else [""]
    storage = lt.file_storage()
    for number, name in enumerate(names):
        path = root / name if name else root
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(random.Random(number).randbytes(50_000 + 7 * number))
    lt.add_files(storage, str(root))
    creator = lt.create_torrent(storage, PIECE, flags)
    lt.set_piece_hashes(creator, str(tmp_path))
    assert_as_libtorrent_says(lt.bencode(creator.generate()))


def test_a_torrent_that_breaks_off_says_so_and_has_no_infohash() -> None:
    whole = made.bencode({"announce": "http://127.0.0.1/", "info": made.folder()})
    found = rows(whole[:-30])
    assert not entries(found)
    assert (one(found, "p2p.entries.declared")["integer"], one(found, "p2p.entries.read")["integer"]) == (1, 0)
    assert "0 of 1 entries were read: the info dictionary breaks off" in one(found, "p2p.entries")["detail"]


def test_what_stands_after_the_end_is_said() -> None:
    whole = made.bencode({"info": made.single()})
    found = rows(whole + b"\r\nmore")
    assert one(found, "p2p.rest")["detail"] == f"6 bytes from byte {len(whole):,} on are not explained"
    assert entries(found)[0]["infohash_v1"] == hashlib.sha1(made.bencode(made.single())).hexdigest()


def test_piece_hashes_that_do_not_fit_are_said() -> None:
    (entry,) = entries(rows(made.bencode({"info": made.single() | {"length": 1 << 30}})))
    assert "do not fit" in entry["missing"]["pieces"]


def test_a_hybrid_whose_halves_differ_is_said() -> None:
    wrong = made.tree()
    wrong["file tree"] = {"card.bin": {"": {"length": 1, "pieces root": bytes(32)}}}
    (entry,) = entries(rows(made.bencode({"info": made.folder() | wrong})))
    assert "not those of v2" in entry["missing"]["files"]


def test_a_hybrid_whose_files_of_one_size_stand_in_another_order_has_each_root_at_its_path() -> None:
    one_root, other_root = bytes([1]) * 32, bytes([2]) * 32
    listed_first = [{"length": 5, "path": ["b.bin"]}, {"length": 5, "path": ["a.bin"]}]
    leaves = {
        "a.bin": {"": {"length": 5, "pieces root": one_root}},
        "b.bin": {"": {"length": 5, "pieces root": other_root}},
    }
    info = made.folder() | {"files": listed_first, "pieces": bytes(20), "meta version": 2, "file tree": leaves}
    found = rows(made.bencode({"info": info}))
    assert "files" not in entries(found)[0].get("missing", {})
    assert {each["path"]: each.get("root") for each in listed(found, "files")} == {
        "a.bin": one_root.hex(),
        "b.bin": other_root.hex(),
    }
    info["file tree"] = {"a.bin": leaves["a.bin"], "c.bin": leaves["b.bin"]}
    found = rows(made.bencode({"info": info}))
    assert "not those of v2" in entries(found)[0]["missing"]["files"]
    assert not any(each.get("root") for each in listed(found, "files"))


def test_the_last_file_of_a_list_that_broke_off_is_not_taken_for_the_last_of_the_torrent() -> None:
    listed_first = [{"length": 40_000, "path": ["a"]}, {"path": ["no length"]}]
    data = made.bencode(made.folder() | {"files": listed_first, "pieces": bytes(20 * 3)})
    info = _metainfo.read(data, slice(0, len(data)))
    assert inner_pieces(info, info.files[0]) == (range(2), 0)
    data = made.bencode(made.single())
    info = _metainfo.read(data, slice(0, len(data)))
    assert inner_pieces(info, info.files[0]) == (range(3), 0)
