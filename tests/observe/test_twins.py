"""The two infohashes of a hybrid torrent are one Watch, and number their pieces apart: no claim repeats the other's."""

from asyncio import StreamReader, StreamWriter
from pathlib import Path
from typing import Any

from capture_files import ALL, INFOHASH, OURS, START, THEIRS, A, B, Flow, hello, pcap
from observe_case import FAST, watch_body
from observe_stage import INNER, PROTOCOL, Peer, Stage, bitfield, hear

from clew.core import shards
from clew.core.case import Case
from clew.observe.handed import Given
from clew.observe.replay import replay
from clew.observe.run import observe
from clew.observe.taking import take

TWIN = b"\x52" * 20
MINUTES = 60 * 10**9


def hybrid(**other: Any) -> dict[str, Any]:
    return watch_body(infohash_v2=(TWIN + bytes(12)).hex(), **other)


def contacts(case: Case) -> list[dict[str, Any]]:
    sql = "SELECT * FROM sightings WHERE kind IN ('contact', 'captured') AND tier <> 'E0' ORDER BY sequence, started_ns"
    return shards.query(case, sql).to_pylist()


def test_a_peer_that_changes_to_the_twin_begins_anew(make_case: Any, stage: Stage, infohash: bytes) -> None:
    """It is asked by the v1 infohash each time, answers by it at first, and then by the twin (BEP 52)."""
    said: list[bytes] = []

    async def talk(peer: Peer, reader: StreamReader, writer: StreamWriter) -> None:
        if (await hear(peer, reader, 68))[28:48] != infohash:
            return  # the control probe
        said.append(TWIN if said else infohash)
        writer.write(PROTOCOL + bytes(8) + said[-1] + b"-TE1234-000000000000" + bitfield(*INNER))
        await reader.read(1)

    peer = stage.peer("127.20.0.1", talk)
    tracker = stage.tracker("127.1.0.5", tells_stopped=True)
    tracker.listed[infohash] = [(peer.address, peer.port)]
    case = make_case(hybrid())
    observe(case, trackers=[tracker.url], policy=FAST, seconds=4)
    first, second, third, *_ = contacts(case)
    assert [row["infohash_echoed"] for row in (first, second, third)] == [infohash, TWIN, TWIN]
    assert [(row["tier"], row["repeats"]) for row in (first, second)] == [("E1", None), ("E1", None)]
    assert (third["tier"], third["repeats"]) == ("E2", second["id"])
    assert case.read().execute("SELECT first_twin FROM endpoints").fetchone()[0] == 1
    found = replay(case)
    assert found.differing == []
    assert found.same["contact E2"] >= 1


def test_it_begins_anew_over_a_restart_too(make_case: Any, stage: Stage, infohash: bytes) -> None:
    case = make_case(hybrid())
    tracker = stage.tracker("127.1.0.5", tells_stopped=True)
    answer = [infohash]

    async def talk(peer: Peer, reader: StreamReader, writer: StreamWriter) -> None:
        if (await hear(peer, reader, 68))[28:48] == infohash:
            writer.write(PROTOCOL + bytes(8) + answer[0] + b"-TE1234-000000000000" + bitfield(*INNER))
            await reader.read(1)

    peer = stage.peer("127.20.0.1", talk)
    tracker.listed[infohash] = [(peer.address, peer.port)]
    observe(case, trackers=[tracker.url], policy=FAST, seconds=0.5)
    answer[0] = TWIN
    observe(case, trackers=[tracker.url], policy=FAST, seconds=2.5)
    rows = {row["id"]: row for row in contacts(case)}
    repeated = [(rows[row["repeats"]], row) for row in rows.values() if row["repeats"]]
    assert repeated
    assert all(one["infohash_echoed"] == other["infohash_echoed"] == TWIN for one, other in repeated)
    assert replay(case).differing == []


def test_in_a_capture_each_twin_repeats_itself_alone(make_case: Any, tmp_path: Path) -> None:
    """A client that speaks both at once: v1, the twin, and after six minutes both again."""
    flows = [
        Flow(A, B, at_ns=START + at * MINUTES, isn=(5 + at, 6 + at))
        .say(0, hello(each, OURS))
        .say(1, hello(each, THEIRS) + ALL)
        .close()
        for at, each in ((0, INFOHASH), (6, TWIN), (12, INFOHASH), (18, TWIN))
    ]
    path = tmp_path / "tap.pcap"
    path.write_bytes(pcap([packet for flow in flows for packet in flow.packets]))
    case = make_case(hybrid(infohash_v1=INFOHASH.hex()))
    take(case, Given(path, "C-1", "Insp. Gruber", "a tap in Graz"))
    rows = [row for row in contacts(case) if row["address"] == B[0]]
    assert [row["tier"] for row in rows] == ["E1", "E1", "E2", "E2"]
    assert [row["repeats"] for row in rows] == [None, None, rows[0]["id"], rows[1]["id"]]
