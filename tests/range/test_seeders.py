"""Real clients: each accepts what its party accepts, over which it is heard to hold everything, and nothing else."""

import pytest
from range_callers import dial, messages
from range_stage import OTHER_PORT, TORRENTS, party, scenario

from clew.range.scenario import Carrier, Manner, Stay
from clew.range.seeders import Seeders, acceptance

KINDS = [
    frozenset(Carrier),
    frozenset({Carrier.TCP}),
    frozenset({Carrier.MSE_TCP, Carrier.MSE_UTP}),
    frozenset({Carrier.UTP, Carrier.MSE_UTP}),
    frozenset({Carrier.MSE_UTP}),
]


def claims(said):
    return any(kind in (5, 14) for kind, _ in messages(said))


@pytest.fixture(scope="module")
def seeding(tmp_path_factory):
    stays = [Stay(f"127.11.7.{number}", OTHER_PORT, -60.0, 600.0) for number in range(1, len(KINDS) + 1)]
    parties = [
        party(number, manner=Manner.REAL, accepts=accepts, stays=(stay,), listed_by=())
        for number, (accepts, stay) in enumerate(zip(KINDS, stays, strict=True))
    ]
    seeders = Seeders(scenario(*parties), tmp_path_factory.mktemp("real"), 1)
    assert seeders.start() == len(KINDS)
    yield parties
    seeders.stop()


@pytest.mark.parametrize("carrier", list(Carrier))
@pytest.mark.parametrize("kind", range(len(KINDS)))
def test_a_real_client_accepts_what_its_party_accepts(seeding, kind, carrier):
    whom = seeding[kind]
    accepted = carrier in KINDS[kind]
    endpoint = whom.stays[0].address, whom.stays[0].port
    said = dial(endpoint, carrier, TORRENTS[0].infohash, wait=5 if accepted else 0.3, enough=claims)
    assert claims(said) == accepted


def test_what_no_session_can_be():
    with pytest.raises(ValueError, match="no libtorrent session"):
        acceptance(frozenset({Carrier.TCP, Carrier.MSE_UTP}))
