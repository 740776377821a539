"""RGB of 8 bits from whatever Pillow opened. Pillow cuts grey of more than 8 bits off at 255 instead of scaling it:
what scanners and archives write in 16 bits would be hashed as a white page.
"""

import numpy as np
import numpy.typing as npt
from PIL import Image, TiffImagePlugin

BITS_PER_SAMPLE, PHOTOMETRIC, WHITE_IS_ZERO = 258, 262, 0  # TIFF 6.0, section 8
ROWS = 512  # scaled at a time: numbers of 32 bits are large


def to_rgb(image: Image.Image) -> Image.Image:
    """The picture as RGB. Grey of 12 or 16 bits by its 8 highest, whole numbers of 32 bits and floating ones by the
    range that they have in this picture. Raises what Pillow raises while it decodes.
    """
    if image.mode.startswith("I;16"):
        return _negative(image, _highest(image)).convert("RGB")
    if image.mode in ("I", "F"):
        return _negative(image, _ranged(np.asarray(image))).convert("RGB")
    return image.convert("RGB")


def _highest(image: Image.Image) -> Image.Image:
    shift = max(0, _tag(image, BITS_PER_SAMPLE, 16) - 8)
    return Image.fromarray((np.asarray(image) >> shift).astype(np.uint8))


def _ranged(values: npt.NDArray[np.int32] | npt.NDArray[np.float32]) -> Image.Image:
    sane = values[np.isfinite(values)]
    low, high = (float(sane.min()), float(sane.max())) if sane.size else (0.0, 0.0)
    scale = 255 / (high - low) if high > low else 0.0
    made = np.empty(values.shape, np.uint8)
    for at in range(0, len(values), ROWS):
        rows = np.nan_to_num(values[at : at + ROWS].astype(np.float64), nan=low, posinf=high, neginf=low)
        made[at : at + ROWS] = np.rint((rows - low) * scale)
    return Image.fromarray(made)


def _negative(image: Image.Image, grey: Image.Image) -> Image.Image:
    """Of these modes Pillow does not turn over a TIFF in which 0 is white."""
    if _tag(image, PHOTOMETRIC, 1) != WHITE_IS_ZERO:
        return grey
    return Image.fromarray(255 - np.asarray(grey))


def _tag(image: Image.Image, tag: int, otherwise: int) -> int:
    """The first number of a tag, where the picture is a TIFF that has it."""
    found = image.tag_v2.get(tag) if isinstance(image, TiffImagePlugin.TiffImageFile) else None
    first = found[0] if isinstance(found, tuple) and found else found
    return first if isinstance(first, int) else otherwise
