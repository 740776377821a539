"""Members that are called a folder, a link or a device, and hold content: they are read as any other member is."""

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
from clew.intake.archives.members import BROKEN, PATH_MAX, What, rightly
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


def taken(folder: Path, files: dict[str, bytes]) -> dict[bytes, tuple[str, str | None, bytes | None]]:
    """Of each member by its path: its state, why, and the SHA-256 of what was read."""
    (folder / "x").mkdir()
    for name, data in files.items():
        (folder / "x" / name).write_bytes(data)
    case = new_case(folder / "case")
    intake(case, path=folder / "x", label="X", workers=1, options=Options(extractors=()))
    sql = "SELECT item, path, sha256 FROM listings LEFT JOIN contents USING (item) WHERE contains(ref, '!')"
    states = {row["id"]: (row["state"], row["detail"]) for row in case.read().execute("SELECT * FROM items")}
    return {row["path"]: (*states[row["item"]], row["sha256"]) for row in shards.query(case, sql).to_pylist()}


READ = ("done", None, sha256(PHOTO))
NOT_FOLLOWED = ("skipped", "a symbolic link, which is not followed", None)


def test_what_a_zip_calls_a_folder_or_a_link_is_read_where_it_has_content(tmp_path):
    link, folder = stat.S_IFLNK | 0o777, stat.S_IFDIR | 0o755
    entries = ("photo.jpg/", 0o100644, PHOTO), ("empty/", folder, b""), ("link", link, HARMLESS), ("photo", link, PHOTO)
    whole = with_modes(*entries)
    found = taken(
        tmp_path,
        {
            "stored": whole,
            "packed": with_modes(*entries, method=zipfile.ZIP_DEFLATED),
            "undirected": whole[: whole.find(b"PK\x01\x02")],
        },
    )
    for name in (b"stored!/", b"packed!/"):
        assert (found[name + b"photo.jpg/"], found[name + b"photo"], found[name + b"link"]) == (
            READ,
            READ,
            NOT_FOLLOWED,
        )
        assert found[name + b"empty/"] == ("skipped", "a directory, which holds no content", None)
    # libarchive reads no content of what it takes for a folder
    said = f"its data are 0 bytes, where the archive states {len(PHOTO)}"
    assert found[b"undirected!/photo.jpg/"] == ("unreadable", said, None)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_small_packed_entry_is_the_link_or_folder_that_it_is_called_only_where_it_holds_no_more(method):
    link, small, even = stat.S_IFLNK | 0o777, PHOTO[:3000], bytes(1 << 20)
    wanted = {
        ("small.jpg", link, small): What.FILE,
        ("even.bmp", link, even): What.FILE,
        ("short.txt/", 0o100644, b"forty bytes and no more"): What.FILE,
        ("link", link, HARMLESS): What.SYMBOLIC_LINK,
        ("no link", link, b"a line\n"): What.FILE,
        ("empty link", link, b""): What.SYMBOLIC_LINK,
        ("folder/", stat.S_IFDIR | 0o755, b""): What.FOLDER,
    }
    packed = bytearray(with_modes(*wanted, method=method))
    assert [header.what for header in listed(opened(bytes(packed)))[0]] == list(wanted.values())
    at = 0
    while (at := packed.find(b"PK\x01\x02", at)) >= 0:  # the same with no size stated at all
        struct.pack_into("<I", packed, at + 24, 0)
        at += 4
    archive = opened(bytes(packed))
    headers, _ = listed(archive)
    assert [header.what for header in headers] == list(wanted.values())
    assert content(archive, 0)[0] == small


def test_what_an_encrypted_link_holds_is_not_known_so_that_it_is_none(tmp_path):
    (tmp_path / "link").symlink_to("elsewhere")
    (tmp_path / "folder").mkdir()
    command = ["7z", "a", "-tzip", "-bd", "-snl", "-pword", "out.zip", "link", "folder"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    found = {header.path: header for header in listed(opened((tmp_path / "out.zip").read_bytes()))[0]}
    assert found[b"link"].what is What.FILE
    assert found[b"link"].missing is not None
    assert found[b"folder/"].what is What.FOLDER


def test_a_folder_that_states_no_size_and_has_packed_bytes_is_read():
    packed = bytearray(with_modes(("photo.jpg/", 0o100644, PHOTO)))
    struct.pack_into("<I", packed, packed.find(b"PK\x01\x02") + 24, 0)
    archive = opened(bytes(packed))
    (header,), _ = listed(archive)
    assert header.what is What.FILE
    got, why = content(archive, 0)
    assert got == PHOTO
    assert "where the archive states" in why.detail


def test_what_7z_cpio_and_tar_call_otherwise_is_read_or_said(tmp_path):
    kinds = {"folder": stat.S_IFDIR, "device": stat.S_IFCHR, "pipe": stat.S_IFIFO, "file": stat.S_IFREG}
    files = {f"{name}.7z": seven_zip(tmp_path, kind | 0o644, PHOTO) for name, kind in kinds.items()}
    files |= {f"{name}.cpio": cpio((b"file", kind, PHOTO)) for name, kind in kinds.items()}
    for name, data in (("photo", PHOTO), ("harmless", HARMLESS)):
        files |= {f"{name}.link.7z": seven_zip(tmp_path, stat.S_IFLNK | 0o777, data)}
        files |= {f"{name}.link.cpio": cpio((b"file", stat.S_IFLNK, data))}
    files["hard.cpio"] = cpio((b"first", 0o100644, b""), (b"last", 0o100644, PHOTO))  # so GNU cpio writes hard links
    files["folder.tar"] = called_a_folder(tarred([("photo", PHOTO), ("b", TEXT)]))
    found = taken(tmp_path, files)
    for name in kinds:
        assert (found[f"{name}.7z!/file".encode()], found[f"{name}.cpio!/file".encode()]) == (READ, READ)
    for kind in ("7z", "cpio"):  # libarchive has read it by then as the link's target
        assert found[f"photo.link.{kind}!/file".encode()][0] == "unreadable"
        assert found[f"harmless.link.{kind}!/file".encode()] == NOT_FOLLOWED
    assert found[b"hard.cpio!/last"] == READ
    # by the format no content follows a folder (POSIX.1-2017, pax: typeflag 5): libarchive looks for a header there
    assert found[b"folder.tar!/photo"][0] == "skipped"
    assert found[b"folder.tar!/"][:2] == ("unreadable", BROKEN.detail)
    assert found[b"folder.tar!/b"] == ("done", None, sha256(TEXT))


def called_a_folder(tar: bytes) -> bytes:
    """With another type in its first header."""
    packed = bytearray(tar)
    packed[156] = ord("5")
    packed[148:156] = b"%06o\0 " % (sum(packed[:148]) + 8 * 0x20 + sum(packed[156:512]))
    return bytes(packed)


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


@pytest.mark.parametrize("what", [each for each in What if each is not What.FILE])
def test_nothing_with_content_is_left_out(what):
    assert rightly(what, 0) is what
    assert rightly(what, PATH_MAX) is What.FILE
    assert (rightly(what, 1) is what) == (what is What.SYMBOLIC_LINK)
