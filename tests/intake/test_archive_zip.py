"""Zip archives that lie: about sizes, places, counts, names and what they hold. Nothing is lost without a word."""

import struct
import zipfile

import pytest
from archive_world import TEXT, Bytes, content, everything, listed, opened, zipped
from hypothesis import given, settings
from hypothesis import strategies as st

from clew.core.absent import Absent, CutShort
from clew.intake.archives import opening, zipgaps
from clew.intake.archives.budget import Budgets
from clew.intake.archives.members import Archive, Forward, lost
from clew.intake.archives.opening import Member, open_archive
from clew.model import Missing, Reason

ENTRY, LOCAL, END = b"PK\x01\x02", b"PK\x03\x04", b"PK\x05\x06"
MANY = 100_000


def directory(data: bytes) -> tuple[int, list[bytes], bytes]:
    """Where the directory begins, its entries, and the end record."""
    end = data.rfind(END)
    count, _, start = struct.unpack_from("<H2I", data, end + 10)
    entries, at = [], start
    for _ in range(count):
        name, extra, comment = struct.unpack_from("<3H", data, at + 28)
        entries.append(data[at : at + 46 + name + extra + comment])
        at += len(entries[-1])
    return start, entries, data[end:]


def with_directory(data: bytes, entries: list[bytes], stated: int | None = None) -> bytes:
    """The same files under another directory."""
    start, _, end = directory(data)
    count = len(entries) if stated is None else stated
    size = sum(map(len, entries))
    record = end[:8] + struct.pack("<2H2I", count & 0xFFFF, count & 0xFFFF, size, start) + end[20:]
    return data[:start] + b"".join(entries) + record


def test_entries_that_name_the_same_bytes_are_all_members():
    """libarchive keeps one of them."""
    data = zipped([("a", TEXT), ("b", b"b")])
    entries = directory(data)[1]
    archive = opened(with_directory(data, [*entries, entries[0], entries[0]]))
    headers, end = listed(archive)
    assert end is None
    assert [header.path for header in headers] == [b"a", b"b", b"a", b"a"]
    assert all(content(archive, number) == (TEXT, None) for number in (0, 2, 3))
    assert archive.notes == {"zip entries that share bytes with another entry": 2}


def test_a_read_error_in_the_directory_is_said_as_one_and_keeps_what_was_listed(monkeypatch):
    """The directory cannot be read from its second entry on."""
    data = zipped([("a", TEXT), ("b", TEXT), ("c", TEXT)])
    start, entries, _ = directory(data)

    class Failing(Bytes):
        def read(self, offset, length):
            if offset == start + len(entries[0]):
                raise OSError(5, "Input/output error")
            return super().read(offset, length)

    archive = open_archive(Failing(data), "application/zip", b"")
    monkeypatch.setattr(opening, "chain", lambda *_: archive)
    asked = {"place": {"members": []}, "first": 0, "most": 9, "span": 1 << 30, "room": 9, "again": False}
    said = opening.listing(asked, []).value
    assert [bytes.fromhex(row["path"]) for row in said["members"]] == [b"a"]
    assert (said["done"], said["missing"]) == (
        True,
        {"reason": "unreadable", "detail": "read error in the archive: Input/output error"},
    )


class Damaged(Bytes):
    """With a sector that cannot be read, while `at` says where."""

    at = -1

    def read(self, offset, length):
        if offset <= self.at < offset + length:
            raise OSError(5, "Input/output error")
        return super().read(offset, length)


def as_listed(archive: Archive, start: int, name: bytes) -> int:
    """The number of what was listed with that start."""
    place = {"members": [0], "starts": [start], "names": [name.hex()]}
    return opening._as_listed(archive, place, 0, None, hashed=False)


def test_a_bad_sector_in_a_gap_costs_no_member_that_is_named():
    source = Damaged(bytes(1 << 20) + zipped([("hidden", TEXT)]) + zipped([("named", TEXT)]))
    archive = open_archive(source, "application/zip", b"")
    start = archive.start(0)
    hidden_start = source.read(0, source.size).find(b"hidden") + len(b"hidden")
    source.at = 1 << 19
    assert as_listed(archive, start, b"named") == 0
    with pytest.raises(Absent, match="read error in the archive: Input/output error"):
        as_listed(archive, hidden_start, b"hidden")
    source.at = -1  # read again, it answers
    assert as_listed(archive, hidden_start, b"hidden") == 1
    with pytest.raises(Absent, match="listed otherwise"):
        as_listed(archive, start, b"hidden")


