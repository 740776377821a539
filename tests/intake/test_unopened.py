"""What holds other files and is not opened where it lies is typed, counted and said: never contents like any other."""

import hashlib
import json
import plistlib
import random
import struct
import subprocess
import zlib
from pathlib import Path

import pytest
from archive_world import TEXT, Bytes, by_tool, rar4, rar5, tarred, zipped
from click.testing import CliRunner

from case_made import new_case
from clew.cli.main import cli
from clew.core.errors import Usage
from clew.intake import mediatype
from clew.intake.api import Probe
from clew.intake.entropy import UNEXPLAINED
from clew.intake.extractors import unopened
from clew.intake.families import DOCUMENTS, NOT_OPENED, PROGRAMS, family
from clew.intake.options import Options
from clew.intake.run import intake
from clew.intake.tools import choose

STUB = Path("/bin/true").read_bytes()
FOREIGN = (("VDI", "vdi"), ("Parallels", "parallels"))
ARJ = b"\x60\xea\x2a\x00\x1e\x0b\x01\x00\x10\x00\x02" + bytes(100)


def cab() -> bytes:
    """One stored file in one folder (MS-CAB 2.1 to 2.4)."""
    file = struct.pack("<IIHHHH", len(TEXT), 0, 0, 0x1ED1, 0x5296, 0x20) + b"a.txt\0"
    at = 36 + 8 + len(file)
    block = struct.pack("<IHH", 0, len(TEXT), len(TEXT)) + TEXT
    head = struct.pack("<4sIIIIIBBHHHHH", b"MSCF", 0, at + len(block), 0, 44, 0, 3, 1, 1, 1, 0, 0, 0)
    return head + struct.pack("<IHH", at, 1, 0) + file + block


def said(data: bytes, media_type: str | None = None) -> str:
    """The same, held or not."""
    kind = media_type or mediatype.of(data[: mediatype.TYPED_BYTES])
    if not unopened.PLUGIN.wants(kind):
        return ""
    (held,) = [dict(unopened.PLUGIN.traits(Probe(memoryview(data), len(data), kind)))]
    (read,) = [dict(unopened.PLUGIN.traits(Probe(None, len(data), kind, source=Bytes(data))))]
    assert held == read
    return str(held.get("unopened", ""))


def made(folder: Path, *command: str, out: str) -> bytes:
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return (folder / out).read_bytes()


@pytest.mark.parametrize("kind", ["zip", "7z", "rar 4", "rar 5", "cab"])
def test_a_program_that_unpacks_itself_is_said(kind, tmp_path):
    packed = {
        "zip": lambda: zipped([("a.txt", TEXT)]),
        "7z": lambda: by_tool(tmp_path, [("a.txt", TEXT)], "7z", "a", "-bd", "o.7z", out="o.7z"),
        "rar 4": lambda: rar4([(b"a.txt", TEXT)]),
        "rar 5": lambda: rar5([(b"a.txt", TEXT)]),
        "cab": cab,
    }[kind]()
    assert said(STUB) == ""
    name = f"a program with a {kind.partition(' ')[0]} in it (self-extracting), which is not opened: "
    assert said(STUB + packed).startswith(name)
    for magic in (b"PK\x05\x06", b"7z\xbc\xaf\x27\x1c\0\4", b"Rar!\x1a\x07\0", b"Rar!\x1a\x07\1\0", b"MSCF" + bytes(4)):
        assert said(STUB + magic + b"what a program looks for" * 20) == ""


