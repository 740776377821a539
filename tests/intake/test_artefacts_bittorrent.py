"""What BitTorrent clients remember of their torrents, held against libtorrent's own reader."""

import ipaddress
import struct
from pathlib import Path

import libtorrent as lt
import pytest
from client_files import CORPUS, real

from artefacts_here import entries, listed, one, rows
from clew.intake.artefacts import _examples as made

BENCODE = CORPUS / "plaso/test_data/bencode"


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
