"""Files in which peer-to-peer clients remember torrents, and which nothing here reads: named, so that none is missed
in silence. Nothing in them is unpickled, queried or run.
"""

from collections.abc import Iterator
from typing import Any

from clew.intake.api import Example, Extractor, Probe, Value
from clew.intake.artefacts import _examples as made
from clew.intake.artefacts._artefact import head
from clew.intake.artefacts._bencoded import scan

SQLITE, SCHEMA = b"SQLite format 3\x00", 64 << 10  # bytes in which the tables of a young database are described
COLUMN = b"libtorrent_resume_data"  # of qBittorrent's table `torrents`
PICKLE = b"deluge.core.torrentmanager"  # the class that a pickle of it names first, in every protocol
STORED = "qBittorrent's torrents.db"
STATE = "Deluge's torrents.state"
# What a bencoded dictionary of each holds at least, and what its bytes hold besides
BENCODED: tuple[tuple[str, frozenset[bytes], bytes], ...] = (
    ("rTorrent's .rtorrent", frozenset({b"chunks_wanted", b"tied_to_file", b"total_uploaded"}), b""),
    ("rTorrent's .libtorrent_resume", frozenset({b"bitfield", b"files", b"trackers"}), b"mtime"),
    ("Vuze's or BiglyBT's downloads.config", frozenset({b"downloads"}), b"12:torrent_hash"),
)


class Unread:
    """Trait "p2p.unread": what it is."""

    name = "unread"
    version = "1"

    def wants(self, _media_type: str) -> bool:
        """Anything: it is told by its bytes."""
        return True

    def traits(self, probe: Probe) -> Iterator[tuple[str, Value]]:
        """At most one."""
        kind = _kind(probe)
        if kind:
            yield "p2p.unread", kind

    def examples(self) -> Iterator[Example]:
        """One of each."""
        session: dict[str, Any] = {"chunks_wanted": 0, "tied_to_file": "", "timestamp.started": 1, "total_uploaded": 7}
        files = [{"completed": 4, "mtime": 1_700_000_000, "priority": 1}]
        resume: dict[str, Any] = {"bitfield": 4, "files": files, "peers": [], "trackers": {}}
        downloads: dict[str, Any] = {"downloads": [{"allocated": 1, "torrent_hash": bytes(range(20))}]}
        said = [made.bencode(each) for each in (session, resume, downloads)]
        for (kind, _, _), data in zip(BENCODED, said, strict=True):
            yield Example(kind, data, "application/octet-stream", {"p2p.unread": kind})
        pickled = b"\x80\x02c" + PICKLE + b"\nTorrentManagerState\nq\x01)\x81q\x02."
        yield Example("torrents.state", pickled, "application/octet-stream", {"p2p.unread": STATE})
        table = b"CREATE TABLE `torrents` (`id` INTEGER PRIMARY KEY,`libtorrent_resume_data` BLOB NOT NULL)"
        database = SQLITE + bytes(84) + table
        yield Example("torrents.db", database, "application/vnd.sqlite3", {"p2p.unread": STORED})


def _kind(probe: Probe) -> str:
    """What it is; empty for none of them."""
    first = head(probe)
    if first.startswith(SQLITE):
        return STORED if COLUMN in _beginning(probe) else ""
    if PICKLE in first:
        return STATE
    found = scan(probe) if first.startswith(b"d") else None
    if found is None:
        return ""
    return next((kind for kind, keys, held in BENCODED if keys <= found.found.keys() and held in found.data), "")


def _beginning(probe: Probe) -> bytes:
    if probe.data is not None:
        return bytes(probe.data[:SCHEMA])
    return probe.source.read(0, SCHEMA) if probe.source is not None else b""


PLUGIN: Extractor = Unread()
