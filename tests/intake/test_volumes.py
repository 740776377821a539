"""What lies on a disk: partition tables, logical volumes, file systems, and what is only said to be there."""

import random
import struct
import tempfile
import zlib
from pathlib import Path

import pytest
from cases import items, sha256
from exfat_image import File, make
from hypothesis import given, settings
from hypothesis import strategies as st
from lvm_volume import EXTENT, FIRST, physical

from case_made import new_case
from clew.core import shards
from clew.core.absent import Absent
from clew.intake.disk import gpt, lvm, signatures
from clew.intake.disk.image import lost_in
from clew.intake.entropy import measure
from clew.intake.options import Options
from clew.intake.refs import layer, parse, volume
from clew.intake.report import Report
from clew.intake.run import intake
from clew.intake.walk import UNSEEN
from clew.model import Reason
from container_files import tool


def take(folder: Path, image: Path) -> tuple[dict[bytes, dict], Report]:
    case = new_case(folder / "case")
    summary = intake(case, path=image, label="D", workers=1, options=Options(extractors=()))
    return items(case), summary


def fat(folder: Path, name: str, size: int = 1 << 20) -> bytes:
    """A FAT volume with one file, whose content is its name."""
    image, file = folder / f"{name}.fat", folder / name
    with image.open("wb") as out:
        out.truncate(size)
    file.write_text(name)
    tool("mkfs.fat", image)
    tool("mcopy", "-i", image, file, "::/")
    return image.read_bytes()


class Bytes:
    """A ByteSource in memory."""

    def __init__(self, data: bytes) -> None:
        self.data, self.size, self.bad = data, len(data), [(FIRST + EXTENT + 100, 50)]

    def read(self, offset: int, length: int) -> bytes:
        return self.data[offset : offset + length]


# ---- partition tables


@pytest.fixture
def partitioned(tmp_path: Path) -> Path:
    """A GPT of two partitions, a FAT volume in each."""
    image = tmp_path / "gpt.img"
    with image.open("wb") as out:
        out.truncate(5 << 20)
    tool("sgdisk", "-a", "1", "-n", "1:2048:4095", "-n", "2:5120:7167", image)
    data = bytearray(image.read_bytes())
    data[2048 * 512 : 4096 * 512] = fat(tmp_path, "ONE.TXT")
    data[5120 * 512 : 7168 * 512] = fat(tmp_path, "TWO.TXT")
    image.write_bytes(data)
    return image


def test_a_gpt_is_read_from_either_copy_and_a_broken_one_is_said(partitioned, tmp_path):
    whole = partitioned.read_bytes()
    assert gpt.remarks(Bytes(whole)) == []
    no_header = whole[:512] + bytes(512) + whole[1024:]
    no_table_at_all = bytes(34 * 512) + whole[34 * 512 :]
    flipped = whole[:1100] + bytes([whole[1100] ^ 1]) + whole[1101:]
    short = whole[: -40 * 512]
    said = {
        "whole": (whole, 0), "header": (no_header, 1), "both": (no_table_at_all, 1), "flip": (flipped, 1),
        "short": (short, 1),
    }  # fmt: skip
    for name, (data, remarks) in said.items():
        image = tmp_path / f"{name}.img"
        image.write_bytes(data)
        found, summary = take(tmp_path / name, image)
        assert {path: item["sha256"] for path, item in found.items()} == {
            name: sha256(name) for name in (b"ONE.TXT", b"TWO.TXT")
        }
        tables = [part for part in summary.account.parts_unreadable if part["kind"] == "partition table"]
        assert len(tables) == remarks, name
        assert summary.account.complete is (remarks == 0), summary.words()


