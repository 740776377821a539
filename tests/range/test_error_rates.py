"""The table of error rates: seeds that nobody chooses, every run counted, and a tool that goes on where it was."""

import hashlib
import importlib.util
import json
import sys
from pathlib import Path

import pytest

from clew.core.errors import Exit
from clew.range.cast import make_scenario
from clew.range.error_page import page
from clew.range.error_rates import nothing_found, seeds, table_of
from clew.range.judge import Wrong
from clew.range.scenario_file import parse, text_of
from clew.range.score import Score, Tally

TOOL = Path(__file__).parents[2] / "tools" / "error_rates.py"
BUILD = "ab" * 32
SMALL = make_scenario(3, parse(text_of("small")), ports=tuple(range(6881, 6899)), real_port=6899)


def test_seeds_are_those_of_the_build():
    found = seeds(BUILD, 20)
    digest = hashlib.sha256(f"clew error rates {BUILD} 1".encode()).hexdigest()
    assert found[0] == int(digest[:8], 16) // 2
    assert found == seeds(BUILD, 30)[:20], "more operations go on where fewer ended"
    assert len(set(found)) == 20
    assert not set(found) & set(seeds("cd" * 32, 20))
    assert all(0 <= seed < 2**31 for seed in found)


def scored(**changes):
    result = Score(planted=10, contactable=8, found=8, leads=9)
    result.by_class = {"plain": Tally(10, 8, 8, 0, 9, {}, [1.0, 3.0])}
    result.by_country = {"AT": Tally(10, 8, 8, 0, 9, {}, [1.0, 3.0])}
    for name, value in changes.items():
        setattr(result, name, value)
    return result.as_dict()


def operation(number, score, **changes):
    usual = {"number": number, "seed": number * 7, "state": "done", "attempts": 1, "why": "", "forbidden": 0}
    return {**usual, "canary_bytes": 0, "score": score, **changes}


def made(operations):
    return table_of(BUILD, "9.9", {"name": "small", "sha256": "ef" * 32}, operations)


def test_every_run_counts_failures_too():
    fine = [operation(n, scored()) for n in range(1, 20)]
    failed = operation(20, nothing_found(SMALL).as_dict(), state="failed", why="exit status 1", forbidden=None)
    contactable = sum(map(SMALL.contactable, SMALL.planted()))
    table = made([*fine, {**failed, "canary_bytes": None}])
    missed = table["rates"]["contactable subjects missed"]
    assert (missed["n"], missed["of"], missed["with_any"]) == (contactable, 19 * 8 + contactable, 1)
    assert missed["at_most"] > missed["n"] / missed["of"]
    false = table["rates"]["leads that are false"]
    assert (false["of"], false["operations"]) == (19 * 9, 19), "one without a lead says nothing of false ones"
    assert false["at_most"] > 1 - 0.05 ** (1 / 20), "and lowers no bound"
    assert table["by_class"]["cgnat"]["missed"]["n"] == 4
    assert table["by_class"]["plain"]["missed"]["n"] == 8
    assert sum(row["missed"]["n"] for row in table["by_country"].values()) == contactable
    assert sum(row["planted"] for row in table["by_class"].values()) == 19 * 10 + 56
    text = page(table)
    assert "| 20 | 140 | failed | 1 |" in text
    assert "| unknown | unknown | exit status 1 |" in text
    assert "it adds nothing to the false leads" in " ".join(text.split())
    assert "| leads that are false | 0 | 171 | 14.59% | 0 of 19 |" in text


def test_the_page():
    false = {**{k.value: 0 for k in Wrong}, Wrong.SHARED.value: 2}
    bad = scored(
        split=3,
        false=["one", "two"],
        false_by_kind=false,
        by_class={"vpn": Tally(10, 8, 7, 0, 9, {Wrong.SHARED: 2}, [2.0, 9.0])},
    )
    table = made([*(operation(n, scored()) for n in range(1, 20)), operation(20, bad)])
    assert table["by_class"]["vpn"]["false"]["n"] == 2
    assert table["by_class"]["plain"]["delay"] == {"n": 38, "median": 1.0, "p90": 3.0}
    text = page(table)
    assert text.startswith("# Range error rates; field rates unknown\n")
    assert BUILD in text
    assert "UNVALIDATED BUILD" in text
    assert "(splits, no failure): 3." in text
    for line in (
        "| contactable subjects missed | 0 | 160 | 13.91% | 0 of 20 |  | 1.85% |",
        "| leads that are false | 2 | 180 | 13.91% | 1 of 20 | 2.02 | 3.46% |",
        "| shared address without a caveat | 2 | 180 | 13.91% | 1 of 20 | 2.02 | 3.46% |",
        "| vpn | 10 | 1 | 8 | 100.00% | 2 | 9 | 100.00% | 2.0 | 9.0 |",
    ):
        assert line in text
    assert json.loads(json.dumps(table, allow_nan=False)) == table


