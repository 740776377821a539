"""Counting allocated blocks, against counting them one by one."""

from hypothesis import given
from hypothesis import strategies as st

from clew.intake.disk.allocation import WINDOW, ones
from clew.intake.sources.rawdisk import _bitmap, _overlapping


@given(st.binary(max_size=40), st.integers(0, 400), st.integers(0, 400))
def test_ones_counts_bits_and_takes_what_is_not_there_as_set(data, start, count):
    def window(number: int) -> bytes:
        return data if number == 0 else b""

    slow = 0
    for bit in range(start, start + count):
        byte = bit // 8
        slow += 1 if byte >= len(data) else data[byte] >> (bit % 8) & 1
    assert ones(window, start, count) == slow


def test_ones_goes_on_over_the_edge_of_a_window():
    windows = [b"\xff" * WINDOW, b"\x01" + bytes(WINDOW - 1)]
    assert ones(lambda number: windows[number], WINDOW * 8 - 3, 10) == 4


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(1, 12), st.sampled_from("abcdef")), max_size=12))
def test_overlaps_are_those_of_the_slow_way(parts):
    spans = [(start, start + length, owner) for start, length, owner in parts]
    slow = {
        owner
        for start, end, owner in spans
        for other_start, other_end, other in spans
        if owner != other and start < other_end and other_start < end
    }
    assert _overlapping(spans) == slow


@given(st.sets(st.integers(0, 999)))
def test_the_bitmap_holds_exactly_the_named_records(records):
    refs = [f"fs@0/{record}/128-2/x" for record in records] + ["fs@0/5000/1-0/beyond", "fs@0/7/name/only"]
    bits = _bitmap(iter(refs), 1000)
    assert {n for n in range(1000) if bits[n // 8] >> (n % 8) & 1} == records
