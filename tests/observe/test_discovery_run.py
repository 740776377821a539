"""Whole runs over what is no HTTP tracker, with real clients behind: found in the DHT alone, and by gossip alone."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import libtorrent as lt
import pytest
from observe_case import FAST, ends_when, watch_body
from observe_stage import Stage
from test_discovery_real import NODES, OURS, ask, until
from test_libtorrent import NAMES, PIECE, SETTINGS, make_torrent

from clew.core import shards
from clew.core.errors import Refused
from clew.observe.replay import replay
from clew.observe.run import observe

POLICY = replace(FAST, transports=(), hold=6.0, gossip=True)
PERMITS = {"permits": ["started_announce", "dht", "pex"]}


def watched(info: Any) -> dict[str, Any]:
    return watch_body(
        infohash_v1=str(info.info_hash()), pieces=info.num_pieces(), piece_length=PIECE,
        file_offset=NAMES["a.bin"], file_length=NAMES["b.bin"],
    )  # fmt: skip


def client(info: Any, folder: Path, **settings: Any) -> tuple[Any, Any, int]:
    session = lt.session({**SETTINGS, **settings})
    wanted = lt.add_torrent_params()
    wanted.ti, wanted.save_path = info, str(folder)
    handle = session.add_torrent(wanted)
    return session, handle, until(session.listen_port)


def test_a_seeder_that_the_dht_alone_tells_of(make_case: Any, tmp_path: Path) -> None:
    info, addresses = make_torrent(tmp_path), [f"127.{n}.1.1" for n in (25, 26, 27)]
    nodes = [lt.session({**SETTINGS, **NODES, "listen_interfaces": f"{a}:0"}) for a in addresses[1:]]
    seeder, handle, port = client(info, tmp_path, **NODES, listen_interfaces=f"{addresses[0]}:0")
    ports = [port, *(until(node.listen_port) for node in nodes)]
    for session in (seeder, *nodes):
        for place in zip(addresses, ports, strict=True):
            session.add_dht_node(place)
    urls = [f"dht://{a}:{p}" for a, p in zip(addresses, ports, strict=True)]
    infohash = bytes.fromhex(str(info.info_hash()))
    until(lambda: all(len(ask(url, infohash).nodes) == 2 for url in urls))
    until(lambda: handle.status().is_seeding)
    handle.force_dht_announce()
    until(lambda: ask(urls[1], infohash).listed)

    case = make_case(watched(info), **PERMITS)
    summary = observe(case, trackers=urls[2:], policy=POLICY)
    rows = shards.query(case, "SELECT * FROM sightings ORDER BY sequence").to_pylist()
    best = {row["address"]: row for row in rows if row["kind"] == "contact" and row["tier"] == "E2"}
    assert set(best) == {addresses[0]}
    assert best[addresses[0]]["transport"].startswith("mse-")
    assert best[addresses[0]]["source"].startswith("dht://")
    assert summary.trackers["dht"]["asked"] >= 3
    assert replay(case).differing == []
    for url in urls:
        assert OURS not in {each.address for each in ask(url, infohash).listed}
    for session in (seeder, *nodes):
        session.pause()


def test_made_up_endpoints_are_kept_up_to_a_limit_and_counted_beyond(
    make_case: Any, stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("clew.observe.results.MOST_HEARSAY", 1)
    info = make_torrent(tmp_path)
    first, seeding, port = client(info, tmp_path, listen_interfaces="127.28.2.1:0")
    others = [
        client(info, tmp_path / str(n), listen_interfaces=f"127.28.2.{n}:0", outgoing_interfaces=f"127.28.2.{n}",
               download_rate_limit=1_000)
        for n in (2, 3)
    ]  # fmt: skip
    until(lambda: seeding.status().is_seeding)

    def connected() -> bool:
        for _, handle, _ in others:
            handle.connect_peer(("127.28.2.1", port))
        return {"127.28.2.2", "127.28.2.3"} <= {peer.ip[0] for peer in seeding.get_peer_info()}

    until(connected)
    tracker = stage.tracker("127.1.0.9", tells_stopped=True)
    tracker.listed[bytes.fromhex(str(info.info_hash()))] = [("127.28.2.1", port)]
    case = make_case(watched(info), **PERMITS)
    summary = observe(case, trackers=[tracker.url], policy=POLICY, seconds=8)
    found = case.read().execute("SELECT count(*) FROM endpoints WHERE source LIKE 'pex:%'").fetchone()[0]
    assert found == 1
    assert summary.limits["listed by pex beyond 1 endpoints of a Watch"] >= 1
    for session, *_ in [(first,), *others]:
        session.pause()


def test_the_dht_is_not_asked_without_its_permit(make_case: Any) -> None:
    with pytest.raises(Refused, match="permit 'dht'"):
        observe(make_case(), trackers=["dht://127.25.1.1:6881"], policy=POLICY, seconds=1)


@pytest.mark.parametrize("permitted", [True, False])
def test_a_peer_that_gossip_alone_tells_of(make_case: Any, stage: Stage, tmp_path: Path, permitted: bool) -> None:
    info = make_torrent(tmp_path)
    first, seeding, port = client(info, tmp_path, listen_interfaces="127.28.1.1:0")
    own = {"listen_interfaces": "127.28.1.2:0", "outgoing_interfaces": "127.28.1.2"}
    second, handle, other = client(info, tmp_path / "nothing", **own, download_rate_limit=1_000)
    until(lambda: seeding.status().is_seeding)

    def connected() -> bool:
        handle.connect_peer(("127.28.1.1", port))
        return any(peer.ip[0] == "127.28.1.2" for peer in seeding.get_peer_info())

    until(connected)
    tracker = stage.tracker("127.1.0.8", tells_stopped=True)
    tracker.listed[bytes.fromhex(str(info.info_hash()))] = [("127.28.1.1", port)]
    case = make_case(watched(info), **(PERMITS if permitted else {}))

    def seen() -> bool:
        """Whether both are at E2; without the permit, whether the one was visited more often than it takes to tell."""
        rows = case.read().execute("SELECT tier, contacts FROM endpoints").fetchall()
        return [row["tier"] for row in rows] == ["E2"] * 2 or (
            not permitted and sum(row["contacts"] for row in rows) >= 5
        )

    observe(case, trackers=[tracker.url], policy=POLICY, seconds=20, progress=ends_when(seen))
    rows = shards.query(case, "SELECT * FROM sightings").to_pylist()
    told = [row for row in rows if row["kind"] == "listed" and row["source"] == f"pex://127.28.1.1:{port}"]
    assert [(row["address"], row["port"]) for row in told] == ([("127.28.1.2", other)] if permitted else [])
    answered = {row["address"] for row in rows if row["kind"] == "contact" and row["infohash_echoed"]}
    assert answered == ({"127.28.1.1", "127.28.1.2"} if permitted else {"127.28.1.1"})
    assert replay(case).differing == []
    first.pause()
    second.pause()
