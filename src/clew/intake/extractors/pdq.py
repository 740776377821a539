"""PDQ: the picture hash and its quality, from the unrotated pixels, first frame (the reference applies no rotation)."""

import io
from collections.abc import Iterator

import numpy as np
from PIL import Image

from clew.core import pdq
from clew.intake.api import Example, Extractor, Probe, Value
from clew.intake.extractors import _picture


def waves(width: int, height: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """A benign picture made by code: overlapping waves, enough structure for a PDQ of full quality."""
    y, x = np.mgrid[0:height, 0:width] / max(width, height)
    parts = [np.sin(9 * x + 40 * y * y), np.cos(31 * x * y + 5 * y), np.sin(23 * (x - 0.4) ** 2 + 17 * y)]
    return np.stack([(part * 0.5 + 0.5) * 255 for part in parts], axis=2).astype(np.uint8)


class Pdq:
    """Traits "pdq" (32 bytes) and "pdq.quality" (0 to 100; below 50 PDQ's authors advise against comparing)."""

    name = "pdq"
    version = "3"

    def wants(self, media_type: str) -> bool:
        """Pictures."""
        return _picture.wants(media_type)

    def traits(self, probe: Probe) -> Iterator[tuple[str, Value]]:
        """Both, from one decode."""
        pixels = _picture.sampled(probe)
        value, quality = pdq.hash_grey(pixels) if pixels.ndim == 2 else pdq.hash_rgb(pixels)
        yield "pdq", value
        yield "pdq.quality", quality

    def examples(self) -> Iterator[Example]:
        """Waves, as PNG, and as what JPEG and WebP make of them."""
        picture = Image.fromarray(waves(640, 480))
        for kind, media_type in (("PNG", "image/png"), ("JPEG", "image/jpeg"), ("WEBP", "image/webp")):
            out = io.BytesIO()
            picture.save(out, kind)
            yield Example(f"waves.{kind.lower()}", out.getvalue(), media_type, {"pdq": None, "pdq.quality": None})


PLUGIN: Extractor = Pdq()
