"""A network that is gone for hours: probes at growing intervals decide, the others wait, nothing of it counts."""

from collections import Counter

from no_wire import START_NS, STEP_NS, Network, goes_on
from observe_case import FAST

from clew.core.case import Case
from clew.observe.api import SECOND
from clew.observe.endpoints import INSERT, Endpoint, row
from clew.observe.gaps import NO_NETWORK, of_case
from clew.observe.networks.bittorrent import PLUGIN
from clew.observe.run import Observer

WAITING, GONE_S = 2_000, 3_600
TRACKER = "http://127.1.0.33:6969/announce"


def test_hours_without_a_network_cost_a_probe_a_minute(case: Case, network: Network) -> None:
    (watch,) = (row["id"] for row in case.read().execute("SELECT id FROM watches"))
    places = [f"127.30.{n >> 8}.{n & 255}" for n in range(1, WAITING + 1)]
    with case.write("observe") as tx:
        waiting = [Endpoint(n, watch, each, 9, START_NS, START_NS, TRACKER) for n, each in enumerate(places)]
        tx.executemany(INSERT, [row(each) for each in waiting])
    observer = Observer(case, PLUGIN, FAST, [TRACKER])
    goes_on(observer, network, GONE_S)
    count = Counter(address for _, address in network.called)
    at_first = FAST.concurrent * 3 + 1  # what was handed out before the first of it failed
    assert at_first < len(network.called) <= at_first + 2 * (6 + GONE_S // 60), "a question and a visit a minute"
    assert len(network.called) == case.read().execute("SELECT count(*) FROM dials").fetchone()[0]
    del count["127.1.0.33"]
    assert set(count.values()) == {1}, "each time somebody else"
    assert observer._account.contacts == observer._account.announces == 0
    assert {each.failures for each in observer._book} == {0}
    network.there, back = True, len(network.called)
    goes_on(observer, network, 62)
    back_ns = network.called[back][0]
    at_once = {address for at_ns, address in network.called[back:] if at_ns <= back_ns + SECOND}
    assert at_once >= set(places) - set(count), "who had waited is called at once"
    assert {address for _, address in network.called[back:]} >= set(places)
    observer._keep()
    ((began, ended, why),) = of_case(case)
    assert (began, ended - began, why) == (START_NS + STEP_NS, back_ns - SECOND - STEP_NS, NO_NETWORK.detail)