@pytest.fixture
def module():
    """The tool as it is."""
    spec = importlib.util.spec_from_file_location("error_rates_tool", TOOL)
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


@pytest.fixture
def tool(module, tmp_path, monkeypatch):
    """The tool with folders of its own, and an operation that takes no time: see `runs`."""
    monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.setattr(module, "PAGE", tmp_path / "error-rates.md")
    monkeypatch.setattr(module, "TABLE", tmp_path / "error_rates.json")
    build = module.validated.build_hash()
    monkeypatch.setattr(module.validated, "hash_of", lambda _folder: build)
    module.runs = []

    def run(command, _seconds):
        seed = int(command[command.index("--seed") + 1])
        module.runs.append(seed)
        if len(module.runs) == 3:
            return "exit status 1: planned"
        if len(module.runs) == 6:
            raise KeyboardInterrupt
        out = Path(command[command.index("--out") + 1])
        out.mkdir()
        told = {"score": scored(), "seed": seed, "forbidden": 0, "canary_bytes": 0, "truth_sha256": "0"}
        (out / "score.json").write_text(json.dumps(told))
        return ""

    monkeypatch.setattr(module, "_run", run)
    return module


def test_the_tool_goes_on_where_it_was_and_repeats_no_failure(tool, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["error_rates.py", "--scenario", "small", "--work", str(tool.ROOT / "work")])
    with pytest.raises(KeyboardInterrupt):
        tool.main()
    assert not tool.PAGE.exists()
    assert tool.main() == 0
    wanted = seeds(tool.validated.build_hash(), 20)
    assert tool.runs == [*wanted[:6], *wanted[5:]], "the sixth was interrupted, and is run once more"
    table = json.loads(tool.TABLE.read_text())
    assert [o["attempts"] for o in table["operations"]] == [1, 1, 1, 1, 1, 2, *[1] * 14]
    assert [o["number"] for o in table["operations"] if o["state"] == "failed"] == [3]
    assert table["build"] == tool.validated.build_hash()
    assert tool.PAGE.read_text() == page(table)
    assert tool.main() == 0
    assert len(tool.runs) == 21, "nothing is run a second time"
    assert "exit status 1: planned" in capsys.readouterr().out


def test_the_tool_measures_what_make_measures_where_nothing_else_is_said(tool, monkeypatch):
    asked = []

    def text_of(name):
        asked.append(name)
        raise SystemExit

    monkeypatch.setattr(tool.scenario_file, "text_of", text_of)
    monkeypatch.setattr(sys, "argv", ["error_rates.py"])
    with pytest.raises(SystemExit):
        tool.main()
    (line,) = (each for each in (TOOL.parents[1] / "Makefile").read_text("utf-8").splitlines() if TOOL.name in each)
    assert line.split()[-1] in (*asked, f"tools/{TOOL.name}")


def test_the_tool_refuses_too_few_and_sources_that_changed(tool, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["error_rates.py", "--operations", "19"])
    with pytest.raises(SystemExit):
        tool.main()
    few = ["error_rates.py", "--scenario", "small", "--operations", "2", "--print", "--work", str(tool.ROOT / "work")]
    monkeypatch.setattr(sys, "argv", few)
    monkeypatch.setattr(tool.validated, "hash_of", lambda _folder: "0" * 64)
    assert tool.main() == 1
    assert not tool.PAGE.exists()


def test_why_an_operation_failed_is_kept(module, tmp_path):
    kept = tmp_path / "001.json"
    module.CLEW = "import sys; sys.stderr.write('clew: error: no ports'); sys.exit(1)"
    module._operation(kept, 1, 5, text_of("small"))
    found = json.loads(kept.read_text())
    assert (found["state"], found["why"]) == ("failed", "exit status 1: clew: error: no ports")
    assert (found["score"]["contactable"], found["score"]["found"], found["forbidden"]) == (51, 0, None)
    assert module._run([sys.executable, "-c", "import time; time.sleep(9)"], 0.2) == "not done after 0 seconds"


def test_an_operation_with_a_forbidden_message_is_done_and_counts_it(module, tmp_path):
    told, kept = tmp_path / "told.json", tmp_path / "001.json"
    told.write_text(json.dumps({"score": scored(), "seed": 5, "forbidden": 2, "canary_bytes": 32}))
    where = "out = sys.argv[sys.argv.index('--out') + 1]"
    copied = f"os.mkdir(out); shutil.copyfile({str(told)!r}, out + '/score.json')"
    module.CLEW = f"import os, shutil, sys; {where}; {copied}; sys.exit({Exit.FORBIDDEN:d})"
    module._operation(kept, 1, 5, text_of("small"))
    found = json.loads(kept.read_text())
    assert (found["state"], found["why"], found["forbidden"], found["canary_bytes"]) == ("done", "", 2, 32)
