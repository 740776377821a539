"""A network that is gone for hours: probes at growing intervals decide, the others wait, nothing of it counts.

So it is with a Mandate that ends while the run goes on: nobody is called, and that has its name.
"""

import errno
import os
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from no_wire import START_NS, STEP_NS, Network, goes_on
from observe_case import FAST, MANDATE, gaps_of

from clew.core import clock, coverage, mandate
from clew.core.case import Case
from clew.core.clock import Instant
from clew.observe.api import REFUSED, SECOND
from clew.observe.endpoints import INSERT, Endpoint, row
from clew.observe.gaps import NO_IPV6, NO_MANDATE, NO_NETWORK, Gaps
from clew.observe.lines import unconnected
from clew.observe.networks.bittorrent import PLUGIN
from clew.observe.run import Observer
from clew.observe.silence import NOBODY_HEARD

WAITING, GONE_S = 2_000, 3_600
TRACKER = "http://127.1.0.33:6969/announce"


def of(case: Case, places: list[str], **known: Any) -> Observer:
    """A run that finds these in the queue."""
    (watch,) = (row["id"] for row in case.read().execute("SELECT id FROM watches"))
    with case.write("observe") as tx:
        queue = [Endpoint(n, watch, each, 9, START_NS, START_NS, TRACKER, **known) for n, each in enumerate(places, 1)]
        tx.executemany(INSERT, [row(each) for each in queue])
    return Observer(case, PLUGIN, FAST, [TRACKER])


