"""Extractor: what a picture file holds beside the picture that is looked at: a film (motion photo), which is then
listed as a member of it, or other bytes behind a JPEG's end. Nothing is decoded.
"""

import io
import re
from collections.abc import Iterator

import simplejpeg
from PIL import Image

from clew.intake.api import Example, Extractor, Probe, Value
from clew.intake.archives.kinds import FILM
from clew.intake.archives.members import Held
from clew.intake.archives.motion import film
from clew.intake.carving import jpeg
from clew.intake.carving.view import View
from clew.intake.extractors._picture import AVIF, HEIF, JPEG
from clew.model import Missing, Reason

UNOPENED = "unopened"
BEHIND = "a JPEG with something else behind its end, which is not looked at: take that in as an exhibit of its own"
HEAD, TAIL = 1 << 17, 1 << 16  # bytes: where a JPEG says that it is a motion photo; padding at its end
LEAST = 512  # bytes behind a JPEG's end: fewer are a maker's remarks
_SAYS = re.compile(rb"MotionPhoto|MicroVideo")  # in its XMP (Android's Motion Photo format 1.0, and what was before)


class Appended:
    """Traits "image.film", the byte at which a film begins in the picture, and "unopened", what else is in it and is
    not looked at.
    """

    name = "appended"
    version = "1"

    def wants(self, media_type: str) -> bool:
        """Pictures that telephones make."""
        return media_type in (JPEG, AVIF, *HEIF)

    def traits(self, probe: Probe) -> Iterator[tuple[str, Value]]:
        """None for most pictures."""
        data = probe.data
        if data is None:
            yield FILM, Missing(Reason.TOO_LARGE, "not held in memory")
            return
        if probe.media_type == JPEG and _is_plain(data):
            return
        found = film(data)
        if found is not None:
            yield FILM, found[0]
        elif probe.media_type == JPEG and _behind(data) >= LEAST:
            yield UNOPENED, BEHIND

    def examples(self) -> Iterator[Example]:
        """A card, alone, and with a few boxes of a film behind it."""
        out = io.BytesIO()
        Image.new("L", (32, 24), 90).save(out, "JPEG")
        film = b"\0\0\0\x10ftypmp42" + bytes(4) + b"\0\0\0\x08moov\0\0\0\x0cmdat" + bytes(4)
        yield Example("card.jpg", out.getvalue(), JPEG)
        yield Example("motion.jpg", out.getvalue() + film, JPEG, {FILM: out.tell()})


def _is_plain(data: memoryview) -> bool:
    """Whether a JPEG ends with a last marker, does not say that it is a motion photo, and is no larger than its pixels
    would be as they are: so are nearly all, which are not searched. A recording as bare Motion JPEG is larger.
    """
    if not bytes(data[-TAIL:]).rstrip(b"\0").endswith(b"\xff\xd9") or _SAYS.search(data[:HEAD]) is not None:
        return False
    try:
        height, width, _, _ = simplejpeg.decode_jpeg_header(data, strict=False)
    except ValueError:
        return True  # no picture, which other Extractors say
    return len(data) <= HEAD + 3 * int(width) * int(height)


def _behind(data: memoryview) -> int:
    """Bytes behind a JPEG's end, without zeros at theirs; 0 where its markers lead to no end."""
    end = jpeg.end(View(Held(data), [(0, len(data))]))
    return 0 if end is None else len(bytes(data[end:]).rstrip(b"\0"))


PLUGIN: Extractor = Appended()
