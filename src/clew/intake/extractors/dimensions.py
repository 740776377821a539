"""Width, height, and whether the picture is damaged."""

import io
from collections.abc import Iterator

from PIL import Image

from clew.intake.api import Example, Extractor, Probe, Value
from clew.intake.extractors import _picture


class Dimensions:
    """Traits "image.width", "image.height" in pixels, unrotated; "image.damaged" 1 where the decoder made up pixels.

    Of a camera raw they are those of the preview that was hashed; "image.source" is then "preview".
    """

    name = "dimensions"
    version = "4"

    def wants(self, media_type: str) -> bool:
        """Pictures."""
        return _picture.wants(media_type)

    def traits(self, probe: Probe) -> Iterator[tuple[str, Value]]:
        """All of them, from the one decode."""
        picture = _picture.decode(probe)
        yield "image.width", picture.width
        yield "image.height", picture.height
        yield "image.damaged", int(picture.damaged)
        if picture.source != _picture.FILE:
            yield "image.source", picture.source

    def examples(self) -> Iterator[Example]:
        """A grey card, whole, and cut in the middle."""
        out = io.BytesIO()
        Image.effect_noise((300, 200), 60).save(out, "JPEG")
        whole, cut = out.getvalue(), out.getvalue()[: out.tell() // 2]
        sizes: dict[str, Value | None] = {"image.width": 300, "image.height": 200}
        yield Example("card.jpg", whole, "image/jpeg", sizes | {"image.damaged": 0})
        yield Example("cut.jpg", cut, "image/jpeg", sizes | {"image.damaged": 1})


PLUGIN: Extractor = Dimensions()
