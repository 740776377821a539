"""Who may have heard us is not called again within the revisit interval, in this run or the next; others are."""

import time
from dataclasses import replace

import pytest
from observe_case import FAST, watch_body
from observe_stage import Stage, answers, bitfield
from wishes import NOW, at, wish

from clew.core.case import Case
from clew.model import Missing
from clew.observe import keeping
from clew.observe.api import REFUSED, SECOND, Contact, Sighted, Target
from clew.observe.networks.bittorrent import PLUGIN
from clew.observe.policy import Go, Governor, Policy
from clew.observe.run import observe
from clew.observe.steady import Steady
from clew.observe.wire import Answer, Call


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
