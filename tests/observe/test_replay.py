"""Every sighting of a run is derived again from its bytes, and any that was altered is named."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from observe_case import FAST, MANDATE, new_case
from observe_stage import INNER, Stage, answers, bitfield, message, says

from clew.attribute.api import RegisterSpec
from clew.attribute.run import attribute
from clew.cli.main import main
from clew.core import bencode, mandate, shards
from clew.core.case import Case
from clew.observe import replay as replaying
from clew.observe.basis import Basis, Run
from clew.observe.networks._filled import stand_in
from clew.observe.networks._peer import LEFT_OUT_KEY, LEFT_OUT_VALUE
from clew.observe.replay import replay
from clew.observe.run import observe


@pytest.fixture(scope="module", params=[("tcp",), ()], ids=["tcp", "all"])
def observed(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, infohash: bytes
) -> Iterator[Case]:
    """A case, which the tests only read, with peers of many manners: claims, lies, silence, hostile values in the
    extension handshake.
    """
    long = b"x" * 40
    odd = b"\x00d%d:%s5:hello1:mde1:vi3e4:blob600:%se" % (len(long), long, bytes(600))
    hello = b"\x13BitTorrent protocol" + bytes((0, 0, 0, 0, 0, 0x10, 0, 0)) + b"{infohash}" + b"-TE1234-abcdefghijkl"
    talks = [
        answers(bitfield(*INNER), torrents={infohash}),
        answers(bitfield(0), torrents={infohash}),
        answers(bitfield(6) + message(7, b"canary" * 50), torrents={infohash}),
        answers(bitfield(6), torrents=None),
        answers(b"", torrents={infohash}, wait=3),
        says(hello + message(20, odd) + bitfield(6)),
        says(b"HTTP/1.1 400 no\r\n\r\n"),
        says(hello + b"\x00\x00"),
    ]
    case = new_case(tmp_path_factory.mktemp("replay") / "case", Ed25519PrivateKey.generate())
    with Stage() as stage:
        peers = [stage.peer(f"127.24.0.{number}", talk) for number, talk in enumerate(talks, 1)]
        tracker = stage.tracker("127.1.0.7", tells_stopped=True)
        tracker.listed[infohash] = [(peer.address, peer.port) for peer in peers] + [("127.24.9.9", 1)]
        observe(case, trackers=[tracker.url], policy=replace(FAST, transports=request.param), seconds=5)
    yield case
    case.close()


def test_what_was_kept_follows_from_the_bytes(observed: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> None:
        raise AssertionError("a replay asks no clock, network or chance")

    for name in ("socket.socket", "os.urandom", "time.time_ns", "time.clock_gettime_ns"):
        monkeypatch.setattr(name, never)
    found = replay(observed)
    assert found.differing == []
    tiers = {name for name in found.same if name.startswith("contact")}
    assert tiers == {"contact E0", "contact E1", "contact E2"}
    assert found.same["listed E0"] == 9
    assert found.same["control E0"] >= 3
    assert replay(observed).digest == found.digest


ALTERED: dict[str, object] = {
    "tier": "E2", "claim": "watched file", "client": "Other 1.0", "inner_claimed": 9, "promiscuous": True,
    "config": "0" * 64, "mandate": "f" * 32, "vantage": "elsewhere", "port": 7, "started_ns": 1, "missing": "refused",
    "transport": "utp", "run": "f" * 32, "peer_id": b"-XX0000-000000000000", "repeats": None, "address": "127.24.0.99",
    "pieces_claimed": 19, "pieces_total": 21, "infohash_echoed": bytes(20), "infohash_sent": bytes(20),
    "reserved": b"\xff" * 8, "listen_port": 1, "watch": "f" * 32,
}  # fmt: skip


def test_what_does_not_follow_is_named(observed: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    honest: Callable[..., pa.Table] = shards.query
    rows = honest(observed, replaying.SQL, {"runs": []}).to_pylist()
    assert set(replaying.COMPARED) <= set(ALTERED)
    for column, value in ALTERED.items():
        kind = "listed" if column in ("address", "port") else "contact"
        place = next(n for n, r in enumerate(rows) if r["kind"] == kind and r["transcript"] and r[column] != value)
        altered = [row | {column: value} if n == place else row for n, row in enumerate(rows)]
        table = pa.Table.from_pylist(altered, schema=shards.SCHEMAS["sightings"])
        monkeypatch.setattr(replaying.shards, "query", lambda *_, table=table: table)
        assert any(rows[place]["id"] in line for line in replay(observed).differing), column


@pytest.mark.parametrize("change", [{"tool": "clew 0 bittorrent 0"}, {"kind": "imported"}, {"run": None}])
def test_what_is_altered_so_that_it_is_not_derived_is_counted(
    observed: Case, monkeypatch: pytest.MonkeyPatch, change: dict[str, object]
) -> None:
    rows = shards.query(observed, replaying.SQL, {"runs": []}).to_pylist()
    honest = replay(observed)
    place = next(n for n, row in enumerate(rows) if row["tier"] == "E2")
    altered = [row | change if n == place else row for n, row in enumerate(rows)]
    table = pa.Table.from_pylist(altered, schema=shards.SCHEMAS["sightings"])
    monkeypatch.setattr(replaying.shards, "query", lambda *_: table)
    found = replay(observed)
    assert sum(found.not_derived.values()) > sum(honest.not_derived.values())
    assert sum(found.same.values()) < sum(honest.same.values())


@given(st.integers(2, 70_000))
def test_a_filler_is_one_value_of_that_length(length: int) -> None:
    made = stand_in(LEFT_OUT_VALUE, length, 1)
    assert len(made) == length
    assert len(bencode.dictionary(b"d1:a" + made + b"e")) == 1


@given(st.integers(20, 9_000), st.integers(0, 99_999_999))
def test_a_filler_for_a_key_is_a_key_of_its_own(length: int, number: int) -> None:
    made = stand_in(LEFT_OUT_KEY, length, number)
    assert len(made) == length
    assert len(bencode.dictionary(b"d" + made + b"1:m0:e")) == 2


def test_the_verb_derives_sightings_and_leads_in_processes_of_their_own(
    make_case: Callable[..., Case],
    stage: Stage,
    infohash: bytes,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    case = make_case(purposes=["observe", "attribute"])
    peer = stage.peer("127.24.1.1", answers(bitfield(*INNER), torrents={infohash}))
    tracker = stage.tracker("127.1.0.7", tells_stopped=True)
    tracker.listed[infohash] = [(peer.address, peer.port), ("127.24.9.9", 1)]
    observe(case, trackers=[tracker.url], policy=replace(FAST, transports=()), seconds=3)
    (tmp_path / "register.csv").write_text("# dated: 2026-11-01\nnetwork,country\n127.24.0.0/16,AT\n", "utf-8")
    attribute(case, registers=[RegisterSpec("prefixes", tmp_path / "register.csv")])
    with pytest.raises(SystemExit) as ended:
        main(["verify", str(case.folder), "--replay", "--json"])
    found = json.loads(capsys.readouterr().out)["replay"]
    assert ended.value.code == 0, found
    assert (found["sightings"]["differing"], found["leads"]["differing"]) == (0, 0)
    assert found["sightings"]["same"]["contact E2"] >= 1
    assert found["leads"]["same"]["lead"] == 1
    with case.write("attribute") as tx:
        tx.execute("UPDATE leads SET score = 999")
    with pytest.raises(SystemExit) as ended:
        main(["verify", str(case.folder), "--replay"])
    assert ended.value.code == 1
    told = capsys.readouterr().out
    for words in ("hash seeds 1 and 2", "DIFFERS lead", "score", "clew capture compare"):
        assert words in told


@pytest.mark.parametrize(
    ("source", "wrong"),
    [
        ("dht://127.2.0.1:6881", None),
        ("dht://192.0.2.1:6881", "the address 192.0.2.1 is out of scope"),
        ("dht://[2001:db8::1]:6881", "the address 2001:db8::1 is out of scope"),
        ("dht://elsewhere:6881", "its source names no node of the DHT"),
        ("http://192.0.2.1:6969/announce", None),
    ],
)
def test_whoever_listed_was_asked_within_the_mandate(source: str, wrong: str | None) -> None:
    """A tracker is in scope by its name, a node of the DHT by its address."""
    scope = MANDATE | {"permits": ["dht"], "trackers": ["dht", "http://192.0.2.1:6969/announce"]}
    run = Run(1, "c", "here", None, 0, 0)
    grounds = Basis({"r": run}, {"m": mandate.from_body(scope)})
    row = {"run": "r", "config": "c", "vantage": "here", "mandate": "m", "transcript": b"x", "kind": "listed",
           "address": "198.51.100.1", "source": source, "started_ns": 1_800_000_000 * 10**9}  # fmt: skip
    found = grounds.wrong(row, "bittorrent")
    assert found == [] if wrong is None else [wrong in each for each in found] == [True]


def test_a_child_that_would_open_a_socket_or_a_process_fails(tmp_path: Path) -> None:
    for body in ("import socket; socket.socket()", "import os; os.system('true')", "import os; os.fork()"):
        code = f"import sys\nfrom clew.cli._replay import _refuse\nsys.addaudithook(_refuse)\n{body}"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
        assert b"a replay asks for" in done.stderr
