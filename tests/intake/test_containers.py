"""Containers of disk images against the raw image that they were made from, whole, cut, flipped and broken."""

import os
import random
import shutil
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pymodi
import pytest
import pyvhdi
import pyvmdk
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clew.core.absent import Absent
from clew.core.errors import Usage
from clew.intake.containers import _mapped, dmg, qcow, vhd, vhdx, vmdk
from clew.intake.containers._mapped import Mapped, Piece
from clew.intake.sources import vhd as vhd_source
from clew.intake.sources import vmdk as vmdk_source
from clew.intake.sources.rawdisk import segments
from clew.intake.tools import choose
from clew.model import Reason
from container_files import ALL, PACKINGS, tool, wrap

SIZE = 4 << 20
OPENERS = {"vmdk": vmdk.open_vmdk, "vhd": vhd.open_vhd, "vhdx": vhdx.open_vhdx, "qcow": qcow.open_qcow}
OPENERS["dmg"] = dmg.open_dmg
FILES = {"vmdk": vmdk_source.files, "vhd": vhd_source.files}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, dict[str, Path]]:
    """The raw image and every container of it. Its stretches are noise, text, and nothing."""
    folder = tmp_path_factory.mktemp("containers")
    draw, raw = random.Random(7), bytearray(SIZE)
    for at in range(0, SIZE, 64 << 10):
        if draw.random() < 0.3:
            raw[at : at + 60_000] = draw.randbytes(30_000) + b"a line of text\n" * 2000
    raw[-512:] = draw.randbytes(512)
    path = folder / "raw"
    path.write_bytes(raw)
    return bytes(raw), {name: wrap(path, name, folder) for name in ALL}


@contextmanager
def opened(paths: list[Path], kind: str) -> Iterator[Mapped]:
    descriptors = [os.open(path, os.O_RDONLY) for path in paths]
    try:
        yield OPENERS[kind](descriptors)
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


def files(path: Path, kind: str) -> list[Path]:
    return FILES[kind](path) if kind in FILES else [path]


@pytest.mark.parametrize("name", ALL)
def test_every_container_gives_the_bytes_of_the_image_it_was_made_from(name, made):
    raw, paths = made
    kind = name.split()[0]
    assert choose(paths[name]).name == kind
    with opened(files(paths[name], kind), kind) as image:
        assert image.size == SIZE
        assert image.read(0, SIZE) == raw

        @settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
        @given(st.integers(0, SIZE + 10), st.integers(0, 300_000))
        def anywhere(offset: int, length: int) -> None:
            assert image.read(offset, length) == raw[offset : offset + length]

        anywhere()
        assert not image.bad
        assert not image.said
        assert not image.looked()


@pytest.mark.parametrize(("name", "module"), [("vmdk", pyvmdk), ("vhd", pyvhdi), ("vhdx", pyvhdi), ("dmg", pymodi)])
def test_libyal_reads_the_same(name, module, made):
    _, paths = made
    with opened([paths[name]], name) as image, paths[name].open("rb") as file:
        handle = module.file() if module is pyvhdi else module.handle()
        handle.open_file_object(file)
        if module is pyvmdk:
            handle.open_extent_data_files_as_file_objects([paths[name].open("rb")])
        assert handle.get_media_size() == image.size
        assert handle.read_buffer_at_offset(SIZE, 0) == image.read(0, SIZE)


