"""Files whose bytes another driver of Windows brings: never complete with the zeros that stand in their place."""

import random
from pathlib import Path

import pytest
from cases import items, sha256
from ntfs_volume import blank, written

from case_made import new_case
from clew.intake.disk import reparse
from clew.intake.options import Options
from clew.intake.run import intake

WOF, DEDUP, CLOUD, HSM, SYMLINK, JUNCTION = 0x80000017, 0x80000013, 0x9000601A, 0xC0000004, 0xA000000C, 0xA0000003
FIFO, FOREIGN, FOREIGN_LINK = 0x80000024, 0x0000000A, 0x2000000D
SIZE = 300_000
HERE = random.Random(7).randbytes(65_536)
WHERE = {
    "wof": (WOF, "packed by Windows (WOF), not unpacked; its packed bytes are the stream WofCompressedData"),
    "wim": (WOF, "its bytes lie in a Windows image file"),
    "dedup": (DEDUP, "its bytes lie in the chunk store"),
    "cloud": (CLOUD, "its bytes were in the cloud, not on this disk"),
    "cloud0": (0x9000001A, "its bytes were in the cloud, not on this disk"),
    "hsm": (HSM, "moved to other storage"),
    "foreign": (FOREIGN, "a tag that clew does not know (0x0000000A)"),
}


def take(folder: Path, image: Path):
    case = new_case(folder / "case")
    summary = intake(case, path=image, label="D", workers=1, options=Options(extractors=()))
    return items(case), summary.account


OTHERS = ("here", "strange", "linked", "part", "short", "small", "symlink", "mount", "fifo", "other")


@pytest.fixture(scope="module")
def taken(tmp_path_factory):
    """Each kind live and, at the end, deleted; the Items by path and the account."""
    folder = tmp_path_factory.mktemp("reparse")
    image = blank(folder / "image")
    with written(image) as volume:
        for before in ("/", "/gone-"):
            for name, (tag, _) in WHERE.items():
                volume.create(before + name)
                volume.write(before + name, b"", size=SIZE)
                if name == "wof":
                    volume.write(before + name, HERE, stream="WofCompressedData")
                volume.reparse(before + name, tag)
            for name, tag in (("here", CLOUD), ("strange", FOREIGN), ("linked", SYMLINK)):
                volume.create(before + name, HERE + name.encode())
                volume.reparse(before + name, tag)
            volume.create(before + "part")
            volume.write(before + "part", b"", size=SIZE)
            volume.write(before + "part", HERE, at=131_072)
            volume.reparse(before + "part", CLOUD)
            for name, data in (("short", bytes(100)), ("small", b"small")):
                volume.create(before + name, data)
                volume.reparse(before + name, CLOUD)
            for name, tag in (("symlink", SYMLINK), ("mount", JUNCTION), ("fifo", FIFO), ("other", FOREIGN_LINK)):
                volume.create(before + name)
                volume.reparse(before + name, tag)
        for name, tag in (("junction", JUNCTION), ("onedrive", CLOUD)):
            volume.create(f"/{name}", folder=True)
            volume.reparse(f"/{name}", tag)
        volume.create("/sparse")
        volume.write("/sparse", b"", size=SIZE)
    for name in (*WHERE, *OTHERS):
        with written(image) as volume:
            volume.delete(f"/gone-{name}")
    return take(folder, image)


both = pytest.mark.parametrize("before", [b"", b"gone-"], ids=["live", "deleted"])


@both
@pytest.mark.parametrize("name", [*WHERE, "short"])
def test_a_file_whose_bytes_are_elsewhere_is_unreadable_and_says_where_they_are(name, before, taken):
    item = taken[0][before + name.encode()]
    assert (item["state"], item["reason"], item["content_state"]) == ("unreadable", "unreadable", "unreadable")
    assert WHERE.get(name, WHERE["cloud"])[1] in item["detail"]
    assert item["sha256"] is None
    assert item["name_state"] == ("deleted" if before else "live")


@both
def test_the_packed_bytes_are_an_item_of_their_own(before, taken):
    stream = taken[0][before + b"wof:WofCompressedData"]
    assert (stream["state"], stream["sha256"]) == ("done", sha256(HERE))
    assert stream["parent"] == taken[0][before + b"wof"]["item"]


@both
@pytest.mark.parametrize("name", [b"here", b"strange", b"linked", b"small"])
def test_what_holds_its_bytes_itself_is_read(name, before, taken):
    found, account = taken
    item = found[before + name]
    claim = "overwritten possible" if before and name != b"small" else "complete"  # that one lies in its record
    assert (item["state"], item["content_state"], item["as_read"]) == ("done", claim, claim)
    assert item["sha256"] == sha256(b"small" if name == b"small" else HERE + name)
    for kind, count in (("cloud files", 4), ("of a tag that clew does not know", 2), ("a link", 2)):
        said = f"files with a reparse point ({kind}) that hold their bytes themselves, read as they stand"
        assert account.notes[said] == count


