"""What the records of a disc say of a file: times with their distance to UTC, the fields of Rock Ridge, XA."""

import struct

import pytest
from discs import S, change, listed, make, paths, record_of

from clew.intake.disk import iso_records

NOON = bytes([120, 6, 1, 12, 0, 0])  # 2020-06-01 12:00:00, without its distance to UTC


def test_times_with_their_distance_to_utc(tmp_path):
    image = make(tmp_path / "d.iso", {"A.TXT": b"a", "B.TXT": b"b"})
    change(image, record_of(image, b"A.TXT;1") + 18, NOON + bytes([36]))
    change(image, record_of(image, b"B.TXT;1") + 18, NOON + struct.pack("b", -20))
    found = {bytes.fromhex(each["path"]): each["times"] for each in listed(image)}
    assert found[b"A.TXT"] == [1590980400 * 10**9, None, None, None]  # 03:00 UTC
    assert found[b"B.TXT"][0] == 1591030800 * 10**9  # 17:00 UTC


@pytest.mark.parametrize(("data", "seconds"), [
    (bytes(7), None), (bytes([120, 13, 1, 0, 0, 0, 0]), None), (NOON + b"\0", 1591012800), (b"", None),
    (b"2020060112000050" + bytes([4]), 1591009200.5), (b"0" * 16 + b"\0", None), (b"1x" * 8 + b"\0", None),
])  # fmt: skip
def test_recorded_times(data, seconds):
    assert iso_records.recorded_ns(data) == (None if seconds is None else int(seconds * 10**9))


def field(kind: bytes, data: bytes) -> bytes:
    return kind + bytes([len(data) + 4, 1]) + data


def both(*numbers: int) -> bytes:
    """Numbers as they stand there, twice each."""
    return b"".join(struct.pack("<I", each) + struct.pack(">I", each) for each in numbers)


def test_the_fields_of_a_record():
    area = field(b"NM", b"\1ab") + field(b"PX", both(0o120777, 1, 0, 0)) + field(b"CE", both(7, 3, 40))
    more = (
        field(b"NM", b"\0cd") + field(b"TF", b"\x82" + b"2020060112000050" + bytes([4])) + field(b"CE", both(7, 3, 40))
    )
    asked = []

    def read(block: int, at: int, length: int) -> bytes:
        asked.append((block, at, length))
        return more

    found = iso_records.rock(b"skip" + area, 4, read)
    assert found.name is not None
    assert found.name.startswith(b"abcd")
    assert len(found.name) <= iso_records.MOST_NAME
    assert set(asked) == {(7, 3, 40)}
    assert len(asked) <= iso_records.MOST_HOPS  # although it leads back to itself
    assert found.mode == 0o120777
    assert found.times == {"modified": 1591009200 * 10**9 + 500_000_000}
    for kind in (b"ZF", b"SF"):
        assert iso_records.rock(field(kind, bytes(8)), 0, read).altered
    assert iso_records.rock(field(b"NM", b"\2x") + b"NM\xffx", 0, read).name is None


def test_what_xa_says_of_a_file():
    for attributes, odd in ((0x0D55, False), (0x1555, True), (0x2D55, True), (0x4000, True)):
        assert bool(iso_records.xa(struct.pack(">HHH2s6x", 0, 0, attributes, b"XA"))) is odd
    assert not iso_records.xa(bytes(14))


def test_a_file_that_is_said_to_be_a_moved_directory_is_listed(tmp_path):
    image = make(tmp_path / "d.iso", {"a.txt": b"hidden"}, "-R")
    data = image.read_bytes()
    at = record_of(image, b"A.TXT;1")
    (root,) = struct.unpack_from("<I", data, 16 * S + 158)
    change(image, data.index(b"TF", at), field(b"CL", both(root)))
    assert paths(listed(image)) == {b"a.txt"}
