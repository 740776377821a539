"""How much is dialled at a time: one connection to each place, so many in all and a second, none in quiet hours."""

from dataclasses import replace

from observe_case import FAST
from wishes import NOW, at, wish

from clew.core.case import Case
from clew.observe.api import SECOND
from clew.observe.policy import Go, Governor, Policy, Wait


def test_one_connection_to_an_address_and_port(case: Case) -> None:
    governor = Governor(case, FAST, "bittorrent")
    assert isinstance(governor.decide(wish(), at(0)), Go)
    assert governor.decide(replace(wish(), watch="other"), at(1)) == Wait(None)
    assert isinstance(governor.decide(wish(port=6882), at(1)), Go)
    governor.release("127.20.0.1", 6881)
    assert isinstance(governor.decide(replace(wish(), watch="other"), at(2)), Go)


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
