"""E01 images: the same bytes as pyewf and as what was acquired, and no damage that is not named."""

import hashlib
import os
import random
import struct
import subprocess
import zlib
from itertools import accumulate, product
from pathlib import Path

import pyewf
import pytest
from ewf_cases import SECTOR, Writer, acquire, chain, checked, mixture, opened, patched, section
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clew.core.absent import Absent
from clew.intake.containers import _ewf_tables
from clew.intake.containers._ranges import Ranges
from clew.intake.containers.ewf import Ewf, open_ewf
from clew.intake.containers.ewf_acquisition import HASHES, verify
from clew.intake.sources import ewf as source
from clew.model import Reason

QUICK = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
SIZE = 40 * SECTOR * 64 + 7 * SECTOR  # the last chunk is a short one
DATA = mixture(SIZE)


def whole(image: Ewf) -> bytes:
    return b"".join(image.read(at, 1 << 20) for at in range(0, image.size, 1 << 20))


def verified(image: Ewf) -> dict:
    *progress, last = (reply.value for reply in verify(image, set(HASHES)))
    assert all(set(each) == {"read"} for each in progress)
    return last


def wrong(data: bytes, truth: bytes, bad: list[tuple[int, int]]) -> list[int]:
    """The first bytes that differ from the truth and lie in no bad range."""
    covered = bytearray(truth)
    for offset, length in bad:
        covered[offset : offset + length] = data[offset : offset + length]
    return [at for at in range(len(truth)) if covered[at] != data[at]][:5] if covered != data else []


@pytest.fixture(scope="module")
def plain(tmp_path_factory) -> bytes:
    """One segment, stored and compressed chunks in it."""
    return acquire(tmp_path_factory.mktemp("plain"), DATA)[0].read_bytes()


