"""uTorrent's and BitTorrent's resume.dat: one dictionary a torrent, keyed by the path of its .torrent."""

import re
from collections.abc import Iterator
from itertools import chain, islice, pairwise
from typing import Any

from clew.core import bencode
from clew.intake.api import Example, Extractor, Probe, Value
from clew.intake.artefacts import _examples as made
from clew.intake.artefacts import _metainfo, _peers
from clew.intake.artefacts._artefact import account, after
from clew.intake.artefacts._bencoded import Scan, inside, packed, scan
from clew.intake.artefacts._entry import Entry, Found
from clew.model import Missing, Reason

KIND = "resume.dat"
GUARD, REC, ENDING = b".fileguard", b"rec", b".torrent"
NO_TORRENT = {GUARD, REC}
HASH_OF_ONE = b"4:info20:"  # how the infohash of each torrent stands in the bytes: counted apart from the parser
GUARDED = b"d%d:%s" % (len(GUARD), GUARD)  # how it begins
MARKS = {b"added_on", b"caption", b"path", b"completed_on", b"trackers"}
KEY_ENDS, LENGTH, LONGEST_KEY = re.compile(rb"\.torrentd"), re.compile(rb"(?=([0-9]{1,4}):)[0-9]+:"), 1_100
MOST_TRIES = 200_000  # keys behind a break
TIMES = {"added_s": b"added_on", "completed_s": b"completed_on", "last_seen_s": b"last seen complete"}


class Utorrent:
    """One entry a torrent. "p2p.entries.declared" counts how often an infohash stands in the bytes."""

    name = "utorrent"
    version = "3"

    def wants(self, _media_type: str) -> bool:
        """Anything: it is told by its bytes."""
        return True

    def traits(self, probe: Probe) -> Iterator[tuple[str, Value]]:
        """Every torrent in it."""
        found = scan(probe)
        if found is None or not _is_one(found):
            return
        yield "p2p.artefact", KIND
        read, other = 0, 0
        for key, (_, place) in found.found.items():
            if key in NO_TORRENT:
                continue
            fields = _torrent(found, place)
            if fields is None:
                other += 1
                continue
            read += 1
            yield from _entry(key, fields, place).traits()
        lost = [found.lost()] if found.broken else []
        for key, fields, place in _behind(found):
            read += 1
            lost = [f"{found.lost()}, but for torrents found by the names of their files"]
            yield from _entry(key, fields, place).traits()
        yield from account(found.data.count(HASH_OF_ONE), read, "".join(lost))
        if other:
            yield "p2p.rest", Missing(Reason.UNPARSABLE, f"{other} of its members are no torrents")
        if not found.broken:
            yield from after(found.end, probe.size)

    def examples(self) -> Iterator[Example]:
        """Two torrents and the guard."""
        one: dict[str, Any] = {
            "added_on": 1_700_000_000, "caption": "card", "completed_on": 0, "downloaded": 10, "info": bytes(range(20)),
            "path": "C:\\shared\\card", "peers6": bytes(10) + b"\xff\xff\xc0\x00\x02\x01\x1a\xe1", "uploaded": 20,
        }  # fmt: skip
        two = one | {"info": bytes(range(1, 21)), "caption": "other"}
        data = made.bencode({".fileguard": "0" * 40, "card.torrent": one, "other.torrent": two, "rec": []})
        counts: dict[str, Value | None] = {"p2p.entries.declared": 2, "p2p.entries.read": 2}
        yield Example("resume.dat", data, "application/octet-stream", {"p2p.artefact": KIND} | counts)


def _is_one(scanned: Scan) -> bool:
    """By its guard, with torrents, what stands beside them or nothing at all; where that is cut off, by the first
    torrent. The client guards its settings.dat and rss.dat alike.
    """
    places = {key: place for key, (_, place) in scanned.found.items() if key not in NO_TORRENT}
    if GUARD in scanned.found and (not places or REC in scanned.found or any(key.endswith(ENDING) for key in places)):
        return True
    if scanned.broken and (any(_behind(scanned)) or (scanned.data.startswith(GUARDED) and HASH_OF_ONE in scanned.data)):
        return True
    some = places.values() if GUARD in scanned.found else list(places.values())[:1]
    return any(_torrent(scanned, place) is not None for place in some)


def _torrent(scanned: Scan, place: slice) -> Found | None:
    """The fields of one torrent; None where the member is none."""
    if scanned.data[place.start : place.start + 1] != b"d":
        return None
    try:
        return _told(inside(scanned.data, place))
    except bencode.Malformed:
        return None


def _told(fields: Found) -> Found | None:
    return fields if b"info" in fields and MARKS & fields.keys() else None


def _behind(scanned: Scan) -> Iterator[tuple[bytes, Found, slice]]:
    """The torrents behind a break: each is told by its key, which ends in .torrent, and is whole itself. None holds the
    key of the next one, so that each byte is gone through once.
    """
    data, at = scanned.data, scanned.end
    keys = islice(KEY_ENDS.finditer(data, at), MOST_TRIES) if scanned.broken else ()
    for found, after_it in pairwise(chain(keys, (None,))):
        assert found is not None
        start = found.end() - 1
        before = data[max(at, start - LONGEST_KEY) : start]
        begun = next((each for each in LENGTH.finditer(before) if int(each[1]) == len(before) - each.end()), None)
        if begun is None or start < at:
            continue
        torrent = packed(data, slice(start, len(data) if after_it is None else after_it.start()))
        fields = None if torrent.broken else _told(torrent.found)
        if fields:
            at = torrent.end
            yield before[begun.end() :], fields, slice(start, at)


def _entry(key: bytes, fields: Found, place: slice) -> Entry:
    entry = Entry("bittorrent", "uTorrent or BitTorrent", KIND, place)
    entry.take_hash("infohash_v1", fields, b"info", _metainfo.V1)
    entry.take_text("name", fields, b"caption")
    entry.take_text("save_path", fields, b"path")
    entry.take_count("uploaded", fields, b"uploaded")
    entry.take_count("downloaded", fields, b"downloaded")
    for name, said in TIMES.items():
        entry.take_time(name, fields, said)
    if "name" not in entry.fields:
        entry.take_text("name", {b"": (key, place)}, b"")
    _peers.compact(entry, dict(fields), b"peers6", 16)
    return entry


PLUGIN: Extractor = Utorrent()