def test_a_bad_sector_in_the_directory_or_in_a_like_costs_no_member_before_it():
    whole = zipped([("a", TEXT), ("a", TEXT), ("b", TEXT)])
    at, entries, _ = directory(whole)
    source = Damaged(whole)
    starts = [open_archive(source, "application/zip", b"").start(number) for number in range(3)]
    archive = open_archive(source, "application/zip", b"")
    source.at = at + len(entries[0]) + len(entries[1])
    assert [as_listed(archive, starts[number], b"a") for number in (0, 1)] == [0, 1]
    with pytest.raises(Absent, match="read error in the archive"):
        as_listed(archive, starts[2], b"b")
    source.at = entries_place(entries[0])
    assert as_listed(archive, starts[1], b"a") == 1
    assert as_listed(archive, starts[2], b"b") == 2
    with pytest.raises(Absent, match="read error in the archive"):
        as_listed(archive, starts[0], b"a")


def hidden(archive: Archive) -> list[tuple[bytes, tuple[bytes, Missing | None]]]:
    """Name and content of what the directory leaves out."""
    headers, _ = listed(archive)
    return [(header.path, content(archive, header.number)) for header in headers if not header.named]


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("junk", [b"", bytes(3 << 20), (LOCAL + b" by chance" + bytes(2_000)) * 1_000])
def test_an_entry_that_the_directory_leaves_out_is_a_member_wherever_it_lies(method, junk):
    """Also behind more bytes than are read in one go."""
    packed = zipped([("a", TEXT), ("hidden", TEXT + b"1"), ("b", b"2"), ("c", TEXT)], method)
    start, entries, _ = directory(packed)
    at = packed.find(LOCAL, 1)
    data = packed[:at] + junk + packed[at:start]
    for which in range(1, 4):
        struct.pack_into("<I", moved := bytearray(entries[which]), 42, entries_place(entries[which]) + len(junk))
        entries[which] = bytes(moved)
    end = packed[-22:-6] + struct.pack("<I", start + len(junk)) + packed[-2:]
    whole = with_directory(data + b"".join(entries) + end, [entries[0], entries[3]])
    archive = opened(whole, "application/zip")
    headers, why = listed(archive)
    chance = Missing(Reason.UNPARSABLE, f"{len(junk):,} bytes from byte {at} on are no member's and were not read")
    assert why == (chance if any(junk) else None)
    assert [(header.path, header.named) for header in headers] == [
        (b"a", True),
        (b"c", True),
        (b"hidden", False),
        (b"b", False),
    ]
    assert [content(archive, number) for number in (2, 3)] == [(TEXT + b"1", None), (b"2", None)]
    assert "zip local header" in headers[2].times_source
    assert listed(opened(whole, "application/zip"), 3)[0] == headers[3:]
    for number in (1, 2, 3):
        assert opened(whole, "application/zip").number_at(archive.start(number), headers[number].path) == number
    assert archive.notes == {}


def entries_place(entry: bytes) -> int:
    """Where it says that its local header lies."""
    return int.from_bytes(entry[42:46], "little")


def test_the_first_and_the_last_entry_can_be_hidden_too():
    data = zipped([("a", TEXT), ("b", b"2"), ("c", TEXT)])
    entries = directory(data)[1]
    for left, names in ((entries[:2], [b"c"]), (entries[1:], [b"a"]), (entries[:1], [b"b", b"c"])):
        archive = opened(with_directory(data, left))
        assert [name for name, _ in hidden(archive)] == names
        assert listed(archive)[1] is None
    archive = opened(data)
    assert (hidden(archive), archive.notes) == ([], {})


def test_a_zip_before_a_zip_is_listed():
    archive = opened(zipped([("hidden", TEXT)]) + zipped([("shown", TEXT)]), "application/zip")
    headers, end = listed(archive)
    assert ([header.path for header in headers], end) == ([b"shown", b"hidden"], None)
    assert hidden(archive) == [(b"hidden", (TEXT, None))]


@pytest.mark.parametrize("zeros", [0, 60_000])
def test_what_lies_behind_a_zip_is_said_with_its_place(zeros):
    shown = zipped([("shown", TEXT)])
    headers, end = listed(opened(shown + bytes(zeros) + b"something else", "application/zip"))
    assert [header.path for header in headers] == [b"shown"]
    assert end == Missing(Reason.UNPARSABLE, f"bytes follow its end at byte {len(shown)} that were not read")
    assert listed(opened(shown + bytes(zeros), "application/zip"))[1] is None


