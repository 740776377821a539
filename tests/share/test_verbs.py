"""The verbs, as a person types them: share, verify, receive, bundle; errors with a hint, statuses, --json."""

import json
import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner
from share_world import World

from clew.cli.main import cli, main
from clew.core import forces, keys, mandate
from clew.model import Force


@pytest.fixture
def typed(world: World, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CLEW_KEYS", str(world.keys))

    def run(*words: object) -> str:
        done = CliRunner().invoke(cli, [str(w) for w in words], catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return done.output

    return run


def refused(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str]:
    with pytest.raises(SystemExit) as caught:
        main([str(w) for w in words])
    return int(caught.value.code or 0), capsys.readouterr().err


def test_from_one_force_to_another(world: World, typed, capsys: pytest.CaptureFixture[str]) -> None:
    out = world.folder / "out"
    made = json.loads(typed("share", world.case.folder, "--force", "AT", "--out", out, "--key", "EU", "--json"))
    path = made["bundles"][0]["path"]
    checked = json.loads(typed("verify", path, "--sender-key", world.keys / "EU.pub", "--identity", "AT", "--json"))
    assert checked["verified"] is True
    assert checked["counts"] == {"known_hashes": 2, "leads": 2, "sightings": 4}
    case = world.case_of("AT")
    said = typed("receive", case.folder, path)
    assert "from EU: 2 leads, 4 contacts, 2 graded hashes" in said
    assert "summary.html" in said
    assert json.loads(typed("receive", case.folder, path, "--json"))["new"] is False
    assert made["bundles"][0]["sha256"] == json.loads(typed("bundle", case.folder, "--json"))["received"][0]["sha256"]
    assert "AT-" in typed("bundle", world.case.folder)
    note = next((case.folder / "received").glob("*/bag/data/ledger/checkpoint.note"))
    assert "holds" in typed("verify", world.case.folder, "--checkpoint", note, "--sender-key", world.keys / "EU.pub")
    broken = bytearray(Path(path).read_bytes())
    broken[-1] ^= 1
    bad = world.folder / "bad.tar.age"
    bad.write_bytes(broken)
    status, error = refused(capsys, "verify", bad, "--sender-key", "EU", "--identity", "AT")
    assert status == 1
    assert error.startswith("clew: error: bad.tar.age: the age encryption does not hold")
    assert "clew: hint:" in error


def test_the_readmes_lines_for_who_receives_a_bundle_work_as_printed(world: World, typed, monkeypatch) -> None:
    text = (Path(__file__).parents[2] / "README.md").read_text("utf-8")
    block = text.split("A force that receives a Bundle")[1].split("```")[1]
    key, force, receive = (shlex.split(line, comments=True)[1:] for line in block.strip().splitlines())
    here = world.folder / "at"
    here.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.setenv("CLEW_KEYS", str(here / "keys"))
    recipient = re.findall(r"age1\w+", typed(*key))[0]
    forces.add(world.case, Force("AT", "Austria", "AT", None, recipient, None))
    world.case_of("AT", "at/case", knows_sender=False).close()
    (here / "eu.pub").write_bytes((world.keys / "EU.pub").read_bytes())
    Path(world.build().path).rename(here / receive[-1])
    typed(*force)
    assert "read first: case/received/" in typed(*receive)


def test_the_hashes_that_came_are_matched_with_by_the_line_that_is_printed(world: World, typed) -> None:
    case = world.case_of("AT", "case of AT")
    (document,) = (row["document"] for row in world.case.read().execute("SELECT document FROM mandates"))
    signed = mandate.sign_document("mandate", json.loads(document)["body"], keys.signing_key("EU", world.keys))
    mandate.add(case, signed)
    said = typed("receive", case.folder, world.build().path)
    (line,) = (each for each in said.splitlines() if "hashset add" in each)
    assert typed(*shlex.split(line)[1:]).startswith("2 entries in 'EU ")
    (kept,) = json.loads(typed("hashset", "list", case.folder, "--json"))["hashsets"]
    assert (kept["kind"], kept["entries"]) == ("reference", 2)
    with world.case.write("review") as tx:
        tx.execute("UPDATE grades SET state = 'proposed'")
    assert "hashset" not in typed("receive", case.folder, world.build(out="none").path), "none came"
    case.close()


@pytest.mark.usefixtures("typed")
def test_refusals_say_what_to_do(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    out = world.folder / "out"
    share = ("share", world.case.folder, "--out", out, "--key", "EU")
    assert refused(capsys, *share)[0] == 2
    assert refused(capsys, *share, "--all", "--force", "AT")[0] == 2
    status, error = refused(capsys, *share, "--force", "EU")
    assert status == 1
    assert "no Mandate covers this" in error
    assert "hint: ask the authority" in error
    status, error = refused(capsys, "share", world.case.folder, "--out", out, "--key", "none", "--force", "AT")
    assert status == 2
    assert "clew key new none" in error
    assert not out.exists()


def test_all_makes_one_for_every_other_force(world: World, typed) -> None:
    made = json.loads(typed("share", world.case.folder, "--all", "--out", world.folder / "o", "--key", "EU", "--json"))
    assert [b["force"] for b in made["bundles"]] == ["AT", "DE"]
    assert len(list((world.folder / "o").iterdir())) == 2


def test_what_does_not_stand_is_said_to_sender_and_receiver(world: World, typed) -> None:
    share = ("share", world.case.folder, "--out", world.folder / "o", "--key", "EU")
    assert "taken back" not in typed(*share, "--force", "AT")
    with world.case.write("attribute") as tx:
        tx.execute("UPDATE leads SET force = 'DE', country = 'DE' WHERE id = ?", (world.leads["first"],))
    named = f"lead {world.leads['first']} (192.0.2.1 port 6881) left for AT, last in the bundle "
    assert f"NOT TOLD YET: {named}" in typed(*share, "--force", "DE")
    made = json.loads(typed(*share, "--force", "AT", "--json"))
    assert [each["lead"] for each in made["taken_back"]] == [world.leads["first"]]
    assert made["not_told_yet"] == made["notes"] == []
    assert f"taken back: {named}" in typed(*share, "--force", "AT")
    case = world.case_of("AT")
    said = typed("receive", case.folder, made["bundles"][0]["path"])
    assert said.startswith(
        "TAKEN BACK: 1 leads of earlier bundles; why, stands beside each\n  192.0.2.1 port 6881 (Lead 1 of "
    )
    case.close()
