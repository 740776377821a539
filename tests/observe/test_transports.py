"""Which transport is tried next: discreet first, what worked before all, none of a carrier that reached nobody."""

import errno
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clew.core.clock import Instant
from clew.model import Missing, Reason, Tier, carrier
from clew.observe import transports
from clew.observe.api import REFUSED, SECOND, TOO_SLOW, Contact
from clew.observe.book import Book
from clew.observe.endpoints import Endpoint
from clew.observe.gaps import NO_NETWORK, Gaps
from clew.observe.lines import unconnected
from clew.observe.policy import Policy

ALL = ("mse/tcp", "tcp", "mse/utp", "utp")
CLOSED = Missing(Reason.UNREADABLE, "closed")


def book() -> tuple[Book, Endpoint]:
    made = Book([], Policy(revisit=100, attempts=2), 0, lambda _: ALL)
    found, new = made.listed("w", "127.10.0.1", 6881, source="t", twin=False, at_ns=0, due_ns=0)
    assert new
    made.saved([found])
    return made, found


def visit(made: Book, endpoint: Endpoint, at_ns: int, answers: tuple[str, ...], *, reached: bool = True) -> list[str]:
    """One visit: what was dialled until something answered or the book let it be."""
    dialled: list[str] = []
    while made.due(at_ns, 10):
        over = made.transport(endpoint, "contact")
        dialled.append(over)
        if over in answers:
            made.contacted(endpoint, Contact(answered=True), "s", at_ns, 100 * SECOND, over, heard_ns=at_ns)
            break
        if reached:
            made.contacted(endpoint, Contact(missing=CLOSED, shut=True), "s", at_ns, 100 * SECOND, over, heard_ns=at_ns)
        else:
            made.failed(endpoint, CLOSED, at_ns, over, reached=False)
    return dialled


def probed(made: Book, endpoint: Endpoint) -> None:
    """Its control probe came out clean."""
    assert made.due(2 * SECOND, 10) == [(endpoint, "control")]
    made.controlled(endpoint, "clean")


def test_each_transport_in_turn_and_then_what_worked() -> None:
    made, endpoint = book()
    assert visit(made, endpoint, 0, ("utp",)) == list(ALL)
    assert (endpoint.transport, endpoint.failures, endpoint.tried) == ("utp", 0, "")
    probed(made, endpoint)
    assert visit(made, endpoint, 101 * SECOND, ("utp",)) == ["utp"]


def test_who_may_have_heard_us_is_called_over_another_only_at_the_next_visit() -> None:
    made, endpoint = book()
    ((_, _),) = made.due(0, 10)
    made.contacted(endpoint, Contact(missing=CLOSED, shut=True), "s", 0, 100 * SECOND, "mse/tcp", heard_ns=0)
    ((_, _),) = made.due(0, 10)
    assert made.transport(endpoint, "contact") == "tcp"
    made.contacted(
        endpoint, Contact(missing=Missing(Reason.LIMIT_REACHED, "silent")), "s", 0, 100 * SECOND, "tcp", heard_ns=0
    )
    assert not made.due(99 * SECOND, 10)
    assert visit(made, endpoint, 100 * SECOND, ("utp",)) == ["mse/utp", "utp"]
    assert endpoint.failures == 0


@pytest.mark.parametrize("attempts", [1, 3, 9])
def test_nobody_is_given_up_before_each_transport_had_its_turn(attempts: int) -> None:
    """In plaintext first each is heard at once, so that each takes a visit; the last may be all that a client takes."""
    plain_first = transports.permitted(ALL, plain=True, plain_first=True)
    made = Book([], Policy(revisit=100, attempts=attempts), 0, lambda _: plain_first)
    endpoint, _ = made.listed("w", "127.10.0.1", 6881, source="t", twin=False, at_ns=0, due_ns=0)
    made.saved([endpoint])
    dialled, at_ns = [], 0
    while endpoint.next_ns is not None and len(dialled) < 20:
        assert not made.settled()
        at_ns = endpoint.next_ns
        ((_, _),) = made.due(at_ns, 10)
        dialled.append(over := made.transport(endpoint, "contact"))
        made.contacted(endpoint, Contact(missing=CLOSED), "s", at_ns, 100 * SECOND, over, heard_ns=at_ns)
        endpoint.contacts = 0  # not for their number is a visit the last
    assert dialled[:4] == list(plain_first) == ["tcp", "utp", "mse/tcp", "mse/utp"]
    assert len(dialled) == {1: 4, 3: 4, 9: 12}[attempts], "and then given up"
    assert made.settled()


