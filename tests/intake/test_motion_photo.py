"""What lies in a picture file beside the picture: the film of a motion photo becomes an Item, the rest is said."""

import hashlib
import io
import struct
import zipfile
from pathlib import Path
from typing import Any

import films
import pillow_heif
import pytest
from PIL import Image

from case_made import new_case
from clew.core import shards
from clew.intake import mediatype
from clew.intake.api import Probe
from clew.intake.archives.members import Held
from clew.intake.archives.motion import MotionPhoto, film
from clew.intake.extractors import appended
from clew.intake.options import Options
from clew.intake.refs import item_id
from clew.intake.run import intake

FILM = films._film("mp4, index at the end")
SEF = b"SEFH" + struct.pack("<III", 106, 1, 0x0A300000) + struct.pack("<II", 24, 24) + b"SEFT"


def picture(kind: str = "JPEG", number: int = 0, **options: Any) -> bytes:
    out = io.BytesIO()
    Image.fromarray(films.picture(number)).save(out, kind, **options)
    return out.getvalue()


def heic(count: int = 1, tail: bytes = b"") -> bytes:
    out = io.BytesIO()
    file = pillow_heif.HeifFile()
    for number in range(count):
        file.add_from_pillow(Image.fromarray(films.picture(number)))
    file.save(out)
    return out.getvalue() + tail


def box(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(body), kind) + body


def said(data: bytes, media_type: str = "") -> dict[str, Any]:
    media_type = media_type or mediatype.of(data)
    return dict(appended.PLUGIN.traits(Probe(memoryview(data), len(data), media_type)))


@pytest.mark.parametrize(("before", "behind"), [
    (picture(), b""), (picture(), b"\0" * 40), (picture() + b"MotionPhoto_Data", SEF), (picture(), b"\xff\xd9"),
    (heic() + struct.pack(">I4s", 8 + len(FILM), b"mpvd"), box(b"free", bytes(9))), (heic(), b""),
], ids=["Pixel", "padded", "Samsung", "ends like a picture", "HEIC", "behind a HEIC"])  # fmt: skip
def test_the_film_is_found_to_the_byte(before: bytes, behind: bytes) -> None:
    if behind == b"\xff\xd9":
        before = picture(xmp=b"<x:xmpmeta GCamera:MotionPhoto='1'/>")
    data = before + FILM + behind
    assert film(memoryview(data)) == (len(before), len(FILM))
    assert said(data) == {"image.film": len(before)}
    archive = MotionPhoto(Held(data))
    assert [(each.path, each.size) for each in archive.headers(0)] == [(b"film.mp4", len(FILM))]
    assert list(archive.headers(1)) == []
    assert b"".join(archive.chunks(0)) == FILM


def test_a_film_that_is_cut_is_one_all_the_same() -> None:
    data = picture() + films._film("mp4, index in front")[:-900]
    assert said(data) == {"image.film": len(picture())}


def test_junk_costs_nothing_and_holds_no_film() -> None:
    boxes = heic() + b"\0\0\0\x08free" * 200_000
    letters = picture() + b"\0\0\0\x10ftyp\0\0\0\x08free" * 100_000
    for data in (boxes, letters, b"", b"\0\0\0\x08ftyp", b"ftyp" * 5):
        assert film(memoryview(data)) is None


def test_most_pictures_hold_nothing_else() -> None:
    thumbed = Image.fromarray(films.picture(0))
    for data in (picture(), picture() + bytes(5000), picture() + SEF, heic(), picture("AVIF"), picture()[:-700]):
        assert said(data) == {}, "padding, a maker's remark, a cut picture"
    out = io.BytesIO()
    pillow_heif.from_pillow(thumbed).save(out, save_all=True, thumbnails=[64])
    assert said(out.getvalue()) == {}


def test_what_is_not_looked_at_is_said() -> None:
    assert said(picture() + bytes(range(256)) * 40) == {"unopened": appended.BEHIND}
    assert said(picture() + b"....ftyp...." * 99) == {"unopened": appended.BEHIND}
    assert said(picture() * 60) == {"unopened": appended.BEHIND}, "bare Motion JPEG"


def test_the_film_is_an_item_with_hashes_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("clew.intake.run.second_types", lambda *_: None)
    seized = tmp_path / "seized"
    seized.mkdir()
    (seized / "PXL.MP.jpg").write_bytes(picture() + FILM)
    with zipfile.ZipFile(seized / "roll.zip", "w") as archive:
        archive.writestr("MVIMG.jpg", picture(number=3) + FILM + SEF)
    (seized / "plain.jpg").write_bytes(picture(number=1))
    (seized / "more.jpg").write_bytes(picture(number=2) + b"hidden" * 200)
    case = new_case(tmp_path / "case")
    plugins = tuple(f"clew.intake.extractors.{name}:PLUGIN" for name in ("appended", "video"))
    ended = intake(case, path=seized, label="F", options=Options(workers=1, extractors=plugins))
    sql = """SELECT l.ref, l.path, l.parent, l.found_by, c.sha256, c.media_type,
      (SELECT count(DISTINCT t.number) FROM traits t WHERE t.content=c.sha256 AND t.name='video.pdq') AS hashes
      FROM listings l JOIN contents c USING (item)
      WHERE contains(l.ref, 'film.mp4') ORDER BY l.ref"""
    found, packed = shards.query(case, sql).to_pylist()
    assert packed["path"] == b"roll.zip!/MVIMG.jpg!/film.mp4"
    assert packed["sha256"] == found["sha256"]
    assert (found["ref"], found["path"]) == ("file/PXL.MP.jpg!film.mp4#0", b"PXL.MP.jpg!/film.mp4")
    assert (found["parent"], found["found_by"]) == (
        item_id(ended.exhibit, "file/PXL.MP.jpg"),
        "folder 1: archive 6, motion photo",
    )
    assert found["sha256"] == hashlib.sha256(FILM).digest()
    assert (found["media_type"], found["hashes"]) == ("video/mp4", films.SCENES)
    assert ended.families == {"pictures": 4, "videos": 2, "archives": 1}
    assert f"not opened: 1 item: {appended.BEHIND}" in ended.words()
    assert ended.complete
    again = intake(case, path=seized, label="F", options=Options(workers=1, extractors=plugins))
    assert again.account.discovered == 7
