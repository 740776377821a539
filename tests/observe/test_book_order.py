"""In which order endpoints are called: who turned us away cost nothing; for whom we waited comes last, half at most."""

import pytest

from clew.core.case import Case
from clew.model import Missing, Reason
from clew.observe.api import NO_CONNECTION, REFUSED, SECOND, TOO_SLOW, Contact
from clew.observe.book import Book
from clew.observe.endpoints import INSERT, Endpoint, row
from clew.observe.policy import Policy
from clew.observe.probes import CLEAN, PROMISCUOUS
from clew.observe.retention import KEEP_NS, purge

ALL = ("mse/tcp", "tcp", "mse/utp", "utp")
TRACKER, NODE, PEER = "http://127.1.0.1:6969/announce", "dht://127.1.101.1:6881", "pex://127.10.9.9:6881"
CLOSED = Missing(Reason.UNREADABLE, "closed")
SILENT = Missing(Reason.LIMIT_REACHED, "no MSE: its key did not come in time")
POLICY = Policy(revisit=100, concurrent=8)


def book() -> Book:
    return Book([], POLICY, 0, lambda _: ALL)


def new(made: Book, number: int, *, source: str = TRACKER, at_ns: int = 0) -> Endpoint:
    found, _ = made.listed("w", f"127.10.0.{number}", 6881, source=source, twin=False, at_ns=at_ns, due_ns=at_ns)
    made.saved(made.changed())
    return found


def due(made: Book, at_ns: int, room: int = 100) -> list[Endpoint]:
    return [endpoint for endpoint, _ in made.due(at_ns, room)]


def turned_away(made: Book, one: Endpoint, at_ns: int) -> None:
    """Somebody there closes before a handshake of ours went out."""
    over = made.transport(one, "contact")
    made.contacted(one, Contact(missing=CLOSED, shut=True), "s", at_ns, 100 * SECOND, over, heard_ns=at_ns)


def refused(made: Book, one: Endpoint, at_ns: int) -> None:
    """A host that is up, and nobody listens at this port."""
    made.failed(one, REFUSED, at_ns, made.transport(one, "contact"), reached=False)


def waited_for() -> tuple[Book, Endpoint]:
    """A book with one for whom we waited in vain, and who is called again."""
    made = book()
    one = new(made, 1)
    assert due(made, 0) == [one]
    made.failed(one, TOO_SLOW, 0, "mse/tcp")
    assert due(made, 0) == [one]
    return made, one


def reset(made: Book, one: Endpoint, at_ns: int) -> None:
    """The connection was broken off before it had come about."""
    why = Missing(Reason.UNREADABLE, f"{NO_CONNECTION}Connection reset by peer")
    made.failed(one, why, at_ns, made.transport(one, "contact"), reached=False)


@pytest.mark.parametrize("away", [turned_away, refused, reset])
def test_who_turned_a_transport_away_is_called_over_the_next_before_gossip_and_whom_we_waited_for(away) -> None:
    made = book()
    one, dead = new(made, 1), new(made, 2)
    assert due(made, 0) == [one, dead]
    made.failed(dead, TOO_SLOW, 0, "mse/tcp")
    before, after = new(made, 3, source=NODE, at_ns=1), new(made, 4, source=PEER, at_ns=3)
    away(made, one, 2)
    assert due(made, 3) == [one, before, after, dead]


def test_who_is_new_on_a_trackers_word_and_was_due_before_is_called_before() -> None:
    made = book()
    one = new(made, 1)
    assert due(made, 0) == [one]
    other = new(made, 2, at_ns=1)
    turned_away(made, one, 2)
    assert due(made, 2) == [other, one]


def test_who_is_gossip_and_turned_us_away_comes_after_all_gossip_and_no_more_than_half_at_once() -> None:
    """Mostly nobody is there, and over UDP each would cost a wait."""
    made = book()
    dead = [new(made, number, source=PEER) for number in range(20)]
    assert due(made, 0) == dead
    for one in dead:
        refused(made, one, 0)
    gossip, first = new(made, 100, source=NODE), new(made, 101)
    assert due(made, 0) == [first, gossip, *dead[:4]]


@pytest.mark.parametrize("why", [TOO_SLOW, SILENT])
def test_for_whom_we_waited_comes_last_and_no_more_than_half_at_once(why: Missing) -> None:
    """Also after a refusal: whoever lists hosts that refuse TCP and drop all else has had one wait of each."""
    made = book()
    dead = [new(made, number) for number in range(20)]
    assert due(made, 0) == dead
    for one in dead:
        refused(made, one, 0)
    assert due(made, 0) == dead
    for one in dead:
        made.failed(one, why, 0, made.transport(one, "contact"), reached=why == SILENT)
    gossip = new(made, 100, source=PEER, at_ns=101 * SECOND)
    assert due(made, 101 * SECOND) == [gossip, *dead[:4]]
    refused(made, dead[0], 101 * SECOND)
    assert due(made, 101 * SECOND) == [dead[4]], "a refusal makes up for no wait"


def test_who_answered_is_waited_for_no_more() -> None:
    made, one = waited_for()
    one.control = "clean"
    made.contacted(one, Contact(answered=True), "s", 0, 100 * SECOND, "mse/utp", heard_ns=0)
    gossip = new(made, 2, source=PEER, at_ns=100 * SECOND)
    assert due(made, 100 * SECOND) == [one, gossip]


def test_that_nobody_at_all_was_heard_is_no_wait_of_theirs() -> None:
    made, one = waited_for()
    made.failed(one, TOO_SLOW, 0, "mse/utp")
    made.again(one, 5 * SECOND)
    gossip = new(made, 2, source=PEER)
    assert due(made, 5 * SECOND) == [one, gossip]


