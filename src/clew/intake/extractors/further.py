"""Extractor: the pictures of a HEIF file beside its primary one, which other Extractors look at."""

import io
from collections.abc import Iterator

from PIL import Image

from clew.core import pdq
from clew.core.absent import Absent, absent
from clew.intake.api import EXACT, Blob, Example, Extractor, Frame, Probe, Value
from clew.intake.extractors._heif import AV1, Heic, Pixels, others
from clew.intake.extractors._picture import AVIF, HEIF, MOST_PIXELS
from clew.intake.extractors._sheet import CELLS, sheet, small
from clew.intake.extractors.pdq import waves
from clew.model import Missing, Reason

HASH = "video.pdq"  # as the frames of an animated picture have it
MOST, PIXELS = 256, 500_000_000  # pictures, and pixels of all together, that are decoded


class Further:
    """Traits "video.pdq" of each further picture, numbered from 1, and "video.sheet" of the first 16."""

    name = "further"
    version = "2"

    def wants(self, media_type: str) -> bool:
        """HEIF; AVIF, of which no further picture is decoded."""
        return media_type in (AVIF, *HEIF)

    def traits(self, probe: Probe) -> Iterator[tuple[str, Value]]:
        """None for most files."""
        if probe.data is None:
            yield HASH, Missing(Reason.TOO_LARGE, "not held in memory")
            return
        shown: list[Image.Image] = []
        left, found = PIXELS, others(probe.data)
        for number, item in enumerate(found[:MOST], 1):
            try:
                pixels = _pixels(probe.data, item, left, grey=probe.mode != EXACT)
            except Absent as lost:
                yield HASH, Missing(lost.missing.reason, f"further picture {number}: {lost.missing.detail}")
                continue
            left -= pixels.shape[0] * pixels.shape[1]
            value, quality = pdq.hash_grey(pixels) if pixels.ndim == 2 else pdq.hash_rgb(pixels)
            yield HASH, Frame(value, number, quality)
            if len(shown) < CELLS:
                shown.append(small(pixels))
        if len(found) > MOST:
            yield HASH, Missing(Reason.LIMIT_REACHED, f"{MOST} of {len(found):,} further pictures are looked at")
        if shown:
            yield "video.sheet", Blob(sheet(shown))

    def examples(self) -> Iterator[Example]:
        """An AVIF of one picture: no encoder of ours makes a HEIF of several."""
        out = io.BytesIO()
        Image.fromarray(waves(64, 48)).save(out, "AVIF")
        yield Example("one.avif", out.getvalue(), AVIF)


def _pixels(data: memoryview, item: int, left: int, *, grey: bool) -> Pixels:
    """Raises Absent where it cannot be decoded, or is too large to be."""
    heic = Heic(data, item)
    if heic.kind == AV1:
        raise absent(Reason.NOT_APPLICABLE, "an AV1 picture that is not the file's main one is not decoded")
    size = heic.width * heic.height
    if not 0 < size <= MOST_PIXELS:
        raise absent(Reason.TOO_LARGE, f"{heic.width} x {heic.height} pixels")
    if size > left:
        raise absent(Reason.LIMIT_REACHED, f"{PIXELS:,} pixels of further pictures are decoded at most")
    pixels = heic.pixels(grey)
    if heic.damaged:
        raise absent(Reason.UNPARSABLE, "parts of it cannot be decoded")
    return pixels


PLUGIN: Extractor = Further()
