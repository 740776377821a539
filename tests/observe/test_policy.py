"""A policy by itself: what is none, and which addresses its allow-list lets be called."""

from dataclasses import replace
from typing import Any

import pytest
from observe_case import FAST
from wishes import at, wish

from clew.core.case import Case
from clew.core.errors import Refused
from clew.model import Missing
from clew.observe.policy import Governor, Policy, inside_loopback


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
