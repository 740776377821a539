"""Grey pictures of more than 8 bits a sample are hashed as the pictures that a viewer shows, not as white pages."""

import io

import numpy as np
import pytest
from PIL import Image

from clew.core import pdq
from clew.intake import mediatype
from clew.intake.api import EXACT, FAST, Probe
from clew.intake.extractors import _picture
from clew.intake.extractors import pdq as extractor
from clew.intake.extractors.pdq import waves

GREY = waves(320, 240)[..., 0]
WIDE = GREY.astype(np.uint16) * 257


def encoded(pixels: np.ndarray, kind: str) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, kind)
    return out.getvalue()


def patched(data: bytes, tag: int, old: int, new: int) -> bytes:
    """A little-endian TIFF in which that tag has another value."""
    entry = tag.to_bytes(2, "little") + b"\x03\x00\x01\x00\x00\x00"
    at = data.index(entry + old.to_bytes(2, "little")) + len(entry)
    return data[:at] + new.to_bytes(2, "little") + data[at + 2 :]


def twelve() -> bytes:
    """Of 12 bits: two samples in three bytes, the highest bits first."""
    values = (GREY.astype(np.uint32) * 4095 // 255).reshape(-1, 2)
    packed = values[:, 0] << 12 | values[:, 1]
    body = np.stack([packed >> 16, packed >> 8 & 255, packed & 255], 1).astype(np.uint8).tobytes()
    data = encoded(WIDE, "TIFF")
    at = data.index(WIDE.tobytes())
    return patched(data[:at] + body + data[at + len(body) :], 258, 16, 12)


@pytest.mark.parametrize("mode", [FAST, EXACT])
@pytest.mark.parametrize(("data", "bits"), [
    (encoded(WIDE, "PNG"), 0), (encoded(WIDE, "TIFF"), 0), (patched(encoded(65535 - WIDE, "TIFF"), 262, 1, 0), 0),
    (twelve(), 0), (encoded(WIDE, "PPM"), 8), (encoded(WIDE.astype(np.int32), "TIFF"), 8),
    (encoded(GREY.astype(np.float32) / 255, "TIFF"), 8),
], ids=["PNG 16", "TIFF 16", "TIFF 16, 0 is white", "TIFF 12", "PGM 16", "TIFF 32", "TIFF floating"])  # fmt: skip
def test_the_hash_is_that_of_the_picture_in_8_bits(data: bytes, bits: int, mode: str) -> None:
    probe = Probe(memoryview(data), len(data), mediatype.of(data), mode)
    found = dict(extractor.PLUGIN.traits(probe))
    expected, quality = pdq.hash_grey(GREY)
    assert pdq.distance(found["pdq"], expected) <= bits
    assert abs(found["pdq.quality"] - quality) <= 2
    assert abs(float(_picture.decode(probe).pixels.mean()) - float(GREY.mean())) < 3


def test_numbers_that_are_none_do_not_hide_the_picture() -> None:
    pixels = GREY.astype(np.float32) / 255
    pixels[:4, :4], pixels[5, 5] = np.nan, np.inf
    data = encoded(pixels, "TIFF")
    found = dict(extractor.PLUGIN.traits(Probe(memoryview(data), len(data), "image/tiff", EXACT)))
    assert pdq.distance(found["pdq"], pdq.hash_grey(GREY)[0]) <= 12


@pytest.mark.parametrize("value", [0.0, np.nan])
def test_a_flat_picture_has_no_quality(value: float) -> None:
    data = encoded(np.full((64, 64), value, np.float32), "TIFF")
    found = dict(extractor.PLUGIN.traits(Probe(memoryview(data), len(data), "image/tiff", EXACT)))
    assert found["pdq.quality"] == 0


def test_what_is_cut_is_damaged_and_seen() -> None:
    data = encoded(WIDE, "PNG")
    picture = _picture.decode(Probe(memoryview(data[: len(data) // 2]), len(data) // 2, "image/png", FAST))
    assert picture.damaged
    assert picture.pixels[: 240 // 4].std() > 20
