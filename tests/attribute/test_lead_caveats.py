"""What stands beside a lead: the caveats of its network and address, and what speaks against it."""

import json

import pytest
from attribute_case import DAY, MINUTE, NOW, claims, sight

from clew.attribute.caveats import LIMITS

THIRDS = {72: "cgnat", 80: "hosting", 96: "vpn", 104: "tor", 112: "proxy", 1: "isp", 64: "mobile"}
KINDS = "".join(f"127.10.{third}.0/24,,,{kind}\n" for third, kind in THIRDS.items())
BETWEEN = NOW - DAY - 5 * 20 * MINUTE + 2 * MINUTE  # of the sixth: after the first
OTHER_CLIENT = {"client": "Transmission 4.0.5", "peer_id": b"-TR4050-" + bytes(12)}


@pytest.mark.parametrize(
    ("third", "word"),
    [(72, "carrier-grade NAT"), (80, "hosting"), (96, "VPN"), (104, "Tor"), (112, "a customer's own machine"),
     (64, "mobile"), (2, "unknown kind")],
)  # fmt: skip
def test_each_kind_of_network_has_its_caveat(full, countries, register, third, word, run):
    _, (lead,) = run(full, claims(f"127.10.{third}.1"), [countries, register(KINDS, name="kinds")])
    assert any(word in line for line in json.loads(lead["caveats"]))
    assert lead["country"] == "AT"


def test_an_ordinary_line_alone_at_its_address_has_no_caveat_but_the_limits(full, countries, register, run):
    _, (lead,) = run(full, claims(), [countries, register(KINDS, name="kinds")])
    assert json.loads(lead["caveats"]) == [LIMITS]


def test_several_ports_or_clients_at_one_address_are_said(full, countries, register, run):
    rows = claims() + claims(start=2, port=7000)
    _, leads = run(full, rows, [countries, register(KINDS, name="kinds")])
    assert len(leads) == 2
    for lead in leads:
        assert any("shared address" in line for line in json.loads(lead["caveats"]))


def test_a_port_that_was_called_there_and_never_answered_is_a_sign_too(full, countries, register, run):
    silent = [dict(row, tier="E0", claim="nothing said") for row in claims(start=2, port=7000)]
    _, (lead,) = run(full, claims() + silent, [countries, register(KINDS, name="kinds")])
    told = "perhaps a shared address: 1 other port listed here; 1 did not answer"
    assert json.loads(lead["caveats"]) == [LIMITS, told]


def test_what_speaks_against_it_is_said(full, countries, run):
    rows = [*claims(), sight(2, pieces_claimed=4), sight(3, tier="E0", claim="nothing said", missing="unreadable"),
            sight(4, tier="E1", **OTHER_CLIENT)]  # fmt: skip
    _, (lead,) = run(full, rows, [countries])
    against = " / ".join(json.loads(lead["against"]))
    changed = "the client changed from qBittorrent/4.6.3 to Transmission 4.0.5"
    for word in ("brought no claim", "merge refused", changed, "a claim of w1 shrank", "no control probe"):
        assert word in against


def test_a_control_probe_that_found_nothing_is_no_longer_missing(full, countries, run):
    probe = sight(5, at=BETWEEN, kind="control", tier="E0", claim="nothing said", missing="unreadable")
    _, (lead,) = run(full, [*claims(), probe], [countries])
    assert any("no control probe" in line for line in json.loads(lead["against"])), "one that broke off tells nothing"
    _, (lead,) = run(full, [probe | {"id": "s006", "missing": None}], [countries])
    assert not any("no control probe" in line for line in json.loads(lead["against"]))


@pytest.mark.parametrize(
    ("probe", "other", "unprobed"),
    [
        ({"at": BETWEEN}, OTHER_CLIENT, 1),
        ({"at": BETWEEN}, {"transport": "mse-rc4/utp"}, 1),
        ({"at": BETWEEN, "transport": "utp"}, {"transport": "mse-rc4/utp"}, 2),
        ({"at": BETWEEN - 10 * 20 * MINUTE}, {}, 1),
        ({"at": BETWEEN, "transport": "mse/tcp"}, {}, 1),
    ],
    ids=["another client", "another carrier", "of the other carrier at another time", "before all contacts", "MSE"],
)
def test_a_control_probe_speaks_for_whom_it_was_made_of_alone(full, countries, run, probe, other, unprobed):
    """Behind one address and port there may be another machine later, and over the other carrier."""
    control = sight(5, kind="control", tier="E0", claim="nothing said", client=None, peer_id=None, **probe)
    later = claims(start=2, **other) if other else []
    _, leads = run(full, [*claims(), control, *later], [countries])
    assert sum("no control probe" in lead["against"] for lead in leads) == unprobed
    assert len(leads) == (2 if other else 1)
