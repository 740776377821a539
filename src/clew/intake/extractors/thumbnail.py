"""A small grey picture for the review page, made anew from pixels: nothing of the original file is in it."""

import io
from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt
import simplejpeg
from PIL import Image

from clew.intake.api import Blob, Example, Extractor, Probe, Value
from clew.intake.extractors import _picture
from clew.intake.extractors.pdq import waves

LONG_SIDE = 160
QUALITY = 80
Grey = npt.NDArray[np.uint8]
# Exif 2.32, tag Orientation: what brings the picture upright
TURNS: dict[int, Callable[[Grey], Grey]] = {
    1: lambda grey: grey,
    2: lambda grey: grey[:, ::-1],
    3: lambda grey: grey[::-1, ::-1],
    4: lambda grey: grey[::-1],
    5: lambda grey: grey.T,
    6: lambda grey: grey.T[:, ::-1],
    7: lambda grey: grey[::-1, ::-1].T,
    8: lambda grey: grey.T[::-1],
}


class Thumbnail:
    """Trait "thumbnail": the SHA-256 of a blob, a grey JPEG of at most 160 pixels a side, turned as EXIF says."""

    name = "thumbnail"
    version = "3"

    def wants(self, media_type: str) -> bool:
        """Pictures."""
        return _picture.wants(media_type)

    def traits(self, probe: Probe) -> Iterator[tuple[str, Value]]:
        """The one thumbnail."""
        picture = _picture.decode(probe)
        scale = min(1.0, LONG_SIDE / max(picture.width, picture.height))
        size = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
        small = Image.fromarray(_picture.sampled(probe)).convert("L").resize(size, Image.Resampling.BOX)
        upright = np.ascontiguousarray(TURNS[picture.orientation](np.asarray(small)))
        # WebP would be no smaller at this size and cost twenty times as much
        yield "thumbnail", Blob(simplejpeg.encode_jpeg(upright[..., None], QUALITY, "GRAY", "Gray"))

    def examples(self) -> Iterator[Example]:
        """Waves, wide and tall."""
        for width, height in ((640, 480), (90, 1200)):
            out = io.BytesIO()
            Image.fromarray(waves(width, height)).save(out, "PNG")
            yield Example(f"waves-{width}x{height}.png", out.getvalue(), "image/png", {"thumbnail": None})


PLUGIN: Extractor = Thumbnail()
