"""The second count of a disc, by The Sleuth Kit: agreed, explained, flagged, or said not to be made."""

import struct
import subprocess
from pathlib import Path

import pytest
from discs import OPTIONS, S, change, follow, make, record_of, run_here

from case_made import new_case
from clew.intake import recount
from clew.intake.disk import recount as disk_recount
from clew.intake.disk import recount_iso
from clew.intake.recount import Recount
from clew.intake.run import intake
from clew.intake.sources import _recount

FILES = {"a.txt": b"a", "b name.txt": b"bb", "d/c.txt": b"ccc", "d/e": b"", "empty": b""}


def counted(folder: Path, image: Path) -> tuple[list[Recount], bool]:
    """What is said of its file systems, and whether the account is complete."""
    summary = intake(new_case(folder / "case"), path=image, label="D", workers=1, options=OPTIONS)
    return summary.account.recounts, summary.account.complete


@pytest.mark.parametrize("options", [
    (), ("-R",), ("-J",), ("-R", "-J"), ("-J", "-hide-joliet", "a.txt"), ("-J", "-hide", "a.txt"),
    ("-R", "-J", "-hide-joliet", "d", "-hide-joliet", "empty"), ("-R", "-J", "-udf"),
])  # fmt: skip
def test_the_two_agree_on_what_has_bytes(tmp_path, options):
    """In however many trees: what stands in one of them alone is counted by both."""
    (found,), _ = counted(tmp_path, make(tmp_path / "d.iso", FILES, *options))
    assert (found.theirs, found.ours, found.unexplained) == (3, 3, False)
    assert (found.parser, found.said) == (recount_iso.READER, f"they agree; {recount.OF_DISC}")


def test_links_and_deep_directories_are_counted_alike(tmp_path):
    files = {"deep/b/c/d/e/f/g/h/i/j/x.txt": b"deep", "z" * 200: b"z"}
    (found,), complete = counted(tmp_path, make(tmp_path / "d.iso", files, "-R", "-J"))
    assert (found.theirs, found.ours, found.unexplained, complete) == (2, 2, False, True)


def test_each_extent_that_it_takes_for_a_file_is_accounted_for(tmp_path):
    image = make(tmp_path / "d.iso", {"A.BIN": b"a" * 2048, "B.BIN": b"b" * 100, "C.BIN": b"c"})
    change(image, record_of(image, b"A.BIN;1") + 25, b"\x80")
    change(image, record_of(image, b"B.BIN;1") + 33, b"A.BIN;1")
    (found,), complete = counted(tmp_path, image)
    assert (found.theirs, found.ours, found.unexplained, complete) == (3, 2, False, True)
    assert "it takes 1 further extents of large files for files" in found.said


def test_of_several_sessions_the_first_is_counted_with_what_a_later_one_left_out(tmp_path):
    image = make(tmp_path / "d.iso", {"one.txt": b"one", "gone.txt": b"gone"}, "-R", "-J")
    second = make(tmp_path / "2.iso", {"gone.txt": b"new"}, "-R", "-J", "-C", "0,1000", "-M", str(image))
    follow(image, second, 1000)
    found, complete = counted(tmp_path, image)
    assert [(each.theirs, each.ours, each.unexplained) for each in found] == [
        (2, 2, False),
        (None, 2, False),
        (None, 0, False),
    ]
    assert {each.said for each in found[1:]} == {f"{recount.NO_COUNT}{recount_iso.LATER}"}
    assert complete


def test_a_file_of_which_nothing_is_read_is_counted(tmp_path):
    image = make(tmp_path / "d.iso", {"A.BIN": b"a", "B.BIN": b"b"})
    change(image, record_of(image, b"B.BIN;1") + 26, b"\1\1")  # interleaved
    (found,), _ = counted(tmp_path, image)
    assert (found.theirs, found.ours, found.unexplained) == (2, 2, False)


def test_what_it_drops_behind_the_stated_size_of_a_disc_is_flagged(tmp_path):
    image = make(tmp_path / "d.iso", {f"F{each}": b"%d" % each for each in range(5)})
    data = image.read_bytes()
    (block,) = struct.unpack_from("<I", data, record_of(image, b"F3.;1") + 2)
    change(image, 16 * S + 80, struct.pack("<I", block) + struct.pack(">I", block))
    (found,), complete = counted(tmp_path, image)
    assert (found.theirs, found.ours, found.unexplained, complete) == (3, 5, True, False)
    assert "UNEXPLAINED" in found.said


def test_a_disc_that_it_does_not_open_or_not_in_time_is_said_to_have_no_second_count(tmp_path):
    found, complete = counted(tmp_path, make(tmp_path / "d.iso", {"\u3044" * 50 + "/in": b"in"}, "-J"))
    assert {(each.theirs, each.said) for each in found} == {(None, f"{recount.NO_COUNT}{recount_iso.LONG_NAME}")}
    assert complete
    most = recount_iso.MOST_RECORDS
    assert [recount_iso.uncounted([], records) for records in (most, most + 1)] == ["", recount_iso.TOO_MANY]


def test_a_disc_whose_directories_it_does_not_find_is_flagged(tmp_path):
    image = make(tmp_path / "d.iso", {"A.BIN": b"a"})
    change(image, 16 * S + 132, bytes(16))  # size and places of its path tables
    (found,), complete = counted(tmp_path, image)
    assert (found.theirs, found.ours, found.unexplained, complete) == (0, 1, True, False)


def test_the_count_goes_on_where_it_stood(tmp_path, monkeypatch):
    image = make(tmp_path / "d.iso", FILES, "-R", "-J")
    monkeypatch.setattr(recount_iso, "monotonic", iter(range(0, 1000, 3)).__next__)
    pending, stretches, contents = None, 0, 0
    while pending != []:
        said = run_here(disk_recount.count, image, file_system="ISO 9660", pending=pending).value
        pending, stretches, contents = said["pending"], stretches + 1, contents + said["contents"]
    assert (stretches > 3, contents) == (True, 3)


@pytest.mark.parametrize("hidden", [("-hide-joliet",), ("-hide",)])
def test_further_names_of_a_content_in_one_tree_alone_are_no_difference(tmp_path, hidden):
    """Of hard links each tree may have others, and each reader begins with another tree."""
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "one.txt").write_bytes(b"one")
    for name in ("hard.txt", "more.txt"):
        (folder / name).hardlink_to(folder / "one.txt")
    (folder / "other.txt").write_bytes(b"other")
    image = tmp_path / "d.iso"
    words = ["genisoimage", "-quiet", "-cache-inodes", "-R", "-J", *hidden, "one.txt", "-o", image, folder]
    subprocess.run(words, check=True, capture_output=True)
    (found,), complete = counted(tmp_path, image)
    assert (found.unexplained, complete) == (False, True), found.said
    assert "they agree" in found.said
    assert found.theirs == 4 or "further names of contents" in found.said


def test_a_content_that_one_reader_alone_has_is_a_difference_all_the_same(tmp_path, monkeypatch):
    image = make(tmp_path / "d.iso", FILES, "-R", "-J")
    counts = {"contents": 4, "places": 4, "unreadable": 0, "pending": []}
    monkeypatch.setattr(_recount, "_checked", lambda _said, check=_recount._checked: check(counts))
    (found,), complete = counted(tmp_path, image)
    assert (found.theirs, found.ours, found.unexplained, complete) == (4, 3, True, False)
