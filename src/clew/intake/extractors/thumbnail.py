"""A small grey picture for the review page, made anew from pixels: nothing of the original file is in it."""

import io
from collections.abc import Iterator

import numpy as np
from PIL import Image

from clew.intake.api import Blob, Example, Extractor, Probe, Value
from clew.intake.extractors import _picture
from clew.intake.extractors.pdq import waves

LONG_SIDE = 160
ENOUGH = 4 * LONG_SIDE  # pixels are thinned to about this many before they are averaged
QUALITY = 80
ORIENTATION = 0x0112  # Exif 2.32, tag Orientation
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class Thumbnail:
    """Trait "thumbnail": the SHA-256 of a blob, a grey WebP of at most 160 pixels a side, turned as EXIF says."""

    name = "thumbnail"
    version = "1"

    def wants(self, media_type: str) -> bool:
        """Pictures."""
        return _picture.wants(media_type)

    def traits(self, probe: Probe) -> Iterator[tuple[str, Value]]:
        """The one thumbnail."""
        pixels = _picture.decode(probe).pixels
        step = max(1, max(pixels.shape[:2]) // ENOUGH)
        small = Image.fromarray(np.ascontiguousarray(pixels[::step, ::step])).convert("L")
        small.thumbnail((LONG_SIDE, LONG_SIDE), Image.Resampling.BOX)
        turn = TURNS.get(self._orientation(probe))
        out = io.BytesIO()
        (small.transpose(turn) if turn is not None else small).save(out, "WEBP", quality=QUALITY, method=0)
        yield "thumbnail", Blob(out.getvalue())

    def examples(self) -> Iterator[Example]:
        """Waves, wide and tall."""
        for width, height in ((640, 480), (90, 1200)):
            out = io.BytesIO()
            Image.fromarray(waves(width, height)).save(out, "PNG")
            yield Example(f"waves-{width}x{height}.png", out.getvalue(), "image/png", {"thumbnail": None})

    def _orientation(self, probe: Probe) -> int:
        assert probe.data is not None, "decode() raises where there are no bytes"
        try:
            return int(_picture.open_header(probe.data, probe.media_type).getexif().get(ORIENTATION, 1))
        except (ValueError, TypeError, OSError, SyntaxError, KeyError):
            return 1  # a broken EXIF block turns nothing; what is wrong with it, `exif` says


PLUGIN: Extractor = Thumbnail()
