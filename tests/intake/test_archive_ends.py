"""Bytes behind the end of an archive, and streams of which nothing could be unpacked: both are said, of every kind."""

import random
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from archive_world import TEXT, Bytes, by_tool, content, everything, listed, opened, rar4, rar5, tarred
from hypothesis import given, settings
from hypothesis import strategies as st

from case_made import new_case
from clew.core import shards
from clew.core.absent import Absent
from clew.intake.archives import ends
from clew.intake.archives.members import Forward
from clew.intake.options import Options
from clew.intake.run import intake

BEHIND = b"something that was put behind it"
NOISE = random.Random(8).randbytes(300_000)
ONE = [(b"a.txt", TEXT)]
STREAMS = {"zstd": "application/zstd", "lz4": "application/x-lz4", "lzip": "application/x-lzip"}


def lha(name: bytes, data: bytes) -> bytes:
    """One stored file under a header of level 0, and the zero that ends the archive (LHa for UNIX, header.doc)."""
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0xA001 if crc & 1 else 0)
    head = b"-lh0-" + struct.pack("<IIIBBB", len(data), len(data), 0x1ED15296, 0x20, 0, len(name)) + name
    head += struct.pack("<H", crc)
    return bytes([len(head), sum(head) & 0xFF]) + head + data + b"\0"


def cab(name: bytes, data: bytes) -> bytes:
    """One stored file in one folder (MS-CAB 2.1 to 2.4)."""
    file = struct.pack("<IIHHHH", len(data), 0, 0, 0x1ED1, 0x5296, 0x20) + name + b"\0"
    at = 36 + 8 + len(file)
    block = struct.pack("<IHH", 0, len(data), len(data)) + data
    head = struct.pack("<4sIIIIIBBHHHHH", b"MSCF", 0, at + len(block), 0, 44, 0, 3, 1, 1, 1, 0, 0, 0)
    return head + struct.pack("<IHH", at, 1, 0) + file + block


def seven_zip() -> bytes:
    made = subprocess.run(
        ["bsdtar", "--format", "7zip", "-cf", "-", "@-"],
        input=tarred([("a.txt", TEXT)]),
        capture_output=True,
        check=True,
    )
    return made.stdout


ARCHIVES: dict[str, Callable[[], bytes]] = {
    "7z": seven_zip,
    "rar": lambda: rar4(ONE),
    "rar, 5": lambda: rar5(ONE),
    "cab": lambda: cab(*ONE[0]),
    "lha": lambda: lha(*ONE[0]),
}


@pytest.mark.parametrize("name", ARCHIVES)
def test_what_lies_behind_an_archive_is_noted(name):
    whole, media_type = ARCHIVES[name](), "application/x-lha" if name == "lha" else None
    note = {f"{name.partition(',')[0]} archives with bytes behind their end": 1}
    for behind, said in ((b"", {}), (bytes(2_000_000), {}), (BEHIND, note), (bytes(2_000_000) + BEHIND, note)):
        archive = opened(whole + behind, media_type)
        headers, end = listed(archive)
        assert ([header.path for header in headers], end, archive.notes) == ([b"a.txt"], None, said)
        assert content(archive, 0) == (TEXT, None)
        archive.close()


def test_what_lies_behind_a_rar_without_a_block_that_ends_it_is_said():
    assert listed(opened(rar4(ONE)[:-7]))[1] is None
    assert "could not be read as rar" in listed(opened(rar4(ONE)[:-7] + BEHIND))[1].detail


def test_what_lies_behind_a_7z_that_cannot_be_listed_is_noted_all_the_same(tmp_path):
    closed = by_tool(tmp_path, [("a", TEXT)], "7z", "a", "-bd", "-psecret", "-mhe=on", "o.7z", out="o.7z")
    archive = opened(closed + BEHIND)
    assert listed(archive)[1].reason == "encrypted"
    assert archive.notes == {"7z archives with bytes behind their end": 1}


@pytest.fixture(scope="module")
def streams(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, bytes], bytes]:
    folder: Path = tmp_path_factory.mktemp("streams")

    def packed(name: str, data: bytes) -> bytes:
        if name != "lzip":
            return subprocess.run([name, "-q", "-c"], input=data, capture_output=True, check=True).stdout
        (folder / "data").write_bytes(data)
        command = [
            "bsdtar",
            "--format",
            "raw",
            "--lzip",
            "-b",
            "1",
            "-cf",
            str(folder / "out"),
            "-C",
            str(folder),
            "data",
        ]
        subprocess.run(command, check=True, capture_output=True)
        made = (folder / "out").read_bytes()  # a tar's last block: zeros follow the member
        return made[: _lzip_end(made)]

    return packed


def _lzip_end(made: bytes) -> int:
    """Behind the trailer that states the member's size (lzip manual, file format)."""
    ends_at = (at for at in range(26, len(made) + 1) if int.from_bytes(made[at - 8 : at], "little") == at)
    return next(ends_at)


