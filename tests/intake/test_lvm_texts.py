"""Which description of a group of LVM is believed, where it stands more than once or LVM itself ignores it."""

import struct

import pytest
from lvm_volume import AREA, AREA_SIZE, EXTENT, FIRST, crc, physical
from test_behind import partitions
from test_volumes import fat, take

from clew.core.absent import Absent
from clew.intake.disk import lvm

MIB = 1 << 20


class Bytes:
    def __init__(self, data: bytes) -> None:
        self.data, self.size, self.bad = data, len(data), []

    def read(self, offset: int, length: int) -> bytes:
        return self.data[offset : offset + length]


def two_areas(one: bytearray, other: bytearray) -> bytes:
    """A physical volume with a second metadata area at its end, which is that of another one."""
    at = len(one)
    head = bytearray(other[AREA : AREA + 512])
    struct.pack_into("<Q", head, 24, at)
    struct.pack_into("<I", head, 0, crc(bytes(head[4:])))
    one[512 + 32 + 40 + 32 + 16 : 512 + 32 + 40 + 32 + 32] = struct.pack("<QQ", at, AREA_SIZE)
    struct.pack_into("<I", one, 512 + 16, crc(bytes(one[512 + 20 : 1024])))
    return bytes(one) + bytes(head) + bytes(other[AREA + 512 : AREA + AREA_SIZE])


def names(data: bytes) -> list[str]:
    return [each.name for each in lvm.list_volumes(Bytes(data), 0)]


def test_the_latest_of_two_descriptions_is_believed_and_a_difference_said():
    old, new = physical(10, {"gone": [(0, 2, "pv0")]}, state=4), physical(10, {"here": [(4, 2, "pv0")]}, state=10)
    for one, other in ((old, new), (new, old)):
        data = two_areas(bytearray(one), other)
        assert names(data) == ["here"]
        remark = lvm.said(Bytes(data), 0, len(data))["remark"]
        assert "are of the states 10 and 4 of the group: the latest is believed" in remark
    assert lvm.said(Bytes(two_areas(bytearray(new), new)), 0, len(new))["remark"] == ""


def test_a_damaged_description_beside_a_whole_one_is_said():
    whole, broken = physical(10, {"one": [(0, 2, "pv0")]}), physical(10, {"one": [(0, 2, "pv0")]})
    broken[AREA + 600] ^= 1
    data = two_areas(broken, whole)
    assert names(data) == ["one"]
    assert "1 of its 2 descriptions is damaged" in lvm.said(Bytes(data), 0, len(data))["remark"]
    with pytest.raises(Absent):
        names(bytes(broken))


def test_an_ignored_description_is_not_used_beside_one_that_is_kept():
    ignored = physical(10, {"gone": [(0, 2, "pv0")]}, state=12, ignored=True)
    kept = physical(10, {"here": [(4, 2, "pv0")]}, state=5)
    for one, other in ((ignored, kept), (kept, ignored)):
        assert names(two_areas(bytearray(one), other)) == ["here"]
    assert names(bytes(ignored)) == []
    assert lvm.said(Bytes(bytes(ignored)), 0, len(ignored))["ignored"]


def test_nothing_that_an_ignored_description_names_is_complete(tmp_path):
    volume = fat(tmp_path, "ONE.TXT")
    data = physical(40, {"data": [(0, len(volume) // EXTENT, "pv0")]}, ignored=True)
    data[FIRST : FIRST + len(volume)] = volume
    image = tmp_path / "pv.img"
    image.write_bytes(data)
    found, summary = take(tmp_path, image)
    assert [(item["content_state"], "lv@" in item["ref"]) for item in found.values()] == [
        ("overwritten possible", False)
    ]
    assert "marked as ignored" in summary.words()
    assert sum(part["length"] for part in summary.account.searched) >= len(data) - len(volume)


def test_a_physical_volume_that_is_behind_another_of_its_group_is_not_read_by_its_text(tmp_path):
    volumes = fat(tmp_path, "ONE.TXT"), fat(tmp_path, "TWO.TXT")
    old, new = (
        physical(40, {name: [(0, len(volumes[0]) // EXTENT, "pv0")]}, state=state)
        for name, state in (("a", 4), ("b", 5))
    )
    for each, volume in zip((old, new), volumes, strict=True):
        each[FIRST : FIRST + len(volume)] = volume
    image = tmp_path / "disk.img"
    partitions(image, [bytes(old), bytes(new)])
    found, summary = take(tmp_path, image)
    states = sorted((item["content_state"], "lv@" in item["ref"]) for item in found.values())
    assert states == [("complete", True), ("overwritten possible", False)]
    assert "its text is of state 4 of its group, that of another volume of this image of 5" in summary.words()
