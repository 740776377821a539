"""PDQ against the oracle (pdqhash), decoders against Pillow, thumbnails and EXIF on pictures made by code."""

import io
import os
from pathlib import Path
from typing import Any

import numpy as np
import pdqhash
import pytest
from PIL import Image

from clew.core import pdq
from clew.core.absent import Absent
from clew.intake import reading
from clew.intake.api import EXACT, FAST, Blob, Probe
from clew.intake.extractors import _metadata, _picture, dimensions, thumbnail
from clew.intake.extractors import pdq as extractor
from clew.intake.extractors.pdq import waves
from clew.model import Reason

SIZES = [(512, 512), (513, 40), (40, 513), (640, 480), (1600, 1004), (511, 300), (128, 128), (33, 65), (4032, 3024)]
CODED: list[dict[str, Any]] = [{"subsampling": 2}, {"subsampling": 0}, {"subsampling": 1}, {"progressive": True}]
JPEGS = [(size, options) for size in SIZES for options in (CODED[:1] if size == SIZES[-1] else CODED)]
MODES = ["RGB", "RGBA", "L", "LA", "P", "1", "CMYK"]  # and those of more than 8 bits: test_shades.py
# Exif 2.32, Orientation: what a camera would have done to an upright picture
LIES = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
CARRIER = {"CMYK": "JPEG"}  # every other mode goes into PNG


def oracle(image: Image.Image) -> tuple[bytes, int]:
    """DESIGN's exact mode, word for word: Pillow RGB, nearest 512 x 512, pdqhash."""
    rgb = image.convert("RGB")
    if max(rgb.size) > 512:
        rgb = rgb.resize((512, 512), Image.Resampling.NEAREST)
    bits, quality = pdqhash.compute(np.asarray(rgb))
    return np.packbits(bits).tobytes(), quality


def ours(data: bytes, media_type: str, mode: str) -> tuple[bytes, int]:
    traits = dict(extractor.PLUGIN.traits(Probe(memoryview(data), len(data), media_type, mode)))
    return traits["pdq"], traits["pdq.quality"]


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


@pytest.mark.parametrize(("size", "options"), JPEGS, ids=str)
def test_jpeg_exact_is_the_oracle_and_fast_keeps_pdqs_rule(size: tuple[int, int], options: dict) -> None:
    data = encoded(Image.fromarray(waves(*size)), "JPEG", quality=88, **options)
    expected, quality = oracle(Image.open(io.BytesIO(data)))
    assert ours(data, "image/jpeg", EXACT) == (expected, quality)
    if quality >= 80:
        assert pdq.distance(ours(data, "image/jpeg", FAST)[0], expected) <= 10


@pytest.mark.parametrize("mode", MODES)
def test_every_kind_of_pixel_is_the_oracles(mode: str) -> None:
    image = Image.fromarray(waves(700, 500)).convert(mode)
    kind = CARRIER.get(mode, "PNG")
    data = encoded(image, kind)
    for each in (EXACT, FAST):
        assert ours(data, f"image/{kind.lower()}", each) == oracle(Image.open(io.BytesIO(data)))


def test_noise_and_flat_pictures() -> None:
    rng = np.random.default_rng(7)
    for pixels in (rng.integers(0, 256, (600, 600, 3), np.uint8), np.full((600, 600, 3), 90, np.uint8)):
        expected = oracle(Image.fromarray(pixels))
        assert pdq.hash_rgb(pixels)[1] == expected[1]
        if expected[1] > 0:
            assert pdq.hash_rgb(pixels)[0] == expected[0]


