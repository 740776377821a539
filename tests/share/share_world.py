"""A small case whose every fact is known: two forces, two watches, leads that may leave and leads that may not."""

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path

from clew.core import clock, forces, keys, mandate, shards, watch
from clew.core.case import Case
from clew.model import Bundle, Force, Watch
from clew.share.run import build

DAY = 86_400_000_000_000
V1 = bytes(range(20))
V2 = bytes(range(100, 132))
CLOCK_ERROR = 4_000_000


@dataclass
class World:
    """The coordinating force's case and everybody's keys."""

    folder: Path
    case: Case
    now: int
    watches: list[Watch]
    mandate: str
    numbers: int = 0
    leads: dict[str, str] = field(default_factory=dict)

    @property
    def keys(self) -> Path:
        return self.folder / "keys"

    def identity(self, code: str) -> str:
        return keys.age_identity(code, self.keys)

    def public(self, code: str) -> str:
        return keys.public_hex(keys.signing_key(code, self.keys))

    def build(self, force: str = "AT", out: str = "out", **more: object) -> Bundle:
        return build(
            self.case, force_code=force, out=self.folder / out, key_name="EU", keys_folder=self.keys, now_ns=self.now
        )

    def case_of(self, code: str, name: str = "", *, knows_sender: bool = True) -> Case:
        case = Case.create(
            self.folder / (name or f"case-{code}"), operation="Op", force=code, authority=self.public("EU"), actor="t"
        )
        if knows_sender:
            forces.add(case, Force("EU", "Coordinator", "BE", None, None, self.public("EU")))
        return case

    def sighting(self, address: str, port: int, **changes: object) -> dict[str, object]:
        """One row of the sightings shard: by default a strong contact."""
        self.numbers += 1
        start = self.now - 2 * DAY + self.numbers * 300_000_000_000
        row: dict[str, object] = {
            "id": f"{self.numbers:032x}",
            "kind": "contact",
            "watch": self.watches[0].id,
            "tier": "E2",
            "claim": "watched file",
            "source": "tracker",
            "address": address,
            "port": port,
            "transport": "tcp",
            "local_address": "127.0.0.1",
            "local_port": 4000,
            "started_ns": start,
            "ended_ns": start + 1_000_000,
            "monotonic_ns": self.numbers,
            "clock_offset_ns": -1_000_000,
            "clock_error_ns": CLOCK_ERROR,
            "infohash_sent": V1,
            "infohash_echoed": V1,
            "peer_id": b"-TR4000-abcdefghijkl",
            "reserved": bytes(8),
            "client": "Transmission 4.0.0",
            "listen_port": port,
            "pieces_claimed": 10,
            "inner_claimed": 5,
            "pieces_total": 10,
            "repeats": None,
            "promiscuous": False,
            "missing": None,
            "missing_detail": None,
            "transcript": b"CT\x01" + bytes(8) + b"\x13BitTorrent protocol" + V1 + bytes([self.numbers]),
            "tool": "clew test",
            "config": "c" * 64,
            "mandate": self.mandate,
            "vantage": "test",
        }
        return row | changes

    def lead(self, name: str, rows: list[dict[str, object]], **changes: object) -> str:
        """A Subject with one interval over these sightings, and its Lead."""
        identity = hashlib.md5(name.encode()).hexdigest()
        subject = hashlib.md5(f"subject {name}".encode()).hexdigest()
        lead: dict[str, object] = {
            "id": identity,
            "subject": subject,
            "force": "AT",
            "rank": len(self.leads) + 1,
            "score": 20.5,
            "tier": "E2",
            "torrent_only": 0,
            "country": "AT",
            "uncertain": 0,
            "network_kind": "unknown",
            "lookups": json.dumps([{"name": "register one", "dated": "2026-01-01T00:00:00.000Z", "country": "AT"}]),
            "features": json.dumps({"claims": 2.0, "watched_files": 1.0, "urgent": 0.0}),
            "caveats": json.dumps([f"caveat of {name}"]),
            "against": json.dumps([f"speaks against {name}"]),
            "expires_ns": self.now + 90 * DAY,
            "state": "assigned",
        } | changes
        interval = (
            *(subject, rows[0]["address"], rows[0]["port"], "tcp", rows[0]["started_ns"], rows[-1]["ended_ns"], "E2"),
            *(rows[0]["watch"], json.dumps([row["id"] for row in rows])),
        )
        with self.case.write("attribute") as tx:
            tx.execute("INSERT INTO subjects VALUES (?,?,?)", (subject, f"SUB-{name}", "[]"))
            tx.execute("INSERT INTO subject_intervals VALUES (?,?,?,?,?,?,?,?,?)", interval)
            names = ", ".join(lead)
            tx.execute(f"INSERT INTO leads ({names}) VALUES ({', '.join('?' * len(lead))})", list(lead.values()))
        self.leads[name] = identity
        return identity

    def store(self, kind: str, rows: list[dict[str, object]], stage: str) -> None:
        pending = shards.write(self.case, kind, rows)
        with self.case.write(stage) as tx:
            shards.commit(tx, stage=stage, batch=f"{kind}{self.numbers}", versions="1", config="", pending=[pending])

    def contents(self, *texts: str) -> list[bytes]:
        rows: list[dict[str, object]] = []
        for text in texts:
            data = text.encode()
            rows.append(
                {
                    "item": hashlib.md5(data).hexdigest(),
                    "exhibit": "e" * 32,
                    "sha256": hashlib.sha256(data).digest(),
                    "sha1": hashlib.sha1(data).digest(),
                    "md5": hashlib.md5(data).digest(),
                    "size": len(data),
                    "media_type": "image/png",
                    "content_state": "complete",
                }
            )
        self.store("contents", rows, "intake")
        return [hashlib.sha256(text.encode()).digest() for text in texts]

    def grade(self, content: bytes, state: str, at: int, code: str = "1", distance: int | None = None) -> None:
        self.numbers += 1
        row = (
            f"{self.numbers:032x}",
            content,
            "VICS",
            "US",
            "2.0",
            code,
            state,
            "reviewer",
            at,
            None,
            distance,
            None,
            "s",
        )
        with self.case.write("review") as tx:
            tx.execute(f"INSERT INTO grades VALUES ({','.join('?' * len(row))})", row)


