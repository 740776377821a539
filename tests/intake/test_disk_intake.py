"""Disk images: live and deleted files, what may be claimed of them, and what could not be read, said."""

import gzip
import hashlib
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from cases import items, sha256

from case_made import new_case
from clew.core import held
from clew.intake.disk import entries
from clew.intake.options import Options
from clew.intake.reading import find
from clew.intake.report import Report
from clew.intake.run import intake
from clew.intake.sources._carving import FREE
from clew.intake.sources._listed import NOBODYS
from clew.intake.sources.rawdisk import PLUGIN
from clew.model import ContentState, Missing, Reason

OPTIONS = Options(extractors=())
NAMES = {b"blur-a-lot.jpg", b"shrink-a-little.jpg", b"square-512x512.jpg"}
DELETED = {b"aaa-orig.jpg", b"1.png", b"doorknob-hd-no-bar.mp4"}
SHORT = {b"_aa-orig.jpg": b"aaa-orig.jpg", b"_.png": b"1.png"}  # FAT loses the first letter of a deleted short name


def tool(*words: object) -> None:
    path = f"{os.environ['PATH']}:/usr/sbin:/sbin"
    environment = {"PATH": path, "MTOOLS_SKIP_CHECK": "1"}
    program = shutil.which(str(words[0]), path=path)
    assert program, f"{words[0]} is not installed; see tools/system-packages"
    subprocess.run([program, *map(str, words[1:])], check=True, capture_output=True, env=environment)


def take(folder: Path, image: Path) -> tuple[dict[bytes, dict], Report]:
    case = new_case(folder / "case")
    summary = intake(case, path=image, label="D", workers=1, options=OPTIONS)
    return items(case), summary


@pytest.fixture
def corpus() -> Path:
    return Path(os.environ["CLEW_CORPUS"])


def unpack(corpus: Path, name: str, folder: Path) -> Path:
    image = folder / name
    with gzip.open(corpus / "generated/images" / f"{name}.raw.gz") as packed, image.open("wb") as out:
        shutil.copyfileobj(packed, out)
    return image


# ---- images that no one here wrote


@pytest.mark.corpus
@pytest.mark.parametrize("name", ["fat16_deleted", "ntfs_deleted", "ext4_deleted"])
def test_three_live_and_three_deleted_files(name, corpus, tmp_path):
    found, summary = take(tmp_path, unpack(corpus, name, tmp_path))
    carved = {path: item for path, item in found.items() if item["name_state"] == "carved"}
    found = {path: item for path, item in found.items() if path not in carved}
    live = {path.rpartition(b"/")[2] for path, item in found.items() if item["name_state"] == "live"}
    lost = {path.rpartition(b"/")[2]: item for path, item in found.items() if item["name_state"] != "live"}
    assert live == NAMES
    assert len(found) == 6
    originals = {
        path.name.encode(): sha256(path.read_bytes())
        for path in (corpus / "threatexchange").rglob("*")
        if path.is_file()
    }
    assert {originals[name] for name in DELETED} == {item["sha256"] for item in carved.values()}
    for path, item in found.items():
        if item["name_state"] == "live":
            assert item["sha256"] == originals[path.rpartition(b"/")[2]]
            assert item["state"] == "done"
    if name.startswith("ext4"):  # the kernel clears the block pointers: the record is left, and what was carved
        assert {item["state"] for item in lost.values()} == {"unreadable"}
        assert {item["reason"] for item in lost.values()} == {"unreadable"}
        assert summary.account.unreadable == 3
        assert not summary.account.complete
    else:
        assert {SHORT.get(path, path) for path in lost} == DELETED
        # a PNG, by its checksums, vouches for its clusters; nothing vouches for the inside of a JPEG or a film
        assert {item["content_state"] for item in lost.values()} == {"overwritten possible"}
        vouched = {SHORT.get(path, path) for path, item in lost.items() if item["as_read"] == "complete"}
        assert vouched == {name for name in DELETED if name.endswith(b".png")}
        for path, item in lost.items():
            wanted = originals.get(SHORT.get(path, path))
            assert wanted is None or item["sha256"] == wanted
        assert any(SHORT.get(path, path) in originals for path in lost)
        assert summary.account.complete
    assert summary.sha256 == hashlib.sha256((tmp_path / name).read_bytes()).hexdigest()


