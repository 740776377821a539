"""A raw image in segments: all of them, in order, and no other file; where one is missing or cut it is refused."""

from pathlib import Path

import pytest
from cases import sha256
from test_volumes import fat, take

from case_made import new_case
from clew.core.errors import Usage
from clew.intake.options import Options
from clew.intake.run import intake
from clew.intake.sources._series import series
from clew.intake.sources.rawdisk import RawDisk


def made_empty(folder: Path, *numbers: str) -> Path:
    for number in numbers:
        (folder / f"disk.{number}").touch()
    return folder / f"disk.{numbers[0]}"


def test_a_raw_image_goes_on_behind_the_number_of_all_nines(tmp_path):
    first = made_empty(tmp_path, *(f"{number:02}" for number in range(1, 102)))
    made_empty(tmp_path, "txt", "0100", "2024x")
    assert [each.name for each in series(first).paths] == [f"disk.{number:02}" for number in range(1, 102)]
    (tmp_path / "disk.99").unlink()
    with pytest.raises(Usage, match=r"missing: 99$"):
        series(first)


def test_a_long_number_beside_a_short_series_is_none_of_it(tmp_path):
    first = made_empty(tmp_path, "01", "02", "2024")
    assert [each.name for each in series(first).paths] == ["disk.01", "disk.02"]


@pytest.mark.parametrize(
    ("sizes", "said"),
    [
        ((9, 9, 4), None),
        ((9, 9, 9), None),
        ((9,), None),
        ((9, 7, 9, 4), "disk.002 is 2 bytes shorter than disk.001"),
        ((9, 7, 9), "disk.002 is 2 bytes shorter than disk.001"),
        ((5, 9, 4), "disk.001 is 4 bytes shorter than disk.002"),
        ((5, 9), "disk.001 is 4 bytes shorter than disk.002"),
        ((9, 0, 9), "disk.002 is 9 bytes shorter than disk.001"),
    ],
)
def test_a_raw_image_with_a_cut_segment_is_refused(tmp_path, sizes, said):
    """All behind it would be read from elsewhere, and a live file get the bytes of another."""
    for number, size in enumerate(sizes, 1):
        (tmp_path / f"disk.{number:03}").write_bytes(bytes(size))
    first = tmp_path / "disk.001"
    if said is None:
        assert len(series(first).paths) == len(sizes)
        return
    with pytest.raises(Usage, match=said) as refused:
        series(first)
    assert "copy it again" in refused.value.hint


def made(folder: Path, **sizes: int) -> Path:
    """Files with names and sizes; "__" stands for a dot."""
    folder.mkdir(exist_ok=True)
    for name, size in sizes.items():
        (folder / name.replace("__", ".")).write_bytes(bytes(size))
    return folder


WHOLE = [
    ("disk", ["000", "001", "002"]),
    ("disk", ["001", "002", "003"]),
    ("disk", ["1", "2", "3"]),
    ("disk", ["0", "1", "2"]),
    ("disk", [str(number) for number in range(1, 13)]),
    ("disk", ["aa", "ab", "ac"]),
    ("disk", ["AA", "AB", "AC"]),
    ("disk.dd", ["aaa", "aab"]),
    ("disk.dd", ["00", "01"]),
    ("disk", [f"{number:02}" for number in range(90)] + ["9000", "9001"]),
    ("disk", [a + b for a in "abcdefghijklmnopqrstuvwxy" for b in "abcdefghijklmnopqrstuvwxyz"] + ["zaaa", "zaab"]),
]


@pytest.mark.parametrize(("stem", "endings"), WHOLE, ids=["-".join(endings[:2]) for _, endings in WHOLE])
def test_a_series_is_opened_from_any_of_its_members(tmp_path, stem, endings):
    for each in endings:
        (tmp_path / f"{stem}.{each}").write_bytes(bytes(3 if each == endings[-1] else 9))
    (tmp_path / f"{stem}.txt").write_bytes(b"what the imager says")
    for each in {endings[0], endings[1], endings[-1]}:
        found = series(tmp_path / f"{stem}.{each}")
        assert [path.name for path in found.paths] == [f"{stem}.{each}" for each in endings]
        assert found.notes[-1].startswith(f"joined from {len(endings)} files, in this order: {stem}.{endings[0]} (9 b")


@pytest.mark.parametrize(
    ("named", "sizes", "said"),
    [
        ("x.002", {"x__002": 9, "x__003": 9, "x__004": 2}, "missing: 001"),
        ("x.004", {"x__002": 9, "x__003": 9, "x__004": 2}, "missing: 001"),
        ("x.003", {"x__003": 9}, "missing: 001, 002"),
        ("x.003", {"x__001": 9, "x__003": 9, "x__004": 2}, "missing: 002"),
        ("x.3", {"x__2": 9, "x__3": 9, "x__4": 2}, "missing: 1"),
        ("x.1", {"x__1": 9, "x__3": 9}, "missing: 2"),
        ("x.aa", {"x__aa": 9, "x__ac": 9, "x__ad": 2}, "missing: ab"),
        ("x.ac", {"x__ab": 9, "x__ac": 9, "x__ad": 2}, "missing: aa"),
        ("x.ac", {"x__aa": 9, "x__ab": 5, "x__ac": 9}, "x.ab is 4 bytes shorter than x.aa"),
    ],
)
def test_a_series_of_which_one_is_missing_is_refused_whichever_is_named(tmp_path, named, sizes, said):
    with pytest.raises(Usage, match=said) as refused:
        series(made(tmp_path, **sizes) / named)
    assert refused.value.hint