@pytest.fixture(scope="module")
def split(tmp_path_factory) -> tuple[bytes, list[Path]]:
    """Five segments of 1 MiB, nothing compressed."""
    data = mixture(4_500_000 // SECTOR * SECTOR, 2)
    paths = acquire(tmp_path_factory.mktemp("split"), data, c="none", S=1 << 20)
    assert len(paths) == 5
    return data, paths


def saved(folder: Path, data: bytes) -> Ewf:
    path = folder / "changed.E01"
    path.write_bytes(data)
    return opened([path])


@pytest.mark.parametrize(
    ("compression", "sectors", "form"),
    [*product(["none", "empty-block", "fast", "best"], [64, 1024], ["encase6"]),
     *product(["fast"], [16, 64, 512], ["ftk", "encase5"]),
     *((level, 64, form) for level, form in product(["none", "fast"], ["encase2", "encase4", "encase7", "linen6"])),
     ("fast", 32768, "encase6"), ("none", 32768, "encase6")],
)  # fmt: skip
def test_every_form_gives_what_was_acquired(tmp_path, compression, sectors, form):
    paths = acquire(tmp_path, DATA, c=compression, b=sectors, f=form, C="case 7", e="wren", N="a note")
    image = opened(paths)
    assert image.size == SIZE
    assert whole(image) == DATA
    said = verified(image)
    assert said["sha256"] == hashlib.sha256(DATA).hexdigest()
    assert said["md5"] == said["stored"]["md5"]
    assert set(said["agree"].values()) == {True}
    assert (said["bad"], said["problems"]) == ([], [])
    facts = said["facts"]
    assert (facts["case number"], facts["examiner"], facts["notes"]) == ("case 7", "wren", "a note")
    assert facts["acquired at"].startswith("20")
    assert facts["chunk bytes"] == sectors * SECTOR


@QUICK
@given(draws=st.lists(st.tuples(st.integers(0, 4_600_000), st.integers(0, 200_000)), min_size=1, max_size=8))
def test_any_place_reads_as_pyewf_reads_it(split, draws):
    data, paths = split
    image = opened(random.Random(len(draws)).sample(paths, len(paths)))
    oracle = pyewf.handle()
    oracle.open([str(path) for path in paths])
    for offset, length in draws:
        if offset < len(data):
            assert image.read(offset, length) == data[offset : offset + length]
            wanted = min(length, len(data) - offset)
            assert oracle.read_buffer_at_offset(wanted, offset) == data[offset : offset + length]
        else:
            assert image.read(offset, length) == b""
    assert image.bad == []
    for segment in image.segments:
        os.close(segment.descriptor)


def test_more_segments_than_numbers_have_names(tmp_path):
    data = random.Random(5).randbytes(103 << 20)
    acquire(tmp_path, data, c="none", S=1 << 20)
    (tmp_path / "image.TXT").write_text("its name ends like a segment's")
    (tmp_path / "image2.E02").write_bytes((tmp_path / "image.E02").read_bytes())
    paths = source.segments(tmp_path / "image.E01")
    assert {"image.E99", "image.EAA", "image.EAE"} < {path.name for path in paths}
    assert sorted(source.segments(tmp_path / "image.EAB")) == sorted(paths)
    said = verified(opened(paths))
    assert said["sha256"] == hashlib.sha256(data).hexdigest()
    assert (said["bad"], said["problems"], said["facts"]["segments"]) == ([], [], len(paths))


IMAGES = {
    "dfvfs/test_data/ext2.E01": "dfvfs/test_data/ext2.raw",
    "dfvfs/test_data/ext2.split.E01": "dfvfs/test_data/ext2.raw",
    "plaso/test_data/image.E01": None,
    "generated/images/mbr_fat16_ntfs.E01": "generated/images/mbr_fat16_ntfs.raw",
}


@pytest.mark.corpus
@pytest.mark.parametrize("name", IMAGES)
def test_real_images_agree_with_their_digest_and_with_pyewf(name):
    corpus = Path(os.environ["CLEW_CORPUS"])
    paths = source.segments(corpus / name)
    image = opened(paths)
    said = verified(image)
    assert said["agree"] == {"md5": True}
    assert (said["bad"], said["problems"]) == ([], [])
    oracle = pyewf.handle()
    oracle.open([str(path) for path in paths])
    assert whole(image) == oracle.read_buffer(image.size)
    raw = IMAGES[name] and corpus / IMAGES[name]
    if raw and raw.exists():
        assert whole(image) == raw.read_bytes()


@pytest.mark.corpus
def test_a_real_image_without_its_second_segment_says_what_is_missing():
    image = opened([Path(os.environ["CLEW_CORPUS"]) / "plaso/test_data/image-split.E01"])
    assert image.size == 2880 * SECTOR
    assert verified(image)["bad"] == [(31 * 32768, image.size - 31 * 32768)]
    assert any("later ones are missing" in problem for problem in image.problems)


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


@pytest.mark.parametrize("number", range(12))
def test_a_damaged_descriptor_costs_nothing_that_stands_elsewhere_too(tmp_path, plain, number):
    kind, at, _ = (chain(plain) + [("", 0, 0)] * 12)[number]
    if not kind:
        return
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


@pytest.mark.parametrize(
    ("footer", "compressed"), [(False, True), (True, True), (True, False)], ids=["SMART", "EnCase 1", "EnCase 1 stored"]
)
def test_old_tables_hold_their_chunks_themselves(tmp_path, footer, compressed):
    data = mixture(300 * SECTOR + 3 * 4096)
    half = 4096 * 20
    writer = Writer()
    writer.volume(len(data)) if footer else writer.smart_volume(len(data))
    writer.old(data[:half], compressed=compressed, footer=footer)
    writer.old(data[half:], compressed=compressed, footer=footer)
    writer.section("hash", checked(hashlib.md5(data).digest() + bytes(16)))
    path = writer.save(tmp_path / "old.E01")
    image = opened([path])
    assert whole(image) == data
    said = verified(image)
    assert (said["agree"], said["bad"], said["problems"]) == ({"md5": True}, [], [])
    flipped = bytearray(path.read_bytes())
    flipped[section(flipped, "table")[0] + 24 + 4 * 3 + 1] ^= 1
    image = saved(tmp_path, flipped)
    assert wrong(whole(image), data, image.bad) == []
    assert sum(length for _, length in image.bad) == (half if footer else 4096)  # SMART's tables have no checksum


def test_a_table_beyond_two_gibibytes_counts_with_all_its_bits(tmp_path):
    """EnCase 6.7.1: 140 stored chunks of 16 MiB. The file is sparse: its chunks are zeros but for a few bytes."""
    chunk, count, base = 16 << 20, 140, 13 + 76 + 1052 + 76
    writer = Writer(chunk)
    writer.volume(chunk * count)
    path = tmp_path / "large.E01"
    table = writer.table([base + number * (chunk + 4) for number in range(count)])
    size = count * (chunk + 4)
    with path.open("wb") as out:
        end = len(writer.out) + 76 + size
        out.write(writer.out + checked(struct.pack("<16sQQ40x", b"sectors", end, 76 + size)))
        for number in range(count):
            mark = struct.pack("<I", number)
            out.seek(base + number * (chunk + 4))
            out.write(mark)
            out.seek(chunk - 4, os.SEEK_CUR)
            out.write(
                struct.pack("<I", zlib.adler32(mark + bytes(chunk - 4))) if number in {0, 1, 127, 128, 139} else b""
            )
        out.seek(end)
        rest = Writer(skipped=end)
        rest.section("table", table)
        rest.section("table2", table)
        rest.section("done", b"")
        out.write(rest.out)
    image = opened([path])
    for number in (0, 1, 127, 128, 139):
        assert image.read(number * chunk, 8) == struct.pack("<II", number, 0)
    assert image.bad == []
    assert image.read(5 * chunk, 4) == bytes(4)
    assert image.bad == [(5 * chunk, chunk)]
    assert any("6.7.1" in problem for problem in image.problems)


def test_what_the_acquisition_could_not_read_and_the_tracks_of_a_disc(tmp_path):
    data = mixture(64 * 4096)
    writer = Writer()
    writer.volume(len(data), "disk", b"G" * 16)
    writer.new(data)
    writer.section("session", checked(struct.pack("<I28x", 2)) + checked(struct.pack("<II24xII24x", 0, 16, 1, 40)))
    errors = struct.pack("<IIII", 8, 8, 100, 4)
    writer.section("error2", checked(struct.pack("<I512x", 2)) + checked(errors))
    image = opened([writer.save(tmp_path / "disc.E01")])
    said = verified(image)
    assert said["acquisition_errors"] == [(8 * SECTOR, 8 * SECTOR), (100 * SECTOR, 4 * SECTOR)]
    assert said["facts"]["tracks"][1].startswith("sector 40: audio")
    assert said["facts"]["set"] == (b"G" * 16).hex()
    assert said["bad"] == []


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


@pytest.mark.parametrize(
    ("head", "reason", "why"),
    [(b"EVF2\x0d\x0a\x81\x00", Reason.UNPARSABLE, "Ex01"), (b"LVF\x09\x0d\x0a\xff\x00", Reason.UNPARSABLE, "L01"),
     (b"LEF2\x0d\x0a\x81\x00", Reason.UNPARSABLE, "Lx01"), (b"ADCRYPT\x00", Reason.ENCRYPTED, "encryption"),
     (b"EVF\x09\x0d\x0a\xff", Reason.UNPARSABLE, "does not begin"), (b"", Reason.UNPARSABLE, "does not begin")],
)  # fmt: skip
def test_what_is_no_e01_is_refused_with_its_name(tmp_path, head, reason, why):
    with pytest.raises(Absent, match=why) as caught:
        saved(tmp_path, head + (b"\x01\x01\x00" + bytes(500) if len(head) == 8 else b""))
    assert caught.value.missing.reason == reason


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

    true, truev = os.pread, os.preadv
    monkeypatch.setattr(os, "pread", lambda fd, n, at: (fails(at, n), true(fd, n, at))[1])
    monkeypatch.setattr(os, "preadv", lambda fd, b, at: (fails(at, len(b[0])), truev(fd, b, at))[1])
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


def test_few_tables_and_chunks_are_held_at_a_time(split, monkeypatch):
    data, paths = split
    monkeypatch.setattr(_ewf_tables, "MOST_HELD", 40)
    image = opened(paths)
    for at in range(0, len(data), 700_001):
        assert image.read(at, 10) == data[at : at + 10]
    assert len(image.tables._held) == 1


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
    try:
        if image.size == len(SMALL):
            data = whole(image)
            assert wrong(data, SMALL, image.bad) == []
            said = verified(image)
            assert said["sha256"] == hashlib.sha256(data).hexdigest()
            assert said["bad"] == image.bad
    finally:
        for segment in image.segments:
            os.close(segment.descriptor)
