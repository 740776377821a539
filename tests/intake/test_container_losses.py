"""What a container has lost or does not show is named: broken tables, a log that waits, earlier states, read errors."""

import os
import shutil
import struct

import pytest
from container_cases import SIZE, Made, differing, make, opened

from clew.core.absent import Absent
from clew.intake.containers import _mapped, vhdx
from clew.intake.containers._mapped import Mapped, Piece
from clew.intake.tools import choose
from clew.model import Reason
from container_files import tool


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make(tmp_path_factory.mktemp("containers"))


def test_a_pointer_out_of_the_file_is_named_in_a_qcow(made, tmp_path):
    raw, paths = made
    data = bytearray(paths["qcow"].read_bytes())
    (first,) = struct.unpack_from(">Q", data, 40)
    (second,) = struct.unpack_from(">Q", data, first)
    second &= 0x00FFFFFFFFFFFE00
    number = next(n for n in range(64) if struct.unpack_from(">Q", data, second + 8 * n)[0])
    struct.pack_into(">Q", data, second + 8 * number, 1 << 40 | 1 << 63)
    (tmp_path / "q").write_bytes(data)
    with opened([tmp_path / "q"], "qcow") as image:
        assert differing(image, raw) > 0
        assert image.bad == [(number << 16, 1 << 16)]


def test_a_pointer_out_of_the_file_is_named_in_a_vhd(made, tmp_path):
    raw, paths = made
    data = bytearray(paths["vhd"].read_bytes())
    struct.pack_into(">I", data, 1536, 1 << 30)
    (tmp_path / "v").write_bytes(data)
    with opened([tmp_path / "v"], "vhd") as image:
        assert differing(image, raw) > 0
        assert image.bad == [(0, 2 << 20)]


def test_a_vmdk_whose_first_grain_table_is_broken_is_read_by_the_second(made, tmp_path):
    raw, paths = made
    data = bytearray(paths["vmdk"].read_bytes())
    (directory,) = struct.unpack_from("<Q", data, 56)
    (grains,) = struct.unpack_from("<I", data, directory * 512)
    for number in range(64):
        struct.pack_into("<I", data, grains * 512 + 4 * number, 1 << 30)
    path = tmp_path / "broken.vmdk"
    path.write_bytes(data)
    with opened([path], "vmdk") as image:
        assert image.read(0, SIZE) == raw
        assert not image.bad


@pytest.mark.parametrize("copy", [0, 1])
@pytest.mark.parametrize("lost", ["table", "directory"])
def test_a_vmdk_that_lost_a_sector_of_either_copy_is_read_whole_and_says_so(made, tmp_path, lost, copy):
    raw, paths = made
    data = bytearray(paths["vmdk"].read_bytes())
    second, first = struct.unpack_from("<QQ", data, 48)
    (table,) = struct.unpack_from("<I", data, (first, second)[copy] * 512)
    at = (table if lost == "table" else (first, second)[copy]) * 512
    assert any(data[at : at + 512])
    data[at : at + 512] = bytes(512)
    path = tmp_path / "lost.vmdk"
    path.write_bytes(data)
    with opened([path], "vmdk") as image:
        assert differing(image, raw) == 0
        assert not image.bad
        (differ,) = image.looked()
        assert differ.reason is Reason.UNPARSABLE
        assert "first of the bytes from 0 on" in differ.detail
    with opened([paths["vmdk"]], "vmdk") as image:
        assert not image.looked()


def test_a_vhdx_that_was_not_closed_says_that_its_log_waits(made, tmp_path):
    _, paths = made
    data = bytearray(paths["vhdx"].read_bytes())
    for at in (64 << 10, 128 << 10):
        data[at + 48 : at + 64] = bytes(range(16))
        data[at + 4 : at + 8] = bytes(4)
        struct.pack_into("<I", data, at + 4, vhdx._crc32c(bytes(data[at : at + 4096])))
    (tmp_path / "v").write_bytes(data)
    with opened([tmp_path / "v"], "vhdx") as image:
        assert [each.reason for each in image.said] == [Reason.UNPARSABLE]


def test_crc32c_has_the_check_value_of_its_definition():
    assert vhdx._crc32c(b"123456789") == 0xE3069283


def test_that_a_qcow_keeps_earlier_states_is_said(made, tmp_path):
    _, paths = made
    path = tmp_path / "snap.qcow2"
    shutil.copy(paths["qcow"], path)
    tool("qemu-img", "snapshot", "-c", "before", path)
    with opened([path], "qcow") as image:
        assert "1 earlier states" in image.said[0].detail


def test_an_encrypted_qcow_is_refused_as_one(made, tmp_path):
    _, paths = made
    locked = tmp_path / "locked.qcow2"
    data = bytearray(paths["qcow"].read_bytes())
    struct.pack_into(">I", data, 32, 2)
    locked.write_bytes(data)
    with pytest.raises(Absent) as caught, opened([locked], "qcow"):
        pass
    assert caught.value.missing.reason == Reason.ENCRYPTED


def test_an_encrypted_dmg_is_refused_as_one(tmp_path):
    locked = tmp_path / "locked"
    locked.write_bytes(b"encrcdsa" + bytes(5000))
    assert choose(locked).name == "dmg"
    with pytest.raises(Absent) as caught, opened([locked], "dmg"):
        pass
    assert caught.value.missing.reason == Reason.ENCRYPTED


def test_a_read_error_costs_its_sector_alone(monkeypatch, made):
    raw, paths = made
    real = os.pread

    def failing(descriptor: int, length: int, at: int) -> bytes:
        if at < 1_000_500 < at + length:
            raise OSError(5, "Input/output error")
        return real(descriptor, length, at)

    with opened([paths["vhd fixed"]], "vhd") as image:
        monkeypatch.setattr(_mapped.os, "pread", failing)
        data = image.read(0, SIZE)
    start = 1_000_500 // 512 * 512
    assert image.bad == [(start, 512)]
    assert data == raw[:start] + bytes(512) + raw[start + 512 :]


def test_a_piece_that_is_lost_is_zeros_and_named():
    image = Mapped(1000, lambda offset, most: Piece(min(most, 100), lost=offset < 500))
    assert image.read(100, 1000) == bytes(900)
    assert image.bad == [(100, 400)]
