"""Our own runs against a capture that tcpdump made: every byte is found, and what is not disclosed shows."""

import os
import socket
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from capture_files import Flow, pcap, udp, utp
from click.testing import CliRunner
from observe_case import FAST
from observe_stage import MODERN, Stage, answers, bitfield, message, says

from capture_here import capturing
from clew.cli.main import cli
from clew.core import shards
from clew.core.case import Case
from clew.core.errors import Usage
from clew.observe.api import SECOND
from clew.observe.comparing import EARLY_NS, LATE_NS, NOTHING, compare
from clew.observe.retention import KEEP_NS, purge
from clew.observe.run import observe
from clew.observe.transcript import Kind, decode

# an address that no other test has: what others do on this interface is none of our business
OURS = f"127.9.{40 + os.getpid() % 200}.{1 + os.getpid() // 200 % 250}"
OWN = replace(FAST, bind=OURS)
STREAM = (Kind.SENT, Kind.RECEIVED, Kind.SENT_LEFT_OUT, Kind.RECEIVED_LEFT_OUT)


@pytest.fixture
def observed(case: Case, stage: Stage, infohash: bytes, tmp_path: Path) -> tuple[Case, Path]:
    """A run over an orderly peer, a promiscuous one, one that pushes content, one that is silent, one that is gone."""
    tracker = stage.tracker("127.1.0.9", tells_stopped=True)
    talks = [
        answers(bitfield(*range(5, 15)), torrents={infohash}),
        answers(bitfield(1), torrents=None),
        answers(bitfield(6) + message(7, bytes(3_000)), torrents={infohash}),
        says(b"{infohash}" * 3, drip=0.0),
    ]
    peers = [stage.peer(f"127.14.0.{n}", talk) for n, talk in enumerate(talks, 1)]
    tracker.listed[infohash] = [(each.address, each.port) for each in peers] + [("127.14.0.9", 9)]
    with capturing(tmp_path / "run.pcap", f"host {OURS}") as path:
        observe(case, trackers=[tracker.url], policy=OWN, seconds=2)
    return case, path


def test_every_byte_of_a_run_is_in_an_independent_capture(observed: tuple[Case, Path]) -> None:
    case, path = observed
    found = compare(case, path)
    assert found.matches, found.as_dict()
    states = Counter[str]()
    for counts in found.states.values():
        states.update(counts)
    held = shards.query(case, "SELECT * FROM sightings WHERE kind IN ('contact', 'control')").to_pylist()
    spoken = [segments for row in held if (segments := [s for s in decode(row["transcript"]) if s.kind in STREAM])]
    assert states["equal"] == len(spoken) >= 5
    assert states.total() == len(held)
    left_out = [s for segments in spoken for s in segments if s.kind is Kind.RECEIVED_LEFT_OUT]
    assert left_out, "lengths of what was left out were compared too"
    ledger = case.read().execute("SELECT line FROM ledger ORDER BY seq DESC LIMIT 1").fetchone()[0]
    assert "capture.compared" in ledger
    done = CliRunner().invoke(cli, ["capture", "compare", str(case.folder), str(path)], standalone_mode=False)
    assert done.return_value == 0
    assert "The capture matches." in done.output


def test_a_byte_that_was_another_one_shows(observed: tuple[Case, Path], tmp_path: Path) -> None:
    case, path = observed
    data = path.read_bytes()
    peer_id = b"-TE1234-000000000000"
    other = tmp_path / "other.pcap"
    at = data.index(peer_id)
    other.write_bytes(data[:at] + b"-TE1234-000000000001" + data[at + 20 :])
    found = compare(case, other)
    assert [each["state"] for each in found.off] == ["differs"]
    sent = data.index(b"-CW0100-", data.index(b"\x13BitTorrent"))
    other.write_bytes(data[:sent] + b"-XX0100-" + data[sent + 8 :])
    assert [each["why"][:5] for each in compare(case, other).off] == ["sent:"]


def test_a_capture_of_nothing_misses_everything(observed: tuple[Case, Path], tmp_path: Path) -> None:
    case, path = observed
    empty = tmp_path / "empty.pcap"
    empty.write_bytes(path.read_bytes()[:24])
    found = compare(case, empty)
    assert not found.matches
    assert {each["state"] for each in found.off} == {"missing"}
    assert {state for counts in found.states.values() for state in counts} <= {"missing", "nothing said"}


