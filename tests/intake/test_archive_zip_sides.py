"""Zip archives whose local headers say other things than their directory, and bytes that neither explains."""

import io
import struct
import zipfile
import zlib

import pytest
from archive_world import TEXT, content, everything, listed, opened, zipped

from clew.intake.archives.members import What

ENTRY, LOCAL = b"PK\x01\x02", b"PK\x03\x04"
NAME = len("a")
HEAD = 30 + NAME  # bytes of a local header
DATA = bytes(range(1, 251)) * 20  # stored, 5,000 bytes


def in_directory(data: bytes, at: int, form: str, *values: int) -> bytes:
    """The same zip, its first entry changed from byte `at` on."""
    changed = bytearray(data)
    struct.pack_into(form, changed, data.find(ENTRY) + at, *values)
    return bytes(changed)


@pytest.mark.parametrize("size", [0, 1_000])
def test_a_directory_that_says_less_than_there_is_hides_nothing(size):
    data = zipped([("a", DATA), ("b", TEXT)], zipfile.ZIP_STORED)
    data = in_directory(data, 16, "<3I", zlib.crc32(DATA[:size]), size, size)
    archive = opened(data, "application/zip")
    headers, end = listed(archive)
    assert [header.path for header in headers] == [b"a", b"b"]
    assert f"{5_000 - size:,} bytes from byte {HEAD + size:} on are no member's" in end.detail
    got, why = content(archive, 0)
    assert got == DATA[:size]
    assert "compressed size 5,000, size 5,000, where its directory states" in why.detail
    assert f"compressed size {size:,}, size {size:,}: which of them is right is not known" in why.detail
    assert content(archive, 1) == (TEXT, None)


def test_a_method_that_only_one_of_them_states_is_said():
    data = zipped([("a", TEXT)])
    packed = struct.unpack_from("<I", data, 18)[0]
    raw = data[HEAD : HEAD + packed]
    data = in_directory(in_directory(data, 10, "<H", 0), 16, "<3I", zlib.crc32(raw), packed, packed)
    (found,), (reason,) = everything(data)
    assert found == (b"a", raw)
    assert "its local header states method 8," in reason
    assert "where its directory states method 0," in reason


def test_what_is_called_a_folder_and_holds_bytes_by_its_local_header_is_none():
    data = zipped([("/", DATA), ("b", TEXT)], zipfile.ZIP_STORED)
    archive = opened(in_directory(data, 16, "<3I", 0, 0, 0), "application/zip")
    headers, end = listed(archive)
    assert [header.what for header in headers] == [What.FILE, What.FILE]
    assert "5,000 bytes from byte 31 on" in end.detail
    assert "size 5,000" in content(archive, 0)[1].detail
    healthy = zipped([("/", b""), ("b", TEXT)])
    assert [header.what for header in listed(opened(healthy))[0]] == [What.FOLDER, What.FILE]


def before_the_directory(data: bytes, more: bytes) -> bytes:
    at = data.find(ENTRY)
    end = data[-6:]
    return data[:at] + more + data[at:-6] + struct.pack("<I", at + len(more)) + end[4:]


def test_bytes_between_the_last_member_and_the_directory_are_said():
    data = zipped([("a", TEXT)])
    found, (reason,) = everything(before_the_directory(data, bytes(10) + b"\xff\xd8 a picture" * 9 + bytes(5)))
    assert found == [(b"a", TEXT)]
    assert f"113 bytes from byte {data.find(ENTRY) + 10} on are no member's and were not read" in reason


def test_several_stretches_are_counted_together():
    one = zipped([("a", TEXT)])
    data = b"before the first of all, and more of it" + before_the_directory(one, b"x" * 50)
    (reason,) = everything(data, "application/zip")[1]
    assert "89 bytes in 2 places, from byte 0 on are no member's" in reason


