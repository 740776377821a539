"""One decode of a picture, shared by the extractors that need its pixels.

JPEG by libjpeg-turbo (simplejpeg): RGB in exact mode, bit for bit what Pillow gives; in fast mode the luma alone.
Everything else by Pillow, its formats restricted to those that are named here. The size that the header claims is
checked before anything is decoded.
"""

import io
import sys
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import simplejpeg
from PIL import AvifImagePlugin, IcoImagePlugin, Image, ImageFile, MpoImagePlugin, TiffImagePlugin, WebPImagePlugin
from PIL import UnidentifiedImageError as NoPicture

from clew.core import pdq
from clew.core.absent import Absent
from clew.intake.api import FAST, Probe
from clew.model import Missing, Reason

# Imported so that nothing has to be loaded once the worker is locked
PLUGINS = (IcoImagePlugin, AvifImagePlugin, MpoImagePlugin, TiffImagePlugin, WebPImagePlugin)
FORMATS = ("PNG", "GIF", "WEBP", "TIFF", "BMP", "AVIF", "JPEG", "PPM", "ICO")
JPEG = "image/jpeg"
MOST_PIXELS = 200_000_000
MOST_SPARE = 160 << 20  # bytes of pixels that are kept for the next picture
NOBODY = 2  # references: the name of the spare memory, and the question
KEY = "clew.intake.extractors._picture"

Image.preinit()
AvifImagePlugin.DEFAULT_MAX_THREADS = 1  # a locked worker cannot start threads, and the decoder would fail
Image.MAX_IMAGE_PIXELS = None  # Pillow would only warn; `_check` refuses, with a reason


@dataclass(frozen=True, slots=True)
class Picture:
    """Decoded pixels: (height, width) luma or (height, width, 3) RGB of 8 bits, unrotated, as the file has them.

    `damaged` says that the file was cut or broken, and part of the pixels is made up by the decoder.
    """

    pixels: npt.NDArray[np.uint8]
    damaged: bool
    width: int
    height: int


def wants(media_type: str) -> bool:
    """Whether it claims to be a picture at all; what cannot be decoded is then said, not passed over."""
    return media_type.startswith("image/") and not media_type.startswith("image/svg")


def decode(probe: Probe) -> Picture:
    """The picture, decoded at most once per Probe. Raises Absent, saying why, where there is none to see."""
    found = probe.cache.get(KEY)
    if found is None:
        try:
            found = _decode(probe)
        except Absent as absent:
            found = absent
        probe.cache[KEY] = found
    if isinstance(found, Absent):
        raise found
    picture: Picture = found
    return picture


def open_header(data: memoryview, media_type: str) -> Image.Image:
    """Pillow's view of the header, no pixel decoded. Raises Absent where Pillow has no decoder or finds none."""
    try:
        return Image.open(io.BytesIO(data), formats=FORMATS)
    except (NoPicture, OSError, SyntaxError, ValueError) as error:
        raise Absent(Missing(Reason.UNPARSABLE, f"no picture that clew can decode in this {media_type}")) from error


def _decode(probe: Probe) -> Picture:
    if probe.data is None:
        raise Absent(Missing(Reason.TOO_LARGE, f"a picture file of {probe.size:,} bytes is not held in memory"))
    picture = _jpeg(probe.data, probe.mode) if probe.media_type == JPEG else None
    return picture or _other(probe.data, probe.media_type)


def _jpeg(data: memoryview, mode: str) -> Picture | None:
    """None where libjpeg-turbo cannot give what Pillow would (CMYK), or nothing at all: Pillow has the next word."""
    try:
        height, width, space, _ = simplejpeg.decode_jpeg_header(data, strict=False)
    except ValueError:
        return None
    if space not in ("YCbCr", "RGB", "Gray", "GRAY"):
        return None
    _check(width, height)
    wanted = "GRAY" if mode == FAST and max(width, height) > pdq.SIDE else "RGB"  # small ones cost nothing
    room = _room(height * width * len(wanted.replace("GRAY", "Y")))
    for strict in (True, False):  # what only the second gives is damaged
        try:
            pixels = simplejpeg.decode_jpeg(data, wanted, strict=strict, buffer=room)
        except ValueError:
            continue
        return Picture(pixels[..., 0] if wanted == "GRAY" else pixels, not strict, width, height)
    return None


_spare = np.empty(0, np.uint8)


def _room(size: int) -> npt.NDArray[np.uint8]:
    """Memory to decode into: an earlier picture's, once nobody holds a view of it. Fresh pages cost a fifth more."""
    global _spare  # noqa: PLW0603  one worker, one picture at a time
    if size > MOST_SPARE:
        return np.empty(size, np.uint8)
    if len(_spare) < size or sys.getrefcount(_spare) > NOBODY:
        _spare = np.empty(size, np.uint8)
    return _spare


def _other(data: memoryview, media_type: str) -> Picture:
    image = open_header(data, media_type)
    _check(image.width, image.height)
    try:
        return Picture(np.asarray(image.convert("RGB")), False, image.width, image.height)
    except (OSError, SyntaxError, ValueError, EOFError):
        pass  # cut or broken: once more, with what there is
    image = open_header(data, media_type)
    try:
        ImageFile.LOAD_TRUNCATED_IMAGES = True
        pixels = np.asarray(image.convert("RGB"))
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise Absent(Missing(Reason.UNPARSABLE, f"the picture breaks off: {error}"[:200])) from error
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = False
    return Picture(pixels, True, image.width, image.height)


def _check(width: int, height: int) -> None:
    if width * height > MOST_PIXELS:
        limit = f"{MOST_PIXELS // 1_000_000} megapixels"
        raise Absent(Missing(Reason.TOO_LARGE, f"{width} x {height} pixels, more than {limit}"))
    if width < 1 or height < 1:
        raise Absent(Missing(Reason.UNPARSABLE, f"{width} x {height} pixels"))
