"""Where a drive erased what was deleted (TRIM), zeros are no content that anybody deleted; where the books themselves
say that a file is zeros, they are.
"""

from dataclasses import replace
from pathlib import Path

import pytest
from archive_world import zipped
from cases import sha256
from exfat_image import File, make
from ntfs_volume import blank, written
from recovery import photographs
from test_disk_intake import OPTIONS, put, take, tool

from case_made import new_case
from clew.core import shards
from clew.intake import said
from clew.intake.disk import claims
from clew.intake.run import intake
from clew.intake.sources import rawdisk
from clew.intake.work import ERASED, UNVOUCHED
from clew.model import ContentState

COMPLETE, DOUBT = str(ContentState.COMPLETE), str(ContentState.OVERWRITTEN_POSSIBLE)
CLUSTER = 4096


@pytest.fixture(scope="module")
def picture() -> bytes:
    return photographs()["p01.jpg"]


def trimmed(image: Path, data: bytes, gives: bytes = b"\0") -> None:
    """What held `data` gives that one byte."""
    raw = bytearray(image.read_bytes())
    at = raw.index(data)
    raw[at : at + len(data)] = gives * len(data)
    image.write_bytes(raw)


def never_written(image: Path, name: str) -> None:
    """Has the file record of that name say that none of its content was ever written (Carrier, table 13.4)."""
    raw = bytearray(image.read_bytes())
    record = raw.rindex(b"FILE0", 0, raw.rindex(name.encode("utf-16-le")))
    at = record + int.from_bytes(raw[record + 20 : record + 22], "little")
    while raw[at] != 0x80:
        at += int.from_bytes(raw[at + 4 : at + 8], "little")
    assert raw[at + 8] == 1  # it lies outside the record
    raw[at + 56 : at + 64] = bytes(8)
    image.write_bytes(raw)


def states(found: dict[bytes, dict], *names: str) -> dict[str, tuple[str, str, str | None]]:
    """What was listed, what was claimed once it was read, and what is said of it."""
    return {name: tuple(found[name.encode()][key] for key in ("content_state", "as_read", "detail")) for name in names}


def test_on_ntfs_a_deleted_photograph_of_zeros_is_in_doubt_and_live_zeros_are_complete(tmp_path, picture):
    image = blank(tmp_path / "ssd.img")
    with written(image) as volume:
        volume.create("/x.jpg", picture)
        volume.create("/kept.jpg", picture[::-1])
        volume.create("/zeros.bin", bytes(len(picture)))
        volume.create("/small.bin", bytes(90))  # in its record, which nobody erased
        volume.create("/begins.bin", bytes(CLUSTER) + b"x")
        volume.create("/never.bin", picture[1:])
    with written(image) as volume:
        for name in ("x.jpg", "kept.jpg", "small.bin", "begins.bin", "never.bin"):
            volume.delete(f"/{name}")
    trimmed(image, picture)
    never_written(image, "never.bin")
    found, summary = take(tmp_path, image)
    assert found[b"never.bin"]["sha256"] == sha256(bytes(len(picture) - 1))
    assert found[b"x.jpg"]["sha256"] == found[b"zeros.bin"]["sha256"] == sha256(bytes(len(picture)))
    assert states(found, "x.jpg", "kept.jpg", "zeros.bin", "small.bin", "begins.bin", "never.bin") == {
        "x.jpg": (DOUBT, DOUBT, ERASED),
        "kept.jpg": (DOUBT, DOUBT, UNVOUCHED),
        "zeros.bin": (COMPLETE, COMPLETE, None),
        "small.bin": (COMPLETE, COMPLETE, None),
        "begins.bin": (DOUBT, DOUBT, UNVOUCHED),
        "never.bin": (COMPLETE, COMPLETE, None),
    }
    assert (summary.doubted, summary.erased, summary.unvouched) == (3, 1, 2)
    assert "  1 of them read as zeros alone, or as bytes of 0xFF alone" in summary.words()
    assert summary.complete