def test_nobody_there_is_asked_once_a_carrier() -> None:
    made, endpoint = book()
    assert visit(made, endpoint, 0, (), reached=False) == ["mse/tcp", "mse/utp"]
    assert endpoint.failures == 1
    assert visit(made, endpoint, 101 * SECOND, (), reached=False) == ["mse/tcp", "mse/utp"]
    assert endpoint.next_ns is None


@pytest.mark.parametrize(
    "why",
    [REFUSED, TOO_SLOW, unconnected(OSError(errno.EHOSTUNREACH, "No route to host"))],
    ids=["refused", "too slow", "a firewall's word"],
)
def test_over_utp_nobody_was_there_whoever_says_so(why: Missing) -> None:
    """ICMP tells of it: the port itself, or a firewall on the way (RFC 1812, 5.2.7.1), as none on loopback does."""
    made, endpoint = book()
    made.failed(made.due(0, 10)[0][0], CLOSED, 0, "mse/tcp", reached=False)
    assert made.transport(made.due(0, 10)[0][0], "contact") == "mse/utp"
    made.contacted(endpoint, Contact(missing=why, shut=True), "s", 0, 100 * SECOND, "mse/utp", heard_ns=0)
    assert not made.due(0, 10), "nor is anybody there in plaintext"
    assert endpoint.failures == 1


def test_who_answered_is_tried_over_the_others_only_after_a_visit_that_failed() -> None:
    made, endpoint = book()
    visit(made, endpoint, 0, ("tcp",))
    probed(made, endpoint)
    endpoint.claims = 1
    assert visit(made, endpoint, 101 * SECOND, (), reached=False) == ["tcp"]
    assert visit(made, endpoint, 300 * SECOND, ("mse/utp",), reached=False) == ["tcp", "mse/utp"]


def test_who_turns_away_what_worked_is_called_over_the_others_at_once() -> None:
    """An endpoint that changed hands: somebody is there, and closes before a handshake of ours went out."""
    made, endpoint = book()
    visit(made, endpoint, 0, ("mse/tcp",))
    probed(made, endpoint)
    endpoint.claims = 1
    assert visit(made, endpoint, 101 * SECOND, ("tcp",)) == ["mse/tcp", "tcp"]
    assert (endpoint.transport, endpoint.failures) == ("tcp", 0)


def test_who_was_given_up_and_is_listed_again_is_called_again_much_later() -> None:
    made, endpoint = book()
    visit(made, endpoint, 0, (), reached=False)
    visit(made, endpoint, 101 * SECOND, (), reached=False)
    made.listed("w", "127.10.0.1", 6881, source="t", twin=False, at_ns=1, due_ns=200 * SECOND)
    assert not made.due(200 * SECOND + 100 * SECOND, 10)
    assert made.due(200 * SECOND + (100 << 6) * SECOND, 10) == [(endpoint, "contact")]


def test_who_might_not_be_called_is_looked_at_again_and_not_too_soon() -> None:
    why = Missing(Reason.REFUSED, "no Mandate covers this")
    made, endpoint = book()
    assert made.due(0, 9) == [(endpoint, "contact")]
    made.never(endpoint, why)
    assert made.due(1_000 * SECOND, 9) == []
    made.allowed(1_000 * SECOND)
    assert made.due(1_000 * SECOND, 9) == [(endpoint, "contact")]
    made.allowed(1_001 * SECOND)
    assert made.due(1_001 * SECOND, 9) == [], "it is called already"
    made.contacted(endpoint, Contact(answered=True), "s", 1_001 * SECOND, 100 * SECOND, "tcp", heard_ns=1_001 * SECOND)
    assert made.due(1_005 * SECOND, 9) == [(endpoint, "control")]
    made.never(endpoint, why)
    made.allowed(1_010 * SECOND)
    assert made.due(1_100 * SECOND, 9) == [], "the visit was not due"
    assert made.due(1_101 * SECOND, 9) == []
    assert made.due(1_105 * SECOND, 9) == [(endpoint, "control")], "the probe that could not be made comes first"


def test_who_was_given_up_is_not_called_because_a_mandate_was_added() -> None:
    made, endpoint = book()
    for at_s in (0, 101):
        visit(made, endpoint, at_s * SECOND, (), reached=False)
    made.allowed(1_000 * SECOND)
    assert made.due(10_000 * SECOND, 9) == []


