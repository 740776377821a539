"""A case with one lead on one Watch, and a way to lay artefacts into exhibits as intake would have."""

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

import pytest

from artefacts_here import rows
from clew.attribute import listing, statements
from clew.attribute.corroborate import Corroborated, corroborate
from clew.attribute.run import attribute
from clew.core import mandate, watch
from clew.core.case import Case, new_id
from clew.intake.artefacts import _examples as made
from facts_case import AUTHORITY, put

SECOND = 1_000_000_000
HOUR = 3_600 * SECOND
DAY = 24 * HOUR
FROM = 1_780_000_000 * SECOND
TO = FROM + 1_200 * SECOND
BEFORE_S, AFTER_S = FROM // SECOND - 3_600, TO // SECOND + 3_600
V1, V2 = hashlib.sha1(b"v1").digest(), hashlib.sha256(b"v2").digest()
ADDRESS, PORT = "127.10.1.1", 51_413
PEER = bytes(map(int, ADDRESS.split("."))) + PORT.to_bytes(2, "big")
RESUME = b"BT_backup/" + V1.hex().encode() + b".fastresume"
TRANSMISSION = b"resume/" + V1.hex().encode() + b".resume"
LISTENING = {"dht state": {}, "settings": {"listen_interfaces": f"0.0.0.0:{PORT},[::]:{PORT}"}}
STATED = {"statement": "as reported", "source": "report 4"}


def sighting(n: int, at_ns: int, **changes: Any) -> dict[str, Any]:
    return {
        "id": f"s{n}", "kind": "contact", "watch": "w-17", "tier": "E2", "claim": "watched file", "source": "tracker",
        "address": ADDRESS, "port": PORT, "transport": "tcp", "started_ns": at_ns, "ended_ns": at_ns,
        "peer_id": b"-qB4630-" + bytes(12), "client": "qBittorrent/4.6.3", "pieces_claimed": 10, "inner_claimed": 5,
        "promiscuous": False, "clock_offset_ns": 0, "clock_error_ns": 0,
    } | changes  # fmt: skip


def fastresume(added_s: int | None, peers: bytes = b"", **changes: Any) -> bytes:
    said: dict[str, Any] = {
        "file-format": "libtorrent resume file", "file-version": 1, "info-hash": V1, "info-hash2": bytes(32),
        "peers": peers, "save_path": f"/home/x/{V1.hex()}", "total_uploaded": 5,
    }  # fmt: skip
    return made.bencode(said | ({} if added_s is None else {"added_time": added_s}) | changes)


def transmission(**changes: Any) -> bytes:
    """A resume file of Transmission, which names no torrent: its own name does."""
    said = {"activity-date": 0, "added-date": BEFORE_S, "bandwidth-priority": 0, "corrupt": 0, "destination": "/x"}
    return made.bencode(said | changes)


