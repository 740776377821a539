"""How often others named us: counted, kept with the run also where it is killed, and told."""

import ipaddress
import json
import socket
from dataclasses import replace
from typing import Any

import pytest
from click.testing import CliRunner
from discovery_talk import FIELD, HELLO, contact, end
from hypothesis import given
from hypothesis import strategies as st
from observe_case import FAST
from observe_stage import EXTENDED, INNER, Stage, answers, bitfield, message

from clew.cli.main import cli
from clew.core.case import Case
from clew.observe.reflexive import ENOUGH, MOST, Reflexive
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
    words = f"peers: {told['gossiped']}, trackers and nodes: {told['listed']}, by a presumed address: 0"
    assert words in CliRunner().invoke(cli, ["status", str(case.folder)]).output
    again = CliRunner().invoke(cli, [*args[:4], "--seconds", "0.5"], standalone_mode=False)
    assert "Peers named us 0 times in gossip, trackers and nodes " in again.output


def test_it_is_kept_while_the_run_goes_on(case: Case, stage: Stage, infohash: bytes) -> None:
    """So that a run that is killed has told it too."""
    tracker, seen = stage.tracker("127.1.0.13", tells_stopped=True), list[dict[str, float]]()
    tracker.listed[infohash] = [(US, 9)]
    observe(case, trackers=[tracker.url], policy=FAST, seconds=2.5, progress=lambda _: seen.append(kept(case)))
    assert seen[-1]["listed"] >= 1


def sees(address: str) -> bytes:
    """An extension handshake with `yourip` (BEP 10), as PEX offers it too."""
    return message(20, b"\x00d1:md6:ut_pexi1ee6:yourip4:" + socket.inet_aton(address) + b"e")


@pytest.mark.parametrize(("liars", "counted"), [(2, False), (3, True)])
def test_an_address_that_peers_take_for_ours_is_counted_and_hides_nobody(
    make_case: Any, stage: Stage, infohash: bytes, liars: int, counted: bool
) -> None:
    """Behind a router it is ours; here it is somebody's whom they would like to hide."""
    case, public = make_case(permits=["pex"]), "127.29.9.9"
    hidden = stage.peer(public, answers(bitfield(*INNER), torrents={infohash}))
    gossip = told_of((public, hidden.port)) + bitfield(*INNER)
    peers = [
        stage.peer(f"127.29.{n}.1", answers(sees(public) + gossip, torrents={infohash}, reserved=EXTENDED))
        for n in range(4, 4 + liars)
    ]
    same = stage.peer("127.29.4.2", answers(sees(public) + gossip, torrents={infohash}, reserved=EXTENDED))
    tracker = stage.tracker("127.1.0.13", tells_stopped=True)
    tracker.listed[infohash] = [(peer.address, peer.port) for peer in (*peers, same)]
    observe(case, trackers=[tracker.url], policy=replace(FAST, gossip=True), seconds=3)
    assert (kept(case).get("presumed", 0) > 0) == counted, "peers of one network are one"
    assert hidden.heard, "and is called all the same"


def test_what_is_remembered_of_it_is_bounded() -> None:
    made = Reflexive()
    for number in range(MOST + 10):
        for network in range(ENOUGH + 1):
            made.hear(str(number), f"127.1.{network}.1")
    assert made.ours(str(MOST - 1))
    assert not made.ours(str(MOST))
    assert sum(map(len, made._said.values())) == MOST * ENOUGH


@given(value=st.one_of(st.binary(max_size=20), st.integers()))
def test_whatever_is_said_of_our_address_is_one_or_nothing(value: bytes | int) -> None:
    told = b"i%de" % value if isinstance(value, int) else b"%d:%s" % (len(value), value)
    talk = contact()
    events = talk.receive(HELLO + message(20, b"\x00d6:yourip" + told + b"e") + FIELD, 1)
    found, _ = end(events + talk.closed(2))
    whole = isinstance(value, bytes) and len(value) in (4, 16)
    assert (ipaddress.ip_address(found.sees_us) is not None) if whole else (found.sees_us == "")
