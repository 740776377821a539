"""Camera raws by the picture they carry of themselves, HEIC against libheif, frames counted: bytes made by code."""

import io
import struct

import numpy as np
import pillow_heif
import pytest
import tiffs
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from clew.core import pdq
from clew.core.absent import Absent
from clew.intake.api import EXACT, FAST, Blob, Probe
from clew.intake.extractors import _bmff, _metadata, _picture, _raw, dimensions, exif, frames, thumbnail
from clew.intake.extractors import pdq as extractor
from clew.intake.extractors.pdq import waves
from clew.model import Reason

LARGE, SMALL = Image.fromarray(waves(1600, 1200)), Image.fromarray(waves(120, 160)).rotate(90, expand=True)
RAWS = tiffs.raws(LARGE, SMALL)


def probe(data: bytes, media_type: str, mode: str = EXACT) -> Probe:
    return Probe(memoryview(data), len(data), media_type, mode)


def heic(image: Image.Image, **options: object) -> bytes:
    out = io.BytesIO()
    pillow_heif.from_pillow(image).save(out, quality=70, **options)
    return out.getvalue()


@pytest.mark.parametrize("kind", RAWS)
def test_the_largest_preview_of_a_raw_is_hashed_and_said_to_be_one(kind: str) -> None:
    media_type, data = RAWS[kind]
    given = tiffs.jpeg(LARGE, quality=90)
    expected = dict(extractor.PLUGIN.traits(probe(given, "image/jpeg")))
    seen = probe(data, media_type)
    assert dict(extractor.PLUGIN.traits(seen)) == expected
    said = dict(dimensions.PLUGIN.traits(seen))
    assert (said["image.source"], said["image.width"], said["image.height"]) == ("preview", 1600, 1200)
    assert isinstance(dict(thumbnail.PLUGIN.traits(seen))["thumbnail"], Blob)
    assert dict(frames.PLUGIN.traits(seen)) == {}
    if kind != "raf":  # its EXIF is that of the JPEG inside, which here has none
        assert dict(exif.PLUGIN.traits(seen))["camera.make"] == "Lumen"


@pytest.mark.parametrize("kind", RAWS)
def test_a_raw_cut_short_costs_only_itself(kind: str) -> None:
    media_type, data = RAWS[kind]
    for part in range(0, len(data), len(data) // 23):
        try:
            said = dict(dimensions.PLUGIN.traits(probe(data[:part], media_type)))
        except Absent:
            continue
        assert said["image.damaged"] == 1 or said["image.width"] in (120, 160) or part > len(data) * 0.9


def test_a_raw_without_a_preview_is_said_to_have_none() -> None:
    data = tiffs.tiff(tiffs.Ifd({0xC612: (tiffs.BYTE, 1, 4, 0, 0), 0x0106: (tiffs.SHORT, 32803)}))
    with pytest.raises(Absent) as absent:
        _picture.decode(probe(data, "image/tiff"))
    assert absent.value.missing.reason is Reason.NOT_APPLICABLE


def test_an_ordinary_tiff_with_jpeg_in_it_is_no_raw() -> None:
    out = io.BytesIO()
    LARGE.save(out, "TIFF", compression="jpeg")
    assert _raw.preview(memoryview(out.getvalue())) is None
    assert "image.source" not in dict(dimensions.PLUGIN.traits(probe(out.getvalue(), "image/tiff")))


MIDDLE = LARGE.resize((720, 540))  # the encoder is slow
PICTURES = {
    "420": (MIDDLE, {}),
    "444": (MIDDLE, {"chroma": 444}),
    "odd": (MIDDLE.crop((0, 0, 601, 403)), {}),
    "grid": (MIDDLE, {"tile_size": 256}),
    "grey": (MIDDLE.convert("L"), {}),
    "alpha": (MIDDLE.convert("RGBA"), {}),
}


@pytest.mark.parametrize("kind", PICTURES)
def test_heic_is_what_libheif_decodes(kind: str) -> None:
    image, options = PICTURES[kind]
    data = heic(image, **options)
    truth = np.asarray(pillow_heif.open_heif(data).to_pillow().convert("RGB"))
    ours = _picture.decode(probe(data, "image/heic")).pixels
    assert ours.shape == truth.shape
    assert np.abs(ours.astype(int) - truth).max() <= 2
    expected, quality = pdq.hash_rgb(truth)
    assert quality >= 80
    for mode in (EXACT, FAST):
        assert pdq.distance(dict(extractor.PLUGIN.traits(probe(data, "image/heic", mode)))["pdq"], expected) <= 10


@pytest.mark.parametrize("orientation", range(1, 9))
def test_heic_is_turned_as_its_properties_say(orientation: int) -> None:
    exif = Image.Exif()
    exif[_metadata.ORIENTATION] = orientation
    image = LARGE.resize((320, 200))
    image.info["exif"] = exif.tobytes()
    data = heic(image)
    truth = np.asarray(pillow_heif.open_heif(data).to_pillow())
    ours = _picture.decode(probe(data, "image/heic"))
    assert ours.pixels.shape == truth.shape
    assert np.abs(ours.pixels.astype(int) - truth).max() <= 2
    assert ours.orientation == 1


def test_a_heic_whose_header_lies_about_its_size_is_refused() -> None:
    data = bytearray(HEIC)
    at = data.index(b"ispe") + 8
    struct.pack_into(">II", data, at, 100_000, 100_000)
    with pytest.raises(Absent) as absent:
        _picture.decode(probe(bytes(data), "image/heic"))
    assert absent.value.missing.reason is Reason.TOO_LARGE


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_flipped_bytes_in_structures_never_do_more_than_raise_absent(draw: st.DataObject) -> None:
    """What is read without a decoder: raws, HEIF items, frames, metadata."""
    name = draw.draw(st.sampled_from([*RAWS, "heic"]))
    data = bytearray(HEIC if name == "heic" else RAWS[name][1])
    for _ in range(draw.draw(st.integers(1, 12))):
        data[draw.draw(st.integers(0, min(len(data), 900) - 1))] = draw.draw(st.integers(0, 255))
    view = memoryview(bytes(data[: draw.draw(st.integers(0, len(data)))]))
    for reader in (_raw.preview, _metadata.find, frames.counted, _bmff.Items):
        try:
            reader(view)
        except (Absent, ValueError):
            continue


HEIC = heic(LARGE.resize((64, 48)))


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF", "AVIF"])
@pytest.mark.parametrize("count", [1, 2, 7])
def test_frames_are_pillows(kind: str, count: int) -> None:
    pictures = [LARGE.resize((64, 48)).rotate(40 * number) for number in range(count)]
    out = io.BytesIO()
    pictures[0].save(out, kind, save_all=True, append_images=pictures[1:])
    said = dict(frames.PLUGIN.traits(probe(out.getvalue(), "image/x")))
    assert said == ({"image.frames": count} if count > 1 else {})
    assert getattr(Image.open(out), "n_frames", 1) == count