def test_a_new_run_does_not_know_what_failures_cost_and_takes_them_for_waits(case: Case) -> None:
    with case.write("observe") as tx:
        for number, failures in ((1, 1), (2, 0)):
            one = Endpoint(number, "w", f"127.10.0.{number}", 1, 0, 0, TRACKER, failures=failures, next_ns=number)
            tx.execute(INSERT, row(one))
    made = Book(case.read().execute("SELECT * FROM endpoints"), POLICY, 0, lambda _: ALL)
    assert [endpoint.id for endpoint in due(made, 10)] == [2, 1]


def test_of_whom_is_forgotten_nothing_stays_in_memory() -> None:
    """A run goes on for months, and strangers make up as many as they like."""
    made = book()
    one = new(made, 1, source=NODE)
    made.listed("w", one.address, one.port, source=TRACKER, twin=False, at_ns=0, due_ns=0)
    made.saved(made.changed())
    assert due(made, 0) == [one]
    made.failed(one, SILENT, 0, "mse/tcp", reached=True, another=False)
    assert one.id in made._waited
    made.forget(10 * SECOND)
    assert not [name for name, held in vars(made).items() if isinstance(held, set | dict) and held]


@pytest.mark.parametrize("failures", [0, 1], ids=["given up, or where a run ended just now", "not yet given up"])
def test_who_had_left_before_he_was_probed_is_visited_and_probed_once_he_answers(failures: int, case: Case) -> None:
    """Else each run would call three times more whoever has the address by now: all whom an earlier version probed over
    MSE alone (migration 0018) are unprobed.
    """
    held = Endpoint(
        1, "w", "127.10.0.1", 1, 0, 0, TRACKER, tier="E1", next_ns=0, failures=failures, last_failure=str(SILENT)
    )
    with case.write("observe") as tx:
        tx.execute(INSERT, row(held))
    made = Book(case.read().execute("SELECT * FROM endpoints"), POLICY, 0, lambda _: ("mse/tcp",))
    ((one, kind),) = made.due(0, 9)
    assert kind == "contact"
    made.failed(one, TOO_SLOW, 0, "mse/tcp")
    assert [kind for _, kind in made.due(201 * SECOND, 9)] == ["contact"]
    made.contacted(one, Contact(answered=True), "s", 201 * SECOND, 100 * SECOND, "mse/tcp", heard_ns=201 * SECOND)
    assert [kind for _, kind in made.due(203 * SECOND, 9)] == ["control"]
    made.controlled(one, TOO_SLOW)
    assert not made.due(301 * SECOND - 1, 9)
    assert not made.due(301 * SECOND, 9), "who answered the last time is probed first"
    assert [kind for _, kind in made.due(303 * SECOND, 9)] == ["control"]


@pytest.mark.parametrize("verdict", [CLEAN, PROMISCUOUS, str(SILENT)])
def test_who_was_only_listed_for_a_watch_is_forgotten_though_that_port_was_probed_for_another(
    verdict: str, case: Case
) -> None:
    """The probe's result stays with who answered, and holds for whoever is listed there anew."""
    other = {"last_listed_ns": 0, "control": verdict, "first_listed_ns": 0, "source": TRACKER, "next_ns": 0}
    answered = Endpoint(1, "w", "127.10.0.1", 1, tier="E1", **other)
    hearsay = Endpoint(2, "w2", "127.10.0.1", 1, failures=1, **other)
    with case.write("observe") as tx:
        tx.executemany(INSERT, [row(each) for each in (answered, hearsay)])
    made = Book(case.read().execute("SELECT * FROM endpoints"), POLICY, 0, lambda _: ALL)
    made.forget(SECOND)
    purge(case, KEEP_NS + SECOND)
    kept = case.read().execute("SELECT id FROM endpoints").fetchall()
    assert [each.id for each in made] == [each["id"] for each in kept] == [1]
    anew, new = made.listed("w2", "127.10.0.1", 1, source=TRACKER, twin=False, at_ns=9, due_ns=9)
    assert (new, anew.control, anew.next_ns) == (True, verdict, None if verdict == PROMISCUOUS else 9)


@pytest.mark.parametrize(
    "when", ["before it is listed", "before it is written", "while it is called", "in an earlier run"]
)
def test_a_promiscuous_place_is_left_alone_on_another_watch_too(when: str, case: Case) -> None:
    made = book()
    one = new(made, 1)
    if when == "before it is listed":
        made.controlled(one, PROMISCUOUS)
    other, _ = made.listed("w2", *one.place, source=TRACKER, twin=False, at_ns=0, due_ns=0)
    if when == "before it is written":
        made.controlled(one, PROMISCUOUS)
    made.saved(made.changed())
    called = due(made, 0)
    if when == "while it is called":
        assert other in called
        made.controlled(one, PROMISCUOUS)
        made.contacted(other, Contact(answered=True), "s", 0, 100 * SECOND, "tcp", heard_ns=0)
    if when == "in an earlier run":  # as first versions left it
        one.control = other.control = PROMISCUOUS
        with case.write("observe") as tx:
            tx.executemany(INSERT, [row(each) for each in (one, other)])
        made = Book(case.read().execute("SELECT * FROM endpoints"), POLICY, 0, lambda _: ALL)
        (other,) = (each for each in made if each.watch == "w2")
    assert other.next_ns is None
    made.listed("w2", *one.place, source="http://127.1.0.2:6969/announce", twin=False, at_ns=9, due_ns=9)
    assert due(made, 10**6 * SECOND) == []
