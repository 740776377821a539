"""Transmission's resume/*.resume. It holds no infohash: that stands in the file's name alone, which is no content."""

from collections.abc import Iterator
from typing import Any

from clew.core import bencode
from clew.intake.api import Example, Extractor, Probe, Value
from clew.intake.artefacts import _examples as made
from clew.intake.artefacts import _peers
from clew.intake.artefacts._artefact import account, after
from clew.intake.artefacts._bencoded import Scan, inside, onward, scan
from clew.intake.artefacts._entry import Entry
from clew.model import Reason

KIND = "transmission resume"
MARKS = {b"activity-date", b"added-date", b"bandwidth-priority", b"destination", b"corrupt", b"max-peers", b"progress"}
ENOUGH = 4  # of the marks; a file that was cut has not all of them
TIMES = {"added_s": b"added-date", "completed_s": b"done-date", "active_s": b"activity-date"}
# Keys of `progress` that tell who wrote it (libtransmission, resume.c and resume.cc, 1.42 to 4.0.6).
BEFORE_4, SINCE_4 = {b"bitfield", b"time-checked"}, {b"pieces"}
IN_THE_NAME = "it stands in the file's name, not in its bytes"


class Transmission:
    """One entry: times, what was uploaded, where it lies, and the endpoints that the client knew."""

    name = "transmission"
    version = "3"

    def wants(self, _media_type: str) -> bool:
        """Anything: it is told by its bytes."""
        return True

    def traits(self, probe: Probe) -> Iterator[tuple[str, Value]]:
        """The one entry."""
        scanned = scan(probe)
        if scanned is not None and len(MARKS & _named(scanned.found).keys()) < ENOUGH:
            scanned = _damaged(scanned)
        if scanned is None:
            return
        found = _named(scanned.found)
        yield "p2p.artefact", KIND
        entry = Entry("bittorrent", "Transmission", KIND, slice(0, scanned.end))
        entry.lack("infohash_v1", Reason.NOT_APPLICABLE, IN_THE_NAME)
        entry.take_text("name", found, b"name")
        entry.take_text("save_path", found, b"destination")
        entry.take_count("uploaded", found, b"uploaded")
        entry.take_count("downloaded", found, b"downloaded")
        for name, key in TIMES.items():
            entry.take_time(name, found, key)
        order = _order(scanned)
        _peers.transmission(entry, found, b"peers2", order)
        _peers.transmission(entry, found, b"peers2-6", order)
        yield from entry.traits()
        yield from account(1, 1, scanned.lost())
        yield from after(scanned.end, probe.size)

    def examples(self) -> Iterator[Example]:
        """A torrent that was added and is active, with one endpoint."""
        said: dict[str, Any] = {
            "activity-date": 1_700_003_600, "added-date": 1_700_000_000, "bandwidth-priority": 0, "corrupt": 0,
            "destination": "/home/someone/shared", "done-date": 0, "name": "card.bin", "uploaded": 4096,
            "peers2": bytes([0, 0, 0, 0, 192, 0, 2, 1, *bytes(12), 0x1A, 0xE1, 0, 0]),
            "progress": {"time-checked": [0]},
        }  # fmt: skip
        yield Example("one.resume", made.bencode(said), "application/octet-stream", {"p2p.artefact": KIND})


def _damaged(scanned: Scan) -> Scan | None:
    """What can be read of one whose beginning is damaged; None for anything else."""
    ways = ({mark, mark.replace(b"-", b"_")} for mark in MARKS)
    begins = [b"%d:%s" % (len(key), key) for keys in ways for key in keys]
    if scanned.broken is None or sum(each in scanned.data for each in begins) < ENOUGH:
        return None
    return onward(scanned, begins) or scanned


def _named(found: _peers.Found) -> _peers.Found:
    """By the names that its keys have up to 4.x; 4.1 already writes them with underscores where it is told to."""
    return {key.replace(b"_", b"-"): value for key, value in found.items()}


def _order(scanned: Scan) -> _peers.Order | None:
    """In which order of bytes its ports are: up to 3.00 in the network's, in 4.0 as its machine has them, of which all
    but a few are little-endian. None where nothing tells by which it was written.
    """
    place = scanned.place(b"progress")
    try:
        keys = _named(inside(scanned.data, place)).keys() if place else set()
    except bencode.Malformed:
        return None
    before, since = bool(keys & BEFORE_4), bool(keys & SINCE_4)
    if before == since:
        return None
    return "big" if before else "little"


PLUGIN: Extractor = Transmission()
