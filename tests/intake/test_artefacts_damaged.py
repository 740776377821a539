"""Damaged artefacts: whatever the bytes, no plug-in raises, every answer fits a trait, and the account adds up."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from artefacts_here import PLUGINS, entries, one, rows
from clew.intake.api import Probe
from clew.intake.artefacts import _bencoded, deluge, utorrent
from clew.intake.artefacts import _examples as made

FLIPS = st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), max_size=6)
WHOLE = [(name, example.data) for name, plugin in PLUGINS.items() for example in plugin.examples()]


def assert_it_adds_up(data: bytes, name: str) -> None:
    found = rows(data, name)
    if not found or name == "unread":  # that one names what is not read: it has no entries to account for
        return
    for row in found:
        assert len(row.get("text", "")) <= 4096
        if row["name"].startswith("p2p.entry") and "text" in row:
            assert json.loads(row["text"])["at"][0] >= 0
    assert one(found, "p2p.artefact") is not None
    read, declared = one(found, "p2p.entries.read"), one(found, "p2p.entries.declared")
    assert read["integer"] == len(entries(found))
    assert read["integer"] == declared["integer"] or one(found, "p2p.entries") is not None
    for entry in entries(found):
        start, length = entry["at"]
        assert start + length <= len(data)
        assert all(at >= start and at + n <= start + length for at, n in entry.get("where", {}).values())


@pytest.mark.parametrize(("name", "data"), WHOLE, ids=[f"{n}-{len(d)}" for n, d in WHOLE])
@settings(max_examples=30, deadline=None)
@given(FLIPS, st.integers(0, 10**6), st.binary(max_size=9))
def test_flipped_cut_and_lengthened(name, data, flips, cut, more) -> None:
    damaged = bytearray(data)
    for at, value in flips:
        damaged[at % len(damaged)] = value
    keep = cut % (2 * len(damaged))  # half of the time all of it
    assert_it_adds_up(bytes(damaged[:keep]) + more, name)


VALUES = st.recursive(
    st.integers(-(1 << 80), 1 << 80) | st.text(max_size=30) | st.binary(max_size=50),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
KEYS = {
    "torrent": ["name", "piece length", "pieces", "files", "length", "file tree", "meta version", "path", "attr"],
    "fastresume": ["info-hash", "info-hash2", "added_time", "last_upload", "peers", "peers6", "pieces", "file-version",
                   "libtorrent-version", "save_path", "total_uploaded", "name", "info"],
    "transmission": ["added-date", "peers2", "peers2-6", "uploaded", "destination", "name"],
    "utorrent": ["info", "added_on", "caption", "path", "peers6", "uploaded", "last seen complete"],
    "session": ["node-id", "nodes", "nodes6", "listen_interfaces"],
}  # fmt: skip


def dressed(name: str, fields: dict) -> bytes:
    """These fields where that client would have them."""
    base = {
        "torrent": {"info": {"piece length": 16384} | fields, "created by": fields.get("name", 1)},
        "fastresume": {"file-format": "libtorrent resume file"} | fields,
        "transmission": {"activity-date": 1, "bandwidth-priority": 1, "corrupt": 0, "progress": {"pieces": "all"}}
        | fields,
        "utorrent": {".fileguard": "0" * 40, "a": {"info": bytes(20), "path": "x"} | fields, "b": fields},
        "session": {"dht state": fields, "settings": fields},
    }
    return made.bencode(base[name])


@pytest.mark.parametrize("name", KEYS)
def test_fields_of_any_kind_in_the_right_place(name) -> None:
    @settings(max_examples=80, deadline=None)
    @given(st.dictionaries(st.sampled_from(KEYS[name]), VALUES, max_size=6))
    def run(fields: dict) -> None:
        assert_it_adds_up(dressed(name, fields), name)

    run()


@pytest.mark.parametrize("name", ["torrent", "utorrent", "session"])
def test_a_bomb_of_nesting_is_said_where_it_begins(name) -> None:
    bomb = b"l" * 100_000 + b"e" * 100_000
    for data in (
        b"d4:info" + bomb + b"e",
        made.bencode({".fileguard": "0" * 40})[:-1] + b"1:x" + bomb + b"e",
        b"d9:dht stated7:node-id" + bomb + b"ee",
    ):
        assert_it_adds_up(data, name)
    found = rows(made.bencode({".fileguard": "0" * 40})[:-1] + b"1:x" + bomb + b"e", "utorrent")
    assert "nested deeper than" in one(found, "p2p.entries")["detail"]


# plug-in -> a field that is read all the same where the first member of its example is damaged
BENCODED = {
    "torrent": "infohash_v1",
    "fastresume": "infohash_v1",
    "transmission": "save_path",
    "utorrent": "infohash_v1",
    "session": "listen",
    "deluge": "infohash_v1",
    "client_settings": "listen",
}


@pytest.mark.parametrize("name", BENCODED)
def test_a_first_member_that_is_damaged_costs_itself_alone(name: str) -> None:
    """That it is one is told by what stands behind, and that is read: nothing goes unsaid."""
    example = next(iter(PLUGINS[name].examples())).data
    kind = one(rows(example), "p2p.artefact")["text"]
    length, colon, _ = example[1:].partition(b":")
    value = 1 + len(length + colon) + int(length)
    found = rows(example[:value] + b"x" + example[value + 1 :])
    assert one(found, "p2p.artefact")["text"] == kind
    assert "since at byte" in one(found, "p2p.entries")["detail"]
    assert BENCODED[name] in entries(found)[0]


def test_a_torrent_whose_info_is_damaged_behind_damage_is_said() -> None:
    data = made.bencode({"announce": "http://192.0.2.1/", "info": made.single()})
    found = rows(data.replace(b"8:announce17:", b"8:announce1x:").replace(b"6:pieces60", b"6:piecesx0"))
    assert one(found, "p2p.artefact")["text"] == "torrent metainfo"
    assert "0 of 1 entries were read: the info dictionary breaks off" in one(found, "p2p.entries")["detail"]


def test_a_wrong_length_that_swallows_what_follows() -> None:
    data = made.bencode({"allocation": "sparse", "file-format": "libtorrent resume file", "info-hash": bytes(20)})
    found = rows(data.replace(b"6:sparse", b"16:sparse"))
    assert one(found, "p2p.artefact")["text"] == "fastresume"
    assert "were not read, since at byte" in one(found, "p2p.entries")["detail"]


def test_other_dictionaries_that_are_damaged_are_no_artefacts() -> None:
    for text in (b"d1:ax4:infod4:name1:aee", b"d3:abcx8:settingsd1:ai1eee", b"d10:.fileguardx3:abci1ee"):
        assert rows(text) == []


DAMAGED_OF_MANY = {
    "deluge": (deluge, b"d1:ax" + (b"40:" + b"a" * 40 + b"99999999:d1:ai1e") * 50),
    "utorrent": (utorrent, b"d10:.fileguard40:" + b"A" * 40 + b"x" + b"9:a.torrentd4:info20:" * 50),
}


@pytest.mark.parametrize("client", DAMAGED_OF_MANY)
def test_many_torrents_behind_damage_that_have_no_end_are_each_gone_through_once(client, monkeypatch):
    extractor, data = DAMAGED_OF_MANY[client]
    seen = list[int]()

    def packed(held: bytes, place: slice):
        seen.append(place.stop - place.start)
        return _bencoded.packed(held, place)

    monkeypatch.setattr(extractor, "packed", packed)
    probe = Probe(memoryview(data), len(data), "application/octet-stream")
    list(extractor.PLUGIN.traits(probe))
    assert len(seen) == 50
    assert sum(seen) < len(data)
