"""A zip behind something that is no archive is said, and nothing is said of what is healthy."""

import struct
import zipfile

import pytest
from archive_world import TEXT, Bytes, by_tool, tarred, zipped
from hypothesis import given
from hypothesis import strategies as st

from clew.intake import mediatype
from clew.intake.api import Probe
from clew.intake.extractors.behind import PLUGIN, VOLUME, ZIP

END = b"PK\x05\x06"
HEADS = {
    "mp4": b"\0\0\0\x18ftypmp42" + bytes(12) + b"\0\0\0\x08moov\0\0\0\x10mdat" + bytes(8),
    "mkv": b"\x1a\x45\xdf\xa3\x93\x42\x82\x88matroska" + bytes(30),
    "png": b"\x89PNG\r\n\x1a\n" + bytes(50),
    "mp3": b"ID3\x03" + bytes(60),
    "text": TEXT,
    "noise": bytes(range(255, 0, -1)) * 9,
}


def said(data: bytes, media_type: str | None = None) -> str:
    """The same, held or not."""
    kind = media_type or mediatype.of(data[: mediatype.TYPED_BYTES])
    if not PLUGIN.wants(kind):
        return ""
    held = dict(PLUGIN.traits(Probe(memoryview(data), len(data), kind)))
    assert held == dict(PLUGIN.traits(Probe(None, len(data), kind, source=Bytes(data))))
    return str(held.get("unopened", ""))


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("moved", [False, True])
def test_a_zip_behind_another_head_is_said(head, moved):
    """Whether or not its places count what lies before it."""
    packed = zipped([("a", TEXT), ("b", b"b")])
    if moved:
        at = packed.find(b"PK\x01\x02")
        packed = packed[:-6] + struct.pack("<I", at + len(HEADS[head])) + packed[-2:]
        for entry in (at, packed.find(b"PK\x01\x02", at + 1)):
            place = struct.unpack_from("<I", packed, entry + 42)[0] + len(HEADS[head])
            packed = packed[: entry + 42] + struct.pack("<I", place) + packed[entry + 46 :]
    assert said(HEADS[head] + packed) == ZIP
    assert said(HEADS[head]) == ""


def test_what_is_opened_or_only_looks_like_one_is_not_said():
    assert said(zipped([("a", TEXT)])) == ""
    assert said(tarred([("a.zip", zipped([("a", TEXT)]))])) == ""
    assert said(TEXT + zipped([])) == ""
    assert said(TEXT + END + bytes(18)) == ""
    assert said(TEXT + END + b"\x01" * 18 + TEXT) == ""
    packed = zipped([("a", TEXT)])
    assert said(TEXT + packed[: packed.find(END)]) == ""
    assert said(TEXT + packed[packed.find(END) :]) == ""


def test_what_is_unpacked_on_the_way_is_not_unpacked_once_more():
    class Onward(Bytes):
        onward = True

    source = Onward(TEXT + zipped([("a", TEXT)]))
    assert dict(PLUGIN.traits(Probe(None, source.size, "text/plain", source=source))) == {}
    assert source.read_bytes == 0


def test_the_last_volume_of_a_zip_is_said_alone(tmp_path):
    data = [("a.bin", bytes(range(256)) * 700), ("b.bin", b"b")]
    last = by_tool(tmp_path, data, "zip", "-q", "-0", "-s", "64k", "out.zip", out="out.zip")
    assert said(last, mediatype.UNKNOWN) == VOLUME
    assert said(TEXT + last) == VOLUME
    at = last.rfind(END)
    assert said(last[:at] + last[at:].replace(b"PK", b"KP")) == ""
    assert zipfile.is_zipfile(tmp_path / "out.zip")


@given(st.binary(max_size=90), st.binary(min_size=18, max_size=18))
def test_numbers_by_chance_are_none(before, record):
    assert said(before + END + record, mediatype.UNKNOWN) in {"", VOLUME}
    assert said(before, mediatype.UNKNOWN) == ""
