"""A case with forces, dated registers and claims, and a run that makes leads of them, for the tests of runs."""

from datetime import UTC, datetime

import pytest

from clew.attribute.api import RegisterSpec
from clew.attribute.run import attribute
from clew.core import forces
from clew.model import Force

DAY = 86_400_000_000_000
NOW = int(datetime(2026, 11, 20, tzinfo=UTC).timestamp()) * 1_000_000_000
MINUTE = 60_000_000_000


@pytest.fixture
def register(tmp_path):
    def make(rows, dated="2026-11-15", name="list"):
        path = tmp_path / f"{name}.csv"
        path.write_text(f"# dated: {dated}\nnetwork,country,subdivision,kind\n{rows}", "utf-8")
        return RegisterSpec("prefixes", path)

    return make


@pytest.fixture
def countries(register):
    return register(
        "127.10.0.0/16,AT,,\n127.11.0.0/17,DE,N,\n127.11.128.0/17,DE,S,\n127.12.0.0/16,FR,,\n", name="first"
    )


@pytest.fixture
def full(case):
    for code, country, region in (("AT", "AT", None), ("DE-N", "DE", "N"), ("DE-S", "DE", "DE-S"), ("XX", "XX", None)):
        forces.add(case, Force(code, f"Force {code}", country, region, None, None))
    return case


def sight(n, address="127.10.1.1", at=NOW - DAY, **changes):
    return {
        "id": f"s{n:03d}", "kind": "contact", "watch": "w1", "tier": "E2", "claim": "watched file", "source": "tracker",
        "address": address, "port": 6881, "transport": "tcp", "started_ns": at + n * 20 * MINUTE,
        "ended_ns": at + n * 20 * MINUTE + MINUTE, "peer_id": b"-qB4630-" + bytes([n] * 12),
        "client": "qBittorrent/4.6.3", "pieces_claimed": 10, "inner_claimed": 5, "promiscuous": False,
    } | changes  # fmt: skip


def claims(address="127.10.1.1", start=0, **changes):
    return [sight(start, address, **changes), sight(start + 1, address, **changes)]


@pytest.fixture
def run(put):
    def do(case, rows, registers, **options):
        if rows:
            put(case, "sightings", rows, "observe")
        summary = attribute(case, registers=registers, now_ns=NOW, **options)
        return summary, case.read().execute("SELECT * FROM leads ORDER BY force, rank").fetchall()

    return do


def dump(case):
    tables = ("subjects", "subject_intervals", "possible_links", "leads", "lead_details", "registers")
    return {t: [tuple(r) for r in case.read().execute(f"SELECT * FROM {t}")] for t in tables}
