"""A lazy bitfield leaves out pieces that HAVEs name right after it: they are heard before it is judged what is claimed.

libtorrent to 1.0.2 (a tenth of the pieces, 50 at most), Transmission 1.40 to 2.22 (26) and µTorrent do so as they come,
other ones at each connection. By their sources the first two tell an extension handshake, the bitfield, and then these
HAVEs, all at once; in which order µTorrent tells them nobody has published.
"""

import asyncio
import random
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pytest
from observe_case import FAST
from observe_stage import (
    EXTENSION,
    INNER,
    MODERN,
    PIECES,
    PROTOCOL,
    Peer,
    Stage,
    Talk,
    bitfield,
    hear,
    message,
)

from clew.attribute import evidence, merge
from clew.attribute.beside import shrinking
from clew.core import shards
from clew.core.case import Case
from clew.model import Claim, SightingKind
from clew.observe import replay as replaying
from clew.observe.api import SECOND, Contact, Conversation, Limits, Sighted, Target
from clew.observe.networks.bittorrent import PLUGIN as BITTORRENT
from clew.observe.replay import replay
from clew.observe.run import observe

TARGET = Target("W-1", b"i" * 20, (b"i" * 20,), b"p" * 20, pieces=PIECES, inner=INNER)
PEER_ID = b"-DE1390-abcdefghijkl"
HELLO = PROTOCOL + MODERN + TARGET.infohash + PEER_ID
EVERY = frozenset(range(PIECES))
EXTENDED = message(20, EXTENSION)


def haves(*pieces: int) -> bytes:
    return b"".join(message(4, piece.to_bytes(4, "big")) for piece in pieces)


LAZY, NAMED = bitfield(*EVERY - {6, 19}), haves(6, 19)


def begun(said: bytes) -> Conversation:
    """A contact to whom the peer said this at 1 s, after its handshake, and that has not ended."""
    talk = BITTORRENT.contact(TARGET, Limits(), "tcp", bytes(32))
    talk.opened(0)
    assert not any(isinstance(event, Sighted) for event in talk.receive(HELLO + said, SECOND))
    return talk


def told(events: list[Any]) -> tuple[Claim, int | None, int | None]:
    (end,) = events
    assert isinstance(end, Sighted)
    assert isinstance(end.finding, Contact)
    assert end.finding.missing is None
    return end.finding.claim, end.finding.pieces_claimed, end.finding.inner_claimed


@pytest.mark.parametrize("order", [(EXTENDED, LAZY, NAMED), (LAZY, EXTENDED, NAMED), (LAZY, NAMED, EXTENDED)])
@pytest.mark.parametrize("step", [1, 5, 1_000])
def test_whatever_the_order_all_is_heard_and_with_the_last_piece_it_ends(order: tuple[bytes, ...], step: int) -> None:
    said = b"".join(order)
    talk = begun(b"")
    for at in range(0, len(said) - 1, step):
        assert talk.receive(said[at : min(at + step, len(said) - 1)], SECOND) == []
    assert told(talk.receive(said[-1:], SECOND)) == (Claim.WATCHED_FILE, 20, 10)


def test_who_claims_all_at_once_is_left_at_once() -> None:
    assert told(begun(EXTENDED).receive(bitfield(*EVERY), SECOND)) == (Claim.WATCHED_FILE, 20, 10)


def test_who_holds_a_part_is_heard_for_a_second_more_however_many_haves_come() -> None:
    talk = begun(EXTENDED + bitfield(4, 5, 6))
    assert talk.wake_ns == 2 * SECOND
    assert talk.receive(haves(7), 2 * SECOND - 1) == []
    assert talk.wake_ns == 2 * SECOND
    assert told(talk.tick(2 * SECOND)) == (Claim.WATCHED_FILE, 4, 3)
    assert talk.receive(haves(8), 2 * SECOND) == []


def test_who_was_heard_for_that_second_has_told_all_however_late_the_clock_is_looked_at() -> None:
    assert told(begun(EXTENDED + bitfield(4, 5, 6)).tick(SECOND + Limits().hold_ns)) == (Claim.WATCHED_FILE, 3, 2)


def test_who_holds_a_part_and_hangs_up_is_waited_for_no_longer() -> None:
    assert told(begun(EXTENDED + bitfield(4, 5, 6)).closed(SECOND + 1)) == (Claim.WATCHED_FILE, 3, 2)


def lazy(chance: random.Random) -> Iterator[list[bytes]]:
    """A seed as old libtorrent is one: at each visit it leaves out other pieces, and names them."""
    while True:
        gaps = chance.sample(sorted(EVERY), PIECES // 10)
        yield [bitfield(*EVERY - {*gaps}), haves(*gaps)]


def shrinks() -> Iterator[list[bytes]]:
    """Claims one piece fewer at each visit."""
    return ([bitfield(*range(last))] for last in range(PIECES, 0, -1))


def tells(infohash: bytes, visits: Iterator[list[bytes]]) -> Talk:
    """What it holds, by visits, each part in a segment of its own."""

    async def talk(peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if (await hear(peer, reader, 68))[28:48] != infohash:
            return
        for part in (PROTOCOL + MODERN + infohash + PEER_ID + EXTENDED, *next(visits)):
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(0.1)
        await reader.read(-1)

    return talk


def test_a_lazy_seed_claims_the_same_each_time_and_who_claims_fewer_is_shown(
    case: Case, stage: Stage, infohash: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    seed = stage.peer("127.20.0.1", tells(infohash, lazy(random.Random(1))))
    liar = stage.peer("127.20.0.2", tells(infohash, shrinks()))
    tracker = stage.tracker("127.1.0.5", tells_stopped=True)
    tracker.listed[infohash] = [(peer.address, peer.port) for peer in (seed, liar)]
    observe(case, trackers=[tracker.url], policy=FAST, seconds=6)
    runs = defaultdict(list)
    for each in merge.in_order(tuple(evidence.read(case))):
        if each.kind is SightingKind.CONTACT and each.answered:
            runs[each.address].append(each)
    assert len(runs[seed.address]) >= 3
    assert {(c.pieces_claimed, c.inner_claimed) for c in runs[seed.address]} == {(20, 10)}
    assert list(shrinking(runs[seed.address], {})) == []
    assert len(list(shrinking(runs[liar.address], {}))) == len(runs[liar.address]) - 1 >= 1
    assert replay(case).differing == []
    table = shards.query(case, replaying.SQL, {"runs": []})
    _as_before(monkeypatch, table)
    found = replay(case)
    assert found.differing == []
    before = "made by another version (clew 0.1.0 bittorrent 4; this clew has bittorrent 5)"
    assert found.not_derived[before] == table.num_rows


def _as_before(monkeypatch: pytest.MonkeyPatch, table: pa.Table) -> None:
    """These Sightings as the version before kept them: it heard no HAVE once a piece of the file was claimed."""
    rows = [row | {"tool": "clew 0.1.0 bittorrent 4", "pieces_claimed": 18} for row in table.to_pylist()]
    earlier = pa.Table.from_pylist(rows, schema=shards.SCHEMAS["sightings"])
    monkeypatch.setattr(replaying.shards, "query", lambda *_: earlier)
