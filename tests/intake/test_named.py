"""Every count of Items in the end report can be asked for its names."""

import json
import zipfile
from pathlib import Path

import pytest
from click.testing import CliRunner

from case_made import new_case
from clew.cli.main import cli
from clew.core.case import Case
from clew.core.errors import Usage
from clew.intake import named
from clew.intake.mediatype import RETYPED
from clew.intake.report import Report, report
from clew.intake.run import intake
from facts_case import put


@pytest.fixture
def taken(tmp_path: Path) -> tuple[Case, Report]:
    """A folder with some of each kind."""
    root = tmp_path / "seized"
    root.mkdir()
    (root / "letter.txt").write_text("a letter " * 50)
    (root / "empty").touch()
    (root / "link").symlink_to("letter.txt")
    (root / "odd\x1b\n").write_bytes(b"\1\2\3\4")
    with zipfile.ZipFile(root / "pack.zip", "w") as archive:
        archive.writestr("inside.txt", "a note " * 50)
    (root / "cut.zip").write_bytes((root / "pack.zip").read_bytes()[:-60])
    case = new_case(tmp_path / "case")
    return case, intake(case, path=root, label="F", workers=1)


def shown(case: Case, *more: str) -> list[str]:
    found = CliRunner().invoke(cli, ["show", "items", str(case.folder), "F", *more], standalone_mode=False)
    if found.exception is not None:
        raise found.exception
    return found.output.splitlines()


def test_each_count_has_its_names(taken, monkeypatch):
    case, ended = taken
    counts = {"done": ended.account.done, "unreadable": ended.account.unreadable, "skipped": ended.account.skipped}
    counts |= ended.names | ended.families
    assert min(counts[word] for word in ("unreadable", "skipped", "documents", "empty", "archives", "unknown")) > 0
    whole = [named.items(case, ended.exhibit, [word]) for word in counts]
    assert [len(list(rows)) for rows in whole] == list(counts.values())
    every = list(named.items(case, ended.exhibit))
    assert len(every) == ended.account.discovered
    monkeypatch.setattr(named, "ROWS", 2)
    assert list(named.items(case, ended.exhibit)) == every


def test_words_are_joined_and_names_command_no_terminal(taken):
    case, _ = taken
    assert shown(case, "--only", "skipped") == [
        "link  0 bytes, live, skipped (not applicable: a symbolic link, which is not followed)"
    ]
    assert shown(case, "--only", "documents", "--only", "done")[-1] == (
        "pack.zip!/inside.txt  350 bytes, live, done, complete, text/plain"
    )
    assert shown(case, "--only", "documents", "--only", "skipped") == []
    (told,) = shown(case, "--only", "unknown")
    assert told.startswith("odd\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}  4 bytes, live, done, complete, ")
    (row,) = [json.loads(line) for line in shown(case, "--only", "unknown", "--json")]
    assert bytes.fromhex(row["path_hex"]) == b"odd\x1b\n"
    names = {"item", "path", "path_hex", "ref", "size", "name_state", "found_by", "state", "reason", "detail"}
    assert set(row) == names | {"content_state", "media_type", "family", "sha256", "type_again"}


def test_what_had_another_type_when_it_was_read_again_says_so(taken):
    case, ended = taken
    (row,) = named.items(case, ended.exhibit, ["unknown"])
    again = {"content": bytes.fromhex(row["sha256"]), **RETYPED, "mode": "fast"}
    put(case, "traits", [again | {"text": "application/zip"}], "intake")
    assert report(case, ended.exhibit).retyped[0]["items"] == 1
    (line,) = [each for each in shown(case) if "when read again" in each]
    assert line.endswith(f", {row['media_type']}, application/zip when read again")


def test_a_word_that_nothing_is_counted_under_is_told_with_those_that_are(taken):
    with pytest.raises(Usage, match="nothing is counted under 'seized'") as refused:
        shown(taken[0], "--only", "seized")
    assert "carved" in str(refused.value.hint)