def test_hours_without_a_network_cost_a_probe_a_minute(case: Case, network: Network) -> None:
    places = [f"127.30.{n >> 8}.{n & 255}" for n in range(1, WAITING + 1)]
    observer = of(case, places)
    goes_on(observer, network, GONE_S)
    count = Counter(address for _, address in network.called)
    at_first = FAST.concurrent * 3 + 1  # what was handed out before the first of it failed
    assert at_first < len(network.called) <= at_first + 2 * (6 + GONE_S // 60), "a question and a visit a minute"
    assert len(network.called) == case.read().execute("SELECT count(*) FROM dials").fetchone()[0]
    del count["127.1.0.33"]
    assert set(count.values()) == {1}, "each time somebody else"
    assert observer._account.contacts == observer._account.announces == 0
    assert {each.failures for each in observer._book} == {0}
    network.why, back = REFUSED, len(network.called)
    goes_on(observer, network, 62)
    back_ns = network.called[back][0]
    at_once = {address for at_ns, address in network.called[back:] if at_ns <= back_ns + SECOND}
    assert at_once >= set(places) - set(count), "who had waited is called at once"
    assert {address for _, address in network.called[back:]} >= set(places)
    observer._keep()
    ((began, ended, why),) = gaps_of(case)
    assert (began, ended - began, why) == (START_NS + STEP_NS, back_ns - SECOND - STEP_NS, NO_NETWORK.detail)


def test_a_router_that_is_off_is_a_gap_and_nobody_is_given_up_for_it(case: Case, network: Network) -> None:
    observer = of(case, ["127.30.0.1", "127.30.0.2", "127.30.0.3"], tier="E1", control="clean")
    network.why = unconnected(OSError(errno.EHOSTUNREACH, os.strerror(errno.EHOSTUNREACH)))
    goes_on(observer, network, 30)
    assert {each.next_ns for each in observer._book} == {None}
    network.why = REFUSED
    goes_on(observer, network, 5)
    observer._keep()
    ((began, ended, why),) = gaps_of(case)
    assert (began, why) == (START_NS + STEP_NS, NOBODY_HEARD)
    assert 30 * SECOND <= ended - began < 35 * SECOND
    back_ns = network.now.mono_ns - 5 * SECOND
    assert {address for at_ns, address in network.called if at_ns > back_ns} > {each.address for each in observer._book}


@pytest.mark.parametrize("renewed", ["127.30.0.1/32", None])
def test_a_time_in_which_no_mandate_held_is_a_gap(
    make_case: Callable[..., Case], authority: Ed25519PrivateKey, network: Network, renewed: str | None
) -> None:
    """One for intake holds all the time. The next one to observe leaves two of three out, or there is none."""
    case = make_case(not_after=clock.iso(START_NS + 10 * SECOND))
    others = [{"id": "1" * 32, "purposes": ["intake"]}]
    if renewed:
        begins = clock.iso(START_NS + 200 * SECOND)
        others.append({"id": "2" * 32, "not_before": begins, "addresses": [renewed, "127.1.0.33/32"]})
    for other in others:
        mandate.add(case, mandate.sign_document("mandate", MANDATE | other, authority))
    observer = of(case, [f"127.30.0.{n}" for n in (1, 2, 3)], tier="E2", claims=1, control="clean")
    network.why = REFUSED
    goes_on(observer, network, 300)
    observer._gaps.over(network.now)
    observer._keep()
    ((began, ended, why),) = gaps_of(case)
    assert (began - START_NS, why) == (10 * SECOND + STEP_NS, NO_MANDATE)
    assert ended - START_NS == (200 if renewed else 300) * SECOND
    said = list(coverage.read(case).sentences())
    assert not [line for line in said if "all the time" in line]
    assert [line for line in said if line.startswith("gap 1: nobody watched from ") and line.endswith(NO_MANDATE)]
    left = 2 if renewed else 3
    assert f"had answered, and are not called any more since no Mandate covers them: {left}" in said


def test_a_run_that_is_killed_while_no_mandate_holds_has_named_it() -> None:
    gaps, found = Gaps(), []
    for second in range(1, 200):
        gaps.covered(Instant(second * SECOND, second * SECOND), holds=second < 5)
        found += gaps.take()
    assert found == [(5 * SECOND, until * SECOND, NO_MANDATE) for until in (5, 65, 125, 185)], "a write a minute"


def test_ipv6_that_is_gone_alone_says_nothing_of_those_there(make_case: Callable[..., Case], network: Network) -> None:
    """A router that began anew; IPv4 goes on. Nobody there is called meanwhile, and a run may end without them."""
    case = make_case(addresses=["127.0.0.0/8", "::1/128"])
    (watch,) = (row["id"] for row in case.read().execute("SELECT id FROM watches"))
    known = {"tier": "E1", "claims": 1, "contacts": 1, "control": "clean"}
    there = [Endpoint(n, watch, "::1", n, START_NS, START_NS, TRACKER, **known) for n in range(1, 31)]
    there.append(Endpoint(31, watch, "127.30.0.1", 9, START_NS, START_NS, TRACKER))
    with case.write("observe") as tx:
        tx.executemany(INSERT, [row(each) for each in there])
    policy = replace(FAST, allow=("127.0.0.0/8", "::1/128"))
    observer = Observer(case, PLUGIN, policy, [TRACKER])
    network.why, network.missing = REFUSED, (NO_IPV6,)
    goes_on(observer, network, 600)
    count = Counter(address for _, address in network.called)
    assert count["::1"] <= 30, "once each at most"
    assert count["127.30.0.1"] == FAST.attempts
    of_six = [each for each in observer._book if ":" in each.address]
    assert {(each.failures, each.last_failure) for each in of_six} == {(0, str(NO_IPV6))}
    assert observer._book.settled()
    assert observer._account.contacts == count["127.30.0.1"]
    network.missing, back_ns = (), network.now.mono_ns
    goes_on(observer, network, 10)
    assert {port for at, (_, port) in zip(network.called, places_of(network), strict=True) if at[0] > back_ns} >= {
        each.port for each in of_six
    }
    observer._gaps.over(network.now)
    observer._keep()
    ((began, ended, why),) = gaps_of(case)
    assert (began, why) == (START_NS + STEP_NS, NO_IPV6.detail)
    assert 600 * SECOND <= ended - began <= 606 * SECOND
    found = coverage.read(case)
    said = [line for line in found.sentences() if "IPv6" in line]
    assert said == [line for line in said if line.startswith("gap 1: nobody was called over IPv6 from ")]
    assert len(said) == 1
    assert found.interruptions.downtime_ns == 0, "of IPv4 somebody watched"


def test_an_address_without_a_way_keeps_nobody_else_of_its_family_from_being_called() -> None:
    gaps, at = Gaps(), [Instant(n * SECOND, n * SECOND) for n in range(1, 30)]
    gaps.call(at[0], at[0], NO_IPV6, "fd00::1")
    has_way = {"2001:db8::1"}.__contains__
    assert gaps.lacks("192.0.2.1", has_way) is None
    assert gaps.lacks("fd00::2", has_way) == NO_IPV6
    assert not gaps.back(at[1], has_way)
    beside = {"fd00::7", "fe80::7", "::1"}.__contains__
    assert [gaps.lacks(each, beside) for each in ("fd00::7", "fe80::7", "::1")] == [None] * 3
    assert not gaps.back(at[7], beside), "who is in this network is no way to others"
    assert gaps.lacks("2001:db8::1", has_way) is None
    assert gaps.back(at[20], has_way), "and what was left aside is called"
    assert gaps.lacks("fd00::2", has_way) is None
    assert gaps.take() == [(SECOND, at[20].utc_ns, NO_IPV6.detail)]


def places_of(network: Network) -> list[tuple[str, int]]:
    return [(each.address, each.port) for each in network.wishes]
