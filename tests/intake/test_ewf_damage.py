"""E01 images that are damaged, incomplete or mixed up: what is lost is named, and nothing wrong is ever read."""

import hashlib
import os
import struct
import subprocess
import zlib
from itertools import accumulate
from pathlib import Path

import pytest
from ewf_cases import (
    DATA,
    QUICK,
    SECTOR,
    SIZE,
    Writer,
    acquire,
    chain,
    mixture,
    opened,
    patched,
    saved,
    section,
    split_image,
    verified,
    whole,
    wrong,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from clew.core.absent import Absent
from clew.intake.containers import _ewf_tables
from clew.intake.containers._ranges import Ranges
from clew.intake.containers.ewf import open_ewf
from clew.model import Reason


@pytest.fixture(scope="module")
def plain(tmp_path_factory) -> bytes:
    """One segment, stored and compressed chunks in it."""
    return acquire(tmp_path_factory.mktemp("plain"), DATA)[0].read_bytes()


@pytest.fixture(scope="module")
def split(tmp_path_factory) -> tuple[bytes, list[Path]]:
    return split_image(tmp_path_factory.mktemp("split"))


@pytest.mark.parametrize("compressed", [False, True], ids=["stored", "compressed"])
def test_one_flipped_byte_in_a_chunk_is_found_and_named(tmp_path, plain, compressed):
    at, _ = section(plain, "table")
    base = struct.unpack_from("<Q", plain, at + 8)[0]
    entries = struct.unpack_from("<41I", plain, at + 24)
    number = next(n for n, entry in enumerate(entries) if n > 2 and entry >> 31 == compressed)
    flipped = bytearray(plain)
    flipped[base + (entries[number] & 0x7FFFFFFF) + 1000] ^= 1
    image = saved(tmp_path, flipped)
    chunk = (number * 32768, 32768)
    data = image.read(0, SIZE)
    assert image.bad == [chunk]
    assert data[chunk[0] : sum(chunk)] == bytes(32768)
    assert wrong(data, DATA, image.bad) == []
    said = verified(saved(tmp_path, flipped))
    assert said["bad"] == [chunk]
    assert said["agree"] == {"md5": False, "sha1": False}
    assert said["sha256"] == hashlib.sha256(data).hexdigest()
    told = subprocess.run(["ewfverify", "-q", tmp_path / "changed.E01"], capture_output=True, text=True, check=False)
    sectors = f"at sector(s): {number * 64} - {number * 64 + 63}"
    assert sectors in " ".join(told.stdout.split()), told.stdout


@pytest.mark.parametrize("place", [0, 20, 24, 60, -1], ids=["count", "checksum", "first", "entry", "footer"])
@pytest.mark.parametrize("kind", ["table", "table2"])
def test_a_damaged_table_is_replaced_by_its_mirror(tmp_path, plain, kind, place):
    at, end = section(plain, kind)
    flipped = bytearray(plain)
    flipped[(end if place < 0 else at) + place] ^= 0x41
    image = saved(tmp_path, flipped)
    said = verified(image)
    assert said["sha256"] == hashlib.sha256(DATA).hexdigest()
    assert said["bad"] == []
    assert any("table" in problem for problem in said["problems"])


def test_where_both_tables_are_damaged_only_what_they_agree_on_is_read(tmp_path, plain):
    flipped = bytearray(plain)
    for kind, number in (("table", 5), ("table2", 9)):
        at = section(plain, kind)[0] + 24
        flipped[at + 4 * number : at + 4 * number + 4] = plain[at + 8 : at + 12]  # as if it were the third chunk
    image = saved(tmp_path, flipped)
    assert wrong(whole(image), DATA, image.bad) == []
    assert image.bad == [(5 * 32768, 32768), (9 * 32768, 32768)]


@pytest.mark.parametrize("number", range(11))
def test_a_damaged_descriptor_costs_nothing_that_stands_elsewhere_too(tmp_path, plain, number):
    kind, at, _ = chain(plain)[number]
    for place in (2, 17, 30, 73):
        flipped = bytearray(plain)
        flipped[at + place] ^= 0x11
        image = saved(tmp_path, flipped)
        assert verified(image)["sha256"] == hashlib.sha256(DATA).hexdigest(), (kind, place)
        assert any("damaged" in problem for problem in image.problems), (kind, place)


@pytest.mark.parametrize("gone", [{0}, {2}, {4}, {1, 2}, {1, 3}, {0, 4}, {0, 1, 2, 3}], ids=str)
def test_missing_segments_are_bad_and_all_others_keep_their_place(split, gone):
    """Of two holes apart nobody can tell how much lies before what stands between them: that is lost too."""
    data, paths = split
    image = opened([path for number, path in enumerate(paths) if number not in gone])
    got = whole(image)
    assert len(got) == len(data)
    assert wrong(got, data, image.bad) == []
    chunks = [struct.unpack_from("<I", path.read_bytes(), section(path.read_bytes(), "table")[0])[0] for path in paths]
    starts = [0, *accumulate(chunks)]
    first, end = starts[min(gone)] * 32768, min(starts[max(gone) + 1] * 32768, len(data))
    assert image.bad == [(first, end - first)]
    assert any("missing" in problem for problem in image.problems)


def test_segments_that_do_not_belong_together_are_refused(tmp_path, split):
    _, paths = split
    with pytest.raises(Absent, match="segment 2 is there twice"):
        opened([*paths, paths[1]])
    foreign = bytearray(paths[2].read_bytes())
    start, _ = section(foreign, "data")
    first = paths[0].read_bytes()
    at, _ = section(first, "volume")
    one = tmp_path / "one.E01"
    one.write_bytes(patched(first, at + 64, b"A" * 16, (at, at + 1052)))
    two = tmp_path / "two.E03"
    two.write_bytes(patched(foreign, start + 64, b"B" * 16, (start, start + 1052)))
    with pytest.raises(Absent, match="segment 3 belongs to another image"):
        opened([one, paths[1], two, *paths[3:]])
    two.write_bytes(patched(foreign, start + 8, struct.pack("<I", 128), (start, start + 1052)))
    with pytest.raises(Absent, match="segment 3 belongs to another image"):
        opened([one, paths[1], two, *paths[3:]])


def test_a_segment_of_an_image_that_looks_the_same_is_found_by_the_digest(tmp_path, split):
    data, paths = split
    other = acquire(tmp_path, mixture(len(data), 3), c="none", S=1 << 20)
    said = verified(opened([*paths[:2], other[2], *paths[3:]]))
    assert said["agree"] == {"md5": False, "sha1": False}


def test_segments_behind_the_end_are_left_out_and_said(tmp_path, split):
    data, paths = split
    later = bytearray(paths[1].read_bytes())
    later[9] = 6
    (tmp_path / "left.E06").write_bytes(later)
    image = opened([*paths, tmp_path / "left.E06"])
    assert whole(image) == data
    assert any("the image ends before it" in problem for problem in image.problems)


def test_a_file_cut_anywhere(tmp_path, plain):
    for length in [len(plain) - 1, len(plain) - 200, *range(len(plain) // 7, len(plain), len(plain) // 7)]:
        try:
            image = saved(tmp_path, plain[:length])
        except Absent:
            assert length < section(plain, "table")[1]
            continue
        assert wrong(whole(image), DATA, image.bad) == []
        assert any("cut" in problem for problem in image.problems)


def test_in_a_cut_set_what_came_before_the_cut_is_read(tmp_path, split):
    data, paths = split
    cut = tmp_path / "cut.E03"
    cut.write_bytes(paths[2].read_bytes()[:500_000])
    image = opened([*paths[:2], cut, *paths[3:]])
    assert wrong(whole(image), data, image.bad) == []
    assert 900_000 < sum(length for _, length in image.bad) < 1 << 20


def test_an_entry_that_points_outside_is_not_followed(tmp_path, plain):
    changed = plain
    for kind in ("table", "table2"):
        at, end = section(changed, kind)
        changed = patched(changed, at + 24 + 4 * 7, b"\xf0\xff\xff\x7f", (at + 24, end))
    image = saved(tmp_path, changed)
    assert wrong(whole(image), DATA, image.bad) == []
    assert image.bad == [(7 * 32768, 32768)]
    assert any("beyond the end" in problem for problem in image.problems)


def test_two_sound_tables_that_differ_are_said(tmp_path, plain):
    at, end = section(plain, "table2")
    image = saved(tmp_path, patched(plain, at + 24 + 4 * 7, plain[at + 24 : at + 28], (at + 24, end)))
    assert verified(image)["sha256"] == hashlib.sha256(DATA).hexdigest()
    assert any("differs from its mirror" in problem for problem in image.problems)


def test_two_chains_in_one_file_are_said(tmp_path, plain):
    _, at, _ = chain(plain)[2]
    changed = patched(plain, at + 24, struct.pack("<Q", 90), (at, at + 76))
    image = saved(tmp_path, changed)
    assert any("does not lead to the next one" in problem for problem in image.problems)


def test_a_chunk_that_swells_is_bad(tmp_path):
    writer = Writer()
    writer.volume(2 * 4096)
    bomb, rest = zlib.compress(bytes(1 << 22)), zlib.compress(bytes(4096))
    base = len(writer.out) + 76
    writer.section("sectors", bomb + rest)
    table = writer.table([base | 1 << 31, base + len(bomb) | 1 << 31])
    writer.section("table", table)
    image = opened([writer.save(tmp_path / "bomb.E01")])
    assert image.read(0, 8192) == bytes(8192)
    assert image.bad == [(0, 4096)]


@pytest.mark.parametrize(("name", "most"), [("MOST_SECTIONS", 5), ("MOST_TABLES", 0)])
def test_too_much_of_anything_is_a_limit_that_is_said(tmp_path, plain, monkeypatch, name, most):
    monkeypatch.setattr(_ewf_tables, name, most)
    with pytest.raises(Absent) as caught:
        saved(tmp_path, plain)
    assert caught.value.missing.reason == Reason.LIMIT_REACHED


def test_a_table_that_claims_too_many_entries_is_a_damaged_one(tmp_path, plain, monkeypatch):
    monkeypatch.setattr(_ewf_tables, "MOST_ENTRIES", 5)
    with pytest.raises(Absent, match="no chunk table holds"):
        saved(tmp_path, plain)


@pytest.mark.parametrize("chunk", [1, 511, 128 << 20, 1 << 62])
def test_chunks_beyond_all_measure_are_refused(tmp_path, plain, chunk):
    changed = plain
    for kind in ("volume", "data"):
        at, end = section(changed, kind)
        changed = patched(changed, at + 8, struct.pack("<II", max(1, chunk >> 31), min(chunk, 1 << 31)), (at, end))
    with pytest.raises(Absent) as caught:
        saved(tmp_path, changed)
    assert caught.value.missing.reason == Reason.LIMIT_REACHED


def test_many_damaged_descriptors_end_the_search(tmp_path):
    """Each costs a search; after so many the rest is given up, in words."""
    writer = Writer()
    writer.volume(200 * 4096)
    data = mixture(200 * 4096, 6)
    for at in range(0, len(data), 4096):
        writer.new(data[at : at + 4096])
    path = writer.save(tmp_path / "many.E01")
    flipped = bytearray(path.read_bytes())
    for kind, at, _ in chain(bytes(flipped)):
        if kind == "sectors":
            flipped[at + 20] ^= 1
    image = saved(tmp_path, flipped)
    assert wrong(whole(image), data, image.bad) == []
    assert any("all that follows" in problem for problem in image.problems)
    assert len(image.problems) <= 100


def test_without_a_geometry_nothing_is_guessed(tmp_path, plain):
    flipped = bytearray(plain)
    for kind in ("volume", "data"):
        flipped[section(plain, kind)[0] + 4] ^= 1
    with pytest.raises(Absent, match="no volume section holds"):
        saved(tmp_path, flipped)
    flipped[section(plain, "data")[0] + 4] ^= 1
    assert verified(saved(tmp_path, flipped))["sha256"] == hashlib.sha256(DATA).hexdigest()
    with pytest.raises(Absent, match="no segment"):
        open_ewf([])


def test_a_medium_that_fails_under_the_image_costs_what_lies_there(tmp_path, plain, monkeypatch):
    start = section(plain, "sectors")[0] + 200_000
    image = saved(tmp_path, plain)

    def fails(at: int, length: int) -> None:
        if at < start + 4096 and start < at + length:
            raise OSError(5, "Input/output error")

    true = os.pread
    monkeypatch.setattr(os, "pread", lambda fd, n, at: (fails(at, n), true(fd, n, at))[1])
    said = verified(image)
    assert 0 < sum(length for _, length in said["bad"]) <= 3 * 32768
    assert any("read error" in problem for problem in said["problems"])
    data = whole(image)
    assert wrong(data, DATA, image.bad) == []
    assert said["sha256"] == hashlib.sha256(data).hexdigest()

    def gone(*_: object) -> bytes:
        raise OSError(19, "No such device")

    monkeypatch.setattr(os, "pread", gone)
    with pytest.raises(OSError, match="No such device"):
        opened([tmp_path / "changed.E01"]).read(0, 10)


@QUICK
@given(st.lists(st.tuples(st.integers(0, 300), st.integers(0, 40)), max_size=60))
def test_ranges_are_what_was_added(added):
    ranges, few, truth = Ranges(), Ranges(4), set()
    for offset, length in added:
        ranges.add(offset, length)
        few.add(offset, length)
        truth |= set(range(offset, offset + length))
    assert {at for offset, length in ranges.list for at in range(offset, offset + length)} == truth
    assert truth <= {at for offset, length in few.list for at in range(offset, offset + length)}
    assert len(few.list) <= 4
    for one, other in zip(ranges.list, ranges.list[1:], strict=False):
        assert sum(one) < other[0]


SMALL = mixture(90 * SECTOR, 4)


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> bytes:
    return acquire(tmp_path_factory.mktemp("small"), SMALL, b=16)[0].read_bytes()


changes = st.lists(
    st.one_of(
        st.tuples(st.just("set"), st.integers(0, 1 << 20), st.binary(min_size=1, max_size=8)),
        st.tuples(st.just("move"), st.integers(0, 1 << 20), st.integers(0, 1 << 20), st.integers(1, 200)),
        st.tuples(st.just("tail"), st.integers(0, 4000), st.binary(min_size=1, max_size=4)),
        st.tuples(st.just("cut"), st.integers(0, 1 << 20)),
        st.tuples(st.just("mend"), st.integers(0, 20)),
    ),
    min_size=1,
    max_size=6,
)


def changed(data: bytes, how: list[tuple]) -> bytes:
    """`mend` makes the checksum of one descriptor agree with what it now says."""
    places, out = [at for _, at, _ in chain(data)], bytearray(data)
    for kind, *values in how:
        size = max(1, len(out))
        match kind, values:
            case "set", [at, value]:
                out[at % size : at % size + len(value)] = value
            case "move", [source_at, at, length]:
                piece = out[source_at % size : source_at % size + length]
                out[at % size : at % size + len(piece)] = piece
            case "tail", [back, value]:  # tables and descriptors stand at the end
                at = max(0, size - back)
                out[at : at + len(value)] = value
            case "cut", [at]:
                del out[at % size :]
            case "mend", [number]:
                at = places[number % len(places)]
                if at + 76 <= len(out):
                    out[at + 72 : at + 76] = struct.pack("<I", zlib.adler32(bytes(out[at : at + 72])))
    return bytes(out)


@settings(QUICK, max_examples=400)
@given(how=changes)
def test_no_change_gives_wrong_bytes_in_silence(tmp_path, small, how):
    """Flips, moved pieces, cuts, mended checksums: refused, or every byte is the true one or named as bad."""
    try:
        image = saved(tmp_path, changed(small, how))
    except Absent:
        return
    if image.size == len(SMALL):
        data = whole(image)
        assert wrong(data, SMALL, image.bad) == []
        said = verified(image)
        assert said["sha256"] == hashlib.sha256(data).hexdigest()
        assert said["bad"] == image.bad
