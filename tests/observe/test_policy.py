"""The one place that decides to dial: what it lets go, what it holds back, what it refuses."""

import json
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from observe_case import FAST, MANDATE, watch_body
from observe_stage import Stage, answers, bitfield

from clew.core import clock, mandate
from clew.core.case import Case
from clew.core.clock import Instant
from clew.core.errors import Refused, Usage
from clew.model import Mandate, Missing
from clew.observe import keeping
from clew.observe.api import REFUSED, SECOND, Contact, Sighted, Target
from clew.observe.endpoints import Endpoint
from clew.observe.networks.bittorrent import PLUGIN
from clew.observe.policy import ENDS_SOON, Go, Governor, Policy, Wait, Wish, inside_loopback
from clew.observe.run import Observer, observe
from clew.observe.steady import Steady
from clew.observe.wire import Answer, Call

TRACKER = "http://127.1.0.1:6969/announce"
NOW = 1_800_000_000 * SECOND


def wish(address: str = "127.20.0.1", port: int = 6881, kind: str = "contact", **other: Any) -> Wish:
    return Wish(kind, "W", address, port, other.pop("source", TRACKER), **other)


def listed(address: str, source: str = TRACKER) -> Endpoint:
    return Endpoint(1, "W", address, 6881, 0, 0, source)


def at(seconds: float) -> Instant:
    return Instant(NOW + int(seconds * SECOND), int((100 + seconds) * SECOND))


@pytest.mark.parametrize("policy", [{"revisit": 299.0}, {"revisit": 300.0, "answer": 5.9}])
@pytest.mark.parametrize("allow", [("10.0.0.0/8",), ("127.0.0.0/8", "192.0.2.0/24"), ("126.0.0.0/7",), ("::/127",)])
def test_beyond_loopback_short_times_are_refused(policy: dict[str, float], allow: tuple[str, ...]) -> None:
    with pytest.raises(Refused, match=r"127\.0\.0\.0/8"):
        Policy(allow=allow, **policy)
    Policy(allow=("127.0.0.0/8",), **policy)
    Policy(allow=allow, revisit=300, answer=6)


@pytest.mark.parametrize(
    "wrong",
    [
        *({"per_second": 0}, {"concurrent": 0}, {"revisit": -1}, {"allow": ("anywhere",)}, {"bind": "eth0"}),
        {"allow": ("192.0.2.7/24",), "revisit": 900},
    ],
)
def test_a_policy_that_is_no_policy_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(Refused):
        Policy(**wrong)


@pytest.mark.parametrize(
    ("bind", "allow", "other"),
    [
        ("198.51.100.7", ("0.0.0.0/0", "::/0"), "IPv6"),
        ("2001:db8::7", ("127.0.0.0/8", "192.0.2.0/24", "::/0"), "IPv4"),
        ("198.51.100.7", ("0.0.0.0/0", "::1/128"), ""),
        ("2001:db8::7", ("127.0.0.0/8", "::/0"), ""),
        ("127.9.0.1", ("0.0.0.0/0", "::/0"), ""),
        ("", ("0.0.0.0/0", "::/0"), ""),
    ],
)
def test_who_binds_an_address_calls_nobody_from_another(bind: str, allow: tuple[str, ...], other: str) -> None:
    """A vantage is stated: what leaves by the other family would leave from an address that the system chooses."""
    if not other:
        assert Policy(allow=allow, bind=bind, revisit=900).bind == bind
        return
    with pytest.raises(Refused, match=f"{bind}.*{other}"):
        Policy(allow=allow, bind=bind, revisit=900)


def test_the_default_allow_list_is_this_machine() -> None:
    assert Policy().allow == ("127.0.0.0/8",)
    assert inside_loopback("127.255.0.1")
    assert not inside_loopback("128.0.0.1")
    assert inside_loopback("::1")
    assert not inside_loopback("::/127")
    assert not inside_loopback("::ffff:127.0.0.1")


def test_outside_the_allow_list_nothing_is_dialled(case: Case) -> None:
    verdict = Governor(case, FAST, "bittorrent").decide(wish("192.0.2.1"), at(0))
    assert isinstance(verdict, Missing)
    assert verdict.detail == "outside the allow-list"