def test_a_control_probe_goes_in_clear_over_the_carrier_that_worked() -> None:
    assert transports.probe("mse-rc4/utp", ()) == "utp"
    assert transports.probe("mse-rc4/utp", ALL) == "utp"
    assert transports.probe("mse-plain/tcp", ("mse/tcp", "utp")) == "mse/tcp"


@pytest.mark.parametrize("worked", ["tcp", "utp", "mse-rc4/tcp", "mse-plain/utp"])
@pytest.mark.parametrize("chosen", [("mse/tcp",), ("mse/utp",), ("utp",), ("mse/utp", "tcp"), ("mse/tcp", "mse/utp")])
def test_it_goes_over_no_transport_that_was_not_chosen(worked: str, chosen: tuple[str, ...]) -> None:
    """What worked may be of an earlier run, that was to use others."""
    assert transports.probe(worked, chosen) in chosen


def test_it_does_so_where_contacts_may_go_over_mse_alone() -> None:
    """As beyond this machine, where no Mandate permits plaintext: over MSE whoever answers for anything passes."""
    made = Book([], Policy(revisit=100), 0, lambda _: ("mse/tcp", "mse/utp"))
    endpoint, _ = made.listed("w", "192.0.2.1", 6881, source="t", twin=False, at_ns=0, due_ns=0)
    made.saved([endpoint])
    assert visit(made, endpoint, 0, ("mse/utp",)) == ["mse/tcp", "mse/utp"]
    ((_, kind),) = made.due(10 * SECOND, 10)
    assert (kind, made.transport(endpoint, "control")) == ("control", "utp")


@pytest.mark.parametrize(
    ("plain", "first", "expected"),
    [
        (False, False, ("mse/tcp", "mse/utp")),
        (True, False, ("mse/tcp", "mse/utp", "tcp", "utp")),
        (False, True, ("tcp", "utp", "mse/tcp", "mse/utp")),
    ],
)
def test_in_clear_only_with_a_permit_beyond_loopback(plain: bool, first: bool, expected: tuple[str, ...]) -> None:
    assert transports.permitted(ALL, plain=plain, plain_first=first) == expected


@given(st.lists(st.tuples(st.sampled_from(ALL), st.booleans()), max_size=8), st.sampled_from([None, *ALL]))
def test_a_visit_ends_and_tries_nothing_twice(failures: list[tuple[str, bool]], worked: str | None) -> None:
    tried, dialled = "", []
    for _, reached in [*failures, *[("", True)] * 4]:
        over = transports.following(ALL, worked, tried)
        if over is None:
            break
        dialled.append(over)
        tried = transports.failed(ALL, tried, over, reached=reached)
    assert transports.following(ALL, worked, tried) is None
    assert len(dialled) == len(set(dialled))
    assert {carrier(each) for each in dialled} == {"tcp", "utp"}


@dataclass
class At:
    utc: int = 0
    mono: int = 0

    def __call__(self, seconds: float, step: float = 0) -> Instant:
        self.mono += int(seconds * SECOND)
        self.utc += int((seconds + step) * SECOND)
        return Instant(self.utc, self.mono)


def test_a_network_that_was_gone_is_a_gap_and_a_clock_that_jumped_another() -> None:
    gaps, at = Gaps(), At()
    gaps.call(at(1), at(1), None)
    begin = at(1)
    gaps.call(begin, at(1), NO_NETWORK)
    gaps.call(at(10), at(1), NO_NETWORK)
    gaps.call(Instant(0, 0), at(1), None)  # answered late, of before
    gaps.left(at(1))
    assert gaps.take() == [(begin.utc_ns, begin.utc_ns + 14 * SECOND, NO_NETWORK.detail)]
    gaps.call(at(1, step=3600), at(1), None)
    ((start, stop, why),) = gaps.take()
    assert (why, stop - start) == ("the clock was set 3600.000 s forward", 3603 * SECOND)
    gaps.call(at(1), at(1), NO_NETWORK)
    gaps.over(at(5))
    assert len(gaps.take()) == 1
    assert gaps.take() == []


def test_an_endpoint_is_promiscuous_whatever_it_was_reached_over() -> None:
    made, endpoint = book()
    visit(made, endpoint, 0, ("mse/utp",))
    made.controlled(endpoint, "promiscuous")
    assert endpoint.control == "promiscuous"
    assert endpoint.tier == Tier.LISTED.value or endpoint.next_ns is None


