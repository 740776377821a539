"""uTP with libtorrent at the other end: a seeder that takes nothing else, one of many pieces, a link that loses."""

import os
import random
import select
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import libtorrent as lt
import pytest
from observe_case import FAST
from test_libtorrent import NAMES, PIECE, SETTINGS, make_torrent
from utp_stage import OURS, conversation, end, sent
from wire_calls import answers, call, wire

from clew.core.case import Case
from clew.model import Claim
from clew.observe.api import SECOND, Contact, Event, Sighted, Target

UTP_ALONE = {"enable_incoming_tcp": False, "enable_outgoing_tcp": False}


@pytest.fixture(scope="module")
def seeder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, Any]]:
    """A libtorrent session that takes and makes uTP connections alone, and its torrent's handle."""
    folder = tmp_path_factory.mktemp("seeder")
    session = lt.session({**SETTINGS, **UTP_ALONE, "listen_interfaces": "127.24.0.2:0"})
    wanted = lt.add_torrent_params()
    wanted.ti, wanted.save_path = make_torrent(folder), str(folder)
    handle = session.add_torrent(wanted)
    deadline = time.monotonic() + 20
    while not (handle.status().is_seeding and session.is_listening()) and time.monotonic() < deadline:
        time.sleep(0.05)
    yield session, handle
    session.pause()


def seeders_target(handle: Any) -> Target:
    infohash = bytes.fromhex(str(handle.info_hash()))
    inner = range(-(-NAMES["a.bin"] // PIECE), sum(NAMES.values()) // PIECE)
    return Target("W-1", infohash, (infohash,), OURS, handle.torrent_file().num_pieces(), inner)


def assert_claims(found: Sighted, target: Target) -> None:
    assert isinstance(found.finding, Contact)
    assert found.finding.missing is None
    assert found.finding.claim is Claim.WATCHED_FILE
    assert (found.finding.pieces_claimed, found.finding.inner_claimed) == (target.pieces, len(target.inner))
    assert str(found.finding.client).startswith("libtorrent")
    assert found.finding.transport == ""


def test_a_real_seeder_that_takes_utp_alone(case: Case, seeder: tuple[Any, Any]) -> None:
    session, handle = seeder
    target = seeders_target(handle)
    with wire(case, revisit=1e-6) as made:
        for name in ("first", "second"):
            made.dial([call(name, "127.24.0.2", session.listen_port(), target)])
            answer = answers(made, 1)[name]
            assert answer.sighted is not None
            assert_claims(answer.sighted, target)
            assert answer.local[0] == FAST.bind
    assert handle.status().total_payload_upload == 0


def test_a_real_seeder_of_very_many_pieces(case: Case, tmp_path: Path) -> None:
    pieces = 100_000
    (tmp_path / "many").touch()
    os.truncate(tmp_path / "many", pieces * PIECE)  # nothing is stored, and with seed_mode nothing is hashed
    about = {b"name": b"many", b"length": pieces * PIECE, b"piece length": PIECE, b"pieces": bytes(20 * pieces)}
    wanted = lt.load_torrent_buffer(lt.bencode({b"info": about}))
    wanted.save_path, wanted.flags = str(tmp_path), wanted.flags | lt.torrent_flags.seed_mode
    session = lt.session({**SETTINGS, **UTP_ALONE, "listen_interfaces": "127.24.0.5:0"})
    infohash = bytes.fromhex(str(session.add_torrent(wanted).info_hash()))
    target = Target("W-1", infohash, (infohash,), OURS, pieces, range(7, 90_000))
    with wire(case) as made:
        made.dial([call("many", "127.24.0.5", session.listen_port(), target)])
        answer = answers(made, 1)["many"]
    assert answer.sighted is not None
    assert_claims(answer.sighted, target)
    session.pause()


# What is lost of the conversation with libtorrent, by number, outwards and inwards.
LOSSES = {
    "the SYN": ({0}, set()),
    "its confirmation": (set(), {0}),
    "the handshake": ({1}, set()),
    "the answer": (set(), {1, 2}),
    "both": ({0, 2}, {1}),
}


@pytest.mark.parametrize("losses", LOSSES.values(), ids=LOSSES)
def test_libtorrent_over_a_link_that_loses(losses: tuple[set[int], set[int]], seeder: tuple[Any, Any]) -> None:
    session, handle = seeder
    target = seeders_target(handle)
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.9.0.1", 0))
    sock.connect(("127.24.0.2", session.listen_port()))
    talk, counts = conversation(target, entropy=random.Random(str(losses)).randbytes(32)), [0, 0]

    def arrives(way: int) -> bool:
        counts[way] += 1
        return counts[way] - 1 not in losses[way]

    events: list[Event] = talk.opened(time.monotonic_ns())
    while True:
        for data in sent(events):
            if arrives(0):
                sock.send(data)
        if any(isinstance(e, Sighted) for e in events):
            break
        left = max(0.0, (talk.wake_ns - time.monotonic_ns()) / SECOND)
        if select.select([sock], [], [], left)[0]:
            data = sock.recv(4_096)
            events = talk.receive(data, time.monotonic_ns()) if arrives(1) else []
        else:
            events = talk.tick(time.monotonic_ns())
    sock.close()
    assert_claims(end(events), target)
