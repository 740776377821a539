"""A picture is decoded once, however many Extractors ask for its pixels: most of what intake costs is decoding."""

import io
from collections import Counter
from collections.abc import Callable
from typing import Any

import pillow_heif
import pytest
import simplejpeg
from archive_world import Bytes
from PIL import Image

from clew.intake import reading, tools
from clew.intake.api import EXACT, FAST
from clew.intake.extractors import _heif
from clew.intake.extractors.pdq import waves

PICTURE = Image.fromarray(waves(800, 600))
KINDS = {"image/jpeg": "JPEG", "image/png": "PNG", "image/heic": "HEIF"}
RAW = "raw"  # Pillow's decoder of what is decoded already: an array becomes a picture by it


@pytest.fixture
def decodes(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often libjpeg-turbo, Pillow and libavcodec are given coded pixels."""
    count: Counter[str] = Counter()

    def counted(place: Any, name: str, who: str) -> None:
        real: Callable[..., Any] = getattr(place, name)

        def counting(*given: Any, **named: Any) -> Any:
            count[who] += given[1:2] != (RAW,)
            return real(*given, **named)

        monkeypatch.setattr(place, name, counting)

    counted(simplejpeg, "decode_jpeg", "libjpeg-turbo")
    counted(Image, "_getdecoder", "Pillow")
    counted(_heif, "_decoded", "libavcodec")
    return count


def coded(kind: str) -> bytes:
    out = io.BytesIO()
    if kind == "HEIF":
        pillow_heif.from_pillow(PICTURE).save(out)
    else:
        PICTURE.save(out, kind)
    return out.getvalue()


def said_of(data: bytes, mode: str) -> tuple[str, dict[str, str]]:
    """Its media type, and which Extractor said which trait of it; all of them look, as in a worker."""
    payload = {"size": len(data), "mode": mode, "extractors": tools.extractors()}
    replies = list(reading.examine(Bytes(data), payload))
    (media_type,) = [reply.value["type"] for reply in replies if "type" in reply.value]
    rows = [(row, reply.value["extractor"]) for reply in replies for row in reply.value.get("traits", ())]
    assert not [row for row, _ in rows if "missing" in row]
    return media_type, {row["name"]: extractor for row, extractor in rows}


@pytest.mark.parametrize("mode", [FAST, EXACT])
@pytest.mark.parametrize("media_type", KINDS)
def test_hash_quality_thumbnail_and_damage_come_of_one_decode(
    media_type: str, mode: str, decodes: Counter[str]
) -> None:
    data = coded(KINDS[media_type])
    decodes.clear()
    found, said = said_of(data, mode)
    assert found == media_type
    by = {"pdq": "pdq", "pdq.quality": "pdq", "thumbnail": "thumbnail", "image.damaged": "dimensions"}
    assert said.items() >= by.items()
    assert decodes.total() == 1, decodes
