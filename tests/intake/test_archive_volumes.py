"""Parts of archives in several volumes, and what a tar calls a link: nothing is complete that is only a part."""

import struct
import subprocess
import zlib

import pytest
from archive_world import TEXT, by_tool, content, everything, listed, opened, rar4, rar5, tarred

from clew.model import Reason

FILES = [(b"a.txt", TEXT), (b"b.txt", b"b")]


def block4(body: bytes) -> bytes:
    return struct.pack("<H", zlib.crc32(body) & 0xFFFF) + body


def block5(body: bytes) -> bytes:
    sized = bytes([len(body)]) + body
    return struct.pack("<I", zlib.crc32(sized)) + sized


def volume4(data: bytes, *, first: bool, more: bool) -> bytes:
    """A RAR 4 as one volume: 0x0001, and 0x0100 of the first, of its main header; 0x0001 of its end."""
    main, end = struct.pack("<BHHHI", 0x73, 0, 13, 0, 0), struct.pack("<BHH", 0x7B, 0x4000, 7)
    as_volume = struct.pack("<BHHHI", 0x73, 0x101 if first else 1, 13, 0, 0)
    as_last = struct.pack("<BHH", 0x7B, 0x4000 | more, 7)
    return data.replace(block4(main), block4(as_volume)).replace(block4(end), block4(as_last))


def volume5(data: bytes, *, first: bool, more: bool) -> bytes:
    """A RAR 5 as one volume: archive flag 1, and 2 with a number where it is not the first; flag 1 of its end."""
    as_volume = bytes([1, 0, 1]) if first else bytes([1, 0, 3, 1])
    return data.replace(block5(bytes([1, 0, 0])), block5(as_volume)).replace(
        block5(bytes([5, 0, 0])), block5(bytes([5, 0, more]))
    )


@pytest.mark.parametrize(("pack", "volume"), [(rar4, volume4), (rar5, volume5)])
@pytest.mark.parametrize(
    ("first", "more", "where"), [(True, True, "behind"), (False, True, "before and behind"), (False, False, "before")]
)
def test_a_volume_of_a_rar_says_that_there_are_others(pack, volume, first, more, where):
    found, (reason,) = everything(volume(pack(FILES), first=first, more=more))
    assert found == FILES
    assert f"one of several volumes, and what those {where} it hold is not here" in reason


@pytest.mark.parametrize(("pack", "volume"), [(rar4, volume4), (rar5, volume5)])
def test_a_rar_that_became_one_volume_alone_is_whole(pack, volume):
    assert everything(volume(pack(FILES), first=True, more=False)) == (FILES, [])


def test_a_file_that_two_volumes_of_a_rar_share_is_no_complete_one():
    """Header flag 0x10: it goes on in the next volume (technote.txt of RAR 5.0)."""
    data = rar5(FILES[:1])
    at = 8 + len(block5(bytes([1, 0, 0])))
    length = data[at + 4]
    body = bytearray(data[at + 5 : at + 5 + length])
    body[1] |= 0x10
    split = data[:at] + block5(bytes(body)) + data[at + 5 + length :]
    got, why = content(opened(volume5(split, first=True, more=True)), 0)
    assert TEXT.startswith(got)
    assert why.reason in {Reason.UNREADABLE, Reason.UNPARSABLE}


def typed(tar: bytes, kind: str, **link: bytes) -> bytes:
    """With another type in its first header, and the name of a link."""
    packed = bytearray(tar)
    packed[156] = ord(kind)
    for name in link.values():
        packed[157 : 157 + len(name)] = name
    packed[148:156] = b"%06o\0 " % (sum(packed[:148]) + 8 * 0x20 + sum(packed[156:512]))
    return bytes(packed)


def test_the_rest_of_a_file_in_a_tar_of_several_volumes_is_partial(tmp_path):
    data = bytes(range(256)) * 400
    pack = ("tar", "--create", "--multi-volume", "--tape-length=60", "--file=1.tar", "--file=2.tar")
    second = by_tool(tmp_path, [("a.bin", data), ("b.bin", b"b")], *pack, out="2.tar")
    archive = opened(second, "application/x-tar")
    headers, end = listed(archive)
    assert ([header.path for header in headers], end) == ([b"a.bin", b"b.bin"], None)
    got, why = content(archive, 0)
    at = len(data) - len(got)
    assert 0 < at < len(data)
    assert got == data[at:]
    assert why.reason is Reason.UNREADABLE
    assert f"the rest of a file from byte {at:,} on, continued from another volume" in why.detail
    assert content(archive, 1) == (b"b", None)


def test_what_a_tar_calls_a_link_and_gives_bytes_is_not_complete_and_empty():
    archive = opened(typed(tarred([("a", TEXT), ("b", b"b")]), "1"), "application/x-tar")
    headers, _ = listed(archive)
    assert headers[0].path == b"a"
    got, why = content(archive, 0)
    assert got == b""
    assert "states 1,120 bytes, of which none could be taken for its content" in why.detail
    assert content(archive, headers[-1].number) == (b"b", None)


def test_a_healthy_tar_with_links_says_nothing(tmp_path):
    (tmp_path / "a").write_bytes(TEXT)
    (tmp_path / "b").hardlink_to(tmp_path / "a")
    for form in ("ustar", "gnu", "pax", "v7"):
        made = subprocess.run(
            ["tar", f"--format={form}", "-c", "a", "b"], cwd=tmp_path, check=True, capture_output=True
        )
        found, reasons = everything(made.stdout, "application/x-tar")
        assert (found, reasons) == ([(b"a", TEXT), (b"b", b"")], [])
