"""Every format: what tools pack comes out with the same bytes, what is damaged or closed says so member by member."""

import gzip
import hashlib
import os
import random
import tarfile
import zipfile
from pathlib import Path

import pytest
from archive_world import TEXT, by_tool, content, everything, listed, opened, rar4, rar5, tarred, zipped

from clew.intake.archives.kinds import kind_of
from clew.intake.archives.members import What
from clew.model import Reason

FILES = [("a.txt", TEXT), ("folder/b.bin", random.Random(1).randbytes(70_000)), ("empty", b"")]
DATA = [data for _, data in FILES]

PACKERS = {
    "zip": ("zip", "-q", "out"),
    "zip, stored": ("zip", "-q", "-0", "out"),
    "zip, bzip2": ("7z", "a", "-bd", "-mm=BZip2", "out.zip"),
    "zip, lzma": ("7z", "a", "-bd", "-tzip", "-mm=LZMA", "out.zip"),
    "7z": ("7z", "a", "-bd", "out.7z"),
    "7z, ppmd": ("7z", "a", "-bd", "-m0=PPMd", "out.7z"),
    "7z, not solid": ("7z", "a", "-bd", "-ms=off", "out.7z"),
    "tar": ("tar", "-cf", "out.tar"),
    "tar.gz": ("tar", "-czf", "out.tgz"),
    "tar.bz2": ("tar", "-cjf", "out.tbz2"),
    "tar.xz": ("tar", "-cJf", "out.txz"),
    "tar.zst": ("tar", "--zstd", "-cf", "out.tzst"),
    "tar.lz4": ("bsdtar", "--lz4", "-cf", "out.tlz4"),
    "tar.lzip": ("bsdtar", "--lzip", "-cf", "out.tlz"),
    "tar.Z": ("bsdtar", "--compress", "-cf", "out.taZ"),
    "tar.lzma": ("bsdtar", "--lzma", "-cf", "out.tlzma"),
    "cpio": ("bsdtar", "--format", "newc", "-cf", "out.cpio"),
    "pax": ("bsdtar", "--format", "pax", "-cf", "out.pax"),
}
STREAMS = [("gzip", "-n"), ("bzip2",), ("xz",), ("xz", "--format=lzma"), ("zstd", "-q"), ("lz4", "-q", "-m")]
OUT = {"zip": "out.zip", "zip, stored": "out.zip"}


@pytest.mark.parametrize("name", PACKERS)
def test_what_a_tool_packs_comes_out(name, tmp_path):
    command = PACKERS[name]
    out = OUT.get(name) or next(word for word in command if word.startswith("out"))
    archive = opened(by_tool(tmp_path, FILES, *command, out=out))
    headers, end = listed(archive)
    assert end is None
    found = {header.path.decode(): content(archive, header.number) for header in headers if header.what is What.FILE}
    assert found == {name: (data, None) for name, data in FILES}
    assert all(header.modified_ns and header.times_source for header in headers)
    assert {header.path.decode(): header.size for header in headers if header.what is What.FILE} == {
        name: len(data) for name, data in FILES
    }
    archive.close()


@pytest.mark.parametrize(
    "command", [("gzip", "-n"), ("bzip2",), ("xz",), ("xz", "--format=lzma"), ("zstd", "-q"), ("lz4", "-q", "-m")]
)
@pytest.mark.parametrize("data", [TEXT * 100, b""])
def test_one_compressed_stream_is_one_member(command, data, tmp_path):
    suffix = {"gzip": "gz", "bzip2": "bz2", "zstd": "zst"}.get(command[0], command[0])
    suffix = "lzma" if len(command) > 1 and "lzma" in command[1] else suffix
    packed = by_tool(tmp_path, [("letter.txt", data)], *command, out=f"letter.txt.{suffix}")
    media_type = {"lz4": "application/x-lz4", "lzma": "application/x-lzma"}.get(suffix)
    assert everything(packed, media_type) == ([(b"stem", data)], [])


def test_a_gzip_header_names_its_member_and_several_streams_are_one():
    archive = opened(gzip.compress(b"x") + gzip.compress(TEXT) + bytes(512))
    assert content(archive, 0) == (b"x" + TEXT, None)
    named = bytearray(gzip.compress(TEXT, mtime=800_000_000))
    named[3] |= 8
    named[10:10] = b"holiday.txt\0"
    (header,), _ = listed(opened(bytes(named)))
    assert (header.path, header.modified_ns) == (b"holiday.txt", 800_000_000 * 10**9)