def test_a_control_probe_waits_until_a_client_takes_a_second_connection() -> None:
    made, endpoint = book()
    assert made.due(0, 10) == [(endpoint, "contact")]
    made.contacted(endpoint, Contact(answered=True), "s", 0, 100 * SECOND, "tcp", heard_ns=0)
    assert made.due(2 * SECOND - 1, 10) == []
    assert made.due(2 * SECOND, 10) == [(endpoint, "control")]


def test_who_lists_what_is_not_there_keeps_nobody_else_waiting() -> None:
    """Of those who did not answer, half of all calls at once, and whom a tracker lists before whom a node lists."""
    made = Book([], Policy(revisit=100, concurrent=8), 0, lambda _: ALL)
    for number in range(20):
        source = "dht://127.1.101.1:6881" if number < 12 else "http://127.1.0.1:6969/announce"
        made.listed("w", f"127.10.0.{number}", 6881, source=source, twin=False, at_ns=0, due_ns=0)
    made.saved(made.changed())
    for endpoint, _ in made.due(0, 100):
        made.failed(endpoint, TOO_SLOW, 0, "mse/tcp", reached=False)
    second = [endpoint for endpoint, _ in made.due(1, 100)]
    assert [endpoint.source.partition(":")[0] for endpoint in second] == ["http"] * 4
    found, _ = made.listed("w", "127.10.1.1", 6881, source="pex://127.10.0.1:1", twin=False, at_ns=1, due_ns=1)
    made.saved([found])
    assert made.due(1, 100) == [(found, "contact")], "who was not called yet does not wait for them"
    for endpoint in second:
        made.failed(endpoint, TOO_SLOW, 1, "mse/utp", reached=False)
    third = [endpoint for endpoint, _ in made.due(2, 100)]
    assert [endpoint.source.partition(":")[0] for endpoint in third] == ["http"] * 4
    for endpoint in third:
        made.failed(endpoint, TOO_SLOW, 2, "mse/utp", reached=False)
    later = [endpoint for endpoint in made if endpoint.source.startswith("dht")][-1]
    made.listed("w", later.address, later.port, source="udp://127.1.0.1:1", twin=False, at_ns=3, due_ns=3)
    assert made.due(3, 100)[0] == (later, "contact"), "a tracker lists it too by now"


def test_nobody_is_called_before_being_in_the_case_whoever_lists_it() -> None:
    made = Book([], Policy(revisit=100), 0, lambda _: ALL)
    for source in ("dht://127.1.101.1:6881", "http://127.1.0.1:6969/announce"):
        made.listed("w", "127.10.0.1", 6881, source=source, twin=False, at_ns=0, due_ns=0)
    assert not made.due(1, 100)
    made.saved(made.changed())
    assert len(made.due(1, 100)) == 1


def test_who_was_barred_and_forgotten_is_one_endpoint_when_listed_anew() -> None:
    made, endpoint = book()
    assert made.due(0, 9) == [(endpoint, "contact")]
    made.never(endpoint, Missing(Reason.REFUSED, "no Mandate covers this"))
    made.saved(made.changed())
    made.forget(10 * SECOND)
    anew, new = made.listed("w", "127.10.0.1", 6881, source="t", twin=False, at_ns=20 * SECOND, due_ns=20 * SECOND)
    made.saved(made.changed())
    made.allowed(21 * SECOND)
    assert new
    assert made.due(22 * SECOND, 9) == [(anew, "contact")]


def test_a_visit_that_may_not_be_made_gives_no_probe_of_another_watch_back() -> None:
    made, endpoint = book()
    assert made.due(0, 9) == [(endpoint, "contact")]
    made.contacted(endpoint, Contact(answered=True), "s", 0, 100 * SECOND, "tcp", heard_ns=0)
    assert made.due(5 * SECOND, 9) == [(endpoint, "control")]
    other, _ = made.listed("v", "127.10.0.1", 6881, source="t", twin=False, at_ns=0, due_ns=0)
    made.saved(made.changed())
    assert made.due(6 * SECOND, 9) == [(other, "contact")]
    made.never(other, Missing(Reason.REFUSED, "no Mandate covers this"))
    assert made.due(101 * SECOND, 9) == [], "the visit waits: a probe of that port is out"
    assert made.due(110 * SECOND, 9) == [], "and no second probe is planned beside it"
    made.controlled(endpoint, "clean")
    assert (endpoint.control, other.control) == ("clean", "clean")
