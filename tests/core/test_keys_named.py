"""Keys as people name them: what is not there is said with what to do, and what a case holds of others is shown."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from clew.cli.main import cli
from clew.core import forces, keys
from clew.core.case import Case
from clew.core.errors import Usage
from clew.model import Force

KEY = "0123456789abcdef" * 4


def typed(*words: object) -> str:
    done = CliRunner().invoke(cli, [str(word) for word in words], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def test_of_a_key_that_is_not_there_it_is_said_what_to_do(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("CLEW_KEYS", str(tmp_path))
    with pytest.raises(Usage, match="there is no key 'AT' in") as shown:
        CliRunner().invoke(cli, ["key", "show", "AT"], catch_exceptions=False)
    assert "clew key new AT" in (shown.value.hint or "")
    with pytest.raises(Usage, match="there is no age identity 'AT'") as opened:
        keys.age_identity("AT")
    assert "--identity" in (opened.value.hint or "")
    assert "a new one opens nothing that was made for another" in (opened.value.hint or "")


def test_digits_are_a_key_however_they_are_written() -> None:
    assert keys.read_public(KEY.upper()) == keys.read_public(KEY) == KEY


def test_a_case_shows_the_keys_that_it_holds_of_each_force(tmp_path: Path) -> None:
    case = Case.create(tmp_path / "case", operation="Op", force="EU", authority=KEY, actor="t")
    forces.add(case, Force("AT", "Austria", "AT", None, "age1at", KEY))
    case.close()
    shown = typed("force", "list", tmp_path / "case")
    assert f"key       {KEY}" in shown
    assert "recipient age1at" in shown
    (row,) = json.loads(typed("force", "list", tmp_path / "case", "--json"))["forces"]
    assert (row["key"], row["recipient"]) == (KEY, "age1at")
    words = ("force", "add", tmp_path / "case", "AT", "--name", "Austria", "--country", "AT", "--key", KEY)
    assert "no recipient yet" in typed(*words), "what stood there is replaced as a whole"