def test_a_contact_without_a_dial_shows(case: Case, stage: Stage, infohash: bytes, tmp_path: Path) -> None:
    tracker = stage.tracker("127.1.0.9", tells_stopped=True)
    peer = stage.peer("127.14.0.1", answers(bitfield(5), torrents={infohash}, reserved=MODERN))
    tracker.listed[infohash] = [(peer.address, peer.port)]
    with capturing(tmp_path / "run.pcap", f"host {OURS}") as path:
        with socket.create_connection((peer.address, peer.port), 5, (OURS, 0)):
            pass  # before the run: none of its business
        time.sleep(5 * EARLY_NS / 1e9)  # a flow that begins just before it may be one of its own
        observe(case, trackers=[tracker.url], policy=OWN, seconds=1)
    assert compare(case, path).matches
    row = case.read().execute("SELECT id, started_ns, ended_ns FROM observe_runs").fetchone()
    with case.write("observe") as tx:
        tx.execute("DELETE FROM dials WHERE id IN (SELECT id FROM dials WHERE kind='contact' LIMIT 1)")
    found = compare(case, path, run=row["id"][:6])
    assert [(each["address"], each["carrier"]) for each in found.undisclosed] == [("127.14.0.1", "tcp")]
    assert not found.matches


def test_a_datagram_or_an_answer_that_nobody_disclosed_shows(observed: tuple[Case, Path], tmp_path: Path) -> None:
    case, path = observed
    at_ns = case.read().execute("SELECT max(intended_ns) FROM dials").fetchone()[0]
    there, here, other = ("127.14.0.1", 6_881), (OURS, 5_000), tmp_path / "other.pcap"
    inbound = Flow(there, here, at_ns=at_ns).say(0, b"x").say(1, b"what we never say").packets
    stray = [(at_ns, udp(here, there, utp(0, 7, 9, 9, b"x")))]
    asked = [(at_ns, udp(here, there, b"d1:q4:pinge"))]
    wanted = [(asked, "no dial accounts for it"), (inbound, "somebody opened it, and we answered")]
    for packets, why in wanted:
        other.write_bytes(path.read_bytes() + pcap(packets, link=1)[24:])
        assert [each["why"] for each in compare(case, other).undisclosed] == [why]
    other.write_bytes(path.read_bytes() + pcap(stray, link=1)[24:])
    assert "beginning is not in the capture" in str(compare(case, other).flaws)


def test_calls_that_were_forgotten_in_time_are_no_accusation(observed: tuple[Case, Path], tmp_path: Path) -> None:
    """Who never answered is forgotten, and with it the dials; as many flows are accounted for, and not one more."""
    case, path = observed
    gone = "SELECT count(*) FROM dials WHERE state IN ('failed', 'interrupted')"
    before = case.read().execute(gone).fetchone()[0]
    fresh = compare(case, path)
    assert (fresh.forgotten, fresh.forgotten_calls) == (0, 0)
    purge(case, time.time_ns() + KEEP_NS + SECOND)
    purge(case, time.time_ns() + 2 * KEEP_NS)
    found = compare(case, path)
    assert 0 < found.forgotten <= found.forgotten_calls == before - case.read().execute(gone).fetchone()[0]
    assert found.matches, found.as_dict()
    done = CliRunner().invoke(cli, ["capture", "compare", str(case.folder), str(path)], standalone_mode=False)
    assert f"{found.forgotten_calls} calls of this run that nobody answered were forgotten" in done.output
    start_ns = case.read().execute("SELECT started_ns FROM observe_runs").fetchone()[0]
    strays = [
        Flow((OURS, 45_000 + number), ("127.77.0.1", 7_777), at_ns=start_ns + number * SECOND // 100).say(0, b"x")
        for number in range(found.forgotten_calls - found.forgotten + 2)
    ]
    other = tmp_path / "other.pcap"
    other.write_bytes(path.read_bytes() + pcap([each for stray in strays for each in stray.packets], link=1)[24:])
    more = compare(case, other)
    assert len(more.undisclosed) == 2
    assert more.forgotten == found.forgotten_calls
    with case.write("observe") as tx:
        tx.execute("UPDATE forgotten_dials SET until_ns=until_ns - ?", (LATE_NS + 3_600 * SECOND,))
    assert compare(case, path).forgotten == 0


def test_a_run_of_which_nothing_is_compared_does_not_match(case: Case, stage: Stage, tmp_path: Path) -> None:
    tracker, empty = stage.tracker("127.1.0.9", tells_stopped=True), tmp_path / "empty.pcap"
    observe(case, trackers=[tracker.url], policy=OWN, seconds=0.2)
    empty.write_bytes(pcap([]))
    found = compare(case, empty)
    assert (found.off, found.undisclosed, found.matches) == ([], [], False)
    assert found.flaws == [NOTHING]


def test_a_run_that_is_not_there(case: Case, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(pcap([]))
    with pytest.raises(Usage):
        compare(case, tmp_path / "x", run="zz")