def test_images_are_said_by_what_tools_make(tmp_path):
    (tmp_path / "disk").write_bytes(bytes(4 << 20))
    raw = bytearray(4 << 20)
    raw[446:462] = struct.pack("<B3sB3sII", 0x80, b"", 7, b"", 2048, 4096)
    raw[510:512] = b"\x55\xaa"
    found = {"raw, with an MBR": bytes(raw)}
    for name, form in (("QCOW2", "qcow2"), ("VHDX", "vhdx"), ("VMDK", "vmdk"), ("VHD", "vpc"), *FOREIGN):
        found[name] = made(tmp_path, "qemu-img", "convert", "-O", form, "disk", f"out.{form}", out=f"out.{form}")
    found["VHD, fixed"] = bytes(raw) + found["VHD"][:512]
    found["DMG"] = zlib.compress(bytes(9999)) + b"koly\0\0\0\4\0\0\2\0" + bytes(500)
    for name, command in {
        "raw, NTFS": ("mkntfs", "-F", "-q", "disk"),
        "raw, ext": ("mke2fs", "-q", "-F", "disk"),
        "raw, FAT": ("mkfs.fat", "disk"),
    }.items():
        found[name] = made(tmp_path, *command, out="disk")
    for name, data in found.items():
        told = said(data)
        assert told.startswith(f"a disk image ({name.partition(', fixed')[0]}"), (name, told)
        way = unopened.OTHERWISE if (name, name.lower()) in FOREIGN else unopened.OWN
        assert told.endswith(f"which is not opened where it lies: {way}")


@pytest.mark.parametrize("form", ["vdi", "parallels", "ad1"])
def test_a_container_that_no_source_opens_is_refused_as_an_exhibit(form, tmp_path):
    """And not read as a raw disk."""
    image = tmp_path / "image"
    image.write_bytes(b"ADSEGMENTEDFILE\0" + bytes(600))
    if form != "ad1":
        made(tmp_path, "qemu-img", "create", "-f", form, image.name, "4M", out=image.name)
    with pytest.raises(Usage, match=f"(?i)is an image .{form}.$"):
        choose(image)


def test_aff4_is_told_from_the_zip_that_it_is():
    members = [("container.description", b"aff4://0"), ("data", TEXT)]
    assert "AFF4" in said(zipped(members), "application/zip")
    commented = zipped(members[1:])[:-2] + struct.pack("<H", 8) + b"aff4://0"
    assert "AFF4" in said(commented, "application/zip")
    assert said(zipped([("a", b"aff4://")]), "application/zip") == ""


def test_a_volume_that_is_locked_is_said_with_what_to_do():
    assert said(b"LUKS\xba\xbe\x00\x01" + bytes(1 << 20)).startswith(
        "an encrypted volume (LUKS1), which is not opened: "
    )
    assert said(b"LUKS\xba\xbe\x00\x01" + bytes(1 << 20)).count("cryptsetup") == 1


def test_what_is_none_of_these_is_not_called_one():
    for data in (bytes(1 << 20), TEXT, tarred([("a", TEXT)]), zipped([("a", TEXT)]), zlib.compress(TEXT)):
        assert said(data) == ""
    assert said(bytes(510) + b"\x55\xaa" + bytes(1 << 20)) == ""


def thumbs(*names: str) -> bytes:
    """A compound file (MS-CFB 2.2 to 2.6) with streams of those names, of which the first one alone holds bytes."""
    fat = struct.pack("<128I", 0xFFFFFFFD, *range(2, 9), 0xFFFFFFFE, 0xFFFFFFFE, *[0xFFFFFFFF] * 118)
    head = (
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(16) + struct.pack("<HHHHH6xIIII", 0x3E, 3, 0xFFFE, 9, 6, 0, 1, 9, 0)
    )
    head += struct.pack("<IIIII109I", 4096, 0xFFFFFFFE, 0, 0xFFFFFFFE, 0, 0, *[0xFFFFFFFF] * 108)
    entries = b""
    for number, name in enumerate(("Root Entry", *names)):
        raw = name.encode("utf-16-le")
        entries += raw.ljust(64, b"\0") + struct.pack("<HBB", len(raw) + 2, 2 if number else 5, 1)
        entries += struct.pack(
            "<III", 0xFFFFFFFF, number + 1 if 0 < number < len(names) else 0xFFFFFFFF, 0xFFFFFFFF if number else 1
        )
        entries += bytes(36) + (struct.pack("<IQ", 1, 4096) if number == 1 else struct.pack("<IQ", 0xFFFFFFFE, 0))
    record = struct.pack("<HHIQ", 30, 1, 1, 0) + "a.jpg".encode("utf-16-le") + bytes(4)
    stream = struct.pack("<HHIII", 16, 7, 1, 96, 96)[:16] + record
    return head + fat + stream.ljust(4096, b"\0") + entries.ljust(512, b"\0")