@dataclass
class World:
    """The case, and what lies in its exhibits."""

    case: Case
    exhibits: dict[str, str] = field(default_factory=dict)
    laid: dict[bytes, bytes] = field(default_factory=dict)

    def lay(self, exhibit: str, path: bytes, data: bytes, *, seized_ns: int | None = None, **claims: Any) -> bytes:
        """Lays a file into an exhibit; returns its SHA-256."""
        if exhibit not in self.exhibits:
            self.exhibits[exhibit] = new_id()
            values = (self.exhibits[exhibit], exhibit, "folder", f"/{exhibit}", "", "", seized_ns, None, None, "m", 1)
            columns = "id, label, kind, location, seized_by, seized_where, seized_ns, sha256, size, mandate, added_ns"
            with self.case.write("intake") as tx:
                tx.execute(f"INSERT INTO exhibits ({columns}) VALUES ({','.join('?' * 11)})", values)
        sha256 = hashlib.sha256(data).digest()
        item, held = new_id(), self.exhibits[exhibit]
        self.laid[sha256] = data
        with self.case.write("intake") as tx:
            tx.execute("INSERT INTO items VALUES (?,?,'b','done',NULL,NULL,?,1)", (item, held, len(data)))
        names = {"name_state": "live", "modified_ns": None, "times_source": "stat, UTC"}
        names |= {k: v for k, v in claims.items() if k != "content_state"}
        put(
            self.case, "listings", [{"item": item, "exhibit": held, "path": path, "size": len(data), **names}], "intake"
        )
        state = claims.get("content_state", "complete")
        content = {"item": item, "exhibit": held, "sha256": sha256, "size": len(data), "content_state": state}
        put(self.case, "contents", [content], "intake")
        self.say(sha256, [{k: v for k, v in row.items() if k not in ("data", "blob")} for row in rows(data)])
        return sha256

    def say(self, content: bytes, said: list[dict[str, Any]]) -> None:
        """Puts traits of a content into the case."""
        if said:
            put(self.case, "traits", [{"content": content, **row} for row in said], "intake")

    def belongs(self, exhibit: str) -> statements.Statement:
        (row,) = self.case.read().execute("SELECT label FROM subjects").fetchall()
        return statements.belongs(self.case, exhibit=exhibit, subject=row["label"], **STATED)

    def clock(self, exhibit: str, offset_ns: int = 0, error_ns: int = 0) -> statements.Statement:
        return statements.clock_was_off(self.case, exhibit=exhibit, offset_ns=offset_ns, error_ns=error_ns, **STATED)

    def lead(self) -> Corroborated:
        (lead,) = corroborate(self.case).leads
        return lead

    def shown(self, finding: Any) -> dict[str, bytes]:
        """The bytes that a finding points to."""
        data = self.laid[bytes.fromhex(finding.content)]
        return {what: data[at : at + length] for what, (at, length) in finding.shown.items()}


def lay_film(world: World, seized_ns: int | None = None, **by: str) -> tuple[bytes, dict[str, object]]:
    """A film whose every piece has the hash that a .torrent beside it states; its SHA-256, and what pieces said."""
    torrent = world.lay("A", b"a.torrent", made.bencode({"info": {"name": "a"}}), seized_ns=seized_ns)
    fields = {"network": "bittorrent", "kind": "torrent metainfo", "at": [0, 10], "infohash_v1": V1.hex()}
    world.say(torrent, [{"name": "p2p.entry", "text": json.dumps(fields, separators=(",", ":"))}])
    seized = world.lay("A", b"film.bin", b"seized" * 100)
    told = {"torrent": torrent.hex(), "size": 100_000, "offset": 0, "checked": 6, "matching": 6, "method": "v1"}
    told |= {"index": 0} if by else {}
    world.say(seized, [{"name": "pieces.verified", "text": json.dumps(told), **by}])
    return seized, told


def a_watch(case: Case, **changes: Any) -> None:
    body = {
        "id": "w-17", "label": "W-17", "infohash_v1": V1.hex(), "infohash_v2": V2.hex(), "piece_length": 1 << 14,
        "pieces": 10, "file_offset": 0, "file_length": 100_000, "scheme": "test", "category": "1", "graded_by": "x",
        "graded": "2026-01-01T00:00:00Z", "mandate": case.read().execute("SELECT id FROM mandates").fetchone()[0],
    }  # fmt: skip
    watch.add(case, mandate.sign_document("watch", body | changes, AUTHORITY))


@pytest.fixture
def make(case: Case):
    """`make(**changes)`: a case with one lead, from sightings changed so."""

    def do(**changes: Any) -> World:
        a_watch(case)
        put(case, "sightings", [sighting(1, FROM, **changes), sighting(2, TO, **changes)], "observe")
        attribute(case, registers=[], now_ns=TO)
        return World(case)

    return do


@pytest.fixture
def world(make) -> World:
    return make()


def artefacts_of(case: Case) -> tuple[tuple[str, bool], list[str]]:
    """What the lead says of artefacts, and all of that among what speaks against it."""
    (lead,) = listing.leads(case)
    return (lead["artefacts"]["outcome"], lead["artefacts"]["stands"]), [
        line for line in lead["against"] if line.startswith("artefacts of exhibits")
    ]


def recorded(case: Case) -> list[str]:
    """The actions in the ledger."""
    return [json.loads(row["line"])["action"] for row in case.read().execute("SELECT line FROM ledger ORDER BY seq")]