def test_an_apple_partition_map(tmp_path):
    """Apple, Inside Macintosh: Devices, 3-22: a driver descriptor, then one entry a partition, big-endian."""
    data = bytearray((2 << 20) + 4096)
    struct.pack_into(">2sHI", data, 0, b"ER", 512, len(data) // 512)
    parts = [(1, 7, b"Apple", b"Apple_partition_map"), (8, 2048, b"disk", b"DOS_FAT_16")]
    for number, (first, count, name, kind) in enumerate(parts):
        entry = struct.pack(">2sHIII32s32sIII", b"PM", 0, len(parts), first, count, name, kind, 0, count, 0x33)
        data[512 * (number + 1) : 512 * (number + 1) + len(entry)] = entry
    data[8 * 512 : 8 * 512 + (1 << 20)] = fat(tmp_path, "MAC.TXT")
    image = tmp_path / "apm.img"
    image.write_bytes(data)
    found, summary = take(tmp_path, image)
    assert {path: item["sha256"] for path, item in found.items()} == {b"MAC.TXT": sha256(b"MAC.TXT")}
    assert any(part.get("table", "").startswith("Apple") for part in summary.account.searched)


# ---- logical volumes


def test_a_logical_volume_in_two_stretches_is_read_and_the_rest_is_said(tmp_path):
    content = fat(tmp_path, "IN-LVM.TXT")
    half = len(content) // 2
    extents = half // EXTENT
    volumes = {
        "data": [(20, extents, "pv0"), (2, extents, "pv0")],
        "away": [(0, 1, "pv0"), (0, 1, "pv1")],
        "thin": [(0, 4, "thin-pool")],
    }
    data = physical(40, volumes)
    data[FIRST + 20 * EXTENT :][:half] = b""
    data[FIRST + 20 * EXTENT : FIRST + 20 * EXTENT] = content[:half]
    data[FIRST + 2 * EXTENT : FIRST + 2 * EXTENT + half] = content[half:]
    image = tmp_path / "pv.img"
    image.write_bytes(data)
    found, summary = take(tmp_path, image)
    (item,) = found.values()
    assert item["path"] == b"IN-LVM.TXT"
    assert item["sha256"] == sha256(b"IN-LVM.TXT")
    assert item["ref"].startswith("lv@0.1/fs@0/")
    said = " ".join(part["missing"] for part in summary.account.parts_unreadable)
    assert "away lies in part on another physical volume" in said
    assert "thin is laid out as thin-pool" in said
    assert "carving outside logical volumes: " in summary.words()
    assert not summary.account.complete
    assert summary.account.recounts[0].said == "they agree"


def test_runs_of_a_file_in_a_logical_volume_are_places_of_the_image(tmp_path):
    content = fat(tmp_path, "IN-LVM.TXT")
    data = physical(40, {"data": [(20, len(content) // EXTENT, "pv0")]})
    data[FIRST + 20 * EXTENT : FIRST + 20 * EXTENT + len(content)] = content
    (tmp_path / "pv.img").write_bytes(data)
    case = new_case(tmp_path / "case")
    intake(case, path=tmp_path / "pv.img", label="D", workers=1, options=Options(extractors=()))
    (row,) = shards.query(case, "SELECT runs FROM listings").to_pylist()
    at = int(row["runs"].strip("[]").split(",")[0])
    assert data[at : at + 10] == b"IN-LVM.TXT"


def test_a_logical_volume_is_where_its_segments_are():
    source = Bytes(bytes(physical(10, {"one": [(3, 1, "pv0"), (1, 2, "pv0")]}, wrap=True)))
    found = lvm.volume(source, 0, 0)
    assert found.size == 3 * EXTENT
    assert list(found.where(EXTENT - 10, 20)) == [(FIRST + 4 * EXTENT - 10, 10), (FIRST + EXTENT, 10)]
    assert found.bad == [(EXTENT + 100, 50)]
    source.data = bytes(range(256)) * (source.size // 256)
    slow = source.data[FIRST + 3 * EXTENT : FIRST + 4 * EXTENT] + source.data[FIRST + EXTENT : FIRST + 3 * EXTENT]
    assert found.read(0, 10 << 20) == slow


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 1 << 20))
def test_a_broken_description_is_absent_with_a_reason(seed):
    draw = random.Random(seed)
    data = physical(4, {"one": [(0, 2, "pv0")]})
    for _ in range(draw.choice((1, 3))):
        at = draw.choice((draw.randrange(512, 1024), draw.randrange(4096, 4096 + 1600)))
        data[at] ^= 1 << draw.randrange(8)
    try:
        found = lvm.list_volumes(Bytes(bytes(data)), 0)
    except Absent as absent:
        assert absent.missing.reason == Reason.UNPARSABLE  # noqa: PT017  most end here, some flips change nothing
    else:
        assert [each.name for each in found] == ["one"]


@pytest.mark.parametrize("text", ["a {", "a = ", "a = [", "}", "a { b { " * 40, 'a = "', "a { } } }", "= =", "[[[["])
def test_text_that_makes_no_sense(text):
    with pytest.raises(Absent):
        list(lvm._volumes(lvm._group(lvm._parse(text))[2], "x", 0, 0))


# ---- file systems


def test_exfat_live_and_deleted_with_what_may_be_claimed(tmp_path):
    draw = random.Random(3)
    data = {name: draw.randbytes(9000) for name in ("live", "chain", "gone", "cut", "guess", "lost", "new")}
    files = [
        File("live file with a long name.bin", data["live"], [100, 101, 102]),
        File("in pieces.bin", data["chain"], [110, 120, 130], chained=True),
        File("gone.bin", data["gone"], [140, 141, 142], deleted=True),
        File("cut.bin", data["cut"], [150, 151, 152], deleted=True),
        File("guess.bin", data["guess"], [160, 161, 162], chained=True, deleted=True),
        File("lost.bin", data["lost"], [170, 171, 172], deleted=True),
        File("new1.bin", data["new"][:4096], [152]),  # over the end of cut.bin
        File("new2.bin", data["new"], [170, 171, 172]),  # over all of lost.bin
    ]
    found, summary = take(tmp_path, make(tmp_path / "card.img", files))
    states = {path.decode(): (item["name_state"], item["as_read"]) for path, item in found.items()}
    assert states == {
        "live file with a long name.bin": ("live", "complete"),
        "in pieces.bin": ("live", "complete"),
        "new1.bin": ("live", "complete"),
        "new2.bin": ("live", "complete"),
        "gone.bin": ("deleted", "overwritten possible"),  # as all whose clusters another may have had meanwhile
        "cut.bin": ("deleted", "overwritten possible"),
        "guess.bin": ("deleted", "overwritten possible"),
        "lost.bin": ("deleted", None),
    }
    for file, name in zip(files[:3], ("live", "chain", "gone"), strict=True):
        assert found[file.name.encode()]["sha256"] == sha256(data[name])
    assert found[b"lost.bin"]["state"] == "unreadable"
    assert summary.account.recounts[0].said == "they agree"


@settings(max_examples=4, deadline=None)
@given(st.integers(0, 1 << 20))
def test_no_deleted_exfat_file_is_called_complete_with_bytes_not_its_own(seed):
    """Criterion 7, on volumes where files were written over deleted ones."""
    draw = random.Random(seed)
    taken: list[int] = []
    files, originals = [], {}
    for number in range(10):
        start, count = draw.randrange(100, 140), draw.randrange(1, 5)
        clusters = [each for each in range(start, start + count) if each not in taken]
        if not clusters:
            continue
        chained = clusters != list(range(clusters[0], clusters[0] + len(clusters))) or draw.random() < 0.3
        deleted = draw.random() < 0.6
        data = draw.randbytes(4096 * len(clusters) - draw.randrange(100))
        files.append(File(f"f{number}.bin", data, clusters, chained, deleted))
        originals[f"f{number}.bin".encode()] = sha256(data)
        taken += [] if deleted else clusters
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        found, _ = take(folder, make(folder / "card.img", files))
    complete = {path for path, item in found.items() if item["as_read"] == "complete"}
    assert complete >= {file.name.encode() for file in files if not file.deleted}
    for path in complete:
        assert found[path]["sha256"] == originals[path], (path, found[path]["name_state"])


def test_a_disc_with_long_names_and_one_with_udf_beside_it(tmp_path):
    folder = tmp_path / "tree"
    folder.mkdir()
    (folder / "a rather long name, and it stays.txt").write_text("joliet")
    for options in (["-J"], ["-J", "-R"], ["-J", "-udf"]):
        image = tmp_path / f"{len(options)}{options[-1]}.iso"
        tool("genisoimage", "-quiet", *options, "-o", image, folder)
        found, summary = take(tmp_path / image.stem, image)
        (path,) = found
        assert found[path]["sha256"] == sha256(b"joliet")
        assert path == b"a rather long name, and it stays.txt"
        assert ("UDF" in summary.words()) is ("-udf" in options)
        assert summary.account.complete is ("-udf" not in options)
        assert "what was deleted, but what an earlier session of it lists: it is not looked for" in summary.words()


# ---- what is only said


def head(at: int, magic: bytes) -> bytes:
    return bytes(at) + magic + bytes(signatures.LOOK - at - len(magic))


@pytest.mark.parametrize(("data", "word", "reason"), [
    (head(3, b"-FVE-FS-"), "BitLocker", Reason.ENCRYPTED),
    (head(424, bytes.fromhex("3bd66749292ed84a")), "BitLocker To Go", Reason.ENCRYPTED),
    (head(0, b"LUKS\xba\xbe\x00\x02"), "cryptsetup", Reason.ENCRYPTED),
    (head(8, b"\x01\x00\x10\x00" + bytes(76) + b"CS"), "FileVault", Reason.ENCRYPTED),
    (head(0, b"XFSB"), "XFS", Reason.UNKNOWN),
    (head(65600, b"_BHRfS_M"), "btrfs", Reason.UNKNOWN),
    (head(3, b"ReFS\0\0\0\0"), "ReFS", Reason.UNKNOWN),
    (head(1024, b"BD" + bytes(18) + b"\0\0\x02\0"), "HFS", Reason.UNKNOWN),
    (head(32769 + 2048, b"NSR02"), "UDF", Reason.UNKNOWN),
    (head(3072, b"PRIVHEAD"), "dynamic disk", Reason.UNKNOWN),
    (head(1080, b"\x53\xef" + bytes(42) + b"\0\2\0\0"), "bigalloc", Reason.UNKNOWN),
    (head(3, b"NTFS    \0\2\xf4" + bytes(496) + b"\x55\xaa"), "more than 64 KiB", Reason.UNKNOWN),
    (bytes(signatures.LOOK), "all zero", Reason.UNKNOWN),
])  # fmt: skip
def test_what_is_not_read_is_named(data, word, reason):
    with pytest.raises(Absent) as caught:
        signatures.refuse_known(data)
    assert word in caught.value.missing.detail
    assert caught.value.missing.reason == reason


def test_luks_as_cryptsetup_makes_it(tmp_path):
    for kind in ("luks1", "luks2"):
        image, key = tmp_path / kind, tmp_path / "key"
        key.write_text("clewpass")
        with image.open("wb") as out:
            out.truncate(20 << 20)
        quick = ["--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000"]
        tool("cryptsetup", "luksFormat", "-q", "--type", kind, *quick, "--key-file", key, image)
        with pytest.raises(Absent) as caught:
            signatures.refuse_known(image.read_bytes()[: signatures.LOOK])
        assert caught.value.missing.reason == Reason.ENCRYPTED


def test_noise_is_unexplained_and_packed_data_are_not(tmp_path):
    draw = random.Random(11)
    noise = draw.randbytes(3 << 20)
    assert measure(Bytes(noise).read, 0, len(noise)).unexplained
    words = [draw.randbytes(6).hex() for _ in range(3000)]
    packed = zlib.compress(" ".join(draw.choice(words) for _ in range(900_000)).encode(), 9)
    assert len(packed) > 1 << 20
    assert not measure(Bytes(packed).read, 0, len(packed)).unexplained
    half = noise[: 1 << 20] + bytes(1 << 20)
    assert not measure(Bytes(half).read, 0, len(half)).unexplained
    assert measure(Bytes(b"").read, 0, 0).bits == 0


def test_a_disk_of_noise_and_a_gap_of_noise_are_said_to_be(tmp_path, partitioned):
    image = tmp_path / "veracrypt.img"
    image.write_bytes(random.Random(5).randbytes(4 << 20))
    found, summary = take(tmp_path / "whole", image)
    assert not found
    assert "high entropy, unexplained" in summary.account.parts_unreadable[0]["missing"]
    data = bytearray(partitioned.read_bytes()) + bytearray(3 << 20)
    data[7168 * 512 : 7168 * 512 + (3 << 20)] = random.Random(6).randbytes(3 << 20)
    partitioned.write_bytes(data[: 7168 * 512 + (3 << 20)])
    _, summary = take(tmp_path / "gap", partitioned)
    assert "high entropy, unexplained: a hidden or encrypted volume" in summary.words()


# ---- refs


places = st.fixed_dictionaries(
    {"offset": st.integers(0, 1 << 62)},
    optional={"lv": st.tuples(st.integers(0, 1 << 62), st.integers(0, 999)).map(list), "apfs": st.integers(0, 99)},
)


@given(places, st.integers(0, 1 << 62), st.integers(0, 9999), st.integers(0, 9999))
def test_a_ref_says_which_volume_it_means(place, record, kind, number):
    ref = f"{volume(place)}/{record}/{kind}-{number}/a/b-1/name/c"
    found = parse(ref)
    assert found == {**place, "record": record, "type": kind, "id": number}
    assert volume(found) == volume(place)
    assert layer(found) == layer(place)


@pytest.mark.parametrize(
    "ref", ["fs@0/5", "lv@1/fs@0/1/name/x", "lv@1.2/3/name/x", "apfs@0/1/name/x", "x", "fs@a/1/1-1/"]
)
def test_other_refs_are_none(ref):
    assert parse(ref) is None


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(1, 9)), max_size=6), st.integers(0, 99), st.integers(0, 50))
def test_lost_bytes_of_a_read_are_those_of_the_slow_way(steps, offset, length):
    bad, at = [], 0
    for gap, size in steps:
        at += gap + 1
        bad.append((at, size))
        at += size
    slow = {place for start, size in bad for place in range(start, start + size)}
    assert lost_in(bad, offset, length) == len(slow & set(range(offset, offset + length)))


def test_what_is_lost_while_directories_are_listed_is_noted(tmp_path):
    """The clusters of a directory lie outside the file: their entries are not seen, and the account says what was."""
    volume, folder = tmp_path / "fat.img", tmp_path / "sub"
    folder.mkdir()
    (folder / "IN.TXT").write_text("in")
    with volume.open("wb") as out:
        out.truncate(4 << 20)
    tool("mkfs.fat", "-s", "1", volume)
    tool("mcopy", "-i", volume, "-s", folder, "::/")
    packed = tmp_path / "disk.qcow2"
    tool("qemu-img", "convert", "-f", "raw", "-O", "qcow2", "-o", "cluster_size=512", volume, packed)
    raw, data = volume.read_bytes(), bytearray(packed.read_bytes())
    number = raw.index(b"IN      TXT") // 512
    (first,) = struct.unpack_from(">Q", data, 40)
    (second,) = struct.unpack_from(">Q", data, first + 8 * (number // 64))
    struct.pack_into(">Q", data, (second & (1 << 56) - 1) + 8 * (number % 64), 1 << 40 | 1 << 63)
    packed.write_bytes(data)
    found, summary = take(tmp_path, packed)
    assert b"sub/IN.TXT" not in found
    assert summary.account.notes[UNSEEN] >= 512
