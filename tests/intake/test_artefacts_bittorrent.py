"""Torrents and what BitTorrent clients remember of them, held against libtorrent's own reader."""

import hashlib
import ipaddress
import json
import os
import random
import re
import sqlite3
import struct
from contextlib import closing
from pathlib import Path

import libtorrent as lt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from artefacts_here import PLUGINS, entries, listed, one, rows
from clew.intake.api import Probe
from clew.intake.artefacts import _examples as made
from clew.intake.artefacts import _metainfo
from clew.intake.artefacts._entry import MOST_TEXT, Entry
from clew.intake.piece_check import inner_pieces

CORPUS = Path(os.environ.get("CLEW_CORPUS", "/nonexistent"))
P2P, BENCODE = CORPUS / "generated/p2p", CORPUS / "plaso/test_data/bencode"
PIECE = made.PIECE


def real(pattern: str) -> list[Path]:
    """Files of real clients; the test that wants them is marked, and fails where there are none."""
    found = sorted(P2P.rglob(pattern)) if P2P.is_dir() else []
    return found or [Path(f"no {pattern}")]


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


@pytest.mark.corpus
@pytest.mark.parametrize("path", real("qBittorrent.conf") + real("settings.json"), ids=str)
def test_the_port_in_the_settings_of_real_clients(path: Path) -> None:
    data = path.read_bytes()
    (entry,) = entries(rows(data))
    told = re.search(rb'^(?:Session.Port=|    "peer-port": )([0-9]+),?$', data, re.MULTILINE)
    at, length = entry["where"]["listen"]
    assert (entry["listen"], told[1] in data[at : at + length]) == (f":{told[1].decode()}", True)


GUARDED = {".fileguard": "0" * 40}
LEFT_OVER = b"[Preferences]\nConnection\\PortRangeMin=6881\nGeneral\\UseRandomPort=true\n"  # by an upgrade to 4.4
REPLY = b'{"arguments":{"download-dir":"/srv","peer-port":51413,"rpc-version":17},"result":"success"}'


@pytest.mark.parametrize(
    ("data", "listen", "why"),
    [
        (made.bencode(GUARDED | {"bind_port": 51_413, "dir_active_download": "C:\\shared"}), ":51413", None),
        (made.bencode(GUARDED | {"bind_port": 0}), None, "0 stands for a port that it takes as it starts"),
        (made.bencode(GUARDED | {"bind_port": "51413"}), None, "-1 stands for"),
        (b"[BitTorrent]\r\nSession\\Port=51413\r\n", ":51413", None),
        (b"[Preferences]\nWebUI\\Port=8080\nConnection\\PortRangeMin=6881\n", ":6881", None),
        (
            b"[Preferences]\nConnection\\PortRangeMin=6881\nGeneral\\UseRandomPort=true\n",
            None,
            "another port each time",
        ),
        (LEFT_OVER + b"[BitTorrent]\nSession\\Port=7777\nSession\\UseRandomPort=true\n", ":7777", None),
        (LEFT_OVER + b"[BitTorrent]\nSession\\Port=0\n", None, "0 stands for a port that it takes as it starts"),
        (b"[BitTorrent]\nSession\\DHTEnabled=false\n[Preferences]\nWebUI\\Port=8080\n", None, "no port was set"),
        (b'{"download_dir": "/srv", "peer_port": 6881, "rpc_port": 9091}', ":6881", None),
    ],
)
def test_the_port_that_a_client_was_set_to_listen_on(data: bytes, listen: str | None, why: str | None) -> None:
    (entry,) = entries(rows(data))
    assert entry.get("listen") == listen
    assert (why is None) or why in entry["missing"]["listen"]


@pytest.mark.parametrize(
    "data", [b"[General]\nPort=5\n", b'{"peer-port": 5}', b"[1, 2]", made.bencode({"bind_port": 5}), REPLY]
)
def test_settings_of_something_else_are_none(data: bytes) -> None:
    assert rows(data, "client_settings") == []


