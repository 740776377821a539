"""Files that mean harm cost themselves alone, each with its reason; everything around them is read."""

import functools
import json
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import hostile
import pytest
from cases import items, sha256, traits

from case_made import new_case
from clew.cli.main import main
from clew.core.case import Case
from clew.core.engine import Limits
from clew.intake import options, run, tools
from clew.intake.account import account
from clew.intake.options import Options
from clew.intake.report import Report
from clew.intake.run import intake

POLITE = {
    "fail.bin": "unparsable",
    "eat.bin": "limit reached",
    "recurse.bin": "unparsable",
    "flood.bin": "limit reached",
}
LIMITS = Limits(seconds=3.0, seconds_per_mb=0.2, memory=512 << 20, output=16 << 20)
KILLED = {"crash.bin": "SIGSEGV", "leave.bin": "", "hang.bin": "time"}


@pytest.fixture(scope="module")
def taken(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Case, Report, Path]]:
    folder = tmp_path_factory.mktemp("hostile")
    root = folder / "evidence"
    hostile.write(root)
    case = new_case(folder / "case")
    options = Options(limits=LIMITS, extractors=(*tools.extractors(), "nasty_extractor:PLUGIN"))
    yield case, intake(case, path=root, label="H", workers=2, options=options), root
    subprocess.run(["rm", "-rf", str(root)], check=True)  # deeper than Python's own rmtree, and so pytest's, can go


def test_exactly_those_files_cost(taken):
    case, ended, _ = taken
    found = items(case)
    unreadable = {name.decode("utf-8", "replace") for name, item in found.items() if item["state"] == "unreadable"}
    too_deep = b"d/" * 1001
    assert unreadable == {*KILLED, too_deep.decode()}
    assert found[too_deep]["reason"] == "limit reached"
    skipped = {name for name, item in found.items() if item["state"] == "skipped"}
    assert skipped == {b"out", b"round", b"pipe"}
    assert ended.account.balanced
    assert not ended.account.complete


def test_every_file_has_its_hash_even_where_its_decoder_died(taken):
    case, _, root = taken
    found = items(case)
    for path in root.iterdir():
        if path.is_file() and not path.is_symlink():
            name = path.name.encode("utf-8", "surrogateescape")
            assert found[name]["sha256"] == sha256(path.read_bytes()), name
    assert found[b"\xff\xfe\x80.bin"]["state"] == "done"


def test_each_says_why(taken):
    case, _, _ = taken
    found = items(case)
    for name, word in KILLED.items():
        item = found[name.encode()]
        assert item["attempts"] == 1
        assert item["detail"].startswith("hashed, but then: ")
        assert word in item["detail"], item
    assert found[b"hang.bin"]["reason"] == "limit reached"


def test_a_decoder_that_fails_politely_costs_its_own_traits(taken):
    case, _, root = taken
    for name, reason in POLITE.items():
        content = sha256((root / name).read_bytes())
        assert items(case)[name.encode()]["state"] == "done"
        assert traits(case, content)["nasty", "fast"]["missing"] == reason, name
    assert traits(case, sha256((root / "fail.bin").read_bytes()))["nasty.before", "fast"]["integer"] == 1
    lies = traits(case, sha256((root / "lie.bin").read_bytes()))
    assert lies["nasty.nan", "fast"]["missing"] == lies["nasty.huge", "fast"]["missing"] == "limit reached"


def test_nothing_gets_out(taken):
    case, _, root = taken
    said = traits(case, sha256((root / "reach.bin").read_bytes()))
    assert {name: row["text"] for (name, _), row in said.items()} == dict.fromkeys(
        ("nasty.read", "nasty.write", "nasty.run"), "denied"
    )
    assert not Path("/tmp/clew-was-here").exists()


def test_pictures_that_cannot_be_decoded_say_so(taken):
    case, _, root = taken
    for name in ("cut-header.jpg", "bomb.png", "cut.png"):
        missing = [row for row in traits(case, sha256((root / name).read_bytes())).values() if row["missing"]]
        assert missing, name
    good = traits(case, sha256((root / "good-1.jpg").read_bytes()))
    assert len(good["pdq", "fast"]["data"]) == 32
    assert not any(row["missing"] for (name, _), row in good.items() if name.startswith(("pdq", "image", "thumb")))


def test_the_command_ends_with_status_3(tmp_path, monkeypatch, capsys):
    root = tmp_path / "evidence"
    root.mkdir()
    (root / "dawdle.bin").write_bytes(b"NASTY:dawdle\n")
    (root / "good.txt").write_text("good\n")
    case = new_case(tmp_path / "case")
    monkeypatch.setattr(run, "extractors", lambda: ("nasty_extractor:PLUGIN",))
    monkeypatch.setattr(options, "Options", functools.partial(Options, limits=replace(LIMITS, seconds=1.0)))
    words = ["intake", str(case.folder), str(root), "--label", "H", "--workers", "1"]
    with pytest.raises(SystemExit) as ended:
        main([*words, "--json"])
    assert ended.value.code == 3
    said = json.loads(capsys.readouterr().out)
    assert (said["discovered"], said["done"], said["unreadable"], said["balanced"]) == (2, 1, 1, True)
    monkeypatch.setattr(options, "Options", functools.partial(Options, limits=replace(LIMITS, seconds=60.0)))
    with pytest.raises(SystemExit) as ended:
        main([*words, "--retry"])
    assert ended.value.code == 0
    assert account(case, said["exhibit"]).done == 2
