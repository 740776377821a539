"""Pictures with zeros in their coded pixels are damaged; those of one colour are not."""

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from clew.intake.api import FAST, Probe
from clew.intake.extractors import dimensions
from clew.intake.extractors.pdq import waves

KINDS: list[tuple[str, dict[str, Any]]] = [
    ("AVIF", {"quality": 90}),
    ("AVIF", {"quality": 100}),
    ("WEBP", {"quality": 90}),
    ("WEBP", {"quality": 100, "method": 3}),
    ("WEBP", {"quality": 100, "method": 0}),
    ("WEBP", {"lossless": True}),
]
SIZE = 800, 600


def damaged(data: bytes, kind: str) -> object:
    found = dict(dimensions.PLUGIN.traits(Probe(memoryview(data), len(data), f"image/{kind.lower()}", FAST)))
    return found["image.damaged"]


def coded(pixels: np.ndarray, kind: str, options: dict[str, Any]) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, kind, **options)
    return out.getvalue()


def noisy() -> np.ndarray:
    grain = np.random.default_rng(1).integers(0, 12, (SIZE[1], SIZE[0], 3))
    return (waves(*SIZE).astype(int) + grain).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize(("kind", "options"), KINDS[:5], ids=str)
def test_zeros_among_the_coded_pixels_are_damage(kind: str, options: dict[str, Any]) -> None:
    data = coded(noisy(), kind, options)
    middle = len(data) // 2
    assert damaged(data, kind) == 0
    assert damaged(data[:middle] + bytes(5_000) + data[middle + 5_000 :], kind) == 1


@pytest.mark.parametrize(("kind", "options"), KINDS, ids=str)
@pytest.mark.parametrize("value", [0, 255])
def test_a_picture_of_one_colour_is_whole(kind: str, options: dict[str, Any], value: int) -> None:
    flat = np.full((1500, 2000, 3), value, np.uint8)
    assert damaged(coded(flat, kind, options), kind) == 0
    flat[700:764, 700:764] = noisy()[:64, :64]
    assert damaged(coded(flat, kind, options), kind) == 0


def test_zeros_in_a_heic_are_damage() -> None:
    import pillow_heif

    out = io.BytesIO()
    pillow_heif.from_pillow(Image.fromarray(noisy())).save(out, quality=90)
    data = out.getvalue()
    middle = len(data) // 2
    assert damaged(data, "HEIC") == 0
    assert damaged(data[:middle] + bytes(400) + data[middle + 400 :], "HEIC") == 1
    flat = io.BytesIO()
    pillow_heif.from_pillow(Image.new("RGB", (800, 600))).save(flat, quality=90)
    assert damaged(flat.getvalue(), "HEIC") == 0