@pytest.mark.corpus
@pytest.mark.parametrize("path", real("*.fastresume"), ids=str)
def test_fastresume_of_real_clients(path: Path) -> None:
    data = path.read_bytes()
    said, found = lt.bdecode(data), rows(data, "fastresume")
    (entry,) = entries(found)
    assert entry["infohash_v1"] == said[b"info-hash"].hex()
    assert "infohash_v2" not in entry
    assert entry["save_path"].encode() == said[b"save_path"]
    assert (entry["uploaded"], entry["downloaded"]) == (said[b"total_uploaded"], said[b"total_downloaded"])
    times = {"added_s": b"added_time", "completed_s": b"completed_time", "last_upload_s": b"last_upload"}
    for name, key in times.items():
        assert entry.get(name, 0) == said[key]
        assert (name in entry) != (name in entry.get("missing", {}))
    peers = said.get(b"peers", b"")
    ours = listed(found, "endpoints")
    assert [bytes(map(int, a.split("."))) + p.to_bytes(2, "big") for a, p, _, _ in ours] == [
        peers[n : n + 6] for n in range(0, len(peers), 6)
    ]
    assert all(data[at : at + length] in peers for _, _, at, length in ours)
    params = lt.read_resume_data(data)
    assert sum(params.have_pieces) == entry["pieces_have"]


@pytest.mark.corpus
def test_every_field_is_shown_by_the_bytes_that_say_it() -> None:
    data = (BENCODE / "utorrent").read_bytes()
    (entry,) = entries(rows(data, "utorrent"))
    for name, (at, length) in entry["where"].items():
        value = lt.bdecode(data[at : at + length])
        assert entry[name] == (
            value.hex() if name == "infohash_v1" else value if type(value) is int else value.decode()
        )


@pytest.mark.corpus
def test_resume_dat_of_a_real_client() -> None:
    data = (BENCODE / "utorrent").read_bytes()
    (said,) = [each for each in lt.bdecode(data).values() if isinstance(each, dict)]
    (entry,) = entries(rows(data, "utorrent"))
    assert entry["infohash_v1"] == said[b"info"].hex()
    assert [entry[n] for n in ("added_s", "completed_s", "uploaded", "downloaded")] == [
        said[k] for k in (b"added_on", b"completed_on", b"uploaded", b"downloaded")
    ]


@pytest.mark.corpus
def test_transmission_of_a_real_client() -> None:
    found = rows((BENCODE / "transmission").read_bytes(), "transmission")
    (entry,) = entries(found)
    assert (entry["added_s"], entry["active_s"], entry["downloaded"]) == (1383924680, 1383935064, 17590847)
    assert "not in its bytes" in entry["missing"]["infohash_v1"]
    assert len(listed(found, "endpoints")) == 3


def pex(address: str, port: bytes) -> bytes:
    """An endpoint as Transmission keeps it in memory: family, room for either address, port, flags."""
    packed = ipaddress.ip_address(address).packed
    return (len(packed) == 16).to_bytes(4, "little") + packed.ljust(16, b"\0") + port + bytes(2)


@pytest.mark.parametrize(
    ("progress", "port", "why"),
    [
        ({"mtimes": [0], "bitfield": b"\xff"}, 0x1AE1, ""),  # up to 2.13
        ({"have": "all", "time-checked": [0], "blocks": "all"}, 0x1AE1, ""),  # 2.20 to 3.00
        ({"mtimes": [0], "pieces": "all", "blocks": "none"}, 0xE11A, ""),  # 4.0
        ({"have": "all"}, None, "in an order of bytes that nothing tells"),
        ({"pieces": "all", "time-checked": [0]}, None, "in an order of bytes that nothing tells"),
        (b"none", None, "in an order of bytes that nothing tells"),
        (None, None, "in an order of bytes that nothing tells"),  # of a torrent whose metainfo had not come yet
    ],
)
def test_the_ports_of_transmission_are_in_the_order_of_its_version(progress, port, why):
    said = {
        "activity-date": 1, "added-date": 1, "bandwidth-priority": 0, "corrupt": 0, "destination": "/x",
        "peers2": pex("192.0.2.1", b"\x1a\xe1"), "peers2-6": pex("2001:db8::1", b"\x1a\xe1"),
    }  # fmt: skip
    found = rows(made.bencode(said | ({} if progress is None else {"progress": progress})), "transmission")
    (entry,) = entries(found)
    told = [(address, number) for address, number, _, _ in listed(found, "endpoints")]
    assert told == ([("192.0.2.1", port), ("2001:db8::1", port)] if port else [])
    assert why in entry["missing"].get("endpoints", "")
    assert ("endpoints" in entry["missing"]) == (not port)


