"""What the tests of disturbed runs share: a cast of peers, a run in a process of its own, and what must come out."""

import os
import subprocess
import sys
from pathlib import Path

from observe_stage import Peer, Stage, Tracker, answers, bitfield, says

from clew.core import shards
from clew.core.case import Case
from clew.observe.replay import replay

HERE = Path(__file__).parent
SOAK = bool(os.environ.get("CLEW_SOAK"))
Facts = set[tuple[object, ...]]


def start(case: Case, tracker: Tracker, *rest: str, failpoint: str = "") -> "subprocess.Popen[str]":
    command = [sys.executable, str(HERE / "observe_here.py"), str(case.folder), tracker.url, *rest]
    environment = {**os.environ, "CLEW_FAILPOINT": failpoint}
    return subprocess.Popen(
        command, env=environment, cwd=HERE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def troupe(stage: Stage, infohash: bytes) -> tuple[Tracker, list[Peer]]:
    """Those who claim the file, the torrent alone, nothing; one who echoes anything, one who says nonsense."""
    said = {
        **{f"127.26.0.{n}": answers(bitfield(6, n), torrents={infohash}) for n in range(1, 6)},
        "127.26.1.1": answers(bitfield(0, 1), torrents={infohash}),
        "127.26.1.2": answers(bitfield(), torrents={infohash}),
        "127.26.1.3": answers(bitfield(6), torrents=None),
        "127.26.1.4": says(b"nonsense" * 20),
    }
    peers = [stage.peer(address, talk) for address, talk in said.items()]
    tracker = stage.tracker("127.1.0.12", tells_stopped=False)
    tracker.listed[infohash] = [(peer.address, peer.port) for peer in peers] + [("127.26.1.5", 9)]
    return tracker, peers


def facts(case: Case) -> Facts:
    """Of everybody listed: the highest tier, the strongest claim that was kept, and what the control probe said."""
    sql = """SELECT address, port, max(tier),
                    max(CASE claim WHEN 'watched file' THEN 2 WHEN 'torrent only' THEN 1 ELSE 0 END)
             FROM sightings WHERE kind IN ('listed', 'contact') GROUP BY address, port"""
    kept = {tuple(row.values()) for row in shards.query(case, sql).to_pylist()}
    queue = case.read().execute("SELECT address, port, tier, control FROM endpoints").fetchall()
    tiers = {(address, port): tier for address, port, tier, _ in queue}
    assert tiers == {(address, port): tier for address, port, tier, _ in kept}, "the queue says what the shards hold"
    control = {(address, port): said if said in ("clean", "promiscuous") else None for address, port, _, said in queue}
    return {(*row, control[row[0], row[1]]) for row in kept}


def balanced(case: Case, peers: list[Peer]) -> None:
    """No contact is forgotten, none doubled, the order is that of numbers, and the bytes bear out every Sighting."""
    read = case.read()
    assert read.execute("SELECT count(*) FROM dials WHERE state = 'intent'").fetchone()[0] == 0
    dialled = dict(map(tuple, read.execute("SELECT address, count(*) FROM dials GROUP BY address")))
    assert all(len(peer.heard) <= dialled.get(peer.address, 0) for peer in peers), "a contact that no intent tells of"
    sql = "SELECT id FROM dials WHERE state IN ('done', 'failed') AND kind LIKE 'c%'"
    ended = {row[0] for row in read.execute(sql)}
    rows = shards.query(case, "SELECT id, kind, run, sequence, monotonic_ns FROM sightings").to_pylist()
    assert len({row["id"] for row in rows}) == len(rows), "a sighting twice"
    called = {row["id"] for row in rows if row["kind"] in ("contact", "control")}
    assert called == ended, "one sighting for each contact"
    assert len({(row["run"], row["sequence"]) for row in rows}) == len(rows), "two sightings with one number"
    claims = read.execute("SELECT sum(claims), sum(contacts) FROM endpoints").fetchone()
    sql = """SELECT count(*) FILTER (claim IN ('watched file', 'torrent only')) c, count(*) n
             FROM sightings WHERE kind = 'contact' AND octet_length(transcript) > 0"""
    kept = shards.query(case, sql).to_pylist()[0]
    assert tuple(claims) == (kept["c"], kept["n"]), "the queue counts what the shards hold"
    assert replay(case).differing == []
