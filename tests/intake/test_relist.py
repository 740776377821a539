"""What the listing lost is listed again by a retry: nothing doubled, and what stood for the loss is settled."""

import errno
import json
import os
import struct
import subprocess
import zipfile
from collections import Counter
from pathlib import Path

import flaky_image
import ntfs_volume
import pytest
from cases import copied, items, sha256

from case_made import new_case
from clew.core import shards
from clew.core.case import Case
from clew.intake import relist, run
from clew.intake.account import account, facts_digest
from clew.intake.api import Part
from clew.intake.listing import BatchSize
from clew.intake.options import Options
from clew.intake.report import Report
from clew.intake.run import intake
from clew.intake.sources import folder as folders
from clew.intake.story import story
from clew.intake.telling import Telling
from container_files import tool

PARTITION = 1 << 20
ONCE = Options(workers=1, extractors=(), batch=BatchSize(items=3))
RETRY = Options(workers=1, extractors=(), batch=BatchSize(items=3), retry=True)


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return new_case(tmp_path / "case")


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("of-files") / "seized"
    for name in ("a/one", "a/two", "locked/three", "locked/deep/four", "z/five"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(name.encode())
    return root


def once(case: Case) -> bool:
    """Whether no Item and no path is listed twice."""
    rows = shards.query(case, "SELECT item, path FROM listings").to_pylist()
    return all(set(Counter(row[name] for row in rows).values()) == {1} for name in ("item", "path"))


def states(case: Case) -> dict[bytes, str]:
    return {path: item["state"] for path, item in items(case).items()}


def refused_at(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """The system lists no directory of that name any more."""
    real = os.scandir

    def scandir(where):  # type: ignore[no-untyped-def]
        if isinstance(where, int) and Path(f"/proc/self/fd/{where}").readlink().name == name:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return real(where)

    monkeypatch.setattr(folders.os, "scandir", scandir)


@pytest.fixture(scope="module")
def lost(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Report]:
    """A case into which the tree was taken while "locked" could not be listed, closed, and what the run reported."""
    case = new_case(tmp_path_factory.mktemp("lost") / "case")
    with pytest.MonkeyPatch.context() as patched:
        refused_at(patched, "locked")
        ended = intake(case, path=tree, label="F", options=ONCE)
    case.close()
    return case.folder, ended


@pytest.fixture(scope="module")
def listed_since(lost: tuple[Path, Report], tree: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The digest of that case once a retry went through to its end."""
    case = copied(lost[0], tmp_path_factory.mktemp("since") / "case")
    assert intake(case, path=tree, label="F", options=RETRY).complete
    digest = facts_digest(case)
    case.close()
    return digest


def test_a_directory_that_could_not_be_listed_is_listed_by_a_retry(lost, tree, tmp_path, monkeypatch):
    case, ended = copied(lost[0], tmp_path / "case"), lost[1]
    with monkeypatch.context() as patched:
        refused_at(patched, "locked")
        assert ended.account.unreadable_by_reason == {"unreadable": 1}
        before = states(case)
        assert before == {b"a/one": "done", b"a/two": "done", b"z/five": "done", b"locked/": "unreadable"}
        assert not intake(case, path=tree, label="F", options=RETRY).complete
        assert states(case) == before  # lost once more
        assert items(case)[b"locked/"]["detail"] == "the directory could not be listed: Input/output error"
    assert not intake(case, path=tree, label="F", options=ONCE).complete  # nobody asked for it
    assert intake(case, path=tree, label="F", options=RETRY).complete
    found = items(case)
    assert {found[name]["state"] for name in (b"locked/three", b"locked/deep/four", b"a/one")} == {"done"}
    assert found[b"locked/three"]["sha256"] == sha256(b"locked/three")
    assert (found[b"locked/"]["state"], found[b"locked/"]["detail"]) == ("skipped", relist.LISTED_SINCE)
    assert once(case)
    assert {found[name]["attempts"] for name in (b"a/one", b"z/five")} == {1}
    digest = facts_digest(case)
    assert intake(case, path=tree, label="F", options=RETRY).complete
    assert facts_digest(case) == digest
    told = " ".join(event.said for event in story(case, ended.exhibit))
    assert "1 parts that had lost something were listed again" in told
    assert "Of what could not be listed at first, 1 were listed." in told


def test_a_file_that_could_not_be_examined_is_listed_by_a_retry(case, tree, monkeypatch):
    """A directory that may be listed but not entered: each name is known, and nothing of it."""
    real = folders._stat
    lost = folders.Missing(folders.Reason.UNREADABLE, "could not be examined: Permission denied")
    with monkeypatch.context() as patched:
        patched.setattr(folders, "_stat", lambda entry: lost if entry.name in {"one", "two"} else real(entry))
        assert not intake(case, path=tree, label="F", options=ONCE).complete
    assert shards.query(case, "SELECT path FROM listings WHERE content_state='unreadable'").num_rows == 2
    assert intake(case, path=tree, label="F", options=RETRY).complete
    rows = shards.query(case, "SELECT path, sha256 FROM listings JOIN contents USING (item)").to_pylist()
    assert {row["path"]: row["sha256"] for row in rows}[b"a/one"] == sha256(b"a/one")
    assert len(rows) == 5


def cut(call):  # type: ignore[no-untyped-def]
    """The same, and then the run is killed."""

    def made(*asked):  # type: ignore[no-untyped-def]
        call(*asked)
        raise KeyboardInterrupt

    return made


@pytest.mark.parametrize(("where", "name"), [(relist, "reopen"), (Telling, "listed")], ids=["opened", "listed in part"])
def test_a_retry_that_is_killed_goes_on_and_says_till_then_that_it_is_not_at_its_end(
    lost, listed_since, tmp_path, tree, monkeypatch, where, name
):
    killed, exhibit = copied(lost[0], tmp_path / "case"), lost[1].exhibit
    with monkeypatch.context() as patched:
        patched.setattr(where, name, cut(getattr(where, name)))
        with pytest.raises(KeyboardInterrupt):
            intake(killed, path=tree, label="F", options=RETRY)
    found = account(killed, exhibit)
    assert found.parts_open == ["tree"]
    assert not found.complete
    assert intake(killed, path=tree, label="F", options=ONCE).complete
    assert once(killed)
    assert facts_digest(killed) == listed_since


def volume(folder: Path) -> Path:
    """An ext2 volume whose directories lie far behind its superblock: whoever reads that, reads 64 KiB. In one that may
    be lost lie an archive and a deleted file, too.
    """
    image, script = folder / "disk.img", ["mkdir a", f"write {folder / 'long'} a/long", "mkdir lost", "mkdir lost/deep"]
    (folder / "long").write_bytes(b"long" * (1 << 18))
    for name in ("a/one", "lost/two", "lost/deep/three"):
        content = folder / Path(name).name
        content.write_bytes(name.encode() * 500)
        script.append(f"write {content} {name}")
    with zipfile.ZipFile(folder / "pack.zip", "w") as archive:
        archive.writestr("inside.txt", "the one member " * 500)
    script.append(f"write {folder / 'pack.zip'} lost/pack.zip")
    (folder / "gone").write_bytes(b"gone" * 5000)
    script += [f"write {folder / 'gone'} lost/gone", "rm lost/gone"]
    with image.open("wb") as file:
        file.truncate(4 << 20)
    (folder / "script").write_text("\n".join(script) + "\n")
    tool("mke2fs", "-q", "-F", "-t", "ext2", "-b", "1024", image)
    tool("debugfs", "-w", "-f", folder / "script", image)
    return image


def partitioned(inside: Path) -> Path:
    """A disk with that volume in its one partition, at 1 MiB."""
    image, data = inside.with_name("whole.img"), inside.read_bytes()
    entry = struct.pack("<8B2I", 0, 0, 2, 0, 0x83, 0, 0, 0, PARTITION // 512, len(data) // 512)
    image.write_bytes((bytes(446) + entry).ljust(510, b"\0") + b"\x55\xaa" + bytes(PARTITION - 512) + data)
    return image


def block_of(image: Path, name: str) -> int:
    said = subprocess.run(["debugfs", "-R", f"blocks {name}", image], capture_output=True, check=True, text=True)
    return int(said.stdout.split()[0])


def take(case: Case, image: Path, options: Options) -> Report:
    return intake(case, path=image, label="D", options=options)


@pytest.fixture
def flaky(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "choose", lambda _path: flaky_image.Source())


@pytest.mark.usefixtures("flaky")
def test_a_directory_of_a_disk_whose_read_failed_is_listed_by_a_retry(case, tmp_path):
    image = volume(tmp_path)
    at = block_of(image, "/lost") * 1024
    flaky_image.spoil(image, (at, at + 1024))
    ended = take(case, image, ONCE)
    assert not ended.complete
    assert states(case)[b"lost"] == "unreadable"
    assert b"lost/two" not in states(case)
    assert not take(case, image, RETRY).complete
    flaky_image.mend(image)
    again = take(case, image, RETRY)
    found = items(case)
    assert found[b"lost/two"]["sha256"] == sha256(b"lost/two" * 500)
    assert found[b"lost/deep/three"]["state"] == "done"
    assert (found[b"lost"]["state"], found[b"lost"]["detail"]) == ("skipped", relist.LISTED_SINCE)
    assert once(case)
    orphans = {path: item["detail"] for path, item in found.items() if path.startswith(b"$OrphanFiles/")}
    assert set(orphans.values()) == {relist.NAMED_SINCE}  # the sweep had found them without their names
    assert [path for path in orphans if path.endswith(b"!/inside.txt")]  # and the archive had been listed then
    assert again.account.unreadable == 0, again.words()
    assert sum(again.families.values()) == again.account.done == 7  # none of them counts twice
    assert found[b"lost/pack.zip!/inside.txt"]["state"] == "done"
    assert "orphan" not in again.names
    assert again.doubted == again.unvouched == 1  # the deleted one shares its bytes with itself alone
    assert again.account.recounts[0].said == "they agree"


@pytest.mark.usefixtures("flaky")
def test_a_partition_that_could_not_be_described_is_settled_once_it_is_listed(case, tmp_path):
    image = volume(tmp_path)
    flaky_image.spoil(image, (1024, 2048))  # its superblock
    ended = take(case, image, ONCE)
    assert [part["kind"] for part in ended.account.parts_unreadable] == ["partition"]
    assert not [path for path in items(case) if not path.startswith(b"$Carved")]
    flaky_image.mend(image)
    again = take(case, image, RETRY)
    assert states(case)[b"lost/two"] == "done"
    assert again.account.parts_unreadable == []
    (row,) = case.read().execute("SELECT detail FROM exhibit_runs WHERE part='fs@0'").fetchall()
    assert "listed_since" in row["detail"]


@pytest.mark.usefixtures("flaky")
def test_a_disk_whose_partition_table_could_not_be_read_is_settled_once_it_is(case, tmp_path):
    image = partitioned(volume(tmp_path))
    flaky_image.spoil(image, (0, 512))
    assert take(case, image, ONCE).account.parts_unreadable
    assert not take(case, image, RETRY).complete
    flaky_image.mend(image)
    again = take(case, image, RETRY)
    assert states(case)[b"lost/two"] == "done"
    assert (again.account.parts_unreadable, again.account.parts_open, again.account.unreadable) == ([], [], 0)
    assert again.complete, again.words()
    digest = facts_digest(case)
    assert take(case, image, RETRY).complete
    assert facts_digest(case) == digest


PLACE = {"offset": 0, "length": 1000}


@pytest.mark.parametrize(
    ("shown", "does"),
    [("lv@0.1/fs@0/walk", True), ("fs@0/left@500/carve", True), ("fs@0", False), ("lv@01.1/fs@0/walk", False)],
)
def test_space_of_no_logical_volume_that_was_not_searched_before_is_settled_once_its_volume_is_shown(shown, does):
    missing = {"missing": "unknown", "missing_detail": "about 9 bytes that belong to no logical volume"}
    row = {"part": "fs@0/free", "done_ns": 1, "detail": json.dumps({"kind": "unpartitioned", **PLACE, **missing})}
    settled = dict(relist._described([row], [Part(shown, {"kind": "any", **PLACE})]))
    assert ("listed_since" in settled.get("fs@0/free", "")) is does


@pytest.mark.usefixtures("flaky")
def test_a_volume_that_cannot_be_described_when_it_is_tried_again_is_not_settled(case, tmp_path):
    """It can be carved whole then, which lists no directory."""
    inside = volume(tmp_path)
    image, at = partitioned(inside), PARTITION + block_of(inside, "/lost") * 1024
    flaky_image.spoil(image, (at, at + 1024), (PARTITION + 1024, PARTITION + 2048))
    take(case, image, ONCE)
    flaky_image.spoil_second(image)
    between = take(case, image, RETRY)
    assert f"fs@{PARTITION}/walk" in between.account.parts_open
    assert items(case)[b"lost"]["detail"] == relist.ANEW
    flaky_image.mend(image)
    again = take(case, image, ONCE)
    assert states(case)[b"lost/two"] == "done"
    assert items(case)[b"lost"]["detail"] == relist.LISTED_SINCE
    assert (again.account.parts_unreadable, again.account.parts_open) == ([], [])
    assert once(case)


def test_what_a_sweep_noted_stays_when_it_is_made_anew(case, tmp_path):
    """It passes over the records that it listed, and does not come to count them once more."""
    image = ntfs_volume.blank(tmp_path / "ntfs.img")
    for name, tag in (("/cloud.bin", 0x9000001A), ("/damaged.bin", None)):
        with ntfs_volume.written(image) as opened:
            opened.create(name, b"c" * 9000)
        if tag is not None:
            with ntfs_volume.written(image) as opened:
                opened.reparse(name, tag)
    for name in ("/cloud.bin", "/damaged.bin"):
        with ntfs_volume.written(image) as opened:
            opened.delete(name)
    data, name = bytearray(image.read_bytes()), "damaged.bin".encode("utf-16-le")
    (at,) = (at for at in range(0, len(data), 1024) if data[at : at + 4] == b"FILE" and name in data[at : at + 1024])
    data[at + 510 : at + 512] = b"??"  # its fix-up does not fit any more (NTFS, multi-sector transfer)
    image.write_bytes(data)
    noted = take(case, image, ONCE).account.notes
    assert [count for what, count in noted.items() if "reparse point" in what] == [1]
    assert take(case, image, RETRY).account.notes == noted
