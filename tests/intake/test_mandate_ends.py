"""A Mandate that ends while evidence is read: nothing is read or recorded after it, and another lets it go on."""

import json
import random
from pathlib import Path
from types import SimpleNamespace

import pytest
from cases import items
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

import case_made
from clew.core import clock, engine, mandate
from clew.core.case import Case
from clew.core.errors import Refused
from clew.intake import basis, since
from clew.intake.listing import BatchSize
from clew.intake.options import Options
from clew.intake.run import exact, intake
from clew.intake.telling import Telling

YEAR = 365 * 86_400 * 10**9
OPTIONS = Options(workers=1, extractors=(), batch=BatchSize(items=1))


@pytest.fixture
def evidence(tmp_path: Path) -> Path:
    root = tmp_path / "seized"
    root.mkdir()
    for number in range(6):
        (root / f"{number}.txt").write_bytes(b"%d" % number)
    return root


@pytest.fixture
def key(monkeypatch: pytest.MonkeyPatch) -> Ed25519PrivateKey:
    """The authority's, of cases made here."""
    found = Ed25519PrivateKey.generate()
    monkeypatch.setattr(case_made, "Ed25519PrivateKey", SimpleNamespace(generate=lambda: found))
    return found


class Moved:
    """The clock that the Mandate is held against; `years` later than it is."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.years = 0
        monkeypatch.setattr(basis, "clock", self)

    def now(self) -> clock.Instant:
        return clock.Instant(clock.now().utc_ns + self.years * YEAR, 0)

    def passes(self, *_about: object) -> None:
        self.years = 10


def add(case: Case, key: Ed25519PrivateKey, number: int, **scope: str) -> None:
    row = case.read().execute("SELECT document FROM mandates ORDER BY added_ns LIMIT 1").fetchone()
    body = json.loads(row["document"])["body"] | {"id": f"M-{number}"} | scope
    mandate.add(case, mandate.sign_document("mandate", body, key))


def done(case: Case) -> list[tuple[str, str]]:
    lines = [json.loads(row["line"]) for row in case.read().execute("SELECT line FROM ledger ORDER BY seq")]
    return [(line["action"], line["mandate"]) for line in lines]


def test_a_run_stops_when_its_mandate_ends_and_goes_on_under_another(tmp_path, evidence, key, monkeypatch):
    case, moved = case_made.new_case(tmp_path / "case", not_after="2035-01-01T00:00:00Z"), Moved(monkeypatch)
    real, read = Telling.read, []

    def ends(self, *about):  # type: ignore[no-untyped-def]
        read.append(about)
        if len(read) == 3:
            moved.passes()
        return real(self, *about)

    with monkeypatch.context() as patched:
        patched.setattr(Telling, "read", ends)
        with pytest.raises(Refused, match=r"stopped: no Mandate covers this: .*not at this time") as refused:
            intake(case, path=evidence, label="F", options=OPTIONS)
    assert "the same command goes on from there" in refused.value.hint
    before = done(case)
    assert len([action for action, _ in before if action == "batch.read"]) == 2  # the third had not been recorded yet
    assert "intake.ended" not in dict(before)
    with pytest.raises(Refused):
        intake(case, path=evidence, label="F", options=OPTIONS)
    assert done(case) == before
    add(case, key, 2, not_after="2060-01-01T00:00:00Z")
    ended = intake(case, path=evidence, label="F", options=OPTIONS)
    assert ended.complete, ended.words()
    assert {item["attempts"] for item in items(case).values()} == {1}
    acts = {"intake.started", "batch.read", "intake.ended"}
    assert {by for action, by in done(case)[len(before) :] if action in acts} == {"M-2"}


def test_a_run_goes_on_under_a_mandate_that_came_meanwhile(tmp_path, evidence, key, monkeypatch):
    case, moved = case_made.new_case(tmp_path / "case", not_after="2035-01-01T00:00:00Z"), Moved(monkeypatch)
    add(case, key, 2, not_before="2035-01-01T00:00:00Z", not_after="2060-01-01T00:00:00Z")
    monkeypatch.setattr(Telling, "read", moved.passes)
    assert intake(case, path=evidence, label="F", options=OPTIONS).complete
    by = dict(done(case))
    assert (by["intake.started"], by["batch.read"], by["intake.ended"]) == ("M-1", "M-2", "M-2")


def test_a_folder_is_not_held_against_its_listing_after_that(tmp_path, evidence, monkeypatch):
    case, moved = case_made.new_case(tmp_path / "case", not_after="2035-01-01T00:00:00Z"), Moved(monkeypatch)
    intake(case, path=evidence, label="F", options=OPTIONS)
    held: list[object] = []
    monkeypatch.setattr(since, "was_moved", moved.passes)
    monkeypatch.setattr(since, "_differs", lambda *about: bool(held.append(about)))
    with pytest.raises(Refused, match="stopped"):
        intake(case, path=evidence, label="F", options=OPTIONS)
    assert not held


def test_the_read_of_an_image_for_its_digests_stops_too(tmp_path, monkeypatch):
    image = tmp_path / "disk.img"
    image.write_bytes(random.Random(1).randbytes(1 << 20))
    case, moved = case_made.new_case(tmp_path / "case", not_after="2035-01-01T00:00:00Z"), Moved(monkeypatch)
    real = engine.Pool.run
    monkeypatch.setattr(engine.Pool, "run", lambda self, tasks: (moved.passes(), real(self, tasks))[1])
    with pytest.raises(Refused, match="stopped"):
        intake(case, path=image, label="D", options=OPTIONS)
    assert "exhibit.acquired" not in dict(done(case))


def test_a_further_look_stops_too(tmp_path, evidence, monkeypatch):
    case, moved = case_made.new_case(tmp_path / "case", not_after="2035-01-01T00:00:00Z"), Moved(monkeypatch)
    intake(case, path=evidence, label="F", options=OPTIONS)
    contents = [item["sha256"] for item in items(case).values()]
    real = engine.Pool.run
    monkeypatch.setattr(engine.Pool, "run", lambda self, tasks: (moved.passes(), real(self, tasks))[1])
    with pytest.raises(Refused, match="stopped"):
        exact(case, contents, options=OPTIONS)
    assert "contents.looked at again" not in dict(done(case))
