"""The second opinion on types: tampered pictures that libmagic no longer knows, and which contents it is asked of."""

import io
import os

import pytest
from cases import sha256, traits
from PIL import Image

from case_made import new_case
from clew.core import shards
from clew.core.engine import Limits, Policy, Pool, Reply, Task
from clew.intake import mediatype, typing_pass
from clew.intake.custody import find
from clew.intake.extractors.pdq import waves
from clew.intake.options import Options
from clew.intake.report import report
from clew.intake.run import intake
from clew.intake.tools import extractors
from facts_case import put

PRELOAD = ("clew.intake.reading:preload", "clew.intake.sources.folder", "clew.intake.second_type:preload")


def picture(kind: str) -> bytes:
    out = io.BytesIO()
    Image.fromarray(waves(640, 480)).save(out, kind)
    return out.getvalue()


@pytest.fixture(scope="module")
def pool():
    with Pool(1, PRELOAD, Limits(60, 0, 1 << 30, 16 << 20), Policy(landlock_abi=2)) as started:
        yield started


def second(pool, path, data: bytes) -> dict:
    """What a locked worker says of these bytes."""
    path.write_bytes(data)
    payload = {"opener": "clew.intake.sources.folder:file", "size": len(data), "mode": "fast"}
    payload["extractors"] = ["clew.intake.second_type:PLUGIN"]
    said = {}
    for outcome in pool.run([Task("0", "clew.intake.reading:read", payload, (os.open(path, os.O_RDONLY),))]):
        assert isinstance(outcome.reply, Reply), outcome.reply
        said |= {trait["name"]: trait for trait in outcome.reply.value.get("traits", ())}
    return said


TAMPERED = {
    "zeroed": lambda data: bytes(16) + data[16:],
    "text before it": lambda data: b"Dear reader, this is a letter.\n" + data,
}


@pytest.mark.parametrize("how", TAMPERED)
@pytest.mark.parametrize(("kind", "media_type"), [("JPEG", "image/jpeg"), ("PNG", "image/png")])
def test_a_picture_whose_beginning_was_overwritten_is_recognised(pool, tmp_path, how, kind, media_type):
    data = TAMPERED[how](picture(kind))
    assert not mediatype.of(data).startswith("image/")
    said = second(pool, tmp_path / "x", data)
    assert said["type.second"]["text"] == media_type
    assert said["type.second.score"]["number"] > 0.5


def test_noise_is_not_taken_for_anything(pool, tmp_path):
    said = second(pool, tmp_path / "x", os.urandom(40_000))
    assert not said["type.second"].get("text", "").startswith(("image/", "video/"))


def test_it_is_asked_of_what_is_unknown_or_contradicted_and_of_nothing_else(tmp_path):
    root = tmp_path / "exhibit"
    root.mkdir()
    jpeg = picture("JPEG")
    (root / "right.jpg").write_bytes(jpeg)
    (root / "letter.txt").write_bytes(b"a letter. " * 50)
    (root / "tiny.jpg").write_bytes(b"ab")
    asked = {
        "hidden.txt": picture("PNG"),
        "claims.jpg": b"only text " * 30,
        "zeroed": bytes(16) + jpeg[16:],
    }
    for name, data in asked.items():
        (root / name).write_bytes(data)
    case = new_case(tmp_path / "case")
    intake(case, path=root, label="E-1", options=Options(workers=1, extractors=extractors()))
    found, larger = typing_pass.wanted(case)
    assert set(found) == {sha256(data) for data in asked.values()}
    assert larger == 0
    done = typing_pass.second_types(case, Options(workers=1))
    assert (done.looked.done, done.looked.failed) == (len(asked), {})
    assert traits(case, sha256(asked["zeroed"]))["type.second", "fast"]["text"] == "image/jpeg"
    assert typing_pass.wanted(case) == ([], 0)


def test_an_opinion_that_could_not_be_had_is_asked_for_again_by_a_retry(tmp_path):
    root = tmp_path / "exhibit"
    root.mkdir()
    png, noise = picture("PNG"), bytes(range(7, 255)) * 9
    (root / "hidden.txt").write_bytes(png)
    (root / "noise").write_bytes(noise)
    case = new_case(tmp_path / "case")
    held = intake(case, path=root, label="E-1", options=Options(workers=1, extractors=extractors())).exhibit
    for data, reason in ((png, "limit reached"), (noise, "unknown")):
        row = {"content": sha256(data), "name": "type.second", "missing": reason, "detail": "made up", "mode": "fast"}
        put(case, "traits", [row | {"extractor": "magika", "version": "1"}], "intake")
    assert typing_pass.second_types(case, Options(workers=1), held).looked.asked == 0
    assert lacking(case, held) == [("limit reached", 1), ("unknown", 1)]
    done = typing_pass.second_types(case, Options(workers=1, retry=True), held)
    assert (done.looked.asked, done.looked.done) == (1, 1)
    assert lacking(case, held) == [("unknown", 1)]


def test_a_file_that_was_read_in_part_before_a_retry_read_it_whole_is_looked_at(tmp_path):
    root = tmp_path / "exhibit"
    root.mkdir()
    (root / "hidden.txt").write_bytes(picture("PNG"))
    case = new_case(tmp_path / "case")
    intake(case, path=root, label="E-1", options=Options(workers=1, extractors=extractors()))
    (row,) = shards.query(case, "SELECT * FROM contents", {}).to_pylist()
    put(case, "contents", [row | {"sha256": b"\xff" * 32, "content_state": "partial"}], "intake")
    looked = typing_pass.second_types(case, Options(workers=1)).looked
    assert (looked.asked, looked.done, list(looked.failed)) == (2, 1, ["ff" * 32])
    assert traits(case, row["sha256"])["type.second", "fast"]["text"] == "image/png"


def lacking(case, exhibit):
    missing = report(case, exhibit).extractors_missing
    return [(each["missing"], each["contents"]) for each in missing if each["extractor"] == "magika"]


def test_the_pass_of_one_exhibit_needs_no_other_one(tmp_path, monkeypatch):
    """The first run was killed before its second opinions; its medium is not there when the second one ends."""
    case = new_case(tmp_path / "case")
    for label in ("first", "second"):
        (tmp_path / label).mkdir()
        (tmp_path / label / "unknown").write_bytes(label.encode() + b"\x00\xff\x81" * 99)
    with monkeypatch.context() as killed:
        killed.setattr("clew.intake.run.second_types", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            intake(case, path=tmp_path / "first", label="E-1", workers=1)
    (tmp_path / "first").rename(tmp_path / "unplugged")
    second = intake(case, path=tmp_path / "second", label="E-2", workers=1)
    assert second.not_asked == []
    assert report(case, find(case, "E-1").id).not_asked == [
        "1 contents of unknown or contradicted type have no second opinion yet"
    ]
    assert typing_pass.wanted(case) == ([sha256(b"first" + b"\x00\xff\x81" * 99)], 0)
    (tmp_path / "unplugged").rename(tmp_path / "first")
    intake(case, path=tmp_path / "first", label="E-1", workers=1)
    assert typing_pass.wanted(case) == ([], 0)
