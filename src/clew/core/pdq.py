"""PDQ, the picture hash that forces exchange: 256 bits and a quality of 0 to 100, from pixels.

Written from "The TMK+PDQF Video-Hashing Algorithm and the PDQ Image-Hashing Algorithm" (Facebook, 2019), and equal,
bit for bit, to the reference as the package `pdqhash` carries it:

1. A picture with a side over 512 becomes 512 x 512 by the nearest pixel.
2. Luma; two passes of a box filter along rows and along columns (Jarosz); 64 x 64 samples of that.
3. 16 x 16 low frequencies of its cosine transform; a bit is set where one lies above their median.

The filter is linear, so steps 2 and 3 are four small matrix products here. The reference adds in single precision in a
fixed order; where our result lies so near to a decision that rounding could turn it, it is made again in that order.
Bits stand as ThreatExchange writes them: the highest frequency first.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

HASH_BYTES = 32
SIDE = 512  # the longest side of a picture that is filtered as it is
_SMALLEST = 5  # with a shorter side, the reference answers an empty hash of quality 0
_BLOCKS = 64
_FREQUENCIES = 16
_LOWER_MEDIAN = 127  # the 128th smallest of 256
# What rounding may move, several times what was ever seen against the reference's own numbers: one frequency against
# another, and one of the 64 x 64 samples against its neighbour (in hundredths of full scale).
_UNSURE_FREQUENCY = 1e-2
_UNSURE_STEP = 1e-3

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]


def hash_rgb(picture: Bytes) -> tuple[bytes, int]:
    """Hash and quality of (height, width, 3) RGB: the exact mode, if the pixels are those that Pillow decodes."""
    small = sample(picture)
    luma: Floats = np.multiply(small[..., 0], _RED, dtype=np.float32)
    luma += np.multiply(small[..., 1], _GREEN, dtype=np.float32)
    luma += np.multiply(small[..., 2], _BLUE, dtype=np.float32)
    return _hash(luma, small)


def hash_grey(picture: Bytes) -> tuple[bytes, int]:
    """Hash and quality of (height, width) luma: the fast mode, once a decoder has left out the colours."""
    return _hash(sample(picture).astype(np.float32), None)


def sample(picture: Bytes) -> Bytes:
    """512 x 512 by the nearest pixel where a side is longer, as Pillow's NEAREST has it; else the picture itself."""
    height, width = picture.shape[:2]
    if height <= SIDE and width <= SIDE:
        return picture
    return np.take(picture[_centres(height, SIDE)], _centres(width, SIDE), axis=1)


def distance(first: bytes, second: bytes) -> int:
    """The number of bits in which two hashes differ."""
    return (int.from_bytes(first) ^ int.from_bytes(second)).bit_count()


_RED, _GREEN, _BLUE = np.float32(0.299), np.float32(0.587), np.float32(0.114)  # ITU-R BT.601


def _hash(luma: Floats, rgb: Bytes | None) -> tuple[bytes, int]:
    height, width = luma.shape
    if min(height, width) < _SMALLEST:
        return bytes(HASH_BYTES), 0
    samples = luma if height == width == _BLOCKS else _framed(_filter(height), luma, _filter(width))
    frequencies = _framed(_COSINES, samples, _COSINES)
    ordered = np.sort(frequencies, axis=None)
    median = ordered[_LOWER_MEDIAN]
    least, most = _gradients(samples, -_UNSURE_STEP), _gradients(samples, _UNSURE_STEP)
    unsure = ordered[_LOWER_MEDIAN + 1] - median < _UNSURE_FREQUENCY or _quality(least) != _quality(most)
    if rgb is not None and unsure:
        return _in_order(rgb)
    return _bits(frequencies, median), _quality(most)


def _framed(left: Floats, middle: Floats, right: Floats) -> Floats:
    return np.asarray(left @ middle @ right.T, np.float32)


