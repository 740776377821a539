"""A network that is gone for hours: probes at growing intervals decide, the others wait, nothing of it counts."""

import errno
import os
from collections import Counter
from typing import Any

from no_wire import START_NS, STEP_NS, Network, goes_on
from observe_case import FAST, gaps_of

from clew.core.case import Case
from clew.observe.api import REFUSED, SECOND
from clew.observe.endpoints import INSERT, Endpoint, row
from clew.observe.gaps import NO_NETWORK
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
