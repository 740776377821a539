"""What is stated of a seizure: completed later, never replaced in silence, and its digests held against the image."""

import hashlib
import json
import random
from dataclasses import replace
from pathlib import Path

import pytest

from case_made import new_case
from clew.cli.main import main
from clew.core.case import Case
from clew.core.errors import Refused, Usage
from clew.intake.options import Options
from clew.intake.run import intake
from clew.intake.seizure import Seizure, digests
from clew.intake.story import story

PLAIN = Options(workers=1, extractors=())
DATA = random.Random(2).randbytes(100_000)


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return new_case(tmp_path / "case")


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "disk.img"
    path.write_bytes(DATA)
    return path


def take(case: Case, image: Path, seizure: Seizure):  # type: ignore[no-untyped-def]
    return intake(case, path=image, label="D", options=replace(PLAIN, seizure=seizure))


def told(case: Case, exhibit: str) -> str:
    return " ".join(event.said for event in story(case, exhibit))


def completed(case: Case) -> int:
    sql = "SELECT count(*) FROM ledger WHERE line LIKE '%exhibit.completed%'"
    return int(case.read().execute(sql).fetchone()[0])


def test_what_was_not_said_at_first_is_added_and_told(case, image):
    exhibit = take(case, image, Seizure()).exhibit
    said = Seizure("Gruber", "Graz", 1_700_000_000_000_000_000, "a black phone, no SIM")
    take(case, image, said)
    row = case.read().execute("SELECT * FROM exhibits").fetchone()
    assert (row["seized_by"], row["seized_where"], row["seized_ns"]) == ("Gruber", "Graz", said.at_ns)
    assert row["seized_what"] == "a black phone, no SIM"
    assert "by whom: Gruber; where: Graz; what: a black phone, no SIM; when: 2023-11-14" in told(case, exhibit)
    take(case, image, said)  # the same once more
    take(case, image, Seizure(by="Gruber"))
    take(case, image, Seizure())
    assert completed(case) == 1


def test_what_was_said_is_not_replaced(case, image):
    md5 = hashlib.md5(DATA, usedforsecurity=False).hexdigest()
    first = Seizure("Gruber", "Graz", 7, "a phone", {"md5": md5})
    take(case, image, first)
    before = tuple(case.read().execute("SELECT * FROM exhibits").fetchone())
    for other in (
        Seizure(by="Huber"),
        Seizure(where="Linz"),
        Seizure(at_ns=5),
        Seizure(what="a laptop"),
        Seizure(digests={"md5": "00" * 16}),
        Seizure(by="Gruber", where="Linz"),
    ):
        with pytest.raises(Usage, match="something else is recorded") as refused:
            take(case, image, other)
        assert "leave out what is recorded" in refused.value.hint
        assert tuple(case.read().execute("SELECT * FROM exhibits").fetchone()) == before, other


def test_a_run_that_is_refused_says_nothing_of_the_seizure(case, image, tmp_path):
    """What it stated is of another image, and would stand in the record for good."""
    take(case, image, Seizure())
    before = tuple(case.read().execute("SELECT * FROM exhibits").fetchone())
    (other := tmp_path / "other.img").write_bytes(DATA[::-1])
    options = replace(PLAIN, moved=True, seizure=Seizure(what="the other", digests={"md5": "0" * 32}))
    with pytest.raises(Refused, match="is not the exhibit"):
        intake(case, path=other, label="D", options=options)
    assert tuple(case.read().execute("SELECT * FROM exhibits").fetchone()) == before
    assert completed(case) == 0
    right = {"md5": hashlib.md5(DATA, usedforsecurity=False).hexdigest()}
    assert take(case, image, Seizure(digests=right)).account.image_unread == []
    assert completed(case) == 1


def test_a_digest_that_was_stated_and_is_another_is_flagged(tmp_path, image):
    right = {"sha256": hashlib.sha256(DATA).hexdigest()}
    for number, (stated, later) in enumerate(
        [(right, False), ({"sha256": "11" * 32}, False), ({"sha1": "22" * 20}, True)]
    ):
        case = new_case(tmp_path / f"case-{number}")
        if later:
            take(case, image, Seizure())
        ended = take(case, image, Seizure(digests=stated))
        if stated is right:
            assert "its SHA-256 is that of the seizure record" in ended.words()
            assert ended.account.image_unread == []
            assert "Its SHA-256 is that of the seizure record." in told(case, ended.exhibit)
        else:
            name = "SHA-1" if later else "SHA-256"
            assert ended.account.image_unread == [f"its {name} is NOT the one that the seizure record states"]
            assert not ended.complete
            assert f"Its {name} is NOT that of the seizure record." in told(case, ended.exhibit)
            assert f"The seizure record states {name} " in told(case, ended.exhibit)


def test_digests_are_checked_where_they_are_given(case, tmp_path):
    assert digests(("SHA-256:" + "AB" * 32, "md5:" + "0" * 32)) == {"sha256": "ab" * 32, "md5": "0" * 32}
    for wrong in (
        ("sha256:12",),
        ("crc32:12345678",),
        ("x",),
        ("md5:" + "g" * 32,),
        ("md5:" + "0" * 32, "md5:" + "1" * 32),
    ):
        with pytest.raises(Usage):
            digests(wrong)
    (tmp_path / "folder").mkdir()
    with pytest.raises(Usage, match="folder"):
        take(case, tmp_path / "folder", Seizure(digests={"md5": "0" * 32}))
    assert case.read().execute("SELECT count(*) FROM exhibits").fetchone()[0] == 0


def test_the_command_says_it(case, image, capsys):
    words = [
        "intake",
        str(case.folder),
        str(image),
        "--label",
        "D",
        "--workers",
        "1",
        "--seized-what",
        "a disk",
        "--json",
    ]
    with pytest.raises(SystemExit) as ended:
        main([*words, "--digest-stated", "md5:" + "0" * 32])
    assert ended.value.code == 3
    said = json.loads(capsys.readouterr().out)
    assert said["stated"] == {"md5": False}