@pytest.mark.corpus
def test_two_partitions_and_the_gap_before_them(corpus, tmp_path):
    summary = intake(new_case(tmp_path / "case"), path=unpack(corpus, "mbr_fat16_ntfs", tmp_path), label="D", workers=1)
    assert (summary.account.discovered, summary.account.done) == (18, 18)  # of them six twice: by name, and carved
    kinds = [part["kind"] for part in summary.account.searched]
    assert sorted(kinds) == [NOBODYS, NOBODYS, FREE, FREE, "carving outside partitions"]
    assert "carving outside partitions: MBR: Unallocated at byte 0" in summary.words()


@pytest.mark.corpus
@pytest.mark.parametrize("name", ["luks1", "luks2_pbkdf2", "luks2_argon2id"])
def test_encrypted_volumes_are_said_to_be(name, corpus, tmp_path):
    found, summary = take(tmp_path, unpack(corpus, name, tmp_path))
    assert not found
    assert not summary.account.complete
    assert [part["missing"].partition(";")[0] for part in summary.account.parts_unreadable] == [
        f"encrypted: {'LUKS1' if name == 'luks1' else 'LUKS2'}"
    ]


@pytest.mark.corpus
def test_other_raw_images_are_read_or_named(corpus, tmp_path):
    folder = corpus / "dfvfs/test_data"
    found, iso = take(tmp_path / "iso", folder / "iso9660.raw")
    assert found[b"passwords.txt" if b"passwords.txt" in found else next(iter(found))]["sha256"]
    found, hfs = take(tmp_path / "hfs", folder / "hfsplus.raw")
    assert found
    found, apfs = take(tmp_path / "apfs", folder / "apfs.raw")
    assert found[b"passwords.txt"]["sha256"]
    for name, summary in (("ISO 9660", iso), ("HFS+", hfs), ("APFS", apfs)):
        (said,) = [part for part in summary.account.not_covered if "deleted" in part["missing"]]
        assert said["file_system"] == name


# ---- images made here


@pytest.fixture
def card(tmp_path: Path) -> Path:
    """A FAT volume of 4 MiB with clusters of 2 KiB."""
    image = tmp_path / "card.img"
    with image.open("wb") as out:
        out.truncate(4 << 20)
    tool("mkfs.fat", "-F", "12", "-s", "4", image)
    return image


def put(image: Path, name: str, data: bytes, folder: str = "::/") -> None:
    path = image.with_name(name)
    path.write_bytes(data)
    tool("mcopy", "-o", "-i", image, path, folder)


def test_clusters_given_to_another_file_are_never_called_complete(card, tmp_path):
    """Later files lie in a folder, so that the entries of the deleted ones stay."""
    tool("mmd", "-i", card, "::/sub")
    put(card, "first.bin", b"1" * 20_000)
    put(card, "second.bin", b"2" * 20_000)
    put(card, "third.bin", b"3" * 20_000)
    at = card.read_bytes().index(b"1" * 20_000)
    tool("mdel", "-i", card, "::/first.bin")
    tool("mdel", "-i", card, "::/second.bin")
    put(card, "new.bin", b"n" * 26_000, "::/sub/")
    put(card, "fill.bin", b"f" * (4 << 20 >> 1), "::/sub/")
    assert card.read_bytes()[at : at + 26_000] == b"n" * 26_000, "over all of the first and a part of the second"
    found, _ = take(tmp_path, card)
    live = {path for path, item in found.items() if item["name_state"] == "live"}
    assert live == {b"third.bin", b"sub/new.bin", b"sub/fill.bin"}
    deleted = [item for item in found.values() if item["name_state"] == "deleted"]
    assert len(deleted) == 2
    for item in deleted:
        assert "complete" not in {item["content_state"], item["as_read"]}


def test_a_deleted_file_that_was_partly_overwritten(card, tmp_path):
    """Its directory entry still points at its first cluster; half of its clusters hold something else now."""
    put(card, "a.bin", b"a" * 40_960)
    tool("mdel", "-i", card, "::/a.bin")
    data = bytearray(card.read_bytes())
    _take_clusters(data, range(2 + 10, 2 + 20))
    card.write_bytes(data)
    found, _ = take(tmp_path, card)
    (item,) = found.values()
    assert item["name_state"] == "deleted"
    assert item["content_state"] == ContentState.OVERWRITTEN_POSSIBLE


def test_a_deleted_file_whose_clusters_are_all_gone(card, tmp_path):
    put(card, "a.bin", b"a" * 40_960)
    tool("mdel", "-i", card, "::/a.bin")
    data = bytearray(card.read_bytes())
    _take_clusters(data, range(2, 2 + 20))
    card.write_bytes(data)
    found, summary = take(tmp_path, card)
    (item,) = found.values()
    assert (item["state"], item["reason"], item["sha256"]) == ("unreadable", "unreadable", None)
    assert "belong to other files" in item["detail"]
    assert not summary.account.complete