@pytest.mark.parametrize("gives", [b"\0", b"\xff"])
def test_on_fat_so_is_a_file_of_one_cluster_on_flash_that_gives_either(gives, tmp_path):
    image, data = tmp_path / "card.img", bytes(range(1, 251)) * 8
    image.write_bytes(bytes(4 << 20))
    tool("mkfs.fat", "-F", "12", "-s", "4", image)
    for name in ("A.TXT", "B.TXT"):
        put(image, name, data if name == "A.TXT" else gives * 2000)
    tool("mdel", "-i", image, "::/A.TXT")
    trimmed(image, data, gives)
    found, _ = take(tmp_path, image)
    assert states(found, "_.TXT", "B.TXT") == {"_.TXT": (DOUBT, DOUBT, ERASED), "B.TXT": (COMPLETE, COMPLETE, None)}


def test_on_exfat_what_was_never_written_is_zeros_by_the_books(tmp_path):
    packed = zipped([("zeros.bin", bytes(5000))])
    listed = [
        File("gone.bin", bytes(3 * CLUSTER), [100, 101, 102], deleted=True),
        File("part.bin", bytes(3 * CLUSTER), [110, 111, 112], deleted=True, written=10),
        File("never.bin", b"another's" * 1000, [120, 121, 122], deleted=True, written=0),
        File("chain.bin", bytes(2 * CLUSTER), [130, 131], deleted=True, chained=True),
        File("gone.zip", packed, [140, 141], deleted=True),
    ]
    found, summary = take(tmp_path, make(tmp_path / "card.img", listed))
    assert states(found, *(each.name for each in listed), "gone.zip!/zeros.bin") == {
        "gone.bin": (DOUBT, DOUBT, ERASED),
        "part.bin": (DOUBT, DOUBT, ERASED),
        "never.bin": (COMPLETE, COMPLETE, None),
        "chain.bin": (DOUBT, DOUBT, ERASED),
        "gone.zip": (DOUBT, COMPLETE, None),
        "gone.zip!/zeros.bin": (COMPLETE, COMPLETE, None),  # the archive's checksum is of zeros
    }
    assert (summary.doubted, summary.erased) == (3, 3)


def test_on_ext_nobody_erases_what_was_deleted_while_open_and_what_was_never_written_has_no_clusters(tmp_path):
    image, data = tmp_path / "ext.img", bytes(range(1, 251)) * 40
    with image.open("wb") as out:
        out.truncate(8 << 20)
    tool("mke2fs", "-q", "-F", "-t", "ext4", image)
    (tmp_path / "file").write_bytes(data)
    requests = [f"write {tmp_path}/file {name}" for name in ("gone", "never", "kept")]
    requests += [
        "punch never 0 9",
        "fallocate never 0 9",
        "rm gone",
        "rm never",
        "unlink kept",
        "sif <14> links_count 0",
    ]
    for request in requests:
        tool("debugfs", "-w", "-R", request, image)
    for _ in range(image.read_bytes().count(data)):
        trimmed(image, data)
    found, _ = take(tmp_path, image)
    assert states(found, "gone", "$OrphanFiles/inode-14", "never") == {
        "gone": (DOUBT, DOUBT, ERASED),
        "$OrphanFiles/inode-14": (COMPLETE, COMPLETE, None),
        "never": ("unreadable", None, claims.NO_POINTERS),
    }


def test_what_an_earlier_version_called_complete_is_doubted_by_the_next_run(tmp_path, monkeypatch):
    image = make(tmp_path / "card.img", [File("x.bin", bytes(CLUSTER), [100], deleted=True)])
    case = new_case(tmp_path / "case")
    believed = said.content
    with monkeypatch.context() as earlier:
        earlier.setattr(rawdisk.RawDisk, "version", "3")
        earlier.setattr(said, "content", lambda value: believed(value | {"state": COMPLETE}))
        before = intake(case, path=image, label="D", workers=1, options=OPTIONS)
    after = intake(case, path=image, label="D", workers=1, options=OPTIONS)
    assert (before.doubted, after.doubted, after.erased) == (0, 1, 1)
    rows = shards.query(case, "SELECT content_state AS state FROM contents ORDER BY state").to_pylist()
    assert [row["state"] for row in rows] == [COMPLETE, DOUBT]
    again = intake(case, path=image, label="D", workers=1, options=replace(OPTIONS, retry=True))
    assert again.doubted == 1
    assert len(shards.query(case, "SELECT item FROM contents")) == 2
