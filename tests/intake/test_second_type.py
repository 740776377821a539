"""The second opinion on types: tampered pictures that libmagic no longer knows, and which contents it is asked of."""

import io
import os

import pytest
from cases import new_case, sha256, traits
from PIL import Image

from clew.core.engine import Limits, Policy, Pool, Reply, Task
from clew.intake import mediatype, typing_pass
from clew.intake.extractors.pdq import waves
from clew.intake.options import Options
from clew.intake.run import intake
from clew.intake.tools import extractors

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
