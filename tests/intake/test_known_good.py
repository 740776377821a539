"""What a known-good set holds by SHA-256 is hashed and typed, and looked at no further; it can be undone."""

import json
from pathlib import Path

import pytest
from cases import sha256, traits
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from case_made import new_case
from clew.core import held, sorted_keys
from clew.core.case import Case
from clew.core.errors import Damaged
from clew.intake.options import Options
from clew.intake.report import report
from clew.intake.run import intake
from clew.match.run import add_hashset
from clew.model import HashSetKind

SCOPE = {"purposes": ["intake", "match"]}


@pytest.fixture
def evidence(tmp_path: Path) -> Path:
    root = tmp_path / "seized"
    root.mkdir()
    for n in range(3):
        Image.new("RGB", (64, 48), (n * 40, 9, 9)).save(root / f"{n}.png")
    return root


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return new_case(tmp_path / "case", **SCOPE)


def add(case: Case, tmp_path: Path, name: str, hashes: list[str], kind: HashSetKind = HashSetKind.KNOWN_GOOD) -> str:
    path = tmp_path / f"{name}.txt"
    path.write_text("\n".join(hashes) + "\n")
    return add_hashset(case, path=path, name=name, kind=kind, reader="plainlist").id


def names(case: Case, path: Path) -> set[str]:
    return {name for name, _ in traits(case, sha256(path.read_bytes()))}


def test_a_known_good_content_stops_early(case: Case, evidence: Path, tmp_path: Path) -> None:
    known = evidence / "0.png"
    identity = add(case, tmp_path, "nsrl", [sha256(known.read_bytes()).hex(), "ab" * 32])
    ended = intake(case, path=evidence, label="F", workers=1)
    assert names(case, known) == {"known-good"}
    (row,) = traits(case, sha256(known.read_bytes())).values()
    assert (row["text"], row["extractor"], row["version"]) == ("nsrl", "known-good", identity)
    assert "thumbnail" in names(case, evidence / "1.png")
    assert ended.account.done == 3
    assert ended.families == {"pictures": 3}, "it is typed all the same"
    assert ended.known_good == [{"name": "nsrl", "id": identity, "contents": 1}]
    assert "1 contents were not looked at further, being in 'nsrl'" in ended.words()
    config = json.loads(case.read().execute("SELECT config FROM intake_runs").fetchone()[0])
    assert config["known_good"] == [{"name": "nsrl", "id": identity}]


@pytest.mark.parametrize("kind", [HashSetKind.ALERT, HashSetKind.REFERENCE])
def test_no_other_kind_stops_anything(case: Case, evidence: Path, tmp_path: Path, kind: HashSetKind) -> None:
    add(case, tmp_path, "other", [sha256((evidence / "0.png").read_bytes()).hex()], kind)
    assert intake(case, path=evidence, label="F", workers=1).known_good == []
    assert "thumbnail" in names(case, evidence / "0.png")


def test_what_an_alert_set_holds_too_is_never_stopped(case: Case, evidence: Path, tmp_path: Path) -> None:
    both, one = (sha256((evidence / f"{n}.png").read_bytes()).hex() for n in (0, 1))
    add(case, tmp_path, "nsrl", [both, one])
    add(case, tmp_path, "alert", [both], HashSetKind.ALERT)
    intake(case, path=evidence, label="F", workers=1)
    assert "known-good" not in names(case, evidence / "0.png")
    assert "thumbnail" in names(case, evidence / "0.png")
    assert names(case, evidence / "1.png") == {"known-good"}


@pytest.mark.parametrize("algorithm", ["md5", "sha1"])
def test_no_weaker_hash_stops_anything(case: Case, evidence: Path, tmp_path: Path, algorithm: str) -> None:
    import hashlib

    add(case, tmp_path, "weak", [hashlib.new(algorithm, (evidence / "0.png").read_bytes()).hexdigest()])
    assert intake(case, path=evidence, label="F", workers=1).known_good == []
    assert "thumbnail" in names(case, evidence / "0.png")


def test_it_is_reversible(case: Case, evidence: Path, tmp_path: Path) -> None:
    known = evidence / "0.png"
    add(case, tmp_path, "nsrl", [sha256(known.read_bytes()).hex()])
    (evidence / "copy.png").write_bytes(known.read_bytes())
    first = intake(case, path=evidence, label="F", workers=1)
    second = intake(case, path=evidence, label="F", options=Options(workers=1, again_known_good=True))
    assert {"known-good", "thumbnail", "pdq"} <= names(case, known)
    assert second.known_good == []
    assert second.account.done == first.account.done == 4
    again = intake(case, path=evidence, label="F", options=Options(workers=1, again_known_good=True))
    assert again.as_dict()["discovered"] == 4
    read = [row[0] for row in case.read().execute("SELECT count(*) FROM ledger WHERE line LIKE '%batch.read%'")]
    assert read == [2], "the third run had nothing to read"


def test_a_set_that_was_changed_is_refused(case: Case, evidence: Path, tmp_path: Path) -> None:
    identity = add(case, tmp_path, "nsrl", ["ab" * 32])
    keys = case.folder / "hashsets" / identity / "sha256.keys"
    keys.write_bytes(bytes(32))
    with pytest.raises(Damaged, match="changed after it was compiled"):
        intake(case, path=evidence, label="F", workers=1)
    keys.unlink()
    with pytest.raises(Damaged, match="no compiled hash set"):
        intake(case, path=evidence, label="F", workers=1)


def test_it_holds_for_a_disk_whose_own_files_are_held_too(case: Case, tmp_path: Path) -> None:
    from clew.range.disk import SMALL, make_disk

    (tmp_path / "disk").mkdir()
    seizure = make_disk(3, tmp_path / "disk", SMALL)
    image = seizure.image
    picture = next(each for each in seizure.manifest if (each.kind, each.state) == ("single", "live"))
    add(case, tmp_path, "nsrl", [picture.sha256])
    intake(case, path=image, label="D", options=Options(workers=1, extractors=()))
    exhibit = case.read().execute("SELECT id, sha256 FROM exhibits").fetchone()
    assert report(case, exhibit["id"]).known_good[0]["contents"] == 1
    assert bytes(exhibit["sha256"]) == sha256(image.read_bytes()), "a list of hashes is no part of the image"


@given(st.sets(st.binary(min_size=4, max_size=4), max_size=40), st.binary(min_size=4, max_size=4))
def test_a_key_is_found_where_it_is_and_nowhere_else(tmp_path_factory, keys: set[bytes], other: bytes) -> None:
    path = tmp_path_factory.mktemp("keys") / "keys"
    path.write_bytes(b"".join(sorted(keys)))
    with path.open("rb") as file:
        assert all(sorted_keys.holds(file.fileno(), key) for key in keys)
        assert sorted_keys.holds(file.fileno(), other) is (other in keys)
    assert held.lists == []
