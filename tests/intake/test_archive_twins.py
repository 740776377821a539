"""Members of one name and one size: each has its own bytes, when they are read first and when one is opened again."""

import os
import zipfile
from contextlib import closing

import libarchive
import pytest
from archive_world import content, everything, opened, rar4, rar5, tarred, turned, zipped
from cases import sha256

from case_made import new_case
from clew.core import shards
from clew.intake.archives import opening
from clew.intake.archives.budget import Budgets
from clew.intake.expand import Archives
from clew.intake.options import Options
from clew.intake.reading import find
from clew.intake.run import intake
from clew.intake.tools import choose

TWINS = [("same", bytes([letter]) * 5000) for letter in b"abc"]
RAW = [(name.encode(), data) for name, data in TWINS]
APART = [RAW[0], (b"other", b"1"), RAW[1], (b"other", b"2"), RAW[2]]


def seven(files) -> bytes:
    """By libarchive, which packs two of one name."""
    out = bytearray()
    with libarchive.custom_writer(lambda data: out.extend(data) or len(data), "7zip") as archive:
        for name, data in files:
            archive.add_file_from_memory(name, len(data), data)
    return bytes(out)


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize(
    ("pack", "turn"),
    [
        (lambda: zipped(TWINS), 1),
        (lambda: zipped(TWINS, zipfile.ZIP_STORED), 1),
        (lambda: turned(zipped(TWINS)), -1),
        (lambda: zipped(TWINS)[:-60], 1),
        (lambda: zipped([("in.zip", turned(zipped(TWINS)))]), -1),
        (lambda: zipped([("in.zip", zipped(TWINS[:1])), ("in.zip", zipped(TWINS[1:2])), ("z", TWINS[2][1])]), 1),
        (lambda: tarred([("in.zip", zipped(TWINS))], "w:xz"), 1),
        (lambda: tarred(TWINS), 1),
        (lambda: tarred(TWINS, "w:gz"), 1),
        (lambda: seven(TWINS), 1),
        (lambda: rar4(APART), 1),
        (lambda: rar5(RAW), 1),
    ],
    ids=[
        "zip",
        "stored",
        "turned",
        "cut",
        "nested",
        "twins nested",
        "in tar.xz",
        "tar",
        "tar.gz",
        "7z",
        "rar4",
        "rar5",
    ],
)
def test_each_of_them_has_its_own_bytes(tmp_path, pack, turn):
    folder = tmp_path / "x"
    folder.mkdir()
    (folder / "f").write_bytes(pack())
    case = new_case(tmp_path / "case")
    intake(case, path=folder, label="X", workers=1, options=Options(extractors=()))
    sql = "SELECT l.ref, c.sha256, c.size FROM listings l JOIN contents c USING (item) WHERE c.size=5000 ORDER BY ref"
    rows = shards.query(case, sql).to_pylist()
    assert [row["sha256"] for row in rows] == [sha256(data) for _, data in TWINS[::turn]]
    exhibit = case.read().execute("SELECT id FROM exhibits").fetchone()["id"]
    try:
        with closing(Archives(case, exhibit, choose(folder).open(folder), Budgets())) as session:
            for row in (rows[1], rows[0], rows[2], rows[0]):
                job = session.job(row["ref"])
                member = find(job.opener)({**job.payload, "size": row["size"]}, list(job.fds))
                assert sha256(member.read(0, 10_000)) == row["sha256"]
                for descriptor in job.fds:
                    os.close(descriptor)
    finally:
        opening._cut(0)


def test_twins_in_a_row_that_libarchive_takes_for_one_are_said():
    """It takes the second in a RAR 4 for a further volume of the first."""
    found, reasons = everything(rar4(RAW))
    assert found[0] == RAW[0]
    assert all(not data for _, data in found[1:])
    assert len(reasons) >= len(found[1:]) == 2


def test_what_comes_out_of_a_member_that_is_cut_does_not_depend_on_whether_it_was_read_before():
    packed = zipped([("a", b"1" * 3000), ("b", b"2" * 3000)], zipfile.ZIP_STORED)
    archive = opened(packed[: packed.find(b"2") + 1000])
    first, again = content(archive, 1), content(archive, 1)
    assert first == again
    assert first[0] == b"2" * 1000
    archive.close()
