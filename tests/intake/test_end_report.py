"""The end report and the story of an Exhibit say what is in the case, and nothing twice."""

import json
import zipfile

import pytest
from carved import made
from cases import items
from click.testing import CliRunner
from PIL import Image

from case_made import new_case
from clew.cli.main import cli
from clew.core.case import Case
from clew.intake.account import Account
from clew.intake.custody import find
from clew.intake.expand import Archives
from clew.intake.families import ORDER, family
from clew.intake.options import Options
from clew.intake.report import report
from clew.intake.run import intake
from facts_case import put


@pytest.fixture(scope="module")
def taken(tmp_path_factory: pytest.TempPathFactory) -> tuple[Case, str]:
    """A folder with one of each: a picture, a text, one that cannot be read, one that is skipped; taken in twice."""
    from clew.intake.telling import Telling

    folder = tmp_path_factory.mktemp("report")
    root = folder / "seized"
    root.mkdir()
    Image.new("RGB", (64, 48), (9, 9, 9)).save(root / "p.png")
    (root / "letter.txt").write_text("dear heron\n" * 20)
    (root / "gone\x1b[2J.txt").write_text("x")
    (root / "empty").write_bytes(b"")
    (root / "link").symlink_to("/etc/hostname")
    case = new_case(folder / "case")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Telling, "listed", lambda *_: (root / "gone\x1b[2J.txt").unlink())
        intake(case, path=root, label="F", options=Options(workers=1))
    (root / "gone\x1b[2J.txt").mkdir()  # and so it fails again, in the same way
    ended = intake(case, path=root, label="F", options=Options(workers=1, retry=True))
    return case, ended.exhibit


def test_what_an_extractor_said_nothing_of_is_told_from_what_it_said_not_all_of(tmp_path):
    """A film with more key frames than are hashed, one with nothing in it, and what an earlier version missed."""
    root = tmp_path / "seized"
    root.mkdir()
    (root / "all-intra.avi").write_bytes(made("motion-jpeg.avi"))
    (root / "nothing.mp4").write_bytes(b"\0\0\0\x18ftypisom\0\0\2\0isomiso2" + b"\1" * 900)
    case = new_case(tmp_path / "case")
    ended = intake(case, path=root, label="F", options=Options(workers=1))
    whole = items(case)[b"all-intra.avi"]["sha256"]
    old = {"extractor": "video", "version": "0", "mode": "fast", "missing": "encrypted"}
    put(case, "traits", [{"content": whole, "name": "video.pdq", **old}], "intake")
    after = report(case, ended.exhibit)
    assert after.extractors_missing == [
        {"extractor": "video", "missing": "limit reached", "nothing": False, "contents": 1},
        {"extractor": "video", "missing": "unparsable", "nothing": True, "contents": 1},
    ]
    assert "video could not say all of 1 content: limit reached\n" in after.words()
    assert "video has nothing to say of 1 content: unparsable\n" in after.words()
    named = run("show", "unsaid", str(case.folder), "F").splitlines()
    assert [line.partition(": ")[0] for line in named] == [
        "all-intra.avi  video could not say all",
        "nothing.mp4  video has nothing to say",
    ]
    rows = [json.loads(line) for line in run("show", "unsaid", str(case.folder), "F", "--json").splitlines()]
    assert (rows[0]["sha256"], rows[0]["missing"]) == (whole.hex(), "limit reached")
    names = {"item", "path", "path_hex", "ref", "size", "name_state", "sha256"}
    assert set(rows[0]) == names | {"extractor", "missing", "nothing", "detail"}


def run(*words: str) -> str:
    found = CliRunner().invoke(cli, list(words), standalone_mode=False)
    assert found.exception is None, found.exception
    return found.output


def test_the_report_adds_up(taken: tuple[Case, str]) -> None:
    ended = report(*taken)
    found = ended.account
    assert (found.discovered, found.done, found.unreadable, found.skipped) == (5, 3, 1, 1)
    assert ended.families == {"pictures": 1, "documents": 1, "empty": 1}
    assert ended.names == {"live": 5}
    assert not ended.complete
    assert len(ended.runs) == 2
    words = ended.words()
    for line in (
        "discovered 5 = done 3 + unreadable 1 + skipped 1",
        "by type, of what was hashed: pictures 1, documents 1, empty 1",
        "documents and chats are counted and typed, not read",
        "2 runs, ",
        "read with folder 1, ",
        "hashed by ",
        "isolation: ",
        "no statement that nothing else was there",
    ):
        assert line in words
    json.dumps(ended.as_dict())


def test_a_run_that_was_stopped_is_told(taken: tuple[Case, str]) -> None:
    case, exhibit = taken
    with case.write("intake") as tx:
        tx.execute("UPDATE intake_runs SET ended_ns=NULL, effects='{}' WHERE id=(SELECT min(id) FROM intake_runs)")
    words = report(case, exhibit).words()
    assert "1 of them stopped" in words
    assert "of 1 stopped run it is not known how many access times it touched" in words