@pytest.mark.parametrize("name", ALL)
def test_a_cut_file_loses_what_is_cut_and_says_where(name, made, tmp_path):
    """Either it does not open, or every byte that differs lies in a range that is named, or it stays readable whole."""
    raw, paths = made
    kind = name.split()[0]
    parts = files(paths[name], kind)
    for share in (1, 40, 75, 99):
        cut = [tmp_path / path.name for path in parts]
        for source, target in zip(parts, cut, strict=True):
            shutil.copy(source, target)
        os.truncate(cut[-1], cut[-1].stat().st_size * share // 100)
        with suppress(Absent), opened(cut, kind) as image:
            differing(image, raw)


def differing(image: Mapped, raw: bytes) -> int:
    """How many sectors differ; each of them must be in a range that is named as lost, and hold zeros."""
    data, wrong = image.read(0, image.size), 0
    for at in range(0, min(len(data), len(raw)), 512):
        if data[at : at + 512] != raw[at : at + 512]:
            wrong += 1
            assert any(start < at + 512 and at < start + length for start, length in image.bad), at
    for start, length in image.bad:
        assert data[start : start + length] == bytes(length)
    return wrong


@pytest.mark.parametrize("name", ["vmdk stream", "dmg", "dmg bzip2", "dmg lzma"])
def test_a_flipped_byte_of_a_packed_block_is_noticed(name, made, tmp_path):
    raw, paths = made
    kind, draw = name.split()[0], random.Random(1)
    noticed = 0
    for _ in range(10):
        data = bytearray(paths[name].read_bytes())
        at = draw.randrange(70_000, len(data) - 70_000)
        data[at] ^= 1 << draw.randrange(8)
        path = tmp_path / "flipped"
        path.write_bytes(data)
        with opened([path], kind) as image:
            given_back = image.read(0, SIZE)
            for start in range(0, SIZE, 512):
                lost = any(s < start + 512 and start < s + n for s, n in image.bad)
                # every fourth chunk of these DMG is stored as it is, and nothing in it is a checksum
                stored = kind == "dmg" and start // (128 << 10) % 4 == 3
                assert lost or stored or given_back[start : start + 512] == raw[start : start + 512]
            noticed += bool(image.bad)
    assert noticed > 3


@pytest.mark.parametrize("name", ALL)
def test_mutated_headers_end_in_a_reason_or_in_bytes(name, made, tmp_path):
    """Whatever stands in its tables: an answer or Absent, soon, and never more than was asked."""
    _, paths = made
    kind, draw = name.split()[0], random.Random(name)
    path = paths[name]
    data = path.read_bytes()
    for _ in range(40 if len(data) < 8 << 20 else 8):
        mutated = bytearray(data)
        for _ in range(draw.choice((1, 4, 30))):
            at = draw.choice((draw.randrange(2048), draw.randrange(len(data)), len(data) - 1 - draw.randrange(1024)))
            width = draw.choice((1, 4, 8))
            mutated[at : at + width] = draw.choice((draw.randbytes(width), b"\xff" * width, bytes(width)))
        broken = tmp_path / "mutated"
        broken.write_bytes(mutated[: len(data)])
        # a worker turns both into a recorded Missing
        with suppress(Absent, ValueError), opened([broken, *files(path, kind)[1:]], kind) as image:
            for offset in (0, 5000, image.size // 2, max(image.size - 1000, 0)):
                assert len(image.read(offset, 100_000)) <= 100_000


# ---- what a container leads to, and what it only differs from


def test_pointers_out_of_the_file_are_named(made, tmp_path):
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


def test_differences_to_another_file_are_refused_with_its_name(made, tmp_path):
    _, paths = made
    over = tmp_path / "over.qcow2"
    tool("qemu-img", "create", "-f", "qcow2", "-b", paths["qcow"], "-F", "qcow2", over)
    with pytest.raises(Absent, match=r"qcow\.image"), opened([over], "qcow"):
        pass
    tool("qemu-img", "create", "-f", "vmdk", "-b", paths["vmdk"], "-F", "vmdk", tmp_path / "over.vmdk")
    with pytest.raises(Absent, match="snapshot"), opened([tmp_path / "over.vmdk"], "vmdk"):
        pass


def test_internal_snapshots_and_encryption_are_said(made, tmp_path):
    _, paths = made
    path = tmp_path / "snap.qcow2"
    shutil.copy(paths["qcow"], path)
    tool("qemu-img", "snapshot", "-c", "before", path)
    with opened([path], "qcow") as image:
        assert "1 earlier states" in image.said[0].detail
    locked = tmp_path / "locked.qcow2"
    data = bytearray(paths["qcow"].read_bytes())
    struct.pack_into(">I", data, 32, 2)
    locked.write_bytes(data)
    with pytest.raises(Absent) as caught, opened([locked], "qcow"):
        pass
    assert caught.value.missing.reason == Reason.ENCRYPTED
    locked.write_bytes(b"encrcdsa" + bytes(5000))
    assert choose(locked).name == "dmg"
    with pytest.raises(Absent) as caught, opened([locked], "dmg"):
        pass
    assert caught.value.missing.reason == Reason.ENCRYPTED


def difference(parent: Path, path: Path, name: str, sectors: dict[int, bytes]) -> None:
    """A differencing VHD that qemu-img does not write: the footer of its parent, a header, and one block or none."""
    foot, size = bytearray(parent.read_bytes()[-512:]), SIZE
    identifier = bytes(foot[68:84])
    foot[60:64], foot[68:84] = (4).to_bytes(4, "big"), b"a difference, id"
    foot[16:24] = (512).to_bytes(8, "big")
    foot[64:68] = bytes(4)
    foot[64:68] = (~sum(foot) & 0xFFFFFFFF).to_bytes(4, "big")
    head = bytearray(1024)
    struct.pack_into(
        ">8sQQIII4x16s", head, 0, b"cxsparse", (1 << 64) - 1, 1536, 0x10000, size >> 21, 2 << 20, identifier
    )
    wide = name.encode("utf-16-be")
    head[64 : 64 + len(wide)] = wide
    head[36:40] = (~sum(head) & 0xFFFFFFFF).to_bytes(4, "big")
    blocks, body = [0xFFFFFFFF] * (size >> 21), bytearray()
    for number in sorted({sector >> 12 for sector in sectors}):
        blocks[number] = 4 + len(body) // 512
        bitmap, data = bytearray(512), bytearray(b"\xee" * (2 << 20))
        for sector, content in sectors.items():
            if sector >> 12 == number:
                bitmap[(sector & 4095) // 8] |= 0x80 >> (sector % 8)
                data[(sector & 4095) * 512 :][:512] = b""
                data[(sector & 4095) * 512 : (sector & 4095) * 512] = content
        body += bitmap + data
    table = struct.pack(f">{len(blocks)}I", *blocks).ljust(512, b"\xff")
    path.write_bytes(bytes(foot) + bytes(head) + table + bytes(body) + bytes(foot))


def test_a_differencing_vhd_is_laid_over_the_chain_of_its_parents(made, tmp_path):
    raw, paths = made
    base = tmp_path / "base.vhd"
    shutil.copy(paths["vhd"], base)
    middle, top = tmp_path / "Middle.vhd", tmp_path / "top.vhd"
    own = {5: b"A" * 512, 6: b"B" * 512, 4096 + 9: b"C" * 512}
    difference(base, middle, "C:\\disks\\base.vhd", own)
    difference(middle, top, ".\\middle.VHD", {6: b"D" * 512})
    wanted = bytearray(raw)
    for sector, data in (own | {6: b"D" * 512}).items():
        wanted[sector * 512 : sector * 512 + 512] = data
    assert vhd_source.files(top) == [top, middle, base]
    with opened(vhd_source.files(top), "vhd") as image:
        assert image.read(0, SIZE) == wanted
        assert not image.bad
        assert not image.said
    top_alone = tmp_path / "elsewhere" / "top.vhd"
    top_alone.parent.mkdir()
    shutil.copy(top, top_alone)
    with pytest.raises(Usage, match=r"middle\.VHD"):
        vhd_source.files(top_alone)
    with pytest.raises(Absent, match="not beside it"), opened([top], "vhd"):
        pass


def test_a_difference_over_another_parent_than_its_own_says_so(made, tmp_path):
    _, paths = made
    base = tmp_path / "base.vhd"
    shutil.copy(paths["vhd"], base)
    difference(base, tmp_path / "top.vhd", "base.vhd", {})
    shutil.copy(paths["vhd fixed"], base)
    with opened(vhd_source.files(tmp_path / "top.vhd"), "vhd") as image:
        assert "another id" in image.said[0].detail


def test_a_disk_that_is_its_own_ancestor_is_refused(made, tmp_path):
    _, paths = made
    difference(paths["vhd"], tmp_path / "one.vhd", "two.vhd", {})
    difference(paths["vhd"], tmp_path / "two.vhd", "one.vhd", {})
    with pytest.raises(Usage, match="its own ancestor"):
        vhd_source.files(tmp_path / "one.vhd")


def test_names_inside_an_image_lead_nowhere_but_beside_it(tmp_path):
    secret = tmp_path / "secret"
    secret.write_bytes(bytes(SIZE))
    folder = tmp_path / "folder"
    folder.mkdir()
    path = folder / "evil.vmdk"
    for name in ("../secret", str(secret), "link"):
        (folder / "link").unlink(missing_ok=True)
        (folder / "link").symlink_to(secret)
        text = f'# Disk DescriptorFile\nparentCID=ffffffff\nRW {SIZE // 512} FLAT "{name}" 0\n'
        path.write_text(text)
        with pytest.raises(Usage, match="not beside it"):
            vmdk_source.files(path)


def test_what_the_descriptor_promises_beyond_the_file_is_lost(made, tmp_path):
    raw, paths = made
    first, extent = vmdk_source.files(paths["vmdk split"])
    shutil.copy(extent, tmp_path / extent.name)
    longer = first.read_text().replace(f"RW {SIZE // 512} ", f"RW {SIZE // 512 + 100} ")
    (tmp_path / "longer.vmdk").write_text(longer)
    with opened(vmdk_source.files(tmp_path / "longer.vmdk"), "vmdk") as image:
        assert image.read(0, image.size) == raw + bytes(51_200)
        assert image.bad == [(SIZE, 51_200)]


def test_one_part_of_a_split_disk_says_that_it_may_be_one(made):
    _, paths = made
    part = vmdk_source.files(paths["vmdk split"])[1]
    with opened([part], "vmdk") as image:
        assert "one part of several" in image.said[0].detail


@pytest.mark.parametrize("second", ['RW 8 SPARSE "b.vmdk"', 'RW 8 FLAT "a.vmdk" 0', 'RW 8 SPARSE "a.vmdk"'])
def test_a_descriptor_inside_a_sparse_file_stands_for_no_other_file(made, tmp_path, second):
    raw, paths = made
    data = bytearray(paths["vmdk"].read_bytes())
    (at,) = struct.unpack_from("<Q", data, 28)
    text = f'# Disk DescriptorFile\nparentCID=ffffffff\nRW {SIZE // 512} SPARSE "a.vmdk"\n{second}\n'.encode()
    data[at * 512 : at * 512 + 1024] = text.ljust(1024, b"\0")
    (tmp_path / "a.vmdk").write_bytes(data)
    with opened([tmp_path / "a.vmdk"], "vmdk") as image:
        assert image.size == SIZE
        assert differing(image, raw) == 0
        assert "2 extents that are not all this file" in image.said[0].detail


def made_empty(folder: Path, *numbers: str) -> Path:
    for number in numbers:
        (folder / f"disk.{number}").touch()
    return folder / f"disk.{numbers[0]}"


def test_a_raw_image_goes_on_behind_the_number_of_all_nines(tmp_path):
    first = made_empty(tmp_path, *(f"{number:02}" for number in range(1, 102)))
    made_empty(tmp_path, "txt", "0100", "2024x")
    assert [each.name for each in segments(first)] == [f"disk.{number:02}" for number in range(1, 102)]
    (tmp_path / "disk.99").unlink()
    with pytest.raises(Usage, match=r"missing: 99$"):
        segments(first)


def test_a_long_number_beside_a_short_series_is_none_of_it(tmp_path):
    first = made_empty(tmp_path, "01", "02", "2024")
    assert [each.name for each in segments(first)] == ["disk.01", "disk.02"]


@pytest.mark.parametrize(
    ("sizes", "said"),
    [
        ((9, 9, 4), None),
        ((9, 9, 9), None),
        ((9,), None),
        ((9, 7, 9, 4), "disk.002 is 2 bytes shorter than disk.001"),
        ((9, 7, 9), "disk.002 is 2 bytes shorter than disk.001"),
        ((5, 9, 4), "disk.001 is 4 bytes shorter than disk.002"),
        ((5, 9), "disk.001 is 4 bytes shorter than disk.002"),
        ((9, 0, 9), "disk.002 is 9 bytes shorter than disk.001"),
    ],
)
def test_a_raw_image_with_a_cut_segment_is_refused(tmp_path, sizes, said):
    """All behind it would be read from elsewhere, and a live file get the bytes of another."""
    for number, size in enumerate(sizes, 1):
        (tmp_path / f"disk.{number:03}").write_bytes(bytes(size))
    first = tmp_path / "disk.001"
    if said is None:
        assert len(segments(first)) == len(sizes)
        return
    with pytest.raises(Usage, match=said) as refused:
        segments(first)
    assert "copy it again" in refused.value.hint


def test_a_raw_image_is_not_begun_behind_its_first_segment(tmp_path):
    second = made_empty(tmp_path, "001", "000", "002")
    with pytest.raises(Usage, match=r"disk\.000 lies beside disk\.001"):
        segments(second)
    assert [each.name for each in segments(tmp_path / "disk.000")] == ["disk.000", "disk.001", "disk.002"]


def test_a_raw_disk_that_ends_in_an_old_footer_is_a_raw_disk(made, tmp_path):
    _, paths = made
    footer = paths["vhd fixed"].read_bytes()[-512:]
    path = tmp_path / "disk.raw"
    path.write_bytes(bytes(1 << 20) + footer)
    assert choose(path).name == "rawdisk"
    path.write_bytes(bytes(1 << 20) + b"koly" + bytes(508))
    assert choose(path).name == "rawdisk"


# ---- read errors, and the ranges that are lost


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


def test_every_packing_of_a_dmg_was_tried():
    assert set(PACKINGS.values()) == {1, *range(0x80000004, 0x80000009)}