def test_noise_that_begins_like_zlib_is_noted_and_is_no_loss():
    archive = opened(b"\x78\x9c" + bytes([255] * 500), "application/zlib")
    assert listed(archive) == ([], None)
    assert archive.notes == {"contents that begin like a compressed stream, and are none": 1}


def test_what_follows_a_compressed_stream_is_said():
    (found,), (reason,) = everything(gzip.compress(TEXT) + b"something hidden here")
    assert found == (b"stem", TEXT)
    assert "something else follows" in reason


@pytest.mark.parametrize("make", [rar4, rar5])
def test_rar_stored(make):
    files = [(b"a.txt", TEXT), (b"folder/b.bin", DATA[1])]
    found, reasons = everything(make(files))
    assert (found, reasons) == (files, [])
    broken = make(files).replace(DATA[1][:100], bytes(100))
    found, reasons = everything(broken)
    assert found[0] == files[0]
    assert len(reasons) == 1
    assert "CRC-32" in reasons[0]


@pytest.mark.parametrize("make", [rar4, rar5])
def test_a_closed_rar_member_is_encrypted(make):
    (header,), _ = listed(opened(make([(b"a.txt", bytes(32))], closed=True)))
    assert header.missing.reason is Reason.ENCRYPTED
    headers, end = listed(opened(make([(b"a.txt", bytes(32))], hidden=True)))
    assert headers == []
    assert end.reason is Reason.ENCRYPTED


@pytest.mark.parametrize(
    ("command", "out"),
    [
        (("zip", "-q", "-P", "secret", "out"), "out.zip"),
        (("7z", "a", "-bd", "-tzip", "-mem=AES256", "-psecret", "out.zip"), "out.zip"),
        (("7z", "a", "-bd", "-psecret", "out.7z"), "out.7z"),
    ],
)
def test_a_password_is_said_for_each_member(command, out, tmp_path):
    archive = opened(by_tool(tmp_path, FILES[:2], *command, out=out))
    headers, end = listed(archive)
    assert end is None
    closed = [header for header in headers if header.what is What.FILE]
    assert [header.size for header in sorted(closed, key=lambda h: h.path)] == [len(TEXT), 70_000]
    for header in closed:
        assert header.missing.reason is Reason.ENCRYPTED
        assert "export it and open it with its password" in header.missing.detail
        assert content(archive, header.number)[1].reason is Reason.ENCRYPTED


def test_encrypted_headers_of_7z_are_said(tmp_path):
    command = ("7z", "a", "-bd", "-psecret", "-mhe=on", "out.7z")
    headers, end = listed(opened(by_tool(tmp_path, FILES, *command, out="out.7z")))
    assert headers == []
    assert end.reason is Reason.ENCRYPTED


def test_a_member_is_reached_whether_those_before_it_were_read_or_not(tmp_path):
    """libarchive 3.6 (and so bsdtar -xO) skips a member of whole 64 KiB in a 7z and then does not find the next one."""
    draw = random.Random(2)
    files = [(f"{number:03}", draw.randbytes(1 << 16) + bytes(1 << 16)) for number in range(8)]
    data = by_tool(tmp_path, files, "7z", "a", "-bd", "o.7z", out="o.7z")
    archive = opened(data)
    for number in (3, 4, 1, 7, 0):
        assert content(archive, number) == (files[number][1], None)
    for header in archive.headers(0):
        if header.number == 5:
            break
    assert content(archive, 5) == (files[5][1], None)


