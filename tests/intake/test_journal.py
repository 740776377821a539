"""A volume that was not unmounted: its last changes stand in its journal alone, and that is said."""

import struct
from pathlib import Path
from types import SimpleNamespace

import pytest
import pytsk3
from hypothesis import given
from hypothesis import strategies as st
from ntfs_volume import blank, written
from test_volumes import take

from clew.intake.disk import logfile, signatures
from container_files import tool

AHEAD = "what its journal alone has: it was not unmounted"


def ext(folder: Path, *requests: str) -> Path:
    """An ext4 with one file, changed by debugfs."""
    content, image = folder / "content", folder / "disk.img"
    content.mkdir()
    (content / "FILE.TXT").write_text("FILE.TXT")
    image.write_bytes(bytes(4 << 20))
    tool("mke2fs", "-q", "-t", "ext4", "-d", content, image)
    for request in requests:
        tool("debugfs", "-w", "-R", request, image)
    return image


@pytest.mark.parametrize("pulled", [True, False])
def test_an_ext4_whose_plug_was_pulled_may_not_show_its_last_changes(tmp_path, pulled):
    found, summary = take(tmp_path, ext(tmp_path, *["feature needs_recovery"] * pulled))
    assert set(found) == {b"FILE.TXT"}
    assert (AHEAD in summary.words()) is pulled
    assert summary.account.complete is not pulled


@pytest.mark.parametrize(
    ("attributes", "said"),
    [(0x2000, True), (0x2100, False), (0x100, False), (0, False)],  # without a journal there is nothing in it
)
def test_an_hfs_plus_says_whether_it_was_unmounted(attributes, said):
    head = bytes(1024) + b"H+\0\4" + struct.pack(">I", attributes) + bytes(4096)
    assert (AHEAD in signatures.beside("HFS+", head)) is said


def test_what_else_is_beside_is_said_too():
    head = bytearray(8192)
    struct.pack_into("<I", head, 1024 + 96, 0x1000 | 4)  # dirdata
    assert AHEAD in signatures.beside("ext", bytes(head))
    assert "(dirdata)" in signatures.beside("ext", bytes(head))
    assert len(signatures.beside("ext", bytes(head))) < 400


# Restart pages of $LogFile: sequence number, the first client in use (0xFFFF: none), flags (2: all is written)
IN_USE, IN_ORDER, EARLIER, CLOSED = (9, 0, 0), (9, 0, 2), (8, 0, 0), (9, 0xFFFF, 0)


def ntfs(folder: Path, pages: list[tuple[int, int, int]], asleep: bytes = b"", *, dirty: bool = False) -> Path:
    """An NTFS volume whose journal begins with these restart pages, and with hiberfil.sys where it is `asleep`."""
    image = blank(folder / "disk.img")
    with written(image) as new:
        new.create("/FILE.TXT", b"FILE.TXT")
        if asleep:
            new.create("/hiberfil.sys", asleep + bytes(4092))
    data = bytearray(image.read_bytes())
    fs = pytsk3.FS_Info(pytsk3.Img_Info(str(image)))
    start = next(int(run.addr) for each in fs.open_meta(inode=2) for run in each if int(each.info.type) == 0x80)
    for number, (sequence, client, flags) in enumerate(pages):
        page = b"RSTR" + struct.pack("<HHQIIHHH", 30, 9, 0, 4096, 4096, 48, 1, 1) + bytes(18)
        page += struct.pack("<QHHHH", sequence, 1, 0xFFFF, client, flags)
        at = start * int(fs.info.block_size) + 4096 * number
        data[at : at + len(page)] = page
    if dirty:
        record = fs.open_meta(inode=0).read_random(3 * 1024, 1024)
        version = record.index(b"\3\1\0\0", record.index(b"\x70\0\0\0"))  # 3.1, and no flags
        data[data.index(record[:100]) + version + 2] = 1
    image.write_bytes(data)
    return image


@pytest.mark.parametrize(
    ("pages", "asleep", "dirty", "said"),
    [
        ([], b"", False, ""),  # as ntfs-3g leaves it
        ([EARLIER, IN_ORDER], b"", False, ""),
        ([IN_ORDER, EARLIER], b"WAKE", False, ""),  # it has woken up, and was shut down
        ([CLOSED, CLOSED], b"", False, ""),
        ([IN_USE, EARLIER], b"", False, AHEAD),
        ([(8, 0, 2), IN_USE], b"", True, AHEAD),
        ([IN_USE, IN_USE], b"HIBR", False, "it was hibernated"),
        ([], b"", True, "marked as damaged"),
    ],
)
def test_an_ntfs_says_how_it_was_left(tmp_path, pages, asleep, dirty, said):
    found, summary = take(tmp_path, ntfs(tmp_path, pages, asleep, dirty=dirty))
    assert b"FILE.TXT" in found
    words = summary.words()
    assert [each for each in (AHEAD, "it was hibernated", "marked as damaged") if each in words] == [said] * bool(said)
    assert summary.account.complete is not bool(said)


def test_a_root_with_very_many_names_is_not_listed_for_it():
    class Large:
        def open(self, path: str) -> None:
            raise AssertionError("it takes The Sleuth Kit minutes")

        def open_meta(self, inode: int) -> list[SimpleNamespace]:
            if inode != 5:
                raise OSError("no record")
            return [SimpleNamespace(info=SimpleNamespace(type=0xA0, size=2 << 20))]

    assert logfile.unwritten(Large()) == ""


@given(st.binary(max_size=200), st.binary(max_size=200))
def test_any_journal_is_looked_at(first, second):
    assert isinstance(logfile._in_use(b"RSTR" + first + b"RSTR" + second), bool)


def test_a_volume_without_any_of_these_says_nothing():
    class Lost:
        def open(self, path: str) -> None:
            raise OSError("no file")

        def open_meta(self, inode: int) -> None:
            raise OSError("no record")

    assert logfile.unwritten(Lost()) == ""