def test_a_hidden_entry_without_a_known_end_is_said_with_its_place():
    """Its sizes stand behind its content (bit 3), or it goes on into what the directory names."""
    for flags, packed in ((8, 0), (0, 5_000)):
        data = bytearray(zipped([("a", TEXT), ("hidden", TEXT), ("c", TEXT)]))
        at = data.find(LOCAL, 1)
        struct.pack_into("<H", data, at + 6, flags)
        struct.pack_into("<I", data, at + 18, packed)
        entries = directory(bytes(data))[1]
        headers, end = listed(opened(with_directory(bytes(data), [entries[0], entries[2]])))
        assert [header.path for header in headers] == [b"a", b"c"]
        assert end.reason is Reason.UNPARSABLE
        assert end.detail.startswith("1 local headers that its directory does not name")
        assert end.detail.endswith(f"the first at byte {at}")


def test_only_so_many_places_are_looked_at_and_the_rest_is_said(monkeypatch):
    monkeypatch.setattr(zipgaps, "MOST", 2)
    first = zipped([(name, TEXT) for name in "abc"])
    headers, end = listed(opened(first + zipped([("shown", TEXT)]), "application/zip"))
    assert [header.path for header in headers] == [b"shown", b"a", b"b"]
    assert f"from byte {first.find(b'c') - 30} on" in end.detail


def test_bytes_that_an_entry_claims_and_does_not_unpack_are_said():
    """A directory may call a stretch with hidden members the packed bytes of another one."""
    data = bytearray(zipped([("a", TEXT), ("hidden", TEXT), ("c", TEXT)]))
    entries = [bytearray(entry) for entry in directory(bytes(data))[1]]
    struct.pack_into("<I", entries[0], 20, entries_place(entries[2]) - 31)
    archive = opened(with_directory(bytes(data), [bytes(entries[0]), bytes(entries[2])]))
    assert [header.path for header in listed(archive)[0]] == [b"a", b"c"]
    got, why = content(archive, 0)
    assert got == TEXT
    assert "bytes follow its compressed data" in why.detail


def test_a_directory_that_says_nothing_hides_nothing():
    data = zipped([("a", TEXT), ("b", TEXT)])
    for offset in (0, data.find(ENTRY)):
        empty = data[: data.find(ENTRY)] + END + struct.pack("<4H2IH", 0, 0, 0, 0, 0, offset, 0)
        archive = opened(empty, "application/zip")
        assert hidden(archive) == [(b"a", (TEXT, None)), (b"b", (TEXT, None))]


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.sampled_from([LOCAL, ENTRY, END, b"\0" * 26, b"ab", zipped([("x", b"y")])]) | st.binary(max_size=60))
)
def test_junk_in_a_gap_never_breaks_out(parts):
    archive = opened(b"".join(parts) + zipped([("shown", TEXT)]), "application/zip")
    headers, _ = listed(archive)
    assert headers[0].path == b"shown"
    for header in headers:
        content(archive, header.number)


@pytest.mark.parametrize("stated", [1, 3, 70_000])
def test_a_wrong_count_is_said(stated):
    data = zipped([("a", TEXT), ("b", TEXT)])
    headers, end = listed(opened(with_directory(data, directory(data)[1], stated)))
    assert [header.path for header in headers] == [b"a", b"b"]
    assert end.reason is Reason.UNPARSABLE


@pytest.mark.parametrize("size", [0, 5, 1 << 31])
def test_a_size_that_lies_is_said_and_the_bytes_are_had(size):
    data = bytearray(zipped([("a", TEXT), ("b", TEXT)]))
    at = data.find(ENTRY)
    data[at + 24 : at + 28] = struct.pack("<I", size)
    archive = opened(bytes(data))
    got, why = content(archive, 0)
    assert got == TEXT
    assert "where the archive states" in why.detail
    assert content(archive, 1) == (TEXT, None)


def test_a_wrong_crc_is_said_and_the_bytes_are_had():
    data = bytearray(zipped([("a", TEXT)]))
    data[data.find(ENTRY) + 16] ^= 1
    (found,), (reason,) = everything(bytes(data))
    assert found == (b"a", TEXT)
    assert "CRC-32" in reason


def test_a_local_header_that_is_not_there_costs_its_member():
    data = zipped([("a", TEXT), ("b", TEXT)])
    first, second = directory(data)[1]
    for place in (3, 1 << 30, 0xFFFFFFFE):
        moved = first[:42] + struct.pack("<I", place)[:4] + first[46:]
        found, reasons = everything(with_directory(data, [moved, second]))
        by_local_header = [(b"a", TEXT)] if place > 3 else []  # there it lies in what its entry claims
        assert found == [(b"a", b""), (b"b", TEXT), *by_local_header]
        assert len(reasons) == 1


