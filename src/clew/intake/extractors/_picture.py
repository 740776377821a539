"""One decode of a picture, shared by the extractors that need its pixels.

JPEG by libjpeg-turbo (simplejpeg): RGB in exact mode, bit for bit what Pillow gives; in fast mode the luma alone, and
of large pictures at 1/2, 1/4 or 1/8 of their size, so long as the shorter side keeps 1024 pixels: the inverse
transform of every pixel that PDQ's 512 x 512 step would drop costs a third of a full decode.
HEIC by libavcodec (`_heif`), a camera raw by the JPEG it carries of itself (`_raw`), everything else by Pillow, its
formats restricted to those that are named here, and brought to 8 bits by `_shades`. The size that the header claims is
checked before anything is decoded.
"""

import io
import sys
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import simplejpeg
from PIL import AvifImagePlugin, IcoImagePlugin, Image, ImageFile, MpoImagePlugin, TiffImagePlugin, WebPImagePlugin
from PIL import UnidentifiedImageError as NoPicture

from clew.core import pdq
from clew.core.absent import Absent
from clew.intake.api import FAST, Probe
from clew.intake.extractors import _metadata, _raw, _zeros_still
from clew.intake.extractors._heif import AV1, Heic
from clew.intake.extractors._shades import to_rgb
from clew.model import Missing, Reason

# Imported so that nothing has to be loaded once the worker is locked
PLUGINS = (IcoImagePlugin, AvifImagePlugin, MpoImagePlugin, TiffImagePlugin, WebPImagePlugin)
FORMATS = ("PNG", "GIF", "WEBP", "TIFF", "BMP", "AVIF", "JPEG", "PPM", "ICO")
JPEG, AVIF = "image/jpeg", "image/avif"
HEIF = ("image/heic", "image/heif", "image/heic-sequence", "image/heif-sequence")
PROFILES = (b"mif2", b"miaf", b"1pic", b"MA1A", b"MA1B")  # first brands of AV1 pictures, beside those of `avif`
FILE, PREVIEW = "file", "preview"  # what the pixels are of
SHORT_SIDE = 1024  # what fast mode leaves of the shorter side at least
MOST_PIXELS = 200_000_000
MOST_SPARE = 160 << 20  # bytes of pixels that are kept for the next picture
NOBODY = 2  # references: the name of the spare memory, and the question
KEY = "clew.intake.extractors._picture"
SAMPLED = f"{KEY}.sampled"

Image.preinit()
AvifImagePlugin.DEFAULT_MAX_THREADS = 1  # a locked worker cannot start threads, and the decoder would fail
Image.MAX_IMAGE_PIXELS = None  # Pillow would only warn; `_check` refuses, with a reason


@dataclass(frozen=True, slots=True)
class Picture:
    """Decoded pixels: (height, width) luma or (height, width, 3) RGB of 8 bits, unrotated, as the file has them.

    `width` and `height` are the file's; fast mode may have decoded fewer pixels. `damaged` says that the file was cut
    or broken, or has zeros where coded pixels should be: part of the pixels is made up by the decoder. `orientation`,
    1 to 8 as in EXIF, is how it lies; `source` is FILE, or PREVIEW where the pixels are of the picture that a camera
    raw carries of itself.
    """

    pixels: npt.NDArray[np.uint8]
    damaged: bool
    width: int
    height: int
    orientation: int = 1
    source: str = FILE


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


def sampled(probe: Probe) -> npt.NDArray[np.uint8]:
    """PDQ's 512 x 512 step of the picture, which the thumbnail is made of too: large pictures are walked over once."""
    found: npt.NDArray[np.uint8] | None = probe.cache.get(SAMPLED)
    if found is None:
        found = probe.cache[SAMPLED] = pdq.sample(decode(probe).pixels)
    return found


