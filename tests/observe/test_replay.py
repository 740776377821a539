"""Every sighting of a run is derived again from its bytes, and any that was altered is named."""

from collections.abc import Callable
from dataclasses import replace

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from observe_case import FAST
from observe_stage import INNER, Stage, answers, bitfield, message, says

from clew.core import bencode, shards
from clew.core.case import Case
from clew.observe import replay as replaying
from clew.observe.networks._filled import stand_in
from clew.observe.networks._peer import LEFT_OUT_KEY, LEFT_OUT_VALUE
from clew.observe.replay import replay
from clew.observe.run import observe


@pytest.fixture(params=[("tcp",), ()], ids=["tcp", "all"])
def observed(case: Case, stage: Stage, infohash: bytes, request: pytest.FixtureRequest) -> Case:
    """A case with peers of many manners: claims, lies, silence, hostile values in the extension handshake."""
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
    peers = [stage.peer(f"127.24.0.{number}", talk) for number, talk in enumerate(talks, 1)]
    tracker = stage.tracker("127.1.0.7", tells_stopped=True)
    tracker.listed[infohash] = [(peer.address, peer.port) for peer in peers] + [("127.24.9.9", 1)]
    observe(case, trackers=[tracker.url], policy=replace(FAST, transports=request.param), seconds=5)
    return case


def test_what_was_kept_follows_from_the_bytes(observed: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> None:
        raise AssertionError("a replay asks no clock, network or chance")

    for name in ("socket.socket", "os.urandom", "time.time_ns", "time.monotonic_ns"):
        monkeypatch.setattr(name, never)
    found = replay(observed)
    assert found.differing == []
    tiers = {name for name in found.same if name.startswith("contact")}
    assert tiers == {"contact E0", "contact E1", "contact E2"}
    assert found.same["listed E0"] == 9
    assert found.same["control E0"] >= 3
    assert replay(observed).digest == found.digest


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("tier", "E2"), ("claim", "watched file"), ("client", "Other 1.0"), ("inner_claimed", 9),
        ("promiscuous", True), ("peer_id", b"-XX0000-000000000000"), ("repeats", None), ("address", "127.24.0.99"),
    ],
)  # fmt: skip
def test_what_does_not_follow_is_named(
    observed: Case, monkeypatch: pytest.MonkeyPatch, column: str, value: object
) -> None:
    honest: Callable[..., pa.Table] = shards.query

    def altered(case: Case, sql: str, parameters: object) -> pa.Table:
        rows = honest(case, sql, parameters).to_pylist()
        kind = "listed" if column == "address" else "contact"
        told = [r for r in rows if r["kind"] == kind and r["transcript"] and r[column] != value]
        changed = told[0]
        changed[column] = value
        return pa.Table.from_pylist(rows, schema=shards.SCHEMAS["sightings"])

    monkeypatch.setattr(replaying.shards, "query", altered)
    assert replay(observed).differing


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
