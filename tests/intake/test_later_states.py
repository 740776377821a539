"""A virtual disk of which a snapshot was taken: its later state lies in another file, and that is said."""

import os
import struct
from pathlib import Path

import pytest
from cases import items
from container_cases import difference

from case_made import new_case
from clew.intake.containers import vhdx
from clew.intake.options import Options
from clew.intake.run import intake
from clew.intake.sources._later import _is, later
from container_files import tool, wrap

OPTIONS = Options(extractors=(), workers=1)


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A FAT12 volume of 6 MiB with a file in it."""
    folder = tmp_path_factory.mktemp("of-later")
    (folder / "old.txt").write_text("old")
    image = folder / "disk.raw"
    image.write_bytes(bytes(6 << 20))
    tool("mkfs.fat", "-F", "12", image)
    tool("mcopy", "-i", image, folder / "old.txt", "::OLD.TXT")
    return image


def over(base: Path, form: str, name: str, backing: str = "", made: str = "qcow2") -> None:
    """A difference to `base`, as a snapshot makes it."""
    names = backing or base.name, "-F", form, base.with_name(name)
    tool("qemu-img", "create", "-f", made, "-b", *names, folder=base.parent)


def difference_vhdx(base: Path, path: Path, name: str) -> None:
    """A VHDX with a parent locator ([MS-VHDX] 2.6.2.6), which qemu-img does not write."""
    data = bytearray(base.read_bytes())
    with base.open("rb") as file:
        at, _ = vhdx._regions(file.fileno())[vhdx._METADATA]
    (count,) = struct.unpack_from("<H", data, at + 10)
    key, value = "relative_path".encode("utf-16-le"), name.encode("utf-16-le")
    locator = bytes(18) + struct.pack("<HIIHH", 1, 32, 32 + len(key), len(key), len(value)) + key + value
    entry = vhdx._LOCATOR.bytes_le + struct.pack("<III4x", 128 << 10, len(locator), 4)
    data[at + 32 + 32 * count : at + 64 + 32 * count] = entry
    data[at + (128 << 10) : at + (128 << 10) + len(locator)] = locator
    struct.pack_into("<H", data, at + 10, count + 1)
    path.write_bytes(data)


def test_a_disk_with_a_later_state_beside_it_is_not_complete(raw: Path, tmp_path: Path):
    base, case = wrap(raw, "vmdk", tmp_path), new_case(tmp_path / "case")
    assert intake(case, path=base, label="D", options=OPTIONS).complete
    over(base, "vmdk", "disk-000001.vmdk", made="vmdk")
    ended = intake(case, path=base, label="D", options=OPTIONS)
    assert items(case)[b"OLD.TXT"]["state"] == "done"
    assert not ended.complete
    assert "a later state of it lies beside it, in 'disk-000001.vmdk'" in ended.words()


@pytest.mark.parametrize(
    "backing",
    ["", "file:disk.raw", 'json:{"driver": "raw", "file": {"driver": "file", "filename": "disk.raw"}}'],
    ids=["name", "protocol", "json"],
)
def test_the_base_of_a_qcow_may_be_raw(raw: Path, tmp_path: Path, backing: str):
    base = tmp_path / "disk.raw"
    base.write_bytes(raw.read_bytes())
    over(base, "raw", "later.qcow2", backing)
    (said,) = later(base)
    assert "'later.qcow2'" in said.detail


def test_a_vmdk_is_known_by_its_content_id_under_another_name(raw: Path, tmp_path: Path):
    base = wrap(raw, "vmdk", tmp_path)
    over(base, "vmdk", "later.vmdk", made="vmdk")
    assert later(base.rename(tmp_path / "exhibit-7.vmdk"))
    assert not later(tmp_path / "later.vmdk")
    base.write_bytes((tmp_path / "exhibit-7.vmdk").read_bytes())  # the one that it names is there: the other has its id
    assert not later(tmp_path / "exhibit-7.vmdk")
    assert later(base)


def test_the_large_file_of_a_vmdk_is_no_disk_of_today_either(raw: Path, tmp_path: Path):
    """Of ESX: a descriptor, the extent that it names, and a snapshot that names the descriptor."""
    base = wrap(raw, "vmdk flat", tmp_path)
    (extent,) = set(tmp_path.iterdir()) - {base}
    assert not later(extent)
    over(base, "vmdk", "later.vmdk", made="vmdk")
    assert "'later.vmdk'" in later(extent)[0].detail
    assert "'later.vmdk'" in later(base)[0].detail


def test_later_states_of_hyper_v_are_found(raw: Path, tmp_path: Path):
    old, new = wrap(raw, "vhd", tmp_path), wrap(raw, "vhdx", tmp_path)
    assert not later(old)
    assert not later(new)
    difference(old, tmp_path / "disk_1.avhd", f"C:\\Disks\\{old.name.upper()}", {})
    difference_vhdx(new, tmp_path / "disk_1.avhdx", f".\\{new.name}")
    assert "'disk_1.avhd'" in later(old)[0].detail
    assert "'disk_1.avhdx'" in later(new)[0].detail


def test_a_later_state_in_another_folder_is_found(raw: Path, tmp_path: Path):
    """In one below, as of VirtualBox, and in one beside; what another disk of the same name has is not taken for it."""
    own, beside, other = (tmp_path / name for name in ("machine", "snapshots", "other"))
    below = own / "Snapshots"
    for folder in (own, beside, other, below):
        folder.mkdir()
    base = wrap(raw, "vmdk", own)
    (other / base.name).write_bytes(base.read_bytes())
    over(other / base.name, "vmdk", "of-other.vmdk", made="vmdk")
    assert not later(base)
    tool("qemu-img", "create", "-f", "vmdk", "-b", f"../{base.name}", "-F", "vmdk", below / "one.vmdk", folder=below)
    assert "lies beside it, in 'Snapshots/one.vmdk', and" in later(base)[0].detail
    tool("qemu-img", "create", "-f", "qcow2", "-b", base, "-F", "vmdk", beside / "two.qcow2", folder=beside)
    assert "in '../snapshots/two.qcow2', 'Snapshots/one.vmdk', and" in later(base)[0].detail


@pytest.mark.parametrize("parent", ["", ".", "..", "/", "../", "\0", "../\0", "c:", "x" * 1000, "../" * 300])
def test_no_name_of_a_parent_elsewhere_stops_an_intake(tmp_path: Path, parent: str):
    (tmp_path / "disk.raw").write_bytes(bytes(4096))
    (tmp_path / "below").mkdir()
    name = parent.encode()
    (tmp_path / "below" / "x.qcow2").write_bytes(struct.pack(">4sIQI", b"QFI\xfb", 3, 20, len(name)) + name)
    assert later(tmp_path / "disk.raw") == ()


@pytest.mark.parametrize(
    ("parent", "same"),
    [
        ("..\\machine\\DISK.vhdx", True),
        ("../disk.vhdx", False),
        ("disk.vhdx", False),
        ("C:\\Hyper-V\\Machine\\disk.vhdx", True),
        ("C:\\Hyper-V\\Another\\disk.vhdx", False),
        ("/var/machine/disk.vhdx", True),
        ("my.disks/disk.vhdx", False),
    ],
)
def test_where_the_parent_lay_tells_it_from_another_of_its_name(parent: str, same: bool):
    assert _is(Path("/exhibit/differences/disk_1.avhdx"), parent, Path("/exhibit/machine/disk.vhdx")) is same


VMSD = '.encoding = "UTF-8"\nsnapshot.numSnapshots = "1"\nsnapshot0.disk0.fileName = "{}"\n'
VMX = 'scsi0:0.present = "TRUE"\nscsi0:0.fileName = "{}"\nide1:0.fileName = "auto detect"\n'
VBOX = '<HardDisks>\n<HardDisk uuid="{{1}}" location="{}" format="VMDK"{}\n</HardDisks>'
CHILD = '>\n<HardDisk uuid="{2}" location="Snapshots/{2}.vmdk" format="VMDK"/></HardDisk>'


@pytest.mark.parametrize(
    ("settings", "text", "kept"),
    [
        ("vm.vmsd", VMSD.format("Disk.vmdk"), True),
        ("vm.vmsd", VMSD.format("other.vmdk"), False),
        ("vm.vmsd", VMSD.format("disk.vmdk").replace('"1"', '"0"'), False),
        ("vm.vmx", VMX.format("/vmfs/volumes/1/disk-000002.vmdk"), True),
        ("vm.vmx", VMX.format("disk.vmdk"), False),
        ("vm.vmx", VMX.format("other-000002.vmdk"), False),
        ("vm.vbox", VBOX.format("disk.vmdk", CHILD), True),
        ("vm.vbox", VBOX.format("disk.vmdk", "/>" + VBOX.format("other.vmdk", CHILD)), False),
        ("vm.vbox", "\xff<HardDisk location" * 9999 + '<HardDisk location="' * 9999, False),
        ("vm.txt", VMSD.format("disk.vmdk"), False),
    ],
)
def test_settings_tell_of_a_snapshot_whose_file_is_not_there(tmp_path: Path, settings: str, text: str, kept: bool):
    (tmp_path / "disk.vmdk").write_bytes(bytes(4096))
    (tmp_path / settings).write_text(text)
    said = [each.detail for each in later(tmp_path / "disk.vmdk")]
    assert [f"by '{settings}' a snapshot keeps it as it was then" in each for each in said] == [True] * kept


def test_many_later_states_are_named_in_part(raw: Path, tmp_path: Path):
    base = tmp_path / "disk.raw"
    base.write_bytes(raw.read_bytes())
    over(base, "raw", "0.qcow2")
    for number in range(1, 7):
        (tmp_path / f"{number}.qcow2").write_bytes((tmp_path / "0.qcow2").read_bytes())
    assert "'0.qcow2', '1.qcow2', '2.qcow2', '3.qcow2', '4.qcow2', ..." in later(base)[0].detail


def test_what_lies_beside_a_disk_can_not_stop_its_intake(raw: Path, tmp_path: Path):
    """Pipes, links, and files that begin as a virtual disk does and go on otherwise."""
    base = tmp_path / "disk.raw"
    base.write_bytes(raw.read_bytes())
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(base)
    whole = wrap(raw, "vhdx", tmp_path).read_bytes()
    for name, head in {"k": b"KDMV", "d": b"# Disk DescriptorFile", "q": b"QFI\xfb", "c": b"conectix"}.items():
        (tmp_path / name).write_bytes(head)
        (tmp_path / f"{name}.ff").write_bytes(head + b"\xff" * 5000)
    with (tmp_path / "vhdx.image").open("rb") as file:
        at, _ = vhdx._regions(file.fileno())[vhdx._METADATA]
    for cut in (12, 40, 70, 1 << 17):
        (tmp_path / f"cut-{cut}.vhdx").write_bytes(whole[: at + cut])
    (tmp_path / "wild.vhdx").write_bytes(whole[: at + 10] + b"\xff" * (1 << 20))
    assert later(base) == ()


def test_a_folder_that_cannot_be_listed_may_hold_a_later_state(raw: Path, monkeypatch: pytest.MonkeyPatch):
    def refused(_path: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "scandir", refused)
    (said,) = later(raw)
    assert "is not known: its folder cannot be listed (Permission denied)" in said.detail