def test_a_resume_whose_keys_have_underscores_says_the_same() -> None:
    said = {
        "activity-date": 1, "added-date": 2, "bandwidth-priority": 0, "corrupt": 0, "done-date": 3,
        "peers2": pex("192.0.2.1", b"\x1a\xe1"), "peers2-6": pex("2001:db8::1", b"\x1a\xe1"), "uploaded": 4,
        "destination": "/x-y", "progress": {"time-checked": [0]},
    }  # fmt: skip
    renamed = {name.replace("-", "_"): value for name, value in said.items()} | {"progress": {"time_checked": [0]}}
    one_way, other_way = (rows(made.bencode(each), "transmission") for each in (said, renamed))
    told, again = (listed(found, "endpoints") for found in (one_way, other_way))
    assert [each[:2] for each in again] == [each[:2] for each in told] == [["192.0.2.1", 6881], ["2001:db8::1", 6881]]
    assert [{**entry, "where": 0} for entry in entries(other_way)] == [{**e, "where": 0} for e in entries(one_way)]


@pytest.mark.corpus
def test_nothing_else_of_the_corpus_is_taken_for_an_artefact() -> None:
    clients = (".torrent", ".fastresume", ".resume", ".met", ".bak", ".session_state", "preferences.dat")
    known = (*clients, "settings.json", "qBittorrent.conf")
    for path in CORPUS.rglob("*"):
        if path.is_file() and path.stat().st_size < 5 << 20 and "bencode" not in path.parts:
            assert not rows(path.read_bytes()) or path.name.endswith(known), path


def test_a_session_state_that_libtorrent_writes() -> None:
    session = lt.session({"enable_dht": False, "enable_lsd": False, "listen_interfaces": "127.0.0.1:0"})
    (entry,) = entries(rows(lt.bencode(session.save_state()), "session"))
    assert entry["listen"] == "127.0.0.1:0"


def test_the_nodes_of_a_session_are_read() -> None:
    found = rows(next(PLUGINS["session"].examples()).data, "session")
    (entry,) = entries(found)
    assert entry["node_id"] == one(found, "p2p.node_id")["data"] == bytes(range(20)).hex()
    assert listed(found, "endpoints")[0][:2] == ["192.0.2.1", 6881]


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


def resumed(number: int) -> bytes:
    """As libtorrent itself writes it."""
    atp = lt.add_torrent_params()
    atp.info_hashes = lt.info_hash_t(lt.sha1_hash(bytes([number + 1]) * 20))
    atp.save_path, atp.added_time, atp.total_uploaded = f"/srv/{number}", 1_700_000_000 + number, 100 + number
    atp.peers = [("192.0.2.7", 6_881 + number)]
    return lt.write_resume_data_buf(atp)


def test_each_torrent_of_deluge_is_read_as_libtorrent_wrote_it_and_shown_by_its_bytes() -> None:
    data = made.bencode({(bytes([n + 1]) * 20).hex(): resumed(n) for n in range(3)})
    found = rows(data)
    told = entries(found)
    assert one(found, "p2p.artefact")["text"] == "torrents.fastresume"
    assert [each["infohash_v1"] for each in told] == [(bytes([n + 1]) * 20).hex() for n in range(3)]
    assert [(each["added_s"], each["uploaded"]) for each in told] == [(1_700_000_000 + n, 100 + n) for n in range(3)]
    assert {each["client"].split()[0] for each in told} == {"Deluge"}
    for n, entry in enumerate(told):
        at, length = entry["at"]
        assert data[at : at + length] == resumed(n)
        at, length = entry["where"]["infohash_v1"]
        assert lt.bdecode(data[at : at + length]).hex() == entry["infohash_v1"]
    assert [(a, p, data[at : at + n]) for a, p, at, n in listed(found, "endpoints")] == [
        ("192.0.2.7", 6_881 + n, bytes([192, 0, 2, 7]) + (6_881 + n).to_bytes(2, "big")) for n in range(3)
    ]
    assert one(found, "p2p.entries") is None


