"""libtorrent's session state (libtorrent manual, "session_params"): the DHT's name of this client, and whom it knew."""

from collections.abc import Iterator
from typing import Any

from clew.core import bencode
from clew.intake.api import Example, Extractor, Probe, Value
from clew.intake.artefacts import _examples as made
from clew.intake.artefacts._artefact import account, after
from clew.intake.artefacts._bencoded import Scan, inside, onward, scan
from clew.intake.artefacts._entry import Entry
from clew.model import Reason

KIND = "session state"
STATE, SETTINGS = b"dht state", b"settings"
BEGINS = b"9:dht stated", b"8:settingsd"
NODE, LENGTHS = 20, (6, 18)  # bytes of a node's name; of an endpoint over IPv4 and IPv6


class Session:
    """One entry: `node_id` (also as "p2p.node_id", in bytes), `listen`, and the DHT nodes that it knew as endpoints.

    Those are nodes of the DHT, whatever they share: they are listed for no torrent.
    """

    name = "session"
    version = "2"

    def wants(self, _media_type: str) -> bool:
        """Anything: it is told by its bytes."""
        return True

    def traits(self, probe: Probe) -> Iterator[tuple[str, Value]]:
        """The one entry."""
        found = scan(probe)
        begins = found is not None and found.broken is not None and found.data.startswith(BEGINS[0], 1)
        if found is not None and not _is_one(found):
            found = onward(found, BEGINS) or found
        if found is None or not (begins or _is_one(found)):
            return
        yield "p2p.artefact", KIND
        entry = _entry(found)
        yield from entry.traits()
        if "node_id" in entry.fields:
            yield "p2p.node_id", bytes.fromhex(entry.fields["node_id"])
        yield from account(1, 1, found.lost())
        yield from after(found.end, probe.size)

    def examples(self) -> Iterator[Example]:
        """A client with a name in the DHT that knew one node."""
        names = [bytes(range(20)) + bytes([192, 0, 2, 7])]
        said: dict[str, Any] = {
            "dht state": {"node-id": names, "nodes": [bytes([192, 0, 2, 1, 0x1A, 0xE1])]},
            "settings": {"listen_interfaces": "0.0.0.0:6881"},
        }
        yield Example("session", made.bencode(said), "application/octet-stream", {"p2p.artefact": KIND})


def _is_one(scanned: Scan) -> bool:
    for key in (STATE, SETTINGS):
        place = scanned.place(key)
        if place is None or scanned.data[place.start : place.start + 1] != b"d":
            continue
        if key == STATE or b"17:listen_interfaces" in scanned.data[place]:
            return True
    return False


def _entry(scanned: Scan) -> Entry:
    entry = Entry("bittorrent", "libtorrent", KIND, slice(0, scanned.end))
    for key, told in ((STATE, _state), (SETTINGS, _settings)):
        place = scanned.place(key)
        if place is None:
            continue
        try:
            told(entry, inside(scanned.data, place))
        except bencode.Malformed as broken:
            entry.lack(key.decode(), Reason.UNPARSABLE, str(broken))
    return entry


def _state(entry: Entry, found: dict[bytes, tuple[Any, slice]]) -> None:
    names, place = found.get(b"node-id", ([], slice(0, 0)))
    names = names if isinstance(names, list) else [names]  # one string before libtorrent 1.2, a list since
    known = [name[:NODE] for name in names if isinstance(name, bytes) and len(name) >= NODE]
    if len(known) < len(names):
        entry.lack("node_id", Reason.UNPARSABLE, f"{len(names) - len(known)} of {len(names)} names are none")
    if known:
        entry.say("node_id", known[0].hex(), place)
    if len(known) > 1:
        entry.lack("node_id", Reason.LIMIT_REACHED, f"{len(known)} names, one for each address; the first is here")
    for key in (b"nodes", b"nodes6"):
        nodes, where = found.get(key, ([], slice(0, 0)))
        for node in nodes if isinstance(nodes, list) else [nodes]:
            if isinstance(node, bytes) and len(node) in LENGTHS:
                entry.endpoint(node[:-2], int.from_bytes(node[-2:], "big"), where)
            else:
                entry.lack("endpoints", Reason.UNPARSABLE, f"a member of {key.decode()} is no endpoint")


def _settings(entry: Entry, found: dict[bytes, tuple[Any, slice]]) -> None:
    entry.take_text("listen", found, b"listen_interfaces")


PLUGIN: Extractor = Session()
