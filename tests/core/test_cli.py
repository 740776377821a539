"""The command line: every verb explains itself, and errors say what happened and what to do."""

import json
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

from clew.cli.main import ORDER, cli, verbs
from clew.core.case import Case
from clew.core.errors import Exit
from clew.flow import FLOW

ROOT = Path(__file__).parents[2]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from clew.cli.main import main; main()", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def every_command() -> list[tuple[str, click.Command]]:
    found = []
    for verb in verbs():
        command = cli.get_command(click.Context(cli), verb)
        found.append((verb, command))
        if isinstance(command, click.Group):
            found += [(f"{verb} {name}", sub) for name, sub in command.commands.items()]
    return found


@pytest.mark.parametrize(("name", "command"), every_command(), ids=[n for n, _ in every_command()])
def test_every_verb_has_help_with_an_example(name: str, command: click.Command) -> None:
    text = command.get_help(click.Context(command, info_name=f"clew {name}"))
    assert command.help or command.short_help
    assert "Example" in text, f"clew {name} --help shows no example"
    assert f"clew {name.split(maxsplit=1)[0]}" in (command.epilog or "")


def test_the_overview_names_every_verb_and_each_that_is_in_order_exists() -> None:
    listed = re.findall(r"^  ([a-z]\S*) ", run("--help").stdout.split("\nCommands:\n")[1], flags=re.M)
    files = {path.stem for path in (ROOT / "src" / "clew" / "cli").glob("[a-z]*.py")} - {"main"}
    assert listed == verbs()
    assert sorted(listed) == sorted(files)
    assert set(ORDER) <= files


def test_the_overviews_first_steps_are_commands_and_those_of_the_readme() -> None:
    said = re.search(r"Begin with your own evidence:\s+clew init CASE, then clew ([^.]*?)\n\n", run("--help").stdout)
    steps = ["init", *re.split(r",\s+", said[1])]
    assert set(steps) <= {name for name, _ in every_command()}
    block = (ROOT / "README.md").read_text("utf-8").split("## First steps on your own evidence\n")[1].split("```")[1]
    lines = re.findall(r"^clew (\S+(?: \S+)?)", block, flags=re.M)
    done = [next((name for name in (line, line.split()[0]) if name in steps), None) for line in lines]
    assert [step for step in done if step] == steps
    stages = {stage.name for stage in FLOW} - {"observe", "attribute", "share"}  # of the network, and what comes after
    assert stages <= set(steps)


def test_errors_have_a_hint_and_a_status(tmp_path: Path) -> None:
    none = run("status", str(tmp_path))
    assert none.returncode == 2
    assert none.stderr.startswith("clew: error: there is no case in ")
    assert "clew: hint: make one with: clew init" in none.stderr
    assert run("nonsense").returncode == 2
    assert run("init").returncode == 2


def test_each_exit_status_is_told_in_the_overview_and_in_the_documents() -> None:
    page = (ROOT / "docs" / "formats.md").read_text("utf-8").split("## Exit statuses\n")[1].split("\n## ")[0]
    assert [int(number) for number in re.findall(r"^\| (\d) \|", page, flags=re.M)] == list(Exit)
    for text in (run("--help").stdout, (ROOT / "README.md").read_text("utf-8")):
        (line,) = re.findall(r"Exit status: ([^.]*)\.", text)
        assert [int(number) for number in re.findall(r"\d", line)] == list(Exit)


def test_a_name_in_an_error_commands_no_terminal(tmp_path: Path) -> None:
    told = run("status", str(tmp_path / "\x1b]0;owned\x07"))
    assert told.returncode == 2
    assert "\x1b" not in told.stderr
    assert "\x07" not in told.stderr


def test_the_first_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLEW_KEYS", str(tmp_path / "keys"))
    monkeypatch.chdir(tmp_path)
    steps = [
        ["key", "new", "authority"],
        ["mandate", "draft", "--operation", "Own", "--out", "draft.json"],
        ["key", "sign", "mandate", "draft.json", "--key", "authority", "--out", "mandate.json"],
        ["init", "case", "--operation", "Own", "--force", "AT", "--authority", "authority"],
        ["mandate", "add", "case", "mandate.json"],
        ["ledger", "checkpoint", "case", "--key", "authority", "--out", "cp.note"],
        ["verify", "case", "--checkpoint", "cp.note", "--sender-key", "authority"],
        ["archive", "case", "copy"],
        ["ledger", "export", "case", "--out", "ledger.jsonl"],
    ]
    for step in steps:
        done = run(*step)
        assert done.returncode == 0, (step, done.stderr)
    state = json.loads(run("status", "case", "--json").stdout)
    assert state["mandates"] == 1
    assert state["last_checkpoint"]["size"] == 2
    lines = Path("ledger.jsonl").read_text("utf-8").splitlines()
    assert [json.loads(line)["seq"] for line in lines] == list(range(len(lines)))
    assert run("init", "case", "--operation", "Own", "--force", "AT", "--authority", "authority").returncode == 2


def test_status_of_a_case(case: Case) -> None:
    words = run("status", str(case.folder))
    assert words.returncode == 0
    assert "held by AT" in words.stdout