@pytest.mark.parametrize(
    ("named", "sizes", "said"),
    [
        ("part01.dd", {"part01__dd": 9, "part02__dd": 9, "part03__dd": 2}, "part02.dd (9 bytes), part03.dd (2 bytes)"),
        ("disk.img", {"disk__img": 9, "disk2__img": 9}, "disk2.img (9 bytes)"),
        ("disk2.img", {"disk__img": 9, "disk2__img": 7}, "disk.img (9 bytes)"),
        ("x01", {"x00": 9, "x01": 9, "x02": 2}, "x00 (9 bytes), x02 (2 bytes)"),
        ("xab", {"xaa": 9, "xab": 9, "xac": 2}, "xaa (9 bytes), xac (2 bytes)"),
        ("x.1", {"x__1": 5, "x__2": 9}, "x.2 (9 bytes)"),
    ],
)
def test_what_may_be_a_disk_of_its_own_is_not_joined_and_is_told_of(tmp_path, named, sizes, said):
    found = series(made(tmp_path, **sizes) / named)
    assert [path.name for path in found.paths] == [named]
    assert any(f"beside it lie {said}: not read" in note for note in found.notes)


@pytest.mark.parametrize(
    ("named", "sizes"),
    [
        ("disk.dd", {"disk__dd": 9, "disk__de": 9}),
        ("disk.img", {"disk__img": 9, "disk__log": 9, "disk__txt": 2}),
        ("disk.img", {"disk__img": 9}),
        ("disk1.img", {"disk1__img": 9, "disk2__img": 8, "disk3__img": 7}),
        ("disk.dd", {"disk__dd": 30, "disk__aa": 9, "disk__ab": 9}),
    ],
)
def test_a_name_that_only_resembles_others_is_one_image_and_nothing_is_said(tmp_path, named, sizes):
    path = made(tmp_path, **sizes) / named
    assert series(path) == ([path], [])


def test_numbered_disks_that_each_begin_as_a_disk_does_are_not_joined(tmp_path):
    for number in (1, 2):
        (tmp_path / f"disk.{number}").write_bytes(bytes(510) + b"\x55\xaa" + bytes(1536))
    found = series(tmp_path / "disk.2")
    assert [path.name for path in found.paths] == ["disk.2"]
    assert "beside it lie disk.1 (2,048 bytes): not read" in found.notes[-1]


@pytest.mark.parametrize(
    ("at", "magic"),
    [
        (0, b"LUKS\xba\xbe\x00\x02"),
        (3, b"-FVE-FS-"),
        (32, b"NXSB"),
        (0, b"XFSB"),
        (65600, b"_BHRfS_M"),
        (32769, b"CD001"),
    ],
)
def test_numbered_disks_without_a_boot_sector_are_not_joined(tmp_path, at, magic):
    for number in (1, 2):
        (tmp_path / f"disk.{number}").write_bytes((bytes(at) + magic).ljust(1 << 17, b"\0"))
    assert [path.name for path in series(tmp_path / "disk.1").paths] == ["disk.1"]


def test_numbered_segments_of_which_one_begins_where_a_partition_does_are_joined(tmp_path):
    for number, size in enumerate((4096, 4096, 4096, 2048), 1):
        (tmp_path / f"disk.{number}").write_bytes((bytes(510) + b"\x55\xaa" * (number == 2)).ljust(size, b"\0"))
    assert len(series(tmp_path / "disk.3").paths) == 4


def test_a_lone_file_that_is_named_as_a_later_segment_says_so(tmp_path):
    found = series(made(tmp_path, disk__7=9) / "disk.7")
    assert "what may belong before it is not here" in found.notes[-1]


def test_what_was_joined_stands_in_the_acquisition(tmp_path):
    volume = fat(tmp_path, "ONE.TXT", 3 << 20)
    for at, ending in enumerate(("aa", "ab", "ac")):
        (tmp_path / f"disk.{ending}").write_bytes(volume[at << 20 : (at + 1) << 20])
    _, summary = take(tmp_path, tmp_path / "disk.ab")
    assert summary.acquisition["files"] == [[f"disk.{ending}", 1 << 20] for ending in ("aa", "ab", "ac")]
    assert summary.sha256 == sha256(volume).hex()
    assert summary.account.complete


@pytest.mark.parametrize("had", [1, 2])
def test_an_exhibit_that_was_taken_in_as_fewer_segments_is_known_again_and_says_that_it_is_a_part(tmp_path, had):
    """By a version that took one segment for the image, or before the others were there."""
    volume = fat(tmp_path, "ONE.TXT", 3 << 20)
    case, endings = new_case(tmp_path / "case"), ("aa", "ab", "ac")
    for at, ending in enumerate(endings):
        if at == had:
            first = intake(case, path=tmp_path / "disk.aa", label="A", workers=1, options=Options(extractors=()))
        (tmp_path / f"disk.{ending}").write_bytes(volume[at << 20 : (at + 1) << 20])
    again = intake(case, path=tmp_path / "disk.aa", label="A", workers=1, options=Options(extractors=()))
    said = [part["missing"] for part in again.account.parts_unreadable]
    assert any("it is a part of what lies in 3 segments, disk.aa (1,048,576 bytes), disk.ab" in each for each in said)
    assert again.sha256 == first.sha256 == sha256(volume[: had << 20]).hex()
    assert not again.complete


def test_an_exhibit_of_one_later_segment_is_known_again_where_the_first_is_missing(tmp_path):
    path = made(tmp_path, disk__002=1 << 20) / "disk.002"
    session = RawDisk().open_known(path, 1)
    try:
        assert session.detail == {"opened": "read-only", "files": 1}
    finally:
        session.close()
    with pytest.raises(Usage, match="missing: 001"):
        RawDisk().open_known(path, 2)
