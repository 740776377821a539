"""What stands in every Sighting, whatever its kind, and that its transcript can be read by a person."""

import hashlib
import ipaddress
import json
from collections.abc import Iterator
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from observe_case import FAST, new_case
from observe_stage import INNER, Stage, answers, bitfield, message

from clew import __version__
from clew.core import clock, mandate, shards
from clew.core.case import Case
from clew.model import Missing
from clew.observe.api import ENTROPY_BYTES
from clew.observe.networks.bittorrent import PLUGIN
from clew.observe.run import observe
from clew.observe.transcript import Kind, Transcript, decode

YEAR_NS = 365 * 86_400 * 1_000_000_000
OURS = "127.9.0.1"


@pytest.fixture(scope="module")
def observed(tmp_path_factory: pytest.TempPathFactory, infohash: bytes) -> Iterator[Case]:
    """One case for the tests here, which only read it: a run over every transport that the stage's peers take."""
    case = new_case(tmp_path_factory.mktemp("proof") / "case", Ed25519PrivateKey.generate())
    with Stage() as stage:
        peer = stage.peer("127.26.0.1", answers(bitfield(*INNER), torrents={infohash}))
        tracker = stage.tracker("127.1.0.9", tells_stopped=False)
        tracker.listed[infohash] = [(peer.address, peer.port), ("127.26.9.9", 1)]
        observe(case, trackers=[tracker.url], policy=replace(FAST, transports=(), bind=OURS), seconds=3)
    yield case
    case.close()


@pytest.fixture
def rows(observed: Case) -> list[dict[str, object]]:
    """Sightings of every kind."""
    found: list[dict[str, object]] = shards.query(observed, "SELECT * FROM sightings").to_pylist()
    assert {row["kind"] for row in found} == {"listed", "contact", "control", "ourselves"}
    return found


def test_every_sighting_says_when_where_by_what_and_under_which_mandate(
    observed: Case, rows: list[dict[str, object]]
) -> None:
    runs = {row["id"]: row for row in observed.read().execute("SELECT * FROM observe_runs")}
    measured = not isinstance(clock.quality(), Missing)
    for row in rows:
        run = runs[row["run"]]
        assert row["tool"] == f"clew {__version__} bittorrent {PLUGIN.version}"
        assert row["config"] == hashlib.sha256(run["config"].encode()).hexdigest()
        assert "revisit" in json.loads(run["config"])
        assert row["mandate"] in {each.id for each in mandate.all_of(observed)}
        assert row["vantage"] == observed.settings.vantage
        assert isinstance(row["started_ns"], int)
        assert isinstance(row["ended_ns"], int)
        assert isinstance(row["monotonic_ns"], int)
        assert abs(row["started_ns"] - run["started_ns"]) < YEAR_NS
        assert row["ended_ns"] >= row["started_ns"]
        assert 0 < row["monotonic_ns"] < row["started_ns"]
        assert (row["clock_error_ns"] is not None) == measured
        assert (row["clock_offset_ns"] is not None) == measured
        assert ipaddress.ip_address(str(row["address"]))
        assert 0 < int(str(row["port"])) < 65536
        assert row["sequence"]
        if row["transcript"]:
            assert row["local_address"] == OURS
            assert int(str(row["local_port"])) > 0
    assert len({row["sequence"] for row in rows}) == len(rows)


def test_a_connection_s_transcript_holds_times_bytes_and_the_secret(rows: list[dict[str, object]]) -> None:
    talks = [row for row in rows if row["kind"] in ("contact", "control") and row["transcript"]]
    assert {"tcp", "mse/tcp"} & {row["transport"] for row in talks}
    for row in talks:
        transcript = row["transcript"]
        assert isinstance(transcript, bytes)
        segments = decode(transcript)
        [secret] = [each.data for each in segments if each.kind is Kind.ENTROPY]
        assert len(secret) == ENTROPY_BYTES
        times = [each.at_ns for each in segments if each.kind is not Kind.ENTROPY]
        assert times == sorted(times)
        assert times[0] >= int(str(row["monotonic_ns"]))


def test_messages_are_read_across_what_was_left_out() -> None:
    """A value that nobody needs is left out of the middle of an extension handshake; what follows is still in words."""
    tape = Transcript()
    tape.received(b"\x13BitTorrent protocol" + bytes(8) + b"\x11" * 20 + b"-TE1234-abcdefghijkl", 1)
    whole = message(20, b"\0d5:hello" + b"600:" + bytes(600) + b"1:v4:Teste")
    at = whole.index(b"600:")
    tape.received(whole[:at], 2)
    tape.left_out("a value in an extension handshake", 604, 2)
    tape.received(whole[at + 604 :], 2)
    tape.received(message(5, b"\xff\xf0"), 3_000_000_001)
    tape.received(message(7, b"")[:4] + b"\7", 4_000_000_001)
    tape.left_out("piece", 16_393, 4_000_000_001)
    lines = PLUGIN.describe(tape.encode(), {b"\x11" * 20: "W-1"})
    assert lines[0].endswith("infohash W-1, peer id -TE1234-abcdefghijkl")
    assert lines[1].endswith("extension handshake {hello=(604 bytes left out), v=Test}")
    assert lines[2] == "    3.000 s << bitfield of 2 bytes, 12 pieces claimed"
    assert lines[-1].endswith("[16393 bytes left out: piece]")
