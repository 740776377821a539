"""A tracker that is named: looked up again while the run goes on, and asked only where it may be."""

import socket
from dataclasses import dataclass, replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from no_wire import Network, goes_on
from observe_case import FAST, MANDATE

from clew.core import clock, mandate
from clew.core.case import Case
from clew.core.errors import ClewError, Refused, Usage
from clew.core.lister import lister
from clew.model import Missing, Reason
from clew.observe.api import REFUSED, SECOND, TOO_SLOW, Listing, Sighted
from clew.observe.networks.bittorrent import PLUGIN
from clew.observe.policy import Go
from clew.observe.run import Observer
from clew.observe.whereabouts import NOT_HELD, NOT_OURS, NOT_THERE, NOWHERE
from clew.observe.wire import Names, resolve

TRACKER = "http://tracker.example:6969/announce"
POLICY = replace(FAST, allow=("192.0.2.0/24",), revisit=300.0, answer=6.0)
HOUR = 3_600


@dataclass
class Resolver:
    """Takes the place of the system's."""

    addresses: tuple[str, ...] = ("192.0.2.7",)
    asked: int = 0

    def __call__(self, host: str, *_: object) -> list[Any]:
        assert host == "tracker.example"
        self.asked += 1
        if not self.addresses:
            raise socket.gaierror(socket.EAI_AGAIN, "no answer")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, 0)) for each in self.addresses]


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> Resolver:
    made = Resolver()
    monkeypatch.setattr("clew.observe.wire.socket.getaddrinfo", made)
    monkeypatch.setattr(Names, "ask", Names._look_up)  # at once, in this thread
    return made


def replies(network: Network, reply: Listing | None) -> Network:
    """The network, whose trackers tell this, where anything."""
    if reply is not None:
        network.sighted = Sighted(reply, b"", {})
    return network


def observer(make_case: Any) -> Observer:
    case: Case = make_case(addresses=["192.0.2.0/24"], trackers=[TRACKER])
    return Observer(case, PLUGIN, POLICY, [TRACKER])


def test_a_tracker_that_moved_is_asked_where_it_is(make_case: Any, network: Network, resolver: Resolver) -> None:
    run, network.why = observer(make_case), REFUSED
    goes_on(run, network, 5, SECOND)
    resolver.addresses = ()
    goes_on(run, network, 20 * 60, SECOND)
    resolver.addresses = ("192.0.2.9", "192.0.2.8")
    goes_on(run, network, 4 * HOUR, SECOND)
    assert [wish.address for wish in network.wishes][:2] == ["192.0.2.7", "192.0.2.9"]
    assert {wish.address for wish in network.wishes[1:]} == {"192.0.2.9", "192.0.2.8"}
    assert resolver.asked <= 2 + 4 * HOUR // 300 + 4, "five minutes apart, since its rounds fail"


def test_a_tracker_that_is_said_to_be_where_nobody_may_call_is_asked_where_it_was(
    make_case: Any, network: Network, resolver: Resolver
) -> None:
    """A resolver that blocks, a captive portal: it is no reason to ask nobody, nor to ask somebody else."""
    run, network.why = observer(make_case), REFUSED
    goes_on(run, network, 5, SECOND)
    resolver.addresses = ("203.0.113.5",)
    goes_on(run, network, 4 * HOUR, SECOND)
    assert len(network.wishes) > 2
    assert {wish.address for wish in network.wishes} == {"192.0.2.7"}
    assert isinstance(run._governor.decide(network.wishes[-1], network.now), Go)
    assert run._limits() == {NOT_THERE: resolver.asked - 1}
    resolver.addresses = ("192.0.2.9",)
    goes_on(run, network, 4 * HOUR, SECOND)
    assert network.wishes[-1].address == "192.0.2.9"


def test_a_mandate_that_ended_keeps_no_run_from_beginning_under_the_next(
    make_case: Any, authority: Ed25519PrivateKey, network: Network
) -> None:
    """Renewed with other trackers: those of the one that holds are asked; the others are named, without a passkey."""
    ended, begins = clock.iso(network.now.utc_ns - SECOND), clock.iso(network.now.utc_ns + HOUR * SECOND)
    before, later = (f"http://192.0.2.{number}:6969/secretpasskey/announce" for number in (1, 3))
    case: Case = make_case(addresses=["192.0.2.0/24"], trackers=[before], not_after=ended)
    two = {"addresses": ["192.0.2.0/24"], "trackers": ["http://192.0.2.2:6969/announce"], "purposes": ["*"]}
    for number, other in enumerate((two, {"trackers": [later], "not_before": begins}), 1):
        body = MANDATE | {"id": f"{number}" * 32} | other
        mandate.add(case, mandate.sign_document("mandate", body, authority))
    run = Observer(case, PLUGIN, POLICY, None)
    goes_on(run, network, 5, SECOND)
    assert {wish.address for wish in network.wishes} == {"192.0.2.2"}
    assert run._limits() == {f"the tracker http://192.0.2.{number}:6969: {NOT_HELD}": 1 for number in (1, 3)}
    with pytest.raises(Refused, match="may not be asked"):
        Observer(case, PLUGIN, POLICY, [before])


