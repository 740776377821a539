"""Real clients and trackers: each client is seen at E2 over every transport that it offers, and knows us nowhere.

What is run is `clients_run.py`, in a network namespace of its own; its cases are looked at here.
"""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from clients_here import BY_NAME, CLIENTS, PIECE, SIZES, V6, Client
from clients_run import LINGERER, NODE, TWO_FILES, WATCHES, WITNESS

from clew.core import shards
from clew.core.case import Case
from clew.observe.networks.bittorrent import PLUGIN
from clew.observe.replay import replay

# Not root: in a user namespace too, as oneself, so that opentracker does not try to become somebody else.
NAMESPACE = ["unshare", *(["--user", "--map-current-user", "--keep-caps"] if os.geteuid() else [])]
NAMESPACE += ["--net", "--pid", "--fork", "--kill-child"]
MOST_SECONDS = 240  # less than the 300 that pytest-timeout gives, so that it is the namespace that ends
OURS = "127.9."
PIECES = -(-sum(SIZES.values()) // PIECE)
INNER = sum(SIZES.values()) // PIECE - -(-SIZES["a.bin"] // PIECE)
# A v2 torrent, and the v1 half of a hybrid, begin each file with a piece of its own (BEP 52).
ALIGNED = sum(-(-size // PIECE) for size in SIZES.values())
ALIGNED_INNER = SIZES["b.bin"] // PIECE


@dataclass(frozen=True)
class Operation:
    """What the run left."""

    folder: Path
    said: dict[str, Any]

    def rows(self, name: str, sql: str) -> list[dict[str, Any]]:
        """Sightings of one of its cases."""
        case = Case.open(self.folder / name)
        try:
            return shards.query(case, f"SELECT * FROM sightings WHERE {sql} ORDER BY sequence").to_pylist()
        finally:
            case.close()

    def seen(self, name: str, address: str, port: int, watch: int = 1) -> dict[str, Any]:
        """The first sighting of an endpoint at E2."""
        where = f"kind = 'contact' AND address = '{address}' AND port = {port} AND watch = '{watch:032x}'"
        return self.rows(name, f"{where} AND tier = 'E2'")[0]


@pytest.fixture(scope="module")
def operation(tmp_path_factory: pytest.TempPathFactory) -> Operation:
    folder = tmp_path_factory.mktemp("operation")
    script = Path(__file__).with_name("clients_run.py")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(script.parent), *sys.path])}
    command = [*NAMESPACE, sys.executable, "-W", "ignore::DeprecationWarning", str(script), str(folder)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=MOST_SECONDS, env=environment, check=False)
    if ran.returncode:
        logs = "".join(f"\n{each.name}: {each.read_text(errors='replace')[-400:]}" for each in folder.glob("*.log"))
        pytest.fail(ran.stderr[-4_000:] + logs)
    return Operation(folder, json.loads((folder / "said.json").read_text()))


def called(transport: str) -> str:
    """The case in which this transport alone was dialled."""
    return transport.replace("/", " over ")


@pytest.mark.parametrize(
    ("client", "transport"),
    [pytest.param(each, t, id=f"{each.name} {each.offers[t]}") for each in CLIENTS for t in each.offers],
)
def test_a_client_is_seen_at_e2(operation: Operation, client: Client, transport: str) -> None:
    row = operation.seen(called(transport), client.address, client.port)
    assert (row["transport"], row["claim"]) == (client.offers[transport], "watched file")
    assert row["client"].startswith(client.says)
    assert row["peer_id"].startswith(client.peer_id)
    assert row["infohash_echoed"] == row["infohash_sent"]
    assert (row["pieces_claimed"], row["pieces_total"], row["inner_claimed"]) == (PIECES, PIECES, INNER)
    assert (row["promiscuous"], row["missing"]) == (False, None)


def test_two_watches_of_one_torrent_are_claimed_each_and_none_in_vain(operation: Operation) -> None:
    for client in CLIENTS:
        for number in TWO_FILES:
            assert operation.seen("two files", client.address, client.port, number)["inner_claimed"] == INNER
    addresses = tuple(each.address for each in CLIENTS if each.program == "Transmission")
    assert operation.rows("two files", f"kind = 'contact' AND tier = 'E0' AND address IN {addresses}") == []