CACHED = b"CMMM" + struct.pack("<IQIIIIII", 60, 123, 0, 0, 4, 256, 200, 0) + bytes(12) + b"\xff\xd8\xff\xe0"
STORES = {
    "thumbcache of Windows, of another version": b"CMMM" + struct.pack("<IIIII", 0x40, 1, 0, 24, 84) + CACHED,
    "Thumbs.db of Windows": thumbs("Catalog", "1"),
    "Thumbs.db of Windows, of Vista": thumbs("256_4f0d0be3c92b7f13", "96_4f0d0be3c92b7f13"),
    "imgcache of Android": b"\x10\x85\x24\xbd" + struct.pack("<QIII", 7, 1, 4, 3) + b"\xff\xd8\xff",
    ".thumbdata of Android": bytes(30_000) + (struct.pack(">BQI", 1, 9, 500) + b"\xff\xd8\xff").ljust(10_000, b"\0"),
}


@pytest.mark.parametrize("name", STORES)
def test_stores_of_small_pictures_are_said(name):
    told = said(STORES[name])
    assert told.startswith(f"a store of small pictures ({name.partition(',')[0]}), which are not read: "), told


def test_other_compound_files_and_empty_stores_are_not_called_so():
    other = thumbs("1", "DestList")
    assert mediatype.of(other) == "application/CDFV2"
    assert family("application/CDFV2") == DOCUMENTS
    for data in (
        other,
        other[:600],
        STORES["thumbcache of Windows, of another version"][:24],
        bytes(40_000),
        b"\x10\x85\x24\xbd",
    ):
        assert said(data) == ""


def manifest(form: plistlib.PlistFormat, **more: object) -> bytes:
    """As a computer writes it, with more applications than its beginning holds."""
    applications = {f"org.example.app{number}": {"CFBundleVersion": str(number)} for number in range(9000)}
    lockdown = {"DeviceName": "Telephone", "ProductType": "iPhone12,1"}
    return plistlib.dumps({"Applications": applications, "Lockdown": lockdown, "Version": "10.0", **more}, fmt=form)


@pytest.mark.parametrize("form", plistlib.PlistFormat)
def test_a_backup_of_an_iphone_with_a_password_is_said_and_one_without_is_files_like_any_other(form):
    bag = {"BackupKeyBag": b"VERS" + bytes(900)}
    told = said(manifest(form, IsEncrypted=True, **bag))
    assert told.startswith("a backup of an iPhone or iPad, which is encrypted, ")
    assert "ask for its password" in told
    for other in ({"IsEncrypted": False, **bag}, {"IsEncrypted": True}, {"note": "IsEncrypted BackupKeyBag"}, {}):
        assert said(manifest(form, **other)) == ""


def test_a_plist_that_breaks_off_is_no_answer():
    data = manifest(plistlib.FMT_BINARY, IsEncrypted=True, BackupKeyBag=b"x")[:-40]
    with pytest.raises(plistlib.InvalidFileException):  # which becomes a Missing, and is said
        said(data)


def test_a_backup_of_an_android_device_is_said_with_and_without_a_password():
    noise = random.Random(3).randbytes(9000)
    keys = b"".join(noise[at : at + 32].hex().upper().encode() + b"\n" for at in (0, 32, 64))
    locked = b"ANDROID BACKUP\n5\n1\nAES-256\n" + keys + noise
    plain = b"ANDROID BACKUP\n5\n1\nnone\n" + zlib.compress(tarred([("a", TEXT)]))
    assert said(locked).startswith("a backup of an Android device (.ab), which is encrypted: ask for its password")
    assert said(plain) == f"a backup of an Android device (.ab), which is not opened: {unopened.OTHERWISE}"
    assert said(b"ANDROID BACKUP\n").startswith("a backup of an Android device (.ab), which is encrypted: ")
    assert family(mediatype.of(locked)) == NOT_OPENED


