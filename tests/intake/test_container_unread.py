"""Bytes of a container's files that are not of its disk by its own word: that they were not read is said."""

import os
import struct

import pytest
from container_cases import SIZE, Made, files, make, opened

from clew.intake.containers._unread import ROUNDING


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make(tmp_path_factory.mktemp("containers"))


def flat(folder, content: bytes, *extents: str):
    text = "\n".join(["# Disk DescriptorFile", "version=1", "CID=1", "parentCID=ffffffff", *extents, ""])
    (folder / "disk.vmdk").write_text(text)
    (folder / "disk-flat.vmdk").write_bytes(content)
    return folder / "disk.vmdk"


def said(path) -> list[str]:
    with opened(files(path, "vmdk"), "vmdk") as image:
        return [missing.detail for missing in image.said]


def test_a_flat_file_that_is_longer_than_its_extents_is_said(tmp_path):
    content = os.urandom(8192)
    assert said(flat(tmp_path, content, 'RW 16 FLAT "disk-flat.vmdk" 0')) == []
    (why,) = said(flat(tmp_path, content, 'RW 10 FLAT "disk-flat.vmdk" 0'))
    assert why.startswith("3,072 bytes of the file 'disk-flat.vmdk', from byte 5,120 on, are not of its disk")


def test_what_lies_between_the_extents_of_a_flat_file_is_said(tmp_path):
    extents = ['RW 4 FLAT "disk-flat.vmdk" 12', 'RW 4 FLAT "disk-flat.vmdk" 2', 'RW 4 FLAT "disk-flat.vmdk" 6']
    found = said(flat(tmp_path, os.urandom(8192), *extents))
    assert [each.split(", are")[0] for each in found] == [
        "1,024 bytes of the file 'disk-flat.vmdk', from byte 0 on",
        "1,024 bytes of the file 'disk-flat.vmdk', from byte 5,120 on",
    ]


@pytest.mark.parametrize(("more", "told"), [(ROUNDING - 512, False), (ROUNDING, True)])
def test_few_zeros_behind_the_end_are_rounding(tmp_path, more, told):
    assert bool(said(flat(tmp_path, bytes(4096 + more), 'RW 8 FLAT "disk-flat.vmdk" 0'))) is told


def test_a_sparse_file_that_holds_more_than_its_descriptor_says(made, tmp_path):
    data = made[1]["vmdk"].read_bytes()
    assert said(made[1]["vmdk"]) == []
    half = b"RW %d SPARSE" % (SIZE // 1024)
    path = tmp_path / "short.vmdk"
    path.write_bytes(data.replace(b"RW %d SPARSE" % (SIZE // 512), half))
    (why,) = said(path)
    assert f"{SIZE // 2:,} bytes of what " in why
    assert f"from byte {SIZE // 2:,} on" in why


def test_a_fixed_vhd_that_is_longer_than_its_footer_says(made, tmp_path):
    footer = bytearray(512)
    struct.pack_into(">8sIIQI4sI4sQQ4sI", footer, 0, b"conectix", 2, 0x10000, (1 << 64) - 1, 0, b"qemu", 0, b"Wi2k",
                     4096, 4096, b"", 2)  # fmt: skip
    struct.pack_into(">I", footer, 64, ~sum(footer) & 0xFFFFFFFF)
    path = tmp_path / "fixed.vhd"
    for content, told in ((b"x" * 4096, 0), (b"x" * 5120, 1)):
        path.write_bytes(content + footer)
        with opened([path], "vhd") as image:
            assert len(image.said) == told, image.said
    assert image.said[0].detail.startswith("1,024 bytes of the file, from byte 4,096 on")
