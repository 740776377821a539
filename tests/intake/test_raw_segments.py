"""A raw image in segments: all of them, in order, and no other file; where one is missing or cut it is refused."""

from pathlib import Path

import pytest

from clew.core.errors import Usage
from clew.intake.sources.rawdisk import segments


def made_empty(folder: Path, *numbers: str) -> Path:
    for number in numbers:
        (folder / f"disk.{number}").touch()
    return folder / f"disk.{numbers[0]}"


def test_a_raw_image_goes_on_behind_the_number_of_all_nines(tmp_path):
    first = made_empty(tmp_path, *(f"{number:02}" for number in range(1, 102)))
    made_empty(tmp_path, "txt", "0100", "2024x")
    assert [each.name for each in segments(first)] == [f"disk.{number:02}" for number in range(1, 102)]
    (tmp_path / "disk.99").unlink()
    with pytest.raises(Usage, match=r"missing: 99$"):
        segments(first)


def test_a_long_number_beside_a_short_series_is_none_of_it(tmp_path):
    first = made_empty(tmp_path, "01", "02", "2024")
    assert [each.name for each in segments(first)] == ["disk.01", "disk.02"]


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
        assert len(segments(first)) == len(sizes)
        return
    with pytest.raises(Usage, match=said) as refused:
        segments(first)
    assert "copy it again" in refused.value.hint


def test_a_raw_image_is_not_begun_behind_its_first_segment(tmp_path):
    second = made_empty(tmp_path, "001", "000", "002")
    with pytest.raises(Usage, match=r"disk\.000 lies beside disk\.001"):
        segments(second)
    assert [each.name for each in segments(tmp_path / "disk.000")] == ["disk.000", "disk.001", "disk.002"]