def apk_signatures(length: int) -> bytes:
    """The block before the directory, with padding before it (APK Signature Scheme v2)."""
    pair = struct.pack("<QI", 4 + length, 0x7109871A) + b"s" * length
    size = struct.pack("<Q", len(pair) + 24)
    return bytes(100) + size + pair + size + b"APK Sig Block 42"


class Onward(io.RawIOBase):
    """What cannot go back, so that sizes stand behind each content."""

    def __init__(self) -> None:
        self.data = b""

    def writable(self) -> bool:
        return True

    def write(self, data) -> int:
        self.data += bytes(data)
        return len(data)


@pytest.mark.parametrize("wide", [False, True])
def test_sizes_behind_a_content_are_no_alarm(wide):
    out = Onward()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("a name that is long enough for a gap to be looked at", "b"):
            with archive.open(name, "w", force_zip64=wide) as member:
                member.write(TEXT)
    data = out.data
    assert struct.unpack_from("<H", data, 6)[0] & 8
    assert everything(data)[1] == []
    hidden = before_the_directory(data, b"hidden behind the sizes of the last one, and longer than those")
    assert "62 bytes from byte" in everything(hidden)[1][0]


def filling(length: int, name: bytes = b"") -> bytes:
    """What Android's build tools put where they took a member out: a local header without name and content."""
    head = struct.pack("<4s5H3I2H", LOCAL, 20, 0, 0, 0, 0x0221, 0, 0, 0, len(name), length - 30)
    return head + name + struct.pack("<2H", 0xD935, length - 34) + bytes(length - 34)


@pytest.mark.parametrize("between", [bytes(4_096), apk_signatures(900), zipped([("x", b"y")])])
def test_what_tools_leave_between_members_and_directory_is_no_alarm(between):
    data = (
        before_the_directory(zipped([("a", TEXT)]), between)
        if between[:2] != b"PK"
        else between + zipped([("a", TEXT)])
    )
    assert everything(data)[1] == []


def test_headers_that_fill_a_place_are_no_alarm_and_hide_nothing():
    zip_ = zipped([("a", TEXT)])
    assert everything(before_the_directory(zip_, filling(700) + filling(34)))[1] == []
    hidden = filling(700)[:-600] + b"hidden" * 100
    assert "600 bytes from byte" in everything(before_the_directory(zip_, hidden))[1][0]


def test_many_marks_of_volumes_are_no_explanation():
    """And nothing that has to be gone through in steps of four bytes."""
    (reason,) = everything(before_the_directory(zipped([("a", TEXT)]), b"PK\x07\x08" * 1_000))[1]
    assert "4,000 bytes from byte" in reason


def test_a_zip64_end_record_that_nothing_asks_for_is_no_alarm():
    """As Info-ZIP writes it, of what it reads from a pipe."""
    data = zipped([("a", TEXT)])
    at, end = data.find(ENTRY), len(data) - 22
    record = struct.pack("<4sQ2H2I4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, 1, 1, end - at, at)
    locator = struct.pack("<4sIQI", b"PK\x06\x07", 0, end, 1)
    assert everything(data[:end] + record + locator + data[end:]) == ([(b"a", TEXT)], [])
    hidden = before_the_directory(data, b"hidden" * 100)
    end = len(hidden) - 22
    record = struct.pack("<4sQ2H2I4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, 1, 1, end - at - 600, at + 600)
    locator = struct.pack("<4sIQI", b"PK\x06\x07", 0, end, 1)
    assert "600 bytes from byte" in everything(hidden[:end] + record + locator + hidden[end:])[1][0]


def test_healthy_zips_of_every_method_and_a_zip64_are_no_alarm():
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        assert everything(zipped([("folder/", b""), ("folder/a", TEXT), ("b", b"")], method))[1] == []
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive, archive.open("a", "w", force_zip64=True) as member:
        member.write(TEXT)
    assert out.getvalue()[18:26] == b"\xff" * 8
    assert everything(out.getvalue()) == ([(b"a", TEXT)], [])
