"""From real clients' files to a supported lead: intake, pieces, attribute, statement, corroborate, by their verbs."""

import hashlib
import json
import os
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from clew.cli.main import main
from clew.core import mandate, watch
from clew.intake.options import Options
from clew.intake.run import intake
from clew.intake.tools import ARTEFACTS
from facts_case import AUTHORITY, put

P2P = Path(os.environ.get("CLEW_CORPUS", "/nonexistent")) / "generated/p2p"
INFOHASH = "53cd05daf78f7e88330c445e03edce8c8b62f752"  # of clew-a.torrent, a file of random bytes made for this
ADDED_S = 1_795_467_718  # by qBittorrent's own clock
PLUGINS = tuple(f"{ARTEFACTS}.{name}:PLUGIN" for name in ("torrent", "fastresume", "transmission", "session"))


@pytest.fixture
def clew(capsys):
    """Runs a command that must succeed; what it printed as JSON."""

    def do(*words):
        with pytest.raises(SystemExit) as ended:
            main([*map(str, words), "--json"])
        assert ended.value.code == 0
        told = capsys.readouterr().out
        assert INFOHASH not in told.lower()
        return json.loads(told)

    return do


def at(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()


@pytest.mark.corpus
def test_from_a_seized_profile_to_a_supported_lead(clew, case, tmp_path) -> None:
    body = {
        "id": "w-1", "label": "W-1", "infohash_v1": INFOHASH, "infohash_v2": None, "piece_length": 32_768, "pieces": 10,
        "file_offset": 0, "file_length": 300_000, "scheme": "test", "category": "1", "graded_by": "x",
        "graded": at(ADDED_S), "mandate": case.read().execute("SELECT id FROM mandates").fetchone()[0],
    }  # fmt: skip
    watch.add(case, mandate.sign_document("watch", body, AUTHORITY))
    sighting = {
        "kind": "contact", "watch": "w-1", "tier": "E2", "claim": "watched file", "address": "127.0.0.1",
        "port": 51_999, "transport": "tcp", "client": "Transmission 3.00",
        "peer_id": b"-TR3000-" + bytes(12), "pieces_claimed": 10, "inner_claimed": 9,
        "clock_offset_ns": 0, "clock_error_ns": 10**6,
    }  # fmt: skip
    times = [(ADDED_S + later) * 10**9 for later in (600, 1_200)]
    put(case, "sightings", [sighting | {"id": f"s{t}", "started_ns": t, "ended_ns": t} for t in times], "observe")
    folder = case.folder
    assert clew("attribute", folder)["leads"] == 1
    seized = shutil.copytree(P2P, tmp_path / "seized")
    for path in seized.rglob("*"):
        os.utime(path, (ADDED_S + 1_800, ADDED_S + 1_800))  # a corpus has the times of its copy, not of its clients
    intake(case, path=seized, label="AT-17", options=Options(workers=1, extractors=PLUGINS))
    assert clew("pieces", folder, "--workers", "1")["whole"] > 0
    (unlinked,) = clew("corroborate", folder)["leads"]
    assert unlinked["outcome"] == "supported"  # qBittorrent knew this endpoint, whoever's machine that is
    assert unlinked["matches"] == ["endpoint in a client's list"]
    why = ("--statement", "as reported", "--source", "report 4")
    clew("statement", "belongs", folder, "--exhibit", "AT-17", "--subject", unlinked["subject"], *why)
    clew("statement", "clock", folder, "--exhibit", "AT-17", "--offset", "0s", "--error", "2s", *why)
    (lead,) = clew("corroborate", folder)["leads"]
    assert lead["outcome"] == "supported"
    assert lead["matches"] == ["infohash", "times", "verified pieces", "endpoint in a client's list"]
    assert sum("added" in finding["shown"] for finding in lead["findings"]) >= 2
    files = [path.read_bytes() for path in P2P.rglob("*") if path.is_file()]
    contents = {hashlib.sha256(data).hexdigest(): data for data in files}
    for finding in lead["findings"]:
        data = contents[finding["content"]]
        shown = {what: data[at : at + length] for what, (at, length) in finding["shown"].items()}
        assert abs(int(shown.get("added", b"i%de" % ADDED_S).strip(b"ie")) - ADDED_S) < 200
        if finding["kind"] == "fastresume":
            assert shown["infohash"] == b"20:" + bytes.fromhex(INFOHASH)
    assert {f["kind"] for f in lead["findings"]} == {"torrent metainfo", "fastresume", "transmission resume", "file"}