@pytest.mark.parametrize("hidden", ["::ffff:127.20.0.1", "::ffff:192.0.2.1", "::1%0", "2001:db8::1%x"])
def test_no_form_of_an_address_goes_round_the_allow_list(hidden: str) -> None:
    assert not Policy(allow=("127.0.0.0/8", "::1/128", "::/0")).allows(hidden)


@pytest.mark.parametrize(
    "through",
    [
        "2002:7f00:1::1",
        "2002:c0a8:707::1",
        "64:ff9b::10.0.0.5",
        "64:ff9b::7f00:1",
        "64:ff9b::224.0.0.1",
        "2002:e000:1::1",
        "64:ff9b::255.255.255.255",
        "64:ff9b:1::a00:1",
    ],
)
def test_no_tunnel_leads_to_this_machine_or_a_private_network(through: str) -> None:
    everywhere = Policy(allow=("0.0.0.0/0", "::/0"), revisit=900.0)
    assert not everywhere.allows(through)
    assert everywhere.allows("2002:808:808::1")
    assert everywhere.allows("64:ff9b::8.8.8.8")


@pytest.mark.parametrize("many", ["224.0.0.251", "239.1.2.3", "255.255.255.255", "0.0.0.0", "ff02::1", "::"])
def test_what_is_no_single_machine_is_never_called(many):
    everywhere = Policy(allow=("0.0.0.0/0", "::/0"), revisit=900.0)
    assert not everywhere.allows(many)
    assert everywhere.allows("192.0.2.1")
    assert everywhere.allows("2001:db8::1")


@pytest.mark.parametrize(
    ("near", "named"),
    [
        ("127.0.0.1", "127.0.0.0/8"),
        ("10.0.0.5", "10.0.0.0/24"),
        ("192.168.1.1", "192.168.0.0/16"),
        ("169.254.169.254", "169.254.169.254/32"),
        ("100.64.0.1", "100.64.0.0/10"),
        ("::1", "::1/128"),
        ("fd00::1", "fd00::/8"),
        ("fe80::1", "fe80::/64"),
    ],
)
def test_this_machine_and_private_networks_are_called_only_where_they_are_named(near, named):
    """Peers, nodes and trackers elsewhere may list them: they mean other machines, or would have us call our own."""
    everywhere = Policy(allow=("0.0.0.0/0", "::/0"), revisit=900.0)
    assert not everywhere.allows(near)
    assert replace(everywhere, allow=(*everywhere.allow, named)).allows(near)
    assert Policy(allow=("0.0.0.0/1", "128.0.0.0/1"), revisit=900.0).allows("192.0.2.1")


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


def test_one_connection_to_an_address_and_port(case: Case) -> None:
    governor = Governor(case, FAST, "bittorrent")
    assert isinstance(governor.decide(wish(), at(0)), Go)
    assert governor.decide(replace(wish(), watch="other"), at(1)) == Wait(None)
    assert isinstance(governor.decide(wish(port=6882), at(1)), Go)
    governor.release("127.20.0.1", 6881)
    assert isinstance(governor.decide(replace(wish(), watch="other"), at(2)), Go)


def test_not_sooner_than_the_revisit_interval(case: Case) -> None:
    governor = Governor(case, Policy(revisit=300), "bittorrent")
    assert isinstance(governor.decide(wish(), at(0)), Go)
    governor.release("127.20.0.1", 6881)
    assert isinstance(governor.decide(wish(), at(299)), Missing)
    assert isinstance(governor.decide(wish(kind="control"), at(299)), Go)
    governor.release("127.20.0.1", 6881)
    assert isinstance(governor.decide(wish(), at(300)), Go)


def test_whoever_may_have_heard_us_is_called_over_no_other_transport(case: Case) -> None:
    governor = Governor(case, Policy(revisit=300), "bittorrent")
    assert isinstance(governor.decide(wish(transport="mse/tcp"), at(0)), Go)
    governor.release("127.20.0.1", 6881)
    for transport in ("mse/tcp", "tcp", "mse/utp", "utp"):
        assert isinstance(governor.decide(wish(transport=transport), at(299)), Missing), transport
    assert isinstance(governor.decide(replace(wish(transport="tcp"), watch="other"), at(299)), Go), "for one Watch"
    governor.release("127.20.0.1", 6881)
    assert isinstance(governor.decide(wish(transport="tcp"), at(300)), Go)


