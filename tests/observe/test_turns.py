"""Several Watches of one torrent, one after another: a client may take nobody back as soon as he has left."""

import asyncio
import hashlib
import time
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from observe_case import FAST, watch_body
from observe_stage import Peer, Stage, Talk, answers, bitfield, hear

from clew.core import watch
from clew.core.case import Case
from clew.model import Missing, Reason
from clew.observe.api import REFUSED, SECOND, Contact
from clew.observe.book import Book
from clew.observe.endpoints import Endpoint
from clew.observe.policy import Policy
from clew.observe.probes import CLEAN, CONTROL_AFTER_NS
from clew.observe.run import observe
from clew.observe.turns import Turns, shared

SHUT_SECONDS = 0.5
PLACES = [("127.10.0.1", 6881), ("127.10.0.2", 6881)]
OTHER, TORRENT = "other", {"w1": "one", "w2": "one", "w3": "one"}
WATCHES = [*TORRENT, OTHER]
ANSWERED = Contact(answered=True)
FORBIDDEN = Missing(Reason.REFUSED, "no Mandate covers this")
CLOSED = Missing(Reason.UNREADABLE, "closed")
ENDS = {  # what comes of a contact, and whether a handshake of ours may have been heard in it
    "answers": (ANSWERED, True),
    "silent": (Contact(missing=CLOSED), True),
    "shut": (Contact(missing=CLOSED, shut=True), False),
    "not made": (None, False),
}