def test_a_torrent_of_deluge_that_breaks_costs_itself_alone_and_the_count_says_so() -> None:
    whole = {(bytes([n + 1]) * 20).hex(): resumed(n) for n in range(3)}
    data = made.bencode(whole | {(bytes([2]) * 20).hex(): resumed(1)[:-1] + b"i"})
    found = rows(data)
    assert len(entries(found)) == 3
    assert "3 of 3 entries were read: from byte" in one(found, "p2p.entries")["detail"]
    data = made.bencode(whole | {(bytes([2]) * 20).hex(): b"x" + resumed(1)})
    found = rows(data)
    assert [each["added_s"] for each in entries(found)] == [1_700_000_000, 1_700_000_002]
    assert one(found, "p2p.entries")["detail"] == "2 of 3 entries were read"
    assert "1 of its members are no torrents" in one(found, "p2p.rest")["detail"]


def control_of(uploaded: int, held: str, under_way: tuple[tuple[int, int, int], ...] = ()) -> bytes:
    """As aria2 1.36.0 wrote one of 300,000 bytes in pieces of 32 KiB, but for these."""
    fixed = "0001 00000001 00000014 53cd05daf78f7e88330c445e03edce8c8b62f752 00008000 00000000000493e0"
    data = bytes.fromhex(fixed) + struct.pack(">QI", uploaded, 2) + bytes.fromhex(held)
    parts = b"".join(struct.pack(">III", *each) + bytes(each[2]) for each in under_way)
    return data + struct.pack(">I", len(under_way)) + parts


def test_the_control_file_of_aria2() -> None:
    data = control_of(777, "f180", ((4, 1 << 15, 1), (5, 1 << 15, 1)))
    found = rows(data)
    (entry,) = entries(found)
    assert entry["infohash_v1"] == "53cd05daf78f7e88330c445e03edce8c8b62f752"
    numbers = ("piece_length", "size", "uploaded", "pieces", "pieces_have")
    assert [entry[name] for name in numbers] == [1 << 15, 300_000, 777, 10, 6]
    shown = {name: data[at : at + length] for name, (at, length) in entry["where"].items()}
    assert shown["infohash_v1"].hex() == entry["infohash_v1"]
    assert int.from_bytes(shown["uploaded"], "big") == 777
    assert {row["name"] for row in found if "missing" in row} == set()


def test_bits_to_spare_in_a_control_file_are_no_pieces() -> None:
    (entry,) = entries(rows(control_of(0, "ffff", ())))
    assert (entry["pieces"], entry["pieces_have"]) == (10, 10)


def test_a_control_file_that_was_cut_or_is_none() -> None:
    data = control_of(777, "f180", ((4, 1 << 15, 1),))
    found = rows(data[:-1])
    assert len(entries(found)) == 1
    assert "it ends at byte" in one(found, "p2p.entries")["detail"]
    assert "1 bytes from byte" in one(rows(data + b"?"), "p2p.rest")["detail"]
    assert rows(data[:2] + b"\xff" + data[3:]) == []
    assert rows(data[:30] + bytes(4) + data[34:]) == []  # no length of a piece
    assert rows(data[:-30]) == []


def test_what_is_not_read_is_named(tmp_path: Path) -> None:
    database = sqlite3.connect(tmp_path / "torrents.db")
    with closing(database), database:
        database.execute("CREATE TABLE `torrents` (`id` INTEGER PRIMARY KEY, `libtorrent_resume_data` BLOB NOT NULL)")
    found = rows((tmp_path / "torrents.db").read_bytes())
    assert [(row["name"], row["text"]) for row in found] == [("p2p.unread", "qBittorrent's torrents.db")]
    assert rows(b"\x80\x04\x95\x30\x00\x00\x00\x00\x00\x00\x00\x8c\x1adeluge.core.torrentmanager\x94.")[0]["text"] == (
        "Deluge's torrents.state"
    )


@pytest.mark.parametrize("example", list(PLUGINS["unread"].examples()), ids=lambda example: example.name)
def test_what_is_named_as_not_read_is_nothing_else(example) -> None:
    assert [row["name"] for row in rows(example.data)] == ["p2p.unread"]


def torrent(number: int) -> dict:
    return {
        "added_on": 1_700_000_000 + number,
        "caption": f"c{number}",
        "info": (number + 1).to_bytes(20, "big"),
        "path": "p",
    }


FIFTY = {".fileguard": "0" * 40, **{f"{n:03}.torrent": torrent(n) for n in range(50)}}


