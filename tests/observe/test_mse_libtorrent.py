"""MSE with libtorrent as it speaks nothing else, and its transcripts played again."""

import random
import socket
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import libtorrent as lt
import pytest
from mse_play import (
    ENTROPY,
    LIMITS,
    OURS,
    RECEIVED,
    TARGET,
)
from mse_responder import PLAIN, RC4
from test_libtorrent import NAMES, PIECE, SETTINGS, make_torrent

from clew.model import Claim, Missing, Reason
from clew.observe.api import Contact, Conversation, Sighted, Tape, Target
from clew.observe.networks._messages import PROTOCOL
from clew.observe.networks._mse import MseConversation
from clew.observe.networks._mse_transcript import plaintext
from clew.observe.networks._peer import PeerConversation
from clew.observe.networks.bittorrent import PLUGIN
from clew.observe.transcript import Kind, Segment, Transcript, decode

POLICY, LEVEL = lt.enc_policy, lt.enc_level


@pytest.fixture(scope="module")
def torrent(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    folder = tmp_path_factory.mktemp("torrent")
    return make_torrent(folder), folder


def seeder(torrent: tuple[Any, Path], **other: Any) -> tuple[Any, Any]:
    session = lt.session({**SETTINGS, "listen_interfaces": "127.24.0.2:0", **other})
    wanted = lt.add_torrent_params()
    wanted.ti, wanted.save_path = torrent[0], str(torrent[1])
    handle = session.add_torrent(wanted)
    deadline = time.monotonic() + 20
    while not (handle.status().is_seeding and session.is_listening()) and time.monotonic() < deadline:
        time.sleep(0.02)
    return session, handle


def converse(talk: Conversation, port: int) -> Sighted:
    """A wire of one connection, blocking."""
    with socket.create_connection(("127.24.0.2", port), timeout=5) as line:
        events = talk.opened(time.monotonic_ns())
        while True:
            for event in events:
                if isinstance(event, Sighted):
                    return event
                line.sendall(event.message.encode())
            now = time.monotonic_ns()
            line.settimeout(max(0.001, (talk.wake_ns - now) / 1e9))
            try:
                data = line.recv(65536)
                now = time.monotonic_ns()
                events = talk.receive(data, now) if data else talk.closed(now)
            except TimeoutError:
                events = talk.tick(time.monotonic_ns())
            except ConnectionResetError:
                events = talk.closed(time.monotonic_ns())


@pytest.mark.parametrize(
    ("level", "provide", "transport"),
    [
        (LEVEL.pe_rc4, PLAIN | RC4, "mse-rc4/tcp"),
        (LEVEL.pe_plaintext, PLAIN | RC4, "mse-plain/tcp"),
        (LEVEL.pe_both, RC4, "mse-rc4/tcp"),
        (LEVEL.pe_both, PLAIN, "mse-plain/tcp"),
    ],
)
def test_libtorrent_that_speaks_nothing_else(
    torrent: tuple[Any, Path], level: Any, provide: int, transport: str
) -> None:
    info, _ = torrent
    session, handle = seeder(
        torrent, in_enc_policy=int(POLICY.pe_forced), out_enc_policy=int(POLICY.pe_forced),
        allowed_enc_level=int(level), prefer_rc4=level == LEVEL.pe_both,
    )  # fmt: skip
    infohash, pieces = bytes.fromhex(str(info.info_hash())), info.num_pieces()
    first = -(-NAMES["a.bin"] // PIECE)
    target = Target("W-1", infohash, (infohash,), OURS, pieces=pieces, inner=range(first, first + 10))

    def inner(tape: Tape) -> Conversation:
        return PeerConversation(target, LIMITS, tape)

    for number in range(3):
        entropy = random.Random(number).randbytes(32)
        talk = MseConversation(target, LIMITS, inner, Transcript(entropy), entropy, "tcp", provide)
        end = converse(talk, session.listen_port())
        contact = end.finding
        assert isinstance(contact, Contact)
        assert (contact.missing, contact.answered, contact.transport) == (None, True, transport)
        assert (contact.claim, contact.inner_claimed, contact.pieces_claimed) == (Claim.WATCHED_FILE, 10, pieces)
        assert contact.client is not None
        assert contact.client.startswith("libtorrent")
        inside = plaintext(decode(end.transcript), infohash)
        received = b"".join(s.data for s in inside if s.kind is Kind.RECEIVED)
        assert received[:20] == PROTOCOL
        assert received[28:48] == infohash
        assert (infohash in end.transcript) == (transport == "mse-plain/tcp"), "RC4 hides it"
        again = MseConversation(target, LIMITS, inner, Transcript(entropy), entropy, "tcp", provide)
        assert replayed(again, decode(end.transcript)) == contact
        plain = converse(PLUGIN.contact(target, LIMITS, "tcp", entropy), session.listen_port()).finding
        assert isinstance(plain, Contact)
        assert not plain.answered, "it speaks nothing else"
    assert handle.status().total_payload_upload == 0
    session.pause()


def replayed(talk: Conversation, segments: list[Segment]) -> Contact:
    """The finding again, from the transcript alone: zeros stand for padding."""
    events = talk.opened(segments[0].at_ns)
    for one in segments:
        if one.kind in RECEIVED:
            events += talk.receive(one.data or bytes(one.length), one.at_ns)
    events += talk.closed(segments[-1].at_ns)
    end = events[-1]
    assert isinstance(end, Sighted)
    assert isinstance(end.finding, Contact)
    return end.finding


def test_libtorrent_without_mse_is_a_peer_without_a_key(torrent: tuple[Any, Path]) -> None:
    session, _ = seeder(torrent, in_enc_policy=int(POLICY.pe_disabled))
    infohash = bytes.fromhex(str(torrent[0].info_hash()))
    target = replace(TARGET, infohash=infohash, accepted=(infohash,), pieces=torrent[0].num_pieces())
    contact = converse(PLUGIN.contact(target, LIMITS, "mse/tcp", ENTROPY), session.listen_port()).finding
    assert isinstance(contact, Contact)
    assert contact.missing == Missing(Reason.UNREADABLE, "no MSE: the peer closed before its key")
    session.pause()