def shy(talk: Talk, turned_away: list[float]) -> Talk:
    """Takes nobody for half a second after the last one left, as Transmission 3.00 does: it hears him, and closes."""
    left = -SHUT_SECONDS

    async def say(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal left
        if time.monotonic() < left + SHUT_SECONDS:
            await hear(peer, reader, 68)
            turned_away.append(time.monotonic())
            return
        try:
            await talk(peer, reader, writer)
        finally:
            left = time.monotonic()

    return say


def test_a_client_that_takes_nobody_back_at_once_is_claimed_for_each_watch_of_its_torrent(
    make_case: Callable[..., Case], stage: Stage, infohash: bytes
) -> None:
    case = make_case(watch_body(1), watch_body(2, infohash_v1=infohash.hex()))
    turned_away: list[float] = []
    peer = stage.peer("127.20.0.1", shy(answers(bitfield(*range(20)), torrents={infohash}), turned_away))
    tracker = stage.tracker("127.1.0.5", tells_stopped=True)
    tracker.listed[infohash] = [(peer.address, peer.port)]
    found = observe(case, trackers=[tracker.url], policy=replace(FAST, revisit=4.0))
    assert (found.stopped, turned_away) == ("settled", [])
    rows = case.read().execute("SELECT tier, contacts - claims, failures, control FROM endpoints")
    assert [tuple(row) for row in rows] == [("E2", 0, 0, CLEAN)] * 2
    dials = "SELECT kind, state, count(*) FROM dials WHERE kind NOT LIKE 'announce%' GROUP BY kind, state ORDER BY kind"
    made = [("contact", "done", found.contacts), ("control", "done", 1)]
    assert [tuple(row) for row in case.read().execute(dials)] == made
    case.close()


def book(places: list[tuple[str, int]], watches: list[str], control: str | None = CLEAN) -> Book:
    made = Book([], Policy(revisit=100), 0, lambda _: ("tcp",), TORRENT)
    for place in places:
        for each in watches:
            made.listed(each, *place, source="t", twin=False, at_ns=0, due_ns=0)
    for endpoint in made:
        endpoint.control = control
    made.saved(made.changed())
    return made


def ends(made: Book, endpoint: Endpoint, how: str, at_ns: int, kind: str = "contact") -> None:
    """As `Results` tells it of a call."""
    contact, heard = ENDS[how]
    if heard:
        made.heard(endpoint, at_ns)
    if contact is None:
        made.put_back(endpoint, kind)
    elif kind == "control":
        made.controlled(endpoint, CLEAN if how == "silent" else CLOSED)
    else:
        made.contacted(endpoint, contact, "s", at_ns, 100 * SECOND, "tcp", heard_ns=at_ns)


def test_a_second_watch_waits_for_its_turn_and_then_for_the_rest() -> None:
    made = book(PLACES, ["w1", "w2"])
    first, second, elsewhere, _ = made
    assert made.due(0, 9) == [(first, "contact"), (elsewhere, "contact")]
    assert made.due(7 * SECOND, 9) == [], "the first is called still"
    ends(made, first, "answers", 8 * SECOND)
    assert made.due(8 * SECOND + CONTROL_AFTER_NS - 1, 9) == []
    assert second.next_ns == 0, "due as before, also for a run that begins anew"
    assert made.due(8 * SECOND + CONTROL_AFTER_NS, 9) == [(second, "contact")]


def test_a_control_probe_takes_its_turn_too() -> None:
    made = book(PLACES[:1], ["w1", "w2"], control=None)
    first, second = made
    assert made.due(0, 9) == [(first, "contact")]
    ends(made, first, "answers", 7 * SECOND)
    assert made.due(9 * SECOND - 1, 9) == []
    assert made.due(9 * SECOND, 9) == [(first, "control")]
    assert made.due(11 * SECOND, 9) == []
    ends(made, first, "silent", 12 * SECOND, "control")
    assert made.due(14 * SECOND - 1, 9) == []
    assert made.due(14 * SECOND, 9) == [(second, "contact")]


def test_a_control_probe_of_a_torrent_with_one_watch_waits_from_the_end_of_a_long_contact() -> None:
    made = book(PLACES[:1], [OTHER], control=None)
    (one,) = made
    assert made.due(0, 9) == [(one, "contact")]
    ends(made, one, "answers", 7 * SECOND)
    assert made.due(9 * SECOND - 1, 9) == []
    assert made.due(9 * SECOND, 9) == [(one, "control")]


def test_for_another_torrent_nobody_waits() -> None:
    made = book(PLACES[:1], ["w1", OTHER])
    assert [endpoint.watch for endpoint, _ in made.due(0, 9)] == ["w1", OTHER]


def test_after_a_call_that_nobody_heard_there_is_no_rest() -> None:
    made = book(PLACES[:1], ["w1", "w2"])
    first, second = made
    assert made.due(0, 1) == [(first, "contact")]
    made.failed(first, REFUSED, 0)
    assert made.due(0, 9) == [(second, "contact")]


@pytest.mark.parametrize("kind", ["contact", "control"])
@pytest.mark.parametrize("how", ["never", "refused", "not made"])
def test_a_call_that_was_not_made_keeps_no_turn(kind: str, how: str) -> None:
    made = book(PLACES[:1], ["w1", "w2"], control=None)
    first, second = made
    assert made.due(0, 1) == [(first, "contact")]
    if kind == "control":
        ends(made, first, "answers", 0)
        assert made.due(CONTROL_AFTER_NS, 1) == [(first, "control")]
    if how == "never":
        made.never(first, FORBIDDEN)
    elif how == "not made":
        made.put_back(first, kind)
    else:
        (made.refused if kind == "contact" else made.unprobed)(first, FORBIDDEN, 90 * SECOND)
    again = first if (kind, how) == ("contact", "not made") else second  # who is due as before goes first
    assert (again, "contact") in made.due(90 * SECOND, 9)


def test_of_more_watches_than_one_interval_has_turns_for_each_has_its_turn() -> None:
    """Who has waited longest goes first, not who was known first."""
    torrent = {f"w{number}": "one" for number in range(60)}
    made = Book([], Policy(revisit=100), 0, lambda _: ("tcp",), torrent)
    for each in torrent:
        found, _ = made.listed(each, *PLACES[0], source="t", twin=False, at_ns=0, due_ns=0)
        found.control = CLEAN
    made.saved(made.changed())
    called: list[str] = []
    for now in range(0, 300 * SECOND, SECOND // 4):
        for endpoint, _ in made.due(now, 9):
            called.append(endpoint.watch)
            ends(made, endpoint, "answers", now)
    assert called[:120] == [*torrent] * 2


@given(st.lists(st.tuples(st.sampled_from([*ENDS]), st.integers(0, 9)), max_size=40))
def test_a_torrent_has_one_call_at_a_time_and_its_rest_and_no_watch_is_left_out(drawn: list[tuple[str, int]]) -> None:
    """Whatever becomes of the calls, and however long they last. After those drawn here each is answered at once."""
    made, now = book(PLACES, WATCHES, control=None), 0
    out: dict[tuple[str, int, str], tuple[int, Endpoint, str, str]] = {}
    rests: dict[tuple[str, int, str], int] = {}
    called, left = set[int](), list(drawn)
    while now < (30 + sum(lasts for _, lasts in drawn)) * SECOND:
        for endpoint, kind in made.due(now, 9):
            key = *endpoint.place, TORRENT.get(endpoint.watch, OTHER)
            assert key not in out
            assert endpoint.watch == OTHER or now >= rests.get(key, 0)
            how, lasts = left.pop() if left else ("answers", 0)
            out[key] = now + lasts * SECOND, endpoint, how, kind
        for key, (until, endpoint, how, kind) in list(out.items()):
            if until <= now:
                del out[key]
                ends(made, endpoint, how, now, kind)
                rests |= {key: now + CONTROL_AFTER_NS} if ENDS[how][1] else {}
                called |= {endpoint.id} if kind == "contact" and how != "not made" else set()
        now += SECOND // 4
    assert called == {each.id for each in made}


def test_rests_that_are_over_are_not_remembered() -> None:
    turns = Turns(2 * SECOND, TORRENT)
    for number in range(1_000):
        for each in WATCHES:
            one = Endpoint(number, each, "127.10.0.1", number % 10, 0, 0, "t")
            turns.rest(one, number * SECOND)
            assert turns.free_ns(one, number * SECOND) == (number + 2) * SECOND
        assert len(turns._until) <= 2 * 2


@pytest.mark.parametrize("order", [(1, 2, 3, 4), (4, 3, 2, 1), (2, 3, 1, 4)])
def test_of_one_torrent_is_who_has_one_of_its_infohashes(order: tuple[int, ...]) -> None:
    v1, v2 = hashlib.sha1(b"torrent").hexdigest(), hashlib.sha256(b"torrent").hexdigest()
    bodies = {
        1: watch_body(1, infohash_v1=v1),
        2: watch_body(2, infohash_v1=None, infohash_v2=v2),
        3: watch_body(3, infohash_v1=v1, infohash_v2=v2),
        4: watch_body(4),
    }
    ids = {number: bodies[number]["id"] for number in bodies}
    found = shared(watch.from_body(bodies[number]) for number in order)
    assert set(found) == {ids[1], ids[2], ids[3]}
    assert len(set(found.values())) == 1
    assert shared(watch.from_body(bodies[number]) for number in (1, 2, 4)) == {}