def test_another_transport_follows_where_no_handshake_of_ours_was_heard(case: Case) -> None:
    governor = Governor(case, Policy(revisit=300), "bittorrent")
    for second, transport in enumerate(("mse/tcp", "mse/utp", "tcp")):
        assert isinstance(governor.decide(wish(transport=transport), at(second)), Go)
        governor.release("127.20.0.1", 6881)
        if transport != "tcp":
            governor.unheard(wish(transport=transport))
            assert isinstance(governor.decide(wish(transport=transport), at(second)), Missing), "not the same again"
    governor.unheard(wish(transport="tcp"), left=False)
    assert isinstance(governor.decide(wish(transport="tcp"), at(5)), Go), "this machine had no network"
    governor.release("127.20.0.1", 6881)
    assert isinstance(governor.decide(wish(transport="utp"), at(299)), Missing), "the last one was heard"
    governor.unheard(wish(kind="control"))
    assert isinstance(governor.decide(wish(transport="utp"), at(299)), Missing), "a probe is of no visit"
    assert isinstance(governor.decide(wish(transport="utp"), at(305)), Go)


def test_whom_an_earlier_run_called_is_refused_whatever_the_queue_says(
    case: Case, stage: Stage, infohash: bytes
) -> None:
    peer = stage.peer("127.20.0.1", answers(bitfield(6), torrents={infohash}))
    tracker = stage.tracker("127.1.0.5", tells_stopped=True)
    tracker.listed[infohash] = [(peer.address, peer.port)]
    with case.write("observe") as tx:
        now_ns = time.time_ns()
        row = ("d", "r", watch_body()["id"], peer.address, peer.port, "contact", "mse/tcp", now_ns, "done", now_ns)
        tx.execute("INSERT INTO dials VALUES (?,?,NULL,?,?,?,?,?,?,?,NULL,?)", row)
    observe(case, trackers=[tracker.url], policy=replace(FAST, revisit=60.0), seconds=3)
    assert peer.heard == []
    told = case.read().execute("SELECT detail FROM dials WHERE kind = 'contact' AND state = 'not made'").fetchone()
    assert told["detail"] == "refused: sooner than the policy's revisit interval"