@pytest.mark.parametrize("name", STREAMS)
@pytest.mark.parametrize("data", [TEXT, NOISE])
def test_what_follows_a_stream_is_said_and_costs_none_of_its_bytes(name, data, streams):
    whole = streams(name, data)
    for behind in (b"", bytes(1000)):
        assert everything(whole + behind, STREAMS[name]) == ([(b"stem", data)], [])
    for behind in (b"four", BEHIND, bytes(1000) + BEHIND, TEXT * 2000):
        found, reasons = everything(whole + behind, STREAMS[name])
        assert found == [(b"stem", data)]
        assert [reason for reason in reasons if "something else follows" in reason] == reasons != []


def test_what_follows_a_compressed_tar_is_said(streams):
    archive = opened(streams("zstd", tarred([("a.txt", TEXT)])) + BEHIND, STREAMS["zstd"])
    headers, end = listed(archive)
    assert [header.path for header in headers] == [b"a.txt"]
    assert "something else follows" in end.detail


@pytest.mark.parametrize("name", ["zstd", "lz4"])
def test_several_frames_are_one_stream(name, streams):
    skippable = struct.pack("<II", 0x184D2A53, 5) + b"notes"
    whole = streams(name, TEXT) + skippable + streams(name, NOISE)
    assert everything(whole, STREAMS[name]) == ([(b"stem", TEXT + NOISE)], [])


@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_of_which_nothing_comes_out_is_not_taken_for_an_empty_one(name, streams):
    whole = streams(name, TEXT)
    for cut in (whole[:-5], whole[: len(whole) // 2]):
        _, reasons = everything(cut, STREAMS[name])
        assert reasons
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 4
    assert everything(bytes(flipped), STREAMS[name])[1]


@pytest.mark.parametrize("name", ["zstd", "lz4"])
def test_a_stream_of_nothing_is_an_empty_file(name, streams):
    assert everything(streams(name, b""), STREAMS[name]) == ([(b"stem", b"")], [])


def test_an_empty_compress_stream_is_an_empty_file():
    assert everything(b"\x1f\x9d\x90", "application/x-compress") == ([(b"stem", b"")], [])


def test_frames_inside_another_archive_are_walked_as_well(streams):
    whole = streams("zstd", NOISE)
    there = Forward(lambda: iter([whole[:1000], whole[1000:] + BEHIND]))
    assert ends.of_stream(there, "zstd") == ends.Extent(len(whole), empty=False)


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(["zstd", "lz4", "lzip", "compress"]),
    st.sampled_from([b"", b"\x28\xb5\x2f\xfd", b"\x04\x22\x4d\x18", b"LZIP", b"\x53\x2a\x4d\x18"]),
    st.binary(max_size=300),
)
def test_junk_has_an_extent_within_itself_or_none(name, magic, junk):
    data = magic + junk
    extent = ends.of_stream(Bytes(data), name)
    assert extent is None or 0 < extent.end <= len(data)


@settings(max_examples=80, deadline=None)
@given(st.sampled_from(list(ARCHIVES)), st.integers(0, 400), st.binary(max_size=8))
def test_a_damaged_end_never_breaks_out(name, at, junk):
    whole = bytearray(ARCHIVES[name]() if name != "7z" else b"7z\xbc\xaf\x27\x1c\0\4" + bytes(24))
    whole[at : at + len(junk)] = junk
    try:
        archive = opened(bytes(whole) + BEHIND, "application/x-lha" if name == "lha" else None)
    except Absent:
        return
    listed(archive)
    archive.close()


@pytest.mark.parametrize("name", ["gzip", "bzip2", "xz", "zstd", "lz4", "lzip"])
def test_a_stream_whose_first_block_is_damaged_is_not_an_empty_file_that_is_done(tmp_path, name, streams):
    dice = random.Random(3)
    data = b" ".join(
        dice.choice([b"kite", b"heron", b"wren", b"barn"]) + b"%d" % dice.randrange(99) for _ in range(90_000)
    )
    packed = bytearray(streams(name, data))
    for at in range(40, 80):
        packed[at] ^= 0x5A
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "f").write_bytes(packed)
    case = new_case(tmp_path / "case")
    ended = intake(case, path=tmp_path / "x", label="X", workers=1, options=Options(extractors=()))
    assert not ended.complete
    sql = (
        "SELECT l.item, c.size, c.content_state FROM listings l LEFT JOIN contents c USING (item) WHERE ref LIKE '%!%'"
    )
    (row,) = shards.query(case, sql).to_pylist()
    state, detail = case.read().execute("SELECT state, detail FROM items WHERE id=?", (row["item"],)).fetchone()
    assert state == "unreadable"
    if row["size"] is None:
        assert f"nothing of {len(packed):,} bytes could be unpacked" in detail
    else:
        assert (row["content_state"], 0 < row["size"] <= len(data)) == ("partial", True)