def test_the_report_can_be_asked_for_later(taken: tuple[Case, str]) -> None:
    case, exhibit = taken
    said = json.loads(run("intake", str(case.folder), "--label", "F", "--report", "--json"))
    assert said == json.loads(json.dumps(report(case, exhibit).as_dict()))


def test_what_could_not_be_read_is_named(taken: tuple[Case, str]) -> None:
    case, _ = taken
    line = run("show", "unreadable", str(case.folder), "F")
    assert "\x1b" not in line
    assert "gone\N{REPLACEMENT CHARACTER}[2J.txt  reading, tried 2 times: unreadable: " in line
    (row,) = map(json.loads, run("show", "unreadable", str(case.folder), "F", "--json").splitlines())
    assert bytes.fromhex(row["path_hex"]) == b"gone\x1b[2J.txt"
    assert (row["stage"], row["reason"], row["attempts"]) == ("reading", "unreadable", 2)


def test_the_story_is_in_order_and_whole(taken: tuple[Case, str]) -> None:
    case, _ = taken
    told = json.loads(run("show", "exhibit", str(case.folder), "F", "--json"))
    said = [each["said"] for each in told["events"]]
    for number, begins in enumerate(
        (
            "It was entered as F: a folder at ",
            "An intake began with clew ",
            "Since ",
            "It ended: discovered 5 = done 3 + unreadable 1 + skipped 1.",
            "An intake began with clew ",
            "It was held against its listing: 0 entries that were not in the case, 0 written to since, 1 gone.",
            "Since ",
            "It ended: ",
        )
    ):
        assert said[number].startswith(begins), said
    assert "5 items were listed; of what was read: 3 done, 1 unreadable." in said[2]
    assert [each["entry"] for each in told["events"]] == sorted(each["entry"] for each in told["events"])
    assert "It was entered as F" in run("show", "exhibit", str(case.folder), "F")
    assert "F  folder" in run("show", "exhibits", str(case.folder))


def test_what_was_erased_from_the_ledger_is_counted_in_the_story(taken: tuple[Case, str]) -> None:
    from clew.intake.story import story

    case, exhibit = taken
    with case.write("core") as tx, tx.gate.core():
        tx.execute(
            "DELETE FROM ledger_openings WHERE seq=(SELECT max(seq) FROM ledger WHERE line LIKE '%intake.ended%')"
        )
    assert story(case, exhibit)[-1].said == (
        "What 1 more entries of intake were about was erased: some may be about this exhibit."
    )


@pytest.mark.parametrize(
    ("media_type", "expected"),
    [
        ("image/heic", "pictures"), ("video/x-matroska", "videos"), ("audio/flac", "audio"),
        ("text/plain", "documents"), ("application/pdf", "documents"), ("application/zip", "archives"),
        ("application/vnd.openxmlformats-officedocument.wordprocessingml.document", "documents"),
        ("application/vnd.sqlite3", "chats and databases"), ("message/rfc822", "chats and databases"),
        ("application/x-7z-compressed", "archives"), ("application/x-pie-executable", "programs"),
        ("application/vnd.microsoft.portable-executable", "programs"), ("application/gzip", "archives"),
        ("application/x-xz", "archives"), ("application/x-tar", "archives"), ("inode/x-empty", "empty"),
        ("application/x-arj", "archives and disk images that are not opened"),
        ("application/x-iso9660-image", "archives and disk images that are not opened"),
        ("application/octet-stream", "unknown"), (None, "unknown"), ("strange", "unknown"),
    ],
)  # fmt: skip
def test_families(media_type: str | None, expected: str) -> None:
    assert family(media_type) == expected
    assert expected in ORDER


def status(case: Case) -> str:
    return CliRunner().invoke(cli, ["status", str(case.folder)], standalone_mode=False).output


def test_a_run_that_was_killed_before_archives_were_listed_is_not_complete(tmp_path, monkeypatch):
    root = tmp_path / "x"
    root.mkdir()
    with zipfile.ZipFile(root / "a.zip", "w") as archive:
        archive.writestr("member", "text")
    case = new_case(tmp_path / "case")
    with monkeypatch.context() as killed:
        killed.setattr(Archives, "next_round", lambda _: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            intake(case, path=root, label="F", options=Options(workers=1, extractors=()))
    held = find(case, "F")
    half = report(case, held.id)
    assert half.account.balanced
    assert (half.complete, half.as_dict()["complete"]) == (False, False)
    assert "NOT AT ITS END" in half.words()
    assert "F (not at their end: clew intake CASE PATH --label LABEL goes on)" in status(case)
    assert intake(case, path=root, label="F", options=Options(workers=1, extractors=())).complete
    whole = report(case, held.id)
    assert whole.complete
    assert "NOT AT ITS END" not in whole.words()
    assert "not at their end" not in status(case)


def test_what_a_disk_calls_its_partitions_forges_no_line():
    part = {"kind": "partition", "table": "GPT: \x1b[2J\ndiscovered 9 = done 9", "offset": 0, "length": 1}
    words = Account(not_covered=[{**part, "missing": "unknown: \x1b[31m"}]).words()
    assert "\x1b" not in words
    assert len(words.splitlines()) == 2
