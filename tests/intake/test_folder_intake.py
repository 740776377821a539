"""A folder: every file of it is in the case with its SHA-256 or a reason, and nothing else is."""

import os
import socket
from dataclasses import replace
from pathlib import Path

import pytest
from cases import items, sha256, traits

from case_made import new_case
from clew.core import verify
from clew.core.case import Case
from clew.core.errors import Held, Refused, Usage
from clew.core.lease import lease
from clew.intake.account import LATE, account, facts_digest
from clew.intake.listing import BatchSize
from clew.intake.options import LIMITS, Options
from clew.intake.run import intake
from clew.intake.telling import Telling

FILES = {
    b"a.txt": b"plain text\n",
    b"empty": b"",
    b"same-1": b"the same bytes",
    b"deep/same-2": b"the same bytes",
    b"not-\xff\xfe-utf8": b"\x00\x01",
    b"new\nline": b"x",
    b"percent%41": b"y",
    b"deep/er/" + b"n" * 200: b"z" * 70_000,
}


@pytest.fixture
def evidence(tmp_path: Path) -> Path:
    root = tmp_path / "evidence"
    for name, data in FILES.items():
        path = root / os.fsdecode(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    (tmp_path / "outside").write_bytes(b"not part of the exhibit")
    return root


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return new_case(tmp_path / "case")


def test_everything_is_there_and_nothing_else(case: Case, evidence: Path, tmp_path: Path):
    (evidence / "link-out").symlink_to(tmp_path / "outside")
    (evidence / "dir-out").symlink_to(tmp_path)
    os.mkfifo(evidence / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(evidence / "sock"))
    chain = evidence / Path(*["d"] * 300)
    chain.mkdir(parents=True)
    (chain / "bottom").write_bytes(b"bottom")

    summary = intake(case, path=evidence, label="F", workers=1, options=Options(extractors=()))

    found = items(case)
    for name, data in FILES.items():
        assert found[name]["sha256"] == sha256(data), name
        assert (found[name]["state"], found[name]["size"]) == ("done", len(data))
    assert found[b"d/" * 300 + b"bottom"]["sha256"] == sha256(b"bottom")
    for name, kind in {b"link-out": "link", b"dir-out": "link", b"pipe": "pipe", b"sock": "socket"}.items():
        assert found[name]["state"] == "skipped"
        assert kind in found[name]["detail"]
    assert set(found) == {*FILES, b"d/" * 300 + b"bottom", b"link-out", b"dir-out", b"pipe", b"sock"}
    counts = (summary.account.discovered, summary.account.done, summary.account.unreadable, summary.account.skipped)
    assert counts == (13, 9, 0, 4)
    assert summary.account.complete
    assert found[b"empty"]["media_type"] == "application/x-empty" or "empty" in found[b"empty"]["media_type"]
    assert found[b"a.txt"]["media_type"] == "text/plain"
    assert verify.verify_case(case)


def test_many_small_batches_say_the_same_as_one(tmp_path: Path, evidence: Path):
    digests = set()
    for name, size in {"one": BatchSize(), "many": BatchSize(items=2), "bytes": BatchSize(bytes=10)}.items():
        case = new_case(tmp_path / name)
        intake(case, path=evidence, label="F", workers=2, options=Options(batch=size, extractors=()))
        if name == "many":
            assert case.read().execute("SELECT count(*) FROM batches").fetchone()[0] == len(FILES) / 2
        digests.add(facts_digest(case))
    assert len(digests) == 1


def test_a_batch_closes_with_the_file_that_fills_its_bytes(case: Case, tmp_path: Path):
    """What a stop costs is bounded for few large files, too, of which no number ever makes a batch full."""
    (tmp_path / "large").mkdir()
    for number in range(5):
        (tmp_path / "large" / f"{number}").write_bytes(bytes([number]) * 600)
    options = Options(batch=BatchSize(items=1_000, bytes=1_000), extractors=())
    intake(case, path=tmp_path / "large", label="F", workers=1, options=options)
    made = case.read().execute("SELECT members, bytes FROM batches ORDER BY made_ns, members DESC")
    assert [tuple(batch) for batch in made] == [(2, 1_200), (2, 1_200), (1, 600)]


def test_a_second_run_reads_nothing_and_changes_nothing(case: Case, evidence: Path):
    options = Options(batch=BatchSize(items=3), extractors=())
    intake(case, path=evidence, label="F", workers=1, options=options)
    before = facts_digest(case), case.read().execute("SELECT count(*) FROM receipts").fetchone()[0]
    (evidence / "came later").write_bytes(b"after enumeration was done")
    intake(case, path=evidence, label="F", workers=1, options=options)
    assert (facts_digest(case), case.read().execute("SELECT count(*) FROM receipts").fetchone()[0]) == before


def test_evidence_is_left_as_it_was(case: Case, evidence: Path):
    def state() -> list[tuple[object, ...]]:
        found = []
        for path in [evidence, *sorted(evidence.rglob("*"))]:
            status = path.stat()
            found.append((path, status.st_mtime_ns, status.st_ctime_ns, status.st_atime_ns))
        return found

    for path in [*evidence.rglob("*"), evidence]:
        os.utime(path, (1, 1))  # an access time that any read would move
    before = state()
    summary = intake(case, path=evidence, label="F", workers=1, options=Options(extractors=()))
    assert state() == before
    assert summary.effects["access_times_touched"] == 0


def test_access_times_that_reading_may_move_are_counted_and_said(case: Case, evidence: Path, monkeypatch):
    """As where the folder is another user's: nobody but its owner may ask the system to leave them alone."""
    opened, places = os.open, [evidence, *evidence.rglob("*")]

    def refusing(path, flags, *more, **named):
        if flags & os.O_NOATIME:
            raise PermissionError
        return opened(path, flags, *more, **named)

    monkeypatch.setattr("clew.intake.sources.folder.os.open", refusing)
    summary = intake(case, path=evidence, label="F", workers=1, options=Options(extractors=()))
    touched = summary.effects["access_times_touched"]
    assert touched >= len(places)
    assert f"{touched} openings could not ask the system to leave access times alone" in summary.words()
    assert summary.account.complete


def test_a_file_that_vanishes_between_listing_and_reading_costs_itself(case: Case, evidence: Path, monkeypatch):
    def vanish(_self: Telling, _items: int, _size: int) -> None:
        (evidence / "a.txt").unlink()
        (evidence / "same-1").unlink()
        (evidence / "same-1").symlink_to("/etc/hostname")

    monkeypatch.setattr(Telling, "listed", vanish)
    summary = intake(case, path=evidence, label="F", workers=1, options=Options(extractors=()))
    found = items(case)
    assert {name for name, item in found.items() if item["state"] == "unreadable"} == {b"a.txt", b"same-1"}
    assert found[b"same-1"]["sha256"] is None
    assert summary.account.unreadable_by_reason == {"unreadable": 2}
    assert not summary.account.complete


def test_retry_reads_what_failed_and_only_that(case: Case, evidence: Path, monkeypatch):
    gone = evidence / "a.txt"
    kept = gone.read_bytes()

    with monkeypatch.context() as patched:
        patched.setattr(Telling, "listed", lambda _self, _items, _size: gone.unlink())
        intake(case, path=evidence, label="F", workers=1, options=Options(extractors=()))
    assert items(case)[b"a.txt"]["attempts"] == 1
    gone.write_bytes(kept)
    intake(case, path=evidence, label="F", workers=1, options=Options(extractors=()))
    assert items(case)[b"a.txt"]["state"] == "unreadable"
    summary = intake(case, path=evidence, label="F", workers=1, options=Options(extractors=(), retry=True))
    found = items(case)
    assert (found[b"a.txt"]["state"], found[b"a.txt"]["attempts"]) == ("done", 2)
    assert found[b"a.txt"]["sha256"] == sha256(kept)
    assert {item["attempts"] for name, item in found.items() if name != b"a.txt"} == {1}
    assert summary.account.complete


def test_without_a_mandate_that_covers_it_nothing_is_read(tmp_path: Path, evidence: Path):
    scopes = ({"purposes": ["match"]}, {"exhibits": ["OTHER"]}, {"not_after": "2021-01-01T00:00:00Z"})
    for number, scope in enumerate(scopes):
        case = new_case(tmp_path / f"case-{number}", **scope)
        with pytest.raises(Refused):
            intake(case, path=evidence, label="F", workers=1)
        assert case.read().execute("SELECT count(*) FROM exhibits").fetchone()[0] == 0


def test_a_second_run_at_the_same_time_is_refused_and_told_who_holds_it(case: Case, evidence: Path):
    with lease(case, "intake", "F"), pytest.raises(Held, match=str(os.getpid())):
        intake(case, path=evidence, label="F", workers=1)


def test_a_label_stands_for_one_place(case: Case, evidence: Path, tmp_path: Path):
    intake(case, path=evidence, label="F", workers=1, options=Options(extractors=()))
    other = tmp_path / "other"
    other.mkdir()
    with pytest.raises(Usage, match="stands for"):
        intake(case, path=other, label="F", workers=1)


def test_the_case_may_not_lie_in_the_evidence(tmp_path: Path):
    case = new_case(tmp_path / "all" / "case")
    with pytest.raises(Usage, match="inside"):
        intake(case, path=tmp_path / "all", label="F", workers=1)


def test_the_run_says_how_it_was_isolated(case: Case, evidence: Path):
    summary = intake(case, path=evidence, label="F", workers=1, options=Options(extractors=()))
    row = case.read().execute("SELECT * FROM intake_runs").fetchone()
    assert row["ended_ns"] > row["started_ns"]
    assert all(summary.isolation[layer]["reached"] for layer in ("landlock", "seccomp", "no_new_privs"))
    assert "landlock" in row["isolation"]
    assert "landlock" in summary.words()


def test_an_account_with_an_open_item_is_not_balanced(case: Case, evidence: Path):
    summary = intake(case, path=evidence, label="F", workers=1, options=Options(extractors=()))
    with case.write("intake") as tx:
        tx.execute("UPDATE items SET state='open' WHERE id=(SELECT min(id) FROM items)")
    found = account(case, summary.exhibit)
    assert not found.balanced
    assert not found.complete
    assert "still open 1" in found.words()


def test_what_took_too_long_is_counted_with_what_may_help(case: Case, tmp_path: Path):
    root = tmp_path / "slow"
    root.mkdir()
    (root / "slow").write_bytes(b"NASTY:hang\n")
    limits = replace(LIMITS, seconds=0.5)
    summary = intake(
        case, path=root, label="S", options=Options(1, extractors=("nasty_extractor:PLUGIN",), limits=limits)
    )
    assert summary.account.unreadable == summary.account.late == 1
    assert f"  unreadable, limit reached: 1\n    1 of them {LATE}\n" in summary.words()


def test_one_extractor_more_reads_again_and_adds_its_traits_alone(case: Case, evidence: Path):
    intake(case, path=evidence, label="F", workers=1, options=Options(extractors=()))
    before = items(case)
    summary = intake(case, path=evidence, label="F", workers=1, options=Options(extractors=("nasty_extractor:PLUGIN",)))
    after = items(case)
    assert {name: item["sha256"] for name, item in after.items()} == {n: i["sha256"] for n, i in before.items()}
    assert summary.account.done == len(FILES)
    assert traits(case, sha256(FILES[b"a.txt"]))["nasty.harmless", "fast"]["integer"] == 1


def test_another_file_system_below_the_folder_is_entered_and_counted_once(evidence: Path, tmp_path, monkeypatch):
    from clew.intake import mounts
    from clew.intake.api import Note
    from clew.intake.sources import folder

    inner = {(evidence / name).stat().st_ino for name in ("deep", "deep/er")}
    real = os.fstat

    class Elsewhere:
        st_dev = os.makedev(250, 9)

    (tmp_path / "mountinfo").write_text("36 35 250:9 / /evidence/deep ro - vfat /dev/sdb1 ro\n")
    monkeypatch.setattr(mounts, "MOUNTS", tmp_path / "mountinfo")
    monkeypatch.setattr(folder.os, "fstat", lambda fd: Elsewhere if real(fd).st_ino in inner else real(fd))
    tree = folder.PLUGIN.open(evidence)
    events = list(tree.items(next(tree.parts(None)), "", None, None))
    assert [event.counts for event in events if isinstance(event, Note)] == [{"mount points crossed": 1}]
    found = {event.path: event.times_source for event in events if not isinstance(event, Note)}
    assert found.keys() == set(FILES)
    assert {path for path, source in found.items() if source != "stat, UTC"} == {p for p in FILES if b"deep/" in p}