def make_world(folder: Path) -> World:
    """The case, its keys, mandate, watches and forces; no facts yet."""
    keys_folder = folder / "keys"
    for code in ("authority", "EU", "AT", "DE", "evil"):
        keys.new_signing_key(code, keys_folder)
        keys.new_age_identity(code, keys_folder)
    authority = keys.signing_key("authority", keys_folder)
    case = Case.create(
        folder / "case", operation="Example & Co", force="EU", authority=keys.public_hex(authority), actor="tester"
    )
    now = clock.now().utc_ns
    body = {
        "id": "a" * 32,
        "operation": "Example & Co",
        "authority": "Example court",
        **{name: ["*"] for name in ("purposes", "networks", "addresses", "trackers", "exhibits")},
        "countries": ["AT", "DE", "XX"],
        "permits": [],
        "not_before": clock.iso(now - 30 * DAY),
        "not_after": clock.iso(now + 30 * DAY),
    }
    mandate.add(case, mandate.sign_document("mandate", body, authority))
    watches = [
        Watch("1" * 32, "W-1", V1, V2, 16384, 10, 0, 163840, "VICS US", "1", "Example unit", now - 60 * DAY, "a" * 32),
        Watch(
            "2" * 32,
            "W-2",
            bytes(range(50, 70)),
            None,
            None,
            None,
            None,
            None,
            "VICS US",
            "2",
            "U",
            now - 60 * DAY,
            "a" * 32,
        ),
    ]
    for each in watches:
        watch.add(case, mandate.sign_document("watch", watch.to_body(each), authority))
    for code, country in (("AT", "AT"), ("DE", "DE"), ("EU", "BE")):
        recipient = (keys_folder / f"{code}.recipient").read_text().strip()
        public = keys.public_hex(keys.signing_key(code, keys_folder))
        forces.add(case, Force(code, f"Police of {code}", country, None, recipient, public))
    with case.write("attribute") as tx:
        tx.record("leads.rebuilt", subject={"evidence": {"": 0}})  # leads know the sightings that name no run
    return World(folder, case, now, watches, "a" * 32)


def fill(world: World) -> World:
    """Leads that may leave ("first", "second"; "german" for DE), and one of each kind that may not; four contents."""
    rows = [world.sighting("192.0.2.1", 6881), world.sighting("192.0.2.1", 6881)]
    world.lead("first", rows)
    second = [world.sighting("2001:db8::1", 6882), world.sighting("2001:db8::1", 6882, infohash_echoed=V2[:20])]
    world.lead("second", second)
    german = [world.sighting("192.0.2.3", 6883)]
    world.lead("german", german, force="DE", country="DE")
    hearsay = [world.sighting("192.0.2.4", 6884, tier="E0", kind="listed")]
    world.lead("hearsay", hearsay)
    echo = [world.sighting("192.0.2.5", 6885)]
    probe = [world.sighting("192.0.2.5", 6885, kind="control", promiscuous=True)]
    world.lead("echo", echo)
    doubtful = [world.sighting("192.0.2.6", 6886)]
    world.lead("doubtful", doubtful, uncertain=1)
    kept = [world.sighting("192.0.2.7", 6887)]
    world.lead("kept", kept, force=None, state="coordinator", uncertain=1)
    late = [world.sighting("192.0.2.8", 6888)]
    world.lead("late", late, expires_ns=world.now)
    world.store("sightings", rows + second + german + hearsay + echo + probe + doubtful + kept + late, "observe")
    decided, confirmed, proposed, undone, rejected, _ = world.contents("one", "two", "three", "four", "five", "six")
    world.grade(decided, "decided", 10)
    world.grade(confirmed, "confirmed", 11, code="2", distance=12)
    world.grade(proposed, "proposed", 12, distance=9)
    world.grade(undone, "undone", 13)
    world.grade(rejected, "confirmed", 14)
    world.grade(rejected, "rejected", 15)
    return world
