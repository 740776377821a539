"""A contact sheet: up to 16 small grey pictures, evenly taken from however many there were, made anew from pixels."""

import io
import math
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt
from PIL import Image

from clew.intake.extractors.thumbnail import LONG_SIDE, QUALITY

CELLS = 16
COLUMNS = 4
ENOUGH = 4 * LONG_SIDE  # pixels are thinned to about this many before they are averaged

T = TypeVar("T")


@dataclass(slots=True)
class Evenly(Generic[T]):
    """Keeps between half of `most` and `most` of a row of unknown length, evenly spaced, the first among them."""

    most: int
    kept: list[T] = field(default_factory=list)
    step: int = 1
    offered: int = 0

    def takes(self) -> bool:
        """Whether the next of the row is to be appended to `kept`. Asked once for each."""
        at = self.offered
        self.offered += 1
        if at % self.step == 0 and len(self.kept) == self.most:
            del self.kept[1::2]
            self.step *= 2
        return at % self.step == 0


def small(pixels: npt.NDArray[np.uint8], turn: int = 0) -> Image.Image:
    """A grey picture of at most 160 pixels a side, turned clockwise by `turn` degrees, a multiple of 90."""
    step = max(1, max(pixels.shape[:2]) // ENOUGH)
    picture = Image.fromarray(np.ascontiguousarray(pixels[::step, ::step])).convert("L")
    picture.thumbnail((LONG_SIDE, LONG_SIDE), Image.Resampling.BOX)
    return picture.rotate(-turn, expand=True) if turn else picture


def sheet(pictures: list[Image.Image]) -> bytes:
    """One grey WebP of up to 4 x 4 of them, row by row in their order. There must be one."""
    chosen = [pictures[at * (len(pictures) - 1) // max(1, CELLS - 1)] for at in range(CELLS)]
    chosen = pictures if len(pictures) <= CELLS else chosen
    wide, high = (max(sizes) for sizes in zip(*(picture.size for picture in chosen), strict=True))
    columns = min(COLUMNS, len(chosen))
    out = Image.new("L", (wide * columns, high * math.ceil(len(chosen) / columns)))
    for at, picture in enumerate(chosen):
        out.paste(picture, (at % columns * wide, at // columns * high))
    data = io.BytesIO()
    out.save(data, "WEBP", quality=QUALITY, method=0)
    return data.getvalue()
