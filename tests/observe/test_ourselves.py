"""How often others named us: counted, kept with the run also where it is killed, and told."""

import json
import socket
from typing import Any

from click.testing import CliRunner
from observe_case import FAST
from observe_stage import EXTENDED, INNER, Stage, answers, bitfield, message

from clew.cli.main import cli
from clew.core.case import Case
from clew.observe.run import observe

US = FAST.bind


def told_of(*places: tuple[str, int]) -> bytes:
    """An extension handshake that offers PEX, and one message of it (BEP 11)."""
    added = b"".join(socket.inet_aton(address) + port.to_bytes(2, "big") for address, port in places)
    pex = b"d5:added%d:%se" % (len(added), added)
    return message(20, b"\x00d1:md6:ut_pexi1eee") + message(20, b"\x01" + pex)


def kept(case: Case) -> dict[str, float]:
    row = case.read().execute("SELECT coverage FROM observe_runs").fetchone()
    return dict(json.loads(row["coverage"]).get("ourselves", {})) if row else {}


def test_how_often_others_named_us_is_kept_and_told(make_case: Any, stage: Stage, infohash: bytes) -> None:
    case = make_case(permits=["pex"])
    gossip = told_of((US, 40_000), (US, 9)) + bitfield(*INNER)
    peer = stage.peer("127.29.3.1", answers(gossip, torrents={infohash}, reserved=EXTENDED))
    tracker = stage.tracker("127.1.0.13", tells_stopped=True)
    tracker.listed[infohash] = [(peer.address, peer.port), (US, 9)]
    args = ["observe", str(case.folder), "--tracker", tracker.url, "--gossip", "--seconds", "3", "--interval", "1"]
    result = CliRunner().invoke(cli, [*args, "--transport", "tcp", "--json"], standalone_mode=False)
    told = json.loads(result.output)["ourselves"]
    assert told["gossiped"] >= 2
    assert told["listed"] >= 1
    assert kept(case) == told
    assert [row[0] for row in case.read().execute("SELECT DISTINCT address FROM endpoints")] == [peer.address]
    ledger = case.read().execute("SELECT line FROM ledger WHERE line LIKE '%observing.ended%'").fetchone()[0]
    counts = json.loads(ledger)["counts"]
    assert (counts["ourselves gossiped"], counts["ourselves listed"]) == (told["gossiped"], told["listed"])
    words = f"peers: {told['gossiped']}, trackers and nodes: {told['listed']}"
    assert words in CliRunner().invoke(cli, ["status", str(case.folder)]).output
    again = CliRunner().invoke(cli, [*args[:4], "--seconds", "0.5"], standalone_mode=False)
    assert "Peers named us 0 times in gossip, trackers and nodes " in again.output


def test_it_is_kept_while_the_run_goes_on(case: Case, stage: Stage, infohash: bytes) -> None:
    """So that a run that is killed has told it too."""
    tracker, seen = stage.tracker("127.1.0.13", tells_stopped=True), list[dict[str, float]]()
    tracker.listed[infohash] = [(US, 9)]
    observe(case, trackers=[tracker.url], policy=FAST, seconds=2.5, progress=lambda _: seen.append(kept(case)))
    assert seen[-1]["listed"] >= 1