@both
def test_what_lies_here_in_part_is_partial_and_never_done(before, taken):
    item = taken[0][before + b"part"]
    assert (item["state"], item["reason"], item["content_state"]) == ("unreadable", "unreadable", "partial")
    assert f"only {len(HERE):,} of its {SIZE:,} bytes are in the file itself" in item["detail"]
    assert "its bytes were in the cloud" in item["detail"]
    assert item["as_read"] == "partial"
    assert item["sha256"] == sha256(bytes(131_072) + HERE + bytes(SIZE - 131_072 - len(HERE)))


@both
@pytest.mark.parametrize(
    ("name", "why"),
    [(b"symlink", "symbolic link"), (b"mount", reparse.STANDS_FOR_ANOTHER), (b"fifo", "named pipe"),
     (b"other", reparse.STANDS_FOR_ANOTHER)],
)  # fmt: skip
def test_a_link_is_no_content(name, why, before, taken):
    item = taken[0][before + name]
    assert (item["state"], item["reason"]) == ("skipped", "not applicable")
    assert why in item["detail"]
    assert item["sha256"] is None


def test_directories_are_noted_and_the_two_counts_agree(taken):
    found, account = taken
    assert account.notes[reparse.LINKED_DIRECTORIES] == account.notes[reparse.POINTED_DIRECTORIES] == 1
    (count,) = account.recounts
    assert count.theirs == count.ours
    assert not account.complete
    assert b"junction" not in found


def test_a_sparse_file_without_a_reparse_point_is_zeros(taken):
    item = taken[0][b"sparse"]
    assert (item["state"], item["content_state"], item["sha256"]) == ("done", "complete", sha256(bytes(SIZE)))


def test_a_reparse_point_that_is_lost_is_known_by_the_files_attributes(tmp_path):
    """It may lie in a further record of the file, which is damaged."""
    image = blank(tmp_path / "image")
    with written(image) as volume:
        volume.create("/stub")
        volume.write("/stub", b"", size=SIZE)
    raw = bytearray(image.read_bytes())
    record = raw.rindex(b"FILE0", 0, raw.rindex("stub".encode("utf-16-le")))
    first = record + int.from_bytes(raw[record + 20 : record + 22], "little")
    assert raw[first] == 0x10
    raw[first + 24 + 32 + 1] |= 0x04  # FILE_ATTRIBUTE_REPARSE_POINT, 0x400
    image.write_bytes(raw)
    found, _ = take(tmp_path, image)
    assert found[b"stub"]["content_state"] == "unreadable"
    assert "its reparse point cannot be read" in found[b"stub"]["detail"]


def test_hostile_tags_make_no_more_notes_than_there_are_kinds(tmp_path):
    image = blank(tmp_path / "image")
    with written(image) as volume:
        for number in range(40):
            volume.create(f"/{number}", b"x")
            volume.reparse(f"/{number}", 0x11_0000 + number)
    found, account = take(tmp_path, image)
    assert len(found) == 40
    assert len(account.notes) == 2


def test_of_a_packed_file_whole_units_count(tmp_path):
    """NTFS leaves out what it saved of a unit of 16 clusters: such a hole is none of the content."""

    class Info:
        size, flags, type, name, id = 40 * 4096, reparse._NON_RESIDENT | reparse._PACKED, 0x80, None, 1

    class Run:
        def __init__(self, offset: int, length: int, flags: int) -> None:
            self.offset, self.len, self.flags = offset, length, flags

    class Attribute:
        info = Info

        def __init__(self, *runs: tuple[int, int, int]) -> None:
            self.runs = runs

        def __iter__(self):
            return (Run(*run) for run in self.runs)

    class File:
        class info:
            class meta:
                addr = 64

    class Opened:
        block, records = 4096, None

    own, hole = 0, reparse._NOT_ITS_OWN
    for runs, here in [
        ([(0, 5, own), (5, 11, hole), (16, 1, own), (17, 15, hole), (32, 8, own)], 40),
        ([(0, 5, own), (5, 27, hole), (32, 8, own)], 24),
        ([(0, 16, hole), (16, 3, own), (19, 2, own), (21, 19, hole)], 16),
        ([(0, 40, hole)], 0),
        ([(0, 48, own)], 40),
    ]:
        assert reparse._here(Opened, File, Attribute(*runs)) == here * 4096
