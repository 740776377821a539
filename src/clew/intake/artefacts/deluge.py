"""Deluge's state/torrents.fastresume: of each torrent libtorrent's resume data, bencoded once more as a string."""

import re
from collections.abc import Iterator
from itertools import chain, pairwise
from typing import Any

from clew.intake.api import Example, Extractor, Probe, Value
from clew.intake.artefacts import _examples as made
from clew.intake.artefacts._artefact import account, after
from clew.intake.artefacts._bencoded import Scan, packed, scan
from clew.intake.artefacts.fastresume import HELD, MARK, entry_of
from clew.model import Missing, Reason

KIND = "torrents.fastresume"
TORRENT = re.compile(rb"[0-9a-f]{40}")
ONE = b"%d:%s" % (len(MARK), MARK)  # how the mark of each torrent stands in the bytes: counted apart from the parser


class Deluge:
    """One entry a torrent. "p2p.entries.declared" counts how often libtorrent's mark stands in the bytes."""

    name = "deluge"
    version = "3"

    def wants(self, _media_type: str) -> bool:
        """Anything: it is told by its bytes."""
        return True

    def traits(self, probe: Probe) -> Iterator[tuple[str, Value]]:
        """Every torrent in it."""
        found = scan(probe)
        if found is None or not (found.broken or any(TORRENT.fullmatch(key) for key in found.found)):
            return
        held = list(_held(found))
        there, behind = len(held), list(_behind(found))
        held += behind
        if not held:
            return
        yield "p2p.artefact", KIND
        but = ", but for torrents found by their infohashes" if behind else ""
        lost = [found.lost() + but] if found.broken else []
        for each in held:
            yield from entry_of(each, "Deluge").traits()
            lost += [each.lost()] if each.broken else []
        yield from account(found.data.count(ONE), len(held), "; ".join(lost[:2]))
        if there < len(found.found):
            yield (
                "p2p.rest",
                Missing(Reason.UNPARSABLE, f"{len(found.found) - there} of its members are no torrents"),
            )
        if not found.broken:
            yield from after(found.end, probe.size)

    def examples(self) -> Iterator[Example]:
        """Two torrents."""
        said: dict[str, Any] = {
            "file-format": MARK, "file-version": 1, "info-hash": bytes(range(20)), "added_time": 1_700_000_000,
            "total_uploaded": 4096, "save_path": "/home/someone/shared", "peers": bytes([192, 0, 2, 1, 0x1A, 0xE1]),
        }  # fmt: skip
        other = said | {"info-hash": bytes(range(1, 21))}
        data = made.bencode({each["info-hash"].hex(): made.bencode(each) for each in (said, other)})
        counts: dict[str, Value | None] = {"p2p.entries.declared": 2, "p2p.entries.read": 2}
        yield Example(KIND, data, "application/octet-stream", {"p2p.artefact": KIND} | counts)


def _held(found: Scan) -> Iterator[Scan]:
    """The resume data of each torrent, as far as they can be read."""
    for key, (value, place) in found.found.items():
        if TORRENT.fullmatch(key) and isinstance(value, bytes) and value[:1] == b"d":
            torrent = packed(found.data, slice(place.stop - len(value), place.stop))
            if torrent.found.get(b"file-format", (None,))[0] == MARK:
                yield torrent


def _behind(found: Scan) -> Iterator[Scan]:
    """Those behind a break. None holds the key of the next one: a length that says so is wrong."""
    keys = HELD.finditer(found.data, found.end) if found.broken else ()
    for key, after_it in pairwise(chain(keys, (None,))):
        assert key is not None
        stop = len(found.data) if after_it is None else after_it.start()
        torrent = packed(found.data, slice(key.end(), min(key.end() + int(key[1]), stop)))
        if torrent.found.get(b"file-format", (None,))[0] == MARK:
            yield torrent


PLUGIN: Extractor = Deluge()
