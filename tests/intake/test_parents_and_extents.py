"""A disk whose bytes lie in further files, a parent or extents: read where they lie beside it, else refused or said."""

import shutil
import struct

import pytest
from container_cases import SIZE, Made, difference, differing, make, opened

from clew.core.absent import Absent
from clew.core.errors import Usage
from clew.intake.sources import vhd as vhd_source
from clew.intake.sources import vmdk as vmdk_source
from container_files import tool


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make(tmp_path_factory.mktemp("containers"))


def test_a_qcow_over_another_file_is_refused_with_its_name(made, tmp_path):
    _, paths = made
    over = tmp_path / "over.qcow2"
    tool("qemu-img", "create", "-f", "qcow2", "-b", paths["qcow"], "-F", "qcow2", over)
    with pytest.raises(Absent, match=r"qcow\.image"), opened([over], "qcow"):
        pass


def test_a_vmdk_over_another_file_is_refused_as_a_snapshot(made, tmp_path):
    _, paths = made
    over = tmp_path / "over.vmdk"
    tool("qemu-img", "create", "-f", "vmdk", "-b", paths["vmdk"], "-F", "vmdk", over)
    with pytest.raises(Absent, match="snapshot"), opened([over], "vmdk"):
        pass


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


def test_a_vhd_whose_parent_is_not_beside_it_is_refused_with_its_name(made, tmp_path):
    _, paths = made
    alone = tmp_path / "top.vhd"
    difference(paths["vhd"], alone, ".\\middle.VHD", {6: b"D" * 512})
    with pytest.raises(Usage, match=r"middle\.VHD"):
        vhd_source.files(alone)
    with pytest.raises(Absent, match=r"middle\.VHD'?, which is not beside it"), opened([alone], "vhd"):
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
