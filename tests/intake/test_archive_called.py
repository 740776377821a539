"""Members that are called a folder, a link or a device, and hold content: they are read as any other member is."""

import shutil
import stat
import struct
import subprocess
import zipfile
import zlib
from io import BytesIO
from pathlib import Path

import pytest
from archive_world import TEXT, content, listed, opened, rar4, rar5, tarred
from cases import sha256

from case_made import new_case
from clew.core import shards
from clew.core.case import Case
from clew.intake.archives.members import PATH_MAX, What, rightly
from clew.intake.options import Options
from clew.intake.run import intake

PHOTO = b"\xff\xd8\xff\xe0" + bytes(range(256)) * 64  # longer than a path, with zeros in it
HARMLESS = b"../somewhere/else"


def with_modes(*entries: tuple[str, int, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    out = BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, mode, data in entries:
            info = zipfile.ZipInfo(name)
            info.create_system, info.external_attr, info.compress_type = 3, mode << 16, method
            archive.writestr(info, data)
    return out.getvalue()


def cpio(*entries: tuple[bytes, int, bytes]) -> bytes:
    """The "new" format (cpio(5)); all entries share one inode, as hard links do."""
    out = b""
    for name, mode, data in (*entries, (b"TRAILER!!!", 0, b"")):
        fields = (1, mode, 0, 0, len(entries), 0, len(data), 0, 0, 0, 0, len(name) + 1, 0)
        head = b"070701" + b"".join(b"%08x" % field for field in fields) + name + b"\0"
        out += head + bytes(-len(head) % 4) + data + bytes(-len(data) % 4)
    return out


def seven_zip(folder: Path, mode: int, data: bytes) -> bytes:
    """One stored member, whose mode is then written over (7zFormat.txt: attributes, and the CRC of all headers)."""
    (folder / "file").write_bytes(data)
    (folder / "file").chmod(0o644)
    command = ["7z", "a", "-bd", "-mhc=off", "-m0=Copy", "out.7z", "file"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    packed = bytearray((folder / "out.7z").read_bytes())
    struct.pack_into("<H", packed, packed.rfind(struct.pack("<H", 0o100644)), mode)
    place, size = struct.unpack_from("<QQ", packed, 12)
    struct.pack_into("<I", packed, 28, zlib.crc32(packed[32 + place : 32 + place + size]))
    struct.pack_into("<I", packed, 8, zlib.crc32(packed[12:32]))
    return bytes(packed)


def taken(folder: Path, name: str, data: bytes) -> tuple[Case, dict[bytes, tuple[str, str | None, bytes | None]]]:
    """The case, and of each member by its name: its state, why, and the SHA-256 of what was read."""
    shutil.rmtree(folder / "x", ignore_errors=True)
    (folder / "x").mkdir()
    (folder / "x" / name).write_bytes(data)
    case = new_case(folder / "case")
    intake(case, path=folder / "x", label="X", workers=1, options=Options(extractors=()))
    sql = "SELECT item, path, sha256 FROM listings LEFT JOIN contents USING (item) WHERE contains(ref, '!')"
    states = {row["id"]: (row["state"], row["detail"]) for row in case.read().execute("SELECT * FROM items")}
    rows = shards.query(case, sql).to_pylist()
    return case, {row["path"].partition(b"!/")[2]: (*states[row["item"]], row["sha256"]) for row in rows}


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_what_a_zip_calls_a_folder_or_a_link_is_read_where_it_has_content(method, tmp_path):
    link, folder = stat.S_IFLNK | 0o777, stat.S_IFDIR | 0o755
    data = with_modes(
        ("photo.jpg/", 0o100644, PHOTO),
        ("empty/", folder, b""),
        ("link", link, HARMLESS),
        ("photo", link, PHOTO),
        method=method,
    )
    _, found = taken(tmp_path, "a.zip", data)
    read = ("done", None, sha256(PHOTO))
    assert (found[b"photo.jpg/"], found[b"photo"]) == (read, read)
    assert found[b"empty/"] == ("skipped", "a directory, which holds no content", None)
    assert found[b"link"] == ("skipped", "a symbolic link, which is not followed", None)


def test_a_folder_that_states_no_size_and_has_packed_bytes_is_read():
    packed = bytearray(with_modes(("photo.jpg/", 0o100644, PHOTO)))
    struct.pack_into("<I", packed, packed.find(b"PK\x01\x02") + 24, 0)
    archive = opened(bytes(packed))
    (header,), _ = listed(archive)
    assert header.what is What.FILE
    got, why = content(archive, 0)
    assert got == PHOTO
    assert "where the archive states" in why.detail


def test_of_a_zip_without_a_directory_it_is_said(tmp_path):
    """libarchive reads no content of what it takes for a folder."""
    packed = with_modes(("photo.jpg/", 0o100644, PHOTO))
    _, found = taken(tmp_path, "a.zip", packed[: packed.find(b"PK\x01\x02")])
    assert found[b"photo.jpg/"] == ("unreadable", f"its data are 0 bytes, where the archive states {len(PHOTO)}", None)


@pytest.mark.parametrize("kind", [stat.S_IFDIR, stat.S_IFCHR, stat.S_IFIFO, stat.S_IFREG])
def test_what_a_7z_or_a_cpio_calls_otherwise_is_read_where_it_has_content(kind, tmp_path):
    for name, data in (("a.7z", seven_zip(tmp_path, kind | 0o644, PHOTO)), ("a.cpio", cpio((b"file", kind, PHOTO)))):
        _, found = taken(tmp_path, name, data)
        assert found == {b"file": ("done", None, sha256(PHOTO))}
        shutil.rmtree(tmp_path / "case")


def test_a_link_of_7z_or_cpio_that_holds_a_photo_is_said(tmp_path):
    """libarchive has read it by then as the link's target."""
    for name, make in (
        ("a.7z", lambda data: seven_zip(tmp_path, stat.S_IFLNK | 0o777, data)),
        ("a.cpio", lambda data: cpio((b"file", stat.S_IFLNK, data))),
    ):
        _, found = taken(tmp_path, name, make(PHOTO))
        assert found[b"file"][0] == "unreadable"
        shutil.rmtree(tmp_path / "case")
        _, found = taken(tmp_path, name, make(HARMLESS))
        assert found[b"file"] == ("skipped", "a symbolic link, which is not followed", None)
        shutil.rmtree(tmp_path / "case")


def test_of_hard_links_in_cpio_the_last_one_has_the_content(tmp_path):
    """So GNU cpio writes them; libarchive calls all but the first a link."""
    _, found = taken(tmp_path, "a.cpio", cpio((b"first", 0o100644, b""), (b"last", 0o100644, PHOTO)))
    assert found[b"last"] == ("done", None, sha256(PHOTO))


def test_a_tar_folder_that_is_followed_by_content_ends_in_a_stretch_that_is_said(tmp_path):
    """None follows one by the format (POSIX.1-2017, pax: typeflag 5): libarchive looks for the next header there."""
    packed = bytearray(tarred([("photo", PHOTO), ("b", TEXT)]))
    packed[156] = ord("5")
    packed[148:156] = b"%06o\0 " % (sum(packed[:148]) + 8 * 0x20 + sum(packed[156:512]))
    _, found = taken(tmp_path, "a.tar", bytes(packed))
    assert found[b"photo"][0] == "skipped"
    assert found[b""][:2] == (
        "unreadable",
        "a stretch that holds no header that could be read: members may be lost there",
    )
    assert found[b"b"] == ("done", None, sha256(TEXT))


def test_what_a_rar_calls_a_folder_is_read_or_said():
    """RAR 4 by its flags (technote.txt: 0xE0 is a directory), RAR 5 by its file flags (0x0001)."""
    packed = bytearray(rar4([(b"photo", PHOTO)]))
    at = 7 + 13
    packed[at + 3] |= 0xE0
    struct.pack_into("<I", packed, at + 28, stat.S_IFDIR | 0o755)
    size = struct.unpack_from("<H", packed, at + 5)[0]
    struct.pack_into("<H", packed, at, zlib.crc32(packed[at + 2 : at + size]) & 0xFFFF)
    archive = opened(bytes(packed))
    (header,), end = listed(archive)
    assert end is None
    assert rightly(header.what, header.size) is What.FILE
    got, why = content(archive, 0)
    assert got == PHOTO or why is not None
    (header,), _ = listed(opened(rar5([(b"photo", PHOTO)])))
    assert rightly(header.what, header.size) is What.FILE


@pytest.mark.parametrize("what", set(What) - {What.FILE})
def test_nothing_with_content_is_left_out(what):
    assert rightly(what, 0) is what
    assert rightly(what, PATH_MAX) is What.FILE
    assert (rightly(what, 1) is what) == (what is What.SYMBOLIC_LINK)