def test_the_name_of_a_tracker_is_not_looked_up_for_a_mandate_that_ended(
    make_case: Any, authority: Ed25519PrivateKey, network: Network, resolver: Resolver
) -> None:
    case: Case = make_case(trackers=[TRACKER], not_after=clock.iso(network.now.utc_ns - SECOND))
    mandate.add(case, mandate.sign_document("mandate", MANDATE | {"id": "1" * 32}, authority))
    with pytest.raises(Refused, match="may not be looked up"):
        Observer(case, PLUGIN, POLICY, [TRACKER])
    with pytest.raises(Usage, match="no tracker is named"):
        Observer(case, PLUGIN, POLICY, None)
    assert resolver.asked == 0


def test_of_several_addresses_a_tracker_keeps_the_one_it_had(resolver: Resolver) -> None:
    resolver.addresses = ("192.0.2.8", "192.0.2.7", "192.0.2.8")
    assert resolve("tracker.example") == ("192.0.2.8", "192.0.2.7")


@pytest.mark.parametrize(
    ("reply", "asked"),
    [
        (Listing(interval=1800), ["192.0.2.7"] * 4),
        (Listing(missing=Missing(Reason.REFUSED, "tracker: unregistered torrent")), ["192.0.2.7"] * 4),
        (None, ["192.0.2.7", "192.0.2.8", "192.0.2.9", "192.0.2.7"]),
    ],
    ids=["a list", "a refusal", "no reply"],
)
def test_of_several_addresses_each_has_its_turn_until_one_replies(
    make_case: Any, network: Network, resolver: Resolver, reply: Listing | None, asked: list[str]
) -> None:
    """Whichever comes first in a look-up; 203.0.113.1, where nobody may call, has none."""
    resolver.addresses = ("203.0.113.1", "192.0.2.7", "192.0.2.9", "192.0.2.8")
    network.why = TOO_SLOW
    run = observer(make_case)
    while len(network.wishes) < 4:
        goes_on(run, replies(network, reply), 600, 60 * SECOND)
        resolver.addresses = (*resolver.addresses[1:], resolver.addresses[0])
    assert [wish.address for wish in network.wishes[:4]] == asked
    assert NOT_THERE not in run._limits()
    assert resolver.asked <= 1 + network.now.mono_ns // ((300 if reply is None else HOUR) * SECOND)


@pytest.mark.parametrize(("told", "why"), [((), "no address:"), (("127.0.0.1", "10.0.0.1"), "but 127.0.0.1, 10")])
def test_a_name_without_an_address_does_not_keep_the_others_from_being_asked(
    make_case: Any, network: Network, resolver: Resolver, told: tuple[str, ...], why: str
) -> None:
    """The name of a dead tracker is nobody's: it kept the whole run from beginning, whoever else was named."""
    other = "http://192.0.2.1:6969/announce"
    case: Case = make_case(addresses=["192.0.2.0/24"], trackers=[TRACKER, other], permits=["started_announce"])
    resolver.addresses = told
    with pytest.raises(ClewError, match=why):
        Observer(case, PLUGIN, POLICY, [TRACKER])
    run, network.why = Observer(case, PLUGIN, POLICY, None), TOO_SLOW
    goes_on(run, network, 20 * 60, 10 * SECOND)
    assert {wish.address for wish in network.wishes} == {"192.0.2.1"}
    assert run._limits() == {f"the tracker http://tracker.example:6969: {NOWHERE}": 1}
    assert run._account.trackers[TRACKER] == {"failed": 1}
    resolver.addresses = ("203.0.113.1", "192.0.2.7")
    goes_on(run, replies(network, Listing(interval=1800)), 20 * 60, 10 * SECOND)
    asked = [(wish.address, wish.event) for wish in network.wishes if wish.address != "192.0.2.1"]
    assert asked == [("192.0.2.7", "stopped"), ("192.0.2.7", "started")]
    assert resolver.asked <= 2 + 20 * 60 // 300 + 1


@pytest.mark.parametrize("url", ["https://tracker.example/secretpasskey/announce", "wss://192.0.2.9/announce"])
def test_a_tracker_of_the_mandate_that_clew_cannot_ask_keeps_nobody_from_asking_the_others(
    make_case: Any, network: Network, resolver: Resolver, url: str
) -> None:
    case: Case = make_case(addresses=["192.0.2.0/24"], trackers=[url, "http://192.0.2.2:6969/announce"])
    run = Observer(case, PLUGIN, POLICY, None)
    goes_on(run, network, 5, SECOND)
    assert {wish.address for wish in network.wishes} == {"192.0.2.2"}
    assert run._limits() == {f"the tracker {lister(url)}: {NOT_OURS}": 1}
    assert run._account.trackers[url] == {"failed": 1}
    assert resolver.asked == 0
    with pytest.raises(Usage, match="not a tracker that clew can ask"):
        Observer(case, PLUGIN, POLICY, [url])


def test_where_clew_can_ask_no_tracker_of_the_mandate_no_run_begins(make_case: Any, network: Network) -> None:
    with pytest.raises(Usage, match="not a tracker that clew can ask"):
        Observer(make_case(trackers=["https://192.0.2.9/announce"]), PLUGIN, POLICY, None)


def test_a_look_up_does_not_keep_the_run_waiting(resolver: Resolver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.setattr("clew.observe.wire.socket.getaddrinfo", resolver)
    names = Names()
    names.ask("tracker.example")
    assert names._found.get(timeout=20) == ("tracker.example", ("192.0.2.7",))
    assert names.take() == {}
