"""A case with one watched file, contacts, and leads made from them, for the tests of what people are shown."""

from pathlib import Path

from clew.attribute.api import RegisterSpec
from clew.attribute.run import attribute
from clew.core import clock, forces, mandate, watch
from clew.model import Force
from facts_case import AUTHORITY, put

HOUR = 3_600_000_000_000
INFOHASH = bytes(range(0x40, 0x54))
HOSTILE = f"<script>alert(1)</script>\x1b[31m{INFOHASH.hex()} \u202e"


def contact(n, hours_ago, **changes):
    """A row of the sightings shard: a claim, 20 s long, by a measured clock."""
    at = clock.now().utc_ns - int(hours_ago * HOUR)
    return {
        "id": f"{n:032x}", "kind": "contact", "watch": "w17", "tier": "E2", "claim": "watched file",
        "source": "http://127.1.0.1:6969/announce", "address": "127.10.1.23", "port": 51413, "transport": "mse-rc4/tcp",
        "local_address": "127.9.0.1", "local_port": 40_000 + n, "started_ns": at, "ended_ns": at + 20_000_000_000,
        "clock_offset_ns": -12_345, "clock_error_ns": 3_400_500, "peer_id": b"-TR4050-" + bytes(12),
        "client": "Transmission 4.0.5", "pieces_claimed": 80, "inner_claimed": 50, "pieces_total": 100,
        "infohash_sent": INFOHASH, "tool": "clew 0 bittorrent 2", "vantage": "training vantage",
    } | changes  # fmt: skip


def claims(first=1, hours_ago=20, **changes):
    """Two of them, an hour apart: enough for a lead."""
    return [contact(first, hours_ago, **changes), contact(first + 1, hours_ago - 1, **changes)]


def lead_case(case, folder: Path, rows, *, kind="isp", more="", **options):
    """Puts the rows into the case and makes leads of them; returns the labels of their Subjects, by rank."""
    if not watch.all_of(case):
        forces.add(case, Force("AT", "Force AT", "AT", None, None, None))
        body = {
            "id": "w17", "label": "W-17", "infohash_v1": INFOHASH.hex(), "infohash_v2": None, "piece_length": 16_384,
            "pieces": 100, "file_offset": 0, "file_length": 16_384 * 60, "scheme": "Training scheme", "category": "1",
            "graded_by": "unit", "graded": "2026-11-01T00:00:00+00:00", "mandate": mandate.all_of(case)[0].id,
        }  # fmt: skip
        watch.add(case, mandate.sign_document("watch", body, AUTHORITY))
    if rows:
        put(case, "sightings", rows, "observe")
    register = folder / "register.csv"
    today = clock.iso(clock.now().utc_ns)[:10]
    networks = f"127.10.0.0/16,AT,,{kind}\n2001:db8::/32,AT,,{kind}\n"
    register.write_text(f"# dated: {today}\nnetwork,country,subdivision,kind\n{networks}{more}", "utf-8")
    attribute(case, registers=[RegisterSpec("prefixes", register)], **options)
    found = case.read().execute("SELECT label FROM leads JOIN subjects s ON s.id = subject ORDER BY rank")
    return [row["label"] for row in found]
