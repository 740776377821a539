"""tshark as the oracle: what an independent dissector reads in the same captures, transport by transport."""

import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from libtorrent_here import CONTENT, NAME, PIECE, client, torrent
from observe_case import FAST, watch_body
from observe_stage import Stage

from capture_here import capturing
from clew.core import plugins, shards
from clew.core.case import Case
from clew.observe.comparing import compare
from clew.observe.handed import Given
from clew.observe.run import NETWORKS, observe
from clew.observe.taking import take
from clew.observe.transcript import Kind, Segment, decode
from clew.range.canary import canary_bytes

TRANSPORTS = ("tcp", "utp", "mse/tcp", "mse/utp")
OURS = [each for each in TRANSPORTS if each in plugins.load(NETWORKS, "bittorrent").transports]
HAVE, BITFIELD, PIECE_MESSAGE, HAVE_ALL = "4", "5", "7", "14"
HALF = 20
STREAM_FIELDS = (
    "ip.src", "tcp.srcport", "udp.srcport", "ip.dst", "tcp.dstport", "udp.dstport", "tcp.seq_raw", "tcp.payload",
    "udp.payload",
)  # fmt: skip
HANDSHAKE = 68  # BEP 3
UTP_HEADER, UTP_DATA = 20, 0x01  # BEP 29: type ST_DATA and version 1
Place = tuple[str, int]
Streams = dict[tuple[Place, Place], bytes]
FIELDS = ("ip.src", "tcp.srcport", "udp.srcport", "info_hash", "peer_id", "msg.type", "msg.bitfield")


@dataclass(frozen=True)
class Seen:
    """What tshark says of one endpoint: its handshake, and the types of its messages."""

    infohash: str
    peer_id: str
    types: tuple[str, ...]
    bitfield: str


def dissect(path: Path, ports: set[int]) -> dict[tuple[str, int], Seen]:
    """By endpoint, for those that shook hands in plaintext."""
    names = [name if name[:3] in ("ip.", "tcp", "udp") else f"bittorrent.{name}" for name in FIELDS]
    command = ["tshark", "-n", "-r", str(path), "-Y", "bittorrent", "-T", "fields"]
    for port in sorted(ports):
        command += ["-d", f"tcp.port=={port},bittorrent", "-d", f"udp.port=={port},bt-utp"]
    for name in names:
        command += ["-e", name]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    heard: dict[tuple[str, int], list[Any]] = {}
    for line in out.splitlines():
        source, tcp, udp, infohash, peer_id, types, bitfield = line.split("\t")
        one = heard.setdefault((source, int(tcp or udp)), ["", "", [], ""])
        one[0], one[1], one[3] = one[0] or infohash, one[1] or peer_id, one[3] or bitfield
        one[2] += types.split(",") if types else []
    return {place: Seen(one[0], one[1], tuple(one[2]), one[3]) for place, one in heard.items() if one[0]}


def rows(case: Case, kinds: str) -> list[dict[str, Any]]:
    return shards.query(case, f"SELECT * FROM sightings WHERE kind IN ({kinds}) ORDER BY started_ns").to_pylist()


@pytest.mark.parametrize("transport", OURS)
def test_tshark_reads_our_own_run_as_the_case_has_it(
    transport: str, make_case: Callable[..., Case], stage: Stage, tmp_path: Path
) -> None:
    """Same peers, infohashes and peer ids in plaintext; equal ciphertext for MSE; no piece either way."""
    info = torrent(tmp_path / "seed")
    seeders = [client(number, info, tmp_path / "seed", transport) for number in (1, 2)]
    assert all(each.seeds() for each in seeders)
    infohash = bytes.fromhex(str(info.info_hash()))
    case = make_case(watch_body(infohash_v1=infohash.hex(), pieces=info.num_pieces(), piece_length=PIECE,
                                file_offset=0, file_length=len(CONTENT)))  # fmt: skip
    tracker = stage.tracker(seeders[0].address[:-1] + "9", tells_stopped=True)
    tracker.listed[infohash] = [(each.address, each.port) for each in seeders]
    own = seeders[0].address[:-1] + "8"
    with capturing(tmp_path / "run.pcap", f"host {own}") as path:
        observe(case, trackers=[tracker.url], policy=replace(FAST, bind=own, transports=(transport,)))
    found = rows(case, "'contact', 'control'")
    assert {row["tier"] for row in found if row["kind"] == "contact"} == {"E1", "E2"}
    compared = compare(case, path)
    assert compared.matches, compared.as_dict()
    seen = dissect(path, {each.port for each in seeders})
    assert not any(PIECE_MESSAGE in each.types for each in seen.values())
    assert all(each.handle.status().total_payload_upload == 0 for each in seeders)
    answered = [row for row in found if row["peer_id"] is not None]
    same_bytes(answered, streams(path))
    if transport.startswith("mse"):
        assert not seen
        return
    for row in answered:
        theirs = (row["address"], row["port"])
        assert seen[theirs].infohash == row["infohash_echoed"].hex()
        assert {BITFIELD, HAVE_ALL} & set(seen[theirs].types), "it reads messages, and would read one of a piece"
        assert seen[row["local_address"], row["local_port"]].infohash == row["infohash_sent"].hex()
    last = {(row["address"], row["port"]): row for row in answered}
    assert {place for place, _ in last.items()} == {(each.address, each.port) for each in seeders}
    told = peer_ids(path, {each.port for each in seeders})
    assert {row["peer_id"].hex() for row in answered} <= told


