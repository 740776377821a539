"""libtorrent's resume data (libtorrent manual, "fast resume"): qBittorrent's BT_backup/*.fastresume and its like."""

import re
from collections.abc import Iterator
from typing import Any

from clew.core import bencode
from clew.intake.api import Example, Extractor, Probe, Value
from clew.intake.artefacts import _examples as made
from clew.intake.artefacts import _metainfo, _peers
from clew.intake.artefacts._artefact import account, after
from clew.intake.artefacts._bencoded import Scan, onward, scan
from clew.intake.artefacts._entry import Entry, printable
from clew.model import Reason

KIND = "fastresume"
MARK = b"libtorrent resume file"
FORMAT = b"11:file-format%d:%s" % (len(MARK), MARK)
HELD = re.compile(rb"40:[0-9a-f]{40}([0-9]{2,8}):(?=d)")  # how Deluge holds them, several in one file
AGO = 100_000_000  # libtorrent before 1.2 counted seconds backwards; no time of day since 1973 is below this
TIMES = {"added_s": b"added_time", "completed_s": b"completed_time", "last_seen_s": b"last_seen_complete"}
AGO_TIMES = {"last_upload_s": b"last_upload", "last_download_s": b"last_download"}
BITS_SINCE = 2  # file-version from which "pieces" is a bitfield


class Fastresume:
    """One entry: infohashes, times, what was uploaded, where it lies, and the endpoints that the client knew."""

    name = "fastresume"
    version = "3"

    def wants(self, _media_type: str) -> bool:
        """Anything: it is told by its bytes."""
        return True

    def traits(self, probe: Probe) -> Iterator[tuple[str, Value]]:
        """The one entry."""
        found = scan(probe)
        if found is not None and b"file-format" not in found.found and not HELD.search(found.data):
            found = onward(found, (FORMAT,))
        if found is None or found.found.get(b"file-format", (None,))[0] != MARK:
            return
        yield "p2p.artefact", KIND
        yield from entry_of(found).traits()
        yield from account(1, 1, found.lost())
        yield from after(found.end, probe.size)

    def examples(self) -> Iterator[Example]:
        """A torrent that was added, finished and uploaded, with two endpoints."""
        said: dict[str, Any] = {
            "file-format": MARK, "file-version": 1, "libtorrent-version": "2.0.8.0", "info-hash": bytes(range(20)),
            "info-hash2": bytes(32), "added_time": 1_700_000_000, "completed_time": 0, "last_upload": 1_700_003_600,
            "total_uploaded": 4096, "save_path": "/home/someone/shared", "pieces": b"\x01\x00\x01",
            "peers": bytes([192, 0, 2, 1, 0x1A, 0xE1]), "peers6": bytes(15) + b"\x01\x1a\xe1", "qBt-category": "",
        }  # fmt: skip
        yield Example("one.fastresume", made.bencode(said), "application/octet-stream", {"p2p.artefact": KIND})


def entry_of(scanned: Scan, holder: str = "") -> Entry:
    """What resume data say; `holder` is the client in whose file they lie, where its name does not stand in them."""
    found = scanned.found
    version = found.get(b"libtorrent-version", (b"", None))[0]
    client = f"libtorrent {printable(version) if isinstance(version, bytes) else ''}".strip()
    if any(key.startswith(b"qBt-") for key in found):
        holder = "qBittorrent"
    client = f"{holder} ({client})" if holder else client
    entry = Entry("bittorrent", client, KIND, slice(scanned.start, scanned.end))
    entry.take_hash("infohash_v1", found, b"info-hash", _metainfo.V1)
    entry.take_hash("infohash_v2", found, b"info-hash2", _metainfo.V2)
    entry.take_text("name", found, b"name")
    entry.take_text("save_path", found, b"save_path")
    entry.take_count("uploaded", found, b"total_uploaded")
    entry.take_count("downloaded", found, b"total_downloaded")
    for name, key in TIMES.items():
        entry.take_time(name, found, key)
    for name, key in AGO_TIMES.items():
        value = found.get(key, (0, None))[0]
        if isinstance(value, int) and 0 < value < AGO:
            entry.lack(name, Reason.UNKNOWN, f"{value} seconds before it was written, and when that was is not told")
        else:
            entry.take_time(name, found, key)
    _have(entry, found)
    _own_info(entry, scanned)
    for key, length in ((b"peers", 4), (b"peers6", 16)):
        _peers.compact(entry, found, key, length)
    return entry


def _have(entry: Entry, found: dict[bytes, tuple[Any, slice]]) -> None:
    """Pieces held: a byte a piece, its lowest bit, in version 1; a bitfield since."""
    pieces, place = found.get(b"pieces", (None, slice(0, 0)))
    version = found.get(b"file-version", (None,))[0]
    if not isinstance(pieces, bytes) or not isinstance(version, int):
        return
    have = int.from_bytes(pieces, "big").bit_count() if version >= BITS_SINCE else sum(each & 1 for each in pieces)
    entry.say("pieces_have", have, place)


def _own_info(entry: Entry, scanned: Scan) -> None:
    """Where the info dictionary lies in it, what that says; its infohash is held against the one that stands apart."""
    place = scanned.place(b"info")
    if place is None or scanned.data[place.start : place.start + 1] != b"d":
        return
    apart = {name: entry.fields.get(name) for name in ("infohash_v1", "infohash_v2")}
    try:
        info = _metainfo.read(scanned.data, place)
    except bencode.Malformed as broken:
        entry.lack("files", Reason.UNPARSABLE, str(broken))
        return
    hashed = {"infohash_v1": info.infohash_v1, "infohash_v2": info.infohash_v2}
    if any(apart[name] and hashed[name] and apart[name] != (hashed[name] or b"").hex() for name in apart):
        entry.lack("files", Reason.UNPARSABLE, "its info dictionary hashes to another infohash than it states")
        return
    info.tell(entry)


PLUGIN: Extractor = Fastresume()
