"""Several Mandates: one that is added or whose time comes is noticed, and none lends or hides what another says."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from observe_case import FAST, MANDATE
from observe_stage import Stage, answers, bitfield
from wishes import TRACKER, at, wish

from clew.core import clock, mandate
from clew.core.case import Case
from clew.core.clock import Instant
from clew.model import Missing
from clew.observe.api import SECOND
from clew.observe.endpoints import Endpoint
from clew.observe.networks.bittorrent import PLUGIN
from clew.observe.policy import Go, Governor, Policy
from clew.observe.run import Observer, observe


def listed(address: str, source: str = TRACKER) -> Endpoint:
    return Endpoint(1, "W", address, 6881, 0, 0, source)


def test_a_mandate_that_is_added_or_whose_time_comes_is_noticed(case: Case, authority: Ed25519PrivateKey) -> None:
    governor = Governor(case, FAST, "bittorrent")
    first, second = "0" * 32, "1" * 32
    assert governor.valid(at(0)) == {first}
    later = mandate.parse_time("2027-01-15T09:00:00Z")  # an hour after NOW
    body = MANDATE | {"id": second, "not_before": "2027-01-15T09:00:00Z"}
    mandate.add(case, mandate.sign_document("mandate", body, authority))
    assert governor.valid(at(29)) == {first}
    assert governor.valid(at(31)) == {first}, "it is there, and does not hold yet"
    assert governor.valid(Instant(later, 200 * SECOND)) == {first, second}


def test_a_renewed_mandate_reaches_who_is_known_already(
    make_case: Callable[..., Case],
    authority: Ed25519PrivateKey,
    stage: Stage,
    infohash: bytes,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("clew.observe.policy.COVER_NS", SECOND // 4)
    case = make_case(addresses=["127.1.0.0/16"])  # the tracker, and no peer
    peer = stage.peer("127.20.0.1", answers(bitfield(6), torrents={infohash}))
    tracker = stage.tracker("127.1.0.5", tells_stopped=True)
    tracker.listed[infohash] = [(peer.address, peer.port)]
    seen: list[int] = []

    def renew(_: dict[str, object]) -> None:
        seen.append(len(peer.heard))
        if len(seen) == 2:
            other = MANDATE | {"id": "1" * 32, "addresses": ["127.20.0.0/16"]}
            mandate.add(case, mandate.sign_document("mandate", other, authority))
            tracker.listed[infohash].clear()

    summary = observe(
        case, trackers=[tracker.url], policy=replace(FAST, announce=60.0), seconds=4, go_on=True, progress=renew
    )
    assert seen[:2] == [0, 0]
    assert summary.places["E2"] == 1
    told = "SELECT line FROM ledger WHERE line LIKE '%observing.%' ORDER BY seq"
    began, ended = (json.loads(line)["mandate"] for (line,) in case.read().execute(told))
    assert (began, ended) == ("0" * 32, ""), "it was under two"


def test_a_tracker_that_no_mandate_covered_is_asked_as_soon_as_one_does(
    make_case: Callable[..., Case],
    authority: Ed25519PrivateKey,
    stage: Stage,
    infohash: bytes,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It would have been asked again only in the eighth second."""
    monkeypatch.setattr("clew.observe.policy.COVER_NS", SECOND // 4)
    case = make_case(not_after=(datetime.now(UTC) + timedelta(seconds=1.5)).isoformat())
    peer = stage.peer("127.20.0.1", answers(bitfield(6), torrents={infohash}))
    tracker = stage.tracker("127.1.0.5", tells_stopped=True)
    tracker.listed[infohash] = []
    refused = "SELECT 1 FROM dials WHERE kind LIKE 'announce%' AND state = 'not made'"

    def renew(_: dict[str, object]) -> None:
        if not tracker.listed[infohash] and case.read().execute(refused).fetchone():
            tracker.listed[infohash].append((peer.address, peer.port))
            mandate.add(case, mandate.sign_document("mandate", MANDATE | {"id": "1" * 32}, authority))

    policy = replace(FAST, announce=1.5)
    observe(case, trackers=[tracker.url], policy=policy, seconds=5, progress=renew, go_on=True)
    assert tracker.listed[infohash], "it was refused"
    assert peer.heard


def test_a_permit_for_plaintext_counts_from_when_its_mandate_is_added(
    make_case: Callable[..., Case], authority: Ed25519PrivateKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("clew.observe.policy.COVER_NS", 0)
    case = make_case(addresses=["192.0.2.0/24", "127.0.0.0/8"], trackers=[TRACKER])
    policy = Policy(allow=("127.0.0.0/8", "192.0.2.0/24"))
    observer = Observer(case, PLUGIN, policy, [TRACKER])
    offered, governor, veiled = observer._offers(), observer._governor, ("mse/tcp", "mse/utp")
    clear = wish("192.0.2.1", transport="tcp")
    here, there, other_half = (listed(each) for each in ("127.20.0.1", "192.0.2.1", "192.0.2.200"))
    assert (offered(there), offered(here)) == (veiled, PLUGIN.transports)
    assert isinstance(governor.decide(clear, clock.now()), Missing)
    other = {"id": "1" * 32, "addresses": ["192.0.2.0/25"], "trackers": [TRACKER], "permits": ["plaintext"]}
    mandate.add(case, mandate.sign_document("mandate", MANDATE | other, authority))
    assert offered(there) == (*veiled, "tcp", "utp")
    assert governor.decide(clear, clock.now()) == Go("1" * 32)
    assert offered(other_half) == veiled, "it is permitted where that Mandate covers, and nowhere else"
    assert isinstance(governor.decide(replace(clear, address="192.0.2.200"), clock.now()), Missing)


def test_what_one_mandate_permits_for_its_tracker_keeps_nobody_of_another_from_being_called(
    make_case: Callable[..., Case], authority: Ed25519PrivateKey
) -> None:
    """Else plaintext would be tried first with whom no Mandate permits it, who would then not be called at all."""
    quiet = "http://127.1.0.2:6969/announce"
    loud = {"id": "1" * 32, "addresses": ["*"], "trackers": [TRACKER], "permits": ["plaintext_first"]}
    case = make_case(addresses=["192.0.2.0/24"], trackers=[quiet], permits=[])
    mandate.add(case, mandate.sign_document("mandate", MANDATE | loud, authority))
    observer = Observer(case, PLUGIN, Policy(allow=("127.0.0.0/8", "192.0.2.0/24")), [TRACKER])
    for source, first in ((quiet, "mse/tcp"), (TRACKER, "tcp")):
        transport = observer._offers()(listed("192.0.2.1", source))[0]
        assert transport == first
        asked = wish("192.0.2.1", source=source, transport=transport)
        assert not isinstance(observer._governor.cover(asked, clock.now()), Missing)


def test_a_mandate_that_names_nobody_hides_none_that_does(
    make_case: Callable[..., Case], authority: Ed25519PrivateKey
) -> None:
    case = make_case(addresses=["192.0.2.0/24"], trackers=["*"], permits=[])
    other = {"id": "1" * 32, "addresses": ["192.0.2.0/25"], "trackers": [TRACKER], "permits": []}
    mandate.add(case, mandate.sign_document("mandate", MANDATE | other, authority))
    governor = Governor(case, Policy(allow=("192.0.2.0/24",)), "bittorrent")
    veiled = replace(wish("192.0.2.1"), transport="mse/tcp")
    assert governor.decide(veiled, at(0)) == Go("1" * 32)
    assert isinstance(governor.decide(replace(veiled, address="192.0.2.200"), at(1)), Missing)
    assert governor.decide(wish("192.0.2.201", 6969, "announce"), at(2)) == Go("1" * 32), "its name is enough"