def test_the_order_of_bits_is_threatexchanges() -> None:
    """A hash of one picture, in the hexadecimal form that ThreatExchange's tools exchange."""
    bits, _ = pdqhash.compute(waves(512, 512))
    text = f"{int(''.join(str(bit) for bit in bits), 2):064x}"
    assert pdq.hash_rgb(waves(512, 512))[0].hex() == text


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_hash_is_of_unrotated_pixels_and_the_thumbnail_stands_upright(orientation: int) -> None:
    upright = waves(640, 320)
    exif = Image.Exif()
    exif[_metadata.ORIENTATION] = orientation
    turned = Image.fromarray(upright)
    if orientation in LIES:
        turned = turned.transpose(LIES[orientation])
    data = encoded(turned, "PNG", exif=exif)
    assert ours(data, "image/png", EXACT) == oracle(turned)
    blob = dict(thumbnail.PLUGIN.traits(Probe(memoryview(data), len(data), "image/png")))["thumbnail"]
    assert isinstance(blob, Blob)
    small = Image.open(io.BytesIO(blob.data))
    assert small.size == (160, 80)
    expected = Image.fromarray(upright).convert("L").resize((160, 80), Image.Resampling.BOX)
    grey = np.asarray(small.convert("RGB"), int)
    assert np.abs(grey[..., 0] - np.asarray(expected, int)).mean() < 12
    assert np.ptp(grey, axis=2).max() <= 2, "a thumbnail is grey"


def test_a_bomb_is_refused_by_its_header() -> None:
    header = encoded(Image.new("1", (30_000, 30_000)), "PNG")
    with pytest.raises(Absent) as absent:
        _picture.decode(Probe(memoryview(header), len(header), "image/png"))
    assert absent.value.missing.reason is Reason.TOO_LARGE
    assert "30000 x 30000" in absent.value.missing.detail


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_cut_picture_is_flagged_or_missing_never_whole(kind: str) -> None:
    data = encoded(Image.fromarray(waves(640, 480)), kind)
    cut = data[: int(len(data) * 0.7)]
    probe = Probe(memoryview(cut), len(cut), f"image/{kind.lower()}")
    rows = [row for reply in reading._traits(dimensions.PLUGIN, probe) for row in reply.value["traits"]]
    damaged = [row["integer"] for row in rows if row["name"] == "image.damaged"]
    assert damaged == [1] or [row.get("missing") for row in rows] == [Reason.UNPARSABLE]


def corpus() -> list[Path]:
    root = Path(os.environ["CLEW_CORPUS"]) / "threatexchange/pdq/data"
    return sorted(p for p in root.rglob("*") if p.suffix in {".jpg", ".png", ".webp"})


@pytest.mark.corpus
def test_both_modes_hold_their_rule_on_threatexchanges_pictures() -> None:
    judged = 0
    for path in corpus():
        data, kind = path.read_bytes(), {"jpg": "jpeg"}.get(path.suffix[1:], path.suffix[1:])
        expected, quality = oracle(Image.open(path))
        assert ours(data, f"image/{kind}", EXACT) == (expected, quality), path.name
        if quality >= 80:
            judged += 1
            assert pdq.distance(ours(data, f"image/{kind}", FAST)[0], expected) <= 10, path.name
    assert judged >= 30


@pytest.mark.corpus
def test_what_fast_mode_scales_while_decoding_keeps_pdqs_rule() -> None:
    """Photographs of the corpus as large as a telephone makes them, with grain, at both ends of 1/2."""
    rng = np.random.default_rng(3)
    photographs = [path for path in corpus() if path.suffix == ".jpg" and path.parent.name in ("exif-rotn", "dih")]
    assert len(photographs) >= 4
    for path, short in zip(photographs[:6], (2048, 2999) * 3, strict=False):
        image = Image.open(path).convert("RGB")
        scale = short / min(image.size)
        large = np.asarray(image.resize((round(image.width * scale), round(image.height * scale))), np.int16)
        grain = rng.normal(0, 4, (*large.shape[:2], 1)).astype(np.int16)
        data = encoded(Image.fromarray((large + grain).clip(0, 255).astype(np.uint8)), "JPEG", quality=90)
        (exact, quality), (fast, _) = (ours(data, "image/jpeg", mode) for mode in (EXACT, FAST))
        if quality >= 80:
            assert pdq.distance(exact, fast) <= 10, path.name