def test_noise_that_may_be_a_container_is_said_and_all_are_named(tmp_path):
    """A container of VeraCrypt begins with whatever its salt is, also as a program of DOS would."""
    root, noise = tmp_path / "x", random.Random(9).randbytes(2 << 20)
    root.mkdir()
    held = {"a.arj": ARJ, "b\x1b.arj": ARJ, "holiday.avi": b"\x00" + noise[1:], "as-dos": b"\xe9" + noise[1:]}
    held["letter"] = TEXT
    bag = {"IsEncrypted": True, "BackupKeyBag": b"x"}
    held |= {f"{form.name}.plist": manifest(form, **bag) for form in plistlib.PlistFormat}
    for name, data in held.items():
        (root / name).write_bytes(data)
    case = new_case(tmp_path / "case")
    specs = tuple(f"clew.intake.extractors.{name}:PLUGIN" for name in ("entropy", "unopened"))
    ended = intake(case, path=root, label="F", options=Options(workers=1, extractors=specs))
    arj = f"an archive (ARJ) of a kind that is not opened: {unopened.OTHERWISE}"
    backup = said(held["FMT_XML.plist"])
    counts = {each["what"]: each["items"] for each in ended.as_dict()["unopened"]}
    assert counts == {backup: 2, arj: 2, UNEXPLAINED: 2}
    assert f"not opened: 2 items: {UNEXPLAINED}" in ended.words()
    assert family(mediatype.of(held["as-dos"])) == PROGRAMS

    def shown(*more: str) -> list[str]:
        found = CliRunner().invoke(cli, ["show", "unopened", str(case.folder), "F", *more], standalone_mode=False)
        assert found.exception is None, found.exception
        return found.output.splitlines()

    assert shown()[:2] == [
        f"{name}  {len(held[name]):,} bytes: {backup}" for name in ("FMT_BINARY.plist", "FMT_XML.plist")
    ]
    assert shown()[2:] == [
        f"a.arj  111 bytes: {arj}",
        f"b\N{REPLACEMENT CHARACTER}.arj  111 bytes: {arj}",
        f"as-dos  2,097,152 bytes: {UNEXPLAINED}",
        f"holiday.avi  2,097,152 bytes: {UNEXPLAINED}",
    ]
    rows = [json.loads(line) for line in shown("--json")[2:]]
    assert [bytes.fromhex(row["path_hex"]).decode() for row in rows] == ["a.arj", "b\x1b.arj", "as-dos", "holiday.avi"]
    assert rows[3]["sha256"] == hashlib.sha256(held["holiday.avi"]).hexdigest()
    assert set(rows[0]) == {"item", "path", "path_hex", "ref", "size", "name_state", "sha256", "what"}


def test_the_end_report_counts_them(tmp_path):
    root = tmp_path / "x"
    root.mkdir()
    for name, data in (("a.arj", ARJ), ("b.arj", ARJ), ("setup", STUB + zipped([("a", TEXT)])), ("a.zip", zipped([]))):
        (root / name).write_bytes(data)
    case = new_case(tmp_path / "case")
    options = Options(workers=1, extractors=("clew.intake.extractors.unopened:PLUGIN",))
    ended = intake(case, path=root, label="F", options=options)
    assert ended.complete
    assert {each["what"].partition(",")[0]: each["items"] for each in ended.unopened} == {
        "a program with a zip in it (self-extracting)": 1,
        f"an archive (ARJ) of a kind that is not opened: {unopened.OTHERWISE}": 2,
    }
    assert ended.families[NOT_OPENED] == 2
    assert f"not opened: 2 items: an archive (ARJ) of a kind that is not opened: {unopened.OTHERWISE}" in ended.words()
    assert f"{NOT_OPENED} 2" in ended.words()
