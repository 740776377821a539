"""No deleted name is called complete with what may be another's bytes: that its clusters are free says nothing, since a
file that had them meanwhile, and was deleted too, may have left no record. A whole find of just its size vouches, where
checksums stand over its bytes.
"""

import io
import tarfile
import tempfile
import zipfile
from pathlib import Path

import pytest
from cases import sha256
from hypothesis import example, given, settings
from hypothesis import strategies as st
from ntfs_volume import blank, written
from PIL import Image, PngImagePlugin
from recovery import photographs
from test_disk_intake import OPTIONS, put, take, tool

from case_made import new_case
from clew.core import shards
from clew.intake import said as heard
from clew.intake.doubtful import doubtful
from clew.intake.run import intake
from clew.intake.sources import _disk, _said, rawdisk
from clew.intake.sources._doubts import Finds
from clew.intake.work import UNVOUCHED
from clew.model import ContentState

COMPLETE, DOUBT = str(ContentState.COMPLETE), str(ContentState.OVERWRITTEN_POSSIBLE)


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    return photographs()


def said(item: dict) -> tuple[str, str | None, str | None]:
    """What the listing claims of its bytes, what was claimed once they were read, and why no more."""
    return item["content_state"], item["as_read"], item["detail"]


# ---- FAT


def card(path: Path, *folders: str) -> Path:
    """A volume of FAT12 with clusters of 2 KiB."""
    path.write_bytes(bytes(4 << 20))
    tool("mkfs.fat", "-F", "12", "-s", "4", path)
    for name in folders:
        tool("mmd", "-i", path, f"::/{name}")
    return path


def removed(image: Path, name: str) -> None:
    tool("mdel", "-i", image, f"::/{name}")


def test_on_fat_the_one_that_had_the_cluster_meanwhile_left_no_entry(tmp_path):
    image = card(tmp_path / "card.img", "d1", "d2")
    put(image, "ALPHA.TXT", b"alpha's own", "::/d1/")
    removed(image, "d1/ALPHA.TXT")
    put(image, "BETA.TXT", b"beta's own, which lay there later", "::/d2/")
    removed(image, "d2/BETA.TXT")
    put(image, "EMPTY.TXT", b"", "::/d2/")  # takes the entry of the one before
    found, summary = take(tmp_path, image)
    alpha = found[b"d1/_LPHA.TXT"]
    assert alpha["sha256"] == sha256(b"beta's own,")  # of ALPHA's size: it is read and hashed all the same
    assert said(alpha) == (DOUBT, DOUBT, UNVOUCHED)
    assert (summary.doubted, summary.unvouched, summary.complete) == (1, 1, True)
    assert "  1 of them lie in clusters that are free, and nothing shows that no other file held" in summary.words()


def test_a_whole_file_of_just_its_size_vouches_for_a_name_where_checksums_stand_in_it(tmp_path, files):
    """A JPEG is decoded, but a cluster of another one in its middle is too: one in seven passed."""
    image, packed = card(tmp_path / "card.img"), io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("inside.txt", b"mine" * 1_000)
    own = {"A.JPG": files["p01.jpg"], "B.PNG": files["q01.png"], "C.ZIP": packed.getvalue()}
    for name, data in own.items():
        put(image, name, data)
    for name in own:
        removed(image, name)
    found, summary = take(tmp_path, image)
    vouched = {"A.JPG": (DOUBT, DOUBT, UNVOUCHED), "B.PNG": (DOUBT, COMPLETE, None), "C.ZIP": (DOUBT, COMPLETE, None)}
    for name, data in own.items():
        item = found[b"_" + name[1:].encode()]
        assert (item["sha256"], said(item)) == (sha256(data), vouched[name])
    assert (summary.doubted, summary.unvouched) == (2, 1), "the JPEG, by its name and carved"


def test_what_lies_in_an_archive_is_doubted_with_it(tmp_path, monkeypatch):
    """Also where the archive's own listing doubted it already, and something vouched for it meanwhile."""
    image, packed = card(tmp_path / "card.img"), io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("inside.txt", b"mine" * 1_000)
    put(image, "C.ZIP", packed.getvalue())
    removed(image, "C.ZIP")
    case = new_case(tmp_path / "case")
    before = intake(case, path=image, label="D", workers=1, options=OPTIONS)
    assert before.doubted == 0
    monkeypatch.setattr(rawdisk.RawDisk, "version", "1000")
    monkeypatch.setattr(Finds, "agree", lambda *_: False)
    after = intake(case, path=image, label="D", workers=1, options=OPTIONS)
    assert after.doubted == 2, "the archive, and its member"


def test_a_whole_picture_of_another_size_vouches_for_nothing(tmp_path, files):
    image, data = card(tmp_path / "card.img"), files["q01.png"]
    put(image, "A.PNG", data + b"x")
    removed(image, "A.PNG")
    found, _ = take(tmp_path, image)
    assert said(found[b"_.PNG"])[1] == DOUBT


# ---- NTFS


