r"""On which port a BitTorrent client was set to listen, as its settings say: none of these stands with its torrents.

uTorrent's and BitTorrent's settings.dat (`bind_port`), qBittorrent's qBittorrent.conf or .ini (`Session\Port`; before
4.4 `Connection\PortRangeMin`), Transmission's settings.json (`peer-port`, with an underscore since 4.1).
"""

import re
from collections.abc import Iterator

from clew.intake.api import Example, Extractor, Probe, Value
from clew.intake.artefacts import _examples as made
from clew.intake.artefacts._artefact import account, after, head, whole
from clew.intake.artefacts._bencoded import onward, scan
from clew.intake.artefacts._entry import Entry
from clew.intake.artefacts.utorrent import GUARD, GUARDED
from clew.model import Reason

UTORRENT, QBITTORRENT, TRANSMISSION = "settings.dat", "qBittorrent settings", "transmission settings"
BIND = b"bind_port"
BOUND = b"9:bind_porti"  # how it begins
MOST = 64 << 10  # bytes of settings in text: those of a client have some kilobytes
HIGHEST = 65_535
INI = re.compile(rb"^(?:Session\\[A-Za-z]+|Connection\\PortRangeMin)=", re.MULTILINE)
INI_PORT = re.compile(rb"^Session\\Port=(-?\d{1,5})\r?$", re.MULTILINE)
# What stood for it before; qBittorrent leaves it in the file, and does not look at it any more (its upgrade.cpp)
INI_BEFORE = re.compile(rb"^Connection\\PortRangeMin=(-?\d{1,5})\r?$", re.MULTILINE)
INI_RANDOM = re.compile(rb"^(?:Session|General)\\UseRandomPort=true\r?$", re.MULTILINE)
JSON = re.compile(rb'"download[-_]dir"\s*:')
# In replies to `session-get` (Transmission's rpc-spec), which may come from another machine; not in its settings
JSON_REPLY = re.compile(rb'"rpc[-_]version"\s*:')
JSON_PORT = re.compile(rb'"peer[-_]port"\s*:\s*(\d{1,5})\b')


class ClientSettings:
    """One entry: `listen`, or why it is not there."""

    name = "client_settings"
    version = "2"

    def wants(self, _media_type: str) -> bool:
        """Anything: it is told by its bytes."""
        return True

    def traits(self, probe: Probe) -> Iterator[tuple[str, Value]]:
        """The one entry."""
        first = head(probe)[:1]
        if first == b"d":
            yield from _utorrent(probe)
        elif first in (b"[", b"{") and probe.size <= MOST:
            yield from (_qbittorrent if first == b"[" else _transmission)(whole(probe))

    def examples(self) -> Iterator[Example]:
        """One of each client."""
        guarded = made.bencode({".fileguard": "0" * 40, "bind_port": 51_413})
        yield Example("settings.dat", guarded, "application/octet-stream", {"p2p.artefact": UTORRENT})
        ini = b"[BitTorrent]\nSession\\Port=51413\n\n[LegalNotice]\nAccepted=true\n"
        yield Example("qBittorrent.conf", ini, "text/plain", {"p2p.artefact": QBITTORRENT})
        json = b'{\n    "download-dir": "/srv",\n    "peer-port": 51413\n}\n'
        yield Example("settings.json", json, "application/json", {"p2p.artefact": TRANSMISSION})


def _utorrent(probe: Probe) -> Iterator[tuple[str, Value]]:
    found = scan(probe)
    if found is not None and found.broken and BIND not in found.found and found.data.startswith(GUARDED):
        found = onward(found, (BOUND,))
    if found is None or BIND not in found.found or not (GUARD in found.found or found.data.startswith(GUARDED)):
        return
    entry = Entry("bittorrent", "uTorrent or BitTorrent", UTORRENT, slice(0, found.end))
    port, place = found.found[BIND]
    _listens(entry, port if isinstance(port, int) else -1, place)
    yield from _told(entry, UTORRENT)
    yield from account(1, 1, found.lost())
    yield from after(found.end, probe.size)


def _qbittorrent(data: bytes) -> Iterator[tuple[str, Value]]:
    if not (b"[BitTorrent]" in data or b"[Preferences]" in data) or not INI.search(data):
        return
    entry = Entry("bittorrent", "qBittorrent", QBITTORRENT, slice(0, len(data)))
    port = INI_PORT.search(data)
    if port is None and INI_RANDOM.search(data):
        entry.lack("listen", Reason.NOT_APPLICABLE, "it was set to take another port each time it starts")
    else:
        _said(entry, port or INI_BEFORE.search(data))
    yield from _told(entry, QBITTORRENT)
    yield from account(1, 1)


def _transmission(data: bytes) -> Iterator[tuple[str, Value]]:
    port = JSON_PORT.search(data)
    if port is None or not JSON.search(data) or JSON_REPLY.search(data):
        return
    entry = Entry("bittorrent", "Transmission", TRANSMISSION, slice(0, len(data)))
    _said(entry, port)
    yield from _told(entry, TRANSMISSION)
    yield from account(1, 1)


def _said(entry: Entry, port: re.Match[bytes] | None) -> None:
    if port is None:
        entry.lack("listen", Reason.NOT_APPLICABLE, "no port was set")
    else:
        _listens(entry, int(port[1]), slice(*port.span()))


def _listens(entry: Entry, port: int, place: slice) -> None:
    """As libtorrent writes it, without an interface."""
    if 0 < port <= HIGHEST:
        entry.say_text("listen", f":{port}", place)
    else:
        entry.lack("listen", Reason.NOT_APPLICABLE, f"{port} stands for a port that it takes as it starts")


def _told(entry: Entry, kind: str) -> Iterator[tuple[str, Value]]:
    yield "p2p.artefact", kind
    yield from entry.traits()


PLUGIN: Extractor = ClientSettings()
