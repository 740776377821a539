"""A network that is gone for hours: probes at growing intervals decide, the others wait, nothing of it counts.

So it is with a Mandate that ends while the run goes on: nobody is called, and that has its name.
"""

import errno
import os
from collections import Counter
from collections.abc import Callable
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
from clew.observe.gaps import NO_MANDATE, NO_NETWORK, Gaps
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