def _take_clusters(data: bytearray, clusters: range) -> None:
    """Marks clusters as the end of some chain in the first FAT12 table."""
    reserved = int.from_bytes(data[14:16], "little") * 512
    for cluster in clusters:
        at = reserved + cluster + cluster // 2
        pair = int.from_bytes(data[at : at + 2], "little")
        pair = pair & 0x000F | 0xFFF0 if cluster % 2 else pair & 0xF000 | 0x0FFF
        data[at : at + 2] = pair.to_bytes(2, "little")


def test_two_deleted_files_that_claim_the_same_clusters_are_both_in_doubt(card, tmp_path):
    put(card, "older.bin", b"o" * 20_480)
    tool("mdel", "-i", card, "::/older.bin")
    data = bytearray(card.read_bytes())
    at = data.find(b"\xe5LDER   BIN")
    assert at > 0
    data[at + 64 : at + 96] = b"\xe5EWER   BIN" + data[at + 11 : at + 32]  # same first cluster, another name
    card.write_bytes(data)
    found, summary = take(tmp_path, card)
    assert len(found) == 2
    assert {item["as_read"] for item in found.values()} == {ContentState.OVERWRITTEN_POSSIBLE}
    assert summary.doubted == 2


def test_an_image_of_zeros_has_no_file_system_and_says_so(tmp_path):
    image = tmp_path / "zeros"
    with image.open("wb") as out:
        out.truncate(1 << 20)
    found, summary = take(tmp_path, image)
    assert not found
    assert "all zero" in summary.account.parts_unreadable[0]["missing"]
    assert not summary.account.complete


def test_gpt_partitions_are_found(tmp_path):
    """A protective MBR, a GPT, and one FAT volume in it."""
    volume = tmp_path / "volume.img"
    with volume.open("wb") as out:
        out.truncate(2 << 20)
    tool("mkfs.fat", volume)
    put(volume, "x.txt", b"in a gpt\n")
    image = tmp_path / "disk.img"
    image.write_bytes(gpt(volume.read_bytes()))
    found, summary = take(tmp_path, image)
    assert found[b"x.txt"]["sha256"] == sha256(b"in a gpt\n")
    assert any("GPT" in part.get("table", "") for part in summary.account.searched)


def gpt(volume: bytes) -> bytes:
    """UEFI 2.10, section 5.3: header in sector 1, 128 entries from sector 2, the volume at sector 2048."""
    import struct
    import uuid
    import zlib

    first, last = 2048, 2048 + len(volume) // 512 - 1
    end = last + 34
    basic = uuid.UUID("EBD0A0A2-B9E5-4433-87C0-68B6B72699C7").bytes_le
    entry = (
        basic
        + uuid.uuid4().bytes_le
        + struct.pack("<QQQ", first, last, 0)
        + "data".encode("utf-16-le").ljust(72, b"\0")
    )
    table = entry.ljust(128 * 128, b"\0")

    def header(here: int, there: int, at: int, check: int) -> bytes:
        body = struct.pack("<8sIIIIQQQQ", b"EFI PART", 0x10000, 92, check, 0, here, there, 34, last)
        return body + bytes(range(16)) + struct.pack("<QIII", at, 128, 128, zlib.crc32(table))

    def sealed(here: int, there: int, at: int) -> bytes:
        return header(here, there, at, zlib.crc32(header(here, there, at, 0))).ljust(512, b"\0")

    protective = (
        b"\0" * 446 + struct.pack("<B3sB3sII", 0, b"\0\2\0", 0xEE, b"\xff" * 3, 1, end).ljust(64, b"\0") + b"\x55\xaa"
    )
    head = protective + sealed(1, end, 2) + table
    return head.ljust(first * 512, b"\0") + volume + table + sealed(end, 1, last + 1)


