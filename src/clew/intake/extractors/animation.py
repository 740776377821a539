"""Animated pictures as videos: picture hashes of their frames, and a contact sheet. A picture of one frame has none. So
are the pages of a TIFF, of which a scanner or a fax puts many into one file.

Every frame is made whole before it is hashed: these formats store what changes (GIF89a, section 23; PNG third edition,
11.3.5 frame control; WebP container, "Animation"), so that each needs those before it.
"""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, cast

import numpy as np
from PIL import Image

from clew.core import pdq
from clew.core.absent import Absent
from clew.intake.api import Blob, Example, Extractor, Frame, Probe, Value
from clew.intake.extractors._bytes import reader
from clew.intake.extractors._picture import FORMATS, MOST_PIXELS
from clew.intake.extractors._shades import to_rgb
from clew.intake.extractors._sheet import CELLS, Evenly, sheet, small
from clew.intake.extractors.frames import counted
from clew.intake.extractors.pdq import waves
from clew.model import Missing, Reason

TYPES = ("image/gif", "image/png", "image/apng", "image/vnd.mozilla.apng", "image/webp", "image/avif", "image/tiff")
TIFF = "TIFF"  # Pillow's name of it
KEPT = 512  # frames at most, evenly spaced
MOST_FRAMES = 20_000
PIXELS = 500_000_000  # of all frames together that are decoded
BROKEN = (OSError, SyntaxError, ValueError, EOFError, KeyError, IndexError, TypeError)  # of a TIFF without a size, too


class Animation:
    """Traits "video.frames" (decoded), "video.duration" in seconds as far as decoded, "video.pdq" of each frame or
    evenly of 256 to 512, first and last among them, "video.damaged", "video.sheet". Of a TIFF the seconds are pages,
    counted from 0, and it has no duration.
    """

    name = "animation"
    version = "2"

    def wants(self, media_type: str) -> bool:
        """The formats that can hold more than one frame."""
        return media_type in TYPES

    def traits(self, probe: Probe) -> Iterator[tuple[str, Value]]:
        """Nothing where there is one frame: what is to be said of that one, other Extractors say."""
        try:
            image = Image.open(cast(IO[bytes], reader(probe)), formats=FORMATS)
            moves = bool(getattr(image, "is_animated", False))
        except BROKEN:
            return
        if not moves or (image.format == TIFF and not _has_pages(probe)):
            return
        if image.width * image.height > MOST_PIXELS:
            raise Absent(Missing(Reason.TOO_LARGE, f"frames of {image.width} x {image.height} pixels"))
        yield from _traits(image)

    def examples(self) -> Iterator[Example]:
        """Waves that move, in three formats; and a picture that does not."""
        wide = waves(640, 120)
        frames = [Image.fromarray(wide[:, at : at + 160]) for at in (0, 160, 320)]
        said: dict[str, Value | None] = {"video.frames": 3, "video.duration": 0.3, "video.damaged": 0}
        said |= {"video.pdq": None, "video.sheet": None}
        for kind in ("GIF", "PNG", "WEBP"):
            out = io.BytesIO()
            frames[0].save(out, kind, save_all=True, append_images=frames[1:], duration=100)
            yield Example(f"waves.{kind.lower()}", out.getvalue(), f"image/{kind.lower()}", said)
        still = io.BytesIO()
        frames[0].save(still, "PNG")
        yield Example("still.png", still.getvalue(), "image/png")


@dataclass(slots=True)
class _Reel:
    """The frames of one picture, one after the other; afterwards how many there were and what stood in the way."""

    image: Image.Image
    count: int = 0
    seconds: float = 0.0
    missing: Missing | None = None

    def frames(self) -> Iterator[tuple[float, Image.Image]]:
        """(seconds from the beginning, RGB)."""
        most = min(MOST_FRAMES, max(1, PIXELS // (self.image.width * self.image.height)))
        try:
            while self.count < most:
                self.image.seek(self.count)
                if self.image.width * self.image.height > MOST_PIXELS:  # each page of a TIFF has a size of its own
                    told = (
                        f"stopped after {self.count:,} pages, at one of {self.image.width} x {self.image.height} pixels"
                    )
                    self.missing = Missing(Reason.TOO_LARGE, told)
                    return
                yield (self.count if self.image.format == TIFF else self.seconds), to_rgb(self.image)
                self.count += 1
                self.seconds += max(0.0, float(self.image.info.get("duration") or 0)) / 1000
            self.missing = Missing(
                Reason.LIMIT_REACHED, f"stopped after {self.count:,} frames, at {self.seconds:.1f} s"
            )
        except EOFError:
            stated = 0 if self.image.format == "GIF" else int(getattr(self.image, "n_frames", 0))  # a GIF states none
            if self.count < stated:
                told = f"{stated:,} frames are stated, {self.count:,} are there"
                self.missing = Missing(Reason.UNPARSABLE, told)
        except BROKEN as error:
            self.missing = Missing(Reason.UNPARSABLE, f"breaks off after {self.count:,} frames: {error}"[:200])


def _has_pages(probe: Probe) -> bool:
    """Whether a TIFF is of several pages, and not a camera raw in several parts, or one picture in several sizes."""
    try:
        return probe.data is not None and counted(probe.data) > 1
    except ValueError:
        return False


def _traits(image: Image.Image) -> Iterator[tuple[str, Value]]:
    reel = _Reel(image)
    hashes: Evenly[Frame] = Evenly(KEPT)
    shown: Evenly[Image.Image] = Evenly(2 * CELLS)
    last: tuple[float, Image.Image] | None = None
    for seconds, rgb in reel.frames():
        last = seconds, rgb
        if hashes.takes():
            hashes.kept.append(_hash(seconds, rgb))
            last = None
        if shown.takes():
            shown.kept.append(small(np.asarray(rgb)))
    if last is not None:
        hashes.kept.append(_hash(*last))
    yield "video.frames", reel.count
    if image.format != TIFF:
        yield "video.duration", round(reel.seconds, 3)
    yield from (("video.pdq", frame) for frame in hashes.kept)
    yield "video.damaged", int(reel.missing is not None and reel.missing.reason is Reason.UNPARSABLE)
    if reel.missing is not None:
        yield "video.pdq", reel.missing
    if hashes.step > 1:
        told = f"{len(hashes.kept):,} of {reel.count:,} frames are hashed, evenly spaced"
        yield "video.pdq", Missing(Reason.LIMIT_REACHED, told)
    if shown.kept:
        yield "video.sheet", Blob(sheet(shown.kept))


def _hash(seconds: float, rgb: Image.Image) -> Frame:
    value, quality = pdq.hash_rgb(np.asarray(rgb))
    return Frame(value, seconds, quality)


PLUGIN: Extractor = Animation()