def test_on_ntfs_the_one_that_had_the_clusters_meanwhile_left_no_file_record(tmp_path, files):
    image, size = blank(tmp_path / "disk.img"), 18_000
    beta = bytes(range(1, 251)) * (size // 250)
    with written(image) as volume:
        for name in ("/x.txt", "/alpha.txt", "/q.png"):
            volume.create(name, files["q02.png"] if name == "/q.png" else name.encode() * (size // len(name)))
        for name in ("/x.txt", "/alpha.txt"):
            volume.delete(name)
    with written(image) as volume:
        volume.create("/beta.txt", beta)
        volume.delete("/beta.txt")
        volume.create("/small.txt", b"in its record")
        volume.create("/gone.txt", b"in its record, too")
    with written(image) as volume:
        volume.delete("/gone.txt")
        volume.delete("/q.png")
    found, summary = take(tmp_path, image)
    for name in (b"alpha.txt", b"x.txt"):
        if name in found and found[name]["state"] == "done":
            assert said(found[name]) == (DOUBT, DOUBT, UNVOUCHED), name
    assert said(found[b"alpha.txt"])[1] == DOUBT
    assert said(found[b"gone.txt"]) == (COMPLETE, COMPLETE, None)
    assert said(found[b"q.png"]) == (DOUBT, COMPLETE, None)
    assert summary.complete


# ---- ext


def test_on_ext_a_name_gives_an_inode_that_may_have_been_another_file_s(tmp_path, files):
    """Of a whole picture that the inode has, nobody knows whether it is what that name stood for."""
    image, data = tmp_path / "ext.img", tmp_path / "file"
    with image.open("wb") as out:
        out.truncate(8 << 20)
    tool("mke2fs", "-q", "-F", "-t", "ext4", image)
    for name, content in (("alpha", files["q01.png"]), ("beta", files["q02.png"])):
        data.write_bytes(content)
        tool("debugfs", "-w", "-R", f"write {data} {name}", image)
        tool("debugfs", "-w", "-R", f"rm {name}", image)
    found, _ = take(tmp_path, image)
    kept = {path: item for path, item in found.items() if item["name_state"] == "deleted" and item["sha256"]}
    assert {item["sha256"] for item in kept.values()} & {sha256(files["q02.png"])}
    assert {said(item)[:2] for item in kept.values()} == {(DOUBT, DOUBT)}


# ---- what is said by name, and by a later version


def test_each_is_named_with_its_reason(tmp_path):
    image = card(tmp_path / "card.img")
    put(image, "A.TXT", b"a")
    removed(image, "A.TXT")
    case = new_case(tmp_path / "case")
    summary = intake(case, path=image, label="D", workers=1, options=OPTIONS)
    (row,) = doubtful(case, summary.exhibit)
    assert (row["path"], row["unvouched"], row["erased"], row["why"]) == ("_.TXT", True, False, UNVOUCHED)


def test_what_an_earlier_version_called_complete_is_doubted_by_the_next_run(tmp_path, monkeypatch):
    """With what lies in it: a tar, which the carver does not know."""
    image, packed = card(tmp_path / "card.img"), io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        member = tarfile.TarInfo("inside.txt")
        member.size = 4
        archive.addfile(member, io.BytesIO(b"mine"))
    put(image, "A.TAR", packed.getvalue())
    removed(image, "A.TAR")
    case, whole = new_case(tmp_path / "case"), {"state": COMPLETE}
    content, found = heard.content, _said._found
    with monkeypatch.context() as earlier:
        earlier.setattr(rawdisk.RawDisk, "version", "4")
        earlier.setattr(_disk.Disk, "claims", lambda _self, _deleted, _ask: {})
        earlier.setattr(heard, "content", lambda value: content(value | whole))
        earlier.setattr(_said, "_found", lambda *one: found(*one)._replace(content_state=ContentState.COMPLETE))
        before = intake(case, path=image, label="D", workers=1, options=OPTIONS)
    after = intake(case, path=image, label="D", workers=1, options=OPTIONS)
    assert before.doubted == 0
    assert before.account.discovered == after.account.discovered == 2
    assert (after.doubted, after.unvouched) == (2, 2)


# ---- whatever is created and deleted

DELETED = """
SELECT l.path, l.content_state AS listed, c.content_state AS as_read, c.sha256 FROM listings l LEFT JOIN contents c
USING (item) WHERE l.name_state = 'deleted'
"""


def content(size: int | None, number: int) -> bytes:
    """Text of that size, or a picture of a size that none of another number has."""
    if size is not None:
        return (b"%d, " % number * size)[:size]
    text, out = PngImagePlugin.PngInfo(), io.BytesIO()
    text.add_text("Comment", "x" * (1 + 100 * number))
    Image.new("L", (8, 8), number).save(out, "PNG", pnginfo=text)
    return out.getvalue()


SIZE = st.sampled_from([0, 0, 700, 2000, 5000, None])
STEP = st.tuples(st.sampled_from(["d1", "d2"]), SIZE, st.sampled_from([1, 1, 0]))


@settings(max_examples=6, deadline=None)
@given(st.lists(STEP, min_size=3, max_size=12))
@example([("d1", 700, 1), ("d2", 2000, 1), ("d2", 0, 0)])
@example([("d1", 700, 1), ("d1", 0, 0), ("d2", None, 1), ("d2", 0, 1), ("d1", None, 1)])
def test_no_deleted_name_is_complete_with_bytes_that_it_never_had(steps):
    """Each file takes the first entry and the first clusters that are free; two of three are deleted at once."""
    ever: dict[bytes, bytes] = {}
    with tempfile.TemporaryDirectory() as folder:
        image = card(Path(folder) / "card.img", "d1", "d2")
        for number, (above, size, gone) in enumerate(steps):
            data = content(size, number)
            put(image, f"X{number}.DAT", data, f"::/{above}/")
            ever[f"{above}/_{number}.DAT".encode()] = sha256(data)
            if gone:
                removed(image, f"{above}/X{number}.DAT")
        case = new_case(Path(folder) / "case")
        intake(case, path=image, label="D", workers=1, options=OPTIONS)
        rows = shards.query(case, DELETED).to_pylist()
    for row in rows:
        if COMPLETE in (row["listed"], row["as_read"]):
            assert row["sha256"] == ever[row["path"]], row["path"]
