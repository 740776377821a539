"""Nothing is dialled but what a Mandate covers: its scope, its time, its trackers, and what it has to permit."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from observe_case import FAST, MANDATE
from wishes import NOW, TRACKER, at, wish

from clew.core import clock, mandate
from clew.core.case import Case
from clew.core.clock import Instant
from clew.core.errors import Refused, Usage
from clew.model import Mandate, Missing
from clew.observe.api import SECOND
from clew.observe.policy import ENDS_SOON, Go, Governor, Policy, Wish
from clew.observe.run import observe


@pytest.mark.parametrize(
    ("other", "why"),
    [
        ({"purposes": ["intake"]}, "purpose"),
        ({"networks": ["ed2k"]}, "network"),
        ({"addresses": ["127.30.0.0/16"]}, "address"),
        ({"trackers": ["http://127.1.0.9/a"]}, "tracker"),
        ({"not_after": "2021-01-01T00:00:00Z"}, "valid"),
    ],
)
def test_without_a_mandate_for_it_nothing_is_dialled(
    make_case: Callable[..., Case], other: dict[str, Any], why: str
) -> None:
    case = make_case(**other)
    verdict = Governor(case, FAST, "bittorrent").decide(wish(), at(0))
    assert isinstance(verdict, Missing)
    assert why in verdict.detail
    with pytest.raises(Refused):
        observe(case, trackers=[TRACKER], policy=FAST, seconds=0.1)
    assert case.read().execute("SELECT count(*) FROM dials").fetchone()[0] == 0


def test_beyond_loopback_the_mandate_has_to_name_the_tracker(make_case: Callable[..., Case]) -> None:
    policy = Policy(allow=("192.0.2.0/24",))
    star = make_case(addresses=["*"], trackers=["*"])
    assert isinstance(Governor(star, policy, "bittorrent").decide(wish("192.0.2.1"), at(0)), Missing)


def test_beyond_loopback_with_a_named_tracker(make_case: Callable[..., Case]) -> None:
    case = make_case(addresses=["192.0.2.0/24"], trackers=[TRACKER])
    governor = Governor(case, Policy(allow=("192.0.2.0/24",)), "bittorrent")
    veiled = replace(wish("192.0.2.1"), transport="mse/tcp")
    assert governor.decide(veiled, at(0)) == Go("0" * 32)


@pytest.mark.parametrize("transport", ["tcp", "utp"])
def test_beyond_loopback_plaintext_needs_its_permit(make_case: Callable[..., Case], transport: str) -> None:
    policy, clear = Policy(allow=("192.0.2.0/24",)), replace(wish("192.0.2.1"), transport=transport)
    case = make_case(addresses=["192.0.2.0/24"], trackers=[TRACKER])
    verdict = Governor(case, policy, "bittorrent").decide(clear, at(0))
    assert isinstance(verdict, Missing)
    assert "plaintext" in verdict.detail
    control = replace(clear, kind="control")  # its random infohash shows no interest
    assert isinstance(Governor(case, policy, "bittorrent").decide(control, at(0)), Go)


@pytest.mark.parametrize("permit", ["plaintext", "plaintext_first"])
def test_beyond_loopback_plaintext_with_its_permit(make_case: Callable[..., Case], permit: str) -> None:
    case = make_case(addresses=["192.0.2.0/24"], trackers=[TRACKER], permits=[permit])
    governor = Governor(case, Policy(allow=("192.0.2.0/24",)), "bittorrent")
    assert governor.decide(wish("192.0.2.1"), at(0)) == Go("0" * 32)
    assert governor.permits(permit, "192.0.2.1", (TRACKER,), at(0))
    assert not governor.permits(permit, "192.0.3.1", (TRACKER,), at(0))
    assert not governor.permits(permit, "192.0.2.1", ("http://127.1.0.2:6969/announce",), at(0))
    assert not governor.permits("dht", "192.0.2.1", (TRACKER,), at(0))


def test_gossip_needs_the_permit_of_the_mandate_that_covers_the_peer(
    make_case: Callable[..., Case], authority: Ed25519PrivateKey
) -> None:
    case = make_case(addresses=["127.20.0.0/16"], permits=[])
    asking = replace(wish(), gossip=True)
    assert isinstance(Governor(case, FAST, "bittorrent").decide(asking, at(0)), Missing)
    other = MANDATE | {"id": "1" * 32, "addresses": ["127.21.0.0/16"], "permits": ["pex"]}
    mandate.add(case, mandate.sign_document("mandate", other, authority))
    governor = Governor(case, FAST, "bittorrent")
    assert isinstance(governor.decide(asking, at(0)), Missing), "another peer's Mandate permits nothing here"
    assert governor.decide(wish(), at(0)) == Go("0" * 32)
    assert governor.decide(replace(asking, address="127.21.0.1"), at(0)) == Go("1" * 32)


def test_a_node_of_the_dht_needs_its_address_in_the_mandate_s_scope(make_case: Callable[..., Case]) -> None:
    """A tracker that is named is in scope by its name; "dht" names nobody."""
    scope = {"addresses": ["127.20.0.0/16", "192.0.2.0/24"], "permits": ["dht"], "trackers": ["dht", TRACKER]}
    governor = Governor(make_case(**scope), Policy(allow=("127.0.0.0/8", "192.0.2.0/23")), "bittorrent")
    for address, covered in (("127.20.0.1", True), ("127.21.0.1", False), ("192.0.2.1", True), ("192.0.3.1", False)):
        node = Wish("announce", "", address, 6881, f"dht://{address}:6881", transport="udp")
        assert isinstance(governor.decide(node, at(0)), Go if covered else Missing), address
    assert isinstance(governor.decide(wish("192.0.3.1", 6969, "announce"), at(1)), Go)


def test_started_needs_the_permit(make_case: Callable[..., Case]) -> None:
    governor = Governor(make_case(permits=[]), FAST, "bittorrent")
    announce = wish("127.1.0.1", 6969, "announce", event="started")
    assert isinstance(governor.decide(announce, at(0)), Missing)
    assert isinstance(governor.decide(replace(announce, event="stopped"), at(0)), Go)


def test_nobody_lists_us_whom_the_mandate_may_not_let_us_tell_to_stop(
    make_case: Callable[..., Case], authority: Ed25519PrivateKey
) -> None:
    """The reply to `started` may take twice an answer's time, and a clock be a little off."""
    ends, policy = NOW + 3600 * SECOND, replace(FAST, answer=6.0)
    case = make_case(not_after=clock.iso(ends))
    governor, started = Governor(case, policy, "bittorrent"), wish("127.1.0.1", 6969, "announce", event="started")
    assert isinstance(governor.cover(started, Instant(ends - 72 * SECOND, 1)), Mandate)
    assert governor.cover(started, Instant(ends - 71 * SECOND, 2)) == ENDS_SOON
    goodbye = replace(started, event="stopped", goodbye=True)
    assert isinstance(governor.decide(goodbye, Instant(ends, 3)), Go)
    mandate.add(case, mandate.sign_document("mandate", MANDATE | {"id": "1" * 32}, authority))
    another = Governor(case, policy, "bittorrent").cover(started, Instant(ends, 4))
    assert isinstance(another, Mandate)
    assert another.id == "1" * 32, "the one that holds long enough"


def test_a_mandate_ends_when_it_ends(case: Case) -> None:
    governor = Governor(case, Policy(), "bittorrent")
    end = mandate.all_of(case)[0].not_after_ns
    assert not isinstance(governor.cover(wish(), Instant(end, 5)), Missing)
    refused = governor.cover(wish(), Instant(end + 1, 6))
    assert isinstance(refused, Missing)
    assert governor.cover(wish(), Instant(end + SECOND, 7)) == refused, "one line of the account, however often"


@pytest.mark.parametrize("policy", [FAST, Policy(allow=("192.0.2.0/24",))])
def test_a_tracker_that_no_mandate_names_is_not_even_looked_up(
    case: Case, policy: Policy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("clew.observe.whereabouts.resolve", lambda _: pytest.fail("looked up"))
    with pytest.raises(Refused, match="looked up"):
        observe(case, trackers=["http://tracker.invalid/announce"], policy=policy, seconds=0.1)


def test_nothing_to_do_is_said(case: Case) -> None:
    with pytest.raises(Usage, match="no tracker"):
        observe(case, policy=FAST, seconds=0.1)
