"""Containers of disk images against the raw image that they were made from, whole, cut, flipped and broken."""

import os
import random
import shutil
from contextlib import ExitStack, closing, suppress

import pymodi
import pytest
import pyvhdi
import pyvmdk
from container_cases import SIZE, Made, differing, files, make, opened
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clew.core.absent import Absent
from clew.intake.containers import dmg
from clew.intake.tools import choose
from container_files import ALL, PACKINGS


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make(tmp_path_factory.mktemp("containers"))


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
    with ExitStack() as stack:
        image = stack.enter_context(opened([paths[name]], name))
        file, extent = (stack.enter_context(paths[name].open("rb")) for _ in range(2))
        handle = stack.enter_context(closing(module.file() if module is pyvhdi else module.handle()))
        handle.open_file_object(file)
        if module is pyvmdk:
            handle.open_extent_data_files_as_file_objects([extent])
        assert handle.get_media_size() == image.size
        assert handle.read_buffer_at_offset(SIZE, 0) == image.read(0, SIZE)


OPENED_FROM_THE_END = ("vhd fixed", *PACKINGS)  # without their last bytes nothing tells what they are


@pytest.mark.parametrize("name", ALL)
def test_a_cut_file_loses_what_is_cut_and_says_where(name, made, tmp_path):
    """Either it does not open, or every byte that differs lies in a range that is named, or it stays readable whole."""
    raw, paths = made
    kind = name.split()[0]
    parts = files(paths[name], kind)
    opens = []
    for share in (1, 40, 75, 99):
        cut = [tmp_path / path.name for path in parts]
        for source, target in zip(parts, cut, strict=True):
            shutil.copy(source, target)
        os.truncate(cut[-1], cut[-1].stat().st_size * share // 100)
        with suppress(Absent), opened(cut, kind) as image:
            differing(image, raw)
            opens.append(share)
    if name in OPENED_FROM_THE_END:
        assert opens == []
    else:
        assert 99 in opens


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


def test_a_raw_disk_that_ends_in_an_old_footer_is_a_raw_disk(made, tmp_path):
    _, paths = made
    footer = paths["vhd fixed"].read_bytes()[-512:]
    path = tmp_path / "disk.raw"
    path.write_bytes(bytes(1 << 20) + footer)
    assert choose(path).name == "rawdisk"
    path.write_bytes(bytes(1 << 20) + b"koly" + bytes(508))
    assert choose(path).name == "rawdisk"


def test_every_packing_of_a_dmg_was_tried():
    decoded = {dmg._RAW, dmg._ADC, dmg._LZFSE, *dmg._STREAMS}
    assert set(PACKINGS.values()) == decoded == {1, *range(0x80000004, 0x80000009)}