@pytest.mark.parametrize("make", [lambda: tarred(FILES), lambda: tarred(FILES, "w:gz"), lambda: zipped(FILES)])
def test_a_truncated_archive_gives_what_comes_before_the_break(make):
    whole = make()
    found, reasons = everything(whole[: len(whole) // 2])
    assert found[0] == (b"a.txt", TEXT)
    assert len(found[1][1]) < 70_000
    assert reasons


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_a_tar_cut_between_two_members_is_seen(mode):
    whole = tarred([("a", TEXT), ("b", TEXT)])
    cut = whole[: whole.find(b"b\0\0\0")]
    headers, end = listed(opened(cut if mode == "w" else gzip.compress(cut)))
    assert [header.path for header in headers] == [b"a"]
    assert "without the mark of its end" in end.detail


@pytest.mark.parametrize("packed", [bytes, gzip.compress])
@pytest.mark.parametrize("between", [b"", bytes(1 << 19)])
def test_an_archive_behind_the_end_of_a_tar_is_not_lost_in_silence(packed, between):
    headers, end = listed(opened(packed(tarred([("a", TEXT)]) + between + tarred([("hidden", TEXT)]))))
    assert [header.path for header in headers] == [b"a"]
    assert "follow the mark of its end" in end.detail
    assert listed(opened(packed(tarred([("a", TEXT)]) + bytes(1 << 19))))[1] is None


def test_an_archive_behind_the_end_of_a_cpio_is_not_lost_in_silence():
    def entry(name: bytes, data: bytes) -> bytes:
        fields = (1, 0o100644, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0)
        head = b"070701" + b"".join(b"%08x" % field for field in fields) + name + b"\0"
        return head + bytes(-len(head) % 4) + data + bytes(-len(data) % 4)

    whole = entry(b"a", TEXT) + entry(b"TRAILER!!!", b"")
    headers, end = listed(opened(whole + bytes(1 << 19), "application/x-cpio"))
    assert ([header.path for header in headers], end) == ([b"a"], None)
    headers, end = listed(opened(whole + whole, "application/x-cpio"))
    assert [header.path for header in headers] == [b"a"]
    assert "follow the mark of its end" in end.detail


def test_a_flipped_bit_costs_its_own_member():
    whole = bytearray(zipped([("a", TEXT), ("b", DATA[1]), ("c", TEXT)]))
    whole[whole.find(DATA[1][1000:1040])] ^= 4  # noise is stored by deflate as it is
    found, reasons = everything(bytes(whole))
    assert [path for path, _ in found] == [b"a", b"b", b"c"]
    assert (found[0][1], found[2][1]) == (TEXT, TEXT)
    assert len(found[1][1]) == 70_000
    assert len(reasons) == 1
    assert "CRC-32" in reasons[0]


@pytest.mark.parametrize("method", ["Copy", "LZMA2"])
def test_a_flipped_bit_in_7z_is_seen_and_the_bytes_are_had(method, tmp_path):
    packed = bytearray(by_tool(tmp_path, FILES[1:2], "7z", "a", "-bd", f"-m0={method}", "o.7z", out="o.7z"))
    packed[1000] ^= 1
    archive = opened(bytes(packed))
    headers, _ = listed(archive)
    got, why = content(archive, next(header.number for header in headers if header.what is What.FILE))
    assert len(got) == 70_000
    assert "CRC" in why.detail


def test_a_flipped_bit_in_gzip_is_seen():
    """libarchive 3.6 does not look at the checksum of gzip."""
    packed = bytearray(gzip.compress(DATA[1], compresslevel=0))
    packed[1000] ^= 1
    ((_, data),), (reason,) = everything(bytes(packed))
    assert len(data) == 70_000
    assert "CRC-32" in reason
    packed = bytearray(tarred(FILES, "w:gz"))
    packed[-6] ^= 1  # its length
    found, reasons = everything(bytes(packed))
    assert [data for _, data in found] == DATA
    assert len(reasons) == 1


def test_links_devices_and_folders_are_told_apart(tmp_path):
    out = tmp_path / "x.tar"
    (tmp_path / "real").write_bytes(TEXT)
    os.link(tmp_path / "real", tmp_path / "hard")
    (tmp_path / "soft").symlink_to("/etc/passwd")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    with tarfile.open(out, "w") as archive:
        for name in ("real", "hard", "soft", "pipe", "folder"):
            archive.add(tmp_path / name, arcname=name)
    headers, _ = listed(opened(out.read_bytes()))
    kinds = [What.FILE, What.HARD_LINK, What.SYMBOLIC_LINK, What.DEVICE, What.FOLDER]
    assert [header.what for header in headers] == kinds


def test_names_are_raw_bytes(tmp_path):
    files = [("/etc/passwd", b"1"), ("../../up", b"2"), ("same", b"3"), ("same", b"4"), ("gr\u00fc\u00df", b"5")]
    for data in (tarred(files), zipped(files)):
        found, reasons = everything(data)
        assert found == [(name.encode(), data) for name, data in files]
        assert reasons == []
    raw = zipped([("xyzw", b"1")]).replace(b"xyzw", b"\xff\xfe\x80!")
    assert everything(raw)[0] == [(b"\xff\xfe\x80!", b"1")]
    utf8 = zipped([("\u00fcyz", b"1")]).replace("\u00fcyz".encode(), b"\xff\xfe\x80!")  # flagged as UTF-8, and is none
    assert everything(utf8)[0] == [(b"\xff\xfe\x80!", b"1")]
    raw = by_tool(tmp_path, [("name", b"1")], "tar", "--transform", "s/name/\\xff\\xfe/", "-cf", "o.tar", out="o.tar")
    assert everything(raw.replace(b"xffxfe", b"\xff\xfe\x80\x81\x82\x83"))[0][0][1] == b"1"


def test_sparse_holes_come_as_zeros(tmp_path):
    with (tmp_path / "hole").open("wb") as out:
        out.seek(3 << 20)
        out.write(TEXT)
        out.truncate(5 << 20)
    data = by_tool(tmp_path, [], "tar", "-S", "-cf", "o.tar", "hole", out="o.tar")
    assert len(data) < 1 << 20
    archive = opened(data)
    got, why = content(archive, 0)
    assert why is None
    assert hashlib.sha256(got).digest() == hashlib.sha256((tmp_path / "hole").read_bytes()).digest()


def test_office_documents_and_their_like_are_archives():
    for media_type in (
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        "application/vnd.oasis.opendocument.text",
        "application/epub+zip",
        "application/java-archive",
    ):
        assert kind_of(media_type) is kind_of("application/zip")
    assert kind_of("image/jpeg") is None


def test_junk_of_every_kind_ends_in_a_reason():
    """Flipped and cut archives of all formats: nothing but members and reasons comes out, and no end is missing."""
    draw = random.Random(4)
    whole = [zipped(FILES), tarred(FILES), tarred(FILES, "w:gz"), tarred(FILES, "w:xz"), rar4([(b"a", TEXT)]),
             rar5([(b"a", TEXT)]), zipped(FILES, zipfile.ZIP_STORED), gzip.compress(TEXT)]  # fmt: skip
    types = ["application/zip", "application/x-tar", "application/gzip", "application/x-xz", "application/x-rar",
             "application/x-rar", "application/zip", "application/gzip"]  # fmt: skip
    for data, media_type in zip(whole, types, strict=True):
        for _ in range(12):
            junk = bytearray(data[: draw.randrange(len(data))] if draw.random() < 0.5 else data)
            for _ in range(draw.randrange(1, 20)):
                junk[draw.randrange(len(junk))] ^= 1 << draw.randrange(8) if junk else 0
            found, _ = everything(bytes(junk), media_type)
            assert sum(len(got) for _, got in found) < 1 << 20
    for media_type in (*types, "application/x-7z-compressed", "application/x-bzip2", "application/zlib"):
        for junk in (b"", b"PK", draw.randbytes(5000)):
            found, reasons = everything(junk, media_type)
            assert not [got for _, got in found if got]
            assert reasons or (media_type, found) == ("application/zlib", []), media_type


@pytest.mark.corpus
def test_the_corpus_opens_as_it_says(tmp_path):
    folder = Path(os.environ["CLEW_CORPUS"]) / "dfvfs/test_data"
    syslog = (folder / "syslog").read_bytes()
    for suffix in ("gz", "bz2", "lzma", "xz", "Z", "zlib", "tgz", "bin.cpio", "newc.cpio"):
        found, reasons = everything((folder / f"syslog.{suffix}").read_bytes())
        assert ([data for _, data in found], reasons) == ([syslog], []), suffix
    for path in sorted([*folder.glob("zip/*.zip"), *folder.glob("tar/*.tar")]):
        found, reasons = everything(path.read_bytes())
        assert reasons == [], path
        assert syslog in [data for _, data in found], path
    ((_, data),), (reason,) = everything((folder / "corrupt1.gz").read_bytes())
    assert len(data) == 2_994_187  # as zcat
    assert "cut" in reason
