"""What runs in the worker: makes a small grey picture, blurred or clear, out of a stored thumbnail.

The stored bytes come from a parser of seized bytes and are treated as hostile: they are decoded in the sandbox, and
what leaves is a new JPEG with nothing of the old file in it (no EXIF, no profile, no comment).
"""

import io
import os
from typing import Any

from PIL import Image, ImageFilter

from clew.core.absent import absent
from clew.core.channel import Reply
from clew.model import Reason

MOST_BYTES = 4 << 20
MOST_PIXELS = 4096 * 4096
CLEAR_SIDE = 320
BLUR_SIDE = 160
BLUR_RADIUS = 12
QUALITY = 82


def prepare() -> None:
    """Loads every decoder and encoder before the worker locks itself up."""
    Image.MAX_IMAGE_PIXELS = MOST_PIXELS
    Image.init()
    make(_sample(), blurred=True)


def render(payload: dict[str, Any], descriptors: list[int]) -> Reply:
    """The entry: one stored picture by descriptor; `how` is "blurred" or "clear". Replies width, height and a JPEG."""
    blurred = {"blurred": True, "clear": False}[payload["how"]]
    with os.fdopen(os.dup(descriptors[0]), "rb") as file:
        file.seek(0)
        data = file.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise absent(Reason.TOO_LARGE, f"a stored picture of more than {MOST_BYTES} bytes")
    jpeg, width, height = make(data, blurred=blurred)
    return Reply({"width": width, "height": height}, (jpeg,))


def make(data: bytes, *, blurred: bool) -> tuple[bytes, int, int]:
    """Grey JPEG bytes with width and height in pixels; blurred beyond recognition of detail where asked.

    Raises whatever Pillow raises for bytes that are no picture.
    """
    with Image.open(io.BytesIO(data)) as opened:
        if opened.width * opened.height > MOST_PIXELS:
            raise absent(Reason.TOO_LARGE, f"a stored picture of {opened.width} x {opened.height} pixels")
        grey = opened.convert("L")
    side = BLUR_SIDE if blurred else CLEAR_SIDE
    grey.thumbnail((side, side))
    if blurred:
        grey = grey.filter(ImageFilter.GaussianBlur(BLUR_RADIUS))
    grey.info = {}  # Pillow would write the old comment and profile into the new file
    out = io.BytesIO()
    grey.save(out, "JPEG", quality=QUALITY)
    return out.getvalue(), grey.width, grey.height


def _sample() -> bytes:
    out = io.BytesIO()
    Image.linear_gradient("L").save(out, "JPEG")
    return out.getvalue()
