"""The pictures of a HEIF file beside its main one: each is hashed, and what cannot be is said."""

import io
from typing import Any

import films
import numpy as np
import pillow_heif
import pytest
from PIL import Image

from clew.core import pdq
from clew.intake import mediatype
from clew.intake.api import EXACT, FAST, Blob, Frame, Probe
from clew.intake.extractors import _heif, further
from clew.model import Missing, Reason


def heif(count: int, **options: Any) -> bytes:
    """So many pictures, the second of them the main one where there are several."""
    file, out = pillow_heif.HeifFile(), io.BytesIO()
    for number in range(count):
        file.add_from_pillow(Image.fromarray(films.picture(number)))
    file.save(out, primary_index=min(1, count - 1), quality=95, **options)
    return out.getvalue()


def here(data: bytes, mode: str = FAST) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for name, value in further.PLUGIN.traits(Probe(memoryview(data), len(data), mediatype.of(data), mode)):
        found.setdefault(name, []).append(value)
    return found


@pytest.mark.parametrize("mode", [FAST, EXACT])
def test_each_but_the_main_one_has_its_hash(mode: str) -> None:
    found = here(heif(4), mode)
    assert [frame.seconds for frame in found["video.pdq"]] == [1, 2, 3]
    for frame, number in zip(found["video.pdq"], (0, 2, 3), strict=True):
        assert isinstance(frame, Frame)
        assert pdq.distance(frame.pdq, pdq.hash_rgb(films.picture(number))[0]) <= 10
    (seen,) = found["video.sheet"]
    assert isinstance(seen, Blob)
    assert Image.open(io.BytesIO(seen.data)).size == (3 * 160, 120)


def test_a_file_of_one_picture_has_none() -> None:
    thumbed = io.BytesIO()
    pillow_heif.from_pillow(Image.fromarray(films.picture(0))).save(thumbed, thumbnails=[64])
    for data in (heif(1), thumbed.getvalue()):
        assert here(data) == {}
    assert here(b"\0\0\0\x18ftypheic\0\0\0\0heicmif1") == {}


def test_what_cannot_be_decoded_costs_itself_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    data = bytearray(heif(3))
    second = _heif._bmff.Items(memoryview(data)).by_id[_heif.others(memoryview(data))[1]]
    at, length = second.extents[0]
    data[at : at + length] = np.random.default_rng(1).bytes(length)
    found = here(bytes(data))["video.pdq"]
    assert isinstance(found[0], Frame)
    assert isinstance(found[1], Missing)
    assert "further picture 2" in found[1].detail
    monkeypatch.setattr(further, "PIXELS", 320 * 240)
    limited = here(heif(3))["video.pdq"]
    assert [getattr(each, "reason", None) for each in limited] == [None, Reason.LIMIT_REACHED]
    monkeypatch.setattr(further, "MOST", 1)
    assert here(heif(3))["video.pdq"][-1].detail == "1 of 2 further pictures are looked at"