def test_a_torrent_that_breaks_costs_itself_alone_and_says_where() -> None:
    whole = made.bencode(FIFTY)
    assert len(entries(rows(whole, "utorrent"))) == 50
    at = whole.index(b"020.torrent") + len(b"020.torrent")
    found = rows(whole[:at] + b"?" + whole[at + 1 :], "utorrent")
    assert [each["added_s"] - 1_700_000_000 for each in entries(found)] == [n for n in range(50) if n != 20]
    assert (one(found, "p2p.entries.declared")["integer"], one(found, "p2p.entries.read")["integer"]) == (50, 49)
    assert "49 of 50 entries were read: from byte" in one(found, "p2p.entries")["detail"]
    for entry in entries(found):
        start, length = entry["at"]
        assert lt.bdecode(whole[start : start + length])[b"info"].hex() == entry["infohash_v1"]


@pytest.mark.parametrize(
    ("beside", "is_one"),
    [
        ({"bind_port": 51413, "dir_active_download": "C:\\shared", "settings_saved_systime": 1_700_000_000}, False),
        ({"feeds": [], "filters": [], "history": [{"name": "a.torrent"}]}, False),  # rss.dat
        ({"a.torrent": "no torrent"}, True),
        ({"magnet": torrent(1)}, True),
        ({"rec": [], "x": 1}, True),
        ({}, True),
    ],
)
def test_what_else_the_client_guards_is_no_resume_dat(beside: dict[str, object], is_one: bool) -> None:
    found = rows(made.bencode({".fileguard": "0" * 40, **beside}), "utorrent")
    assert bool(found) is is_one


def test_a_resume_dat_that_was_cut_says_how_many_are_lost() -> None:
    whole = made.bencode(FIFTY)
    found = rows(whole[: whole.index(b"048.torrent") + 30], "utorrent")
    assert (len(entries(found)), one(found, "p2p.entries.read")["integer"]) == (48, 48)
    assert "nothing was read" in one(found, "p2p.entries")["detail"]


def test_a_torrent_of_many_files_is_listed_whole() -> None:
    files = [{"length": n, "path": [f"folder {n % 7}", f"{n}.bin"]} for n in range(20_000)]
    size = sum(range(20_000))
    info = {"files": files, "name": "many", "piece length": 1 << 20, "pieces": bytes(20 * -(-size // (1 << 20)))}
    found = rows(made.bencode({"info": info}))
    assert [each["size"] for each in listed(found, "files")] == list(range(20_000))
    assert all(len(row.get("text", "")) <= MOST_TEXT for row in found)


TEXTS = st.text(max_size=3000) | st.binary(max_size=3000).map(lambda raw: raw.decode("utf-8", "backslashreplace"))


@settings(max_examples=60, deadline=None)
@given(TEXTS, TEXTS, TEXTS, st.lists(st.integers(-(1 << 70), 1 << 70), min_size=12, max_size=12))
def test_an_entry_always_fits_a_trait_and_says_what_was_cut(name, path, client, numbers) -> None:
    entry = Entry("bittorrent", client, "test", slice(0, 10**9))
    entry.say_text("name", name, slice(0, 10**9))
    entry.say_text("save_path", path, slice(0, 10**9))
    for n, (field, value) in enumerate(zip(["added_s", "completed_s", "active_s", "last_upload_s", "last_download_s",
                                            "last_seen_s"], numbers, strict=False)):  # fmt: skip
        entry.take_time(field, {0: (value, slice(n, 10**9))}, 0)
    for field, value in zip(["uploaded", "downloaded", "size"], numbers[6:], strict=False):
        entry.take_count(field, {0: (value, slice(0, 10**9))}, 0)
    for field, length in (("infohash_v1", 20), ("infohash_v2", 32)):
        entry.take_hash(field, {0: (b"\xff" * length, slice(0, 10**9))}, 0, length)
    found = list(entry.traits())
    text = found[0][1]
    assert len(text) <= MOST_TEXT
    said = json.loads(text)
    assert (said["name"] == name and said["save_path"] == path and said["client"] == client) == (len(found) == 1)


def test_a_large_content_that_is_no_artefact_is_told_by_its_first_bytes_read_once() -> None:
    class Film:
        size, bad = 10**12, ()

        def __init__(self) -> None:
            self.reads = 0

        def read(self, offset: int, length: int) -> bytes:
            self.reads += 1
            return b"\x00\x00\x00\x20ftypisom"[offset:][:length]

    film = Film()
    probe = Probe(None, film.size, "video/mp4", source=film)
    assert [trait for plugin in PLUGINS.values() for trait in plugin.traits(probe)] == []
    assert film.reads == 1
