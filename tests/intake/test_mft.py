"""What clew reads of NTFS's file records is what The Sleuth Kit says of them: every line of a walk, every byte."""

import hashlib
import os
import random
import struct
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from recovery import tool
from test_corpus_images import IMAGES, image_of

from clew.core import held
from clew.core.absent import Absent
from clew.intake.disk import claims, content, entries, image, mft, mft_rows, stretch
from clew.intake.refs import parse
from clew.range.disk import SMALL, make_disk

BASE = {"container": "clew.intake.containers.raw:open_raw"}
RECORD, SECTOR = 1024, 512
FIELDS = (24, 64)  # bytes of an attribute's header in which most of a record's meaning lies
VALUES = (0, 1, 2, 0x10, 0x40, 0x7F, 0x80, 0xFF)


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., list[str]]]:
    """All that a walk tells of the NTFS file system at an offset of an image, with the hash of each content; by clew's
    own reading of the records, or without it.
    """
    opened: list[int] = []
    own_table = mft.table

    def walked(path: Path, offset: int, *, own: bool) -> list[str]:
        monkeypatch.setattr(mft, "table", own_table if own else lambda *_: None)
        monkeypatch.setattr(mft, "ASKED", 1)
        monkeypatch.setattr(claims, "_beyond", lambda *_: False)  # it asks the records, which one of the two has not
        image._opened.clear()
        image._images.clear()
        stretch._kept["key"] = None
        opened.append(os.open(path, os.O_RDONLY))
        monkeypatch.setattr(held, "descriptors", (opened[-1],))
        where, found, cursor, done = BASE | {"offset": offset}, [], "", False
        while not done:
            part = entries.walk(where | {"root": None, "most": 100, "cursor": cursor, "directories": None}, []).value
            found += part["items"]
            cursor, done = part["cursor"], part["done"]
        return [f"{each} {digest(where, each.get('ref'))}" for each in found]

    yield walked
    image._opened.clear()
    image._images.clear()
    for descriptor in opened:
        os.close(descriptor)


def digest(where: dict, ref: str | None) -> str:
    """The hash of what lies behind a ref and whether it is plain, or why it cannot be read."""
    place = parse(ref) if ref else None
    if place is None or "id" not in place:
        return ""
    try:
        source = content.stream(where | place, [])
        read = hashlib.sha256()
        at = 0
        while at < min(source.size, 4 << 20):
            data = source.read(at, 60_000)
            if not data:
                break
            read.update(data)
            at += len(data)
        return f"{source.size} {read.hexdigest()} {source.read(source.size // 3, 100)!r} {source.bad}"
    except Absent as absent:
        return str(absent.missing)


def volume(folder: Path, *, cluster: int = 4096, size: int = 24 << 20, files: int = 60) -> Path:
    """Files of all sizes, empty and resident ones, with alternate data streams; on small clusters $MFT and the larger
    files lie in many pieces.
    """
    path, dice = folder / f"ntfs-{cluster}.img", random.Random(cluster)
    with path.open("wb") as out:
        out.truncate(size)
    tool("mkntfs", "-q", "-F", "-Q", "-c", str(cluster), path)
    part = folder / "part"
    for number in range(files):
        part.write_bytes(dice.randbytes(dice.choice((0, 1, 200, 600, 700, 5_000, 40_000, 200_000))))
        tool("ntfscp", "-q", path, part, f"f{number:03}")
        if number % 9 == 0:
            part.write_bytes(dice.randbytes(dice.choice((30, 3_000))))
            tool("ntfscp", "-q", "-N", "Zone.Identifier", path, part, f"f{number:03}")
    return path


def records(raw: bytes) -> Iterator[int]:
    """Where the records of the user's files begin in an image."""
    at = raw.find(b"FILE")
    while at >= 0:
        if at % RECORD == 0 and struct.unpack_from("<I", raw, at + 44)[0] >= 64:
            yield at
        at = raw.find(b"FILE", at + 1)


def attributes(raw: bytes, record: int) -> list[int]:
    """Where its attributes begin."""
    found, at = [], record + struct.unpack_from("<H", raw, record + 20)[0]
    while raw[at : at + 4] != b"\xff\xff\xff\xff":
        found.append(at)
        at += struct.unpack_from("<I", raw, at + 4)[0]
    return found