@pytest.mark.parametrize("transport", PLUGIN.transports)
def test_who_does_not_offer_it_is_not_seen_over_it(operation: Operation, transport: str) -> None:
    found = operation.rows(called(transport), "kind = 'contact'")
    assert {row["transport"] for row in found if row["tier"] != "E0"} == {
        each.offers[transport] for each in CLIENTS if transport in each.offers
    }
    without = {each.address for each in CLIENTS if transport not in each.offers}
    for row in found:
        if row["address"] in without:
            assert (row["tier"], row["transport"], row["claim"]) == ("E0", transport, "nothing said")


@pytest.mark.parametrize("name", [*map(called, PLUGIN.transports), "two files", "tcp over IPv6", "utp over IPv6"])
def test_what_was_kept_derives_again(operation: Operation, name: str) -> None:
    case = Case.open(operation.folder / name)
    found = replay(case)
    case.close()
    assert found.differing == []
    assert found.same["contact E2"] >= (1 if "IPv6" in name else 2)
    assert set(found.not_derived) <= {
        "ourselves: nobody's words", "no connection: there are no bytes, and nothing is claimed",
    }  # fmt: skip


@pytest.mark.parametrize("number", [each for each in WATCHES if each > 1])
@pytest.mark.parametrize("transport", PLUGIN.transports)
def test_v2_and_hybrid_torrents(operation: Operation, transport: str, number: int) -> None:
    sessions = [each for each in CLIENTS if each.program == "libtorrent"]
    for client in sessions:
        row = operation.seen(called(transport), client.address, client.port, number)
        assert row["transport"] == client.offers[transport]
        assert row["infohash_echoed"] == row["infohash_sent"]
        assert (row["pieces_claimed"], row["inner_claimed"]) == (ALIGNED, ALIGNED_INNER)
    case = Case.open(operation.folder / called(transport))
    rows = case.read().execute("SELECT address, tier FROM endpoints WHERE watch = ?", (f"{number:032x}",)).fetchall()
    case.close()
    # Also where both infohashes are asked for; ::1, which the tracker tells of too, is outside the allow-list.
    assert sorted(map(tuple, rows)) == [*((each.address, "E2") for each in sessions), (V6, "E0")]


@pytest.mark.parametrize(
    ("client", "transport"), [pytest.param(each, t, id=f"{each.name} {t}") for each in CLIENTS for t in each.v6]
)
def test_ipv6(operation: Operation, client: Client, transport: str) -> None:
    row = operation.seen(f"{transport} over IPv6", V6, client.port)
    assert (row["transport"], row["local_address"]) == (transport, V6)
    assert row["client"].startswith(client.says)
    assert (row["pieces_claimed"], row["inner_claimed"]) == (PIECES, INNER)


def test_all_three_trackers_told(operation: Operation) -> None:
    """Two programs, three ways: opentracker over HTTP and UDP, and the tracker inside qBittorrent."""
    told = operation.said["tcp"]["trackers"]
    assert len(told) == 3
    assert all(each["listed"] > 0 and each.get("failed", 0) == 0 for each in told.values())


def test_no_tracker_lists_us_afterwards(operation: Operation) -> None:
    listed = [(place, *each) for place, *some in operation.said["listed"] for each in some]
    clients = {(each.address, each.port) for each in CLIENTS} | {(V6, each.port) for each in CLIENTS if each.v6}
    assert {(address, port) for _, address, port in listed} == clients
    assert not [each for each in listed if each[1].startswith(OURS)]


def test_a_client_is_found_in_the_dht(operation: Operation) -> None:
    found, client = operation.said["dht"], BY_NAME["qBittorrent"]
    assert found["found"] == [[client.address, client.port]]
    assert f"dht://{NODE[0]}:{NODE[1]}" in found["asked"]
    assert not [each for each in found["known afterwards"] if each.startswith(OURS)]


def test_which_clients_gossip_about_us(operation: Operation) -> None:
    """Transmission alone tells one contact of another, by our address and the port of that connection."""
    gossip = operation.said["gossip"]
    assert set(gossip) == set(BY_NAME)
    ours = {name: [each for each in told["names"] if each[0].startswith(OURS)] for name, told in gossip.items()}
    counted = {name: len(some) for name, some in ours.items()}
    assert counted == {each.name: 2 if each.program == "Transmission" else 0 for each in CLIENTS}
    for name in (each.name for each in CLIENTS if each.program == "Transmission"):
        assert [address for address, _ in ours[name]] == [LINGERER, WITNESS]
        assert all(port >= 1024 for _, port in ours[name])
