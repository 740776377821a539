"""The verbs attribute, leads and prior, as a person types them."""

import json
import time

import pytest

from clew.cli.main import main
from clew.core import forces
from clew.model import Force


@pytest.fixture
def clew(capsys):
    """Runs a command; returns its exit status, what it printed, and what it complained of."""

    def do(*words):
        with pytest.raises(SystemExit) as ended:
            main([str(w) for w in words])
        told = capsys.readouterr()
        return ended.value.code, told.out, told.err

    return do


@pytest.fixture
def full(case, put):
    forces.add(case, Force("AT", "Force AT", "AT", None, None, None))
    now = time.time_ns()
    put(
        case,
        "sightings",
        [
            {
                "id": f"s{n}", "kind": "contact", "watch": "w1", "tier": "E2", "claim": "watched file",
                "address": "127.10.1.1", "port": 6881, "transport": "tcp", "started_ns": now - (9 - n) * 10**9,
                "ended_ns": now - (9 - n) * 10**9, "peer_id": b"-qB4630-" + bytes(12), "client": "qBittorrent/4.6.3",
                "pieces_claimed": 3, "inner_claimed": 2,
            }
            for n in range(3)
        ],
        "observe",
    )  # fmt: skip
    return case.folder


def test_from_sightings_to_a_printed_lead(clew, full, tmp_path):
    register = tmp_path / "a@b.csv"
    register.write_text("network,country,subdivision,kind\n127.10.0.0/16,AT,,isp\n", "utf-8")
    day = time.strftime("%Y-%m-%d")
    status, out, _ = clew("attribute", full, "--register", f"prefixes:{register}@{day}", "--json")
    assert status == 0
    assert json.loads(out)["forces"] == {"AT": 1}
    status, out, _ = clew("attribute", full, "--register", f"prefixes:{register}@{day}")
    assert (status, "by force: AT 1" in out, "note: " in out) == (0, True, True)

    args = ("--address", "127.10.1.1", "--statement", "an earlier case", "--source", "file 12")
    assert clew("prior", "add", full, *args)[0] == 0
    assert "an earlier case" in clew("prior", "list", full)[1]
    status, out, _ = clew("leads", full, "--force", "AT")
    assert status == 0
    assert "AT #1" in out
    assert "insufficient alone to identify a user; possession not tested" in out
    assert "not evidence from the network: an earlier case" in out
    status, out, _ = clew("leads", full, "--json")
    assert json.loads(out)["leads"][0]["prior_knowledge"][0]["source"] == "file 12"


@pytest.mark.parametrize("wrong", ["nothing", "mmdb", "mmdb:nowhere.mmdb", "prefixes:nowhere.csv", "iptocc:file", ":x"])
def test_a_wrong_register_is_a_usage_error_with_a_hint(clew, full, wrong):
    status, out, err = clew("attribute", full, "--register", wrong)
    assert (status, out) == (2, "")
    assert "clew: error:" in err
    assert "clew: hint:" in err


@pytest.mark.parametrize("verb", [["attribute"], ["leads"], ["prior", "add"], ["prior", "list"]])
def test_help_shows_an_example(clew, verb):
    status, out, _ = clew(*verb, "--help")
    assert status == 0
    assert f"clew {' '.join(verb)} CASE" in out