@lru_cache(maxsize=256)
def _centres(size: int, samples: int) -> NDArray[np.intp]:
    """The pixel below the centre of each of so many samples of a side."""
    return ((np.arange(samples) + 0.5) * size / samples).astype(np.intp)


def _window(size: int) -> int:
    """The box filter's length: half of what makes one of 64 blocks, since it is applied twice."""
    return -(-size // (2 * _BLOCKS))


@lru_cache(maxsize=128)
def _filter(size: int) -> Floats:
    """Two passes of the box filter and the sampling as one 64 x size matrix. At the ends the box is cut off."""
    window = _window(size)
    ahead = (window + 2) // 2
    at = np.arange(size)
    inside = (at >= at[:, None] - (window - ahead)) & (at < at[:, None] + ahead)
    box = inside / inside.sum(axis=1, keepdims=True)
    return np.ascontiguousarray((box[_centres(size, _BLOCKS)] @ box).astype(np.float32))


def _cosines() -> Floats:
    """16 x 64: rows 1 to 16 of the cosine transform, the constant term left out, rounded where the reference rounds."""
    rows, columns = np.arange(1, _FREQUENCIES + 1)[:, None], 2 * np.arange(_BLOCKS) + 1
    scale = np.float64(np.float32(np.sqrt(2.0 / _BLOCKS)))
    table: Floats = (scale * np.cos(np.pi / 2 / _BLOCKS * rows * columns)).astype(np.float32)
    return table


_COSINES = _cosines()


def _gradients(samples: Floats, slack: float = 0.0) -> int:
    """The steps between neighbours, summed in whole hundredths of full scale: the measure behind the quality."""
    total = 0
    for axis in (0, 1):
        steps = np.abs(np.diff(samples, axis=axis))
        steps *= np.float32(100)
        steps /= np.float32(255)
        if slack:
            steps += np.float32(slack)
        total += int(steps.astype(np.int32).sum())
    return total


def _quality(gradients: int) -> int:
    return min(gradients // 90, 100)


def _bits(frequencies: Floats, median: np.float32) -> bytes:
    return np.packbits((frequencies.ravel() > median)[::-1]).tobytes()


def _in_order(rgb: Bytes) -> tuple[bytes, int]:
    """The same in the reference's order of additions, each rounded to single precision; several times slower."""
    luma = (rgb[..., 0] * 0.299 + rgb[..., 1] * 0.587 + rgb[..., 2] * 0.114).astype(np.float32)
    height, width = luma.shape
    if not height == width == _BLOCKS:
        rows, columns = _centres(height, _BLOCKS), _centres(width, _BLOCKS)
        once = _box(_box(luma).T).T
        luma = np.ascontiguousarray(_box(_box(once)[:, columns].T)[:, rows].T)
    half = np.zeros((_FREQUENCIES, _BLOCKS), np.float32)
    for cosines, row in zip(_COSINES.T, luma, strict=True):
        half += cosines[:, None] * row
    frequencies = np.zeros((_FREQUENCIES, _FREQUENCIES), np.float32)
    for column, cosines in zip(half.T, _COSINES.T, strict=True):
        frequencies += column[:, None] * cosines
    return _bits(frequencies, np.sort(frequencies, axis=None)[_LOWER_MEDIAN]), _quality(_gradients(luma))


def _box(lines: Floats) -> Floats:
    """One pass along each line with a running sum: what enters is added, then what leaves is taken away."""
    size = lines.shape[1]
    window = _window(size)
    ahead = (window + 2) // 2
    steps = np.zeros((len(lines), size + ahead - 1, 2), np.float32)  # (entering, leaving) one position after another
    steps[:, :size, 0] = lines
    steps[:, window:, 1] = -lines[:, : size + ahead - 1 - window]
    sums = np.cumsum(steps.reshape(len(lines), -1), axis=1, dtype=np.float32)[:, 1::2]
    at = np.arange(size)
    counts = np.minimum(at + ahead, size) - np.maximum(at - (window - ahead), 0)
    return np.asarray(sums[:, ahead - 1 :] / counts.astype(np.float32), np.float32)
