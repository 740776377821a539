"""libtorrent as an oracle: a real seeder, seen at E2; it is never asked for anything."""

import time
from pathlib import Path
from typing import Any

import libtorrent as lt
from observe_case import FAST, watch_body
from observe_stage import Stage

from clew.core import shards
from clew.observe.run import observe

SETTINGS = {
    "enable_dht": False,
    "enable_lsd": False,
    "enable_upnp": False,
    "enable_natpmp": False,
    "ssrf_mitigation": False,
    "allow_multiple_connections_per_ip": True,
    "close_redundant_connections": False,
    "alert_mask": 0,
}
PIECE = 1 << 14
NAMES = {"a.bin": 5 * PIECE + 123, "b.bin": 11 * PIECE + 77}


def make_torrent(folder: Path) -> Any:
    (folder / "set").mkdir()
    files = lt.file_storage()
    for name, size in NAMES.items():
        (folder / "set" / name).write_bytes(bytes(i % 251 for i in range(size)))
        files.add_file(f"set/{name}", size)
    torrent = lt.create_torrent(files, PIECE, lt.create_torrent.v1_only)
    lt.set_piece_hashes(torrent, str(folder))
    return lt.torrent_info(torrent.generate())


def test_a_real_seeder_is_seen_twice_and_gives_nothing(make_case: Any, stage: Stage, tmp_path: Path) -> None:
    info = make_torrent(tmp_path)
    session = lt.session({**SETTINGS, "listen_interfaces": "127.24.0.1:0"})
    wanted = lt.add_torrent_params()
    wanted.ti, wanted.save_path = info, str(tmp_path)
    handle = session.add_torrent(wanted)
    deadline = time.monotonic() + 20
    while not (handle.status().is_seeding and session.is_listening()) and time.monotonic() < deadline:
        time.sleep(0.05)
    infohash = bytes.fromhex(str(info.info_hash()))
    body = watch_body(
        infohash_v1=infohash.hex(), pieces=info.num_pieces(), piece_length=PIECE,
        file_offset=NAMES["a.bin"], file_length=NAMES["b.bin"],
    )  # fmt: skip
    case = make_case(body)
    tracker = stage.tracker("127.1.0.7", tells_stopped=True)
    tracker.listed[infohash] = [("127.24.0.1", session.listen_port())]
    summary = observe(case, trackers=[tracker.url], policy=FAST)
    found = shards.query(case, "SELECT * FROM sightings WHERE kind = 'contact' ORDER BY started_ns").to_pylist()
    assert summary.stopped == "settled"
    assert [row["tier"] for row in found][-1] == "E2"
    last = found[-1]
    assert last["client"].startswith("libtorrent")
    assert (last["pieces_claimed"], last["pieces_total"]) == (info.num_pieces(), info.num_pieces())
    assert last["inner_claimed"] == 10, "the pieces wholly inside b.bin, counted by hand"
    assert handle.status().total_payload_upload == 0
    control = shards.query(case, "SELECT promiscuous FROM sightings WHERE kind = 'control'").to_pylist()
    assert control == [{"promiscuous": False}]
    session.pause()