def spoil(raw: bytearray, dice: random.Random) -> None:
    """Changes a byte or two of each file's record: mostly in its header or in those of its attributes. What a fix-up
    covers is left as it is, or nearly every record would only be damaged.
    """
    for record in records(bytes(raw)):
        heads = [record, *attributes(raw, record), *attributes(raw, record)[-1:] * 3]
        for _ in range(dice.choice((0, 1, 1, 1, 2))):
            at = dice.choice(heads) + dice.randrange(dice.choice((*FIELDS, 80)))
            if at % SECTOR < SECTOR - 2 and at - record >= 8:
                raw[at] = dice.choice((dice.choice(VALUES), raw[at] ^ 1 << dice.randrange(8), dice.randrange(256)))


def plain(path: Path, offset: int = 0) -> Counter[bool]:
    """How many of the records of the image that is open are plain, and how many are not."""
    opened = image.file_system(BASE | {"offset": offset})
    assert opened.records is not None
    return Counter(opened.records.plain(number) is not None for number in range(int(opened.fs.info.last_inum)))


@pytest.mark.parametrize("cluster", [512, 4096])
def test_a_volume_is_listed_and_read_as_the_sleuth_kit_does(cluster, tmp_path, lines):
    path = volume(tmp_path, cluster=cluster)
    theirs, ours = lines(path, 0, own=False), lines(path, 0, own=True)
    assert ours == theirs
    assert len(ours) > 60
    assert plain(path)[True] > 50


def test_the_disk_of_the_range_is(tmp_path, lines):
    disk = make_disk(4, tmp_path, SMALL)
    table = tool("mmls", "-a", disk.image)
    offset = next(int(line.split()[2]) * SECTOR for line in table.splitlines() if "NTFS" in line)
    ours = lines(disk.image, offset, own=True)
    assert plain(disk.image, offset)[True] > 10
    assert ours == lines(disk.image, offset, own=False)


@pytest.mark.parametrize("cluster", [512, 4096])
def test_spoilt_records_are(cluster, tmp_path, lines):
    """Whatever one or two bytes of a record become: clew's reading says the same, or leaves it to The Sleuth Kit."""
    path = volume(tmp_path, cluster=cluster)
    whole = path.read_bytes()
    seen: Counter[bool] = Counter()
    for seed in range(12):
        raw = bytearray(whole)
        spoil(raw, random.Random(seed))
        path.write_bytes(raw)
        ours = lines(path, 0, own=True)
        seen += plain(path)
        theirs = lines(path, 0, own=False)
        assert ours == theirs, f"seed {seed}"
    assert seen[True] > 300


def said(raw: bytes | bytearray) -> mft_rows.Plain | None:
    """What one record says, in a volume of 5,000 clusters."""
    (found,) = mft_rows.plain(bytes(raw), RECORD, 4096, 5_000)
    return found


@pytest.fixture
def record(tmp_path) -> bytearray:
    """A plain record, with its $DATA outside it."""
    raw = volume(tmp_path, files=20).read_bytes()
    every = (bytearray(raw[at : at + RECORD]) for at in records(raw))
    return next(each for each in every if (found := said(each)) and found.resident is None)


def at_of(record: bytes, kind: int) -> int:
    """Where its attribute of that type begins."""
    return next(at for at in attributes(record, 0) if record[at] == kind)


def test_a_record_whose_fix_up_does_not_fit_is_not_plain(record):
    for at in range(RECORD):
        spoilt = bytearray(record)
        spoilt[at] ^= 0x21
        assert said(spoilt) is None or at % SECTOR < SECTOR - 2