def test_of_earlier_calls_those_that_may_have_been_heard_are_recalled(case: Case) -> None:
    """By until when that was, whatever is said of them; of those without an end it is not known."""
    lasting = Steady("boot", NOW - 100 * SECOND)
    ended = [("done", 10), ("intent", None), ("failed", 30), ("failed", 70), ("interrupted", 0), ("done", -50)]
    insert = "INSERT INTO dials VALUES (?,'r',NULL,'W','127.20.0.1',?,?,'utp',?,?,?,?)"
    with case.write("observe") as tx:
        for port, (state, ago) in enumerate(ended):
            heard_ns = NOW - ago * SECOND if ago is not None else None
            for kind, more in (("contact", 0), ("control", 50)):
                tx.execute(insert, (f"{kind} {port}", port + more, kind, NOW, state, str(REFUSED), heard_ns))
        tx.execute(insert, ("unheard", 9, "contact", NOW, "failed", str(REFUSED), 0))
    found = keeping.heard(case, at(0), lasting, 60 * SECOND)
    ago = {port: (100 * SECOND - when) // SECOND for _, _, port, when in found}
    assert ago == {0: 10, 1: 0, 2: 30, 4: 0, 5: 0}
    assert list(ago)[:2] == [2, 0], "in order"
    governor = Governor(case, Policy(revisit=60), "bittorrent")
    governor.recall(found)
    assert isinstance(governor.decide(wish(port=2, transport="utp"), at(29)), Missing)
    assert isinstance(governor.decide(wish(port=2, transport="utp"), at(30)), Go)


def test_who_takes_plaintext_alone_is_not_kept_waiting(case: Case, stage: Stage, infohash: bytes) -> None:
    """MSE ends there before our handshake went out, so that another transport follows in the same visit."""
    peer = stage.peer("127.20.0.1", answers(bitfield(6), torrents={infohash}))
    tracker = stage.tracker("127.1.0.5", tells_stopped=True)
    tracker.listed[infohash] = [(peer.address, peer.port)]
    policy = replace(FAST, revisit=60.0, transports=("mse/tcp", "tcp"))
    assert observe(case, trackers=[tracker.url], policy=policy, seconds=4).places["E1"] == 1
    dials = case.read().execute("SELECT transport, state FROM dials WHERE kind = 'contact' ORDER BY intended_ns")
    assert [tuple(row) for row in dials] == [("mse/tcp", "failed"), ("tcp", "done")]


@pytest.mark.parametrize(
    ("finding", "local", "unheard"),
    [
        (None, ("", 0), True),
        (None, ("127.9.0.1", 4), False),
        (Contact(shut=True), ("127.9.0.1", 4), True),
        (Contact(), ("127.9.0.1", 4), False),
        (Contact(answered=True), ("127.9.0.1", 4), False),
    ],
)
def test_what_can_have_been_heard(finding: Contact | None, local: tuple[str, int], unheard: bool) -> None:
    talk = PLUGIN.contact(Target("W", b"h" * 20, (), b"p" * 20), FAST.limits(), "tcp", bytes(32))
    sighted = Sighted(finding, b"") if finding else None
    answer = Answer(Call("c", wish(), talk), sighted, None, at(0), at(1), local, "m", at(0.5))
    assert answer.unheard is unheard
    assert answer.heard == (None if unheard else at(0.5) if finding and finding.answered else at(1))


def test_a_goodbye_waits_neither_for_the_rate_nor_for_quiet_hours(case: Case) -> None:
    hour = (NOW // SECOND // 3600) % 24
    quiet = (hour, (hour + 1) % 24)
    for policy in (Policy(per_second=0.01), Policy(quiet_hours=quiet)):
        governor = Governor(case, policy, "bittorrent")
        announce = replace(wish(kind="announce"), event="stopped")
        governor.decide(wish(port=1), at(0))
        governor.decide(wish(port=2), at(0))
        assert isinstance(governor.decide(announce, at(0)), Wait)
        assert isinstance(governor.decide(replace(announce, goodbye=True), at(0)), Go)


def test_a_mandate_ends_when_it_ends(case: Case) -> None:
    governor = Governor(case, Policy(), "bittorrent")
    end = mandate.all_of(case)[0].not_after_ns
    assert not isinstance(governor.cover(wish(), Instant(end, 5)), Missing)
    refused = governor.cover(wish(), Instant(end + 1, 6))
    assert isinstance(refused, Missing)
    assert governor.cover(wish(), Instant(end + SECOND, 7)) == refused, "one line of the account, however often"


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


def test_the_rate_and_the_number_are_held(case: Case) -> None:
    governor = Governor(case, Policy(per_second=100, concurrent=150), "bittorrent")
    went, tick = 0, 0
    while tick < 1000:
        verdict = governor.decide(wish(port=1000 + went), at(tick / 1000))
        if isinstance(verdict, Go):
            went += 1
        else:
            tick += 1
    assert 95 <= went <= 110
    for port in range(1000, 1100):
        governor.release("127.20.0.1", port)
    still = sum(isinstance(governor.decide(wish(port=3000 + n), at(10 + n)), Go) for n in range(400))
    assert went - 100 + still == 150


def test_quiet_hours_are_kept(case: Case) -> None:
    hour = (NOW // SECOND // 3600) % 24
    inside, outside = (hour, (hour + 1) % 24), ((hour + 1) % 24, (hour + 2) % 24)
    verdict = Governor(case, replace(FAST, quiet_hours=inside), "bittorrent").decide(wish(), at(0))
    assert isinstance(verdict, Wait)
    assert verdict.until_ns is not None
    assert isinstance(Governor(case, replace(FAST, quiet_hours=outside), "bittorrent").decide(wish(), at(0)), Go)


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
