"""The two infohashes of a hybrid torrent are one Watch, and number their pieces apart: no claim repeats the other's."""

from asyncio import StreamReader, StreamWriter
from dataclasses import replace
from pathlib import Path
from typing import Any

from capture_files import ALL, INFOHASH, OURS, START, THEIRS, A, B, Flow, hello, pcap
from observe_case import FAST, watch_body
from observe_stage import INNER, PROTOCOL, Peer, Stage, bitfield, hear

from clew.core import shards
from clew.core.case import Case
from clew.model import Claim, Missing, Reason
from clew.observe.api import SECOND, Contact
from clew.observe.book import Book
from clew.observe.endpoints import EITHER, Endpoint
from clew.observe.handed import Given
from clew.observe.policy import Policy
from clew.observe.replay import replay
from clew.observe.run import observe
from clew.observe.taking import take

TWIN = b"\x52" * 20
MINUTES = 60 * 10**9
QUICK = replace(FAST, revisit=0.3, announce=0.25, quiet_rounds=1)


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


V1_ONLY = "127.20.0.1"


def test_who_was_listed_first_for_the_twin_is_called_by_the_other_too(
    make_case: Any, stage: Stage, infohash: bytes
) -> None:
    """A client of v1 alone, which closes on any other: listed by a peer's gossip, which cannot say, or by a lie."""
    tracker = stage.tracker("127.1.0.5", tells_stopped=True)

    async def talk(peer: Peer, reader: StreamReader, writer: StreamWriter) -> None:
        asked = (await hear(peer, reader, 68))[28:48]
        tracker.listed[infohash] = [(peer.address, peer.port)]
        if asked == infohash:
            writer.write(PROTOCOL + bytes(8) + infohash + b"-TE1234-000000000000" + bitfield(*INNER))
            await reader.read(1)

    peer = stage.peer(V1_ONLY, talk)
    tracker.listed[TWIN] = [(peer.address, peer.port)]
    case = make_case(hybrid())
    assert observe(case, trackers=[tracker.url], policy=QUICK).stopped == "settled"
    assert {row["infohash_echoed"] for row in contacts(case)} == {infohash}
    assert replay(case).differing == []
    assert case.read().execute("SELECT twin FROM endpoints").fetchone()[0] == EITHER, "by the v1 one, of both"
    sql = "SELECT infohash_sent FROM sightings WHERE kind = 'contact' ORDER BY sequence"
    assert shards.query(case, sql).to_pylist()[0]["infohash_sent"] == TWIN


ALL_WAYS, NOBODY = ("mse/tcp", "mse/utp"), Missing(Reason.UNREADABLE, "closed")
REVISIT = 100 * SECOND


def failing(made: Book, one: Endpoint, at_ns: int) -> int:
    """A visit that fails over every transport, unheard; returns how many calls it was."""
    for calls in range(1, 9):
        made.due(at_ns, 9)
        made.contacted(one, Contact(missing=NOBODY, shut=True), "s", at_ns, REVISIT, made.transport(one, "contact"),
                       heard_ns=at_ns)  # fmt: skip
        if one.next_ns != at_ns:
            return calls
    raise AssertionError


def listed(made: Book, twin: bool | None, at_ns: int = 0) -> Endpoint:
    found, _ = made.listed("w", V1_ONLY, 6881, source="t", twin=twin, at_ns=at_ns, due_ns=at_ns)
    made.saved(made.changed())
    return found


def book() -> Book:
    return Book([], Policy(revisit=100), 0, lambda _: ALL_WAYS)


def test_one_visit_is_by_one_infohash_and_the_next_an_interval_later_by_the_other() -> None:
    made = book()
    one = listed(made, None)
    by = [one.by_twin]
    for visit in range(2):
        assert failing(made, one, visit * REVISIT) == len(ALL_WAYS)
        assert one.next_ns == REVISIT * (visit * 2 + 1)
        by.append(one.by_twin)
    assert by == [False, True, False]


def test_who_was_listed_under_one_infohash_is_called_by_no_other() -> None:
    made = book()
    one = listed(made, True)
    failing(made, one, 0)
    listed(made, True, 1)
    assert one.by_twin


def test_who_was_given_up_and_is_listed_for_the_other_has_as_many_visits_by_that_after_the_interval() -> None:
    made = book()
    one = listed(made, True)
    for visit in (0, 1, 3):
        failing(made, one, visit * REVISIT)
    assert (one.next_ns, one.failures) == (None, 3)
    listed(made, False, 9 * REVISIT)
    assert (one.by_twin, one.next_ns, one.failures) == (False, 10 * REVISIT, 0)


def test_who_answered_to_one_infohash_is_called_by_it_again_until_it_failed_as_often_as_is_tried() -> None:
    made = book()
    one = listed(made, None)
    made.due(0, 9)
    told = Contact(answered=True, claim=Claim.WATCHED_FILE, peer_id=b"-TE1234-000000000000")
    made.contacted(one, told, "s", 0, REVISIT, "mse/tcp", heard_ns=0)
    by = []
    for visit in range(1, 6):
        failing(made, one, visit * REVISIT)
        by.append(one.by_twin)
    assert by == [False, False, True, False, True]


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
