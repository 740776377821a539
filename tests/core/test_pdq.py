"""Our PDQ against the reference: every bit and the quality, at every size, on flat and tied pictures too."""

import numpy as np
import pdqhash
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from clew.core import pdq


def picture(width: int, height: int, seed: int = 0, cell: int = 16, noise: int = 12) -> np.ndarray:
    """Soft shapes with grain over them, as photographs have."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (height // cell + 2, width // cell + 2, 3), dtype=np.uint8)
    soft = np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC), np.int16)
    return (soft + rng.integers(-noise, noise + 1, soft.shape)).clip(0, 255).astype(np.uint8)


def reference(pixels: np.ndarray) -> tuple[bytes, int]:
    if max(pixels.shape[:2]) > 512:
        pixels = np.asarray(Image.fromarray(pixels).resize((512, 512), Image.Resampling.NEAREST))
    bits, quality = pdqhash.compute(np.ascontiguousarray(pixels))
    return np.packbits(bits).tobytes(), quality


@settings(max_examples=150, deadline=None)
@given(st.integers(1, 700), st.integers(1, 700), st.integers(0, 2**32), st.integers(2, 64), st.integers(0, 40))
def test_equal_to_the_reference_on_soft_pictures(width, height, seed, cell, noise):
    pixels = picture(width, height, seed, cell, noise)
    assert pdq.hash_rgb(pixels) == reference(pixels)


ODD = [
    (1, 1), (4, 400), (5, 5), (64, 64), (63, 64), (64, 65), (127, 128), (128, 128), (129, 127), (256, 256), (512, 512),
    (513, 512), (512, 513), (5, 600), (1000, 7), (4032, 3024),
]  # fmt: skip


@pytest.mark.parametrize("size", ODD, ids=str)
def test_equal_to_the_reference_at_odd_sizes(size):
    pixels = picture(*size, seed=1)
    assert pdq.hash_rgb(pixels) == reference(pixels)


@pytest.mark.parametrize("size", [(300, 200), (64, 64), (700, 600)], ids=str)
def test_equal_to_the_reference_where_rounding_decides(size):
    """Flat, stepped, mirrored and two-valued pictures: their frequencies tie, or are nothing but rounding."""
    width, height = size
    ramp = np.broadcast_to((np.arange(width) * 255 // width).astype(np.uint8)[None, :, None], (height, width, 3))
    board = np.broadcast_to(
        ((np.indices((height, width)).sum(0) // 8 % 2) * 255).astype(np.uint8)[..., None], ramp.shape
    )
    half = picture(width, height, 2)
    mirrored = np.concatenate([half[:, : width // 2], half[:, : width // 2][:, ::-1]], axis=1)
    flats = [np.full((height, width, 3), level, np.uint8) for level in (0, 1, 90, 128, 255)]
    for pixels in [
        *flats,
        ramp,
        ramp[:, ::-1],
        board,
        mirrored,
        mirrored.transpose(1, 0, 2),
        (half > 128) * np.uint8(255),
    ]:
        assert pdq.hash_rgb(np.ascontiguousarray(pixels)) == reference(np.ascontiguousarray(pixels))


def test_the_slow_way_alone_is_the_reference_too():
    for seed in range(20):
        pixels = picture(300 + seed, 400 - seed, seed)
        assert pdq._in_order(pixels) == reference(pixels)


def test_the_quick_way_is_taken_nearly_always(monkeypatch):
    taken = []
    monkeypatch.setattr(pdq, "_in_order", lambda rgb: taken.append(1) or (b"", 0))
    for seed in range(100):
        pdq.hash_rgb(picture(600, 520, seed))
    assert len(taken) < 35


def test_a_grey_picture_is_the_same_either_way():
    grey = picture(640, 480, 3)[..., 1]
    (bits, quality), (other, other_quality) = pdq.hash_grey(grey), pdq.hash_rgb(np.repeat(grey[..., None], 3, axis=2))
    assert pdq.distance(bits, other) <= 2
    assert quality == other_quality


def test_the_order_of_bits_is_that_of_threatexchange():
    pixels = picture(512, 512, 4)
    bits, _ = pdqhash.compute(pixels)
    assert pdq.hash_rgb(pixels)[0].hex() == f"{int(''.join(map(str, bits)), 2):064x}"


@given(st.binary(min_size=32, max_size=32), st.sets(st.integers(0, 255)))
def test_distance_counts_bits(value, flipped):
    mask = sum(1 << bit for bit in flipped)
    other = (int.from_bytes(value) ^ mask).to_bytes(32)
    assert pdq.distance(value, other) == pdq.distance(other, value) == len(flipped)
