"""The thumbnails that Windows keeps are Items: of each version, whatever lies between them, wherever the file ends."""

import io
import random
import struct
from pathlib import Path

import pytest
from cases import items, sha256
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from case_made import new_case
from clew.core.absent import Absent
from clew.intake import mediatype, said
from clew.intake.archives.kinds import THUMBCACHE
from clew.intake.archives.members import BROKEN, Header, Held
from clew.intake.archives.thumbcache import ThumbCache
from clew.intake.families import ARCHIVES, family
from clew.intake.options import Options
from clew.intake.run import intake
from clew.intake.sources.folder import Folder

VERSIONS = (20, 21, 30, 31, 32)


def picture(kind: str, shade: int = 90) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (96, 64), (shade, 9, 200)).save(out, kind)
    return out.getvalue()


PICTURES = {"482d656ee647f25e": picture("JPEG"), "1": picture("PNG"), "::{id} \u3042": picture("BMP")}


def entry(version: int, name: str, data: bytes, padding: int = 2, size: int | None = None) -> bytes:
    """libwtcdb's format, section 3.2; its checksums are zeros."""
    raw = name.encode("utf-16-le")
    lengths = struct.pack("<III", len(raw), padding, len(data))
    head = {20: b"j\0p\0g\0\0\0" + lengths + bytes(20), 21: lengths + bytes(20)}.get(version, lengths + bytes(28))
    whole = 16 + len(head) + len(raw) + padding + len(data) if size is None else size
    return struct.pack("<4sI", b"CMMM", whole) + struct.pack("<Q", 0xABCDEF) + head + raw + bytes(padding) + data


def cache(version: int, *more: bytes) -> bytes:
    """All the pictures, an entry without one, and what else is wanted."""
    empty = entry(version, "ffff", b"")
    found = [entry(version, name, data) for name, data in PICTURES.items()]
    return struct.pack("<4sIIIII", b"CMMM", version, 2, 24, 24, 4) + b"".join([found[0], empty, *found[1:], *more])


def listed(archive: ThumbCache) -> tuple[list[Header], bool]:
    """All headers; and whether something is said to be broken behind them."""
    found: list[Header] = []
    try:
        found.extend(archive.headers(0))
    except Absent as absent:
        return found, absent.missing == BROKEN
    return found, False


def members(data: bytes) -> tuple[dict[str, bytes], bool]:
    """Names and contents; and whether something is said to be broken."""
    archive, found = ThumbCache(Held(data)), {}
    headers, broken = listed(archive)
    for header in headers:
        assert archive.stated(header.number).name == header.path
        found[header.path.decode()] = b"".join(archive.chunks(header.number))
        place = archive.place(header.number)
        assert place is not None
        assert place.read(0, place.size) == found[header.path.decode()]
    return found, broken


@pytest.mark.parametrize("version", VERSIONS)
def test_every_picture_of_every_version(version):
    data = cache(version)
    assert mediatype.of(data) == THUMBCACHE
    assert members(data) == (PICTURES, False)
    assert members(data + bytes(300_000) + entry(version, "late", b"late")) == ({**PICTURES, "late": b"late"}, False)
    assert [each.path for each in ThumbCache(Held(data)).headers(2)] == ["::{id} \u3042".encode()]


def test_what_stands_between_entries_and_makes_no_sense_is_said():
    late = entry(32, "late", b"late")
    assert members(cache(32, b"remnants" * 9, late)) == ({**PICTURES, "late": b"late"}, True)
    assert members(cache(32, entry(32, "x", b"data", size=20), late)) == ({**PICTURES, "late": b"late"}, True)
    assert members(cache(32, b"CMMM" * 40_000))[1]


def test_names_that_are_none_are_told_by_the_hash_of_the_entry():
    data = cache(32, entry(32, "a/../b", b"1"))
    assert list(members(data)[0])[3:] == ["0000000000abcdef"]
    assert list(members(cache(32, entry(32, "", b"2")))[0])[3:] == ["0000000000abcdef"]


def test_a_file_that_is_cut_in_a_picture_gives_what_is_there(tmp_path: Path):
    root = tmp_path / "seized"
    root.mkdir()
    (root / "thumbcache_256.db").write_bytes(cache(32))
    tail = entry(21, "cut", random.Random(1).randbytes(5000))
    (root / "thumbcache_96.db").write_bytes(cache(21, tail)[:-1000])
    case = new_case(tmp_path / "case")
    plugins = ("clew.intake.extractors.dimensions:PLUGIN", "clew.intake.extractors.unopened:PLUGIN")
    ended = intake(case, path=root, label="T", options=Options(workers=1, extractors=plugins))
    found = items(case)
    for name, data in PICTURES.items():
        assert found[f"thumbcache_256.db!/{name}".encode()]["sha256"] == sha256(data)
    cut = found[b"thumbcache_96.db!/cut"]
    assert (cut["state"], cut["as_read"], cut["sha256"]) == ("unreadable", "partial", sha256(tail[-5000:-1000]))
    assert (ended.families["pictures"], ended.families["archives"]) == (6, 2)
    assert ended.unopened == []


def test_what_an_earlier_version_typed_otherwise_is_said_and_not_called_complete(tmp_path: Path, monkeypatch):
    root, case = tmp_path / "seized", new_case(tmp_path / "case")
    root.mkdir()
    (root / "thumbcache_256.db").write_bytes(cache(32))
    (root / "film.bin").write_bytes(b"\x00\x00\x00\x01\x67" + bytes(40))
    (root / "plain.txt").write_bytes(b"as before")
    plain = Options(workers=1, extractors=())
    with monkeypatch.context() as earlier:
        real = said.media_type
        ours = {THUMBCACHE, mediatype.H264}
        earlier.setattr(said, "media_type", lambda value: mediatype.UNKNOWN if value in ours else real(value))
        earlier.setattr(Folder, "version", "0")
        first = intake(case, path=root, label="T", options=plain)
    assert (first.retyped, first.complete) == ([], True)
    again = intake(case, path=root, label="T", options=plain)
    assert again.as_dict()["retyped"] == [
        {"was": mediatype.UNKNOWN, "now": THUMBCACHE, "items": 1, "unlisted": True},
        {"was": mediatype.UNKNOWN, "now": mediatype.H264, "items": 1, "unlisted": False},
    ]
    assert not again.complete
    told = f"NOT OPENED: 1 item: {mediatype.UNKNOWN} when first read, {THUMBCACHE} when read again"
    assert told in again.words()
    assert "under another label" in again.words()


@given(st.lists(st.one_of(st.binary(max_size=80), st.just(b"CMMM"), st.just(entry(32, "n", b"data")))))
def test_any_bytes_give_an_end(parts):
    data = cache(32)[:24] + b"".join(parts)
    archive = ThumbCache(Held(data))
    headers, _ = listed(archive)
    assert [each.number for each in headers] == list(range(len(headers)))
    assert all(archive.place(each.number) is not None or each.size for each in headers)


def test_its_family():
    assert family(THUMBCACHE) == ARCHIVES
