"""Torrent metainfo: .torrent files of v1 (BEP 3), v2 (BEP 52), or both."""

from collections.abc import Iterator
from dataclasses import replace

from clew.core import bencode
from clew.intake.api import Example, Extractor, Probe, Value
from clew.intake.artefacts import _examples as made
from clew.intake.artefacts import _metainfo
from clew.intake.artefacts._artefact import account, after
from clew.intake.artefacts._bencoded import Scan, inside, onward, scan
from clew.intake.artefacts._entry import Entry, printable
from clew.intake.artefacts.fastresume import FORMAT

KIND = "torrent metainfo"
MARKS = (b"pieces", b"file tree", b"piece length")
INFO, LENGTH = b"4:infod", b"12:piece lengthi"  # how they begin in every torrent


class Torrent:
    """One entry: infohashes, name, files with their sizes and places."""

    name = "torrent"
    version = "3"

    def wants(self, _media_type: str) -> bool:
        """Anything: it is told by its bytes."""
        return True

    def traits(self, probe: Probe) -> Iterator[tuple[str, Value]]:
        """The entry; where its info dictionary breaks off, that, since there is no infohash then."""
        found = scan(probe)
        if found is None or b"file-format" in found.found:
            return
        damaged = b"info" not in found.found and INFO in found.data and LENGTH in found.data
        if damaged and found.broken and FORMAT not in found.data:
            found = onward(found, (INFO,)) or replace(found, begun=b"info")
        if found.begun == b"info":
            yield "p2p.artefact", KIND
            yield from account(1, 0, f"the info dictionary breaks off; {found.lost()}")
            return
        info = _info(found)
        if info is None:
            return
        yield "p2p.artefact", KIND
        client, _ = found.found.get(b"created by", (b"", None))
        entry = Entry("bittorrent", printable(client) if isinstance(client, bytes) else "", KIND, slice(0, found.end))
        info.tell(entry)
        entry.take_time("created_s", found.found, b"creation date")
        yield from entry.traits()
        yield from account(1, 1, found.lost())
        yield from after(found.end, probe.size)

    def examples(self) -> Iterator[Example]:
        """A single file, a folder with a pad file, a v2 tree, and a hybrid of both."""
        for kind, info in (
            ("v1", made.single()),
            ("folder", made.folder()),
            ("v2", made.tree()),
            ("both", made.both()),
        ):
            data = made.bencode({"created by": "clew", "creation date": 1_700_000_000, "info": info})
            yield Example(
                f"{kind}.torrent", data, "application/x-bittorrent", {"p2p.artefact": KIND, "p2p.entry": None}
            )


def _info(found: Scan) -> _metainfo.Info | None:
    place = found.place(b"info")
    if place is None or found.data[place.start : place.start + 1] != b"d":
        return None
    try:
        marked = set(MARKS) & inside(found.data, place).keys()
    except bencode.Malformed:
        return None
    return _metainfo.read(found.data, place) if marked else None


PLUGIN: Extractor = Torrent()