def open_header(data: memoryview, media_type: str) -> Image.Image:
    """Pillow's view of the header, no pixel decoded. Raises Absent where Pillow has no decoder or finds none."""
    held = io.BytesIO(data)
    if bytes(data[4:8]) == b"ftyp" and bytes(data[8:12]) in PROFILES:
        held.getbuffer()[8:12] = b"mif1"  # Pillow hands over to libavif what begins with a brand that it knows
    try:
        return Image.open(held, formats=FORMATS)
    except (NoPicture, OSError, SyntaxError, ValueError) as error:
        raise Absent(Missing(Reason.UNPARSABLE, f"no picture that clew can decode in this {media_type}")) from error


def _decode(probe: Probe) -> Picture:
    data = probe.data
    if data is None:
        raise Absent(Missing(Reason.TOO_LARGE, f"a picture file of {probe.size:,} bytes is not held in memory"))
    if probe.media_type in HEIF and (picture := _heic(data, probe.mode)):
        return picture
    source = FILE
    if probe.media_type != JPEG:
        inside = _raw.preview(data)
        if inside is not None:
            data, source = inside, PREVIEW
    jpeg = source == PREVIEW or probe.media_type == JPEG
    picture = (_jpeg(data, probe.mode) if jpeg else None) or _other(data, probe.media_type)
    if probe.media_type == AVIF:
        return picture
    return replace(picture, orientation=_metadata.read(probe).orientation, source=source)


def _heic(data: memoryview, mode: str) -> Picture | None:
    """Turned as the file says: in HEIF that is part of decoding, and its EXIF orientation does not count. None where
    the picture is AV1, which Pillow decodes.
    """
    heic = Heic(data)
    if heic.kind == AV1:
        return None
    _check(heic.width, heic.height)
    pixels = heic.pixels(grey=mode == FAST)
    return Picture(pixels, heic.damaged, pixels.shape[1], pixels.shape[0])


def _jpeg(data: memoryview, mode: str) -> Picture | None:
    """None where libjpeg-turbo cannot give what Pillow would (CMYK), or nothing at all: Pillow has the next word."""
    try:
        height, width, space, _ = simplejpeg.decode_jpeg_header(data, strict=False)
    except ValueError:
        return None
    if space not in ("YCbCr", "RGB", "Gray", "GRAY"):
        return None
    _check(width, height)
    grey = mode == FAST and max(width, height) > pdq.SIDE  # small ones cost nothing
    wanted, factor = ("GRAY", _factor(width, height)) if grey else ("RGB", 1)
    high, wide = -(-height // factor), -(-width // factor)
    room = _room(high * wide * (1 if grey else 3))
    for strict in (True, False):  # what only the second gives is damaged
        try:
            pixels = simplejpeg.decode_jpeg(data, wanted, False, False, high, wide, 1, room, strict)
        except ValueError:
            continue
        return Picture(pixels[..., 0] if grey else pixels, not strict, width, height)
    return None


def _factor(width: int, height: int) -> int:
    """By how much fast mode divides both sides. Only halvings: the decoder's other scales cost more than none."""
    return max(factor for factor in (1, 2, 4, 8) if factor == 1 or min(width, height) >= SHORT_SIDE * factor)


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
    damaged = _zeros_still.zeroed(data)
    try:
        pixels = np.asarray(to_rgb(image))
    except (OSError, SyntaxError, ValueError, EOFError):
        image, damaged = open_header(data, media_type), True  # cut or broken: once more, with what there is
        pixels = _truncated(image)
    orientation = int(image.getexif().get(_metadata.ORIENTATION, 1)) if media_type == AVIF else 1  # from `irot`, `imir`
    return Picture(pixels, damaged, image.width, image.height, orientation)


def _truncated(image: Image.Image) -> npt.NDArray[np.uint8]:
    try:
        ImageFile.LOAD_TRUNCATED_IMAGES = True
        return np.asarray(to_rgb(image))
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise Absent(Missing(Reason.UNPARSABLE, f"the picture breaks off: {error}"[:200])) from error
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = False


def _check(width: int, height: int) -> None:
    if width * height > MOST_PIXELS:
        limit = f"{MOST_PIXELS // 1_000_000} megapixels"
        raise Absent(Missing(Reason.TOO_LARGE, f"{width} x {height} pixels, more than {limit}"))
    if width < 1 or height < 1:
        raise Absent(Missing(Reason.UNPARSABLE, f"{width} x {height} pixels"))
