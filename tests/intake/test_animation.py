"""Animated pictures as videos: each frame, made whole, has the hash of the picture it was made from."""

import io
import os
from pathlib import Path
from typing import Any

import films
import numpy as np
import pytest
from PIL import Image

from clew.core import pdq
from clew.core.engine import Limits, Policy, Pool, Reply, Task
from clew.intake import reading
from clew.intake.api import Frame, Probe
from clew.intake.extractors import animation
from clew.model import Missing, Reason

MODULE = "clew.intake.extractors.animation"
PRELOAD = ("clew.intake.reading:preload", "clew.intake.sources.folder", MODULE)
# how near, in bits, a frame comes to its picture: GIF has 256 colours
KINDS = {"GIF": 31, "PNG": 0, "WEBP": 10, "AVIF": 10}


def animated(kind: str, scenes: int = 5, size: tuple[int, int] = (160, 120), **options: Any) -> bytes:
    """So many pictures, half a second each."""
    pictures = [Image.fromarray(films.picture(number, size)) for number in range(scenes)]
    out = io.BytesIO()
    pictures[0].save(out, kind, save_all=True, append_images=pictures[1:], duration=500, **options)
    return out.getvalue()


def here(data: bytes, kind: str) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for name, value in animation.PLUGIN.traits(Probe(memoryview(data), len(data), f"image/{kind.lower()}")):
        found.setdefault(name, []).append(value)
    return found


def frames(found: dict[str, list[Any]]) -> list[Frame]:
    return [value for value in found.get("video.pdq", ()) if isinstance(value, Frame)]


def why(found: dict[str, list[Any]]) -> list[Missing]:
    return [value for value in found.get("video.pdq", ()) if isinstance(value, Missing)]


@pytest.fixture(scope="module")
def pool():
    with Pool(1, PRELOAD, Limits(60, 0, 1536 << 20, 16 << 20), Policy(landlock_abi=2)) as started:
        yield started


@pytest.mark.parametrize("kind", KINDS)
def test_every_frame_in_a_locked_worker(pool, tmp_path: Path, kind: str) -> None:
    (tmp_path / "film").write_bytes(animated(kind))
    descriptor = os.open(tmp_path / "film", os.O_RDONLY)
    asked = {"opener": "clew.intake.sources.folder:file", "size": 1, "mode": "fast", "extractors": [f"{MODULE}:PLUGIN"]}
    rows, media_type = [], ""
    for outcome in pool.run([Task("0", "clew.intake.reading:read", asked, (descriptor,))]):
        assert isinstance(outcome.reply, Reply), outcome.reply
        rows += outcome.reply.value.get("traits", ())
        media_type = outcome.reply.value.get("type", media_type)
    assert animation.PLUGIN.wants(media_type)
    hashed = [row for row in rows if "frame" in row]
    assert [row["seconds"] for row in hashed] == [0.0, 0.5, 1.0, 1.5, 2.0]
    for number, row in enumerate(hashed):
        picture = pdq.hash_rgb(films.picture(number, (160, 120)))[0]
        assert pdq.distance(bytes.fromhex(row["frame"]), picture) <= KINDS[kind]
    said = {row["name"]: row for row in rows}
    assert (said["video.frames"]["integer"], said["video.duration"]["number"]) == (5, 2.5)
    assert said["video.damaged"]["integer"] == 0
    assert "blob" in said["video.sheet"]


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "AVIF", "JPEG", "TIFF"])
def test_a_picture_of_one_frame_is_none(kind: str) -> None:
    out = io.BytesIO()
    Image.fromarray(films.picture(0)).save(out, kind)
    assert here(out.getvalue(), kind) == {}


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "jpeg", "group4"])
def test_the_pages_of_a_tiff_are_hashed_each_of_its_own_size(compression: str) -> None:
    pages = [Image.fromarray(films.picture(number, (160 + 40 * number, 120))) for number in range(4)]
    pages = [page.convert("1") for page in pages] if compression == "group4" else pages
    out = io.BytesIO()
    pages[0].save(out, "TIFF", save_all=True, append_images=pages[1:], compression=compression)
    found = here(out.getvalue(), "TIFF")
    assert [frame.seconds for frame in frames(found)] == [0, 1, 2, 3]
    for frame, page in zip(frames(found), pages, strict=True):
        exact = pdq.hash_rgb(np.asarray(page.convert("RGB")))[0]
        assert pdq.distance(frame.pdq, exact) <= (10 if compression == "jpeg" else 0)
    assert (found["video.frames"], found["video.damaged"]) == ([4], [0])
    assert "video.duration" not in found
    assert "video.sheet" in found
    cut = here(out.getvalue()[: len(out.getvalue()) * 6 // 10], "TIFF")
    assert cut["video.damaged"] == [1]


def test_a_page_of_absurd_size_ends_it_and_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(animation, "MOST_PIXELS", 160 * 120)
    out = io.BytesIO()
    pages = [Image.fromarray(films.picture(number, (160, 120 + 20 * (number == 2)))) for number in range(4)]
    pages[0].save(out, "TIFF", save_all=True, append_images=pages[1:])
    found = here(out.getvalue(), "TIFF")
    assert [missing.reason for missing in why(found)] == [Reason.TOO_LARGE]
    assert (found["video.frames"], len(frames(found))) == ([2], 2)


@pytest.mark.parametrize("kind", ["GIF", "PNG"])
def test_a_cut_animation_says_how_far_it_came(kind: str) -> None:
    data = animated(kind, scenes=8)
    found = here(data[: len(data) * 55 // 100], kind)
    assert found["video.damaged"] == [1]
    assert [missing.reason for missing in why(found)] == [Reason.UNPARSABLE]
    assert 2 <= found["video.frames"][0] == len(frames(found)) <= 6
    assert str(found["video.frames"][0]) in why(found)[0].detail


def test_many_frames_are_taken_evenly_with_the_first_and_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(animation, "KEPT", 8)
    found = here(animated("PNG", scenes=30), "PNG")
    times = [frame.seconds for frame in frames(found)]
    assert (times[0], times[-1]) == (0.0, 14.5)
    assert set(np.diff(times[:-1])) == {2.0}
    assert [missing.reason for missing in why(found)] == [Reason.LIMIT_REACHED]
    assert "9 of 30 frames" in why(found)[0].detail
    assert found["video.damaged"] == [0]


@pytest.mark.parametrize(("name", "value"), [("MOST_FRAMES", 3), ("PIXELS", 3 * 160 * 120)])
def test_an_animation_without_end_is_stopped_and_that_is_said(monkeypatch, name: str, value: int) -> None:
    monkeypatch.setattr(animation, name, value)
    found = here(animated("GIF", scenes=6), "GIF")
    assert found["video.frames"] == [3]
    assert [missing.reason for missing in why(found)] == [Reason.LIMIT_REACHED]
    assert "stopped after 3 frames" in why(found)[0].detail


def test_frames_of_absurd_size_are_refused_by_their_header() -> None:
    data = bytearray(animated("GIF"))
    data[6:10] = b"\xff\xff\xff\xff"  # logical screen: GIF89a, section 18
    rows = [row for reply in reading._traits(animation.PLUGIN, Probe(memoryview(bytes(data)), len(data), "image/gif"))
            for row in reply.value["traits"]]  # fmt: skip
    assert [row["missing"] for row in rows] == [Reason.TOO_LARGE]
