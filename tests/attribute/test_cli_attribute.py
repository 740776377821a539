"""The verbs attribute, leads and prior, as a person types them."""

import json
import time

import pytest
from lead_case import claims, lead_case

from clew.attribute.run import attribute
from clew.core import forces
from clew.model import Force


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


def test_pages_and_urgency_as_a_person_types_them(clew, case, tmp_path):
    lead_case(case, tmp_path, claims() + claims(3, 9, address="127.10.1.24", clock_error_ns=None))
    labels = {row[0]: row[1] for row in case.read().execute(
        "SELECT i.address, s.label FROM subjects s JOIN subject_intervals i ON i.subject = s.id")}  # fmt: skip
    measured, blind = labels["127.10.1.23"], labels["127.10.1.24"]
    page, ask = tmp_path / "lead.html", tmp_path / "ask.html"
    assert clew("lead", "show", case.folder, measured, "--out", page)[0] == 0
    assert measured in page.read_text("utf-8")
    assert page.stat().st_mode & 0o777 == 0o600
    assert clew("lead", "show", case.folder, measured, "--out", page)[0] == 2, "a page is never overwritten"
    status, out, _ = clew("provider", case.folder, measured, "--out", ask, "--retention-days", 90, "--json")
    assert status == 0
    assert len(json.loads(out)["lines"]) == 2
    assert ask.read_text("utf-8").startswith("<!doctype html>")
    status, out, err = clew("provider", case.folder, blind, "--out", tmp_path / "no.html")
    assert (status, out) == (1, "")
    assert "clock was not measured" in err
    assert "clew: hint:" in err
    assert not (tmp_path / "no.html").exists()
    assert clew("provider", case.folder, measured)[0] == 2
    status, out, _ = clew("lead", "urgent", case.folder, measured, "--reason", "a child lives there")
    assert (status, "its rank is now 1" in out) == (0, True)
    assert "called urgent: a child lives there" in clew("leads", case.folder)[1]
    assert clew("lead", "urgent", case.folder, measured, "--withdraw", "--reason", "not so")[0] == 0
    data = json.loads(clew("lead", "show", case.folder, measured, "--json")[1])
    assert data["lead"]["urgent"][0]["withdrawn_reason"] == "not so"
    assert data["coverage"]["unseen"].startswith("no estimate")


def test_a_period_comes_from_a_file_only_for_a_certain_country(clew, case, tmp_path):
    label, *_ = lead_case(case, tmp_path, claims())
    periods = tmp_path / "periods.csv"
    periods.write_text("country,days,source,dated\nAT,90,made up,2026-11-01\n", "utf-8")
    args = ("provider", case.folder, label, "--json", "--retention", periods)
    assert json.loads(clew(*args)[1])["period"]["source"] == "made up"
    assert clew(*args, "--retention-days", 3)[0] == 2
    attribute(case, registers=[])
    assert json.loads(clew(*args)[1])["period"] is None


def test_ranks_and_grades_as_a_person_types_them(clew, full, tmp_path):
    assert clew("attribute", full, "--rank", "nothing")[0] == 2
    assert clew("attribute", full, "--grades", tmp_path / "nowhere.csv")[0] == 2
    assert clew("attribute", full, "--rank", "plain_sum")[0] == 0


@pytest.mark.parametrize(
    "verb",
    [["attribute"], ["leads"], ["prior", "add"], ["prior", "list"], ["provider"], ["lead", "show"], ["lead", "urgent"]],
)
def test_help_shows_an_example(clew, verb):
    status, out, _ = clew(*verb, "--help")
    assert status == 0
    assert f"clew {' '.join(verb)} CASE" in out