@pytest.mark.parametrize(
    ("kind", "at", "value"),
    [
        pytest.param(None, 0, b"BAAD", id="damaged, says NTFS itself"),
        pytest.param(None, 22, b"\x00", id="not in use"),
        pytest.param(None, 22, b"\x03", id="a directory"),
        pytest.param(None, 32, b"\x07", id="part of another record"),
        pytest.param(0x10, 0, b"\x20", id="attributes in other records"),
        pytest.param(0x50, 0, b"\x80", id="two contents"),
        pytest.param(0x50, 0, b"\xc0", id="a reparse point"),
        pytest.param(0x30, 24 + 64, b"\xff", id="a name that is longer than its attribute"),
        pytest.param(0x80, 9, b"\x01", id="a stream with a name"),
        pytest.param(0x80, 12, b"\x01", id="compressed"),
        pytest.param(0x80, 13, b"\x40", id="encrypted"),
        pytest.param(0x80, 13, b"\x80", id="sparse"),
        pytest.param(0x80, 16, b"\x01", id="not the first part of a stream"),
        pytest.param(0x80, 34, b"\x04", id="packed in units"),
        pytest.param(0x80, 46, b"\x01\x00" + b"\xff" * 3, id="larger than its runs"),
        pytest.param(0x80, 48, bytes(8), id="runs of nothing"),
        pytest.param(0x80, 64, b"\x01\x40\x00", id="a hole"),
        pytest.param(0x80, 64, b"\x11\x40\x00\x00", id="a run without a place"),
        pytest.param(0x80, 64, b"\x11\x40\xff\x00", id="a run at minus one"),
        pytest.param(0x80, 64, b"\x11\x40\x20\x01\x10\x00", id="a hole after a run"),
        pytest.param(0x80, 64, b"\x11\x40\x20\x11\x10\x00\x00", id="a second run without a place"),
        pytest.param(0x80, 64, b"\x11\x40\x20\x11\x10\xff\x00", id="a second run at minus one, a hole of NT 4"),
        pytest.param(0x80, 40, b"\x01" + bytes(7), id="larger than what is allocated"),
        pytest.param(0x80, 64, b"\x11\x40\x90\x00", id="a run before the first cluster"),
        pytest.param(0x80, 64, b"\x21\x40\x50\x13\x00", id="a run that ends behind the last cluster"),
        pytest.param(0x80, 64, b"\x11\x00\x20\x00", id="a run of no clusters"),
        pytest.param(0x80, 64, b"\x11\x01\x20\x00", id="runs too short for the size"),
        pytest.param(0x80, 64, b"\x19\x40\x20\x00", id="a length of nine bytes"),
        pytest.param(0x80, 64, b"\x11\x40\x20\x11\x40\x20\x11\x40", id="no end mark"),
    ],
)
def test_what_is_odd_is_not_plain(kind, at, value, record):
    place = at if kind is None else at_of(record, kind) + at
    assert said(record) is not None
    record[place : place + len(value)] = value
    assert said(record) is None


def test_a_run_is_read_as_it_is_written(record):
    place = at_of(record, 0x80)
    record[place + 64 : place + 72] = b"\x11\x20\x70\x11\x30\xa0\x00\x00"
    assert said(record).runs == [(112, 32), (112 - 96, 48)]


def test_times_beyond_what_32_bits_hold_are_left_to_the_sleuth_kit(record):
    at = at_of(record, 0x10) + 24
    for value, told in ((0, None), (116_444_736_000_000_000, None), (116_444_736_010_000_000, 1_000_000_000)):
        struct.pack_into("<Q", record, at, value)
        assert said(record).times[3] == told
    for late in (1 << 63, (1 << 64) - 1, 200_000_000_000_000_000):
        struct.pack_into("<Q", record, at, late)
        assert said(record) is None


def test_few_are_left_to_the_sleuth_kit_and_many_are_looked_at_together(tmp_path):
    asked: list[tuple[int, int]] = []

    class Whole:
        def read(self, offset: int, length: int) -> bytes:
            asked.append((offset, length))
            return bytes(length)

    table = mft.Table(Whole(), RECORD, 10_000, 1_000, 4096)
    for number in range(mft.ASKED - 1):
        assert table.plain(number) is None
    assert not asked
    table.plain(0)
    table.plain(1)
    assert asked == [(0, mft.TOGETHER * RECORD)]


def test_records_that_are_cut_short_or_not_there_are_none(record):
    assert mft_rows.plain(b"", RECORD, 4096, 5_000) == []
    assert mft_rows.plain(bytes(record[:-1]), RECORD, 4096, 5_000) == []
    assert len(mft_rows.plain(bytes(record) * 2 + bytes(100), RECORD, 4096, 5_000)) == 2

    class Broken:
        def read(self, offset: int, length: int) -> bytes:
            raise OSError(5, "Input/output error")

    table = mft.Table(Broken(), RECORD, 300, 5_000, 4096)
    assert [table.plain(number) for number in range(400)] == [None] * 400
    assert table.record(3) is None
    assert table.record(-1) is None


@pytest.mark.corpus
@pytest.mark.parametrize("name", [name for name in IMAGES if "ntfs" in name and name.endswith(".gz")])
def test_images_of_the_corpus_are(name, tmp_path, lines):
    path = image_of(Path(os.environ["CLEW_CORPUS"]), name, tmp_path)
    raw = path.read_bytes()
    offset = raw.index(b"NTFS    ") - 3
    ours = lines(path, offset, own=True)
    assert plain(path, offset)[True]
    assert ours == lines(path, offset, own=False)