def same_bytes(answered: list[dict[str, Any]], wire: Streams) -> None:
    """Each transcript holds what tshark saw pass, ciphertext included, but for what was left out of it."""
    assert len({(row["address"], row["port"]) for row in answered}) == 2
    for row in answered:
        us, them = (row["local_address"], row["local_port"]), (row["address"], row["port"])
        segments = decode(row["transcript"])
        sent, received = wire[us, them], wire[them, us]
        assert fits(sent, segments, Kind.SENT, Kind.SENT_LEFT_OUT) == len(sent) >= HANDSHAKE
        assert fits(received, segments, Kind.RECEIVED, Kind.RECEIVED_LEFT_OUT) >= HANDSHAKE


def fits(wire: bytes, segments: list[Segment], kept: Kind, left_out: Kind) -> int:
    """How many bytes of a direction a transcript accounts for; those that it keeps are those of the wire."""
    at = 0
    for segment in segments:
        if segment.kind is kept:
            assert wire[at : at + segment.length] == segment.data
        if segment.kind in (kept, left_out):
            at += segment.length
    return at


def streams(path: Path) -> Streams:
    """Every stream of a capture, by its two ends, put together from what tshark says of each packet alone."""
    command = ["tshark", "-n", "-r", str(path), "-Y", "tcp.len > 0 or udp", "-T", "fields"]
    for name in STREAM_FIELDS:
        command += ["-e", name]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    parts: dict[tuple[Place, Place], dict[int, bytes]] = {}
    for line in out.splitlines():
        source, tcp, udp, target, tcp_to, udp_to, number, stream, datagram = line.split("\t")
        at, data, bits = int(number or 0), bytes.fromhex(stream), 32
        if datagram:
            packet = bytes.fromhex(datagram)
            if len(packet) <= UTP_HEADER or packet[0] != UTP_DATA:
                continue
            at, data, bits = int.from_bytes(packet[16:18], "big"), utp_payload(packet), 16
        ends = (source, int(tcp or udp)), (target, int(tcp_to or udp_to))
        held = parts.setdefault(ends, {})
        first = next(iter(held), at)  # numbers begin anew at their limit: how far from the first that was met
        half = 1 << (bits - 1)
        held[first + (at - first + half) % (2 * half) - half] = data
    return {ends: b"".join(held[at] for at in sorted(held)) for ends, held in parts.items()}


def utp_payload(packet: bytes) -> bytes:
    """What follows the header and its extensions: each is (type of the next, length, bytes), as BEP 29 has it."""
    extension, at = packet[1], UTP_HEADER
    while extension:
        extension, at = packet[at], at + 2 + packet[at + 1]
    return packet[at:]


def peer_ids(path: Path, ports: set[int]) -> set[str]:
    """Every peer id in a capture, as tshark reads it."""
    command = ["tshark", "-n", "-r", str(path), "-Y", "bittorrent.peer_id", "-T", "fields", "-e", "bittorrent.peer_id"]
    for port in sorted(ports):
        command += ["-d", f"tcp.port=={port},bittorrent", "-d", f"udp.port=={port},bt-utp"]
    return set(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_what_others_exchange_is_read_as_tshark_reads_it_and_nothing_of_it_is_kept(
    transport: str, make_case: Callable[..., Case], tmp_path: Path
) -> None:
    """A seeder and a peer of libtorrent that holds half of the pieces, so tells a bitfield, and fetches the rest."""
    info = torrent(tmp_path / "seed")
    (tmp_path / "leech").mkdir()
    (tmp_path / "leech" / NAME).write_bytes(CONTENT[: HALF * PIECE] + bytes(len(CONTENT) - HALF * PIECE))
    seeder, leecher = client(11, info, tmp_path / "seed", transport), client(12, info, tmp_path / "leech", transport)
    assert seeder.seeds()
    with capturing(tmp_path / "tap.pcap", f"host {seeder.address}") as path:
        leecher.handle.connect_peer((seeder.address, seeder.port))
        assert leecher.seeds()
        time.sleep(0.2)
        leecher.session.pause()
        seeder.session.pause()
    infohash = str(info.info_hash())
    case = make_case(watch_body(infohash_v1=infohash, pieces=info.num_pieces(), piece_length=PIECE,
                                file_offset=0, file_length=len(CONTENT)))  # fmt: skip
    made = take(case, Given(path, "T-1", "tester", "loopback"))
    found = rows(case, "'captured'")
    assert not made.flaws
    assert canary_bytes(case.folder, CONTENT[HALF * PIECE :][:1024]) == 0
    if transport.startswith("mse"):
        assert not found
        assert made.counts["flows of no protocol that is read (as encrypted ones are, MSE)"] >= 1
        return
    seen = dissect(path, {seeder.port, leecher.port})
    assert {(row["address"], row["port"]): (row["infohash_echoed"].hex(), row["peer_id"].hex()) for row in found} == {
        place: (each.infohash, each.peer_id) for place, each in seen.items()
    }
    assert {row["transport"] for row in found} == {transport}
    said = {}
    for row in found:
        each = seen[row["address"], row["port"]]
        bits = bytes.fromhex(each.bitfield)
        said[row["address"]] = info.num_pieces() if HAVE_ALL in each.types else int.from_bytes(bits, "big").bit_count()
        haves = row["pieces_claimed"] - said[row["address"]]  # as it goes on to fetch, within the second that is read
        assert row["claim"] == "watched file"
        assert 0 <= haves <= each.types.count(HAVE)
        assert bits in row["transcript"]
    assert said == {seeder.address: info.num_pieces(), leecher.address: HALF}
    assert sum(PIECE_MESSAGE in each.types for each in seen.values()) == 1, "the capture holds pieces one way"
    assert {row["tier"] for row in found} == {"E1"}