def test_a_zip_behind_other_bytes_and_a_zip64_are_read():
    data = zipped([("a", TEXT)])
    (found,), (reason,) = everything(b"MZ a program that unpacks itself" * 50 + data, "application/zip")
    assert found == (b"a", TEXT)
    assert "1,600 bytes from byte 0 on are no member's" in reason
    start, entries, _ = directory(data)
    size = len(entries[0])
    end64 = b"PK\x06\x06" + struct.pack("<Q2H2I4Q", 44, 45, 45, 0, 0, 1, 1, size, start)
    locator = b"PK\x06\x07" + struct.pack("<IQI", 0, start + size, 1)
    end = END + struct.pack("<4H2IH", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    wide = data[: start + size] + end64 + locator + end
    assert everything(wide) == ([(b"a", TEXT)], [])
    found, (reason,) = everything(b"MZ" * 100 + wide, "application/zip")
    assert found == [(b"a", TEXT)]
    assert "200 bytes from byte 0 on are no member's" in reason


def test_without_a_directory_its_local_headers_are_read():
    data = zipped([("a", TEXT), ("b", TEXT * 2)])
    archive = opened(data[: data.find(ENTRY)], "application/zip")
    headers, end = listed(archive)
    assert [(header.path, content(archive, header.number)[0]) for header in headers] == [(b"a", TEXT), (b"b", TEXT * 2)]
    assert "no directory" in end.detail
    assert "by their local headers" in next(iter(archive.notes))


def test_a_method_that_cannot_be_read_is_named():
    data = bytearray(zipped([("a", TEXT)]))
    data[data.find(ENTRY) + 10] = 9
    (found,), (reason,) = everything(bytes(data))
    assert found == (b"a", b"")
    assert "deflate64" in reason


def test_a_hundred_thousand_members_are_gone_through_once():
    """In answers of 500, as a worker lists them: the directory is not read again for each."""
    local = LOCAL + struct.pack("<5H3I2H", 20, 0, 0, 0, 0x21, 0, 0, 0, 1, 0) + b"x"
    entry = ENTRY + struct.pack("<6H3I5H2I", 20, 20, 0, 0, 0, 0x21, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0) + b"x"
    size = MANY * len(entry)
    end = END + struct.pack("<4H2IH", 0, 0, MANY & 0xFFFF, MANY & 0xFFFF, size, len(local), 0)
    source = Bytes(local + entry * MANY + end)
    archive = open_archive(source, "application/zip", b"")
    count = 0
    while count < MANY:
        for header in archive.headers(count):
            count = header.number + 1
            if count % 500 == 0:
                break
    assert count == MANY
    assert source.read_bytes < 2 * source.size


def test_stored_content_is_reached_at_any_place_and_checked_in_order():
    data = bytearray(zipped([("a", bytes(range(256)) * 9000)], zipfile.ZIP_STORED))
    archive = opened(bytes(data))
    member = Member(archive, 0, 1 << 40, 0)
    assert member.size == 256 * 9000
    assert len(member.read(0, 1 << 22)) == member.size
    assert member.read(2_000_000, 3) == bytes([128, 129, 130])
    data[5000] ^= 1
    member = Member(opened(bytes(data)), 0, 1 << 40, 0)
    at = 0
    while at < member.size:
        at += len(member.read(at, 1 << 20))
    with pytest.raises(CutShort, match="CRC-32"):
        member.read(at, 1 << 20)


def test_more_than_was_stated_is_cut_short():
    member = Member(opened(zipped([("a", bytes(3 << 20))])), 0, 1 << 20, 0)
    assert len(member.read(0, 4 << 20)) == 1 << 20
    with pytest.raises(CutShort, match="limit reached"):
        member.read(1 << 20, 1)


def test_a_stream_that_goes_forward_hands_out_what_came_before_it_broke():
    def broken():
        yield b"abc"
        yield b"def"
        raise lost("here")

    stream = Forward(broken, 3)
    assert stream.read(1, 100) == b"bcdef"
    with pytest.raises(Absent):
        stream.read(6, 1)
    assert stream.read(0, 4) == b"abcd"
    for _ in range(2):
        assert stream.read(5, 1) == b"f"
        assert stream.read(0, 1) == b"a"
    stream.read(5, 1)
    with pytest.raises(Absent, match="limit reached"):
        stream.read(0, 1)


def test_budgets_let_large_archives_through_and_bombs_not():
    budgets = Budgets()
    assert budgets.bytes(10 << 10) == 1 << 30  # a bomb of kilobytes
    assert budgets.bytes(10 << 20) == 10_000 << 20
    assert budgets.bytes(4 << 40) == 80 << 40  # a tar of 4 TiB is expanded whole
