"""A whole run against peers and trackers of our own: tiers, conduct, what is kept and what is not."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from observe_case import FAST
from observe_stage import (
    EXTENDED,
    MODERN,
    PLAIN,
    PROTOCOL,
    Peer,
    Stage,
    Talk,
    Tracker,
    answers,
    bitfield,
    hear,
    message,
    says,
)

from clew.core import shards
from clew.core.case import Case
from clew.observe.run import observe

CANARY = b"CANARY-3f9c1d7e5b"
HELLO = PROTOCOL + MODERN + b"{infohash}" + b"-TE1234-000000000000"
EXTENSION_HANDSHAKE = bytes.fromhex("0000001a1400") + b"d1:mde11:upload_onlyi1ee"


def rows(case: Case, where: str = "true") -> list[dict[str, Any]]:
    return shards.query(case, f"SELECT * FROM sightings WHERE {where} ORDER BY started_ns, id").to_pylist()


def reached(case: Case) -> dict[str, tuple[str, str]]:
    """The highest tier of each address, and the claim it came with."""
    found: dict[str, tuple[str, str]] = {}
    for row in rows(case, "kind = 'contact'"):
        found[row["address"]] = max(found.get(row["address"], ("", "")), (row["tier"], row["claim"]))
    return found


def enlist(tracker: Tracker, infohash: bytes, *peers: Peer) -> None:
    tracker.listed[infohash] += [(peer.address, peer.port) for peer in peers]


def judge(peer: Peer) -> None:
    """Everything that the observer sent to this peer is a handshake and, to who knows it, an extension handshake."""
    for heard in peer.heard:
        assert heard[:20] == PROTOCOL
        assert heard[20:28] == EXTENDED, "the extension bit, and nothing of DHT or Fast"
        assert bytes(heard[68:]) in (b"", EXTENSION_HANDSHAKE)


def test_tiers_as_the_bytes_support_them(case: Case, stage: Stage, infohash: bytes) -> None:
    known = {infohash}
    speaking = {
        "127.20.0.1": ("E2", "watched file", answers(bitfield(*range(20)), torrents=known)),
        "127.20.0.2": ("E2", "watched file", answers(bitfield(6), torrents=known, reserved=PLAIN)),
        "127.20.0.3": (
            "E2",
            "watched file",
            answers(message(4, b"\0\0\0\1") + message(4, b"\0\0\0\7"), torrents=known),
        ),
        "127.20.0.4": ("E2", "torrent only", answers(bitfield(0, 4, 15), torrents=known)),
        "127.20.0.5": ("E1", "none", answers(bitfield(), torrents=known)),
        "127.20.0.6": ("E1", "none", answers(message(15), torrents=known)),
        "127.20.0.7": ("E1", "nothing said", answers(b"", torrents=known)),
        "127.20.0.8": ("E1", "nothing said", answers(message(14), torrents=known)),
        "127.20.0.9": ("E0", "nothing said", answers(bitfield(6), torrents={bytes(20)})),
    }
    peers = [stage.peer(address, talk) for address, (_, _, talk) in speaking.items()]
    tracker = stage.tracker("127.1.0.5", tells_stopped=True)
    enlist(tracker, infohash, *peers)
    tracker.listed[infohash] += [("192.0.2.7", 6881), ("127.20.9.9", 1)]
    summary = observe(case, trackers=[tracker.url], policy=FAST, seconds=9)
    expected = {address: (tier, claim) for address, (tier, claim, _) in speaking.items()}
    assert reached(case) == expected | {"127.20.9.9": ("E0", "nothing said")}
    for peer in peers:
        judge(peer)
        assert peer.most_open == 1
    assert all(heard[68:] == b"" for heard in peers[1].heard), "nothing of an extension to who does not know it"
    claims = {row["id"]: row for row in rows(case)}
    for row in rows(case, "tier = 'E2'"):
        first = claims[row["repeats"]]
        assert (first["address"], first["claim"]) == (row["address"], row["claim"])
        assert row["started_ns"] - first["started_ns"] >= 0.6e9
    assert {row["address"] for row in rows(case, "kind = 'listed'")} == set(speaking) | {"192.0.2.7", "127.20.9.9"}
    assert summary.coverage["not_answered"]["refused: outside the allow-list"] == 1
    assert summary.places["E2"] == 4


def test_without_a_piece_map_a_claim_is_of_the_torrent_alone(make_case: Any, stage: Stage, infohash: bytes) -> None:
    from observe_case import watch_body

    case = make_case(watch_body(piece_length=None, pieces=None, file_offset=None, file_length=None))
    peer = stage.peer("127.20.0.1", answers(bitfield(*range(20)), torrents={infohash}))
    tracker = stage.tracker("127.1.0.5", tells_stopped=True)
    enlist(tracker, infohash, peer)
    summary = observe(case, trackers=[tracker.url], policy=FAST)
    assert summary.stopped == "settled"
    assert reached(case) == {"127.20.0.1": ("E2", "torrent only")}


def test_who_echoes_a_random_infohash_is_promiscuous_and_left_alone(case: Case, stage: Stage, infohash: bytes) -> None:
    honest = stage.peer("127.20.0.1", answers(bitfield(*range(20)), torrents={infohash}))
    echo = stage.peer("127.20.0.2", answers(bitfield(*range(20)), torrents=None))
    tracker = stage.tracker("127.1.0.5", tells_stopped=True)
    enlist(tracker, infohash, honest, echo)
    observe(case, trackers=[tracker.url], policy=FAST)
    control = {row["address"]: row for row in rows(case, "kind = 'control'")}
    assert {address: row["promiscuous"] for address, row in control.items()} == {
        "127.20.0.1": False,
        "127.20.0.2": True,
    }
    assert control["127.20.0.1"]["missing"] is None
    assert control["127.20.0.1"]["infohash_sent"] != infohash
    assert not rows(case, "tier = 'E2' AND address = '127.20.0.2'")
    assert len(echo.heard) == 2, "one contact, one control probe, nothing more"
    found = case.read().execute("SELECT address, control FROM endpoints ORDER BY address").fetchall()
    assert [tuple(row) for row in found] == [("127.20.0.1", "clean"), ("127.20.0.2", "promiscuous")]


def test_half_an_echo_is_an_echo_and_silence_decides_nothing(case: Case, stage: Stage, infohash: bytes) -> None:
    whole = answers(bitfield(*range(20)), torrents={infohash})

    def to_strangers(reply: Callable[[bytes], bytes]) -> Talk:
        async def talk(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            said = await hear(peer, reader, 68)
            if said[28:48] == infohash:
                writer.write(PROTOCOL + bytes(8) + infohash + b"-TE1234-abcdefghijkl" + bitfield(*range(20)))
            else:
                writer.write(reply(said[28:48]))
            await reader.read(1000)

        return talk

    half = stage.peer("127.20.0.1", to_strangers(lambda asked: PROTOCOL + bytes(8) + asked))
    silent = stage.peer("127.20.0.2", to_strangers(lambda _: b""))
    honest = stage.peer("127.20.0.3", whole)
    tracker = stage.tracker("127.1.0.5", tells_stopped=True)
    enlist(tracker, infohash, half, silent, honest)
    observe(case, trackers=[tracker.url], policy=replace(FAST, answer=0.3))
    found = {row["address"]: row["control"] for row in case.read().execute("SELECT address, control FROM endpoints")}
    assert found["127.20.0.1"] == "promiscuous"
    assert found["127.20.0.2"].startswith("limit reached")
    assert found["127.20.0.3"] == "clean"


def test_another_client_at_the_same_place_begins_anew(case: Case, stage: Stage, infohash: bytes) -> None:
    peer = stage.peer("127.20.0.1", answers(bitfield(6), torrents={infohash}, reserved=PLAIN))
    tracker = stage.tracker("127.1.0.5", tells_stopped=True)
    enlist(tracker, infohash, peer)
    observe(case, trackers=[tracker.url], policy=FAST, seconds=1.0)
    peer.talk = answers(bitfield(6), torrents={infohash}, reserved=PLAIN, client=b"-OT9999-")
    observe(case, trackers=[tracker.url], policy=FAST, seconds=2.0)
    by_id = {row["id"]: row for row in rows(case, "kind = 'contact'")}
    clients = [row["client"] for row in by_id.values()]
    assert set(clients) == {"-TE1234-", "-OT9999-"}
    for row in by_id.values():
        assert row["repeats"] is None or by_id[row["repeats"]]["client"] == row["client"]
    assert any(row["tier"] == "E2" and row["client"] == "-OT9999-" for row in by_id.values())


def test_hostile_peers_cost_themselves_and_leave_no_canary(case: Case, stage: Stage, infohash: bytes) -> None:
    block = CANARY * 200
    pushed = [
        message(7, b"\0" * 8 + block),
        message(20, b"\x02d8:msg_typei1e5:piecei0e10:total_sizei9ee" + block),
        message(99, block),
        message(22, block),
    ]
    extension = b"\x00d9:mysteries3400:" + block[:3400] + b"1:v4:Evil"
    hostile = {
        "wrong infohash": says(PROTOCOL + MODERN + b"x" * 20 + CANARY + b"abc"),
        "not BitTorrent": says(b"HTTP/1.1 200 OK\r\n\r\n" + block),
        "wrong length": says(HELLO + message(5, b"\xff" * 9)),
        "spare bits": says(HELLO + message(5, b"\xff\xff\xff")),
        "giant bitfield": says(HELLO + b"\xff\xff\xff\xff\x05" + block),
        "giant extended": says(HELLO + b"\x00\x10\x00\x00\x14\x00" + block),
        "endless bencode": says(HELLO + message(20, b"\x00d" + b"l" * 3000)),
        "long number": says(HELLO + message(20, b"\x00d1:pi" + b"9" * 3000 + b"ee")),
        "second bitfield": says(HELLO + bitfield() + bitfield(7)),
        "HAVE too far": says(HELLO + message(4, b"\xff\xff\xff\xff")),
        "flood": says(HELLO + message(4, b"\0\0\0\1") * 30_000),
        "keep-alives": says(HELLO + bytes(40_000)),
        "slow drip": says(HELLO + bitfield(7), drip=0.2),
        "silent": says(b""),
        "unfinished": says(HELLO + bitfield(7)[:-1]),
        "unknown key": says(HELLO + message(20, extension + b"e") + bitfield()),
        **{f"pushes {n}": says(HELLO + data + bitfield(7)) for n, data in enumerate(pushed)},
        **{f"claims, then pushes {n}": says(HELLO + bitfield(0) + data) for n, data in enumerate(pushed)},
    }
    peers = {name: stage.peer(f"127.21.0.{n + 1}", talk) for n, (name, talk) in enumerate(hostile.items())}
    tracker = stage.tracker("127.1.0.5", tells_stopped=True)
    enlist(tracker, infohash, *peers.values())
    began = time.monotonic()
    observe(case, trackers=[tracker.url], policy=FAST, seconds=4.0)
    assert time.monotonic() - began < 7.0
    where = {peer.address: name for name, peer in peers.items()}
    for row in rows(case, "kind = 'contact'"):
        name = where[row["address"]]
        assert row["claim"] in ("nothing said", "none", "torrent only"), name
        assert row["tier"] in ("E0", "E1", "E2"), name
        assert row["missing"] or name in ("silent", "unfinished", "unknown key"), name
        assert len(row["transcript"]) < 70_000, name
    tiers = {where[address]: tier for address, (tier, _) in reached(case).items()}
    assert {tiers[name] for name in ("wrong infohash", "not BitTorrent", "silent", "slow drip")} == {"E0"}
    assert {tiers[name] for name in ("wrong length", "spare bits", "giant bitfield", "pushes 0")} == {"E1"}
    for peer in peers.values():
        judge(peer)
    files = [path for path in case.folder.rglob("*") if path.is_file()]
    case.read().execute("SELECT count(*) FROM dials").fetchone()
    assert [str(path) for path in files if CANARY in path.read_bytes()] == []
    kept = b"".join(row["transcript"] for row in rows(case))  # shards are compressed: look inside as well
    assert CANARY[:6] not in kept
    assert all(CANARY.decode() not in str(value) for row in rows(case) for value in row.values())


def test_a_tracker_that_tells_on_stopped_is_never_told_started(case: Case, stage: Stage, infohash: bytes) -> None:
    peer = stage.peer("127.20.0.1", answers(bitfield(6), torrents={infohash}))
    tracker = stage.tracker("127.1.0.5", tells_stopped=True)
    enlist(tracker, infohash, peer)
    observe(case, trackers=[tracker.url], policy=FAST, seconds=1.5)
    assert {asked["event"] for asked in tracker.asked} == {"stopped"}
    assert not rows(case, "kind = 'ourselves'")
    listed = rows(case, "kind = 'listed'")[0]
    assert infohash not in listed["transcript"]
    assert b"peers" in listed["transcript"]


def test_started_is_said_under_the_permit_alone_and_taken_back_at_once(
    case: Case, stage: Stage, infohash: bytes
) -> None:
    peer = stage.peer("127.20.0.1", answers(bitfield(*range(20)), torrents={infohash}))
    tracker = stage.tracker("127.1.0.5", tells_stopped=False)
    enlist(tracker, infohash, peer)
    summary = observe(case, trackers=[tracker.url], policy=FAST, seconds=1.5)
    events = [asked["event"] for asked in tracker.asked]
    assert events[:3] == ["stopped", "started", "stopped"]
    assert Counter(events)["started"] == len(rows(case, "kind = 'ourselves'")) == summary.ourselves["times"] > 0
    assert tracker.announced == set(), "we are listed nowhere at the end"
    assert all(int(asked["left"]) > 0 for asked in tracker.asked)
    for row in rows(case, "kind = 'ourselves'"):
        assert row["address"] == "127.9.0.1"
        assert 0 < row["ended_ns"] - row["started_ns"] < 1e9
    assert reached(case)["127.20.0.1"][0] == "E2"


def test_without_the_permit_a_silent_tracker_stays_silent(make_case: Any, stage: Stage, infohash: bytes) -> None:
    case = make_case(permits=[])
    tracker = stage.tracker("127.1.0.5", tells_stopped=False)
    tracker.listed[infohash].append(("127.20.0.1", 6881))
    observe(case, trackers=[tracker.url], policy=FAST, seconds=1.0)
    assert {asked["event"] for asked in tracker.asked} == {"stopped"}
    assert rows(case) == []


@pytest.mark.parametrize("tells_stopped", [True, False])
def test_a_capped_tracker_is_asked_until_all_are_known(
    case: Case, stage: Stage, infohash: bytes, tells_stopped: bool
) -> None:
    tracker = stage.tracker("127.1.0.5", tells_stopped=tells_stopped, cap=7)
    tracker.listed[infohash] = [(f"127.22.0.{n}", 1) for n in range(1, 41)]
    observe(case, trackers=[tracker.url], policy=FAST, seconds=1.5)
    assert {row["address"] for row in rows(case, "kind = 'listed'")} == {f"127.22.0.{n}" for n in range(1, 41)}
    one = rows(case, "kind = 'listed'")[0]
    others = sum(
        bytes(map(int, row["address"].split("."))) in one["transcript"] for row in rows(case, "kind = 'listed'")
    )
    assert others == 1, "the proof of one listing names no other endpoint"


@pytest.mark.parametrize(
    "reply",
    [
        b"HTTP/1.1 302 Found\r\nLocation: http://127.1.0.9/\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\nd",
        b"HTTP/1.1 200 OK\r\n\r\n" + b"l" * 5000,
        b"HTTP/1.1 200 OK\r\n\r\nd14:failure reason9:not here!e",
        b"nonsense" * 3000,
    ],
)
def test_a_useless_tracker_is_an_error_with_its_reason(case: Case, stage: Stage, reply: bytes) -> None:
    tracker = stage.tracker("127.1.0.5", tells_stopped=True)
    tracker.reply = reply
    summary = observe(case, trackers=[tracker.url], policy=FAST, seconds=1.0)
    assert summary.trackers[tracker.url]["failed"] >= 1
    assert next(iter(summary.errors)).split(": ")[1] == "tracker"
    assert rows(case) == []
