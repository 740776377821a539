"""E01 images: the same bytes as pyewf and as what was acquired, and no damage that is not named."""

import gzip
import hashlib
import os
import random
import struct
import zlib
from itertools import product
from pathlib import Path

import pyewf
import pytest
from ewf_cases import (
    DATA,
    QUICK,
    SECTOR,
    SIZE,
    Writer,
    acquire,
    checked,
    mixture,
    opened,
    saved,
    section,
    split_image,
    verified,
    whole,
    wrong,
)
from hypothesis import given
from hypothesis import strategies as st

from clew.core.absent import Absent
from clew.intake.containers import _ewf_tables
from clew.intake.containers.ewf_acquisition import chunks
from clew.intake.sources import ewf as source
from clew.model import Reason


@pytest.fixture(scope="module")
def plain(tmp_path_factory) -> bytes:
    """One segment, stored and compressed chunks in it."""
    return acquire(tmp_path_factory.mktemp("plain"), DATA)[0].read_bytes()


@pytest.fixture(scope="module")
def split(tmp_path_factory) -> tuple[bytes, list[Path]]:
    return split_image(tmp_path_factory.mktemp("split"))


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
    oracle = pyewf.handle()
    oracle.open([str(path) for path in paths])
    image = opened(random.Random(len(draws)).sample(paths, len(paths)))
    for offset, length in draws:
        assert image.read(offset, length) == data[offset : offset + length]
        wanted = max(0, min(length, len(data) - offset))
        assert not wanted or oracle.read_buffer_at_offset(wanted, offset) == data[offset : offset + length]
    assert image.bad == []


def test_the_sequential_read_can_begin_at_any_chunk(split):
    data, paths = split
    for first in (0, 1, 31, 32, 100, len(data) // 32768):
        assert b"".join(chunks(opened(paths), first)) == data[first * 32768 :]


@pytest.mark.timeout(30)
def test_a_short_last_chunk_read_first_leaves_the_others_whole(tmp_path):
    """All chunks have the same packed bytes; only the last one stands for fewer."""
    writer = Writer()
    writer.volume(3 * 4096 + SECTOR)
    writer.new(bytes(4 * 4096), compressed=True)
    image = opened([writer.save(tmp_path / "zeros.E01")])
    assert image.read(3 * 4096, 4096) == bytes(SECTOR)
    assert image.read(0, 1 << 20) == bytes(image.size)
    assert len(image.read(4096, 4096)) == 4096
    assert image.bad == []


def test_more_segments_than_numbers_have_names(tmp_path):
    data = random.Random(5).randbytes(103 << 20)
    acquire(tmp_path, data, c="none", S=1 << 20)
    (tmp_path / "image.TXT").write_text("its name ends like a segment's")
    (tmp_path / "image2.E02").write_bytes((tmp_path / "image.E02").read_bytes())
    (tmp_path / "image.S01").write_bytes((tmp_path / "image.E01").read_bytes())
    paths = source.segments(tmp_path / "image.E01")
    assert {"image.E99", "image.EAA", "image.EAE"} < {path.name for path in paths}
    assert not {"image.TXT", "image.S01", "image2.E02"} & {path.name for path in paths}
    assert set(source.segments(tmp_path / "image.EAB")) == {*paths, tmp_path / "image.S01"}
    assert source.segments(tmp_path / "image.dd") == [tmp_path / "image.dd"]
    said = verified(opened(paths))
    assert said["sha256"] == hashlib.sha256(data).hexdigest()
    assert (said["bad"], said["problems"], said["facts"]["segments"]) == ([], [], len(paths))


IMAGES = {  # and the same bytes raw, where they are there
    "dfvfs/test_data/ext2.E01": ("dfvfs/test_data/ext2.splitraw.000", "dfvfs/test_data/ext2.splitraw.001"),
    "dfvfs/test_data/ext2.split.E01": ("dfvfs/test_data/ext2.splitraw.000", "dfvfs/test_data/ext2.splitraw.001"),
    "plaso/test_data/image.E01": (),
    "generated/images/mbr_fat16_ntfs.E01": ("generated/images/mbr_fat16_ntfs.raw.gz",),
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
    raw = [(corpus / part).read_bytes() for part in IMAGES[name]]
    if raw:
        assert whole(image) == b"".join(gzip.decompress(part) if part[:2] == b"\x1f\x8b" else part for part in raw)


@pytest.mark.corpus
def test_a_real_image_without_its_second_segment_says_what_is_missing():
    image = opened([Path(os.environ["CLEW_CORPUS"]) / "plaso/test_data/image-split.E01"])
    assert image.size == 2880 * SECTOR
    assert verified(image)["bad"] == [(31 * 32768, image.size - 31 * 32768)]
    assert any("later ones are missing" in problem for problem in image.problems)


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
    assert said["bad"] == said["acquisition_errors"], "zeros with a right checksum are still no bytes of the disk"


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


def test_few_tables_and_chunks_are_held_at_a_time(split, monkeypatch):
    data, paths = split
    monkeypatch.setattr(_ewf_tables, "MOST_HELD", 40)
    image = opened(paths)
    for at in range(0, len(data), 700_001):
        assert image.read(at, 10) == data[at : at + 10]
    assert len(image.tables._held) == 1
