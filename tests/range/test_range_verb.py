"""`clew range show` and `clew range run`: a scenario of one's own, cast, observed and scored in a few seconds."""

import hashlib
import json
import shutil
import sqlite3
from contextlib import closing

import pytest
from click.testing import CliRunner

from capture_here import capturing
from clew.cli import _range_run
from clew.cli._range_run import Played
from clew.cli.main import main
from clew.cli.range import COMMAND
from clew.core.case import Case
from clew.core.errors import Exit, Usage
from clew.observe.comparing import compare
from clew.observe.handed import Given
from clew.observe.taking import take
from clew.range.canary import canary_bytes
from clew.range.score import Score

TINY = """
title = "a few seconds"
watches = 3
unwatched_torrents = 1
real_torrents = 0
nameless_watches = 0
revisit = 1.5
seconds = 6.0
switch = 3.0
handover = 0.5
rate = 200.0
at_once = 200
announce = 2.0
carriers = ["tcp"]
sources = ["http tracker"]
disk = "none"
[subjects]
total = 12
cgnat = 4
lazy = 2
nat = 1
utp-only = 1
[bystanders]
total = 12
promiscuous = 2
framed = 2
stale = 2
unwatched = 2
"""


def clew(*words):
    return CliRunner().invoke(COMMAND, [str(word) for word in words], standalone_mode=False)


@pytest.fixture(scope="module")
def scenario(tmp_path_factory):
    path = tmp_path_factory.mktemp("range") / "tiny.toml"
    path.write_text(TINY)
    return path


@pytest.fixture(scope="module")
def canaries():
    """What the fakes of each operation push unasked, in pieces that nobody may keep."""
    return []


@pytest.fixture(scope="module")
def played(scenario, canaries):
    out = scenario.parent / "operation"

    def noted(folder, canary):
        canaries.append(canary)
        return canary_bytes(folder, canary)

    with capturing(scenario.parent / "run.pcap", "tcp"), pytest.MonkeyPatch.context() as patch:
        patch.setattr(_range_run, "canary_bytes", noted)
        result = clew("run", scenario, "--out", out, "--seed", 3, "--json")
    assert (result.exit_code, result.return_value) == (0, Exit.DONE), result.output
    return out, result


def test_show_says_what_is_planted(scenario):
    found = json.loads(clew("show", scenario, "--json").output)
    counts = {row["class"]: (row["parties"], row["contactable"]) for row in found["classes"]}
    assert counts["plain"] == (4, 4)
    assert counts["nat"] == (1, 0)
    assert counts["bystander torrent-only"] == (4, 0)
    assert all(row["says"] for row in found["classes"])
    assert found["text"] == TINY
    assert "     4       4  plain: one client on one line" in clew("show", scenario).output


def test_run_finds_who_is_there_and_calls_nobody_else_a_lead(played):
    out, result = played
    told = json.loads((out / "score.json").read_text())
    assert json.loads(result.stdout) == told
    found = told["score"]
    assert (found["planted"], found["contactable"], found["found"]) == (12, 10, 10)
    assert found["false"] == []
    assert (told["forbidden"], told["canary_bytes"], told["seed"]) == (0, 0, 3)
    assert found["by_class"]["cgnat"]["found"] == 4
    assert {miss["kind"]: miss["reason"] for miss in found["misses"]} == {
        "nat": "nobody is reachable there",
        "utp-only": "accepts no supported transport",
    }
    assert 1.4 <= found["delays"]["seconds"][0] <= found["delays"]["p90"] <= 6
    assert hashlib.sha256((out / "truth.json").read_bytes()).hexdigest() == told["truth_sha256"]
    assert told["truth_sha256"] in result.stderr


@pytest.mark.parametrize(
    ("forbidden", "canary", "status"),
    [(0, 0, Exit.DONE), (1, 0, Exit.FORBIDDEN), (0, 8, Exit.FORBIDDEN), (2, 8, Exit.FORBIDDEN)],
)
@pytest.mark.parametrize("form", [[], ["--json"]])
def test_what_no_observer_may_do_or_keep_is_a_status_of_its_own(
    scenario, tmp_path, monkeypatch, capsys, forbidden, canary, status, form
):
    told = Played(3, Score(), forbidden, ("REQUEST to 127.10.1.1",) * forbidden, canary, "0" * 64)
    monkeypatch.setattr(_range_run, "play", lambda *_: told)
    with pytest.raises(SystemExit) as ended:
        main(["range", "run", str(scenario), "--out", str(tmp_path / "out"), *form])
    assert ended.value.code == status
    assert status in (0, 4)
    said = capsys.readouterr().out
    if form:
        assert (json.loads(said)["forbidden"], json.loads(said)["canary_bytes"]) == (forbidden, canary)
    else:
        assert f"{forbidden} forbidden messages, {canary} canary bytes in the case" in said


def test_of_a_lazy_bitfield_nobody_says_that_it_shrinks(played):
    out, result = played
    assert json.loads(result.stdout)["score"]["by_class"]["lazy"]["found"] == 2
    with closing(sqlite3.connect(out / "case" / "case.db")) as conn:
        beside = [json.loads(text) for (text,) in conn.execute("SELECT beside FROM lead_details")]
    assert len(beside) > 10
    assert not [line for each in beside for line in each["contradictions"] if "shrank" in line]


def test_a_capture_of_it_matches_and_brings_nothing_of_what_was_pushed_into_a_case(played, canaries, tmp_path):
    out, _ = played
    (canary,) = canaries
    path = out.parent / "run.pcap"
    assert path.read_bytes().count(canary) > 10
    shutil.copytree(out / "case", tmp_path / "case")
    case = Case.open(tmp_path / "case")
    try:
        compared = compare(case, path)
        assert compared.matches, compared.as_dict()
        taken = take(case, Given(path, "C-1", "tester", "loopback"))
        assert taken.tiers["captured E1"] > 10
    finally:
        case.close()
    assert canary_bytes(tmp_path / "case", canary) == 0


def test_the_verb_scores_the_case_again(played):
    out, _ = played
    again = json.loads(clew("score", out / "case", out / "truth.json", "--json").output)
    assert again == json.loads((out / "score.json").read_text())["score"]
    assert "found of all planted: 10 of 12" in clew("score", out / "case", out / "truth.json").output


def test_what_is_refused(scenario, played):
    out, _ = played
    for words in (("run", scenario, "--out", out), ("run", "no-such", "--out", out.parent / "b"), ("show", "no-such")):
        refused = clew(*words).exception
        assert isinstance(refused, Usage)
        assert refused.hint
        assert refused.status == Exit.USAGE