def test_alternate_data_streams_are_items_of_their_own(tmp_path):
    image = tmp_path / "ntfs.img"
    with image.open("wb") as out:
        out.truncate(8 << 20)
    tool("mkntfs", "-q", "-F", "-Q", image)
    for name, data in {"main": b"what one sees", "hidden": b"h" * 5000, "tiny": b"zone"}.items():
        (tmp_path / name).write_bytes(data)
    tool("ntfscp", "-q", image, tmp_path / "main", "file.txt")
    tool("ntfscp", "-q", "-N", "hidden", image, tmp_path / "hidden", "file.txt")
    tool("ntfscp", "-q", "-N", "Zone.Identifier", image, tmp_path / "tiny", "file.txt")
    found, summary = take(tmp_path, image)
    assert {path: item["sha256"] for path, item in found.items()} == {
        b"file.txt": sha256(b"what one sees"),
        b"file.txt:hidden": sha256(b"h" * 5000),
        b"file.txt:Zone.Identifier": sha256(b"zone"),
    }
    assert found[b"file.txt:hidden"]["parent"] == found[b"file.txt"]["item"]
    assert found[b"file.txt"]["parent"] is None
    assert summary.account.notes


def test_a_deleted_name_whose_inode_is_another_files_now(tmp_path):
    image = tmp_path / "ext.img"
    with image.open("wb") as out:
        out.truncate(8 << 20)
    tool("mke2fs", "-q", "-F", "-t", "ext2", image)
    for name, data in {"old": b"o" * 9000, "mid": b"m" * 9000, "new": b"n" * 9000}.items():
        (tmp_path / name).write_bytes(data)
    for request in ("mkdir sub", f"write {tmp_path}/mid first.bin", f"write {tmp_path}/old old.bin", "rm old.bin"):
        tool("debugfs", "-w", "-R", request, image)
    before, _ = take(tmp_path / "before", image)
    assert before[b"old.bin"]["sha256"] == sha256(b"o" * 9000)
    assert (before[b"old.bin"]["name_state"], before[b"old.bin"]["as_read"]) == ("deleted", "overwritten possible")
    tool("debugfs", "-w", "-R", f"write {tmp_path}/new sub/new.bin", image)  # takes the inode and the blocks
    found, _ = take(tmp_path / "after", image)
    assert found[b"sub/new.bin"]["sha256"] == sha256(b"n" * 9000)
    old = found[b"old.bin"]
    assert (old["name_state"], old["content_state"], old["state"]) == ("reallocated", "unreadable", "unreadable")
    assert old["sha256"] is None
    assert "another file" in old["detail"]


# ---- a directory that kills its reader


def test_a_directory_that_kills_its_reader_is_cornered_and_named(card, monkeypatch):
    for number in range(9):
        tool("mmd", "-i", card, f"::/dir{number}")
        path = card.with_name("f.txt")
        path.write_bytes(b"x")
        tool("mcopy", "-i", card, path, f"::/dir{number}/")
    original = entries._list

    class Killed(Exception):
        pass

    def deadly(opened, root, at):
        if at and at[-1][0] == b"dir3":
            raise Killed
        return original(opened, root, at)

    monkeypatch.setattr(entries, "_list", deadly)
    asked = 0

    def ask(entry, payload, fds, size):
        nonlocal asked
        asked += 1
        try:
            return find(entry)(payload, list(fds)).value
        except Killed:
            return Missing(Reason.UNPARSABLE, "the worker died")

    disk = PLUGIN.open(card)
    monkeypatch.setattr(held, "descriptors", tuple(disk.held))
    part = next(iter(disk.parts(ask)))
    found = {
        event.path: event
        for event in disk.items(part, "", lambda _, make: make(iter(())), ask)
        if hasattr(event, "path")
    }
    disk.close()
    assert set(found) == {b"dir%d/f.txt" % number for number in (0, 1, 2, 4, 5, 6, 7, 8)} | {b"dir3"}
    assert found[b"dir3"].missing == Missing(Reason.UNPARSABLE, "its reader failed: the worker died")
    assert asked < 16


def test_directories_linked_twice_on_every_level_are_listed_once(tmp_path):
    """Forty levels of two names each would be 2 to the 40 paths."""
    image, path, script = tmp_path / "loop.img", "/", []
    with image.open("wb") as out:
        out.truncate(4 << 20)
    tool("mke2fs", "-q", "-F", "-t", "ext4", image)
    (tmp_path / "f").write_bytes(b"at the bottom")
    for _ in range(40):
        script += [f"mkdir {path}a", f"ln {path}a {path}b"]
        path += "a/"
    script += [f"write {tmp_path / 'f'} {path}f", "ln / /a/a/root", "ln /a /a/a/a/up"]
    (tmp_path / "script").write_text("\n".join(script) + "\n")
    tool("debugfs", "-w", "-f", tmp_path / "script", image)
    found, summary = take(tmp_path, image)
    assert [name for name in found if name.endswith(b"/f")] == [b"a/" * 40 + b"f"]
    assert len(found) < 100
    assert summary.account.notes[entries.LINKED_TWICE] >= 40
