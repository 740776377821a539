"""Members of compressed archives that are too large to be held: what they say, what they cost, what is their fault."""

import hashlib
import io
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import films
import nasty_extractor
import pytest
from archive_world import Bytes, opened, tarred, zipped
from PIL import Image

from clew.core.absent import Absent
from clew.intake import mediatype
from clew.intake.api import Probe
from clew.intake.archives import opening
from clew.intake.archives.members import Archive
from clew.intake.archives.opening import MOST_RESTARTS, Member
from clew.intake.archives.zipped import Zipped
from clew.intake.reading import examine
from clew.intake.tools import EXTRACTORS
from clew.model import ContentState, Missing, Reason

PIECE = 1 << 10
VIDEO = f"{EXTRACTORS}.video:PLUGIN"


class Counted:
    """An archive that counts what is unpacked of it, and hands it out in pieces that are small beside these films."""

    def __init__(self, archive: Archive) -> None:
        self.archive, self.unpacked = archive, 0

    def place(self, number: int) -> Any:
        return self.archive.place(number)

    def chunks(self, number: int) -> Iterator[bytes]:
        for chunk in self.archive.chunks(number):
            for at in range(0, len(chunk), PIECE):
                self.unpacked += len(chunk[at : at + PIECE])
                yield chunk[at : at + PIECE]


@pytest.fixture(autouse=True)
def little_is_typed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mediatype, "TYPED_BYTES", 4096)


def told(source: Any, size: int, hold: int, extractor: str = VIDEO) -> tuple[list[dict[str, Any]], Missing | None]:
    said: list[dict[str, Any]] = []
    asked = {"size": size, "state": "complete", "extractors": [extractor], "mode": "fast", "hold": hold}
    try:
        said += (reply.value for reply in examine(source, asked))
    except Absent as absent:
        return said, absent.missing
    return said, None


def packed(kind: str, data: bytes, folder: Path) -> Archive:
    if kind == "zip":
        return opened(zipped([("film", data)]))
    if kind == "tar.gz":
        return opened(tarred([("film", data)], "w:gz"))
    (folder / "film").write_bytes(data)
    subprocess.run(["7z", "a", "x.7z", "film"], cwd=folder, check=True, capture_output=True)
    return opened((folder / "x.7z").read_bytes())


@pytest.mark.parametrize("archive", ["zip", "tar.gz", "7z"])
@pytest.mark.parametrize("kind", ["mp4, index at the end", "mp4, index in front", "mkv"])
def test_a_film_too_large_to_hold_says_what_it_says_outside(tmp_path: Path, archive: str, kind: str) -> None:
    data = films.film(kind, tmp_path)
    outside, _ = told(Bytes(data), len(data), hold=len(data))
    counted = Counted(packed(archive, data, tmp_path))
    inside, missing = told(Member(counted, 0, len(data), 1 << 20), len(data), hold=len(data) - 1)
    assert missing is None
    assert sorted(inside, key=str) == sorted(outside, key=str)
    assert sum("frame" in trait for said in inside for trait in said.get("traits", ())) == films.SCENES
    assert counted.unpacked <= len(data) * 2, "gone through once, and once more for an index at the end"


def test_going_back_too_often_is_told_to_the_extractor_and_costs_the_content_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = b"".join(hashlib.sha512(b"%d" % number).digest() for number in range(1 << 14))

    def to_and_fro(probe: Probe) -> Iterator[tuple[str, int]]:
        for count in range(MOST_RESTARTS + 2):
            assert probe.source is not None
            assert probe.source.read(len(data) // 2, 1) == data[len(data) // 2 :][:1]
            yield "count", count
            probe.source.read(0, 1)

    monkeypatch.setattr(nasty_extractor.PLUGIN, "traits", to_and_fro)
    member = Member(opened(zipped([("noise", data)])), 0, len(data), 0)
    said, missing = told(member, len(data), 1 << 16, "nasty_extractor:PLUGIN")
    assert missing is None
    assert (said[-1]["content"]["sha256"], said[-1]["content"]["state"]) == (sha256(data), ContentState.COMPLETE)
    traits = [trait for each in said for trait in each.get("traits", ())]
    assert len(traits) == MOST_RESTARTS + 2
    assert traits[-1]["missing"] == Reason.LIMIT_REACHED
    assert "from its beginning" in traits[-1]["detail"]


def test_a_film_that_may_not_be_begun_anew_says_so_and_is_hashed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "MOST_RESTARTS", 0)
    data = films.film("mp4, index at the end", tmp_path)
    said, missing = told(Member(Counted(opened(zipped([("film", data)]))), 0, len(data), 0), len(data), 1 << 12)
    assert missing is None
    assert (said[-1]["content"]["sha256"], said[-1]["content"]["state"]) == (sha256(data), ContentState.COMPLETE)
    (why,) = (trait for each in said for trait in each.get("traits", ()) if trait["name"] == "video")
    assert why["missing"] == Reason.LIMIT_REACHED


def test_what_lies_as_it_is_is_never_begun_anew() -> None:
    data = bytes(range(256)) * (1 << 12)
    counted = Counted(opened(zipped([("plain", data)], 0)))
    member = Member(counted, 0, len(data), 0)
    for at in range(1 << 18, len(data), 1 << 15):
        assert member.read(at, 1 << 16) == data[at : at + (1 << 16)]
        assert member.read(at - (1 << 17), 1 << 18) == data[at - (1 << 17) : at + (1 << 17)]
    assert counted.unpacked == len(data)


def test_a_size_is_the_listed_one_until_more_or_less_was_met() -> None:
    data = bytes(3 << 20)
    member = Member(opened(zipped([("a", data)])), 0, 1 << 20, 1 << 30)
    assert member.size == 1 << 20
    member.read(0, 2 << 20)
    assert 2 << 20 <= member.size < len(data)
    member.read(0, 1)
    assert member.size >= 2 << 20, "though it was begun anew"
    member = Member(opened(zipped([("a", data)])), 0, 1 << 40, 0)
    assert member.size == 1 << 40
    assert member.read(len(data), 1) == b""
    assert member.size == len(data)


def test_what_is_known_by_its_last_bytes_is_known_of_it() -> None:
    data = bytes(1 << 20) + b"koly\x00\x00\x00\x04" + bytes(504)
    member = Member(opened(zipped([("disk", data)])), 0, len(data), 0)
    said, _ = told(member, len(data), 1 << 16, f"{EXTRACTORS}.unopened:PLUGIN")
    assert any("DMG" in trait["text"] for each in said for trait in each.get("traits", ()))


def test_a_picture_that_its_zip_calls_too_large_is_hashed_all_the_same() -> None:
    out = io.BytesIO()
    Image.fromarray(films.picture(7)).save(out, "PNG")
    data = bytearray(zipped([("a.png", out.getvalue())]))
    at = data.find(b"PK\x01\x02") + 24
    data[at : at + 4] = struct.pack("<I", 1 << 31)
    archive = opened(bytes(data))
    assert isinstance(archive, Zipped)
    said, missing = told(Member(archive, 0, 1 << 31, 0), 1 << 31, 1 << 28, f"{EXTRACTORS}.pdq:PLUGIN")
    assert missing is not None
    assert "where the archive states" in missing.detail
    assert (said[0]["content"]["sha256"], said[0]["content"]["state"]) == (sha256(out.getvalue()), ContentState.PARTIAL)
    assert any("data" in trait for each in said for trait in each.get("traits", ()))


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
